"""Interleaved rows of many symbols, looked up by symbol."""

from __future__ import annotations

from itertools import pairwise
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

    __slots__ = ("_keys", "bounds", "extremes", "firsts", "known", "order", "tails", "whose")

    def __init__(self, symbols: np.ndarray[Any, Any]) -> None:
        # Numbers of 8 or 16 bits are sorted by their digits: the fewer the bits, the faster.
        narrow = np.min_scalar_type(symbols.item(symbols.argmax()))
        own = symbols.astype(narrow)
        self.order: I64 = own.argsort(kind="stable")
        self.whose = whose = own.take(self.order)
        rows = len(symbols)
        edges = [0, *((whose[1:] != whose[:-1]).nonzero()[0] + 1).tolist(), rows]
        self.firsts = np.array(edges[:-1])
        self.known = whose[self.firsts]
        known, lasts = self.known.tolist(), [end - 1 for end in edges[1:]]
        self.bounds = dict(zip(known, pairwise(edges), strict=True))
        self.tails: dict[int, int] = dict(zip(known, self.order[lasts].tolist(), strict=True))
        self.extremes: tuple[F64, F64] | None = None
        self._keys: I64 | None = None

    def lie_within(self, lows: F64, highs: F64) -> bool:
        """Whether all prices are known to lie between two edges of their symbol."""
        if self.extremes is None:
            return False
        (least, most), known = self.extremes, self.known
        return bool(((lows.take(known) < least) & (most < highs.take(known))).all())

    def lasts(self, symbols: I64, stops: I64) -> I64:
        """Shape (symbols, stops): the last row of each symbol below each index; -1 where it has
        none."""
        shift = len(self.order).bit_length()
        if self._keys is None:  # symbol and row as one number
            self._keys = (self.whose.astype(np.int64) << shift) | self.order
        found = self._keys.searchsorted((symbols << shift)[:, None] | stops) - 1
        rows: I64 = self.order.take(found, mode="clip")
        rows[(found < 0) | (self.whose.take(found, mode="clip") != symbols[:, None])] = -1
        return rows
