"""``deviation``: back to target when the position has moved away from what it was bought at."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Decision, Nothing, SetLeverage, View
from engine.watch import ALWAYS, Watch, drawn_in

__all__ = ["Deviation"]


class Deviation(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="deviation", tag_field="type"
):
    """Trade back to ``target`` when ``|N - M0 L| / (M0 L) * L >= threshold``.

    ``N`` is the position's size now, ``M0`` the NAV at which its leverage was ``L``; it lies on the
    present line, at ``(NAV - exposure) / (1 - L)``, so that nothing need be remembered and other
    people's trades count. Nothing but the price enters: a 2x product with a threshold of 5 % trades
    after 2.5 % either way, a 5x with 10 % after 2 %.

    Args:
        target: signed leverage, neither 0 nor 1: 1x long never deviates.
        threshold: in leverage; TLX has 0.03 to 0.10 for BTC and ETH.

    It does badly in a quiet market with costs: each small move there and back is paid for twice.

    Source: TLX's rule (``products.md`` 1.0 and 1.6).
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    target: float
    threshold: float = 0.05

    def __post_init__(self) -> None:
        if self.target in (0.0, 1.0) or not math.isfinite(self.target):
            raise ValueError(f"deviation wants a target other than 0 and 1, was {self.target}")
        if not 1e-4 <= self.threshold < abs(self.target):
            raise ValueError(
                f"deviation wants a threshold from 0.0001 to below |target|, was {self.threshold}"
            )

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        low, high = drawn_in(*self._edges(view))
        return Watch(low, high) if low < view.market.mark < high else ALWAYS

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        low, high = self._edges(view)
        mark = view.market.mark
        if low < mark < high and view.position.target:
            return None, state
        if not low < high:
            return SetLeverage(self.target, "not on target at any price"), state
        started = (low + high) * 0.5
        moved = mark / started - 1.0
        return SetLeverage(self.target, f"{moved:+.2%} from {started:.6g}"), state

    def _edges(self, view: View) -> tuple[float, float]:
        """The prices at which it trades; none between them where this line is never on target.

        ``|p / p0 - 1| L = threshold``, ``p0`` the price at which the line has ``target``.
        """
        position = view.position
        if position.exposure == 0.0:
            return math.inf, -math.inf
        margin = (position.nav - position.exposure) / (1.0 - self.target)
        start = margin * self.target / position.exposure * view.market.mark
        if not 0.0 < start < math.inf or margin <= 0.0:
            return math.inf, -math.inf
        share = self.threshold / abs(self.target)
        return start * (1.0 - share), start * (1.0 + share)
