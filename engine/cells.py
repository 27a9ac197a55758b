"""The cells of a signals' grid within one column, worked out at once.

A sweep takes a day in one step, and its grid has a point a minute. Extremes are comparisons, so
those of all cells together are the same as those of each alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.rows import Column
from engine.signals import Signals
from engine.signals_ahead import SignalsAhead

__all__ = ["Cells"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

_LEAST: Final = 8
"""Points of the grid within a column for which it pays."""


class Cells:
    """Cells one after the other, each with a row at least, and the signals at their ends.

    Attributes:
        column: whose rows they hold; all of one symbol.
        ahead: the signals at the points of the grid.
    """

    __slots__ = ("_every_ns", "_first_ns", "_stops", "ahead", "column")

    def __init__(
        self, column: Column, first_ns: int, every_ns: int, stops: I64, ahead: SignalsAhead
    ) -> None:
        self.column = column
        self.ahead = ahead
        self._first_ns = first_ns
        self._every_ns = every_ns
        self._stops = stops

    @classmethod
    def of(
        cls,
        column: Column,
        signals: Signals,
        grid_ns: int,
        row: int,
        extremes: tuple[float, float],
    ) -> Cells | None:
        """The cells from the one that begins with ``row`` and ends with the point ``grid_ns``, if
        there are so many that it pays.

        Args:
            extremes: lowest and highest of what lies in the first cell before that row.
        """
        prices, every_ns = column.prices, signals.spec.every_ns
        count = (column.run.item(-1) - grid_ns) // every_ns + 1
        if count < _LEAST or prices is None or not column.alone:
            return None
        stops = column.run.searchsorted(grid_ns + every_ns * np.arange(count), "right")
        starts = np.concatenate(([row], stops[:-1]))
        empty = stops <= starts
        if empty.item(count := int(empty.argmax())):
            stops, starts = stops[:count], starts[:count]
        if len(stops) < _LEAST:
            return None
        last = stops.item(-1)
        lows = np.minimum.reduceat(prices[:last], starts)
        highs = np.maximum.reduceat(prices[:last], starts)
        lows[0], highs[0] = min(lows.item(0), extremes[0]), max(highs.item(0), extremes[1])
        ahead = SignalsAhead(signals, prices.take(stops - 1), highs, lows)
        return cls(column, grid_ns, every_ns, stops, ahead)

    def points(self, times: I64) -> I64:
        """How many of the points lie at or before each time; more than there are at times beyond
        the last."""
        found: I64 = np.maximum((times - self._first_ns) // self._every_ns + 1, 0)
        return found

    def take(self, up_to_ns: int, most: int) -> int:
        """Lead the signals to the last point up to a time whose cell lies within the first ``most``
        rows; the row behind it, -1 where they are there already."""
        point = min((up_to_ns - self._first_ns) // self._every_ns + 1, len(self.ahead))
        if point > self.ahead.taken and self._stops.item(point - 1) > most:
            point = int(self._stops.searchsorted(most, "right"))
        if point <= self.ahead.taken:
            return -1
        self.ahead.take(point)
        return self._stops.item(point - 1)

    @property
    def next_ns(self) -> int:
        """The point of the grid after the one where the signals are."""
        return self._first_ns + self.ahead.taken * self._every_ns

    @property
    def done(self) -> bool:
        """Whether no point is left."""
        return self.ahead.taken == len(self.ahead)
