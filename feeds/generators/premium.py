"""The perpetual's premium over its index, and the funding that follows from it."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from engine.durations import duration_ns
from engine.exact import exp2
from engine.units import HOUR_NS
from feeds.generators.draws import Draws, Purpose, standard_normals, whole
from feeds.generators.grid import Grid
from feeds.generators.model import Quotes

__all__ = ["Premium"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

_BPS: Final = 1e-4
_STEPS: Final = 100_000_000
"""Steps of premiums and rates in 1."""
_INTEREST: Final = 10_000
_PULL: Final = 50_000


class Premium:
    """One symbol's premium from cell to cell: it is pulled back to its mean and wanders around it.

    ``p' = m + k (p - m) + s sqrt(1 - k^2) Z``, whose standard deviation is ``s``.
    """

    def __init__(self, quotes: Quotes, grid: Grid, draws: Draws, symbol: int) -> None:
        self._grid = grid
        self._draws = draws
        self._symbol = symbol
        self._mean = quotes.premium_bps * _BPS
        self._kept = exp2(-grid.cell_ns / duration_ns(quotes.premium_half_life))
        self._noise = quotes.premium_sd_bps * _BPS * math.sqrt(1.0 - self._kept * self._kept)
        self._away = 0.0
        self._every_ns = duration_ns(quotes.funding_every)
        self._interval = -1
        self._total = self._count = 0

    def cells(self, chunk: int) -> F64:
        """Shape (cells of a chunk,): chunks in order, each once."""
        words = self._draws.words(Purpose.PREMIUM, self._symbol, chunk, self._grid.chunk_cells)
        noise, kept, away = (self._noise * standard_normals(words)).tolist(), self._kept, self._away
        path = [away := kept * away + drawn for drawn in noise]
        self._away = path[-1]
        return self._mean + np.array(path)

    def funding(self, cells: F64, ts_ns: I64) -> tuple[F64, I64]:
        """Rates of rows at these instants, one a cell, and when each is due.

        The mean premium of the interval so far, pulled towards 1 bp by up to 5, for 8 hours; other
        intervals take their share.
        """
        interval = ts_ns // self._every_ns
        premium = whole(cells * _STEPS)
        total, number = np.cumsum(premium), np.arange(len(cells))
        begins = np.diff(interval, prepend=self._interval) != 0
        first = np.maximum.accumulate(np.where(begins, number, -1))
        earlier = np.where(first < 0, -self._total, (total - premium)[first])
        counted = np.where(first < 0, self._count + number, number - first) + 1
        mean = (total - earlier) // counted
        rate = mean + np.clip(_INTEREST - mean, -_PULL, _PULL)
        self._interval, self._count = int(interval[-1]), int(counted[-1])
        self._total = int((total - earlier)[-1])
        share = self._every_ns / (8 * HOUR_NS)
        return rate / _STEPS * share, (interval + 1) * self._every_ns
