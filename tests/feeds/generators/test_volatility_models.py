"""Tests of ``feeds.generators`` whose volatility moves: Heston, GARCH, regimes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from feeds.generators.draws import Draws
from feeds.generators.garch import Garch
from feeds.generators.heston import Heston
from feeds.generators.regimes import Regime, Regimes
from tests.feeds.generators.moments import SEED, autocorrelation, kurtosis, returns

CELLS = 525_960
STEP: dict[str, Any] = {"step": "1m", "days": 4 * 365.25}


def mean_near(sample: np.ndarray[Any, Any], expected: float, memory: float) -> bool:
    """Whether the mean of draws with that sum of autocorrelations lies within 4 standard errors."""
    error = sample.std() * math.sqrt((1 + 2 * memory) / len(sample))
    return bool(abs(sample.mean() - expected) < 4 * error)


def test_heston_has_the_moments_of_its_variance() -> None:
    """Mean variance ``sigma^2``; kurtosis ``3 (1 + xi^2 / (2 kappa sigma^2))``; squared returns
    forget at ``exp(-kappa t)``; 8,000 memories of it leave 1 % open."""
    kappa, xi, mean = 2_000.0, 30.0, 0.36
    model = Heston(volatility=0.6, reversion=kappa, vol_of_vol=xi, leverage=0.0, **STEP)
    drawn = returns(model)[0] * math.sqrt(CELLS)
    squares = drawn * drawn
    wide = xi * xi / (2 * kappa * mean)
    assert mean_near(squares, mean, CELLS / kappa)
    assert kurtosis(drawn) == pytest.approx(3 * (1 + wide), rel=0.05)
    first = wide / (3 * (1 + wide) - 1)
    for lag in (1, 100, 200):
        expected = first * math.exp(-kappa * lag / CELLS)
        assert autocorrelation(squares, lag) == pytest.approx(expected, abs=0.015)
    assert abs(autocorrelation(drawn, 1)) < 4 * math.sqrt(1 + wide) / math.sqrt(len(drawn))


def test_heston_leverage_couples_returns_with_later_variance() -> None:
    """A negative one makes volatility rise after losses; without, it does not."""
    settings: dict[str, Any] = {"volatility": 0.6, "reversion": 2_000.0, "vol_of_vol": 12.0, **STEP}
    told = [
        np.mean(drawn[:-1] * drawn[1:] ** 2) / np.mean(np.abs(drawn) ** 3)
        for leverage in (-0.9, 0.0)
        for drawn in [returns(Heston(leverage=leverage, **settings))[0]]
    ]
    error = 4 / math.sqrt(4 * CELLS)
    assert told[0] < -3 * error
    assert abs(told[1]) < error


def test_garch_has_the_moments_of_its_recurrence() -> None:
    """Mean variance, kurtosis and autocorrelation of squares by the closed forms."""
    a, b = 0.08, 0.85
    drawn = returns(Garch(volatility=0.6, arch=a, garch=b, **STEP))[0] * math.sqrt(CELLS)
    squares = drawn * drawn
    fourth = 2.97  # of the shocks
    expected = fourth * (1 - (a + b) ** 2) / (1 - (a + b) ** 2 - (fourth - 1) * a * a)
    first = a * (1 - a * b - b * b) / (1 - 2 * a * b - b * b)
    assert mean_near(squares, 0.36, first / (1 - a - b))
    assert kurtosis(drawn) == pytest.approx(expected, rel=0.03)
    for lag in (1, 5, 20):
        expected = first * (a + b) ** (lag - 1)
        assert autocorrelation(squares, lag) == pytest.approx(expected, abs=0.012)
    assert abs(autocorrelation(drawn, 1)) < 0.004


def test_garch_downward_shocks_weigh_more_where_told() -> None:
    """A loss lifts the next variance by ``downward`` times its square more than a gain."""
    drawn = returns(Garch(arch=0.02, downward=0.12, garch=0.85, **STEP))[0]
    after = drawn[1:] ** 2
    losses, gains = after[drawn[:-1] < 0].mean(), after[drawn[:-1] > 0].mean()
    mean = after.mean()
    # Given the sign, E[z^2] = 1: the difference is downward times the mean variance.
    assert (losses - gains) / mean == pytest.approx(0.12, abs=0.03)


def test_garch_without_a_mean_variance_is_refused() -> None:
    """A persistence of 1 explodes."""
    with pytest.raises(ValueError, match="must be below 1"):
        Garch(arch=0.2, garch=0.8)


REGIMES = (
    Regime(name="calm", volatility=0.3, lasts="5h"),
    Regime(name="wild", volatility=1.5, lasts="1h", next={"calm": 0.25, "crash": 0.75}),
    Regime(name="crash", volatility=3.0, lasts="10m"),
)


def states(model: Regimes) -> np.ndarray[Any, Any]:
    return np.concatenate(list(model.states(model.grid(), Draws(SEED, 0))))


def test_regimes_last_and_follow_each_other_as_told() -> None:
    """Mean durations and chances of what follows, within 4 standard errors."""
    model = Regimes(regimes=REGIMES, **STEP)
    path = states(model)
    edges = np.flatnonzero(np.diff(path)) + 1
    kind, lasted, after = path[edges[:-1]], np.diff(edges), path[edges[1:]]
    for place, minutes in enumerate((300, 60, 10)):
        own = lasted[kind == place]
        assert abs(own.mean() - minutes) < 4 * minutes / math.sqrt(len(own))
    wild = after[kind == 1]
    assert abs((wild == 2).mean() - 0.75) < 4 * math.sqrt(0.1875 / len(wild))
    calm = after[kind == 0]
    assert abs((calm == 1).mean() - 0.5) < 4 * 0.5 / math.sqrt(len(calm))


def test_each_regime_has_its_volatility() -> None:
    """Returns of a regime are normal with its variance; the whole has fat tails."""
    model = Regimes(regimes=REGIMES, **STEP)
    path, drawn = states(model), returns(model)[0]
    path = path[: len(drawn)]
    for place, regime in enumerate(REGIMES):
        own = drawn[path == place] * math.sqrt(CELLS)
        error = 4 * math.sqrt(2 / len(own)) * regime.volatility**2
        assert abs((own * own).mean() - regime.volatility**2) < error
        assert kurtosis(own) == pytest.approx(2.97, abs=0.1)
    assert kurtosis(drawn) > 5


@pytest.mark.parametrize(
    ("regimes", "said"),
    [
        ((REGIMES[0], REGIMES[0]), "a name twice"),
        ((REGIMES[0], Regime(name="x", volatility=1.0, lasts="1s")), "less than a cell"),
        ((REGIMES[0], REGIMES[1]), "is no other one"),
        ((REGIMES[0], Regime(name="x", volatility=1, lasts="1h", next={"calm": 0.5})), "sum to 1"),
    ],
)
def test_regimes_that_make_no_chain_are_refused(regimes: tuple[Regime, ...], said: str) -> None:
    """Each with what was expected."""
    with pytest.raises(ValueError, match=said):
        Regimes(regimes=regimes)
