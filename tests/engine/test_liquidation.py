"""A trader's liquidation by hand: who gets what is left, and when it ends.

He is long 10,000 coins from 100; the book takes all at the mark, and nothing costs a fee to it.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.rules import LiquidationRules, MarginRules, Tier, VenueRules
from tests.builders import Run, a_contract, a_market, a_spec, a_tape
from tests.properties.agreement import agree

COIN = QUOTE = 10**6
ONE_TIER = (Tier(cap=1e9, max_leverage=50.0, rate=0.01),)
TWO_TIERS = (
    Tier(cap=5e5, max_leverage=50.0, rate=0.01),
    Tier(cap=1e9, max_leverage=20.0, rate=0.03, deduction=1e4),
)


def liquidated(tiers: tuple[Tier, ...], wallet: int, marks: list[Any], **rules: Any) -> Run:
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(
            margin=MarginRules(tiers=tiers), liquidation=LiquidationRules(limit="none", **rules)
        ),
    )
    held = PositionSpec(market=0, lots=10_000 * COIN, entry=100.0)
    trader = TraderSpec(id="t", wallet_atoms=wallet * QUOTE, positions=(held,))
    return agree(a_spec(markets=(market,), traders=(trader,)), a_tape(marks))


@pytest.mark.parametrize(
    ("surplus", "fee", "fund", "kept"),
    [("fund", 0.0, 9_000, 0), ("account", 0.0, 0, 9_000), ("account", 0.005, 4_795, 4_205)],
)
def test_what_is_left_goes_to_whom_the_rules_name(
    surplus: str, fee: float, fund: int, kept: int
) -> None:
    """With 50,000 paid in he is bankrupt at 95. At 95.9 his 9,000 no longer cover 9,590; sold
    there, 9,000 are left: the fund's or his own, less 0.5 % of 959,000."""
    said = liquidated(ONE_TIER, 50_000, [100.0, 95.9], surplus=surplus, fee=fee)
    (sold,) = said.named("liquidation_filled")
    assert (sold.lots, sold.cash_atoms) == (-10_000 * COIN, 959_000 * QUOTE - _below(95.9))
    assert abs(sold.fund_atoms - fund * QUOTE) <= 1
    (ended,) = said.named("liquidation_ended")
    assert ended.outcome == "closed"
    assert abs(ended.equity_atoms - kept * QUOTE) <= 1
    assert sold.fund_atoms + ended.equity_atoms == sold.cash_atoms - 950_000 * QUOTE
    assert said.engine.ledger.balance("insurance", "USDT") == sold.fund_atoms


@pytest.mark.parametrize(
    ("side", "lives", "dies", "bankrupt", "fee"),
    [
        (1, 96.1, 96.09, 950_950_950_951, 950_950_951),
        (-1, 103.89, 103.9, -1_048_951_048_951, 1_048_951_049),
    ],
)
def test_a_fee_that_is_taken_at_the_bankruptcy_price(
    side: int, lives: float, dies: float, bankrupt: int, fee: int
) -> None:
    """With 50,000 paid in and 0.1 % for closing, a long is bankrupt where 950,000 are left after
    the fee: at 95.0951, for 950,950.950951. Its maintenance is 1 % of 1,000,000 and that fee,
    10,950.95, which equity meets between 96.1 and 96.09; the fund has what a fill brings beyond the
    bankruptcy price, the venue the fee, and nothing is left. A short pays the fee on top."""
    market = a_market(
        contract=a_contract(taker_fee=0.001),
        book=BookSpec(model="flat"),
        venue=VenueRules(
            margin=MarginRules(
                tiers=ONE_TIER, priced_at="entry", taker_fee_inside=True, fee_at="bankruptcy"
            ),
            liquidation=LiquidationRules(limit="bankruptcy"),
        ),
    )
    held = PositionSpec(market=0, lots=side * 10_000 * COIN, entry=100.0)
    trader = TraderSpec(id="t", wallet_atoms=50_000 * QUOTE, positions=(held,))
    spec = a_spec(markets=(market,), traders=(trader,))
    assert not agree(spec, a_tape([100.0, lives])).named("liquidation_started")
    said = agree(spec, a_tape([100.0, lives, dies]))
    (started,) = said.named("liquidation_started")
    assert started.maintenance_atoms == 10_000 * QUOTE + fee
    (sold,) = said.named("liquidation_filled")
    assert (sold.bankruptcy_atoms, sold.lots) == (bankrupt, -held.lots)
    assert sold.bankruptcy_price == pytest.approx(abs(bankrupt) / 10_000 / QUOTE, rel=1e-12)
    assert sold.fund_atoms == sold.cash_atoms - bankrupt
    (charged,) = said.named("account_charged")
    assert (charged.account, charged.cause, charged.atoms) == ("trader:t", "closing_fee", fee)
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.equity_atoms) == ("closed", 0)
    assert said.engine.ledger.balance("insurance", "USDT") == sold.fund_atoms


def _below(price: float) -> int:
    """An atom where the float lies below the decimal."""
    over, under = price.as_integer_ratio()
    return int(over * 1_000 < under * round(price * 1_000))


def test_a_step_is_enough_where_margin_covers_the_rest() -> None:
    """At 95.5 his 15,000 do not cover 3 % of 955,000 less 10,000, 18,650. Down to 500,000, the
    first tier, he holds 5,235.602094 coins and needs 5,000: he keeps them, at 95.5 and at 95.4."""
    said = liquidated(TWO_TIERS, 60_000, [100.0, 97.0, 95.5, 95.4], steps="tier")
    (started,) = said.named("liquidation_started")
    assert (started.equity_atoms, started.maintenance_atoms) == (15_000 * QUOTE, 18_650 * QUOTE)
    (sold,) = said.named("liquidation_filled")
    assert (sold.step, sold.lots) == ("partial", -4_764_397_906)
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.position_lots) == ("restored", 5_235_602_094)
    assert ended.equity_atoms == 15_000 * QUOTE
