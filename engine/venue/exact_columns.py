"""Whole-number arithmetic on columns: what one account is told in Python integers, for many at
once, to the last unit.

A quotient is taken in floats, which may miss it by one; the remainder, in wrapping 64-bit
arithmetic, is exact and says by how much. Where numbers are too large for that, Python's integers
do it one by one.
"""

from __future__ import annotations

from math import gcd
from typing import Any, Final

import numpy as np

__all__ = ["F64", "I64", "ceil_products", "floor_products", "total_of"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_EXACT: Final = 2**51
"""Below this a float quotient is off by less than one."""
_UNDER_MAX: Final = 2**60
"""Twice such a divisor fits 64 bits, and so does every remainder."""
_WRAP: Final = 2**64


def floor_products(counts: I64, over: int, under: int) -> I64:
    """``floor(count * over / under)`` of each; ``under`` > 0.

    Raises:
        OverflowError: if a result does not fit 64 bits.
    """
    if not len(counts):
        return counts
    shared = gcd(over, under)
    over, under = over // shared, under // shared
    most = int(np.abs(counts).max())
    if under >= _UNDER_MAX or most * abs(over) // under >= _EXACT:
        return np.array([count * over // under for count in counts.tolist()], np.int64)
    near: I64 = np.floor(counts * (over / under)).astype(np.int64)
    rest = counts * _wrapped(over) - near * under
    found: I64 = near + rest // under
    return found


def ceil_products(counts: I64, over: int, under: int) -> I64:
    """``ceil(count * over / under)`` of each; see ``floor_products``."""
    return -floor_products(counts, -over, under)


def total_of(counts: I64) -> int:
    """Their sum; of 64-bit counts that may be more than 64 bits."""
    if not len(counts):
        return 0
    if int(np.abs(counts).max()) * len(counts) < 2**63:
        return int(counts.cumsum()[-1])
    found = 0
    for count in counts.tolist():
        found += count
    return found


def _wrapped(value: int) -> np.int64:
    low = value % _WRAP
    return np.int64(low - _WRAP if low >= _WRAP // 2 else low)
