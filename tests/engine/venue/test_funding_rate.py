"""Tests of ``engine.venue.funding_rate``."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.units import HOUR_NS
from engine.venue.funding_rate import (
    MarginRates,
    bounded,
    capped,
    drift_rate,
    drift_spread_max,
    index_delta,
    interest_rate,
    period_rate,
    settlement,
)
from engine.venue.price_rules import FundingRules

RULES = FundingRules()
HYPERLIQUID = FundingRules(interval_ns=HOUR_NS, cap=0.04)
DYDX = FundingRules(interval_ns=HOUR_NS, clamp=None, interest=0.0, cap_margins=6.0)
LARGE_CAP = MarginRates(0.02, 0.012)


@pytest.mark.parametrize(
    ("average", "rate"),
    [
        (0.01, 0.0095),
        (-0.01, -0.0095),
        (0.0003, 0.0001),
        (-0.0004, 0.0001),
        (0.0006, 0.0001),
        (0.0007, 0.0002),
        (0.0, 0.0001),
    ],
)
def test_the_rate_of_a_premium(average: float, rate: float) -> None:
    """Interest while it is within 0.05 % of the premium, else the premium brought in by that."""
    assert period_rate(average, RULES) == pytest.approx(rate, abs=1e-15)


def test_within_the_clamp_the_rate_is_the_interest() -> None:
    """To the last bit, whatever the premium. Catches ``P + (I - P)``, which is off by an ulp."""
    averages = [0.0001 + place * 1e-6 * 3.7 for place in range(-130, 131)]
    within = [p for p in averages if abs(RULES.interest - p) <= 0.0005]
    assert len(within) > 200
    assert {period_rate(average, RULES) for average in within} == {RULES.interest}


def test_the_rate_without_a_clamp() -> None:
    """The chain dYdX adds its default funding to the premium."""
    rules = FundingRules(clamp=None, interest=0.0002)
    assert period_rate(0.01, rules) == 0.0102


def test_interest_of_bitmex() -> None:
    """(0.06 % - 0.03 %) / 3."""
    assert interest_rate(0.0006, 0.0003, 3) == pytest.approx(0.0001, rel=1e-12)
    assert interest_rate(0.0003, 0.0006, 3) == pytest.approx(-0.0001, rel=1e-12)


def test_bounded() -> None:
    """On both sides, the bounds themselves included."""
    assert [bounded(v, 2.0) for v in (-3.0, -2.0, 0.5, 2.0, 3.0)] == [-2.0, -2.0, 0.5, 2.0, 2.0]


def test_the_hour_pays_an_eighth_and_four_per_cent_at_most() -> None:
    """0.95 % for eight hours is 0.11875 % an hour; 40 % would be 5 % an hour and is 4 %."""
    assert capped(0.0095, HYPERLIQUID, MarginRates()) == pytest.approx(0.0011875, rel=1e-12)
    assert capped(0.4, HYPERLIQUID, MarginRates()) == 0.04
    assert capped(-0.4, HYPERLIQUID, MarginRates()) == -0.04
    assert capped(0.0095, RULES, MarginRates()) == 0.0095


def test_the_cap_by_margins_holds_for_eight_hours() -> None:
    """6 x (2 % - 1.2 %) = 4.8 % for eight hours, 0.6 % an hour."""
    assert capped(0.2, DYDX, LARGE_CAP) == pytest.approx(0.006, rel=1e-12)
    assert capped(-0.2, DYDX, LARGE_CAP) == pytest.approx(-0.006, rel=1e-12)
    assert capped(0.008, DYDX, LARGE_CAP) == pytest.approx(0.001, rel=1e-12)


def test_the_cap_by_maintenance_margin() -> None:
    """Three quarters of 0.4 % is 0.3 %."""
    rules = FundingRules(cap_maintenance=0.75)
    margins = MarginRates(0.008, 0.004)
    assert capped(0.01, rules, margins) == pytest.approx(0.003, rel=1e-12)
    assert capped(-0.01, rules, margins) == pytest.approx(-0.003, rel=1e-12)
    assert capped(0.002, rules, margins) == 0.002


def test_the_index_moves_in_whole_units_towards_zero() -> None:
    """1,001,999 ppm of a price of 1,000 a whole period: 1,001.999 is 1,001, downwards -1,001."""
    eight_hours = 8 * HOUR_NS
    assert index_delta(1_001_999, 1_000, 0, -12, eight_hours) == 1_001
    assert index_delta(-1_001_999, 1_000, 0, -12, eight_hours) == -1_001
    assert index_delta(-1_001_999, 1_000, 2, -4, 4 * HOUR_NS) == -5_009_995_000_000
    assert index_delta(1_000_000, 1_000, 0, -12, eight_hours) == 1_000
    assert index_delta(0, 1_000, 0, -12, eight_hours) == 0


@given(
    st.integers(-(10**8), 10**8),
    st.integers(0, 10**12),
    st.integers(-9, 6),
    st.integers(-12, -3),
    st.integers(0, 10 * HOUR_NS),
)
def test_the_index_is_the_exact_quotient_cut(
    ppm: int, price: int, exponent: int, resolution: int, elapsed: int
) -> None:
    """Against fractions: never larger in magnitude, by less than one unit."""
    exact = (
        Fraction(elapsed, 10**9)
        * ppm
        * price
        / 28_800
        * Fraction(10) ** (exponent + resolution + 6)
    )
    found = index_delta(ppm, price, exponent, resolution, elapsed)
    assert abs(found) <= abs(exact) < abs(found) + 1
    assert found * exact >= 0


def test_a_long_pays_where_the_index_rose() -> None:
    """Lazily, for all that happened since it was last touched."""
    assert settlement(123_456_789_123, 100_000_000_000, 1_000_000) == -23_456_789_123_000_000
    assert settlement(100, -100, 30_000) == -6_000_000
    assert settlement(0, 100, -5_000_000) == -500_000_000
    assert settlement(7, 7, 5) == 0


def test_the_spread_of_drift() -> None:
    """A tenth, a twentieth or a 33rd of the oracle, cut."""
    assert drift_spread_max(49_000_000, "") == 4_900_000
    assert drift_spread_max(49_000_000, "C") == 2_450_000
    assert drift_spread_max(49_000_000, "B") == drift_spread_max(49_000_000, "A") == 1_484_848


def test_the_rate_of_drift() -> None:
    """A spread of 1 with its offset of 0.0098: a 24th; a wide one stops at the 33rd."""
    assert drift_rate(50_000_000, 49_000_000, "B") == 1_009_800 / 24
    assert drift_rate(59_000_000, 49_000_000, "B") == 1_484_848 / 24
    assert drift_rate(39_000_000, 49_000_000, "B") == -1_484_848 / 24


@pytest.mark.parametrize("average", [0.0006, -0.0004, 0.00045678, 0.1])
def test_at_the_very_clamp_the_rate_is_still_the_interest(average: float) -> None:
    """As far from the interest as the clamp allows, to the last bit. Catches a clamp that holds
    only below its bound: for 0.1 premium and interest add up to an ulp more."""
    rules = FundingRules(clamp=abs(RULES.interest - average))
    assert period_rate(average, rules) == RULES.interest


def test_a_lowest_tier_that_nobody_told_of_keeps_nothing() -> None:
    """No margin to open, none to keep."""
    assert (MarginRates().initial, MarginRates().maintenance) == (0.0, 0.0)
