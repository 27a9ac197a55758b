"""One 3S hedge auto-deleveraged, worked by hand to the last atom, through its re-hedge.

The market: a taker fee of 5 bp, a book of 1 bp half spread, one tier of 1 %, an insurance fund of
nothing, orders 250 ms on their way. A trader is long 10,000 coins from 100 with 50,000 paid in:
bankrupt at 95. Another is short 10,000 from 100 with a million. The product sells 30,000 coins at
99.99 (as a float a little less), for 2,999,700.000000 less one atom and a fee of 1,499.850000: at a
mark of 100 it is worth 998,200.149999. Then the mark goes from 99 to 90 and passes 95: the book has
nobody at 95, the fund pays nothing, and the product, levered 2.08 times and short from 99.99, is
ahead of the trader, levered 0.82 times. It is worth 1,298,200.149999 then.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from engine.attribution import attribution
from engine.commands import AutoDeleverage, ForceTarget, HaltMarket, ResumeMarket
from engine.engine import EngineSpec
from engine.handler_state import HandlerState
from engine.plans import Twap
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.rules import (
    AdlPrice,
    AdlRules,
    LiquidationRules,
    MarginRules,
    Tier,
    VenueRules,
)
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree
from tests.properties.observers import Fallible

COIN = 10**6
"""Lots."""
QUOTE = 10**6
"""Atoms."""
PRICES = (100.0, 101.0, 100.5, 99.0, 90.0, 90.0)
FALL_NS = T0 + 4 * SECOND_NS
BAND = LeverageBand(target=-3.0, low=1.0, high=6.0)
"""So wide that nothing but the venue makes the product trade."""


def a_trader(name: str, coins: int, wallet: int) -> TraderSpec:
    held = PositionSpec(market=0, lots=coins * COIN, entry=100.0)
    return TraderSpec(id=name, wallet_atoms=wallet * QUOTE, positions=(held,))


def in_danger(price: AdlPrice, latency_ns: int = SECOND_NS // 4) -> EngineSpec:
    rules = VenueRules(
        margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),)),
        liquidation=LiquidationRules(limit="bankruptcy", surplus="fund"),
        adl=AdlRules(ranking="binance", price=price, rest="stay_open"),
    )
    market = a_market(
        contract=a_contract(taker_fee=0.0005),
        book=BookSpec(model="flat", half_spread_bps=1.0),
        venue=rules,
    )
    return a_spec(
        (a_product("BTC3S", latency_ns=latency_ns), (BAND,)),
        markets=(market,),
        traders=(a_trader("long", 10_000, 50_000), a_trader("short", -10_000, 1_000_000)),
    )


def of(said: Run, tag: str, *, ts_ns: int = 0) -> list[Any]:
    return [event for event in said.named(tag) if event.ts_ns >= ts_ns]


def state_of(said: Run) -> HandlerState:
    return said.engine.markets[0].handlers[0].state  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("basis", "price", "paid", "effect", "sold", "impact", "fee", "long_cash"),
    [
        # 950,000 for what is worth 900,000. (1,298,200.149999 - 50,000) * 3 / 90 = 41,606.671666
        # coins are to be short, 20,000 are; 9 thousandths and 5 bp of 89.991 for each.
        ("bankruptcy", 95.0, 950_000, -50_000, 21_606_671_666, 194_460_045, 972_202_995, 0),
        # Nothing lost: 43,273.338333 are to be short. The trader owes 50,000, which stays open.
        ("mark", 90.0, 900_000, 0, 23_273_338_333, 209_460_045, 1_047_195_495, -50_000),
        # 990,000: 1,208,200.149999 * 3 / 90 = 40,273.338333. The trader keeps 40,000.
        ("previous_mark", 99.0, 990_000, -90_000, 20_273_338_333, 182_460_045, 912_208_995, 40_000),
    ],
)
def test_a_3s_hedge_is_taken_and_hedged_again(
    basis: AdlPrice,
    price: float,
    paid: int,
    effect: int,
    sold: int,
    impact: int,
    fee: int,
    long_cash: int,
) -> None:
    """What the venue takes moves cash, lots, NAV and the cause ``adl`` by the price it names, and
    nobody else's; a quarter of a second later the product is three times short again, at its cost.
    """
    said = agree(in_danger(basis), a_tape(list(PRICES)))
    taken = of(said, "hedge_auto_deleveraged")[0]
    assert (taken.lots, taken.price, taken.mark_price) == (10_000 * COIN, price, 90.0)
    assert (taken.rank, taken.quantile) == (1, 1.0)
    assert (taken.position_lots, taken.nav_effect_atoms) == (-20_000 * COIN, effect * QUOTE)
    assert taken.leverage_before == pytest.approx(-2_700_000 / 1_298_200.149999, rel=1e-12)
    nav = 1_298_200_149_999 + effect * QUOTE
    assert taken.leverage_after == pytest.approx(-1_800_000 * QUOTE / nav, rel=1e-12)
    stated = of(said, "position_auto_deleveraged")[0]
    assert (stated.account, stated.against) == ("product:BTC3S", "trader:long")
    assert (stated.lots, stated.cash_atoms) == (10_000 * COIN, -paid * QUOTE)
    assert nav_at(said, 4) == (nav, effect * QUOTE)
    sent, filled = of(said, "order_sent", ts_ns=FALL_NS)[0], of(said, "order_filled")[-1]
    assert (sent.ts_ns, sent.lots, sent.arrives_ns) == (FALL_NS, -sold, FALL_NS + SECOND_NS // 4)
    assert (filled.ts_ns, filled.lots, filled.price) == (sent.arrives_ns, -sold, 89.991)
    assert (filled.spread_impact_atoms, filled.fee_atoms) == (-impact, fee)
    again = of(said, "rebalanced")[-1]
    assert again.reason == "re-hedge after auto-deleveraging"
    assert again.position_lots == -20_000 * COIN - sold
    assert again.cost_atoms == impact + fee
    assert nav_at(said, 5) == (nav - impact - fee, effect * QUOTE)
    assert of(said, "liquidation_ended")[0].equity_atoms == long_cash * QUOTE
    state = state_of(said)
    assert state.unhedged_ns == 2 * SECOND_NS // 4  # the opening, and the gap
    assert (state.adl_events, state.rehedge) == (1, False)


def test_what_nobody_paid_is_shared_by_size() -> None:
    """At the mark the trader is left with a debt of 50,000. The product holds 20,000 coins, the
    other trader 10,000: two thirds, rounded up, and the rest. A whole rate a lot (2 atoms where
    1.67 are meant) would take 40,000."""
    spec = in_danger("mark")
    (market,) = spec.markets
    rules = replace(market.venue, adl=replace(market.venue.adl, rest="socialise"))
    said = agree(replace(spec, markets=(replace(market, venue=rules),)), a_tape(list(PRICES)))
    (shared,) = of(said, "loss_socialised")
    assert (shared.loss_atoms, shared.atoms_per_lot, shared.accounts) == (50_000 * QUOTE, 2, 2)
    paid = 33_333_333_334
    charged = {e.account: (e.cause, e.atoms) for e in of(said, "account_charged")}
    assert charged == {
        "product:BTC3S": ("socialised", paid),
        "trader:short": ("socialised", 50_000 * QUOTE - paid),
        "trader:long": ("socialised", -50_000 * QUOTE),
    }
    assert nav_at(said, 4) == (1_298_200_149_999 - paid, -paid)
    assert of(said, "liquidation_ended")[0].equity_atoms == 0
    traders = {each.id: each.cash for each in said.engine.margins.traders.accounts}
    assert traders == {"long": 0, "short": 2_000_000 * QUOTE - (50_000 * QUOTE - paid)}


def nav_at(said: Run, second: int) -> tuple[int, int]:
    """NAV and the cause ``adl`` of the record at a second."""
    row = int(said.nav["ts_ns"].searchsorted(T0 + second * SECOND_NS))
    return int(said.nav["nav_atoms"][row]), int(said.nav["adl"][row])


def test_the_account_holds_what_was_worked_out() -> None:
    """At bankruptcy: 1,000,000 + 2,999,699.999999 - 1,499.85 - 950,000, and 21,606.671666 coins at
    89.991 less the fee; the lots are those of both sales less the 10,000 taken."""
    said = agree(in_danger("bankruptcy"), a_tape(list(PRICES)))
    account = said.engine.markets[0].handlers[0].account
    before = 3_998_200_149_999 - 950_000 * QUOTE
    assert account.lots == -(30_000 - 10_000) * COIN - 21_606_671_666
    assert account.cash == before + 1_944_600_449_940 - 194_460_045 - 972_202_995
    said.engine.ledger.check()


def test_a_re_hedge_waits_for_the_plan_under_way() -> None:
    """The product is on its way to -2.5 when the venue takes its lots: the plan ends with what it
    was sized for, and then the re-hedge goes to -2.5; it is not forgotten."""
    spec = in_danger("bankruptcy", latency_ns=3 * SECOND_NS + SECOND_NS // 2)
    force = ForceTarget(ts_ns=0, id="f", product="BTC3S", target=-2.5)
    rows: list[Any] = [100.0, 100.0, 100.0, 100.0, 100.0, 100.0, force, 99.0, 90.0]
    said = agree(spec, a_tape([*rows, *[90.0] * 12]))
    done = of(said, "rebalanced")
    assert [event.reason for event in done] == [
        "leverage -0 at or below the band",
        "forced by the operator",
        "re-hedge after auto-deleveraging",
    ]
    assert done[-1].leverage_after == pytest.approx(-2.5, rel=0.01)
    assert of(said, "hedge_auto_deleveraged")[0].ts_ns < done[1].ts_ns


def test_a_plan_in_turns_sells_nothing_that_the_venue_took_already() -> None:
    """From 3x, 30,000 coins, to 2x in two turns four seconds apart: 25,000 are left after one. The
    venue takes half of them, 12,500. The second turn would sell 5,000 more of what are 7,500 too
    few: nothing is missing, the plan ends, and the re-hedge buys the 7,500, in two turns too."""
    product = a_product(latency_ns=0, plan=Twap(chunks=2, every_s=4.0))
    market = replace(in_danger("mark").markets[0], contract=a_contract(taker_fee=0.0))
    spec = a_spec(
        (product, (LeverageBand(target=3.0, low=1.0, high=6.0),)),
        markets=(replace(market, book=BookSpec(model="flat")),),
    )
    force = ForceTarget(ts_ns=T0 + 9 * SECOND_NS, id="f", product="BTC3L", target=2.0)
    take = AutoDeleverage(ts_ns=T0 + 11 * SECOND_NS, id="a", symbol="BTCUSDT", share=0.5)
    at = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0) for n in range(20)]
    said = agree(spec, a_tape([*at[:10], force, *at[10:12], take, *at[12:]]))
    traded = [(e.ts_ns - T0, e.lots) for e in of(said, "order_filled", ts_ns=force.ts_ns)]
    assert traded == [
        (9 * SECOND_NS, -5_000 * COIN),
        (11 * SECOND_NS, -12_500 * COIN),
        (13 * SECOND_NS, 3_750 * COIN),
        (17 * SECOND_NS, 3_750 * COIN),
    ]
    (ended,) = said.named("order_cancelled")
    assert (ended.ts_ns, ended.reason) == (T0 + 13 * SECOND_NS, "not_needed")


def test_the_last_of_the_queue_is_taken_in_part() -> None:
    """The other trader, 40 times levered and as short, comes first and is closed whole; of the
    product only the rest is taken: 6,000 coins."""
    spec = in_danger("bankruptcy")
    first = a_trader("short", -4_000, 10_000)
    said = agree(replace(spec, traders=(spec.traders[0], first)), a_tape(list(PRICES)))
    taken = [(e.account, e.lots, e.rank) for e in of(said, "position_auto_deleveraged")]
    assert taken == [
        ("trader:short", 4_000 * COIN, 1),
        ("product:BTC3S", 6_000 * COIN, 2),
    ]
    assert of(said, "hedge_auto_deleveraged")[0].nav_effect_atoms == -30_000 * QUOTE


def test_what_waits_for_the_market_is_unhedged_from_the_taking_on() -> None:
    """Half of the hedge is taken at the third second, in a halt; the first price after that is in
    the tenth: the re-hedge is decided then and filled a quarter of a second later. Catches a gap
    that is counted from the decision, which is a quarter of a second, beside the opening's."""
    spec = in_danger("bankruptcy")
    halt = HaltMarket(ts_ns=T0 + 2 * SECOND_NS, id="h", symbol="BTCUSDT")
    take = AutoDeleverage(ts_ns=T0 + 3 * SECOND_NS, id="a", symbol="BTCUSDT", share=0.5)
    resume = ResumeMarket(ts_ns=T0 + 9 * SECOND_NS, id="r", symbol="BTCUSDT")
    at = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0 + n / 1e3) for n in range(12)]
    rows = [*at[:3], halt, *at[3:4], take, *at[4:10], resume, *at[10:]]
    said = agree(replace(spec, traders=()), a_tape(rows))
    assert of(said, "hedge_auto_deleveraged")[0].ts_ns == T0 + 3 * SECOND_NS
    again = of(said, "rebalanced")[-1]
    assert again.reason == "re-hedge after auto-deleveraging"
    assert again.ts_ns == T0 + 10 * SECOND_NS + SECOND_NS // 4
    handler = said.engine.markets[0].handlers[0]
    assert handler.state.unhedged_ns == 7 * SECOND_NS + 2 * SECOND_NS // 4
    assert handler.unhedged_ns(said.engine.time_ns) == handler.state.unhedged_ns


def test_a_gap_that_is_open_at_the_end_counts() -> None:
    """The halt does not end: eight seconds from the taking to the last row."""
    halt = HaltMarket(ts_ns=T0 + 2 * SECOND_NS, id="h", symbol="BTCUSDT")
    take = AutoDeleverage(ts_ns=T0 + 3 * SECOND_NS, id="a", symbol="BTCUSDT", share=0.5)
    at = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0 + n / 1e3) for n in range(12)]
    rows = [*at[:3], halt, *at[3:4], take, *at[4:]]
    said = agree(replace(in_danger("bankruptcy"), traders=()), a_tape(rows))
    handler = said.engine.markets[0].handlers[0]
    assert handler.state.rehedge
    assert handler.unhedged_ns(T0 + 11 * SECOND_NS) == 8 * SECOND_NS + SECOND_NS // 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("account", ["segregated", "omnibus"])
def test_what_is_stated_is_what_is_booked(account: str, seed: int) -> None:
    """Odd sizes and prices, two hedges of which several traders' ends take: the NAV effects of the
    events of each product add up to its cause ``adl``, to the atom. Catches an effect that is
    worked out again from a price, where the money went by atoms of the bankruptcy value."""
    random = Random(seed)
    spec = in_danger("bankruptcy")
    products = [
        a_product(name, latency_ns=0, account=account, seed_atoms=random.randrange(10**11, 10**12))
        for name in ("A", "B")
    ]
    longs = []
    for number in range(8):
        lots, entry = 10**9 - random.randrange(10**6), random.uniform(99.0, 101.0)
        held = PositionSpec(market=0, lots=lots, entry=entry)
        wallet = random.randrange(3_000 * QUOTE, 9_000 * QUOTE)
        longs.append(TraderSpec(id=f"t{number}", wallet_atoms=wallet, positions=(held,)))
    spec = replace(
        spec, products=tuple(products), policies=((BAND,), (BAND,)), traders=tuple(longs)
    )
    marks = [100.0, 99.31, 93.77, 86.19, 86.03]
    said = agree(spec, a_tape(marks))
    events = of(said, "hedge_auto_deleveraged")
    assert len(events) >= 4
    for handler in said.engine.markets[0].handlers:
        own = [e.nav_effect_atoms for e in events if e.product == handler.spec.id]
        assert own
        assert sum(own) == attribution(handler.account, marks[-1])["adl"]


def test_whose_pause_ends_now_is_looked_at_before_anybody_is_called_on() -> None:
    """Squeezed is short 10,000 coins from 100 with 50,000 paid in: at 104, the first second, 10,000
    do not cover 10,400, half is bought back, and the rest waits two seconds. At the third the mark
    is 90, and who is long 10,000 from 100 with 60,000 is bankrupt at 94, where nobody buys. The
    pause is over at that very instant: Squeezed, worth 30,000 and 5,000 times 10, is restored, and
    first in the queue. He gives his 5,000 for 94, which leaves him 60,000; Calm gives the other
    5,000. Catches counterparties that are called on before all liquidations of the instant."""
    spec = in_danger("bankruptcy")
    (market,) = spec.markets
    steps = LiquidationRules(
        steps="portion", portion=0.5, pause_ns=2 * SECOND_NS, limit="bankruptcy", surplus="account"
    )
    market = replace(
        market,
        book=BookSpec(model="flat"),
        contract=a_contract(taker_fee=0.0),
        venue=replace(market.venue, liquidation=steps),
    )
    traders = (
        a_trader("fallen", 10_000, 60_000),
        a_trader("squeezed", -10_000, 50_000),
        a_trader("calm", -20_000, 2_000_000),
    )
    idle = replace(spec, products=(a_product("IDLE"),), policies=((),), markets=(market,))
    said = agree(replace(idle, traders=traders), a_tape([100.0, 104.0, 100.0, 90.0]), range(4))
    assert [(e.account, e.outcome) for e in said.named("liquidation_ended")] == [
        ("trader:squeezed", "restored"),
        ("trader:fallen", "closed"),
    ]
    assert [(e.account, e.lots, e.price) for e in said.named("position_auto_deleveraged")] == [
        ("trader:squeezed", 5_000 * COIN, 94.0),
        ("trader:calm", 5_000 * COIN, 94.0),
    ]
    accounts = said.engine.margins.traders.accounts
    assert [each.holdings[0].lots for each in accounts] == [0, 0, -15_000 * COIN]
    assert [each.cash for each in accounts[:2]] == [0, 60_000 * QUOTE]


@pytest.mark.parametrize(("nav", "left"), [("basket", 2_500), ("formula", 5_000)])
def test_safe_mode_buys_nothing_back_but_what_a_formula_promises(nav: str, left: int) -> None:
    """A policy faults, and the product, worth a million at 100, is cut to half: 5,000 coins. The
    venue takes half of them. A basket keeps its quarter, for from the fault on it is only reduced;
    of a formula product nothing is missing but hedge, which comes back for what is promised."""
    fallible = Fallible(every_s=2)
    product = a_product(nav=nav, latency_ns=0, safe_mode="cut", safe_leverage=0.5)
    market = replace(in_danger("mark").markets[0], contract=a_contract(taker_fee=0.0))
    spec = a_spec((product, (fallible,)), markets=(replace(market, book=BookSpec(model="flat")),))
    take = AutoDeleverage(ts_ns=T0 + 12 * SECOND_NS, id="a", symbol="BTCUSDT", share=0.5)
    at = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0) for n in range(20)]
    said = agree(spec, a_tape([*at[:12], take, *at[12:]]))
    (cut,) = [e for e in said.named("deleveraged") if e.reason.startswith("safe mode")]
    assert cut.ts_ns < take.ts_ns
    (taken,) = said.named("hedge_auto_deleveraged")
    assert (taken.lots, taken.position_lots) == (-2_500 * COIN, 2_500 * COIN)
    handler = said.engine.markets[0].handlers[0]
    assert handler.account.book.lots == left * COIN
    assert not handler.state.rehedge
