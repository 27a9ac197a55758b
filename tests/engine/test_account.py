"""Tests of ``engine.account``."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from engine.account import Account
from engine.ledger import Ledger
from engine.outputs import ATTRIBUTION
from engine.product import ProductSpec
from engine.units import UNIT_STEPS
from engine.venue.contract import Contract
from tests.builders import a_contract, a_product

USDT = 10**6
COINS = 1_000_000
"""Lots in a coin."""


def an_account(
    *,
    mark: float = 100.0,
    seed: int = 100 * USDT,
    inverse: bool = False,
    fee: float = 0.0,
    **spec: Any,
) -> Account:
    """An account just launched with the issuer's money."""
    contract = Contract(a_contract(inverse=inverse, taker_fee=fee))
    product: ProductSpec = a_product(seed_atoms=seed, **spec)
    account = Account(product, contract, Ledger())
    account.launch(mark, 0, seed * (UNIT_STEPS // USDT), seed)
    return account


def causes(account: Account) -> dict[str, int]:
    """What was booked, without what is zero."""
    booked = zip(ATTRIBUTION, account.state.attribution, strict=True)
    return {name: amount for name, amount in booked if amount}


def earned(account: Account, mark: float) -> int:
    """Change of equity since the start."""
    return account.nav(mark) - account.state.equity_start


def test_a_launch_issues_units_against_money() -> None:
    """100 of the issuer's and 50 of users' money are 150 of NAV, one unit a quote; all of it is in
    the ledger. Catches units without money behind them."""
    contract, ledger = Contract(a_contract()), Ledger()
    account = Account(a_product(seed_atoms=100 * USDT, reserve_atoms=7), contract, ledger)
    account.launch(100.0, 50 * UNIT_STEPS, 100 * UNIT_STEPS, 150 * USDT)
    assert (account.cash, account.lots, account.nav(100.0)) == (150 * USDT, 0, 150 * USDT)
    assert account.units == 150 * UNIT_STEPS
    assert ledger.balance("user", "BTC3L:units") == 50 * UNIT_STEPS
    assert ledger.balance("issuer", "BTC3L:units") == 100 * UNIT_STEPS
    assert ledger.balance("user", "USDT") == -50 * USDT
    assert ledger.balance("issuer", "USDT") == -100 * USDT - 7
    assert ledger.balance("reserve:BTC3L", "USDT") == 7
    ledger.check()


def test_a_purchase_puts_the_account_on_its_line() -> None:
    """3 coins at 100 on 100 of NAV: cash -200, NAV 64 at 88 and 160 at 120. Catches a hedge that
    changes the NAV at its own price."""
    account = an_account()
    done = account.execute(3 * COINS, 100.0, 100.0, 100.0)
    assert (done.hedge, done.spread_impact, done.fee) == (-300 * USDT, 0, 0)
    assert account.line() == (-200.0 * USDT, 3.0 * USDT)
    assert account.nav(100.0) == 100 * USDT
    assert account.nav(88.0) == 64 * USDT
    assert account.nav(120.0) == 160 * USDT
    assert causes(account) == {}


def test_a_trade_is_parted_into_basis_spread_and_fee() -> None:
    """3 coins at 100.1 while mid is 100 and the mark 99.9, fee 0.04 %: -0.3 for spread, -0.3 for
    basis (bought 0.1 above the mark), -0.12012 of fee. Catches a cause that bears another's
    part."""
    account = an_account(mark=99.9, fee=0.0004)
    done = account.execute(3 * COINS, 100.1, 100.0, 99.9)
    assert (done.hedge, done.spread_impact, done.fee) == (-300 * USDT, -300_000, 120_120)
    booked = causes(account)
    assert booked.pop("rounding", 0) in (0, -1)
    assert booked == {
        "spread_impact": pytest.approx(-300_000, abs=1),
        "basis": pytest.approx(-300_000, abs=1),
        "fees": -120_120,
    }
    assert earned(account, 99.9) == sum(account.state.attribution)


def test_the_price_part_is_what_lots_earned_between_trades() -> None:
    """3 coins from 100 to 88 lose 36; half of them sold, the other half earns 12 coins' worth on
    the way to 96. Catches a price part that forgets its segment or counts it twice."""
    account = an_account()
    account.execute(3 * COINS, 100.0, 100.0, 100.0)
    assert account.close_segment(88.0) == 64 * USDT
    assert causes(account) == {"price": -36 * USDT}
    assert account.close_segment(88.0) == 64 * USDT
    assert causes(account) == {"price": -36 * USDT}
    account.execute(-3 * COINS // 2, 88.0, 88.0, 88.0)
    assert account.close_segment(96.0) == 76 * USDT
    assert causes(account) == {"price": -24 * USDT}
    assert account.nav_at(96.0) == account.nav(96.0) == 76 * USDT


def test_funding_is_paid_in_its_own_name() -> None:
    """Catches funding that shows as price, and money that leaves to nowhere."""
    account = an_account(mark=60_000.0, seed=60_000 * USDT)
    account.execute(3 * COINS, 60_000.0, 60_000.0, 60_000.0)
    account.pay_funding(18 * USDT, 60_000.0)
    assert causes(account) == {"funding": -18 * USDT}
    account.pay_funding(-5, 60_000.0)
    assert causes(account) == {"funding": -18 * USDT + 5}
    assert account.ledger.balance("funding:BTCUSDT", "USDT") == 18 * USDT - 5
    account.ledger.check()


def test_the_management_fee_rounds_up_for_the_issuer() -> None:
    """0.01 % of 100.000001 is 10,000.0001 micros: 10,001 are paid, to the issuer. Catches a fee of
    the exact rate that a float would round down, and one that goes to the venue."""
    account = an_account(seed=100 * USDT + 1)
    assert account.pay_management_fee(0.0001, 100.0) == 10_001
    assert causes(account) == {"management_fee": -10_001}
    assert account.ledger.balance("issuer", "USDT") == -(100 * USDT + 1) + 10_001
    assert an_account().pay_management_fee(0.0001, 100.0) == 10_000


def test_flows_are_no_profit() -> None:
    """A creation of 50 and a redemption of 30 at NAV leave NAV per unit alone and are booked as
    flows. Catches deposits that look like performance."""
    account = an_account()
    account.execute(3 * COINS, 100.0, 100.0, 100.0)
    units = account.units
    account.create(50 * USDT, units // 2, 100.0)
    assert (account.nav(100.0), account.units) == (150 * USDT, units + units // 2)
    account.redeem(30 * USDT, 3 * units // 10, 100.0)
    assert account.nav(100.0) * units == 100 * USDT * account.units
    assert causes(account) == {"flows": 20 * USDT}
    assert account.ledger.balance("user", "USDT") == -20 * USDT
    account.ledger.check()


def test_an_inverse_account_buys_its_coins_and_hedges_in_them() -> None:
    """10,000 dollars at 10,000 are one coin; 20,000 contracts make it 3x: NAV 16,000 at 12,000.
    Closed there, its 16,000 are quote money that no price moves. Catches coins and dollars of one
    account that are not exchanged at its mark."""
    account = an_account(mark=10_000.0, seed=10_000 * USDT, inverse=True)
    assert account.cash == 10**8
    account.execute(20_000, 10_000.0, 10_000.0, 10_000.0)
    assert account.nav(10_000.0) == 10_000 * USDT
    assert account.nav(12_000.0) == 16_000 * USDT
    account.execute(-20_000, 12_000.0, 12_000.0, 12_000.0)
    account.settle_closed(12_000.0)
    assert (account.cash, account.lots) == (0, 0)
    for mark in (1.0, 12_000.0, 1e6):
        assert account.nav(mark) == pytest.approx(16_000 * USDT, abs=200)
        assert account.nav(mark) <= 16_000 * USDT
    account.ledger.check()


def test_who_pays_a_deficit() -> None:
    """Insurance pays what it has, the reserve what it has, the issuer the rest; each under its own
    cause. Catches a payer that pays more than it has."""
    account = an_account(reserve_atoms=5 * USDT)
    account.execute(3 * COINS, 100.0, 100.0, 100.0)
    account.execute(-3 * COINS, 60.0, 60.0, 60.0)
    account.settle_closed(60.0)
    assert account.nav(60.0) == -20 * USDT
    assert account.pay_deficit("insurance", 20 * USDT) == 0
    assert account.pay_deficit("reserve", 20 * USDT) == 5 * USDT
    assert account.pay_deficit("issuer", 15 * USDT) == 15 * USDT
    assert account.nav(60.0) == 0
    assert causes(account) == {"price": -120 * USDT, "issuer": 20 * USDT}
    assert account.ledger.balance("reserve:BTC3L", "USDT") == 0
    account.ledger.check()


@pytest.mark.parametrize("inverse", [False, True], ids=["linear", "inverse"])
def test_the_causes_sum_to_the_change_of_equity(inverse: bool) -> None:
    """After any trades, payments and flows at any marks, exactly; and rounding is at most one step
    per rounding. Catches a cause that is booked twice, or a remainder that hides in one."""
    random, mark = Random(5), 10_000.0
    account = an_account(mark=mark, seed=10**12, inverse=inverse, fee=0.0004)
    for _ in range(400):
        mark *= 1.0 + random.gauss(0.0, 0.01)
        mid = mark * random.uniform(0.999, 1.001)
        nav, choice = account.nav(mark), random.randrange(5)
        assert nav > 0
        if choice == 0:
            lots = account.contract.lots_for(random.uniform(-3, 3), nav, mark) - account.lots
            account.execute(lots, mid * random.uniform(0.999, 1.001), mid, mark)
        elif choice == 1:
            account.pay_funding(random.randint(-(10**4), 10**4), mark)
        elif choice == 2:
            account.pay_management_fee(0.0001, mark)
        elif choice == 3:
            account.create(random.randint(1, 10**9), 1, mark)
        else:
            account.redeem(random.randint(1, 10**9), 1, mark)
        account.close_segment(mark)
        assert earned(account, mark) == sum(account.state.attribution)
        account.ledger.check()
    parts = dict(zip(ATTRIBUTION, account.state.attribution, strict=True))
    # One step of a coin is worth many micros: a step is the larger of the two.
    step = 1 + int(mark * 2 / 100) if inverse else 1
    assert abs(parts["rounding"]) <= account.state.roundings * step
