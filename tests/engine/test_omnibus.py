"""Products behind one margin account, by hand: who crosses with whom, and whom a liquidation takes
from."""

from __future__ import annotations

from typing import Any

import pytest

from engine.ledger import Cause
from engine.plans import Now
from engine.ticks import Kind
from engine.units import SECOND_NS, split
from engine.venue.book import BookSpec
from engine.venue.rules import LiquidationRules, MarginRules, Tier, VenueRules
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

COIN = QUOTE = 10**6
VENUE = VenueRules(
    margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),)),
    liquidation=LiquidationRules(limit="none", surplus="account"),
)
LONG = LeverageBand(target=3.0, low=2.0, high=4.5)
CAPPED = Now(slippage_bps=3.0)
SHORT = LeverageBand(target=-3.0, low=1.5, high=5.25)


def shared(rows: list[Any], *, fee: float = 0.0004, **hedge: Any) -> Run:
    """Two longs of 1,000,000 and 400,000 and a short of 300,000: at 100 they want 30,000, 12,000
    and -9,000 coins."""
    own = {"account": "omnibus", **hedge}
    market = a_market(
        contract=a_contract(taker_fee=fee),
        book=BookSpec(model="flat"),
        venue=VENUE,
        stale_after_ns=5 * SECOND_NS,
    )
    spec = a_spec(
        (a_product("L1", seed_atoms=1_000_000 * QUOTE, **own), (LONG,)),
        (a_product("L2", seed_atoms=400_000 * QUOTE, **own), (LONG,)),
        (a_product("S", seed_atoms=300_000 * QUOTE, **own), (SHORT,)),
        markets=(market,),
    )
    return agree(spec, a_tape(rows), range(len(rows)))


def at(second: int, mark: float) -> Any:
    return a_row(Kind.MARK, T0 + second * SECOND_NS, mark)


def quoted(second: int, bid: float, ask: float) -> Any:
    return a_row(Kind.BBO, T0 + second * SECOND_NS, bid, 1.0, ask, 1.0)


def fills(said: Run) -> list[tuple[str, int, float, int, int, bool]]:
    return [
        (e.product, e.lots, e.price, e.hedge_atoms + e.spread_impact_atoms, e.fee_atoms, e.crossed)
        for e in said.named("order_filled")
    ]


def test_orders_of_one_instant_cross_at_mid() -> None:
    """Between 126 and 130, marked 125, they want 24,000, 9,600 and -7,200 coins. The short's 7,200
    are crossed at 128: of the longs' 33,600 the first has 7,200 x 24 / 33.6 = 5,142.857142|86, the
    second 2,057.142857|14, so the lot that is left is the first's. Mid beyond mark is worth 3 a
    coin. The other 26,400 go to the book as one order at 130, each its own rest, and each pays
    0.04 % of its own part, rounded up."""
    said = shared([quoted(0, 126.0, 130.0), at(0, 125.0), at(1, 125.0)])
    assert fills(said) == [
        ("L1", 5_142_857_143, 128.0, -658_285_714_304, 0, True),
        ("L2", 2_057_142_857, 128.0, -263_314_285_696, 0, True),
        ("S", -7_200 * COIN, 128.0, 921_600 * QUOTE, 0, True),
        ("L1", 18_857_142_857, 130.0, -2_451_428_571_410, 980_571_429, False),
        ("L2", 7_542_857_143, 130.0, -980_571_428_590, 392_228_572, False),
    ]
    (crossed,) = said.named("orders_crossed")
    assert (crossed.lots, crossed.mid_price, crossed.mark_price) == (7_200 * COIN, 128.0, 125.0)
    assert (crossed.value_atoms, crossed.orders) == (21_600 * QUOTE, 3)
    assert [e.product for e in said.named("rebalanced")] == ["L1", "L2", "S"]
    basis = [h.account.state.attribution[2] for h in said.engine.handlers]
    assert basis == [-72_000 * QUOTE, -28_800 * QUOTE, 21_600 * QUOTE]
    assert said.engine.ledger.balance("clearing", "BTCUSDT:lots") == 0


@pytest.mark.parametrize("others", [0, 1])
def test_a_rest_that_is_given_up_waits_for_a_price(others: int) -> None:
    """In a book that takes a part each time, up to 3 bps, alone and netted with another: one order
    a product and price. Catches a policy that is asked again at the instant of its decision, which
    never ended."""
    products = [
        (a_product(f"L{n}", seed_atoms=1_000_000 * QUOTE, account="omnibus", plan=CAPPED), (LONG,))
        for n in range(1 + others)
    ]
    market = a_market(contract=a_contract(), book=BookSpec(model="depth", depth_at_1pct=100_000.0))
    rows = [at(second, 100.0 + 0.01 * second) for second in range(1, 9)]
    said = agree(a_spec(*products, markets=(market,)), a_tape(rows), range(len(rows)))
    sent = [(event.product, event.ts_ns) for event in said.named("order_sent")]
    assert len(sent) == len(set(sent)) == 8 * (1 + others)
    assert len(said.named("order_unfilled")) == len(sent)
    assert {event.lots > 0 for event in said.named("order_filled")} == {True}


def test_nothing_is_crossed_while_the_market_is_stale() -> None:
    """Due at the tenth second, when nothing had been heard for five: all are held. At the first
    fresh price, in the thirtieth, they meet each other at its mid."""
    rows = [quoted(0, 100.0, 101.0), at(0, 100.0), quoted(30, 102.0, 103.0), at(30, 102.0)]
    said = shared([*rows, at(31, 102.0)], latency_ns=10 * SECOND_NS)
    assert [e.ts_ns for e in said.named("order_held")] == [T0 + 10 * SECOND_NS] * 3
    (crossed,) = said.named("orders_crossed")
    assert (crossed.ts_ns, crossed.mid_price) == (T0 + 30 * SECOND_NS, 102.5)


def test_what_one_instant_does_not_hold_does_not_cross() -> None:
    """Segregated, the same orders meet the book one by one, at its prices."""
    rows = [quoted(0, 126.0, 130.0), at(0, 125.0), at(1, 125.0)]
    said = shared(rows, account="segregated")
    assert [(e[0], e[2]) for e in fills(said)] == [("L1", 130.0), ("L2", 130.0), ("S", 126.0)]
    assert not said.named("orders_crossed")


def test_a_liquidation_takes_from_the_heavier_side() -> None:
    """Net long 33,000 from 100 with 1,700,000: at 48.9 there are 13,700, and 16,137 are needed. The
    33,000 come from the longs, 30 to 12: 23,571.428571|43 and 9,428.571428|57, whose remainder is
    the larger; the short keeps its 9,000. Each is a product of its own: the longs, below nothing,
    close what is left, and the short has what it earned."""
    said = shared([at(0, 100.0), at(1, 100.0), at(2, 48.9), at(3, 48.9)], fee=0.0)
    (started,) = said.named("liquidation_started")
    assert (started.account, started.position_lots) == ("omnibus:BTCUSDT", 33_000 * COIN)
    assert started.equity_atoms == 13_700 * QUOTE - 1
    (sold,) = said.named("liquidation_filled")
    assert (sold.lots, sold.cash_atoms) == (-33_000 * COIN, 1_613_699_999_999)
    told = [(e.product, e.lots, e.cash_atoms) for e in said.named("omnibus_shared")]
    assert told == [
        ("L1", -23_571_428_571, 1_613_699_999_999 * 23_571_428_571 // (33_000 * COIN)),
        ("L2", -9_428_571_429, 461_057_142_878),
    ]
    assert sum(cash for *_, cash in told) == sold.cash_atoms
    closed = {e.product: e.nav_atoms for e in said.named("product_closed")}
    assert closed == {"L1": -533_000_000_001, "L2": -213_200_000_001}
    assert said.engine.handlers[2].account.nav(48.9) == 759_900 * QUOTE - 1


def behind(said: Run) -> Any:
    """The account behind the three products."""
    (account,) = set(said.engine.margins.behind.values())
    return account


def given(account: Any, lots: int, cash: int) -> list[tuple[int, int]]:
    """What of so many lots and atoms, against the fund, comes to each product."""
    before = [(hedge.account.lots, hedge.cash) for hedge in account.hedges]
    account.move(0, Cause.INSURANCE, lots, cash, "insurance", 100.0)
    after = [(hedge.account.lots, hedge.cash) for hedge in account.hedges]
    return [(n - m, b - a) for (m, a), (n, b) in zip(before, after, strict=True)]


def test_the_venue_sees_them_as_one() -> None:
    """Net long 33,000 coins that cost 3,300,000 of 1,700,000; a margin account like any other, that
    is called where the first of its products wants to be."""
    account = behind(shared([at(0, 100.0), at(1, 100.0)], fee=0.0))
    assert (account.name, account.products) == ("omnibus:BTCUSDT", ["L1", "L2", "S"])
    assert account.positions() == ((0, 33_000 * COIN, 3_300_000 * QUOTE),)
    assert (account.cash, account.withheld, account.topups) == (-1_600_000 * QUOTE, 0, 0)
    assert (account.max_leverage, account.alone) == (0.0, False)
    account.hedges[1].call_at = 1.5
    assert account.call_at == 1.5


def test_money_alone_is_shared_by_the_lots_of_the_heavier_side() -> None:
    """42,000 among 30,000 and 12,000 coins; the 9,000 short have none of it. Taken, the same."""
    account = behind(shared([at(0, 100.0), at(1, 100.0)], fee=0.0))
    for sign in (1, -1):
        found = given(account, 0, sign * 42_000 * QUOTE)
        assert found == [(0, sign * 30_000 * QUOTE), (0, sign * 12_000 * QUOTE), (0, 0)]


def test_lots_come_from_the_side_that_is_closed() -> None:
    """A lot that is bought back is the short's, with what it costs; 14,000 that are sold are the
    longs', 10,000 and 4,000."""
    account = behind(shared([at(0, 100.0), at(1, 100.0)], fee=0.0))
    assert given(account, 1, -7) == [(0, 0), (0, 0), (1, -7)]
    assert given(account, -14_000 * COIN, 70_000 * QUOTE) == [
        (-10_000 * COIN, 50_000 * QUOTE),
        (-4_000 * COIN, 20_000 * QUOTE),
        (0, 0),
    ]


def test_money_for_nothing_net_is_shared_by_all_lots() -> None:
    """Once 33,000 more are sold they hold 6,428.571429, 2,571.428571 and the short 9,000: 18,000
    are shared by these, whether anybody is below nothing or not."""
    account = behind(shared([at(0, 100.0), at(1, 100.0)], fee=0.0))
    given(account, -33_000 * COIN, 3_300_000 * QUOTE)
    assert account.positions() == ()
    held = [hedge.account.lots for hedge in account.hedges]
    assert held == [6_428_571_429, 2_571_428_571, -9_000 * COIN]
    assert [cash for _, cash in given(account, 0, 18_000 * QUOTE)] == [abs(each) for each in held]


def test_money_for_nobody_s_lots_is_shared_by_what_each_owes() -> None:
    """Before anything is bought: nobody owes, so each bears a third; then the first two owe 10 and
    20 million (or atoms), and 30 million come in these parts."""
    account = behind(shared([at(0, 100.0), at(1, 100.0)], latency_ns=5 * SECOND_NS))
    million = 10**6 * QUOTE
    assert [cash for _, cash in given(account, 0, -3_000)] == [-1_000] * 3
    for unit in (million, 1):
        for hedge, owed in zip(account.hedges, (10, 20), strict=False):
            hedge.move(0, Cause.INSURANCE, 0, -hedge.cash - owed * unit, "insurance", 100.0)
        assert [cash for _, cash in given(account, 0, 30 * unit)] == [10 * unit, 20 * unit, 0]


def test_the_last_lot_of_a_side_is_its_own() -> None:
    """A lot is all that the longs still hold: one that is sold is theirs, not the short's."""
    account = behind(shared([at(0, 100.0), at(1, 100.0)], fee=0.0))
    for hedge, kept in zip(account.hedges, (0, 1), strict=False):
        hedge.move(0, Cause.INSURANCE, kept - hedge.account.lots, 0, "insurance", 100.0)
    assert given(account, -1, 100) == [(0, 0), (-1, 100), (0, 0)]


@pytest.mark.parametrize(
    ("amount", "weights", "expected"),
    [(10, [1, 1, 1], [3, 3, 4]), (-10, [1, 1, 1], [-4, -3, -3]), (7, [0, 2, 0, 5], [0, 2, 0, 5])],
)
def test_money_is_split_to_the_last_atom(
    amount: int, weights: list[int], expected: list[int]
) -> None:
    """Rounded one after the other, so that nothing is left over."""
    assert split(amount, weights) == expected
