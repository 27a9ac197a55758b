"""Tests of ``strategies.kelly_capped``."""

from __future__ import annotations

import math

import pytest

from engine.policy import SetLeverage
from strategies import KellyCapped
from strategies.reviewing import Review
from tests.strategies.seen import a_view

RATE = 0.1 / 1095
"""Funding of 10 % a year, in three instants a day."""


def wanted(policy: KellyCapped, volatility: float = 0.6, rate: float = RATE) -> float:
    decision, _ = policy.decide(a_view(0.0, ewma_vol=volatility, funding_rate=rate), Review())
    assert isinstance(decision, SetLeverage)
    return decision.target


def test_the_published_point() -> None:
    """Mu 50 %, funding 10 %, sigma 60 %: 1.1111x grows by 0.2222 a year, at twice that by nothing,
    and any other leverage by less. Catches a rate that is not annualised, and a variance that is a
    volatility."""
    full = wanted(KellyCapped(expected_return=0.5, fraction=1.0))
    assert full == pytest.approx(1.1111, abs=1e-4)

    def growth(leverage: float) -> float:
        return leverage * 0.4 - leverage**2 * 0.36 / 2

    assert growth(full) == pytest.approx(0.2222, abs=1e-4)
    assert growth(2 * full) == pytest.approx(0.0, abs=1e-12)
    assert growth(full) > max(growth(full - 0.01), growth(full + 0.01))
    assert wanted(KellyCapped(expected_return=0.5)) == pytest.approx(full / 2)


def test_it_is_capped_on_both_sides() -> None:
    """Calm makes no more than ``high``, a bad outlook no less than ``low``. Catches a short that
    nobody allowed."""
    assert wanted(KellyCapped(), 0.05) == 3.0
    assert wanted(KellyCapped(expected_return=-1.0)) == 0.0
    assert wanted(KellyCapped(expected_return=-1.0, low=-0.5)) == -0.5
    assert wanted(KellyCapped(), 0.0) == 0.0
    assert wanted(KellyCapped(), rate=math.nan) == 0.0


@pytest.mark.parametrize("wrong", [{"fraction": 0.0}, {"low": 5.0}, {"funding_times": -1.0}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Catches a share of nothing."""
    with pytest.raises(ValueError, match="kelly_capped"):
        KellyCapped(**wrong)
