"""Volatility and trend of one market, on an event-time grid.

A step of the grid takes the last fresh price at or before its grid point. A step without a fresh
tick does not update; after ``stale_after`` such steps the signals are stale, and on reopening the
jump is one observation. Recurrences only, so that the figures have the same bits however the stream
was cut.

Formulas: EWMA of squared simple returns (RiskMetrics form); realised volatility, root of the sum
over a window; Parkinson (1980) from the extremes of each step; trend as the EWMA of returns over
the EWMA of their magnitudes, a smoothed efficiency ratio (Kaufman 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import sqrt
from operator import mul
from typing import Final

from msgspec import Struct

from engine.exact import exp2, log2
from engine.units import DAY_NS, MINUTE_NS

__all__ = ["LN2", "SignalSpec", "SignalState", "Signals"]

_YEAR_NS: Final = 365 * DAY_NS
LN2: Final = 0.6931471805599453


class SignalSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The grid and its memories.

    Attributes:
        every_ns: step of the grid, aligned to 1970-01-01 UTC.
        vol_half_life: steps after which an observation weighs half in the volatilities.
        trend_half_life: the same for the trend.
        window: steps in the realised volatility.
        stale_after: steps without a fresh tick after which the signals are stale.
    """

    every_ns: int = MINUTE_NS
    vol_half_life: float = 60.0
    trend_half_life: float = 120.0
    window: int = 60
    stale_after: int = 5


class SignalState(Struct):
    """Everything the signals remember."""

    price: float = 0.0
    observed_ns: int = 0
    variance: float = 0.0
    range_variance: float = 0.0
    vol_weight: float = 0.0
    move: float = 0.0
    path: float = 0.0
    trend_weight: float = 0.0
    returns: list[float] = []
    slot: int = 0
    highest: float = 0.0
    missed: int = 0


class Signals:
    """The estimators; fed with the steps of the grid in order."""

    __slots__ = (
        *("_realised", "_trend_keep", "_trend_take", "_vol_keep", "_vol_take"),
        *("per_year", "spec", "state"),
    )

    def __init__(self, spec: SignalSpec) -> None:
        self.spec = spec
        self.state = SignalState(returns=[])
        self._vol_keep = exp2(-1.0 / spec.vol_half_life)
        self._vol_take = 1.0 - self._vol_keep
        self._trend_keep = exp2(-1.0 / spec.trend_half_life)
        self._trend_take = 1.0 - self._trend_keep
        self.per_year = _YEAR_NS / spec.every_ns
        self._realised: float | None = None

    def step(self, close: float, high: float, low: float, fresh: bool) -> None:
        """One grid point: the last price, the extremes since the last step, and whether any tick
        came."""
        state = self.state
        if not fresh:
            state.missed += 1
            return
        state.missed = 0
        self._realised = None
        state.highest = max(state.highest, high)
        if state.price == 0.0:
            state.price = close
            return
        change = close / state.price - 1.0
        state.price = close
        keep, take = self._vol_keep, self._vol_take
        state.variance = keep * state.variance + take * (change * change)
        spread = log2(high / low) * LN2
        range_variance = spread * spread / (4.0 * LN2)
        state.range_variance = keep * state.range_variance + take * range_variance
        state.vol_weight = keep * state.vol_weight + take
        keep, take = self._trend_keep, self._trend_take
        state.move = keep * state.move + take * change
        state.path = keep * state.path + take * abs(change)
        state.trend_weight = keep * state.trend_weight + take
        if len(state.returns) < self.spec.window:
            state.returns.append(change)
        else:
            state.returns[state.slot] = change
            state.slot = (state.slot + 1) % self.spec.window

    @property
    def weights(self) -> tuple[float, float, float, float]:
        """What is kept and what is taken at a step: of the volatilities, of the trend."""
        return self._vol_keep, self._vol_take, self._trend_keep, self._trend_take

    def recurrences(self) -> tuple[float, float, float, float, float, float]:
        """``(variance, range_variance, vol_weight, move, path, trend_weight)``."""
        state = self.state
        return (
            *(state.variance, state.range_variance, state.vol_weight),
            *(state.move, state.path, state.trend_weight),
        )

    def recur(self, known: Sequence[float]) -> None:
        """Be where the recurrences came to, in the order of ``recurrences``."""
        state = self.state
        state.variance, state.range_variance, state.vol_weight = known[:3]
        state.move, state.path, state.trend_weight = known[3:]
        self._realised = None

    @property
    def stale(self) -> bool:
        """Too many steps without a fresh tick."""
        return self.state.missed >= self.spec.stale_after

    @property
    def ewma_vol(self) -> float:
        """A year's volatility, as a ratio; over the weight of what was seen, so that it does not
        start from calm."""
        return self._yearly(self.state.variance)

    @property
    def parkinson_vol(self) -> float:
        """The same from the extremes of the steps."""
        return self._yearly(self.state.range_variance)

    def _yearly(self, variance: float) -> float:
        weight = self.state.vol_weight
        return sqrt(variance / weight * self.per_year) if weight > 0.0 else 0.0

    @property
    def realised_vol(self) -> float:
        """The same over the window, all steps alike."""
        if self._realised is None:
            returns = self.state.returns
            *_, total = accumulate(map(mul, returns, returns), initial=0.0)
            self._realised = sqrt(total / len(returns) * self.per_year) if returns else 0.0
        return self._realised

    @property
    def trend(self) -> float:
        """Signed efficiency in [-1, 1]; what was not seen yet counts as no trend."""
        state = self.state
        return state.move / state.path * state.trend_weight if state.path > 0.0 else 0.0

    def drawdown(self, mark: float) -> float:
        """Of ``mark`` from the highest price of the grid's steps, <= 0."""
        highest = self.state.highest
        return mark / highest - 1.0 if highest > mark else 0.0
