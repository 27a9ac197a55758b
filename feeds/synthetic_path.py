"""What the synthetic day follows: its story in legs, and mid, mark, index and funding along them.

Straight lines between the prices at the ends of ``LEGS`` carry noise that vanishes at both ends, so
every seed has the same story.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from engine.units import DAY_NS, MILLISECOND_NS, SECOND_NS
from feeds.chance import QUANTILES, U64, indexes, normals, raw_words, uniforms

__all__ = [
    "CELLS",
    "CELL_NS",
    "CENTS",
    "FUNDING_MINUTES",
    "LEGS",
    "MINUTE",
    "OPEN_PRICE",
    "SECOND",
    "Leg",
    "Path",
    "rounded",
]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

OPEN_PRICE: Final = 95_000.0
CELL_NS: Final = 200 * MILLISECOND_NS
"""The grid of the day."""
CELLS: Final = DAY_NS // CELL_NS
SECOND: Final = SECOND_NS // CELL_NS
"""Cells in one."""
MINUTE: Final = 60 * SECOND
FUNDING_MINUTES: Final = 480
CENTS: Final = 100
"""Steps of mark and index in one unit of quote."""
_YEAR_CELLS: Final = 31_557_600.0 * SECOND
_FIXED: Final = 1 << 50
"""Noise is added up in integers of 2**-50."""
_STREAM: Final = 0
"""Of the random words."""


class Leg(NamedTuple):
    """A stretch of the day.

    Attributes:
        regime: its name.
        until: minute of the day at which it ends.
        price: mid price then; noise around the straight line there vanishes at both ends.
        volatility: of the noise, per year.
        basis_bps: perpetual against index at the end.
        spread: mean of what the spread is wider than one price step, in price steps.
        depth: mean size at the best prices, in coins.
        trade: mean size of a trade, in coins.
        quotes, trades: chance of a change of the book, and of each of two trades, in 200 ms.
        delay_ms: mean time on the wire.
    """

    regime: str
    until: int
    price: float
    volatility: float
    basis_bps: float
    spread: float
    depth: float
    trade: float
    quotes: float
    trades: float
    delay_ms: float


LEGS: Final = (
    Leg("calm", 300, 95_150.0, 0.28, 1.0, 0.2, 6.0, 0.05, 0.55, 0.12, 3.0),
    Leg("trend", 390, 96_000.0, 0.32, 3.0, 0.2, 5.0, 0.07, 0.60, 0.18, 3.0),
    Leg("trend", 480, 97_300.0, 0.32, 5.0, 0.2, 5.0, 0.08, 0.60, 0.20, 3.0),
    Leg("trend", 540, 98_600.0, 0.36, 6.0, 0.3, 5.0, 0.08, 0.65, 0.22, 3.0),
    Leg("chop", 580, 97_700.0, 0.60, 2.0, 0.4, 4.0, 0.08, 0.70, 0.22, 4.0),
    Leg("chop", 620, 98_900.0, 0.60, 3.0, 0.4, 4.0, 0.08, 0.70, 0.22, 4.0),
    Leg("chop", 660, 97_900.0, 0.60, 1.0, 0.4, 4.0, 0.08, 0.70, 0.22, 4.0),
    Leg("chop", 705, 98_800.0, 0.60, 3.0, 0.4, 4.0, 0.08, 0.70, 0.22, 4.0),
    Leg("chop", 750, 97_800.0, 0.60, 1.0, 0.4, 4.0, 0.08, 0.70, 0.22, 4.0),
    Leg("chop", 790, 98_600.0, 0.60, 2.0, 0.4, 4.0, 0.08, 0.70, 0.22, 4.0),
    Leg("chop", 810, 98_300.0, 0.55, 1.0, 0.5, 4.0, 0.08, 0.70, 0.22, 4.0),
    Leg("crash", 816, 96_300.0, 1.60, -5.0, 8.0, 1.5, 0.25, 0.95, 0.75, 15.0),
    Leg("crash", 821, 95_600.0, 1.80, -6.0, 12.0, 1.0, 0.25, 0.98, 0.80, 20.0),
    Leg("crash", 825, 88_700.0, 4.00, -25.0, 90.0, 0.4, 0.40, 1.00, 0.95, 60.0),
    Leg("crash", 830, 90_100.0, 4.00, -15.0, 120.0, 0.3, 0.30, 1.00, 0.90, 60.0),
    Leg("crash", 836, 80_900.0, 5.00, -45.0, 260.0, 0.15, 0.50, 1.00, 0.98, 120.0),
    Leg("crash", 838, 78_800.0, 5.00, -60.0, 320.0, 0.10, 0.50, 1.00, 1.00, 150.0),
    Leg("rebound", 843, 83_200.0, 3.50, -25.0, 150.0, 0.25, 0.35, 1.00, 0.95, 80.0),
    Leg("rebound", 860, 85_100.0, 2.00, -12.0, 30.0, 0.8, 0.20, 0.95, 0.70, 20.0),
    Leg("rebound", 900, 87_900.0, 1.60, -6.0, 6.0, 1.5, 0.12, 0.85, 0.50, 8.0),
    Leg("rebound", 930, 88_600.0, 1.30, -4.0, 2.0, 2.0, 0.10, 0.80, 0.40, 5.0),
    Leg("aftershock", 980, 86_900.0, 1.00, -5.0, 1.0, 2.5, 0.10, 0.75, 0.30, 4.0),
    Leg("aftershock", 1_060, 89_100.0, 0.90, -2.0, 0.8, 3.0, 0.08, 0.70, 0.25, 4.0),
    Leg("aftershock", 1_140, 88_000.0, 0.80, -2.0, 0.6, 3.5, 0.07, 0.65, 0.20, 3.0),
    Leg("calm", 1_440, 88_500.0, 0.35, 0.0, 0.3, 5.0, 0.05, 0.55, 0.12, 3.0),
)


def rounded(values: F64) -> I64:
    """Shape of ``values``: the nearest integers, halves upwards."""
    return np.floor(values + 0.5).astype(np.int64)


def _mean_before(values: I64, count: int) -> F64:
    """Shape of ``values``: mean of each and those before, ``count`` at most; sums are exact."""
    totals = np.cumsum(values)
    windows = totals.copy()
    windows[count:] -= totals[:-count]
    mean: F64 = windows / np.minimum(np.arange(len(values)) + 1, count)
    return mean


class Path:
    """What the whole day follows.

    Attributes:
        mid: shape (CELLS,), quote.
        index, mark: one a second, in cents.
        funding: one a minute, in steps of 1e-8.
    """

    def __init__(self, seed: int) -> None:
        words = raw_words(seed, _STREAM, 0, CELLS)
        self._lengths = np.diff([0] + [leg.until * MINUTE for leg in LEGS])
        self._starts = np.cumsum(self._lengths) - self._lengths
        self.leg = np.repeat(np.arange(len(LEGS)), self._lengths)
        self._along = (np.arange(CELLS) - self._starts[self.leg]) / self._lengths[self.leg]
        self.mid = self._line("price", OPEN_PRICE) * (1.0 + self._noise(words))
        wander = _mean_before(2 * indexes(words, 2) - (QUANTILES - 1), 1_500)
        # The mean of 1,500 such words is some 60 wide: half a basis point.
        basis = self._line("basis_bps", 1.0) * 1e-4 + wander * 8e-7
        fair = _mean_before(rounded(self.mid * 10_000.0), 2 * SECOND) / 10_000.0
        index = fair / (1.0 + basis)
        # A venue's mark takes the mean of the basis, so it lags behind a crash.
        smooth = _mean_before(rounded(basis * 1e10), 30 * SECOND) / 1e10
        self.index = rounded(index[::SECOND] * CENTS)
        self.mark = rounded((index * (1.0 + smooth))[::SECOND] * CENTS)
        self.funding = self._funding(basis[::MINUTE])

    def _line(self, name: str, opening: float) -> F64:
        """A value of the legs on straight lines between their ends."""
        ends = np.array([getattr(leg, name) for leg in LEGS])
        begins = np.concatenate(([opening], ends[:-1]))
        line: F64 = begins[self.leg] + (ends - begins)[self.leg] * self._along
        return line

    def _noise(self, words: U64) -> F64:
        """A share of the price; 0 at both ends of each leg."""
        # A minute may be half as lively as its leg, or half as lively again.
        lively = np.repeat(0.5 + uniforms(words[::MINUTE], 1), MINUTE)
        sizes = np.array([leg.volatility for leg in LEGS]) / np.sqrt(_YEAR_CELLS) * _FIXED
        moves = normals(words, 0) * (sizes[self.leg] * lively)
        total = np.cumsum(rounded(moves))
        begins = total[self._starts]
        gains = np.append(begins[1:], total[-1]) - begins
        bridge: F64 = (total - begins[self.leg]) - gains[self.leg] * self._along
        return bridge / _FIXED

    def _funding(self, basis: F64) -> I64:
        """Mean premium of the interval so far, pulled towards 1 bp by up to 5 (Binance's rule)."""
        premium = rounded(basis * 1e8).reshape(-1, FUNDING_MINUTES)
        mean = np.cumsum(premium, axis=1) // (np.arange(FUNDING_MINUTES) + 1)
        rate: I64 = (mean + np.clip(10_000 - mean, -50_000, 50_000)).ravel()
        return rate
