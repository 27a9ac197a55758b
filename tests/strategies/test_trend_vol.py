"""Tests of ``strategies.trend_vol``."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from engine.policy import Deleverage, MarketView, PositionView, SetLeverage, View
from engine.units import SECOND_NS
from strategies import TrendVol
from strategies.trend_vol import TrendVolState
from tests.strategies.check_policy import EXAMPLES, check_policy

SMART = TrendVol()
SHORT = TrendVol(direction=-1)
REVIEW = 1_700_000_100 * SECOND_NS
"""A point of the grid of 300 s."""
NEXT = REVIEW + 300 * SECOND_NS


def a_view(due_ns: int = REVIEW, *, price: float = 100.0, held: float = 2.0, **market: Any) -> View:
    position = PositionView(100.0, 100.0 * held, held, held)
    return View(MarketView(due_ns, price, price, price, **market), position, due_ns)


def wanted(policy: TrendVol, *, trend: float, vol: float) -> float:
    """The leverage it opens with."""
    decision, _ = policy.decide(a_view(trend=trend, ewma_vol=vol), policy.initial_state())
    assert isinstance(decision, SetLeverage)
    return decision.target * policy.direction


@pytest.mark.parametrize(
    ("trend", "vol", "want"),
    [
        (0.5, 0.6, 2.0 + 2.0 * 0.4 / 0.9),  # clear 0.4444: 2.889
        (0.5, 1.2, (2.0 + 2.0 * 0.4 / 0.9) / 2.0),  # twice the volatility, half of it
        (0.1, 0.3, 2.0),  # at the floor nothing is clear, and calm adds nothing
        (-0.9, 0.3, 2.0),  # a trend against us is no clear one
        (1.0, 0.0, 4.0),  # straight up, and no volatility known yet
        (1.0, 0.6, 4.0),
        (0.0, 1.0, 1.2),
        (0.0, 10.0, 1.0),  # never below its low
    ],
)
def test_leverage_goes_up_in_a_clear_trend_and_down_with_volatility(
    trend: float, vol: float, want: float
) -> None:
    """(base + (high - base) * clear) * min(1, target / vol), kept in [low, high]; a short product
    reads the trend the other way. Catches a scale above one, and a trend without its sign."""
    assert wanted(SMART, trend=trend, vol=vol) == pytest.approx(want)
    assert wanted(SHORT, trend=-trend, vol=vol) == pytest.approx(want)


def test_it_looks_again_at_each_point_of_its_grid() -> None:
    """At the opening and at the reviews, not between; woken early it leaves no trace. Catches a
    review at every wake."""
    opened = SMART.decide(a_view(), SMART.initial_state())[1]
    assert opened.next_ns == NEXT
    assert SMART.watch(a_view(), opened).alarm_ns == NEXT
    decision, kept = SMART.decide(a_view(NEXT - 1, trend=1.0, price=100.5), opened)
    assert decision is None
    assert kept is opened
    decision, kept = SMART.decide(a_view(NEXT, trend=1.0, price=100.5), opened)
    assert decision == SetLeverage(4.0, "trend +1.00, volatility 0%")
    assert kept == TrendVolState(NEXT + 300 * SECOND_NS, 100.5)


@pytest.mark.parametrize(
    ("held", "trades"), [(2.0, True), (3.74, True), (3.8, False), (4.2, False)]
)
def test_a_small_difference_is_not_worth_a_trade(held: float, trades: bool) -> None:
    """It wants 4 and trades only where more than 0.25 is missing; the review counts either way.
    Catches costs for nothing."""
    state = TrendVolState(REVIEW, 100.0)
    decision, kept = SMART.decide(a_view(held=held, trend=1.0), state)
    assert (decision is not None) == trades
    assert kept.next_ns == NEXT
    assert kept.mark == 100.0
    assert decision is None or decision.target == 4.0


@pytest.mark.parametrize("policy", [SMART, SHORT], ids=["long", "short"])
def test_a_fast_move_against_it_is_cut_at_once(policy: TrendVol) -> None:
    """3 % since the last review, down for a long and up for a short: to its low, as a
    deleveraging, before the review. In its favour, or one tick short of it, nothing. Catches a
    short that is cut when it wins."""
    sign = policy.direction
    state = TrendVolState(NEXT, 100.0)
    at_edge, short_of, gain = 100.0 - 3.0 * sign, 100.0 - 2.999 * sign, 100.0 + 5.0 * sign
    held = 2.0 * sign
    for price in (short_of, gain):
        assert policy.decide(a_view(price=price, held=held), state) == (None, state)
    decision, kept = policy.decide(a_view(price=at_edge * (1 - 1e-9 * sign), held=held), state)
    assert isinstance(decision, Deleverage)
    assert decision.target == sign * 1.0
    assert "fast move: 3.00% against us" in decision.reason
    assert kept.mark == pytest.approx(at_edge)
    watch = policy.watch(a_view(), state)
    edge, other = (watch.low, watch.high) if sign > 0 else (watch.high, watch.low)
    assert edge == pytest.approx(at_edge, rel=1e-11)
    assert (edge - at_edge) * sign > 0.0, "drawn in"
    assert math.isinf(other)


def test_after_a_cut_the_fast_move_is_measured_anew() -> None:
    """From the price of the cut, also where there was nothing left to cut. Catches a product that
    is woken at every tick below its old edge."""
    state = TrendVolState(NEXT, 100.0)
    decision, kept = SMART.decide(a_view(price=95.0, held=1.2), state)
    assert decision is None
    assert kept.mark == 95.0
    watch = SMART.watch(a_view(price=95.0), kept)
    assert watch.low == pytest.approx(95.0 * 0.97)
    assert watch.alarm_ns == NEXT


@pytest.mark.parametrize(("held", "target"), [(1.0, None), (3.0, 2.0)])
def test_while_the_signals_are_stale_it_only_reduces(held: float, target: float | None) -> None:
    """It wants 2: from 1 it stays, from 3 it goes down. Catches leverage raised on figures of an
    hour ago."""
    decision, kept = SMART.decide(a_view(held=held, stale=True), TrendVolState(REVIEW, 100.0))
    assert (decision.target if isinstance(decision, SetLeverage) else None) == target
    assert kept.next_ns == NEXT


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"direction": 0}, "direction"),
        ({"low": 0.0}, "low <= base <= high"),
        ({"low": 3.0}, "low <= base <= high"),
        ({"high": 1.0}, "low <= base <= high"),
        ({"base": math.nan}, "low <= base <= high"),
        ({"trend_floor": 1.0}, "trend_floor"),
        ({"target_vol": 0.0}, "target_vol"),
        ({"step": -0.1}, "step"),
        ({"fast_move": 1.0}, "fast_move"),
        ({"review_s": 0.5}, "review_s"),
        ({"review_s": math.inf}, "review_s"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(fields: Any, message: str) -> None:
    """Catches a division by zero at the first review, and a review that never comes."""
    with pytest.raises(ValueError, match=message):
        TrendVol(**fields)


def test_its_parameters_come_from_a_configuration() -> None:
    """By its tag, with unknown keys refused. Catches a misspelt parameter that stays at its
    default."""
    made = msgspec.convert({"type": "trend_vol", "high": 3.0}, TrendVol)
    assert made == TrendVol(high=3.0)
    with pytest.raises(msgspec.ValidationError, match="unknown field `hihg`"):
        msgspec.convert({"type": "trend_vol", "hihg": 3.0}, TrendVol)


@pytest.mark.parametrize("policy", EXAMPLES["trend_vol"])
def test_it_keeps_what_every_policy_promises(policy: TrendVol) -> None:
    """On other paths than the suite's own test."""
    check_policy(policy, seeds=1, ticks=200)
