"""A generated market that feels what is traded in it: its marks are the input's prices times what
fills have moved, made at the points of a grid.

What nobody traded in says what the input says. Fills move the middle at once, for the next order at
the same instant too; the mark follows at the point at which they happen, wave after wave, or at the
next one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.handler import Handler
from engine.points import PricingSpec
from engine.priced_market import PricedMarket
from engine.pricing import Pricing
from engine.rows import Column, Rows
from engine.ticks import Kind, Marks
from engine.units import NEVER_NS
from engine.venue.depth import DepthBook
from engine.venue.funding import FundingSpec
from engine.venue.impact import FeltBook, ImpactSpec, ImpactState
from engine.venue.price_rules import MarkRules
from engine.venue.taking import Top

__all__ = ["FeltMarket"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]


class Felt(Pricing):
    """Makes the points of one market: the last price heard up to each, moved by the impact.

    A point is made where something was heard since the one before.
    """

    __slots__ = ("_bases", "_kind", "_spec", "_symbol", "impact")

    def __init__(
        self, symbol: int, kind: Kind, spec: ImpactSpec, impact: ImpactState, funding: FundingSpec
    ) -> None:
        self._symbol, self._kind, self._spec, self.impact = symbol, kind, spec, impact
        rules = MarkRules(every_ns=spec.every_ns, basis_every_ns=spec.every_ns)
        self._bases: F64 = np.zeros(0)
        super().__init__(symbol, PricingSpec(sources=(), mark=rules), funding)

    def open(self, _rows: Rows) -> None:
        """A new step begins."""
        self._clear()
        self._bases = np.zeros(0)

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
        known = self.column.run if self.column is not None else np.zeros(0, np.int64)
        made = np.concatenate((known, times))
        table = Marks(sequence=made, symbol=self._symbol, ts_ns=made, price=np.zeros(len(made)))
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
        stops = np.minimum(column.run.searchsorted(times, "right"), column.row_at(before))
        own = column.rows_of(self._symbol)
        if own is not None:
            picked = own.searchsorted(stops) - 1
            stops = np.where(picked < 0, -1, own.take(picked, mode="clip")) + 1
        rows = stops - 1
        assert column.prices is not None
        here = rows >= 0
        bases[here], heard_ns[here] = column.prices[rows[here]], column.run[rows[here]]
        return bases, heard_ns

    def feel(self, first: int) -> None:
        """Make the points from the ``first`` of this step on anew."""
        column, impact = self.column, self.impact
        if column is None or first >= len(column):
            return
        assert column.prices is not None
        if not impact.passing:
            column.prices[first:] = self._bases[first:] * impact.felt(0.0)
            return
        steps = (column.run[first:] - impact.at_ns) // self._spec.every_ns
        passing = np.concatenate(([impact.passing], impact.ahead(self._spec, int(steps[-1]))))
        column.prices[first:] = self._bases[first:] * impact.felt(passing.take(steps))

    def base(self, row: int) -> float:
        """What the input said at a point of this step."""
        return float(self._bases.item(row))

    def close(self, rows: Rows) -> None:
        """The step ends: what it said last is remembered."""
        column = rows.by_kind[self._kind]
        row = column.last(self._symbol, rows.end) if column is not None else -1
        if column is not None and row >= 0:
            assert column.prices is not None
            self.impact.heard, self.impact.heard_ns = column.prices.item(row), column.run.item(row)


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
        impact = self.state.impact
        self._book = self._felt_book = FeltBook(book, spec.impact, impact)
        self._felt = Felt(spec.symbol, kind, spec.impact, impact, spec.funding)
        return self._felt

    def stage(self, before: int, ts_ns: int, due_ns: int, mark: float | None = None) -> None:
        self.feel()
        super().stage(before, ts_ns, due_ns, mark)

    def close(self, time_ns: int) -> None:
        self.feel()
        if self.source is not None:
            self.state.impact.base = self._felt.base(len(self.source) - 1)
        super().close(time_ns)
        if self.spec.impact is not None:
            self.state.impact.settle(self.spec.impact, time_ns)

    def recall(self, handlers: list[Handler]) -> None:
        super().recall(handlers)
        self._felt.impact = self._felt_book.impact = self.state.impact
        self.felt_fills = self.state.impact.fills

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
        return Top(mid * impact.middle, found.half_spread, found.ts_ns)

    def index(self) -> float:
        return super(PricedMarket, self).index() * self.state.impact.middle

    def funding_rate(self) -> float:
        return super(PricedMarket, self).funding_rate()
