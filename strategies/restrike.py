"""``restrike``: a new starting point within the day, after a loss."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Decision, SetLeverage, View, Warn, leverage_watch
from engine.units import SECOND_NS
from engine.watch import NEVER, Watch
from strategies.one_sided_guard import leverage_after

__all__ = ["Restrike", "RestrikeState"]


class RestrikeState(Struct, frozen=True):
    """When the window that is open ends; 0 where none is."""

    until_ns: int = 0


class Restrike(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="restrike", tag_field="type"
):
    """After a loss of ``loss`` within the day, wait a window, then trade back to ``target``.

    Listed 3x notes, beside a ``schedule`` at the close. A loss of a half is a move of ``loss /
    |L|`` against the product, 16.67 % of 3x, at which a long one stands at 5x and a short one at
    7x. It is announced (``ProductWarned``), nothing is done for ``delay_s`` and ``window_s``, and
    what the market does meanwhile is the holders': from 100 to 83.33 (half is left), and at the end
    of the window 80, makes 0.4 of NAV, rebalanced to 3x; 70 at the close makes 0.25. Once per
    trigger: the next one takes another loss from there.

    Args:
        target: signed leverage, not between 0 and 1.
        loss: share of NAV lost since leverage was ``target``.
        delay_s, window_s: from the trigger to the window, and its length.

    It does badly in a market that turns, and on a day that goes on and on: the 3x short note on
    Rolls-Royce was struck anew three times on 9 November 2020, and went from 22.07 to 0.302597.

    Source: ``products.md`` 1.7 (GraniteShares, Leverage Shares), windows of 1.0. Which price of the
    window counts (the worst, the average) is a matter of execution.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = True

    target: float
    loss: float = 0.5
    delay_s: float = 0.0
    window_s: float = 600.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.target) or 0.0 <= self.target <= 1.0:
            raise ValueError(f"restrike wants a target below 0 or above 1, was {self.target}")
        if not 0.0 < self.loss < 1.0:
            raise ValueError(f"restrike wants 0 < loss < 1, was {self.loss}")
        if not (0.0 <= self.delay_s <= 1e6 and 0.0 <= self.window_s <= 1e6):
            raise ValueError("restrike wants delay_s and window_s from 0 to 1e6")

    @property
    def edge(self) -> float:
        """Magnitude of the leverage at the trigger."""
        return abs(leverage_after(self.target, -self.loss / self.target))

    def initial_state(self) -> RestrikeState:
        return RestrikeState()

    def watch(self, view: View, state: RestrikeState) -> Watch:
        if state.until_ns:
            return Watch(alarm_ns=state.until_ns)
        sign = math.copysign(1.0, self.target)
        if sign * view.position.exposure <= 0.0:
            return NEVER
        return leverage_watch(view, 0.0, self.edge, sign)

    def decide(self, view: View, state: RestrikeState) -> tuple[Decision | None, RestrikeState]:
        if state.until_ns:
            if view.due_ns < state.until_ns:
                return None, state
            return SetLeverage(self.target, "restrike"), RestrikeState()
        held = math.copysign(1.0, self.target) * view.position.leverage
        if held < self.edge:
            return None, state
        wait_ns = max(1, round((self.delay_s + self.window_s) * SECOND_NS))
        said = f"restrike: leverage {held:.4g} at or above {self.edge:.4g}, window opens"
        return Warn(said), RestrikeState(view.due_ns + wait_ns)
