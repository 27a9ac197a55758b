"""What a market remembers of rows that nobody visits: last values, extremes, the signals' grid.

Rows between wakes are folded whole, when somebody asks or the step ends: comparisons only, so that
it makes no difference where the input was cut.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from engine.cells import Cells
from engine.even_times import rows_up_to
from engine.handler import Handler
from engine.market_state import MarketSpec, MarketState
from engine.rows import Column, Rows
from engine.signals import Signals
from engine.soundness import highest, lowest
from engine.ticks import Bbo, Funding, Kind, Table
from engine.units import NEVER_NS

__all__ = ["Folding"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

# A member of an enumeration is looked up as slowly as a function is called.
_TRADE, _BBO, _INDEX, _FUNDING = Kind.TRADE, Kind.BBO, Kind.INDEX, Kind.FUNDING
_KIND_OF: Final = {"mark": Kind.MARK, "mid": _BBO, "last": _TRADE}
"""Which rows are marks; the venue's own are none of the input's."""


class Folding:
    """The rows of one symbol, seen up to some place of the step."""

    def __init__(self, spec: MarketSpec, handlers: list[Handler]) -> None:
        self.spec = spec
        self.kind = _KIND_OF.get(spec.mark_source)
        self.state = MarketState(extremes=[(math.inf, -math.inf)] * len(handlers))
        self.signals = Signals(spec.signals)
        self.uses_signals = any(h.uses_signals for h in handlers)
        self.keeps_previous = (
            bool(spec.venue.margin.tiers) and spec.venue.adl.price == "previous_mark"
        )
        """Whether the mark before the last one is kept; no block then goes by the short way."""
        self.high_water = [n for n, h in enumerate(handlers) if h.uses_high_water]
        self._rows: Rows | None = None
        self.source: Column | None = None
        self._limit = 0
        self._cell_row = 0
        self.cells: Cells | None = None
        self._cells_of: Column | None = None
        self._extreme_rows = [0] * len(handlers)

    # The step -----------------------------------------------------------------------------------

    def open(self, rows: Rows) -> None:
        """A new step begins."""
        self._rows = rows
        self.source = None if self.kind is None else self._column(self.kind)
        self._cell_row = 0
        for number in self.high_water:
            self._extreme_rows[number] = 0

    def close(self, time_ns: int) -> None:
        """The step ends: fold what its rows said and forget them."""
        rows, state, column = self._rows, self.state, self.source
        assert rows is not None
        self._limit = rows.end
        if self.uses_signals:
            self._fold_signals(time_ns - 1)
        if column is not None:
            last = column.last(self.spec.symbol, self._seen())
            if last >= 0:
                self._remember(column, last)
            for number in self.high_water:
                self._fold_extremes(number)
        by_kind = rows.by_kind
        if by_kind[_FUNDING] is not None:
            state.rate = self.funding_rate()
        if by_kind[_TRADE] is not None:
            state.last = self._price(_TRADE, state.last)
        if by_kind[_INDEX] is not None:
            state.index = self._price(_INDEX, state.index)
        if (book := by_kind[_BBO]) is not None:
            state.bid, state.ask = self._quotes(book)
        self._rows = self.source = self.cells = self._cells_of = None

    def pass_table(self, table: Table, prices: F64, low: float, high: float) -> None:
        """Take a step that is this table, of this symbol, its prices between two extremes, and that
        nobody looked into: what ``open`` and ``close`` would have made of it where no grid point
        passes."""
        state, kind, price = self.state, table.KIND, prices.item(-1)
        if kind is self.kind:
            last = len(prices) - 1
            seen_ns = changed_ns = table.ts_ns.item(last)
            if not last or prices.item(last - 1) == price:
                changed_ns = self._changed_ns(Column(table, table.ts_ns, prices, low, high), last)
            state.mark, state.seen_ns, state.changed_ns = price, seen_ns, changed_ns
            if self.uses_signals or self.high_water:
                self.see(low, high)
        if kind is _TRADE:
            state.last = price
        elif kind is _INDEX:
            state.index = price
        elif isinstance(table, Bbo):
            state.bid, state.ask = table.bid.item(-1), table.ask.item(-1)

    def _remember(self, column: Column, last: int) -> None:
        state, prices = self.state, column.prices
        assert prices is not None
        state.changed_ns = self._changed_ns(column, last)
        if self.uses_signals:
            self._see_rows(column, last + 1)
        if self.keeps_previous:
            state.previous = self._before(column, last)
        state.mark, state.seen_ns = prices.item(last), column.table.ts_ns.item(last)

    def see(self, least: float, most: float) -> None:
        """Marks between which no grid point lies: their extremes."""
        state = self.state
        if self.uses_signals:
            state.cell_low = min(state.cell_low, least)
            state.cell_high = max(state.cell_high, most)
            state.cell_fresh = True
        for number in self.high_water:
            low, high = state.extremes[number]
            state.extremes[number] = (min(low, least), max(high, most))

    # Last values --------------------------------------------------------------------------------

    def funding_rate(self) -> float:
        """The funding rate as last announced; the scheduled one where nothing is recorded."""
        column = self._column(_FUNDING) if self.spec.funding.recorded else None
        place = column.last(self.spec.symbol, self._limit) if column is not None else -1
        if column is None or place < 0:
            return self.state.rate
        table = column.table
        assert isinstance(table, Funding)
        return table.rate.item(place)

    def previous_mark(self) -> float:
        """The mark before the present one; 0 at the first."""
        column = self.source
        place = column.last(self.spec.symbol, self._seen()) if column is not None else -1
        if column is None or place < 0:
            return self.state.previous
        return self._before(column, place)

    def _before(self, column: Column, row: int) -> float:
        """The mark before the one in that row."""
        place = column.last(self.spec.symbol, column.sequence.item(row))
        assert column.prices is not None
        return column.prices.item(place) if place >= 0 else self.state.mark

    def marks_at(self, sequences: I64, times: I64) -> Any:
        """Shape (n,): the mark just before each of the ascending sequences, which let those evenly
        spaced times pass."""
        column, known = self.source, self.state.mark
        own = column.rows_of(self.spec.symbol) if column is not None else None
        if column is None or (own is not None and not len(own)):
            return np.full(len(sequences), known)
        if column.is_dense:
            passed = sequences - column.first
        elif own is None:  # rows of those times, but for those that nobody has seen yet
            passed = rows_up_to(column.run, times).clip(max=column.row_at(sequences.item(-1)))
        else:
            passed = column.sequence.searchsorted(sequences)
        places = (passed if own is None else own.searchsorted(passed)) - 1
        rows = places if own is None else own.take(places, mode="clip")
        assert column.prices is not None
        marks = column.prices.take(rows, mode="clip")
        if places.item(0) < 0:
            marks[: int(places.searchsorted(0))] = known
        return marks

    def _seen(self) -> int:
        """Below which place in the column of marks rows were seen."""
        return self._limit

    def _column(self, kind: Kind) -> Column | None:
        rows = self._rows
        column = rows.by_kind[kind] if rows is not None else None
        if column is None or (column.alone and column.symbol != self.spec.symbol):
            return None
        return column

    def _price(self, kind: Kind | None, known: float) -> float:
        column = None if kind is None else self._column(kind)
        if column is None:
            return known
        place = column.last(self.spec.symbol, self._limit)
        assert column.prices is not None
        return column.prices.item(place) if place >= 0 else known

    def _quotes(self, book: Column) -> tuple[float, float]:
        place = book.last(self.spec.symbol, self._limit)
        if place < 0:
            return self.state.bid, self.state.ask
        table = book.table
        assert isinstance(table, Bbo)
        return table.bid.item(place), table.ask.item(place)

    def _own(self, column: Column, start: int, stop: int) -> Any:
        """The symbol's prices among the rows ``[start, stop)`` of a column."""
        prices = column.prices
        assert prices is not None
        rows = column.rows_of(self.spec.symbol)
        if rows is None:
            return prices[start:stop]
        return prices[rows[int(rows.searchsorted(start)) : int(rows.searchsorted(stop))]]

    def _changed_ns(self, column: Column, last: int) -> int:
        """When the price at row ``last`` was first seen in an unbroken repetition."""
        prices = column.prices
        assert prices is not None
        if column.alone and last > 0 and prices.item(last) != prices.item(last - 1):
            return column.table.ts_ns.item(last)
        row, is_first = column.repeated_from(self.spec.symbol, last)
        if is_first and self.state.mark == prices.item(last):
            return self.state.changed_ns
        return column.table.ts_ns.item(row)

    # Signals and extremes -----------------------------------------------------------------------

    def _next_grid(self, ts_ns: int) -> int:
        every = self.spec.signals.every_ns
        return -(-ts_ns // every) * every

    def _fold_signals(self, up_to_ns: int) -> None:
        """Feed the grid points up to ``up_to_ns`` that are not fed yet."""
        state = self.state
        column = self.source
        if state.grid_ns == NEVER_NS:
            if column is None or column.last(self.spec.symbol, self._seen()) < 0:
                return
            rows = column.rows_of(self.spec.symbol)
            first_ns = column.run.item(0 if rows is None else rows[0])
            state.grid_ns = self._next_grid(max(first_ns, state.floor_ns + 1))
        if state.grid_ns > up_to_ns:
            return
        every = self.spec.signals.every_ns
        most = column.row_at(self._seen()) if column is not None else 0
        if column is not None:
            self._take_cells(column, up_to_ns, most)
        while state.grid_ns <= up_to_ns:
            self._feed(column, state.grid_ns, most)
            state.grid_ns += every

    def _take_cells(self, column: Column, up_to_ns: int, most: int) -> None:
        """Take the points of the grid in one go where it pays to work out the column's cells."""
        state = self.state
        if self._cells_of is not column:
            extremes = state.cell_low, state.cell_high
            self._cells_of, row, grid_ns = column, self._cell_row, state.grid_ns
            self.cells = Cells.of(column, self.signals, grid_ns, row, extremes)
        row = self.cells.take(up_to_ns, most) if self.cells is not None else -1
        if self.cells is not None and row >= 0:
            self._cell_row, state.grid_ns = row, self.cells.next_ns
            state.cell_low, state.cell_high, state.cell_fresh = math.inf, -math.inf, False

    def _feed(self, column: Column | None, grid_ns: int, most: int) -> None:
        """One grid point, on the rows up to it of the first ``most``."""
        state, close = self.state, self.state.mark
        if column is not None:
            stop = min(int(column.run.searchsorted(grid_ns, "right")), most)
            self._see_rows(column, stop)
            place = column.last_above(self.spec.symbol, stop)
            if place >= 0:
                assert column.prices is not None
                close = column.prices.item(place)
        self.signals.step(close, state.cell_high, state.cell_low, state.cell_fresh)
        if self.cells is not None:  # they are of other points; behind a silence it is done anew
            self._cells_of, self.cells = None if self.cells.done else column, None
        state.cell_low, state.cell_high, state.cell_fresh = math.inf, -math.inf, False

    def _see_rows(self, column: Column, stop: int) -> None:
        """Take the rows below ``stop`` into the open cell of the grid."""
        if stop <= self._cell_row:
            return
        state, own = self.state, self._own(column, self._cell_row, stop)
        if len(own):
            state.cell_low = min(state.cell_low, lowest(own))
            state.cell_high, state.cell_fresh = max(state.cell_high, highest(own)), True
        self._cell_row = stop

    def _fold_extremes(self, handler: int) -> None:
        column = self.source
        if column is None:
            return
        stop = column.row_at(self._seen())
        start = self._extreme_rows[handler]
        if stop > start:
            own = self._own(column, start, stop)
            if len(own):
                low, high = self.state.extremes[handler]
                self.state.extremes[handler] = min(low, lowest(own)), max(high, highest(own))
            self._extreme_rows[handler] = stop
