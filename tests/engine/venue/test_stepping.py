"""How much of a position one order of a liquidation closes, by hand.

A lot is a coin at 100. One tier keeps a tenth; of two the first keeps 2 % up to 10,000.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.venue.contract import Contract
from engine.venue.rules import LiquidationRules, MarginRules, Tier, VenueRules
from engine.venue.standing import Listing, Standing
from engine.venue.stepping import fee_rate, liquidator_fee, step_lots
from tests.builders import a_contract

QUOTE = 10**6
MARK = 100.0
TENTH = (Tier(cap=1e12, max_leverage=10.0, rate=0.1),)
TWO = (
    Tier(cap=1e4, max_leverage=20.0, rate=0.02),
    Tier(cap=1e6, max_leverage=5.0, rate=0.1, deduction=800.0),
)
PORTION: dict[str, Any] = {"steps": "portion", "portion": 0.2, "portion_above": 1_000.0}
SHORTAGE: dict[str, Any] = {"steps": "shortage"}


def a_listing(tiers: tuple[Tier, ...], rules: dict[str, Any]) -> Listing:
    return Listing(
        Contract(a_contract(lot_size=1.0)),
        VenueRules(margin=MarginRules(tiers=tiers), liquidation=LiquidationRules(**rules)),
    )


def stands(short: float) -> Standing:
    """60 to keep, ten more than that there, and not counted."""
    equity = 70 - short
    return Standing(round(equity * QUOTE), 60 * QUOTE, 10 * QUOTE)


@pytest.mark.parametrize(
    ("held", "rules", "cools", "lots"),
    [
        (7, {"steps": "full"}, False, -7),
        (-7, {"steps": "full"}, False, 7),
        # 25,000 are 15,000 beyond the tier below; 10,100 are 100; the first tier has none below.
        (250, {"steps": "tier"}, False, -150),
        (-250, {"steps": "tier"}, False, 150),
        (101, {"steps": "tier"}, False, -1),
        (50, {"steps": "tier"}, False, -50),
        # A fifth of 2,000, in whole coins; a thousand is not above a thousand.
        (20, PORTION, False, -4),
        (-20, PORTION, False, 4),
        (11, PORTION, False, -2),
        (10, PORTION, False, -10),
        # A fifth of three coins is none: at least one.
        (3, {**PORTION, "portion_above": 0.0}, False, -1),
        # The rest at once, where a part was closed lately.
        (20, PORTION, True, -20),
        (-20, {**PORTION, "step_max": 300.0}, True, 20),
        # At least 500, at most 300; no more than there is.
        (20, {**PORTION, "step_min": 500.0}, False, -5),
        (20, {**PORTION, "step_max": 300.0}, False, -3),
        (20, {**PORTION, "step_min": 500.0, "step_max": 300.0}, False, -3),
        (20, {**PORTION, "step_min": 3_000.0}, False, -20),
    ],
)
def test_a_step(held: int, rules: dict[str, Any], *, cools: bool, lots: int) -> None:
    """The whole, what is beyond the tier below, or a portion."""
    listing = a_listing(TWO, rules)
    assert step_lots(listing, held, MARK, stands(25), cools=cools, idle_ns=0) == lots


@pytest.mark.parametrize(
    ("held", "short", "rules", "idle", "lots"),
    [
        # 2,000 keep 200: 25 are an eighth of that, two coins and a half.
        (20, 25, {}, 0, -3),
        (-20, 25, {}, 0, 3),
        (20, 20, {}, 0, -2),
        # 5 % to who takes them over leave half of what is freed, 2 % to the fund four fifths.
        (20, 25, {"liquidator_fee": 0.05}, 0, -5),
        (20, 25, {"fee": 0.02}, 0, -4),
        # 2 % at first, after 30,000 slots 5 %.
        (20, 25, {"liquidator_fee": 0.02, "liquidator_fee_max": 0.05, "slot_ns": 10}, 0, -4),
        (20, 25, {"liquidator_fee": 0.02, "liquidator_fee_max": 0.05, "slot_ns": 10}, 300_000, -5),
        # 25 are 1.25 % of 2,000: the fund has 95 % of 8.75 % at most, and 33.75 are freed.
        (20, 25, {"fee": 0.09, "fee_from_freed": True}, 0, -15),
        (20, 25, {"fee": 0.02, "fee_from_freed": True}, 0, -4),
        # 150 are a coin and a half; 5,000 are more than is needed.
        (20, 25, {"step_max": 150.0}, 0, -1),
        (20, 25, {"step_max": 5_000.0}, 0, -3),
        # More than all of it, and nothing: all, and one.
        (20, 500, {}, 0, -20),
        (20, 0, {}, 0, -1),
        (20, -25, {}, 0, -1),
    ],
)
def test_a_step_that_restores_the_margin(
    held: int, short: float, rules: dict[str, Any], idle: int, lots: int
) -> None:
    """So many coins as free what is short, and what closing them costs."""
    listing = a_listing(TENTH, {**SHORTAGE, **rules})
    assert step_lots(listing, held, MARK, stands(short), cools=False, idle_ns=idle) == lots


@pytest.mark.parametrize(
    ("held", "short", "rules", "rate"),
    [
        (20, 25, {"fee": 0.2}, 0.2),
        (20, 25, {"fee": 0.2, "fee_from_freed": True}, 0.95 * 0.0875),
        (-20, 25, {"fee": 0.2, "fee_from_freed": True}, 0.95 * 0.0875),
        (20, 25, {"fee": 0.08, "fee_from_freed": True}, 0.08),
        # Nothing is short: 95 % of the tenth, whatever more is there.
        (20, 0, {"fee": 0.2, "fee_from_freed": True}, 0.095),
        (20, -25, {"fee": 0.2, "fee_from_freed": True}, 0.095),
        (20, 0, {"fee": 0.2, "fee_from_freed": True, "liquidator_fee": 0.04}, 0.057),
        # Nothing is held: nothing is freed, and nothing bounds the fee.
        (0, 25, {"fee": 0.2, "fee_from_freed": True}, 0.2),
        (0, 25, {"fee": 0.2}, 0.2),
    ],
)
def test_what_the_fund_may_charge(
    held: int, short: float, rules: dict[str, Any], rate: float
) -> None:
    """Its fee, or where that is bounded by what closing 2,000 frees, 95 % of what is left of it."""
    found = fee_rate(a_listing(TENTH, rules), held, MARK, stands(short), 0)
    assert found == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    ("most", "idle", "fee"),
    [
        (0.05, 149_999, 0.02),
        (0.05, 150_000, 0.0215),
        (0.05, 150_199, 0.021501),
        (None, 10**9, 0.02),
    ],
)
def test_what_a_liquidator_is_promised(most: float | None, idle: int, fee: float) -> None:
    """After 1,500 whole slots of 100 ns a millionth for each, where it rises at all."""
    rules = LiquidationRules(liquidator_fee=0.02, liquidator_fee_max=most, slot_ns=100)
    assert liquidator_fee(rules, idle) == pytest.approx(fee, rel=1e-12)
