"""A generated market that feels what is traded in it: its index is the input's price times what
fills have moved for good, its mark the median of three legs at the points of a grid, and its depth
collapses with the moves of the mark.

What nobody traded in says what the input says, but for funding. Fills move the middle at once, for
the next order at the same instant too; the mark follows at the point at which they happen, wave
after wave, or at the next one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.handler import Handler
from engine.market_state import MarketSpec
from engine.points import PricingSpec
from engine.priced_market import PricedMarket
from engine.pricing import Pricing
from engine.rows import Column, Rows
from engine.ticks import Funding, Kind, Marks
from engine.units import NEVER_NS
from engine.venue.depth import DepthBook
from engine.venue.funding import next_scheduled
from engine.venue.impact import FeltBook, ImpactState
from engine.venue.price_rules import IndexSource, MarkRules
from engine.venue.survival import Survival
from engine.venue.taking import Top

__all__ = ["FeltMarket"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]


class Felt(Pricing):
    """Makes the points of one market: the last price heard up to each is the index, moved by what
    trades left for good; the book stands where they left it.

    A point is made where something was heard since the one before.
    """

    __slots__ = ("_bases", "_carry", "_funding", "_interval_ns", "_kind", "_spec", "impact")

    def __init__(self, symbol: int, kind: Kind, market: MarketSpec, impact: ImpactState) -> None:
        spec = market.impact
        assert spec is not None
        self._kind, self._spec, self.impact = kind, spec, impact
        self._funding, self._interval_ns = market.funding, market.venue.funding.interval_ns
        rules = MarkRules(every_ns=spec.every_ns, basis_every_ns=spec.every_ns)
        self._bases = self._carry = np.zeros(0)
        source = IndexSource(symbol=symbol)
        super().__init__(symbol, PricingSpec(sources=(source,), mark=rules), market.funding)

    def open(self, _rows: Rows) -> None:
        """A new step begins."""
        self._clear()
        self._bases = self._carry = np.zeros(0)

    def advance(self, rows: Rows, up_to_ns: int, before: int) -> None:
        """Make the points up to a time, of rows with a sequence below ``before``."""
        state, every, column = self.points.state, self._spec.every_ns, rows.by_kind[self._kind]
        if state.next_ns == NEVER_NS:
            if column is None:
                return
            state.next_ns = -(-column.run.item(0) // every) * every
        if state.next_ns > up_to_ns:
            return
        times = np.arange(state.next_ns, up_to_ns + 1, every)
        state.next_ns = int(times[-1]) + every
        bases, heard_ns = self._heard(times, before, column)
        fresh = heard_ns > times - every
        if not fresh.any():
            return
        bases, times = bases[fresh], times[fresh]
        self._bases = np.concatenate((self._bases, bases))
        carry = self._carried(times, before, rows.by_kind[Kind.FUNDING])
        self._carry = np.concatenate((self._carry, carry))
        known = self.column.run if self.column is not None else np.zeros(0, np.int64)
        made = np.concatenate((known, times))
        table = Marks(sequence=made, symbol=self._symbols[0], ts_ns=made, price=np.zeros(len(made)))
        before_them = np.zeros(0) if self.column is None else self.column.prices
        assert before_them is not None
        prices = np.concatenate((before_them, bases))
        self.column = Column(table, made, prices, 0.0, np.inf)
        self.feel(len(known))

    def _heard(self, times: I64, before: int, column: Column | None) -> tuple[F64, I64]:
        """The last price up to each time, and when it was said; of rows below ``before``."""
        impact = self.impact
        bases, heard_ns = np.full(len(times), impact.heard), np.full(len(times), impact.heard_ns)
        if column is None:
            return bases, heard_ns
        rows = self._rows_at(times, before, column)
        assert column.prices is not None
        here = rows >= 0
        bases[here], heard_ns[here] = column.prices[rows[here]], column.run[rows[here]]
        return bases, heard_ns

    def _rows_at(self, times: I64, before: int, column: Column) -> I64:
        """The market's last row up to each time, of those below ``before``; -1 where there is
        none."""
        stops: I64 = np.minimum(column.run.searchsorted(times, "right"), column.row_at(before))
        own = column.rows_of(self._symbols[0])
        if own is not None:
            picked = own.searchsorted(stops) - 1
            stops = np.where(picked < 0, -1, own.take(picked, mode="clip")) + 1
        return stops - 1

    def _carried(self, times: I64, before: int, column: Column | None) -> F64:
        """What the funding still to come is worth at each time, a share of the index."""
        if self._funding.recorded:
            state = self.points.state
            rates, next_ns = np.full(len(times), state.rate), np.full(len(times), state.funding_ns)
            if column is not None:
                table = column.table
                assert isinstance(table, Funding)
                rows = self._rows_at(times, before, column)
                here = rows >= 0
                rates[here], next_ns[here] = table.rate[rows[here]], table.next_ns[rows[here]]
            left_ns = next_ns - times
            return np.where(left_ns >= 0, rates * (left_ns / self._interval_ns), 0.0)
        carried, first = np.zeros(len(times)), 0
        while first < len(times):
            instant_ns, rate = next_scheduled(self._funding, times.item(first))
            if instant_ns == NEVER_NS:
                break
            stop = int(times.searchsorted(instant_ns))
            carried[first:stop] = rate * ((instant_ns - times[first:stop]) / self._interval_ns)
            first = stop
        return carried

    def feel(self, first: int) -> None:
        """Make the points from the ``first`` of this step on anew."""
        column, impact, spec = self.column, self.impact, self._spec
        if column is None or first >= len(column):
            return
        assert column.prices is not None
        bases, carry, times = self._bases[first:], self._carry[first:], column.run[first:]
        if impact.is_still:
            zeros = np.zeros(len(bases))
            column.prices[first:] = impact.marks(spec, bases, carry, zeros, zeros)
            return
        steps = (times - impact.at_ns) // spec.every_ns
        passing, basis = impact.ahead(spec, int(steps[-1]))
        passing = np.concatenate(([impact.passing], passing)).take(steps)
        basis = np.concatenate(([impact.basis], basis)).take(steps)
        marks = impact.marks(spec, bases, carry, passing, basis)
        masked = times < self.points.state.masked_ns[0]
        if masked.any():  # of three legs the book alone is left
            marks = np.where(masked, bases * impact.felt(passing), marks)
        column.prices[first:] = marks

    def base(self, row: int) -> float:
        """What the input said at a point of this step."""
        return float(self._bases.item(row))

    def close(self, rows: Rows) -> None:
        """The step ends: what it said last is remembered."""
        column = rows.by_kind[self._kind]
        symbol = self._symbols[0]
        row = column.last(symbol, rows.end) if column is not None else -1
        if column is not None and row >= 0:
            assert column.prices is not None
            self.impact.heard, self.impact.heard_ns = column.prices.item(row), column.run.item(row)
        column = rows.by_kind[Kind.FUNDING]
        row = column.last(symbol, rows.end) if column is not None else -1
        if column is not None and row >= 0:
            table = column.table
            assert isinstance(table, Funding)
            self.points.announce(table.rate.item(row), table.next_ns.item(row))


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
        self._felt = Felt(spec.symbol, kind, spec, impact)
        return self._felt

    def stage(self, before: int, ts_ns: int, due_ns: int, mark: float | None = None) -> None:
        self.feel()
        self._survive(ts_ns)
        super().stage(before, ts_ns, due_ns, mark)

    def close(self, time_ns: int) -> None:
        self.feel()
        self._survive(time_ns)
        if self.source is not None:
            self.state.impact.base = self._felt.base(len(self.source) - 1)
        super().close(time_ns)
        if self.spec.impact is not None:
            self.state.impact.settle(self.spec.impact, time_ns)

    def recall(self, handlers: list[Handler]) -> None:
        super().recall(handlers)
        impact = self.state.impact
        self._felt.impact = self._felt_book.impact = impact
        self.felt_fills = impact.fills
        if self._survival is not None:
            self._survival.state = impact.survival
            self._felt_book.book.alive = self._survival.shares

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
        return super(PricedMarket, self).funding_rate()
