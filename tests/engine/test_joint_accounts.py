"""One hedge account behind products of two markets, by hand: one market's gain carries the other's
loss, and what the venue takes where both fall."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ConfigError
from engine.ledger import Cause
from engine.omnibus import OmnibusAccount
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.rules import LiquidationRules, MarginRules, Tier, VenueRules
from strategies import LeverageBand, Schedule
from tests.builders import T0 as START
from tests.builders import Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run
from tests.properties.agreement import agree

COIN = QUOTE = 10**6
AT = (70.0, 70.0, 110.0)
WIDE = LeverageBand(target=3.0, low=0.1, high=500.0)
WHOLE = LiquidationRules(limit="none", surplus="account")
FIFTHS = LiquidationRules(
    limit="none", surplus="account", steps="portion", portion=0.2, pause_ns=3 * SECOND_NS
)


def at(second: int, symbol: int, mark: float) -> Any:
    return a_row(Kind.MARK, START + second * SECOND_NS, mark, symbol=symbol)


def venue(
    rules: LiquidationRules, *, most: float = 4.0, rate: float = 0.1, call_at: float = 0.0
) -> VenueRules:
    tier = Tier(cap=1e9, max_leverage=most, rate=rate)
    return VenueRules(margin=MarginRules(tiers=(tier,), call_at=call_at), liquidation=rules)


def markets(rules: VenueRules, *, insurance: int = 0) -> tuple[Any, ...]:
    """Bitcoin and ether: no spread, no fees."""
    return tuple(
        a_market(
            number,
            contract=a_contract(symbol, taker_fee=0.0),
            book=BookSpec(model="flat"),
            venue=rules,
            insurance_atoms=insurance,
        )
        for number, symbol in enumerate(("BTCUSDT", "ETHUSDT"))
    )


def desk(
    rows: list[Any],
    rules: LiquidationRules = WHOLE,
    *,
    name: str = "desk",
    insurance: int = 0,
    first: Any = WIDE,
    last: Any = WIDE,
    ether: int = 1_000_000,
    most: float = 4.0,
    call_at: float = 0.0,
) -> Run:
    """700,000 and 300,000 long of bitcoin and 1,000,000 long of ether, 3x: at 100 they hold 21,000,
    9,000 and 30,000 coins. The venue wants a quarter to open and a tenth to keep."""
    own = {"account": "omnibus", "account_name": name}
    spec = a_spec(
        (a_product("B1", 0, seed_atoms=700_000 * QUOTE, **own), (first,)),
        (a_product("B2", 0, seed_atoms=300_000 * QUOTE, **own), (WIDE,)),
        (a_product("E", 1, seed_atoms=ether * QUOTE, **own), (last,)),
        markets=markets(venue(rules, most=most, call_at=call_at), insurance=insurance),
    )
    return agree(spec, a_tape([at(0, 0, 100.0), at(0, 1, 100.0), *rows]))


def shared(said: Run) -> list[tuple[str, str, int, int]]:
    return [(e.product, e.cause, e.lots, e.cash_atoms) for e in said.named("omnibus_shared")]


def test_the_gain_of_one_market_carries_the_loss_of_the_other() -> None:
    """Alone, bitcoin's 1,000,000 are at 70 worth 100,000 and need 210,000: both are sold out. With
    ether at 110 beside them 1,400,000 stand against 540,000, and nothing happens."""
    rows = [at(1, 1, 110.0), at(2, 0, 70.0), at(3, 0, 70.0)]
    alone = desk(rows, name="")
    assert [e.account for e in alone.named("liquidation_started")] == ["omnibus:BTCUSDT"]
    said = desk(rows)
    assert not said.named("liquidation_started", "omnibus_shared")
    navs = [each.account.nav(mark) for each, mark in zip(said.engine.handlers, AT, strict=True)]
    assert navs == [70_000 * QUOTE, 30_000 * QUOTE, 1_300_000 * QUOTE]


def test_where_both_fall_the_venue_closes_a_fifth_of_the_heavier_market() -> None:
    """At 70 and 75 there are 350,000, and 210,000 + 225,000 are needed. A fifth of the ether goes
    at 75; after three seconds 350,000 still do not cover 390,000, and bitcoin, now the heavier,
    gives a fifth at 70: 4,200 and 1,800 coins of the two. 348,000 are covered, as the venue finds
    when it looks again."""
    rows = [at(1, 0, 70.0), at(2, 1, 75.0), at(3, 0, 70.0), at(9, 0, 70.0), at(9, 1, 75.0)]
    said = desk(rows, FIFTHS)
    (started,) = said.named("liquidation_started")
    assert (started.account, started.symbol) == ("omnibus:desk", "ETHUSDT")
    assert (started.equity_atoms, started.maintenance_atoms) == (350_000 * QUOTE, 435_000 * QUOTE)
    filled = said.named("liquidation_filled")
    assert [(e.symbol, e.lots, e.ts_ns) for e in filled] == [
        ("ETHUSDT", -6_000 * COIN, START + 2 * SECOND_NS),
        ("BTCUSDT", -6_000 * COIN, START + 5 * SECOND_NS),
    ]
    assert shared(said) == [
        ("E", "liquidation", -6_000 * COIN, 450_000 * QUOTE),
        ("B1", "liquidation", -4_200 * COIN, 294_000 * QUOTE),
        ("B2", "liquidation", -1_800 * COIN, 126_000 * QUOTE),
    ]
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.equity_atoms) == ("restored", 350_000 * QUOTE)


def test_what_the_fund_covers_goes_to_those_below_zero() -> None:
    """Bitcoin at 60 and 800,000 of ether at 70: 120,000 less than nothing, and all is sold, ether
    last. The fund's 120,000 go to the bitcoin products, which lack 140,000 and 60,000; the ether
    product keeps the 80,000 that it has, and these are what the two still lack when they close."""
    rows = [at(1, 1, 70.0), at(2, 0, 60.0), at(3, 0, 60.0)]
    said = desk(rows, insurance=500_000 * QUOTE, ether=800_000)
    assert [(e.symbol, e.lots) for e in said.named("liquidation_filled")] == [
        ("BTCUSDT", -30_000 * COIN),
        ("ETHUSDT", -24_000 * COIN),
    ]
    assert shared(said)[-2:] == [
        ("B1", "insurance", 0, 84_000 * QUOTE),
        ("B2", "insurance", 0, 36_000 * QUOTE),
    ]
    closed = {e.product: e.nav_atoms for e in said.named("product_closed")}
    assert (closed["B1"], closed["B2"]) == (-56_000 * QUOTE, -24_000 * QUOTE)
    assert said.engine.handlers[2].account.nav(70.0) == 80_000 * QUOTE


def test_what_one_market_lost_is_not_there_to_open_more_on_the_other() -> None:
    """At 110 a schedule wants 3,818.181818 coins more of bitcoin, at 3.5x 1,062,857 of margin for
    what both then have. With ether at 79, where nobody had anything to say, another 677,143 are
    bound, and 1,670,000 are there. Behind an account of bitcoin alone 1,300,000 are enough."""
    rows = [at(1, 1, 79.0), at(2, 0, 110.0), at(20, 0, 110.0)]
    buying = Schedule(target=3.0, every_s=10.0)
    said = desk(rows, first=buying, most=3.5)
    assert "no_margin" in [e.reason for e in said.named("order_rejected")]
    assert not desk(rows, first=buying, most=3.5, name="").named("order_rejected")


def test_a_call_stands_for_all_that_is_held() -> None:
    """At 70 and 85 there are 650,000, less than one and a half times 465,000: the issuer is called.
    At ten seconds the ether product sells down to 3x. At 67 and 84 there are 540,588, less than one
    and a half times 364,059: the account holds something else now, and he is called again."""
    rows = [at(1, 0, 70.0), at(2, 1, 85.0), at(11, 0, 67.0), at(12, 1, 84.0), at(13, 1, 84.0)]
    said = desk(rows, last=Schedule(target=3.0, every_s=10.0), call_at=1.5)
    called = [(e.symbol, (e.ts_ns - START) // SECOND_NS) for e in said.named("margin_called")]
    assert called == [("ETHUSDT", 2), ("BTCUSDT", 12)]
    assert said.named("margin_called")[1].equity_atoms // QUOTE == 540_588


def test_a_fill_on_one_market_moves_the_edge_on_the_other() -> None:
    """Ether alone, 2x, could fall to nothing beside the other's million. Ten seconds later
    bitcoin's 10x is filled: 1,140,000 need not fall further than 52.5 on ether, where no policy has
    anything to say."""
    own = {"account": "omnibus", "account_name": "desk"}
    calm = LeverageBand(target=2.0, low=0.1, high=90.0)
    late = a_product("B", 0, seed_atoms=10**12, latency_ns=10 * SECOND_NS, limit=10.0, **own)
    spec = a_spec(
        (late, (LeverageBand(target=10.0, low=0.1, high=500.0),)),
        (
            a_product("E", 1, seed_atoms=10**12, **own),
            (calm,),
        ),
        markets=markets(venue(WHOLE, most=10.0, rate=0.095)),
    )
    rows = [at(0, 0, 100.0), at(0, 1, 100.0), at(11, 1, 53.0), at(12, 1, 52.0), at(13, 1, 52.0)]
    said = agree(spec, a_tape(rows))
    (started,) = said.named("liquidation_started")
    assert (started.ts_ns, started.equity_atoms) == (START + 12 * SECOND_NS, 1_040_000 * QUOTE)


def test_one_asset_backs_an_account() -> None:
    """Dollars and coins are no margin for each other."""
    own = {"account": "omnibus", "account_name": "desk"}
    rules = venue(WHOLE)
    coin = a_market(1, contract=a_contract("BTCUSD", inverse=True), venue=rules)
    products = ((a_product("A", 0, **own), (WIDE,)), (a_product("C", 1, **own), (WIDE,)))
    with pytest.raises(ConfigError, match="omnibus:desk holds contracts settled in BTC and USDT"):
        run(a_spec(*products, markets=(a_market(0, venue=rules), coin)), a_tape([100.0]))


def test_the_first_atom_is_for_who_lacks_one() -> None:
    """Of an account that holds nothing any more, whatever market it comes from: the ether product
    lacks seven, and the first atom is its own."""
    said = desk([])
    (account,) = set(said.engine.margins.behind.values())
    assert isinstance(account, OmnibusAccount)
    for market, lots, _ in account.positions():
        account.move(market, Cause.INSURANCE, -lots, 0, "insurance", 100.0)
    for hedge, lacking in zip(account.hedges, (0, 0, 7), strict=True):
        hedge.move(hedge.number, Cause.INSURANCE, 0, -hedge.cash - lacking, "insurance", 100.0)
    account.move(0, Cause.INSURANCE, 0, 1, "insurance", 100.0)
    assert [hedge.cash for hedge in account.hedges] == [0, 0, -6]
