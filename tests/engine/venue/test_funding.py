"""Tests of ``engine.venue.funding``."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import pytest

from engine.units import DAY_NS, HOUR_NS, NEVER_NS
from engine.venue.contract import Contract
from engine.venue.funding import (
    FundingDue,
    FundingSpec,
    funding_payment,
    next_instant,
    next_scheduled,
)
from engine.venue.price_rules import FundingRules
from tests.builders import T0, a_contract

USDT = 10**6


def test_a_long_of_three_coins_at_60_000_pays_18() -> None:
    """180,000 of notional at one basis point; a short of that size receives it, and a negative
    rate exchanges the two. Catches the sign of funding."""
    notional = Contract(a_contract()).notional(3_000_000, 60_000.0)
    assert funding_payment(notional, 1, 0.0001) == 18 * USDT
    assert funding_payment(notional, -1, 0.0001) == -18 * USDT
    assert funding_payment(notional, 1, -0.0001) == -18 * USDT
    assert funding_payment(notional, -1, -0.0001) == 18 * USDT
    assert funding_payment(notional, 0, 0.0001) == 0
    assert funding_payment(notional, 1, 0.0) == 0


@pytest.mark.parametrize(
    ("side", "rate", "paid"), [(1, 1, 2), (-1, 1, -1), (1, -1, -1), (-1, -1, 2)]
)
def test_the_payer_pays_up_and_the_payee_receives_down(side: int, rate: int, paid: int) -> None:
    """1.0001 micros: two are paid, one is received. Catches the pool's funding account going below
    what it collected."""
    assert funding_payment(10_001, side, rate * 0.0001) == paid


def test_a_rate_counts_as_the_decimal_it_is() -> None:
    """Exactly 100 is due, not 101. Catches the tail of the nearest float being rounded up."""
    assert funding_payment(1_000_000, 1, 0.0001) == 100
    assert funding_payment(1_000_000, -1, 0.0001) == -100
    random = Random(1)
    for _ in range(1_000):
        notional, rate = random.randint(0, 10**14), round(random.uniform(-0.01, 0.01), 8)
        side = random.choice((-1, 1))
        assert funding_payment(notional, side, rate) == math.ceil(
            notional * side * Fraction(str(rate))
        )


def test_what_longs_pay_covers_what_shorts_receive() -> None:
    """Over random sizes: together they never leave the venue short, and by two steps at most.
    Catches rounding in both sides' favour."""
    random = Random(2)
    for _ in range(1_000):
        notional, rate = random.randint(0, 10**12), random.uniform(-0.01, 0.01)
        both = funding_payment(notional, 1, rate) + funding_payment(notional, -1, rate)
        assert 0 <= both <= 1


def test_a_constant_rate_is_due_at_0_8_and_16_utc() -> None:
    """T0 is 22:13:20 UTC, so the next instant is midnight; at the instant itself the next one is
    eight hours on. Catches an instant that is settled twice."""
    spec = FundingSpec(recorded=False, rate_8h=0.0003)
    midnight = 1_700_006_400 * 10**9
    assert next_scheduled(spec, T0) == (midnight, 0.0003)
    assert next_scheduled(spec, midnight - 1) == (midnight, 0.0003)
    assert next_scheduled(spec, midnight) == (midnight + 8 * HOUR_NS, 0.0003)


def test_a_table_of_instants_is_followed() -> None:
    """The first one strictly later than now; after the last one never. Catches an instant that is
    skipped or repeated."""
    spec = FundingSpec(recorded=False, instants=((10, 0.1), (20, -0.2)))
    assert next_scheduled(spec, 0) == (10, 0.1)
    assert next_scheduled(spec, 9) == (10, 0.1)
    assert next_scheduled(spec, 10) == (20, -0.2)
    assert next_scheduled(spec, 20) == (NEVER_NS, 0.0)


def test_a_table_beats_a_constant_and_recorded_rates_are_not_known_here() -> None:
    """Catches funding that is assumed where the configuration says nothing."""
    both = FundingSpec(recorded=False, instants=((10, 0.1),), rate_8h=0.5)
    assert next_scheduled(both, 0) == (10, 0.1)
    assert next_scheduled(FundingSpec(), T0) == (NEVER_NS, 0.0)
    assert next_scheduled(FundingSpec(recorded=False), T0) == (NEVER_NS, 0.0)


def test_settlements_of_a_day() -> None:
    """BitMEX settles at 04, 12 and 20; every eight hours without an offset at 00, 08 and 16; an
    interval that does not divide the day begins anew with it. The instant itself has passed."""
    midnight = 20_000 * DAY_NS
    bitmex, binance = FundingRules(offset_ns=4 * HOUR_NS), FundingRules()
    odd = FundingRules(interval_ns=10 * HOUR_NS, sample_ns=HOUR_NS)
    late = FundingRules(interval_ns=7 * HOUR_NS, offset_ns=12 * HOUR_NS, sample_ns=HOUR_NS)
    for rules, after, instant in (
        (bitmex, 0, 4),
        (bitmex, 3, 4),
        (bitmex, 4, 12),
        (bitmex, 20, 28),
        (binance, 0, 8),
        (binance, 7, 8),
        (binance, 16, 24),
        (odd, 0, 10),
        (odd, 10, 20),
        (odd, 20, 24),
        (late, 13, 19),
        (late, 33, 36),
    ):
        found = next_instant(rules, midnight + after * HOUR_NS)
        assert (found - midnight) / HOUR_NS == instant
    assert next_instant(binance, midnight - 1) == midnight
    spec = FundingSpec(recorded=False, premium=bitmex)
    assert next_scheduled(spec, midnight) == (midnight + 4 * HOUR_NS, 0.0)


def test_unless_told_otherwise_recorded_rates_hold_and_the_instant_pays() -> None:
    """Who opened at the very instant is there already."""
    assert FundingSpec().recorded
    assert FundingDue(0.001) == FundingDue(0.001, index_price=None, instant_pays=True)
