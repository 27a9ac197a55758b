"""Interleaved rows of many symbols, looked up by symbol."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Groups"]

I64 = np.ndarray[Any, np.dtype[np.int64]]


class Groups:
    """Interleaved rows by symbol.

    Attributes:
        order: shape (n,), sorts the rows by symbol, and within one by place.
        whose: shape (n,), the symbols in that order.
        firsts: where each symbol's rows begin there.
        bounds: where each symbol's rows begin and end there.
        tails: each symbol's last row.
    """

    __slots__ = ("_places", "bounds", "firsts", "order", "tails", "whose")

    def __init__(self, symbols: np.ndarray[Any, Any]) -> None:
        self.order = symbols.astype(np.int16).argsort(kind="stable")
        self.whose = symbols.take(self.order)
        self.firsts = np.flatnonzero(np.concatenate([[True], self.whose[1:] != self.whose[:-1]]))
        starts, known = self.firsts.tolist(), self.whose[self.firsts].tolist()
        ends = [*starts[1:], len(symbols)]
        self.bounds = dict(zip(known, zip(starts, ends, strict=True), strict=True))
        lasts = self.order[np.array(ends) - 1]
        self.tails: dict[int, int] = dict(zip(known, lasts.tolist(), strict=True))
        self._places: I64 | None = None

    def lasts(self, symbols: I64, stops: I64) -> I64:
        """Shape (symbols, stops): the last row of each symbol below each index; -1 where it has
        none."""
        count = len(self.order)
        if self._places is None:  # symbol and row as one number: ascending, as both are in order
            self._places = self.whose * np.int64(count + 1) + self.order
        wanted = symbols[:, None] * (count + 1) + stops
        found = self._places.searchsorted(wanted) - 1
        rows: I64 = self.order.take(found, mode="clip")
        rows[(found < 0) | (self.whose.take(found, mode="clip") != symbols[:, None])] = -1
        return rows
