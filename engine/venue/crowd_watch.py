"""The next liquidation of a crowd either way: edges of one side in the order in which a moving
price reaches them, and how far it has come.

Rows that are closed, or whose edge changed, go stale in that order and are passed over; those with
a new edge are kept beside it. So what is next, and who is reached, follows from the columns alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.venue.exact_columns import F64, I64

__all__ = ["Side"]

I32 = np.ndarray[Any, np.dtype[np.int32]]

_LOOSE_MAX: Final = 4_096
"""Rows beside the order before all of it is made anew."""


class Side:
    """The longs (+1), which a falling price reaches, or the shorts (-1).

    Args:
        side: which.
        lots, edges: of all rows of the crowd; changed by their owner, who says so.
    """

    __slots__ = ("_edges", "_first", "_keys", "_loose", "_lots", "_order", "side")

    def __init__(self, side: int, lots: I64, edges: F64) -> None:
        self.side = side
        self._lots, self._edges = lots, edges
        self.sort()

    def sort(self) -> None:
        """All edges may have changed."""
        own = np.flatnonzero(np.sign(self._lots) == self.side)
        keys = self._key(self._edges[own])
        order = np.argsort(keys, kind="stable")
        self._order: I32 = own[order].astype(np.int32)
        self._keys: F64 = keys[order]
        self._first = 0
        self._loose: set[int] = set()

    def moved(self, rows: I64) -> None:
        """These rows have another edge."""
        own = rows[np.sign(self._lots[rows]) == self.side]
        self._loose.update(own.tolist())
        if len(self._loose) > _LOOSE_MAX:
            self.sort()

    def next(self) -> float:
        """The price at or beyond which the next one is reached."""
        keys, order, first = self._keys, self._order, self._first
        while first < len(keys) and self._stale(order.item(first), keys.item(first)):
            first += 1
        self._first = first
        nearest = keys.item(first) if first < len(keys) else np.inf
        for row in self._loose:
            if self._lots.item(row):
                nearest = min(nearest, self._key(self._edges.item(row)))
        return float(self._key(nearest))

    def _key(self, edge: Any) -> Any:
        """By which edges, and prices, ascend in the order in which they are reached."""
        return -edge if self.side > 0 else edge

    def _stale(self, row: int, key: float) -> bool:
        held: int = self._lots.item(row)
        return held == 0 or bool(self._key(self._edges.item(row)) != key)

    def reached(self, price: float) -> I64:
        """The rows whose edge the price is at or beyond, ascending."""
        at = self._key(price)
        end = int(self._keys.searchsorted(at, "right"))
        rows = self._order[self._first : end].astype(np.int64)
        fresh = (self._lots[rows] != 0) & (self._key(self._edges[rows]) <= at)
        loose = [
            row
            for row in sorted(self._loose)
            if self._lots.item(row) and self._key(self._edges.item(row)) <= at
        ]
        found = np.concatenate((rows[fresh], np.array(loose, np.int64)))
        return np.unique(found)
