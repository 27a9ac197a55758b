"""Interleaved rows of many symbols, looked up by symbol."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Groups"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]


class Groups:
    """Interleaved rows by symbol.

    Attributes:
        order: shape (n,), sorts the rows by symbol, and within one by place.
        whose: shape (n,), the symbols in that order.
        known: the symbols, each once, in order.
        firsts: where each symbol's rows begin there.
        bounds: where each symbol's rows begin and end there.
        tails: each symbol's last row.
        extremes: shape (symbols,) each, lowest and highest of each one's prices, where somebody
            looked for them.
    """

    __slots__ = ("_places", "bounds", "extremes", "firsts", "known", "order", "tails", "whose")

    def __init__(self, symbols: np.ndarray[Any, Any]) -> None:
        self.order = symbols.astype(np.int16).argsort(kind="stable")
        counts = np.bincount(symbols)
        self.known = counts.nonzero()[0]
        counts = counts[self.known]
        ends, known = counts.cumsum(), self.known.tolist()
        self.whose = self.known.repeat(counts)
        self.firsts = ends - counts
        bounds = zip(self.firsts.tolist(), ends.tolist(), strict=True)
        self.bounds = dict(zip(known, bounds, strict=True))
        lasts = self.order[ends - 1]
        self.tails: dict[int, int] = dict(zip(known, lasts.tolist(), strict=True))
        self.extremes: tuple[F64, F64] | None = None
        self._places: I64 | None = None

    def lie_within(self, lows: F64, highs: F64) -> bool:
        """Whether all prices are known to lie between two edges of their symbol."""
        if self.extremes is None:
            return False
        (least, most), known = self.extremes, self.known
        return bool(((lows.take(known) < least) & (most < highs.take(known))).all())

    def lasts(self, symbols: I64, stops: I64) -> I64:
        """Shape (symbols, stops): the last row of each symbol below each index; -1 where it has
        none."""
        count = len(self.order)
        if self._places is None:  # symbol and row as one number: ascending, as both are in order
            self._places = self.whose * (count + 1) + self.order
        wanted = symbols[:, None] * (count + 1) + stops
        found = self._places.searchsorted(wanted) - 1
        rows: I64 = self.order.take(found, mode="clip")
        rows[(found < 0) | (self.whose.take(found, mode="clip") != symbols[:, None])] = -1
        return rows
