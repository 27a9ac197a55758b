"""The laws of ``products.md`` 3.2 and 3.3 against what the engine does, by drawn and by weighted
paths. Many markets in one run are many paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.events import Rebalanced
from engine.sampler import Sampling
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import Constant, LeverageBand
from tests.builders import T0, a_contract, a_market, a_product, a_spec

NORMAL = NormalDist()
TOGETHER = 50
"""Paths in a run."""
BLOCK = 65_536
FOREVER_NS = 10**18


def replayed(paths: Any, policy: Any) -> tuple[Engine, list[Any]]:
    """Each path, of shape (paths, prices), on a market of its own with a product that follows the
    policy, without costs; prices lie a second apart. The engine, and its rebalances."""
    markets, products = [], []
    for number in range(len(paths)):
        contract = a_contract(symbol=f"C{number}USDT", base=f"C{number}", taker_fee=0.0)
        markets.append(
            a_market(
                symbol=number,
                contract=contract,
                book=BookSpec(model="flat"),
                funding=FundingSpec(recorded=False),
                stale_after_ns=FOREVER_NS,
                frozen_after_ns=FOREVER_NS,
            )
        )
        products.append((a_product(f"P{number}", market=number), (policy,)))
    prices = np.array(paths, np.float64)
    count = len(prices)
    sampling = Sampling(nav_every_ns=FOREVER_NS)
    engine = Engine(a_spec(*products, markets=markets, sampling=sampling))
    flat, trades = prices.T.reshape(-1), []
    for first in range(0, len(flat), BLOCK):
        sequence = np.arange(first, min(first + BLOCK, len(flat)))
        marks = Marks(
            sequence=sequence,
            symbol=(sequence % count).astype(np.int32) if count > 1 else 0,
            ts_ns=T0 + sequence // count * SECOND_NS,
            price=flat[first : first + BLOCK],
        )
        step = Step(first=first, end=int(sequence[-1]) + 1, tables=(marks,))
        events = engine.process(step).events
        trades += [e for e in events if isinstance(e, Rebalanced) and not e.opening]
    engine.finish()
    return engine, trades


def factors(paths: Any, policy: Any) -> Any:
    """Shape (paths,): NAV at the end over NAV at the start; 0 of a product that was closed."""
    found: list[float] = []
    for first in range(0, len(paths), TOGETHER):
        some = np.array(paths[first : first + TOGETHER])
        engine, _ = replayed(some, policy)
        for handler, prices in zip(engine.handlers, some, strict=True):
            alive = handler.state.status == "active"
            nav = handler.account.nav(float(prices[-1])) if alive else 0
            found.append(max(nav, 0) / handler.account.state.equity_start)
    return np.array(found)


def grown(log_steps: Any) -> Any:
    """Prices from 100, shape (paths, steps + 1)."""
    start = np.zeros((len(log_steps), 1))
    return 100.0 * np.exp(np.concatenate([start, np.cumsum(log_steps, axis=1)], axis=1))


# Moments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [3.0, -2.0])
def test_moments_of_a_multiple_set_anew_each_period(target: float) -> None:
    """3.2: over n periods of a driftless market the mean stays 1 and the second moment is ``(1 +
    L^2 (m2 - 1))^n``; the median is that of the product of ``1 + L r``. By 1,000 antithetic paths,
    within three standard errors. Catches a rebalance that is skipped, or one to another target."""
    periods, spread, half = 12, 0.05, 500
    drawn = np.random.default_rng(32).standard_normal((half, periods)) * spread
    log_steps = np.concatenate([drawn, -drawn]) - spread**2 / 2.0
    got = factors(grown(log_steps), Constant(target=target, review_s=1.0))
    pairs = (got[:half] + got[half:]) / 2.0
    assert abs(pairs.mean() - 1.0) < 3.0 * pairs.std() / math.sqrt(half)
    second = (1.0 + target**2 * (math.exp(spread**2) - 1.0)) ** periods
    squares = (got[:half] ** 2 + got[half:] ** 2) / 2.0
    assert abs(squares.mean() - second) < 3.0 * squares.std() / math.sqrt(half)
    exact = np.prod(1.0 + target * np.expm1(log_steps), axis=1)
    assert got == pytest.approx(exact, rel=1e-6)
    # Continuously rebalanced the median is exp(-L^2 sigma^2 T / 2); in steps nearly so.
    continuous = math.exp(-(target**2) * spread**2 * periods / 2.0)
    assert np.median(got) == pytest.approx(continuous, rel=0.05)


# Ruin -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "volatility", "a_year"),
    [(5.0, 1.2, 7.541e-2), (-5.0, 1.2, 4.572e-1), (3.0, 2.0, 2.398e-2), (-3.0, 2.0, 6.065e-1)],
)
def test_ruin_in_a_year_of_daily_steps(target: float, volatility: float, a_year: float) -> None:
    """3.2: the probability that one day takes everything, by importance sampling: days are drawn
    around the deadly move, in strata, and each weighs what the market's own law gives it. The
    engine says which of them are deadly. Within 3 % of the published figure; catches a ruin that
    comes a little early or late."""
    day = volatility / math.sqrt(365.0)
    mean = -(day**2) / 2.0
    deadly = math.log(1.0 - 1.0 / target)
    count = 400
    quantiles = (np.arange(count) + 0.5) / count
    moves = deadly + day * np.array([NORMAL.inv_cdf(q) for q in quantiles])
    ruined = factors(grown(moves[:, None]), Constant(target=target, review_s=1.0)) <= 0.0
    weight = np.exp(((moves - deadly) ** 2 - (moves - mean) ** 2) / (2.0 * day**2))
    a_day = float((weight * ruined).mean())
    assert 0.3 < ruined.mean() < 0.7
    assert 1.0 - (1.0 - a_day) ** 365 == pytest.approx(a_year, rel=0.03)


def test_a_band_is_ruined_by_one_jump_of_its_present_leverage() -> None:
    """A band product lets its leverage drift, so a jump of ``-1 / l`` ruins it and not ``-1 / L``:
    on the way from edge to edge the share of deadly jumps is the mean of ``F(-1 / l)`` over the
    leverages there. Jumps of all sizes after drifts of all lengths, through the engine. Catches a
    ruin by the target's leverage, which would be off by a third."""
    band = LeverageBand(target=3.0, low=2.25, high=4.125)
    drifts = np.linspace(0.885, 1.19, 20)
    spread, count = 0.12, 40
    sizes = np.array([NORMAL.inv_cdf((n + 0.5) / count) * spread - 0.25 for n in range(count)])
    paths = [[100.0, 100.0 * x, 100.0 * x * math.exp(size)] for x in drifts for size in sizes]
    ruined = factors(paths, band) <= 0.0
    leverage = 3.0 * drifts / (1.0 + 3.0 * (drifts - 1.0))
    assert leverage.max() - leverage.min() > 1.5
    law = [NORMAL.cdf((math.log(1.0 - 1.0 / each) + 0.25) / spread) for each in leverage]
    assert ruined.mean() == pytest.approx(np.mean(law), abs=0.01)
    by_target = NORMAL.cdf((math.log(1.0 - 1.0 / 3.0) + 0.25) / spread)
    assert ruined[: 5 * count].mean() > by_target + 0.1


# Renewal --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "low", "high", "edges", "rate", "up", "growth"),
    [
        (3.0, 2.25, 4.125, (0.88, 1.2), 15.446, 0.41216, -1.06005),
        (-3.0, 1.5, 5.25, (0.8, 1.12), 14.236, 0.66319, -1.95979),
    ],
)
def test_how_often_a_band_trades(
    target: float,
    low: float,
    high: float,
    edges: Sequence[float],
    rate: float,
    up: float,
    growth: float,
) -> None:
    """3.3: on a driftless logarithm of the price, seen every five minutes over 15 times 4 years, a
    band is left so often a year, upwards so often, and grows by so much; the edges moved out by
    0.5826 standard deviations of a step, as one sees late. Within three standard errors of the
    drawn cycles. Catches an edge of another leverage, and a trade to another place."""
    chunks, years, volatility, a_day = 15, 4, 0.6, 288
    step = volatility / math.sqrt(365.0 * a_day)
    random, trades, logs = np.random.default_rng(33), list[Any](), list[float]()
    for _ in range(chunks):
        path = np.cumsum(random.standard_normal(years * 365 * a_day) * step)
        _, own = replayed([100.0 * np.exp(path)], LeverageBand(target=target, low=low, high=high))
        trades += own
        logs += np.diff(np.log([float(event.nav_atoms) for event in own])).tolist()
    late = 0.5826 * step
    a, b = math.log(edges[0]) - late, math.log(edges[1]) + late
    expected = rate * math.log(edges[0]) * math.log(edges[1]) / (a * b)
    count, a_year = len(trades), len(trades) / (chunks * years)
    # The exit of a Brownian motion from edges like these varies less than its own mean.
    assert abs(a_year - expected) < 3.0 * expected / math.sqrt(count)
    upwards = sum(event.leverage_before < target for event in trades) / count
    assert abs(upwards - up) < 3.0 * math.sqrt(up * (1.0 - up) / count)
    error = float(np.std(logs)) / math.sqrt(len(logs))
    assert abs(np.mean(logs) * a_year - growth) < 3.0 * error * a_year + 0.02 * abs(growth)
