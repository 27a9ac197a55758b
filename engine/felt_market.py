"""A generated market that feels what is traded in it: its index is the input's price times what
fills have moved for good, its mark the median of three legs at the points of a grid, its depth
collapses with the moves of the mark, and its funding may be made of the moved price's premium.

What nobody traded in says what the input says, but for funding. Fills move the middle at once, for
the next order at the same instant too; the mark follows at the point at which they happen, wave
after wave, or at the next one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.felt import Felt
from engine.felt_premium import FeltPremiums
from engine.handler import Handler
from engine.priced_market import PricedMarket
from engine.rows import Rows
from engine.units import NEVER_NS
from engine.venue.book import book_of
from engine.venue.depth import DepthBook
from engine.venue.impact import FeltBook
from engine.venue.survival import Survival
from engine.venue.taking import Top

__all__ = ["FeltMarket"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]


class FeltMarket(PricedMarket):
    """A symbol whose price our trades move."""

    def _maker(self) -> Felt:
        spec, kind, book = self.spec, self.kind, self._book
        if kind is None or spec.impact is None or not isinstance(book, DepthBook):
            raise ConfigError(
                f"{spec.contract.symbol}: feedback wants prices that were generated, and a book of "
                "model depth"
            )
        self.kind = None
        self.felt_fills = self._told_fills = 0
        impact, survival = self.state.impact, spec.impact.survival
        self._survival = None
        if survival is not None:
            self._survival = Survival(survival, impact.survival, self.seed, spec.symbol)
        self._book = self._felt_book = FeltBook(book, spec.impact, impact)
        self._premiums = self._premiums_of(book)
        self._taken = 0
        self._felt = Felt(spec.symbol, kind, spec, impact)
        return self._felt

    def _premiums_of(self, book: DepthBook) -> FeltPremiums | None:
        rules = self.spec.funding.premium
        if rules is None:
            return None
        fresh = book_of(self.spec.book, self.spec.contract, self.spec.stale_after_ns)
        assert isinstance(fresh, DepthBook)
        return FeltPremiums(rules, book, fresh)

    def open(self, rows: Rows) -> None:
        super().open(rows)
        self._taken = 0

    def stage(self, before: int, ts_ns: int, due_ns: int, mark: float | None = None) -> None:
        self.feel()
        if self._premiums is not None:
            self._fund(ts_ns if mark is not None else due_ns, self._premiums)
        self._survive(ts_ns)
        super().stage(before, ts_ns, due_ns, mark)
        self._felt_book.seen_ns = self._seen_ns

    def close(self, time_ns: int) -> None:
        self.feel()
        if self._premiums is not None:
            self._fund(self._made_to_ns, self._premiums)
        self._survive(time_ns)
        if self.source is not None:
            self.state.impact.base = self._felt.base(len(self.source) - 1)
        super().close(time_ns)
        if self.spec.impact is not None:
            next_ns = self._felt.points.state.next_ns  # that of the last instant may be to come
            self.state.impact.settle(self.spec.impact, min(time_ns, next_ns - 1))

    def recall(self, handlers: list[Handler]) -> None:
        super().recall(handlers)
        impact = self.state.impact
        self._felt.impact = self._felt_book.impact = impact
        self.felt_fills = impact.fills
        if self._survival is not None:
            self._survival.state = impact.survival
            self._felt_book.book.alive = self._survival.shares

    def _fund(self, ts_ns: int, premiums: FeltPremiums) -> None:
        """Take the premiums of the points up to a time, before anything is traded at it; at a
        funding instant they become a rate, which the marks after it expect."""
        impact, felt = self.state.impact, self._felt
        while True:
            until_ns = min(ts_ns, impact.instant_ns)
            stop = self._row_at(until_ns) + 1
            if stop > self._taken:
                for point_ns, middle, index in felt.sampled(self._taken, stop, premiums):
                    self._survive(point_ns)
                    felt.points.add_premium(premiums.taken(point_ns, middle, index), point_ns)
                self._taken = stop
            if impact.instant_ns > ts_ns:
                return
            self._survive(impact.instant_ns)
            felt.settle(impact.instant_ns, premiums.rules)

    def _survive(self, ts_ns: int) -> None:
        """Let the depth collapse and come back at the points of its grid before a time: at those,
        all marks are what they will ever be."""
        survival, source = self._survival, self.source
        if survival is None or survival.state.next_ns >= ts_ns:
            if survival is None or source is None or survival.state.next_ns != NEVER_NS:
                return
            survival.begin(source.run.item(0))
        first_ns, every = survival.state.next_ns, survival.spec.every_ns
        times = np.arange(first_ns, ts_ns, every)
        if not len(times):
            return
        marks = np.full(len(times), self.state.mark)
        if source is not None:
            rows = source.run.searchsorted(times, "right") - 1
            marks = np.where(rows < 0, marks, self._prices().take(rows, mode="clip"))
        for point, mark in enumerate(marks.tolist()):
            if survival.pass_points((mark,)):
                self._felt_book.book.survive(*survival.shares, first_ns + point * every)

    def feel(self) -> None:
        """Points that lie ahead are made anew where fills have moved the price."""
        if self.felt_fills != self.state.impact.fills:
            self.felt_fills = self.state.impact.fills
            self._felt.feel(self._row_at(self._seen_ns) + 1)

    def beyond_at(self, ts_ns: int) -> int:
        self._told_fills = self.state.impact.fills
        return super().beyond_at(ts_ns)

    def again(self, ts_ns: int) -> int:
        """The mark of this very instant, made anew after fills; its row if it is at or beyond an
        edge, else -1."""
        if self._told_fills == self.state.impact.fills:
            return -1
        self._told_fills = self.felt_fills = self.state.impact.fills
        row = self._row_at(ts_ns)
        if row < 0 or self._made_ns(row) != ts_ns:
            return -1
        self._felt.feel(row)
        return self.beyond_at(ts_ns)

    def next_made_ns(self) -> int:
        self.feel()
        return super().next_made_ns()

    def top(self) -> Top:
        found = super().top()
        impact = self.state.impact
        mid = found.mid
        if found.half_spread < 0.0:  # that is the mark, in which more is felt
            row = self._row_at(self._seen_ns)
            mid = self._felt.base(row) if row >= 0 else impact.base
        half_spread = found.half_spread
        if half_spread > 0.0:
            half_spread *= self._felt_book.book.widened
        return Top(mid * impact.middle, half_spread, found.ts_ns)

    def index(self) -> float:
        return super(PricedMarket, self).index() * self.state.impact.middle

    def funding_rate(self) -> float:
        """Where it is made of premiums, the one of the last instant."""
        if self._premiums is not None:
            return self._felt.points.state.rate
        return super(PricedMarket, self).funding_rate()
