"""Funding of a market that feels what is traded: the premium of the moved price over the index.

At the points of the marks that are the venue's times of sampling too: the book's own middle, where
all that was traded has moved it, less and plus what the venue's impact notional costs in the book
as it is then, collapsed or thinned, against the index, which what stays of the trades has moved.
Where nobody traded, and the input has no basis of its own, no premium is left: the index lies
between the two prices. What is taken becomes a rate by the venue's rules (``engine.venue.premium``,
``engine.venue.funding_rate``).

Source: reference venue notes 4.6, equation 7: sampled on the crashing impact prices.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from engine.venue.depth import DepthBook
from engine.venue.premium import mid_premium, premium
from engine.venue.price_rules import FundingRules
from engine.venue.taking import Top

__all__ = ["FeltPremiums"]

I64 = np.ndarray[Any, np.dtype[np.int64]]


class FeltPremiums:
    """Premiums of one market.

    Args:
        book: in which orders meet; what they took of it counts in the middle alone.
        fresh: another of the same depth.
    """

    __slots__ = ("_book", "_costs", "_fresh", "_seen", "rules")

    def __init__(self, rules: FundingRules, book: DepthBook, fresh: DepthBook) -> None:
        self.rules, self._book, self._fresh = rules, book, fresh
        self._seen: tuple[float, float] | None = None
        self._costs = (0.0, 0.0)

    def due(self, times: I64) -> I64:
        """Places of the times at which a premium is taken."""
        return np.flatnonzero(times % self.rules.sample_ns == 0)

    def taken(self, ts_ns: int, middle: float, index: float) -> float:
        """The premium at a point.

        Args:
            middle: of the book, moved by all that was traded.
            index: outside, moved by what stays of it.
        """
        if self.rules.premium == "mid":
            return mid_premium(middle, middle, index)
        bid, ask = self._costs_at(ts_ns)
        return premium(middle * (1.0 - bid), middle * (1.0 + ask), index)

    def _costs_at(self, ts_ns: int) -> tuple[float, float]:
        """How far below and above the middle the impact notional is sold and bought, as shares."""
        book, fresh = self._book, self._fresh
        thinned = book.state.scale != 1.0
        if thinned or self._seen != book.alive:
            state = book.state
            fresh.alive = book.alive
            fresh.thin(state.scale, state.thin_until_ns, state.thin_half_ns)
            self._costs = self._cost(-1, ts_ns), self._cost(1, ts_ns)
            self._seen = None if thinned else book.alive
        return self._costs

    def _cost(self, side: int, ts_ns: int) -> float:
        top, notional = Top(1.0, -1.0, ts_ns), self.rules.impact_notional
        if notional <= 0.0:
            best = self._fresh.best(side, top)
            return inf if best is None else side * (best - 1.0)
        offer = self._fresh.offer(side, 1, notional, None, top)
        return side * (offer.price - 1.0) if offer.lots else inf
