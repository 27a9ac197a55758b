"""Valuing users in vectors.

A user's NAV is ``floor(units * NAV / units_total)`` exactly: a float quotient is right to a few
units, and the exact remainder in wrapping 64-bit arithmetic says which; the sum of users plus the
reported dust is the product's NAV.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.errors import OutOfRangeError
from engine.outputs import UserNavBlock

__all__ = ["value_users", "worth_of"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

_CHUNK: Final = 32_768
_DRAWN_DOWN: Final = 1.0 / 2**51
_FLOAT_EXACT: Final = 2**52
_TOTAL_MAX: Final = 2**61


def worth_of(block: UserNavBlock, units: I64, product: str) -> I64:
    """``value_users`` of some units of a block.

    Raises:
        OutOfRangeError: if a holder has more than 64 bits count.
    """
    try:
        return value_users(np.ascontiguousarray(units), block.product_nav_atoms, block.units_total)
    except OverflowError:
        raise OutOfRangeError(
            f"{product} tick {block.sequence} (ts {block.ts_ns}): what a holder has no longer fits "
            "64 bits; use smaller holdings"
        ) from None


def value_users(units: I64, nav: int, units_total: int, out: I64 | None = None) -> I64:
    """Exact NAV of each holder, rounded down.

    Args:
        units: shape (n,), steps of 1e-8, not negative.
        nav: the product's NAV, atoms; a negative NAV is worth nothing to a holder.
        units_total: units outstanding, > 0.
        out: shape (n,), where to put the answer.

    Returns:
        Shape (n,), atoms.

    Raises:
        ValueError: if ``units_total`` is not positive.
    """
    if units_total <= 0:
        raise ValueError(f"units_total must be > 0, was {units_total}")
    answer = np.empty_like(units) if out is None else out
    if nav <= 0:
        answer[:] = 0
        return answer
    if nav >= _FLOAT_EXACT or units_total >= _TOTAL_MAX:
        answer[:] = [u * nav // units_total for u in units.tolist()]
        return answer
    # Rounding errs by at most 1.5 units in the last place: a ratio drawn down by 4 of them never
    # guesses too high, and too low by less than 6, which is less than one atom up to 2**50 atoms.
    ratio = nav / units_total * (1.0 - _DRAWN_DOWN)
    corrections = 1 + (6 * nav >> 53)
    quotient = np.empty(_CHUNK)
    remainder = np.empty(_CHUNK, np.int64)
    product = np.empty(_CHUNK, np.int64)
    short = np.empty(_CHUNK, bool)
    for start in range(0, len(units), _CHUNK):
        part = units[start : start + _CHUNK]
        size = len(part)
        guess, left = answer[start : start + size], remainder[:size]
        taken, off = product[:size], short[:size]
        np.multiply(part, ratio, out=quotient[:size])
        guess[:] = quotient[:size]
        np.multiply(part, nav, out=left)
        for _ in range(corrections):
            np.multiply(guess, units_total, out=taken)
            np.subtract(left, taken, out=taken)
            np.greater_equal(taken, units_total, out=off)
            guess += off
    return answer
