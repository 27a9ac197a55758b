"""``cppi``: a multiple of what lies above a floor, and no more."""

from __future__ import annotations

import math
from typing import ClassVar, Final

from msgspec import Struct

from engine.policy import Decision, Deleverage, SetLeverage, View
from engine.product import price_at_leverage
from engine.units import SECOND_NS
from engine.watch import ALWAYS, Watch, drawn_in
from strategies.reviewing import REVIEW_S_MAX, REVIEW_S_MIN, after, direction_fault

__all__ = ["Cppi", "CppiState"]

_NONE: Final = 1e-6
"""For a cushion below this share of NAV nothing is held: a few digits of it are left."""
_EARLY: Final = 1.0 - 1e-8
"""The guard is watched for that much before: the cushion is a small difference."""


class CppiState(Struct, frozen=True):
    """The next review, 0 before the first look, and the floor in force, quote per unit."""

    next_ns: int = 0
    floor: float = 0.0


class Cppi(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cppi", tag_field="type"
):
    """Hold an exposure of ``multiplier`` times the cushion: NAV less the floor.

    A product that began at 1 with a floor of 0.8 and a multiplier of 5 is 1x; at a NAV of 1.1 it
    holds 5 * 0.3 = 1.5, which is 1.3636x; at 0.9 it holds 0.5, or 0.5556x; at its floor nothing,
    for good. At each review the floor rises to ``ratchet`` of the high-water mark. Between reviews
    it cuts back at once where exposure has come to ``guard`` times the cushion. Without jumps NAV
    is ``F + (V - F) (S / S0)**m exp(-(m**2 - m) variance / 2)``; one jump of ``-1 / m`` breaks it.

    Args:
        direction: +1 long, -1 short.
        floor: share of the NAV at launch that is to be kept.
        multiplier: exposure over cushion, > 1.
        ratchet: share of the high-water mark to which the floor rises; 0 leaves it.
        guard: exposure over cushion at which it cuts at once, > ``multiplier``.
        high: largest leverage.
        review_s: grid of the reviews, counted from 1970-01-01 UTC.
        step: leverage by which it must be off before it trades at a review.

    It does badly in a fall with a rebound: at the floor it is out, and takes no part any more.

    Source: Black and Jones 1987, Black and Perold 1992; gap risk by Cont and Tankov 2009
    (``products.md`` 3.2, 3.4). The ratchet raises the floor as Estep and Kritzman 1988.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = True
    de_risking: ClassVar[bool] = True
    is_pure: ClassVar[bool] = True

    direction: int = 1
    floor: float = 0.8
    multiplier: float = 5.0
    ratchet: float = 0.0
    guard: float = 6.5
    high: float = 4.0
    review_s: float = 300.0
    step: float = 0.02

    def __post_init__(self) -> None:
        if not (0.0 <= self.floor < 1.0 and 0.0 <= self.ratchet < 1.0):
            raise ValueError("cppi wants 0 <= floor < 1 and 0 <= ratchet < 1")
        if not 1.0 < self.multiplier < self.guard < math.inf:
            raise ValueError("cppi wants 1 < multiplier < guard")
        if not (0.0 < self.high < math.inf and 0.0 <= self.step < math.inf):
            raise ValueError("cppi wants high > 0 and step >= 0")
        if not REVIEW_S_MIN <= self.review_s <= REVIEW_S_MAX:
            raise ValueError(f"cppi: review_s must be from 0.001 to 1e9, was {self.review_s}")
        if fault := direction_fault(self.direction):
            raise ValueError(f"cppi: {fault}")

    @property
    def review_ns(self) -> int:
        """The grid of the reviews."""
        return round(self.review_s * SECOND_NS)

    def initial_state(self) -> CppiState:
        return CppiState(floor=self.floor)

    def watch(self, view: View, state: CppiState) -> Watch:
        alarm_ns = state.next_ns or after(view.due_ns, self.review_s)
        low, high = self._guarded(view, state)
        return Watch(low, high, alarm_ns)

    def decide(self, view: View, state: CppiState) -> tuple[Decision | None, CppiState]:
        due, position = view.due_ns, view.position
        reviewed = due >= state.next_ns
        if not reviewed and not self._beyond(view, state):
            return None, state
        if not reviewed:
            want, why = self._want(view, state.floor)
            why = f"exposure above {self.guard:g} times the cushion; {why}"
            return Deleverage(want, why), state
        first = state.next_ns == 0
        floor = max(state.floor, self.ratchet * position.high_water_mark)
        kept = CppiState(after(due, self.review_s), floor)
        want, why = self._want(view, floor)
        if not first and abs(want - position.leverage) <= self.step:
            return None, kept
        return SetLeverage(want, why), kept

    def _want(self, view: View, floor: float) -> tuple[float, str]:
        cushion = 1.0 - floor / _per_unit(view)
        want = min(self.multiplier * cushion, self.high) if cushion > _NONE else 0.0
        return self.direction * want, f"cushion {cushion:.2%} above a floor of {floor:.4g}"

    def _beyond(self, view: View, state: CppiState) -> bool:
        """Whether exposure has come to ``guard`` times the cushion."""
        position = view.position
        exposure = self.direction * position.exposure
        cushion = position.nav - _floor_of_all(view, state.floor)
        return exposure > 0.0 and exposure >= self.guard * cushion

    def _guarded(self, view: View, state: CppiState) -> tuple[float, float]:
        """Where exposure is ``guard`` times the cushion on the present line: the price at which a
        product whose NAV were the cushion has that leverage."""
        position = view.position
        exposure = position.exposure
        if self.direction * exposure <= 0.0:
            return -math.inf, math.inf
        cushion = position.nav - _floor_of_all(view, state.floor)
        if self.direction * exposure >= self.guard * cushion:
            return ALWAYS.low, ALWAYS.high
        slope, intercept = exposure / view.market.mark, cushion - exposure
        early = self.direction * self.guard * _EARLY
        edge = price_at_leverage(intercept, slope, early)
        if edge <= 0.0:
            return -math.inf, math.inf
        if self.direction > 0:
            return drawn_in(edge, math.inf)
        return drawn_in(-math.inf, edge)


def _per_unit(view: View) -> float:
    """NAV per unit; 1 at the launch."""
    position = view.position
    return position.high_water_mark * (1.0 + position.drawdown) or 1.0


def _floor_of_all(view: View, floor: float) -> float:
    """The floor of all units together, quote."""
    return floor / _per_unit(view) * view.position.nav
