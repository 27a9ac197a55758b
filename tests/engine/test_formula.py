"""A product whose NAV follows a formula, by hand: what its holders are owed, and what the issuer
makes of it.

The market: a taker fee of 5 bp, a book of 1 bp half spread. The issuer's seed is a million.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.account_state import Paper
from engine.events import CreationRequest, RedemptionRequest
from engine.formula import FormulaAccount
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from engine.venue.rules import LiquidationRules, MarginRules, Tier, VenueRules
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_spec, a_tape
from tests.engine.test_deleveraging import FALL_NS, PRICES, in_danger, of
from tests.properties.agreement import agree

COIN = QUOTE = 10**6
LONG = LeverageBand(target=3.0, low=2.0, high=4.5)


def a_market_with(*, fee: float = 0.0005, **fields: Any) -> Any:
    book = BookSpec(model="flat", half_spread_bps=1.0)
    return a_market(contract=a_contract(taker_fee=fee), book=book, **fields)


def promised(rows: list[Any], market: Any = None, policy: Any = LONG, **fields: Any) -> Run:
    product = a_product("BTC3L", nav="formula", **fields)
    spec = a_spec((product, (policy,)), markets=(market or a_market_with(),), users=("alice",))
    return agree(spec, a_tape(rows), range(len(rows)))


def books(said: Run) -> tuple[FormulaAccount, Any]:
    account = said.engine.handlers[0].account
    assert isinstance(account, FormulaAccount)
    return account, account.book


def gained(said: Run, mark: float) -> int:
    """Hedge less liability."""
    account, book = books(said)
    return book.nav(mark) - account.nav(mark)


def test_nav_follows_the_formula_and_costs_are_the_issuers() -> None:
    """30,000 coins are bought at 100.01 (as a float a little more), 300.000001 beyond mid, for a
    fee of 1,500.150001. At 105 NAV is 1,000,000 (1 + 3 x 0.05), at 110 1,300,000; the issuer is
    1,800.150002 short."""
    said = promised([100.0, 105.0, 110.0])
    account, _book = books(said)
    assert [account.nav(mark) for mark in (100.0, 105.0, 110.0)] == [
        1_000_000 * QUOTE,
        1_150_000 * QUOTE,
        1_300_000 * QUOTE,
    ]
    assert [round(nav) for nav in said.nav["nav_atoms"]][-2:] == [1_150_000 * QUOTE, 13 * 10**11]
    assert gained(said, 110.0) == -1_800_150_002
    spent = [said.nav[cause][-1] for cause in ("fees", "spread_impact", "funding", "basis")]
    assert spent == [0.0, 0.0, 0.0, 0.0]


def test_the_base_is_the_last_rebalance() -> None:
    """At 88 the band is left: 640,000 at 3x from there. The hedge of 30,000 coins becomes
    21,818.181818, half a second later; at 90 NAV is 640,000 (1 + 3 x 2 / 88)."""
    band = LeverageBand(target=3.0, low=2.25, high=4.0)
    said = promised([100.0, 88.0, 90.0], latency_ns=SECOND_NS // 2, policy=band)
    account, book = books(said)
    assert account.state.paper == Paper(640_000 * QUOTE, 88.0, 3.0)
    assert account.nav(88.0) == 640_000 * QUOTE
    assert account.nav(90.0) == 683_636_363_636
    assert book.lots == 21_818_181_818
    done = said.named("rebalanced")[-1]
    assert (done.leverage_before, done.decided_ns) == (pytest.approx(4.125), T0 + SECOND_NS)


def test_units_are_dealt_at_published_nav() -> None:
    """At 110, NAV 1.3: 130,000 buy 100,000 units, and the hedge of 3,000 coins for them costs the
    issuer alone. 50,000 of them are worth 70,000 at 113.333."""
    create = CreationRequest(
        ts_ns=T0 + SECOND_NS, id="c", user="alice", product="BTC3L", quote=130_000.0
    )
    redeem = RedemptionRequest(
        ts_ns=T0 + 2 * SECOND_NS, id="r", user="alice", product="BTC3L", units=50_000.0
    )
    said = promised([100.0, 110.0, create, 120.0, redeem])
    (created,), (redeemed,) = said.named("units_created"), said.named("units_redeemed")
    assert (created.units, created.cost_atoms) == (100_000 * 10**8, 0)
    assert created.nav_atoms == 1_430_000 * QUOTE
    assert [e.lots for e in said.named("order_filled")][1] == 3_000 * COIN
    assert redeemed.quote_atoms == 80_000 * QUOTE
    assert books(said)[0].nav(120.0) == 1_680_000 * QUOTE


def test_funding_is_the_issuers_and_the_fee_is_all_that_holders_pay() -> None:
    """0.1 % of NAV, 1,000, every minute; 0.01 % of funding on 3,000,000 is the issuer's 300."""
    funding = FundingSpec(recorded=False, instants=((T0 + 30 * SECOND_NS, 0.0001),))
    rows = [100.0] * 42
    said = promised(
        rows,
        a_market_with(funding=funding, fee=0.0),
        management_fee=0.001,
        fee_every_ns=40 * SECOND_NS,
    )
    (paid,) = said.named("funding_settled")
    (fee,) = said.named("management_fee_charged")
    assert (paid.paid_atoms, fee.paid_atoms) == (300 * QUOTE, 1_000 * QUOTE)
    account, book = books(said)
    assert account.nav(100.0) == 999_000 * QUOTE
    assert gained(said, 100.0) == pytest.approx(-600 * QUOTE, abs=1)  # half the spread is 300
    assert said.engine.ledger.balance("issuer", "USDT") == -999_000 * QUOTE
    assert account.slope * 100.0 / account.nav(100.0) == pytest.approx(3.0, rel=1e-12)
    assert book.state.attribution[4] == -300 * QUOTE


def test_below_nothing_holders_owe_nothing() -> None:
    """From 100 to 60 at once: the formula says -200,000, holders have nothing, and so much and the
    cost of both trades is the issuer's: 200,000 + 300 + 180 and 5 bp of 3,000,300 and 1,799,820."""
    said = promised([100.0, 60.0, 60.0])
    (closed,) = said.named("product_closed")
    assert closed.nav_atoms == 0
    (paid,) = said.named("deficit_paid")
    costs = 300_000_001 + 180_000_000 + 1_500_150_001 + 899_910_000
    assert paid.payer == "issuer"
    assert paid.paid_atoms == 200_000 * QUOTE + costs + 1  # 59.994 as a float is a little less
    account, book = books(said)
    assert (account.nav(60.0), book.nav(60.0), book.lots) == (0, 0, 0)


def test_what_is_left_of_a_closed_hedge_is_the_issuers() -> None:
    """A reserve pays before the issuer; a hedge that got more than holders are owed leaves him the
    rest, and the account with what they are owed."""
    said = promised([100.0, 60.0, 60.0], reserve_atoms=150_000 * QUOTE)
    assert [e.payer for e in said.named("deficit_paid")] == ["reserve", "issuer"]
    assert said.named("deficit_paid")[0].paid_atoms == 150_000 * QUOTE
    rows = [100.0, 100.0, 100.0, 66.0, 70.0, 70.0]
    late = promised(rows, a_market_with(fee=0.0), latency_ns=SECOND_NS)
    # 66 is met at -20,000; the hedge is sold at 70 less a bp, and is worth 100,000 less 510.
    assert not late.named("deficit_paid")
    (taken,) = late.named("surplus_taken")
    _account, book = books(late)
    assert (book.nav(70.0), book.cash) == (0, 0)
    assert book.state.attribution[9] == -taken.atoms
    assert book.state.attribution[9] == pytest.approx(-(100_000 - 300 - 210) * QUOTE, abs=2)


def test_an_auto_deleveraged_hedge_is_the_issuers_loss() -> None:
    """The 3S of ``test_deleveraging``: at 90 its hedge loses 10,000 coins at 95, 50,000 beyond the
    mark. Holders have 1,300,000 by the formula before and after; the issuer is short the 50,000
    beside the costs of the opening. The hedge goes back to the promise, 30,000 coins and no more,
    and the promise stays where it was."""
    spec = in_danger("bankruptcy")
    (product,) = spec.products
    spec = replace(spec, products=(replace(product, terms=replace(product.terms, nav="formula")),))
    said = agree(spec, a_tape(list(PRICES)))
    (taken,) = of(said, "hedge_auto_deleveraged")
    assert (taken.lots, taken.price, taken.nav_effect_atoms) == (
        10_000 * COIN,
        95.0,
        -50_000 * QUOTE,
    )
    account, book = books(said)
    assert account.nav(90.0) == 1_300_000 * QUOTE
    assert int(said.nav["adl"][-1]) == 0
    sent = of(said, "order_sent", ts_ns=FALL_NS)[0]
    assert sent.lots == -10_000 * COIN
    assert book.lots == -30_000 * COIN
    assert book.state.attribution[7] == -50_000 * QUOTE
    # Spread and fee of the opening at 99.99 and of the re-hedge at 89.991, each an atom less.
    costs = 300_000_001 + 1_499_850_000 + 90_000_001 + 449_955_000
    assert gained(said, 90.0) == -50_000 * QUOTE - costs


def test_the_issuer_pays_in_what_a_liquidated_hedge_lacks() -> None:
    """At once to 67.3 the hedge has 19,000, less than 1 % of 2,019,000, and is sold; holders still
    have 19,000, promised 106 times. The issuer pays in twice the 1 / 50 that is wanted, and the
    hedge is bought back."""
    tiers = (Tier(cap=1e9, max_leverage=50.0, rate=0.01),)
    rules = VenueRules(
        margin=MarginRules(tiers=tiers),
        liquidation=LiquidationRules(limit="none", surplus="account"),
    )
    calm = LeverageBand(target=3.0, low=1.0, high=500.0)
    market = a_market_with(venue=rules, fee=0.0)
    said = promised([100.0, 67.3, 67.3, 67.3], market, calm, limit=1_000.0)
    assert said.named("hedge_liquidated")
    assert [e.reason for e in said.named("order_rejected")] == ["no_margin"]
    (arrived,) = said.named("topup_arrived")
    account, book = books(said)
    assert arrived.atoms == arrived.issuer_atoms == book.state.attribution[9]
    assert book.lots == 30_000 * COIN - 1  # sizing truncates
    assert account.nav(67.3) == 19_000 * QUOTE


# Settled in coins ---------------------------------------------------------------------------------


def in_coins(**fields: Any) -> Any:
    """A market in which trading costs nothing."""
    contract = a_contract("BTCUSD", inverse=True, taker_fee=0.0)
    return a_market(contract=contract, book=BookSpec(model="flat"), **fields)


def test_a_hedge_in_coins_follows_the_same_formula() -> None:
    """10,000 coins and 2,000,000 of face from 100, at no cost: at 105 they are 10,952.38 coins,
    1,150,000 as the formula has it. 0.1 % of that is 1,150, paid as 10.95238096 coins (rounded up),
    and holders have 1,148,850 at the leverage they had, ``30,000 * 105 / 1,150,000``."""
    market = in_coins()
    rows = [100.0, *[105.0] * 41]
    said = promised(rows, market, management_fee=0.001, fee_every_ns=40 * SECOND_NS)
    (opened, *_) = said.named("order_filled")
    assert abs(opened.lots) * market.contract.contract_size == 2_000_000
    (fee,) = said.named("management_fee_charged")
    assert (fee.nav_atoms, fee.paid_atoms) == (1_150_000 * QUOTE, 1_095_238_096)
    account, book = books(said)
    assert account.nav(105.0) == 1_148_850 * QUOTE
    leverage = account.slope * 105.0 / account.nav(105.0)
    assert leverage == pytest.approx(30_000 * 105 / 1_150_000, rel=1e-12)
    assert gained(said, 105.0) == pytest.approx(0, abs=3)
    assert account.state.attribution[5] == -1_150 * QUOTE
    assert book.state.attribution[5] == pytest.approx(-1_150 * QUOTE, abs=2)
    assert said.engine.ledger.balance("issuer", "BTC") == 1_095_238_096


def test_the_issuer_pays_coins_into_a_hedge_in_coins() -> None:
    """At once to 67.3 the hedge of 2,000,000 of face has 282.32 coins, 19,000, and holders are
    promised 19,000 at 106 times. It is liquidated; to buy it back the issuer pays coins in, whose
    worth at that mark is what his book says of it."""
    tiers = (Tier(cap=1e9, max_leverage=50.0, rate=0.01),)
    rules = VenueRules(
        margin=MarginRules(tiers=tiers),
        liquidation=LiquidationRules(limit="none", surplus="account"),
    )
    calm = LeverageBand(target=3.0, low=1.0, high=500.0)
    said = promised([100.0, *[67.3] * 3], in_coins(venue=rules), calm, limit=1e3)
    assert said.named("hedge_liquidated")
    (arrived,) = said.named("topup_arrived")
    account, book = books(said)
    assert arrived.atoms == arrived.issuer_atoms > 0
    assert book.state.attribution[9] == pytest.approx(arrived.atoms * 67.3 / 100, abs=1)
    assert said.engine.ledger.balance("issuer", "BTC") == -arrived.atoms
    assert account.nav(67.3) == 19_000 * QUOTE
    assert gained(said, 67.3) == pytest.approx(arrived.atoms * 67.3 / 100, abs=5)
