"""Random numbers with the same bits on every machine.

Philox is integer arithmetic, so its raw output is the same everywhere. What needs a shape (normal,
exponential) is looked up in a table of quantiles computed with ``engine.exact``; numpy's own
distributions end in the C library and promise no bits.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np

from engine.exact import exp2, log2, normal_cdf

__all__ = [
    "QUANTILES",
    "exponentials",
    "indexes",
    "normal_table",
    "normals",
    "raw_words",
    "uniforms",
]

U64 = np.ndarray[Any, np.dtype[np.uint64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

QUANTILES: Final = 4_096
"""Entries of each table: quantiles at ``(i + 1/2) / 4096``; the normal one ends at 3.7."""
_INDEX_BITS: Final = 12
_HALF_LOG2_E: Final = 0.7213475204444817
_SQRT_2_PI: Final = 2.5066282746310002
_LN2: Final = 0.6931471805599453


def raw_words(seed: int, stream: int, place: int, count: int) -> U64:
    """Shape (count,): raw words, a function of the arguments alone.

    Args:
        seed, stream: key, below 2**64 each; streams of one seed are independent.
        place: which stretch of the stream; stretches of up to 2**64 words do not overlap.
    """
    generator = np.random.Philox(key=seed | stream << 64, counter=place << 64)
    words: U64 = generator.random_raw(count)
    return words


def indexes(words: U64, lane: int) -> I64:
    """Shape of ``words``: uniform integers below ``QUANTILES``; a word has five, lanes 0 to 4."""
    shifted = words >> np.uint64(lane * _INDEX_BITS) if lane else words
    # Below 4,096 both ways of reading the bits are the same number.
    return (shifted & np.uint64(QUANTILES - 1)).view(np.int64)


def uniforms(words: U64, lane: int) -> F64:
    """Shape of ``words``: between 0 and 1, never either."""
    share: F64 = (indexes(words, lane) + 0.5) / QUANTILES
    return share


def normals(words: U64, lane: int) -> F64:
    """Shape of ``words``: mean 0, variance 1."""
    drawn: F64 = normal_table()[indexes(words, lane)]
    return drawn


def exponentials(words: U64, lane: int) -> F64:
    """Shape of ``words``: mean 1."""
    drawn: F64 = _exponential_table()[indexes(words, lane)]
    return drawn


@cache
def normal_table() -> F64:
    """Shape (QUANTILES,): quantiles of the standard normal distribution, ascending."""
    lower = []
    x = -3.7
    for i in range(QUANTILES // 2):
        share = (i + 0.5) / QUANTILES
        for _ in range(3):  # Newton's method from the quantile before
            density = exp2(-x * x * _HALF_LOG2_E) / _SQRT_2_PI
            x -= (normal_cdf(x) - share) / density
        lower.append(x)
    return np.array(lower + [-x for x in reversed(lower)])


@cache
def _exponential_table() -> F64:
    """Shape (QUANTILES,): quantiles of the exponential distribution of mean 1, ascending."""
    return np.array([-_LN2 * log2(1.0 - (i + 0.5) / QUANTILES) for i in range(QUANTILES)])
