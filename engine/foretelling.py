"""What a market is at times to come within the step, whose rows are there: looked up for many times
at once, as ``Folding`` looks it up for one."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.folding import Folding
from engine.rows import Column
from engine.signals_ahead import Figures
from engine.ticks import Bbo, Funding, Kind

__all__ = ["Foretelling"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

_BBO, _FUNDING = Kind.BBO, Kind.FUNDING  # looked up once; see ``folding``


class Foretelling(Folding):
    """The rows of one symbol at ascending times, all of them within the step."""

    def points_ahead(self, times: I64) -> I64:
        """At which point of the signals' grid each time is, for ``figures_ahead``: 0 up to the next
        one; a number that is too large where that point is not worked out."""
        if self.cells is None:
            return (times >= self.state.grid_ns).astype(np.int64)
        return self.cells.points(times)

    @property
    def points_known(self) -> int:
        """The last point of the grid that is worked out."""
        return len(self.cells.ahead) if self.cells is not None else 0

    def figures_ahead(self, points: I64) -> Figures:
        """The signals at points of their grid."""
        if self.cells is None:
            return Figures.still(self.signals, len(points))
        return self.cells.ahead.figures(points)

    def marks_ahead(self, times: I64) -> F64:
        """The mark at each time; of recorded marks."""
        return self.prices_ahead(self.kind, times, self.state.mark)

    def prices_ahead(self, kind: Kind | None, times: I64, known: float) -> F64:
        """The last price of a kind at each time, ``known`` before the first of the step."""
        column = None if kind is None else self._column(kind)
        if column is None:
            return np.full(len(times), known)
        assert column.prices is not None
        return self._at(column, column.prices, times, known)

    def rates_ahead(self, times: I64) -> F64:
        """The funding rate as last announced at each time; the scheduled one where nothing is
        recorded."""
        column = self._column(_FUNDING) if self.spec.funding.recorded else None
        if column is None:
            return np.full(len(times), self.state.rate)
        assert isinstance(column.table, Funding)
        return self._at(column, column.table.rate, times, self.state.rate)

    def quotes_ahead(self, times: I64) -> tuple[F64, F64]:
        """The best bid and ask at each time; zeros before the first."""
        book, state = self._column(_BBO), self.state
        if book is None:
            return np.full(len(times), state.bid), np.full(len(times), state.ask)
        table = book.table
        assert isinstance(table, Bbo)
        bid = self._at(book, table.bid, times, state.bid)
        return bid, self._at(book, table.ask, times, state.ask)

    def _at(self, column: Column, values: F64, times: I64, known: float) -> F64:
        stops, own = column.run.searchsorted(times, "right"), column.rows_of(self.spec.symbol)
        if own is None:
            rows = stops - 1
        elif not len(own):
            return np.full(len(times), known)
        else:
            places = own.searchsorted(stops) - 1
            rows = np.where(places < 0, -1, own.take(places, mode="clip"))
        return np.where(rows < 0, known, values.take(rows, mode="clip"))
