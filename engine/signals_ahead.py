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
Known = tuple[float, float, float, float, float, float]
"""``Signals.recurrences``."""

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
        spreads = log2s(highs[self._opening :] / lows[self._opening :]) * LN2
        known = signals.recurrences()
        passed = _recurred(known, signals.weights, self._changes, spreads)
        self._recurrences = [known] * (1 + self._opening) + passed
        """At each point."""
        self._kept = list(state.returns)
        self._place = state.slot if len(self._kept) == window else len(self._kept)
        """Where in their window the first of the changes goes; the others follow in a ring."""

    def __len__(self) -> int:
        return len(self._closes) - 1

    def take(self, point: int) -> None:
        """Lead the signals to a point after the one where they are."""
        signals, state = self._signals, self._signals.state
        signals.recur(self._recurrences[point])
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
        known = [self._recurrences[point] for point in points.tolist()]
        variance, ranges, weight, move, path, trend_weight = np.array(known).T
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
        window, kept, place = self._signals.spec.window, self._kept, self._place
        count = np.maximum(points - self._opening, 0)
        rounds = np.zeros((2 + (place + len(self._changes)) // window, window))
        ring = rounds.ravel()  # how it lay to begin with, and from there on round after round
        ring[: len(kept)], ring[window : window + place] = kept, kept[:place]
        ring[window + place :][: len(self._changes)] = self._changes
        rounds *= rounds
        full, rest = np.divmod(place + count, window)
        total, size = np.empty(len(points)), max(_CELLS // window, 1)
        for start in range(0, len(points), size):
            part = slice(start, start + size)
            old, new = rounds.take(full[part], axis=0), rounds.take(full[part] + 1, axis=0)
            is_new = np.arange(window) < rest[part, None]
            total[part] = np.where(is_new, new, old).cumsum(axis=1)[:, -1]
        held = np.minimum(count + len(kept), window)
        with np.errstate(divide="ignore", invalid="ignore"):
            yearly = np.sqrt(total / held * self._signals.per_year)
        return np.where(held > 0, yearly, 0.0)


def _recurred(
    known: Known, weights: tuple[float, float, float, float], changes: F64, spreads: F64
) -> list[Known]:
    """``Signals.recurrences`` after each step.

    Args:
        known: as they are before the first.
        changes: shape (n,), simple returns of the steps of the grid.
        spreads: shape (n,), logarithms of highest over lowest price.
    """
    keep, take, trend_keep, trend_take = weights
    terms = (
        take * (changes * changes),
        take * (spreads * spreads / (4.0 * LN2)),
        trend_take * changes,
        trend_take * np.abs(changes),
    )
    variance, ranges, weight, move, path, trend_weight = known
    passed = []
    for square, spread, change, magnitude in zip(*(each.tolist() for each in terms), strict=True):
        variance = keep * variance + square
        ranges = keep * ranges + spread
        weight = keep * weight + take
        move = trend_keep * move + change
        path = trend_keep * path + magnitude
        trend_weight = trend_keep * trend_weight + trend_take
        passed.append((variance, ranges, weight, move, path, trend_weight))
    return passed
