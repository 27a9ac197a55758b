"""Tests of ``strategies.deviation``."""

from __future__ import annotations

import pytest

from engine.policy import Nothing, SetLeverage
from engine.watch import ALWAYS
from strategies import Deviation
from tests.strategies.seen import a_view, followed

STATE = Nothing()


@pytest.mark.parametrize(
    ("target", "threshold", "share"),
    [(2.0, 0.05, 0.025), (5.0, 0.10, 0.02), (1.5, 0.03, 0.02), (-1.0, 0.03, 0.03)],
)
def test_it_is_a_pure_price_trigger(target: float, threshold: float, share: float) -> None:
    """``threshold / L`` either way from where leverage was ``L``: 2.5 % for a 2x token. Catches
    leverage in the place of size, whose edges would not be alike."""
    policy = Deviation(target=target, threshold=threshold)
    watch = policy.watch(a_view(target), STATE)
    assert watch.low == pytest.approx(100 * (1 - share), rel=1e-11)
    assert watch.high == pytest.approx(100 * (1 + share), rel=1e-11)
    assert watch.low > 100 * (1 - share)
    for inside in (1 - share * 0.999, 1 + share * 0.999):
        assert not followed(policy, (100.0, 100.0 * inside)).rebalances
    for outside in (1 - share * 1.001, 1 + share * 1.001):
        assert followed(policy, (100.0, 100.0 * outside)).rebalances


def test_the_published_ratio_is_met_at_the_trigger() -> None:
    """``|N - M0 L| / (M0 L) * L`` is the threshold at the price at which it trades. Catches a
    reference that moves with the price."""
    nav, size, price = 100.0, 200.0, 97.5
    later = size * price / 100.0
    assert abs(later - nav * 2.0) / (nav * 2.0) * 2.0 == pytest.approx(0.05)
    view = a_view(later / (nav - 5.0), price=price - 1e-9, nav=nav - 5.0)
    decision, _ = Deviation(target=2.0).decide(view, STATE)
    assert decision == SetLeverage(2.0, "-2.50% from 100")


def test_a_line_that_is_never_on_target_is_traded_at_once() -> None:
    """Nothing held, or coins without a hedge. Catches a product that never opens."""
    policy = Deviation(target=2.0)
    for leverage in (0.0, 1.0, 0.5, -1.0):
        assert policy.watch(a_view(leverage), STATE) == ALWAYS
        assert policy.decide(a_view(leverage), STATE)[0] is not None


@pytest.mark.parametrize("wrong", [{"target": 1.0}, {"target": 0.0}, {"target": 2, "threshold": 3}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """1x long never deviates. Catches a division by nothing."""
    with pytest.raises(ValueError, match="deviation"):
        Deviation(**wrong)
