"""Tests of ``strategies.one_sided_guard``."""

from __future__ import annotations

import math

import pytest

from engine.policy import Nothing, SetLeverage
from engine.watch import NEVER
from strategies import OneSidedGuard
from tests.strategies.seen import a_view

STATE = Nothing()


@pytest.mark.parametrize(
    ("policy", "edge", "low", "high"),
    [
        (OneSidedGuard(target=3.0, high=4.0), 4.0, 800 / 9, math.inf),
        (OneSidedGuard(target=-3.0, high=4.0), 4.0, -math.inf, 1600 / 15),
        (OneSidedGuard(target=-1.0, high=4 / 3), 4 / 3, -math.inf, 800 / 7),
        (OneSidedGuard(target=3.0, move=0.15), 2.55 / 0.55, 85.0, math.inf),
        (OneSidedGuard(target=-3.0, move=0.15), 3.45 / 0.55, -math.inf, 115.0),
    ],
)
def test_it_watches_the_losing_side_alone(
    policy: OneSidedGuard, edge: float, low: float, high: float
) -> None:
    """FTX's BULL at -1/9, BEAR at +1/15 and HEDGE at +1/7; KuCoin's and MEXC's at 15 %. Catches a
    guard that trades on gains, too, and one on the wrong side."""
    assert policy.edge == pytest.approx(edge)
    watch = policy.watch(a_view(policy.target), STATE)
    assert watch.low == pytest.approx(low, rel=1e-11)
    assert watch.high == pytest.approx(high, rel=1e-11)


def test_it_cuts_at_the_edge_and_never_adds() -> None:
    """Catches a guard that opens a product, or buys on the winning side."""
    policy = OneSidedGuard(target=3.0, high=4.0)
    assert policy.decide(a_view(3.99), STATE) == (None, STATE)
    assert policy.decide(a_view(1.5), STATE) == (None, STATE)
    assert policy.decide(a_view(0.0), STATE) == (None, STATE)
    assert policy.watch(a_view(0.0), STATE) == NEVER
    decision, _ = policy.decide(a_view(4.0), STATE)
    assert isinstance(decision, SetLeverage)
    assert decision.target == 3.0


@pytest.mark.parametrize(
    "wrong", [{}, {"high": 4.0, "move": 0.1}, {"high": 2.0}, {"move": 0.4}, {"move": 2.0}]
)
def test_an_edge_that_is_never_met_alive_is_refused(wrong: dict[str, float]) -> None:
    """A fall of 40 % takes everything from 3x. Catches a guard that stands behind bankruptcy."""
    with pytest.raises(ValueError, match="one_sided_guard"):
        OneSidedGuard(target=3.0, **wrong)
