"""What a market's book remembers of rows that nobody visits: the levels of recorded L2.

Level rows are folded when somebody looks at the book, or when the step ends.
"""

from __future__ import annotations

from engine.folding import Folding
from engine.handler import Handler
from engine.market_state import MarketSpec
from engine.rows import Rows
from engine.ticks import Kind, Levels
from engine.venue.book import AnyBook, book_of
from engine.venue.recorded import RecordedBook

__all__ = ["Matching"]


class Matching(Folding):
    """The book of one symbol, seen up to some place of the step."""

    def __init__(self, spec: MarketSpec, handlers: list[Handler]) -> None:
        super().__init__(spec, handlers)
        self._book = book_of(spec.book, spec.contract, spec.stale_after_ns)
        self._recorded = self._book if isinstance(self._book, RecordedBook) else None
        self._level_row = 0

    def open(self, rows: Rows) -> None:
        """A new step begins."""
        super().open(rows)
        self._level_row = 0

    def close(self, time_ns: int) -> None:
        """The step ends: fold what its rows said and forget them."""
        if self._recorded is not None:
            assert self._rows is not None
            self._limit = self._rows.end
            self._fold_levels(self._recorded)
        super().close(time_ns)

    @property
    def book(self) -> AnyBook:
        """The book as of the rows that were seen."""
        if self._recorded is not None:
            self._fold_levels(self._recorded)
        return self._book

    def _fold_levels(self, book: RecordedBook) -> None:
        column = self._column(Kind.LEVEL)
        if column is None:
            return
        start, stop = self._level_row, column.row_at(self._limit)
        if stop <= start:
            return
        self._level_row = stop
        table, own = column.table, column.rows_of(self.spec.symbol)
        assert isinstance(table, Levels)
        if own is None:
            book.fold(table.take(slice(start, stop)))
        elif len(own := own[int(own.searchsorted(start)) : int(own.searchsorted(stop))]):
            book.fold(table.take(own))
