"""Checks for staleness in rows that come evenly, many at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.rows import Column

__all__ = ["pass_even"]

_FIRST: Final = 16
"""Checks that are tried at once, twice as many after each success."""


def pass_even(
    column: Column, wait_ns: int, row: int, stride: int, due_ns: int, before_ns: int
) -> tuple[int, int]:
    """Pass checks of which each meets the row that lies ``stride`` behind that of the one before,
    with a price that just changed, and sets the next one ``wait_ns`` later; up to the first that
    does not, or that is not before ``before_ns``.

    Args:
        row, due_ns: of the last check, and when the next one is due.

    Returns:
        The same of the last check that was passed.
    """
    run, times, prices = column.run, column.table.ts_ns, column.prices
    assert prices is not None
    last, size = len(column) - 1, _FIRST
    while True:
        rows = np.arange(row + stride, min(row + size * stride, last - 1) + 1, stride)
        if not len(rows):
            return row, due_ns
        following = times[rows] + wait_ns
        due = np.concatenate(([due_ns], following[:-1]))
        even = (run[rows] <= due) & (due < run[rows + 1]) & (prices[rows] != prices[rows - 1])
        even &= (due < before_ns) & (following > due)
        count = len(rows) if even.all() else int(even.argmin())
        if count:
            row, due_ns = rows.item(count - 1), following.item(count - 1)
        if count < size:
            return row, due_ns
        size += size
