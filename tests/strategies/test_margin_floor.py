"""Tests of ``strategies.margin_floor``."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.policy import Deleverage, MarketView, Nothing, PositionView, View
from engine.venue.book import BookSpec
from engine.watch import ALWAYS, NEVER
from strategies import MarginFloor, Schedule
from tests.builders import T0, a_contract, a_market, a_product, a_spec, a_tape, run
from tests.strategies.check_policy import EXAMPLES, check_policy

FLOOR = MarginFloor(max_leverage=8.0, cut_to=3.0)
STATE = Nothing()


def a_view(leverage: float, *, nav: float = 100.0) -> View:
    position = PositionView(nav, nav * leverage, leverage if nav > 0 else 0.0, 3.0)
    return View(MarketView(T0, 100.0, 100.0, 100.0), position, T0 - 1)


@pytest.mark.parametrize(
    ("leverage", "low", "high"),
    [
        (3.0, 100.0 * 8 * 2 / (3 * 7), math.inf),  # -23.8 %, products.md 0.3
        (-3.0, -math.inf, 100.0 * 8 * 4 / (3 * 9)),  # +18.5 %
        (5.0, 100.0 * 8 * 4 / (5 * 7), math.inf),
    ],
)
def test_the_edge_is_where_leverage_reaches_the_maximum(
    leverage: float, low: float, high: float
) -> None:
    """A 3x long at -23.8 %, a 3x short at +18.5 %; on the other side nothing. Catches a short that
    watches the wrong side."""
    watch = FLOOR.watch(a_view(leverage), STATE)
    assert watch.low == pytest.approx(low, rel=1e-11)
    assert watch.high == pytest.approx(high, rel=1e-11)
    if leverage > 0.0:
        assert watch.low > low
    else:
        assert watch.high < high


@pytest.mark.parametrize("leverage", [0.5, 1.0])
def test_an_unleveraged_holding_has_no_edge(leverage: float) -> None:
    """With cash left, or without debt, no fall makes it 8x. Catches an edge at a negative price."""
    watch = FLOOR.watch(a_view(leverage), STATE)
    assert (watch.low, watch.high) == (-math.inf, math.inf)


def test_without_exposure_it_has_nothing_to_say() -> None:
    """Before the opening trade and after a close. Catches a product that is woken for ever by a
    leverage of zero."""
    assert FLOOR.watch(a_view(0.0), STATE) == NEVER
    assert FLOOR.decide(a_view(0.0), STATE) == (None, STATE)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_it_cuts_at_the_maximum_and_beyond(sign: float) -> None:
    """To 3x of the side that is held, as a deleveraging, which beats the band's decision. Catches
    a short that is cut into a long, and a cut at the edge left out."""
    assert FLOOR.decide(a_view(sign * 7.999), STATE)[0] is None
    for held in (8.0, 9.5, 400.0):
        decision, state = FLOOR.decide(a_view(sign * held), STATE)
        assert isinstance(decision, Deleverage)
        assert decision.target == sign * 3.0
        assert decision.reason == f"leverage {held:.4g} at or above 8"
        assert state is STATE
    assert FLOOR.watch(a_view(sign * 8.0), STATE) == ALWAYS


def test_it_is_asked_while_another_plan_is_under_way() -> None:
    """Its edge stays armed. Catches a forced cut that waits for a slow rebalance."""
    assert MarginFloor.de_risking
    assert not MarginFloor.uses_signals


@pytest.mark.parametrize(
    "fields",
    [
        {"max_leverage": 3.0, "cut_to": 3.0},
        {"max_leverage": 2.0, "cut_to": 3.0},
        {"cut_to": 0.0},
        {"cut_to": -1.0},
        {"max_leverage": math.nan},
    ],
)
def test_a_floor_that_cuts_to_nothing_less_is_refused(fields: Any) -> None:
    """Catches a cut that would leave the product at its own edge, cutting for ever."""
    with pytest.raises(ValueError, match="0 < cut_to < max_leverage"):
        MarginFloor(**fields)


def test_a_cut_on_the_engine_by_hand() -> None:
    """3x bought at 100, NAV 0.25 at 75 is 9x: above 8, so it is cut to 3x: exposure 2.25 becomes
    0.75, and 1.50 is sold, 2 coins for each 100 of the start. Catches a floor that reports a
    rebalance, or sells at its edge instead of the price found."""
    market = a_market(contract=a_contract(taker_fee=0.0), book=BookSpec(model="flat"))
    product = a_product(seed_atoms=100 * 10**6)
    spec = a_spec((product, (Schedule(target=3.0, every_s=1e6), FLOOR)), markets=(market,))
    said = run(spec, a_tape([100.0, 77.0, 75.0, 75.1]))
    (cut,) = said.named("deleveraged")
    assert (cut.mark_price, cut.lots, cut.position_lots) == (75.0, -2_000_000, 1_000_000)
    assert (cut.leverage_before, cut.leverage_after) == (pytest.approx(9.0), pytest.approx(3.0))
    assert cut.nav_atoms == 25 * 10**6
    assert said.engine.handlers[0].state.deleveragings == 1
    assert [e.opening for e in said.named("rebalanced")] == [True]


@pytest.mark.parametrize("policy", EXAMPLES["margin_floor"])
def test_it_keeps_what_every_policy_promises(policy: MarginFloor) -> None:
    """On longer paths than the suite's own test."""
    check_policy(policy, seeds=1, ticks=500)
