"""Tests of ``feeds.generators`` whose events excite events: Hawkes trades, contagious jumps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from feeds.generators import generated
from feeds.generators.clusters import Clusters
from feeds.generators.contagion import Contagion
from feeds.generators.draws import Draws
from feeds.generators.gbm import Gbm
from feeds.generators.hawkes import Hawkes
from tests.feeds.generators.moments import SEED, near, returns
from tests.feeds.test_synthetic import columns

GRID = Gbm(days=10.0).grid()
CHUNK_S = GRID.chunk_steps


def events(symbols: int, *settings: float) -> list[np.ndarray[Any, Any]]:
    """Seconds of the events of each symbol over ten days."""
    clusters = Clusters(Draws(SEED, 0), symbols, *settings)
    found: list[list[Any]] = [[] for _ in range(symbols)]
    for chunk, drawn in enumerate(clusters.chunks(GRID)):
        for symbol, at_ns in enumerate(drawn):
            assert (np.diff(at_ns) >= 0).all()
            assert not len(at_ns) or 0 <= at_ns[0] <= at_ns[-1] < CHUNK_S * 10**9
            found[symbol].append(at_ns / 1e9 + chunk * CHUNK_S)
    return [np.concatenate(times) for times in found]


def branching_of(times: np.ndarray[Any, Any], window_s: float) -> float:
    """``1 - sqrt(mean / variance)`` of counts in long windows: the variance of a self-exciting
    process is ``1 / (1 - n)^2`` of its mean."""
    counts = np.bincount((times // window_s).astype(int))
    return 1.0 - math.sqrt(counts.mean() / counts.var(ddof=1))


@pytest.mark.parametrize("branching", [0.0, 0.5, 0.8])
def test_the_branching_ratio_is_the_one_told(branching: float) -> None:
    """Rate and branching of ten days of trades, from their counts in windows of 10 minutes; there
    are 1,440, so a variance is known to 4 %, n to 0.02 at 0 and to less beyond."""
    (times,) = events(1, 0.5, branching, 5.0)
    windows = len(times) / 300.0
    assert branching_of(times, 600.0) == pytest.approx(branching, abs=0.08 * (1 - branching) + 0.01)
    error = 4 * math.sqrt(0.5 * 10 * 86_400) / (1 - branching)
    assert abs(len(times) - 0.5 * 10 * 86_400) < error, windows


def test_excitement_fades_by_half_in_its_half_life() -> None:
    """The excess of events after an event falls like the closed form's ``exp(-(1 - n) b t)``."""
    n, half_life = 0.6, 20.0
    (times,) = events(1, 0.05, n, half_life)
    decay = (1 - n) * math.log(2) / half_life
    counts = [
        np.searchsorted(times, times + lag + 10.0) - np.searchsorted(times, times + lag, "right")
        for lag in (0.0, 50.0)
    ]
    excess = [count.mean() - 0.5 for count in counts]
    assert excess[1] / excess[0] == pytest.approx(math.exp(-decay * 50.0), abs=0.05)
    assert excess[0] > 0.2


def test_children_go_to_other_symbols_as_told() -> None:
    """With all children another symbol's, counts of two symbols move together; with none, not."""
    for spread, together in ((0.0, False), (0.5, True)):
        one, other = events(2, 0.2, 0.7, 5.0, spread)
        counts = [
            np.bincount((times // 600).astype(int), minlength=1_440)[:1_440]
            for times in (one, other)
        ]
        found = np.corrcoef(*counts)[0, 1]
        # Covariance over variance of the linear system: 0.7 of mixed families at a spread of 1/2.
        assert (found > 0.5) if together else (abs(found) < 4 / math.sqrt(1_440))
        for times in (one, other):
            assert len(times) == pytest.approx(0.2 * 864_000, rel=0.05)


def test_no_chunk_notices_its_edge() -> None:
    """The first seconds of chunks hold as many events as the others: the warm-up and the children
    that wait see to that."""
    (times,) = events(1, 0.5, 0.8, 30.0)
    place = times % CHUNK_S
    early, late = (place < 600).sum() / 600, (place >= 600).sum() / (CHUNK_S - 600)
    first = (times < 600).sum() / 600
    assert early == pytest.approx(late, rel=0.12)
    assert first > 0.2


def test_hawkes_prices_have_the_volatility_told_and_no_drift() -> None:
    """The variance of returns is ``sigma^2 dt``; the price is a martingale; bursts are there."""
    model = Hawkes(volatility=0.9, rate=0.5, branching=0.8, days=30.0)
    drawn = returns(model)[0]
    cells = drawn.reshape(-1, 60).sum(axis=1)
    squares = cells * cells
    error = 4 * squares.std() / math.sqrt(len(squares)) * 1.5  # squares in bursts hang together
    assert abs(squares.mean() - 0.81 / 525_960) < error
    assert near(np.exp(drawn), 1.0)
    away = squares - squares.mean()
    assert (away[1:] * away[:-1]).mean() / squares.var() > 0.05


def test_hawkes_trades_are_those_that_move_the_price() -> None:
    """Between two marks the sides of the trades tell the move; they lie at the quotes there."""
    model = Hawkes(volatility=0.9, rate=2.0, branching=0.5, days=0.2, prices={"BTCUSDT": 1e5})
    found = columns(generated(model, SEED).steps())
    step = np.searchsorted(found["MARK.ts_ns"], found["TRADE.ts_ns"], "right")
    # A trade between the instants i and i + 1 moves the mark of i + 1.
    net = np.bincount(step, found["TRADE.aggressor"], minlength=len(found["MARK.price"]))
    moves = np.diff(np.log(found["MARK.price"]))
    assert np.allclose(moves, net[1:] * model.impact(), atol=2e-7)
    after = found["MARK.price"][step]
    assert np.abs(found["TRADE.price"] / after - 1.0).max() < 40 * model.impact() + 1e-4


def test_hawkes_correlation_is_refused() -> None:
    """What it does not do it does not promise."""
    with pytest.raises(ValueError, match="each symbol on its own"):
        Hawkes(symbols=("BTCUSDT", "ETHUSDT"), correlation=0.5)


def test_contagious_jumps_come_together() -> None:
    """Far more hours hold jumps of both symbols than with jumps that know nothing of each other;
    a year has as many as told."""
    settings: dict[str, Any] = {
        "symbols": ("BTCUSDT", "ETHUSDT"),
        "volatility": 0.05,
        "jumps_per_year": 500.0,
        "jump_mean": -0.03,
        "jump_sd": 0.005,
        "days": 4 * 365.25,
        "step": "1m",
    }
    both = {}
    for branching in (0.0, 0.7):
        drawn = returns(Contagion(branching=branching, spread=0.5, **settings))
        found = drawn < -0.01
        expected = 2_000.0
        error = 4 * math.sqrt(expected) / (1 - branching)
        assert (np.abs(found.sum(axis=1) - expected) < error + 0.03 * expected).all()
        hours = found[:, : found.shape[1] // 60 * 60].reshape(2, -1, 60).any(axis=2)
        both[branching] = hours.all(axis=0).sum()
    assert both[0.7] > 3 * both[0.0]


def test_contagion_keeps_the_correlation_of_the_normal_part() -> None:
    """Between the jumps returns are correlated as told."""
    model = Contagion(
        symbols=("BTCUSDT", "ETHUSDT"), correlation=0.8, jumps_per_year=1.0, days=60, step="1m"
    )
    drawn = returns(model)
    calm = (np.abs(drawn) < 0.008).all(axis=0)
    assert np.corrcoef(drawn[:, calm])[0, 1] == pytest.approx(0.8, abs=0.01)
