"""Tests of ``engine.venue.rules`` and ``engine.venue.price_rules``."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.price_rules import FundingRules, IndexSource, MarkRules
from engine.venue.rules import Tier, VenueRules

UNSAID: dict[str, dict[str, Any]] = {
    "orders": {"size_min": 0.0, "notional_min": 0.0},
    "margin": {
        "tiers": [],
        "caps_in": "quote",
        "priced_at": "mark",
        "taker_fee_inside": False,
        "fee_at": "position",
        "call_at": 0.0,
        "strict": False,
        "of_initial": False,
    },
    "liquidation": {
        "steps": "full",
        "portion": 1.0,
        "portion_above": 0.0,
        "step_min": 0.0,
        "pause_ns": 0,
        "cooldown_ns": 0,
        "first": "heaviest",
        "limit": "bankruptcy",
        "bankruptcy_adjustment": 1.0,
        "spread_to_maintenance": 0.1,
        "surplus": "fund",
        "fee": 0.0,
        "fee_from_freed": False,
        "liquidator_fee": 0.0,
        "slot_ns": 400_000_000,
        "backstop_below": 0.0,
    },
    "insurance": {"balance": 0.0, "drawdown": 1.0, "window_ns": 8 * HOUR_NS},
    "adl": {
        "ranking": "binance",
        "price": "bankruptcy",
        "mark_beyond": 0.0,
        "rest": "socialise",
    },
}
"""What is not listed is ``None``: there is no such rule."""


@pytest.mark.parametrize("part", UNSAID)
def test_what_a_venue_does_that_says_nothing(part: str) -> None:
    """It asks for no margin, closes whole at the bankruptcy price, keeps what is left over, pays
    until its fund is empty, and socialises the rest; it charges and refuses nothing."""
    rules = msgspec.to_builtins(getattr(VenueRules(), part))
    assert {name: rule for name, rule in rules.items() if rule is not None} == {
        name: tuple(rule) if isinstance(rule, list) else rule for name, rule in UNSAID[part].items()
    }


def test_a_tier_deducts_what_it_says() -> None:
    """Nothing unless told, and its initial margin is what its leverage leaves."""
    tier = Tier(cap=1.0, max_leverage=2.0, rate=0.1)
    assert (tier.deduction, tier.initial_rate) == (0.0, None)


def test_prices_of_a_venue_that_says_nothing() -> None:
    """Binance's: the mean of thirty distances five seconds apart, funding of eight hours from
    premiums of each minute; a source counts alike for ten seconds."""
    assert MarkRules() == MarkRules(
        every_ns=SECOND_NS,
        legs=("funding", "basis", "book"),
        funding_grid_ns=0,
        basis_step=0.0,
        basis="mean",
        basis_every_ns=5 * SECOND_NS,
        basis_points=30,
        basis_tau_ns=150 * SECOND_NS,
        book="last",
        pair="first",
        pair_tau_ns=30 * SECOND_NS,
        stale_after_ns=MINUTE_NS,
    )
    assert FundingRules() == FundingRules(
        interval_ns=8 * HOUR_NS,
        offset_ns=0,
        rate_interval_ns=8 * HOUR_NS,
        sample_ns=MINUTE_NS,
        kernel="linear",
        window_ns=8 * HOUR_NS,
        votes_min=15,
        tails=0.0,
        premium="impact",
        impact_notional=0.0,
        interest=0.0001,
        clamp=0.0005,
        cap=None,
        cap_margins=None,
        cap_maintenance=None,
        priced_at="mark",
        instant_pays=True,
    )
    source = IndexSource(symbol="A")
    assert (source.weight, source.stale_after_ns, source.recorded) == (1.0, 10 * SECOND_NS, False)
