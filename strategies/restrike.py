"""``restrike``: a new starting point within the day, after a loss."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from msgspec import Struct

from engine.plans import Restrike as RestrikePlan
from engine.policy import Decision, Nothing, SetLeverage, View
from engine.watch import Watch
from strategies.one_sided_guard import leverage_after, watch_above

__all__ = ["Restrike"]


class Restrike(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="restrike", tag_field="type"
):
    """After a loss of ``loss`` within the day, trade back to ``target`` at the price of a window.

    Listed 3x notes, beside a ``schedule`` at the close. A loss of a half is a move of ``loss /
    |L|`` against the product, 16.67 % of 3x, at which a long one stands at 5x and a short one at
    7x. From 100 to 83.33 half is left. The window opens ``delay_s`` later, and what the market does
    meanwhile is the holders': where its price is 80, 0.4 is left, rebalanced to 3x; 70 at the close
    makes 0.25. Once per trigger: the next one takes another loss from there.

    Args:
        target: signed leverage, not between 0 and 1.
        loss: share of NAV lost since leverage was ``target``.
        delay_s, window_s, price: of the window, as the plan ``restrike`` has them.

    It does badly in a market that turns, and on a day that goes on and on: the 3x short note on
    Rolls-Royce was struck anew three times on 9 November 2020, and went from 22.07 to 0.302597.

    Source: ``products.md`` 1.7: GraniteShares takes the worst price of its window, Leverage Shares
        the average; windows of 1.0.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    target: float
    loss: float = 0.5
    delay_s: float = 0.0
    window_s: float = 600.0
    price: Literal["worst", "average"] = "average"

    def __post_init__(self) -> None:
        if not math.isfinite(self.target) or 0.0 <= self.target <= 1.0:
            raise ValueError(f"restrike wants a target below 0 or above 1, was {self.target}")
        if not 0.0 < self.loss < 1.0:
            raise ValueError(f"restrike wants 0 < loss < 1, was {self.loss}")
        self.plan()

    @property
    def edge(self) -> float:
        """Magnitude of the leverage at the trigger."""
        return abs(leverage_after(self.target, -self.loss / self.target))

    def plan(self) -> RestrikePlan:
        """How the trade is done; an error where the window cannot be."""
        return RestrikePlan(delay_s=self.delay_s, window_s=self.window_s, price=self.price)

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        return watch_above(view, self.target, self.edge)

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        held = math.copysign(1.0, self.target) * view.position.leverage
        if held < self.edge:
            return None, state
        said = f"restrike: leverage {held:.4g} at or above {self.edge:.4g}"
        return SetLeverage(self.target, said, self.plan()), state
