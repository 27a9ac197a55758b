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
