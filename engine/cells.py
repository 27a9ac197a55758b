"""The cells of a signals' grid within one column, worked out at once.

A sweep takes a day in one step, and its grid has a point a minute. Extremes are comparisons, so
those of all cells together are the same as those of each alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.rows import Column

__all__ = ["Cell", "Cells"]

Cell = tuple[int, float, float, float]
"""``(row after the last, lowest, highest, last price)``; a cell has a row at least."""

_LEAST: Final = 8
"""Grid points within a column for which it pays."""

I64 = np.ndarray[Any, np.dtype[np.int64]]


class Cells:
    """The cells of one column after the other; of columns whose rows are all of one symbol."""

    __slots__ = ("_column", "_first_ns", "_known", "_starts")

    def __init__(self) -> None:
        self._column: Column | None = None
        self._first_ns = 0
        self._starts: list[int] = []
        self._known: list[Cell] = []

    def at(self, column: Column, row: int, grid_ns: int, every_ns: int, most: int) -> Cell | None:
        """The cell that begins at ``row`` and ends with the grid point ``grid_ns``, if it is known
        and ends within the first ``most`` rows."""
        if column is not self._column:
            self._column = column
            self._work_out(column, row, grid_ns, every_ns)
        place = (grid_ns - self._first_ns) // every_ns
        if 0 <= place < len(self._known) and self._starts[place] == row:
            cell = self._known[place]
            return cell if row < cell[0] <= most else None
        return None

    def _work_out(self, column: Column, row: int, grid_ns: int, every_ns: int) -> None:
        self._first_ns, self._starts, self._known = grid_ns, [], []
        prices, count = column.prices, (column.run.item(-1) - grid_ns) // every_ns + 1
        if count < _LEAST or prices is None or not isinstance(column.symbol, int):
            return
        grid = np.arange(grid_ns, grid_ns + count * every_ns, every_ns)
        stops = column.run.searchsorted(grid, "right")
        last = stops.item(-1)
        if last <= row:
            return
        starts = np.concatenate(([row], stops[:-1]))
        # Cells without rows are never asked for; those with rows follow upon each other.
        full = np.flatnonzero(stops > starts)
        lows, highs = np.empty(count), np.empty(count)
        lows[full] = np.minimum.reduceat(prices[:last], starts[full])
        highs[full] = np.maximum.reduceat(prices[:last], starts[full])
        closes = prices.take(np.maximum(stops - 1, 0))
        self._starts = starts.tolist()
        columns = (stops.tolist(), lows.tolist(), highs.tolist(), closes.tolist())
        self._known = list(zip(*columns, strict=True))
