"""Tests of ``strategies.leverage_band``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.policy import MarketView, Nothing, PositionView, SetLeverage, View
from engine.sampler import Sampling
from engine.ticks import Marks, Step
from engine.venue.book import BookSpec
from engine.watch import ALWAYS, NEVER
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_spec, run
from tests.strategies.check_policy import EXAMPLES, check_policy

GATE_3L = LeverageBand(target=3.0, low=2.25, high=4.125)
GATE_3S = LeverageBand(target=-3.0, low=1.5, high=5.25)
GATE_5L = LeverageBand(target=5.0, low=3.5, high=7.0)
GATE_5S = LeverageBand(target=-5.0, low=3.5, high=7.0)
STATE = Nothing()


def a_view(leverage: float, *, price: float = 100.0, target: float = 3.0) -> View:
    """A product of 100 of NAV at that leverage, whose last decision was ``target``."""
    position = PositionView(100.0, 100.0 * leverage, leverage, target)
    return View(MarketView(T0, price, price, price), position, T0 - 1)


@pytest.mark.parametrize(
    ("band", "low", "high"),
    [
        (GATE_3L, 88.0, 120.0),
        (GATE_3S, 80.0, 112.0),
        (GATE_5L, 1400.0 / 15.0, 112.0),
        (GATE_5S, 1400.0 / 15.0, 105.0),
    ],
)
def test_a_leverage_band_is_a_price_band(band: LeverageBand, low: float, high: float) -> None:
    """A 3x product watches -12 % and +20 %; 3S, 5L and 5S as issuers publish; drawn in by a hair.
    Catches a short whose edges are exchanged, and an edge that lies beyond the true one, which
    would wake late."""
    watch = band.watch(a_view(band.target, target=band.target), STATE)
    assert watch.low == pytest.approx(low, rel=1e-11)
    assert watch.high == pytest.approx(high, rel=1e-11)
    assert watch.low > low * (1 + 5e-13)
    assert watch.high < high * (1 - 5e-13)


@pytest.mark.parametrize(
    ("leverage", "decides"),
    [
        (2.2501, False),
        (3.0, False),
        (4.1249, False),
        (2.25, True),
        (4.125, True),
        (0.0, True),
        (9.0, True),
    ],
)
def test_it_trades_at_an_edge_and_beyond_it(leverage: float, decides: bool) -> None:
    """Always to the target, never to the edge. Catches a strict comparison, after which the wake
    at the edge says nothing."""
    decision, state = GATE_3L.decide(a_view(leverage), STATE)
    assert state is STATE
    assert (decision is not None) == decides
    if decides:
        assert isinstance(decision, SetLeverage)
        assert decision.target == 3.0
        assert f"leverage {leverage:.4g} at or {'below' if leverage < 3 else 'above'} the band" in (
            decision.reason
        )


def test_outside_its_band_the_very_next_price_matters() -> None:
    """As costs may leave it. Catches a product that sleeps outside, because its edge already lies
    behind it."""
    for leverage in (2.25, 2.0, 4.125, 5.0, -3.0):
        assert GATE_3L.watch(a_view(leverage), STATE) == ALWAYS


def test_before_the_first_trade_it_opens_even_inside_the_band() -> None:
    """Coins of an inverse account are one times long by themselves, for a short product too.
    Catches an opening trade left out because the leverage happens to lie inside, and one that
    takes +1 for -1."""
    band = LeverageBand(target=1.5, low=0.5, high=2.0)
    decision, _ = band.decide(a_view(1.0, target=0.0), STATE)
    assert decision == SetLeverage(1.5, "leverage 1 before the opening trade")
    assert band.decide(a_view(1.0, target=1.5), STATE)[0] is None
    short = LeverageBand(target=-1.0, low=0.5, high=2.0)
    assert short.decide(a_view(1.0, target=-1.0), STATE)[0] is not None


def test_a_leverage_of_one_never_moves() -> None:
    """Without debt and without cash there is no edge. Catches a division by zero, or an edge at
    some price."""
    band = LeverageBand(target=1.0, low=0.5, high=2.0)
    assert band.watch(a_view(1.0, target=1.0), STATE) == NEVER


def test_an_edge_without_a_positive_price_is_never() -> None:
    """A 3x long never falls to 0.5 and a 0.5x never rises to 1.2. Catches an edge at a negative
    price, or at one of another branch of the curve."""
    wide = LeverageBand(target=3.0, low=0.5, high=4.125)
    assert wide.watch(a_view(3.0), STATE).high == math.inf
    timid = LeverageBand(target=0.5, low=0.4, high=1.2)
    watch = timid.watch(a_view(0.5, target=0.5), STATE)
    assert watch.high == math.inf
    assert watch.low == pytest.approx(100.0 * 0.4 * 0.5 / (0.5 * 0.6))


@pytest.mark.parametrize(
    "fields",
    [
        {"target": 3.0, "low": 3.0, "high": 4.0},
        {"target": 3.0, "low": 2.0, "high": 3.0},
        {"target": -3.0, "low": -4.0, "high": -2.0},
        {"target": 0.0, "low": 0.0, "high": 1.0},
        {"target": math.nan, "low": 2.0, "high": 4.0},
        {"target": 3.0, "low": 2.0, "high": math.nan},
    ],
)
def test_a_band_that_does_not_hold_its_target_is_refused(fields: Any) -> None:
    """Edges are magnitudes. Catches a band that trades at every tick."""
    with pytest.raises(ValueError, match=r"0 <= low < \|target\| < high"):
        LeverageBand(**fields)


def replayed(band: LeverageBand, prices: Any) -> tuple[float, int]:
    """What is left of 1, and how many times it rebalanced, without costs."""
    market = a_market(
        contract=a_contract(taker_fee=0.0, lot_size=1e-9),
        book=BookSpec(model="flat"),
        frozen_after_ns=2**62,
    )
    spec = a_spec(
        (a_product(seed_atoms=10**14), (band,)),
        markets=(market,),
        sampling=Sampling(nav_every_ns=0),
    )
    count = len(prices)
    sequence = np.arange(count)
    table = Marks(sequence=sequence, symbol=0, ts_ns=T0 + sequence * 10**6, price=prices)
    said: Run = run(spec, Step(first=0, end=count, tables=(table,)))
    handler = said.engine.handlers[0]
    return handler.account.nav(float(prices[-1])) / 10**14, handler.state.rebalances


@pytest.mark.parametrize(
    ("band", "left", "rebalances"),
    [
        (GATE_3L, 0.567242, 8),
        (GATE_3S, 0.296971, 8),
        (GATE_5L, 0.305499, 16),
        (GATE_5S, 0.305506, 24),
    ],
)
def test_down_by_half_and_back_leaves_what_the_band_formula_says(
    band: LeverageBand, left: float, rebalances: int
) -> None:
    """100 -> 50 -> 100 without gaps: 3L keeps 0.567, 3S 0.297, 5L and 5S 0.305, after 8, 8, 16 and
    24 rebalances (products.md 4.5). Catches a rebalance too many or too few, or at another price
    than its edge's."""
    down = 100.0 * 0.5 ** np.linspace(0.0, 1.0, 200_001)
    nav, count = replayed(band, np.concatenate([down, down[-2::-1]]))
    assert count == rebalances
    assert nav == pytest.approx(left, rel=2e-4)


def test_one_rebalance_by_hand() -> None:
    """3x at 100 falls to 88: NAV 0.64, back at 3x it holds 1.92 of exposure, having sold 0.72;
    back at 100 it has 0.64 + 1.92 * 12 / 88 = 0.901818. Catches a trade sized on the old NAV."""
    nav, count = replayed(GATE_3L, np.array([100.0, 88.0, 100.0]))
    assert count == 1
    assert nav == pytest.approx(0.64 + 1.92 * 12.0 / 88.0, rel=1e-9)


@pytest.mark.parametrize("policy", EXAMPLES["leverage_band"])
def test_it_keeps_what_every_policy_promises(policy: LeverageBand) -> None:
    """On other paths than the suite's own test. Catches an edge that is late by a few ulps."""
    check_policy(policy, seeds=1, ticks=500)
