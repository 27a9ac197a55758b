"""``log2s``: ``engine.exact.log2`` of a column, to the last bit.

What ``log2`` adds up in integers of 128 bits is added up here in pairs of floats, whose sum knows
106. Where the two could round apart, which is one value in thousands, ``log2`` itself is asked.
"""

from __future__ import annotations

from math import inf, ldexp
from typing import Any, Final

import numpy as np

from engine import exact

__all__ = ["log2s"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

_TWO_53: Final = ldexp(1.0, 53)
_DOUBT: Final = ldexp(1.0, -68)
"""Relative; pairs are off by less than 2**-80 of the result."""
_HALVER: Final = ldexp(1.0, 27) + 1.0
"""Parts a float into two of 26 bits, whose products are exact (Veltkamp, Dekker)."""


def _pair(fixed: int) -> tuple[float, float]:
    """A number in steps of ``2**-128`` as the nearest float and what is missing."""
    scale = ldexp(1.0, -exact.LOG_BITS)
    near = float(fixed)
    return near * scale, float(fixed - int(near)) * scale


_PAIRS: Final = np.array([_pair(each) for each in exact.INVERSE_LOGS])
_INVERSES: Final = np.array(exact.INVERSES, np.uint64)
_LOG2_E, _LOG2_E_REST = _pair(exact.LOG2_E_INT)
_ONE: Final = np.uint64(exact.LOG_ONE)
_L2, _L3, _L4, _L5, _L6 = exact.LOG_TERMS


def log2s(x: F64) -> F64:
    """Shape of ``x``, one dimension: ``log2`` of each.

    Raises:
        ValueError: as ``log2``.
    """
    if not len(x):
        return np.empty(0)
    if not (x.item(x.argmin()) > 0.0 and x.item(x.argmax()) < inf):
        return np.array([exact.log2(each) for each in x.tolist()])
    mantissa, exponent = np.frexp(x)
    digits = (mantissa * _TWO_53).astype(np.uint64)
    entry = (digits >> np.uint64(exact.LEAD_SHIFT)).astype(np.int64) - exact.ENTRIES
    # The difference fits 54 bits and a sign, however the product wraps; a float loses the last.
    steps = (digits * _INVERSES[entry] - _ONE).view(np.int64)
    near = steps.astype(np.float64)
    t, lost = near * exact.LOG_STEP, (steps - near.astype(np.int64)) * exact.LOG_STEP
    higher = t * t * (_L2 + t * (_L3 + t * (_L4 + t * (_L5 + t * _L6))))
    table, table_rest = _PAIRS[entry].T
    first, rest = _added(exponent + 0.0, table)
    product, product_rest = _multiplied(t, _LOG2_E)
    second, rest_two = _added(first, product)
    third, rest_three = _added(second, higher)
    product_rest += t * _LOG2_E_REST + lost * _LOG2_E
    tail = rest + rest_two + rest_three + (table_rest + product_rest)
    found: F64 = third + tail
    left = tail - (found - third)
    doubt = np.abs(found) * _DOUBT
    unsure = (found + (left - doubt) != found) | (found + (left + doubt) != found)
    if unsure.any():
        for place in np.flatnonzero(unsure).tolist():
            found[place] = exact.log2(x.item(place))
    return found


def _added(one: Any, other: Any) -> tuple[Any, Any]:
    """The sum as a float, and exactly what is missing (Knuth)."""
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)


def _multiplied(one: Any, other: float) -> tuple[Any, Any]:
    """The product as a float, and exactly what is missing (Dekker)."""
    total = one * other
    one_high, one_low = _halves(one)
    high, low = _halves(other)
    missing = ((one_high * high - total) + one_high * low + one_low * high) + one_low * low
    return total, missing


def _halves(value: Any) -> tuple[Any, Any]:
    scaled = value * _HALVER
    high = scaled - (scaled - value)
    return high, value - high
