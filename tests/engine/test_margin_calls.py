"""When the owner of an account is called, to the atom; and what an account is asked for whose
position is worth less than one.

He is long 10,000 coins from 100, and 1 % of them is asked for: at 96 that is 9,600.
"""

from __future__ import annotations

import pytest

from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.rules import LiquidationRules, MarginRules, Tier, VenueRules
from tests.builders import T0, Run, a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.agreement import agree

COIN = QUOTE = 10**6
TIERS = (Tier(cap=1e9, max_leverage=50.0, rate=0.01),)


def said_of(
    margin: MarginRules,
    wallet: int,
    marks: list[float],
    *,
    lots: int = 10_000 * COIN,
    entry: float = 100.0,
    fund: int = 0,
) -> Run:
    """``wallet``, ``fund``: atoms. The book takes all at the mark."""
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(margin=margin, liquidation=LiquidationRules(limit="none")),
        insurance_atoms=fund,
    )
    held = PositionSpec(market=0, lots=lots, entry=entry)
    trader = TraderSpec(id="t", wallet_atoms=wallet, positions=(held,))
    spec = a_spec((a_product("IDLE"), ()), markets=(market,), traders=(trader,))
    return agree(spec, a_tape(marks))


@pytest.mark.parametrize(
    ("call_at", "strict", "wallet", "seconds"),
    [
        # 14,400 at 96 are one and a half times 9,600. He is called once, whatever follows.
        (1.5, False, 54_400 * QUOTE, [2]),
        (1.5, False, 54_400 * QUOTE + 1, []),
        # 19,600 at 97 are less than 2.5 times 9,700: at 96, where he has what is asked for and a
        # strict venue lets him stand, he was called already.
        (2.5, True, 49_600 * QUOTE, [1]),
        # Who is to be called at what is asked for is, where that does not liquidate him.
        (1.0, True, 49_600 * QUOTE, [2]),
        (0.0, True, 49_600 * QUOTE, []),
    ],
)
def test_a_call_comes_once_and_at_its_multiple(
    call_at: float, strict: bool, wallet: int, seconds: list[int]
) -> None:
    """At the multiple itself, not an atom above; once for what he holds; at 0 never."""
    margin = MarginRules(tiers=TIERS, call_at=call_at, strict=strict)
    said = said_of(margin, wallet, [100.0, 97.0, 96.0, 98.0, 96.0])
    assert [(e.ts_ns - T0) // 10**9 for e in said.named("margin_called")] == seconds
    assert not said.named("liquidation_started")


def test_nothing_is_asked_for_what_is_worth_nothing() -> None:
    """A millionth of a coin from 10 is worth no atom at 0.5. With 10 paid in nothing is owed and
    nothing is asked for: a strict venue neither closes it nor calls."""
    margin = MarginRules(tiers=TIERS, strict=True)
    said = said_of(margin, 10, [10.0, 0.5, 0.4], lots=1, entry=10.0)
    assert not said.named("margin_called")
    assert not said.named("liquidation_started")


def test_a_debt_beside_what_is_worth_nothing_is_paid() -> None:
    """With 2 atoms paid in, 8 are owed: his lot is sold for nothing where it should have brought 8,
    and the fund pays them."""
    said = said_of(MarginRules(tiers=TIERS), 2, [10.0, 0.5], lots=1, entry=10.0, fund=100)
    (started,) = said.named("liquidation_started")
    assert (started.equity_atoms, started.maintenance_atoms) == (-8, 0)
    (sold,) = said.named("liquidation_filled")
    assert (sold.lots, sold.bankruptcy_atoms, sold.cash_atoms) == (-1, 8, 0)
    assert sold.bankruptcy_price == 8.0
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.equity_atoms) == ("closed", 0)
    assert said.engine.ledger.balance("insurance", "USDT") == 92
