"""``time_series_momentum``: long after a rise, short after a fall, as much as volatility allows."""

from __future__ import annotations

import math

from msgspec import Struct

from engine.policy import Decision, View
from strategies.reviewing import Reviewing, Wanted, after, kept_between

__all__ = ["Momentum", "TimeSeriesMomentum"]


class Momentum(Struct, frozen=True):
    """The next review, 0 before the first look, and the marks of the last reviews, oldest first."""

    next_ns: int = 0
    marks: tuple[float, ...] = ()


class TimeSeriesMomentum(
    Reviewing, frozen=True, kw_only=True, tag="time_series_momentum", tag_field="type"
):
    """The sign of the return over the last ``lookback`` reviews, times ``target_vol / volatility``.

    Nothing is held until so many reviews have passed. With the price up over them, a target of 40 %
    and a volatility of 80 %, it holds 0.5x long; with the price down 0.5x short (``allow_short``)
    or nothing. A turn goes by way of nothing and takes two reviews.

    Args:
        lookback: reviews over which the return is taken.
        target_vol: a year's volatility of the product.
        high: largest magnitude.
        allow_short: whether it may hold short.
        review_s, step: see ``reviewing``.

    It does badly in a market without direction, and at every turn of one that has: it is late by
    about half the lookback.

    Source: Moskowitz, Ooi and Pedersen 2012 (``products.md`` 3.4), who take twelve months and 40 %;
    the other defaults are ours.
    """

    lookback: int = 12
    target_vol: float = 0.4
    high: float = 3.0
    allow_short: bool = True
    review_s: float = 3600.0

    def _fault(self) -> str:
        if not 1 <= self.lookback <= 1000:
            return f"lookback must be from 1 to 1000, was {self.lookback}"
        if not 0.0 < self.target_vol < math.inf:
            return f"target_vol must be > 0, was {self.target_vol}"
        if not 0.0 < self.high < math.inf:
            return f"high must be > 0, was {self.high}"
        return ""

    def initial_state(self) -> Momentum:  # type: ignore[override]  # it remembers more
        return Momentum()

    def decide(  # type: ignore[override]  # it remembers more
        self, view: View, state: Momentum
    ) -> tuple[Decision | None, Momentum]:
        first = state.next_ns == 0
        if not first and view.due_ns < state.next_ns:
            return None, state
        mark = view.market.mark
        marks = (*state.marks[-self.lookback :], mark)
        kept = Momentum(after(view.due_ns, self.review_s), marks)
        seen = len(marks) - 1
        wanted: Wanted = 0.0, "{} of {} reviews seen", (seen, self.lookback)
        if seen >= self.lookback:
            wanted = self._followed(mark / marks[0] - 1.0, view.market.ewma_vol)
        return self._decided(view, wanted, first), kept

    def _followed(self, change: float, volatility: float) -> Wanted:
        why = "{:+.2%} over {} reviews, volatility {:.0%}"
        figures = change, self.lookback, volatility
        if change == 0.0 or not volatility > 0.0 or (change < 0.0 and not self.allow_short):
            return 0.0, why, figures
        want = kept_between(self.target_vol / volatility, 0.0, self.high)
        return math.copysign(want, change), why, figures
