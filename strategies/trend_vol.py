"""``trend_vol``: Smart Leverage, up in a clear trend, down when volatility rises."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Decision, Deleverage, SetLeverage, View
from engine.units import SECOND_NS
from engine.watch import Watch, drawn_in
from strategies.reviewing import after, kept_between

__all__ = ["TrendVol", "TrendVolState"]


class TrendVolState(Struct, frozen=True):
    """The next review, and the mark at the last one; 0 before the first look."""

    next_ns: int = 0
    mark: float = 0.0


class TrendVol(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="trend_vol", tag_field="type"
):
    """Leverage between ``low`` and ``high``: ``base + span * clear`` scaled down by volatility.

    At each review ``clear`` is how far the signed trend (in our direction) lies above
    ``trend_floor``, in [0, 1]; ``want = (base + (high - base) * clear) * min(1, target_vol /
    ewma_vol)``, kept in ``[low, high]``. The product trades when ``want`` differs from the leverage
    held by more than ``step``. A move of ``fast_move`` against it since the last review cuts to
    ``low`` at once. While the signals are stale it only reduces.

    With the defaults, a trend of 0.5 and a volatility of 60 %: ``clear`` is 0.4444 and ``want``
    2.8889; at 120 % it is 1.4444.

    Args:
        direction: +1 long, -1 short.
        low, base, high: magnitudes, ``0 < low <= base <= high``.
        trend_floor: trend below which nothing is clear.
        target_vol: a year's volatility above which leverage falls.
        fast_move: share of the price.
        step: leverage by which ``want`` must differ before it trades.
        review_s: grid of the reviews, counted from 1970-01-01 UTC.

    It does badly where trends end in a whipsaw: it is largest just before.

    Source: trend times volatility target, after Moskowitz, Ooi and Pedersen 2012 and Harvey et al.
    2018; parameters ours.
    """

    uses_signals: ClassVar[bool] = True
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = True
    is_pure: ClassVar[bool] = True

    direction: int = 1
    low: float = 1.0
    base: float = 2.0
    high: float = 4.0
    trend_floor: float = 0.1
    target_vol: float = 0.6
    fast_move: float = 0.03
    step: float = 0.25
    review_s: float = 300.0

    def __post_init__(self) -> None:
        if self.direction not in (1, -1):
            raise ValueError(f"trend_vol: direction must be 1 or -1, was {self.direction}")
        if not 0.0 < self.low <= self.base <= self.high:
            raise ValueError("trend_vol wants 0 < low <= base <= high")
        if not (0.0 <= self.trend_floor < 1.0 and self.target_vol > 0.0 and self.step >= 0.0):
            raise ValueError("trend_vol wants 0 <= trend_floor < 1, target_vol > 0, step >= 0")
        if not (0.0 < self.fast_move < 1.0 and 1.0 <= self.review_s <= 1e9):
            raise ValueError("trend_vol wants 0 < fast_move < 1 and review_s from 1 to 1e9")

    @property
    def review_ns(self) -> int:
        """The grid of the reviews."""
        return round(self.review_s * SECOND_NS)

    def initial_state(self) -> TrendVolState:
        return TrendVolState()

    def watch(self, view: View, state: TrendVolState) -> Watch:
        low, high = self._fast_edges(state)
        return Watch(low, high, state.next_ns or after(view.due_ns, self.review_s))

    def decide(self, view: View, state: TrendVolState) -> tuple[Decision | None, TrendVolState]:
        market, held = view.market, abs(view.position.leverage)
        reviewed = TrendVolState(after(view.due_ns, self.review_s), market.mark)
        if state.next_ns == 0:
            return self._set(view, self._want(view)), reviewed
        adverse = (
            1.0 - market.mark / state.mark if self.direction > 0 else market.mark / state.mark - 1.0
        )
        if adverse >= self.fast_move:
            if held <= self.low + self.step:
                return None, reviewed
            why = f"fast move: {adverse:.2%} against us since the last review"
            return Deleverage(self.direction * self.low, why), reviewed
        if view.due_ns < state.next_ns:
            return None, state
        want = self._want(view)
        if abs(want - held) <= self.step or (market.stale and want >= held):
            return None, reviewed
        return self._set(view, want), reviewed

    def _set(self, view: View, want: float) -> SetLeverage:
        trend, vol = self.direction * view.market.trend, view.market.ewma_vol
        return SetLeverage(self.direction * want, f"trend {trend:+.2f}, volatility {vol:.0%}")

    def _want(self, view: View) -> float:
        market = view.market
        trend, vol = self.direction * market.trend, market.ewma_vol
        clear = kept_between((trend - self.trend_floor) / (1.0 - self.trend_floor), 0.0, 1.0)
        want = self.base + (self.high - self.base) * clear
        if vol > self.target_vol:
            want *= self.target_vol / vol
        return kept_between(want, self.low, self.high)

    def _fast_edges(self, state: TrendVolState) -> tuple[float, float]:
        if state.mark == 0.0:
            return -math.inf, math.inf
        if self.direction > 0:
            return drawn_in(state.mark * (1.0 - self.fast_move), math.inf)
        return drawn_in(-math.inf, state.mark * (1.0 + self.fast_move))
