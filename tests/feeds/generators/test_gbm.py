"""Tests of ``feeds.generators.gbm``: moments of returns against closed forms."""

from __future__ import annotations

import math

import numpy as np

from feeds.generators.gbm import Gbm
from tests.feeds.generators.moments import autocorrelation, kurtosis, near, returns

YEAR_MINUTES = 525_960


def test_returns_are_normal_with_the_mean_and_variance_of_the_closed_form() -> None:
    """Mean ``(drift - sigma^2 / 2) dt``, variance ``sigma^2 dt``, kurtosis 3 less the cut tails."""
    drawn = returns(Gbm(volatility=0.8, drift=0.3, days=365.25, step="1m"))[0]
    dt = 1 / YEAR_MINUTES
    assert len(drawn) == YEAR_MINUTES
    assert near(drawn, (0.3 - 0.32) * dt)
    assert near(drawn**2, 0.64 * dt)
    assert abs(kurtosis(drawn) - 2.97) < 0.03
    assert abs(autocorrelation(drawn, 1)) < 4 / math.sqrt(len(drawn))
    assert abs(autocorrelation(drawn**2, 1)) < 4 / math.sqrt(len(drawn))


def test_the_expected_price_grows_at_the_drift() -> None:
    """Over many paths the mean of the end price is the opening's times ``exp(drift T)``."""
    model = Gbm(volatility=1.0, drift=2.0, days=30, step="1h")
    ends = np.array([np.exp(returns(model, path).sum()) for path in range(2_000)])
    assert near(ends, math.exp(2.0 * 30 / 365.25))


def test_symbols_are_correlated_as_told_and_have_their_own_volatility() -> None:
    """The correlation of any two is the one given; a volatility of one's own counts."""
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    model = Gbm(symbols=symbols, correlation=0.7, scales={"SOLUSDT": 2.0}, days=100, step="1m")
    drawn = returns(model)
    error = 4 * (1 - 0.49) / math.sqrt(drawn.shape[1])
    assert np.allclose(np.corrcoef(drawn)[np.triu_indices(3, 1)], 0.7, atol=error)
    assert near(drawn[2] ** 2, 1.44 / YEAR_MINUTES)
    assert near(drawn[0] ** 2, 0.36 / YEAR_MINUTES)


def test_symbols_without_correlation_are_independent() -> None:
    """Correlation 0 is none, and no two symbols share their draws."""
    drawn = returns(Gbm(symbols=("BTCUSDT", "ETHUSDT"), days=30, step="1m"))
    assert abs(np.corrcoef(drawn)[0, 1]) < 4 / math.sqrt(drawn.shape[1])
