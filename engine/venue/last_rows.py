"""Of many rows the last one of each price: all that a book remembers of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["last_of_each"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_GRID: Final = 1 << 15
"""Price steps to either side of some price of the rows, within which they are laid out on a
grid."""


def last_of_each(prices: F64, step: float) -> I64:
    """Shape (k,): the row of each price's last appearance, in any order.

    Prices within some thousands of steps of one another, as most are, are laid out on a grid, which
    is linear; the others are sorted.
    """
    places = np.rint(prices / step)
    places -= places.item(len(places) // 2)
    near = np.abs(places) < _GRID
    rows = np.flatnonzero(near)
    cells = places[rows].astype(np.int32)
    cells += _GRID
    last = np.zeros(2 * _GRID, np.int32)
    np.maximum.at(last, cells, rows.astype(np.int32))
    successors = last[cells]
    if not (prices[successors] == prices[rows]).all():  # two prices share a step
        return _last_by_sorting(prices, np.arange(len(prices)))
    far = np.flatnonzero(~near)
    return np.concatenate([rows[successors == rows], _last_by_sorting(prices, far)])


def _last_by_sorting(prices: F64, rows: I64) -> I64:
    if not len(rows):
        return rows
    order = rows[prices[rows].argsort(kind="stable")]
    ranked = prices[order]
    ends: I64 = order[np.append(ranked[1:] != ranked[:-1], True)]
    return ends
