"""What signals will be at the coming points of their grid, worked out before anybody gets there.

A step of many rows has many points of the grid. Their returns and ranges are taken at once, and the
recurrences run through them in one loop. ``Signals`` says what the figures are; here they are the
same, bit by bit.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from engine.logarithms import log2s
from engine.signals import LN2, Signals

__all__ = ["Figures", "SignalsAhead"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

_CELLS: Final = 65_536
"""Squares of windows that are added at once."""


class Figures(NamedTuple):
    """What views show of the signals, at several points: shape (n,) each, named as there."""

    ewma_vol: F64
    realised_vol: F64
    parkinson_vol: F64
    trend: F64
    highest: F64
    stale: Bools
    step_price: F64

    @classmethod
    def still(cls, signals: Signals, count: int) -> Figures:
        """Signals as they are, so many times."""
        now = (
            *(signals.ewma_vol, signals.realised_vol, signals.parkinson_vol, signals.trend),
            *(signals.state.highest, signals.stale, signals.state.price),
        )
        return cls(*(np.full(count, figure) for figure in now))


class SignalsAhead:
    """The coming points of some signals, all of them fresh. A point is named by its number, from 1
    on; 0 is how things were to begin with.

    Attributes:
        taken: the point that the signals were led to.
    """

    def __init__(self, signals: Signals, closes: F64, highs: F64, lows: F64) -> None:
        """``closes``, ``highs``, ``lows``: shape (n,), of the coming steps of the grid."""
        state, window = signals.state, signals.spec.window
        self.taken = 0
        self._signals = signals
        self._closes: F64 = np.concatenate(([state.price], closes))
        self._highest: F64 = np.maximum.accumulate(np.concatenate(([state.highest], highs)))
        self._missed = state.missed
        self._opening = int(state.price == 0.0)
        """1 where the first point is the first price of all, which is no return."""
        self._changes: F64 = self._closes[1 + self._opening :] / self._closes[self._opening : -1]
        self._changes -= 1.0
        ranges = highs[self._opening :] / lows[self._opening :]
        self._columns = [
            [known] * self._opening + _recurred(known, kept, terms)
            for known, (kept, terms) in zip(
                signals.recurrences(), _terms(signals, self._changes, ranges), strict=True
            )
        ]
        """By recurrence, at each point."""
        self._kept = list(state.returns)
        self._place = state.slot if len(self._kept) == window else len(self._kept)
        """Where in their window the first of the changes goes; the others follow in a ring."""

    def __len__(self) -> int:
        return len(self._closes) - 1

    def take(self, point: int) -> None:
        """Lead the signals to a point after the one where they are."""
        signals, state = self._signals, self._signals.state
        signals.recur([column[point] for column in self._columns])
        state.price, state.highest = self._closes.item(point), self._highest.item(point)
        state.missed = 0
        window, returns = signals.spec.window, state.returns
        first, end = max(self.taken - self._opening, 0), point - self._opening
        room = window - len(returns)
        if room:
            returns.extend(self._changes[first : min(first + room, end)].tolist())
            first += room
        begin = max(first, end - window)
        for place, change in enumerate(self._changes[begin:end].tolist(), self._place + begin):
            returns[place % window] = change
        if first <= end and len(returns) == window:
            state.slot = (self._place + end) % window
        self.taken = point

    def figures(self, points: I64) -> Figures:
        """The figures at some points, in ascending order."""
        places = points.tolist()
        found = np.array([[column[place] for place in places] for column in self._columns])
        variance, ranges, weight, move, path, trend_weight = found
        with np.errstate(divide="ignore", invalid="ignore"):
            trend = np.where(path > 0.0, move / path * trend_weight, 0.0)
        return Figures(
            self._yearly(variance, weight),
            self._realised(points),
            self._yearly(ranges, weight),
            trend,
            self._highest[points],
            (points == 0) & (self._missed >= self._signals.spec.stale_after),
            self._closes[points],
        )

    def _yearly(self, variance: F64, weight: F64) -> F64:
        with np.errstate(divide="ignore", invalid="ignore"):
            yearly = np.sqrt(variance / weight * self._signals.per_year)
        return np.where(weight > 0.0, yearly, 0.0)

    def _realised(self, points: I64) -> F64:
        """The squares of each window are added in the order in which they lie there."""
        window, kept = self._signals.spec.window, self._kept
        count = np.maximum(points - self._opening, 0)
        squares = self._changes[: max(count.item(-1), 1)]
        squares = squares * squares
        old = np.zeros(window)
        old[: len(kept)] = kept
        first = (np.arange(window) - self._place) % window
        total, size = np.empty(len(points)), max(_CELLS // window, 1)
        for start in range(0, len(points), size):
            part = slice(start, start + size)
            ahead = count[part, None] - 1 - first
            new = squares.take(first + ahead // window * window, mode="clip")
            total[part] = np.where(ahead >= 0, new, old * old).cumsum(axis=1)[:, -1]
        held = np.minimum(count + len(kept), window)
        with np.errstate(divide="ignore", invalid="ignore"):
            yearly = np.sqrt(total / held * self._signals.per_year)
        return np.where(held > 0, yearly, 0.0)


def _terms(signals: Signals, changes: F64, ranges: F64) -> list[tuple[float, F64]]:
    """``(kept, terms)`` of each of ``Signals.recurrences``.

    Args:
        changes: shape (n,), simple returns of the steps of the grid.
        ranges: shape (n,), highest over lowest price.
    """
    spread = log2s(ranges) * LN2
    keep, take, trend_keep, trend_take = signals.weights
    ones = np.ones(len(changes))
    return [
        (keep, take * (changes * changes)),
        (keep, take * (spread * spread / (4.0 * LN2))),
        (keep, take * ones),
        (trend_keep, trend_take * changes),
        (trend_keep, trend_take * np.abs(changes)),
        (trend_keep, trend_take * ones),
    ]


def _recurred(known: float, kept: float, terms: F64) -> list[float]:
    """A recurrence as it is and after each term: ``x' = kept x + term``."""
    now = known
    return [known, *[now := kept * now + term for term in terms.tolist()]]
