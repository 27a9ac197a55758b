"""The random words of one path: each is a function of what it is for, and of its place."""

from __future__ import annotations

import math
from enum import IntEnum
from functools import cache
from typing import Any, Final

import numpy as np

from engine.errors import ConfigError
from feeds.chance import QUANTILES, U64, indexes, normal_table, raw_words
from feeds.elementary import exps, logs

__all__ = [
    "BEYOND_NUMBERS",
    "COMMON",
    "Draws",
    "Purpose",
    "exponential",
    "fractions",
    "standard_normals",
    "table_mean",
    "whole",
]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

BEYOND_NUMBERS: Final = (
    "[generator]: the price leaves all numbers; volatility, drift or jumps are too large for such "
    "steps or so many days"
)
COMMON: Final = 1 << 32
"""In the place of a symbol: what all of them share."""


class Purpose(IntEnum):
    """What words are drawn for; each has its own stretches. Numbers are never given again."""

    PRICE = 1
    QUOTES = 2
    TRADES = 3
    PREMIUM = 4
    VARIANCE = 5
    JUMPS = 6
    REGIMES = 7
    BLOCKS = 8
    SIZES = 9
    ARRIVALS = 10
    OFFSPRING = 11
    DELAYS = 12
    SIDES = 13
    OWNERS = 14


class Draws:
    """The words of ``(seed, path)``."""

    def __init__(self, seed: int, path: int) -> None:
        self._seed = seed
        self._path = path

    def words(self, purpose: Purpose, symbol: int, chunk: int, count: int) -> U64:
        """Shape (count,): for a symbol (or ``COMMON``) in a chunk of the grid."""
        place = chunk | symbol << 64 | int(purpose) << 128
        return raw_words(self._seed, self._path, place, count)

    def normals(self, symbols: int, chunk: int, count: int, correlation: float) -> F64:
        """Shape (symbols, count): standard normal, any two symbols so correlated."""
        own = [
            standard_normals(self.words(Purpose.PRICE, symbol, chunk, count))
            for symbol in range(symbols)
        ]
        if symbols == 1:
            return own[0][None, :]
        if correlation == 0.0:
            return np.stack(own)
        common = standard_normals(self.words(Purpose.PRICE, COMMON, chunk, count))
        drawn: F64 = math.sqrt(correlation) * common + math.sqrt(1.0 - correlation) * np.stack(own)
        return drawn


@cache
def _unit_table() -> F64:
    """The quantiles of ``feeds.chance`` with a variance of exactly 1 to the last bits."""
    table = normal_table()
    squares = math.fsum(x * x for x in table.tolist())
    return table / math.sqrt(squares / len(table))


def standard_normals(words: U64, lane: int = 0) -> F64:
    """Shape of ``words``: mean 0, variance 1, at most 3.7 from 0; kurtosis 2.97."""
    drawn: F64 = _unit_table().take(indexes(words, lane))
    return drawn


def fractions(words: U64) -> F64:
    """Shape of ``words``: uniform between 0 and 1, never either, in steps of 2**-52."""
    drawn: F64 = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return drawn


def exponential(words: U64) -> F64:
    """Shape of ``words``: mean 1, with all of the tail."""
    return -logs(fractions(words))


def table_mean(mean: float, sd: float) -> float:
    """The mean of ``exp(mean + sd Z)`` for the ``Z`` of ``standard_normals``."""
    return math.fsum(exps(mean + sd * _unit_table()).tolist()) / QUANTILES


def whole(values: F64) -> I64:
    """Shape of ``values``: the nearest integers, halves upwards.

    Raises:
        ConfigError: where a value has no end or does not fit 64 bits, as no market makes them.
    """
    with np.errstate(invalid="raise"):
        try:
            return np.floor(values + 0.5).astype(np.int64)
        except FloatingPointError:
            raise ConfigError(BEYOND_NUMBERS) from None
