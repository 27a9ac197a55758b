"""Tests of ``strategies.vol_target``."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from engine.policy import SetLeverage
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from strategies import VolTarget
from strategies.reviewing import Review
from tests.builders import T0, a_market, a_product, a_row, a_spec, a_tape, run
from tests.strategies.seen import a_view


@pytest.mark.parametrize(
    ("policy", "volatility", "wanted"),
    [
        (VolTarget(), 0.3, 2.0),
        (VolTarget(scaled_by="variance"), 0.3, 4.0),
        (VolTarget(), 1.2, 0.5),
        (VolTarget(scaled_by="variance"), 1.2, 0.25),
        (VolTarget(direction=-1), 0.3, -2.0),
        (VolTarget(high=1.5), 0.3, 1.5),
        (VolTarget(low=1.0), 6.0, 1.0),
        (VolTarget(), 0.0, 1.0),
        (VolTarget(), math.nan, 1.0),
    ],
)
def test_leverage_is_target_over_volatility(
    policy: VolTarget, volatility: float, wanted: float
) -> None:
    """``c / sigma`` or ``(c / sigma)**2``, clipped. Catches an exponent, a limit or a sign that is
    wrong, and a division by no volatility."""
    decision, state = policy.decide(a_view(0.0, ewma_vol=volatility), Review())
    assert isinstance(decision, SetLeverage)
    assert decision.target == pytest.approx(wanted, rel=1e-12)
    assert state.next_ns > T0


@pytest.mark.parametrize("name", ["ewma", "realised", "parkinson"])
def test_it_reads_the_estimator_it_names(name: str) -> None:
    """Catches one that always reads the same."""
    policy = VolTarget(estimator=name)  # type: ignore[arg-type]  # one of the three
    decision, _ = policy.decide(a_view(0.0, **{f"{name}_vol": 0.3}), Review())
    assert isinstance(decision, SetLeverage)
    assert decision.target == pytest.approx(2.0, rel=1e-12)


def test_in_a_market_of_one_volatility_leverage_is_one_number() -> None:
    """Returns of one size and both signs: the estimate is that size, annualised, from the second
    step on, and leverage the target over it; NAV is the product of ``1 + L r``. The closed form of
    a constant volatility. Catches an estimate that is read a step late or in another unit."""
    step, rows = 2e-4, 240
    prices = [100.0]
    for number in range(rows):
        prices.append(prices[-1] * (1.0 + (step if number % 2 else -step)))
    tape = a_tape(
        a_row(Kind.MARK, T0 + number * 10 * SECOND_NS, price) for number, price in enumerate(prices)
    )
    policy = VolTarget(target_vol=0.6, review_s=10.0, step=0.0, high=5.0)
    market = a_market(book=BookSpec(model="flat"))
    product = a_product(seed_atoms=10**15)
    said = run(a_spec((product, (policy,)), markets=(market,)), tape)
    volatility = step * math.sqrt(365 * 8640)
    settled = [e for e in said.named("rebalanced") if e.ts_ns > T0 + 60 * SECOND_NS]
    assert len(settled) > 200
    for event in settled:
        assert event.target == pytest.approx(0.6 / volatility, rel=1e-9)
    first, last = settled[0], settled[-1]
    growth = 1.0
    number = (first.ts_ns - T0) // (10 * SECOND_NS)
    until = (last.ts_ns - T0) // (10 * SECOND_NS)
    for before, after in pairwise(prices[number : until + 1]):
        growth *= 1.0 + 0.6 / volatility * (after / before - 1.0)
    assert last.nav_atoms / first.nav_atoms == pytest.approx(growth, rel=2e-3)


def test_between_reviews_and_while_stale_it_leaves_things_alone() -> None:
    """Before its time it says nothing and keeps its state; stale signals only reduce. Catches a
    product that buys on a price nobody has seen for an hour."""
    policy, state = VolTarget(), Review(T0 + 1)
    assert policy.decide(a_view(1.0, ewma_vol=0.3), state) == (None, state)
    due = a_view(1.0, ewma_vol=0.3, stale=True, due_ns=T0 + 1)
    assert policy.decide(due, state)[0] is None
    due = a_view(3.0, ewma_vol=0.3, stale=True, due_ns=T0 + 1)
    assert policy.decide(due, state)[0] == SetLeverage(2.0, "volatility 30% for 60%")


def test_from_long_to_short_it_goes_by_way_of_nothing() -> None:
    """Catches an order that would turn a product's sign."""
    decision, _ = VolTarget(direction=-1).decide(a_view(2.0, ewma_vol=0.6), Review(1))
    assert isinstance(decision, SetLeverage)
    assert decision.target == 0.0
    assert "flat before it turns" in decision.reason


@pytest.mark.parametrize(
    "wrong",
    [{"target_vol": 0.0}, {"low": 2.0}, {"direction": 2}, {"review_s": 0.0}, {"step": -1.0}],
)
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Catches a policy that would fault at its first review."""
    with pytest.raises(ValueError, match="vol_target"):
        VolTarget(**wrong)  # type: ignore[arg-type]  # each has its own type
