"""Ways through a liquidation, each recomputed in fractions from the rules as venues publish them.

Nothing costs a fee, the book takes all at the mark, maintenance is 1 % of notional.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from msgspec.structs import replace

from engine.errors import InvariantError
from engine.market import MarketSpec
from engine.sampler import Sampling
from engine.ticks import Kind
from engine.units import HOUR_NS, SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.desk import Stage
from engine.venue.rules import (
    AdlRules,
    InsuranceRules,
    LiquidationRules,
    MarginRules,
    Tier,
    VenueRules,
)
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

COIN = QUOTE = 10**6
TIER = (Tier(cap=1e9, max_leverage=50.0, rate=0.01),)


def a_venue(symbol: int = 0, *, inverse: bool = False, fund: int = 0, **rules: Any) -> MarketSpec:
    """``fund``: what its insurance begins with, whole quote."""
    insurance, adl = rules.pop("insurance", InsuranceRules()), rules.pop("adl", AdlRules())
    liquidation = LiquidationRules(**{"limit": "none", **rules})
    name = ("BTCUSD" if inverse else "BTCUSDT") if not symbol else "ETHUSDT"
    return a_market(
        symbol=symbol,
        contract=a_contract(name, inverse=inverse, taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(
            margin=MarginRules(tiers=TIER), liquidation=liquidation, insurance=insurance, adl=adl
        ),
        insurance_atoms=fund * QUOTE,
    )


def a_trader(name: str, wallet: int, *held: tuple[int, int, float]) -> TraderSpec:
    """``held``: market, whole coins, entry."""
    positions = tuple(PositionSpec(market=m, lots=n * COIN, entry=at) for m, n, at in held)
    return TraderSpec(id=name, wallet_atoms=wallet * QUOTE, positions=positions)


def said_of(markets: Sequence[MarketSpec], traders: Sequence[TraderSpec], rows: list[Any]) -> Run:
    """Each market has a product that holds nothing: with its launch the market opens."""
    idle = [(a_product(f"IDLE{n}", market=n), ()) for n in range(len(markets))]
    spec = a_spec(*idle, markets=markets, traders=tuple(traders), sampling=Sampling(nav_every_ns=0))
    return agree(spec, a_tape(rows), range(len(rows)))


def mark(second: float, price: float, symbol: int = 0) -> Any:
    return a_row(Kind.MARK, T0 + int(second * SECOND_NS), price, symbol=symbol)


# A fifth, a pause, the rest -----------------------------------------------------------------------

FIFTHS: dict[str, Any] = {
    "steps": "portion",
    "portion": 0.2,
    "portion_above": 1e5,
    "cooldown_ns": 30 * SECOND_NS,
    "surplus": "account",
}


@pytest.mark.parametrize(
    ("then", "event", "equity"),
    [
        # 9,000 - 8,000 * 0.1: above 7,664. No more is closed.
        (95.8, "restored", 8_200),
        # 6,600, below 7,648 and above two thirds of it: what is left is sold at once.
        (95.6, "sold", 6_600),
        # 3,400, below two thirds of 7,616: the backstop has the position and the 3,400.
        (95.2, "backstop", 3_400),
    ],
)
def test_a_fifth_then_a_pause_then_the_rest(then: float, event: str, equity: int) -> None:
    """Long 10,000 from 100 with 50,000: at 95.9 he has 9,000 and needs 9,590. A fifth is sold, and
    would have used up a fifth of the 9,000 at 190,000; for three seconds nobody looks, whatever the
    price does; a nanosecond before their end nothing has happened yet."""
    rules = FIFTHS | {"pause_ns": 3 * SECOND_NS, "backstop_below": 2 / 3}
    rows = [mark(0, 100.0), mark(1, 95.9), mark(2, then), mark(4.5, then)]
    said = said_of([a_venue(**rules)], [a_trader("t", 50_000, (0, 10_000, 100.0))], rows)
    first, *later = said.named("liquidation_filled")
    assert (first.step, first.lots, first.ts_ns) == ("partial", -2_000 * COIN, T0 + SECOND_NS)
    assert first.cash_atoms == floor(2_000 * COIN * Fraction(95.9))
    assert abs(first.bankruptcy_atoms - 190_000 * QUOTE) <= 2
    after = [e for e in said.events if e.ts_ns > T0 + SECOND_NS]
    assert {e.ts_ns for e in after} == {T0 + 4 * SECOND_NS}
    (ended,) = said.named("liquidation_ended")
    if event == "restored":
        assert (ended.outcome, ended.position_lots, later) == ("restored", 8_000 * COIN, [])
    elif event == "sold":
        (rest,) = later
        assert (rest.step, rest.lots, ended.outcome) == ("full", -8_000 * COIN, "closed")
    else:
        (taken,) = said.named("backstop_takeover")
        assert (taken.lots, taken.mark_price) == (-8_000 * COIN, then)
        assert abs(taken.equity_atoms - equity * QUOTE) <= 2
        assert (later, ended.outcome, ended.equity_atoms) == ([], "closed", 0)
        return
    assert abs(ended.equity_atoms - equity * QUOTE) <= 2


@pytest.mark.parametrize(("second", "sold"), [(2, 8_000), (30.9, 8_000), (31, 1_600), (60, 1_600)])
def test_the_whole_is_closed_while_it_cools(second: float, sold: int) -> None:
    """The same long has margin again once its fifth was sold at the first second. Where it is short
    anew within 30 s from then it is sold whole at once, at their end a fifth of what is left."""
    rules = FIFTHS | {"pause_ns": SECOND_NS // 10}
    rows = [mark(0, 100.0), mark(1, 95.9), mark(1.5, 96.5), mark(second, 95.6)]
    said = said_of([a_venue(**rules)], [a_trader("t", 50_000, (0, 10_000, 100.0))], rows)
    first, then, *_ = said.named("liquidation_filled")
    restored, *_ = said.named("liquidation_ended")
    assert (first.lots, restored.outcome) == (-2_000 * COIN, "restored")
    assert restored.ts_ns == T0 + SECOND_NS + SECOND_NS // 10
    assert (then.lots, then.ts_ns) == (-sold * COIN, T0 + round(second * SECOND_NS))


def test_a_pause_alone_lets_each_step_be_a_part() -> None:
    """Where nothing cools (dYdX) every block closes its share of what is left, as long as the
    account is short."""
    rules = FIFTHS | {"pause_ns": SECOND_NS, "cooldown_ns": 0}
    rows = [mark(0, 100.0), mark(1, 95.0), mark(2.5, 95.0)]
    said = said_of([a_venue(**rules)], [a_trader("t", 57_000, (0, 10_000, 100.0))], rows)
    steps = [(e.ts_ns - T0, e.lots) for e in said.named("liquidation_filled")]
    assert steps[:2] == [(SECOND_NS, -2_000 * COIN), (2 * SECOND_NS, -1_600 * COIN)]


@pytest.mark.parametrize(
    ("wallet", "price", "equity", "taken"),
    [(50_000, 95.0, 0, True), (44_800, 96.0, 4_800, False), (44_799, 96.0, 4_799, True)],
)
def test_the_backstop_begins_below_its_share(
    wallet: int, price: float, equity: int, *, taken: bool
) -> None:
    """Long 10,000 from 100, half of maintenance the share: who has nothing at all owes nothing yet,
    and the backstop takes it; 4,800 of 9,600 are the half, and sold; one less is not."""
    rules = {"surplus": "account", "backstop_below": 0.5}
    rows = [mark(0, 100.0), mark(1, price)]
    said = said_of([a_venue(**rules)], [a_trader("t", wallet, (0, 10_000, 100.0))], rows)
    (started,) = said.named("liquidation_started")
    assert started.equity_atoms == equity * QUOTE
    takeovers = said.named("backstop_takeover")
    assert [(e.lots, e.equity_atoms) for e in takeovers] == (
        [(-10_000 * COIN, equity * QUOTE)] if taken else []
    )
    assert len(said.named("liquidation_filled")) == (not taken)


def test_a_fifth_of_a_position_that_counts_by_its_cost() -> None:
    """Long 10,000 from 100 with 50,000 needs 10,000 whatever the mark; at 95.9 there are 9,000. A
    fifth needs a fifth of that: it may use up 1,800, so that its 2,000 coins must bring 190,000."""
    market = a_venue(**FIFTHS)
    entry = MarginRules(tiers=TIER, priced_at="entry")
    market = replace(market, venue=replace(market.venue, margin=entry))
    trader = a_trader("t", 50_000, (0, 10_000, 100.0))
    said = said_of([market], [trader], [mark(0, 100.0), mark(1, 95.9)])
    (started,) = said.named("liquidation_started")
    first, *_ = said.named("liquidation_filled")
    assert started.maintenance_atoms == 10_000 * QUOTE
    assert first.lots == -2_000 * COIN
    assert abs(first.bankruptcy_atoms - 190_000 * QUOTE) <= 2


def test_a_liquidation_that_begins_waits_for_nothing() -> None:
    """0 is no instant: the next step comes with the next price."""
    assert Stage().resumes_ns == 0


# One account, two contracts -----------------------------------------------------------------------


def test_a_backstop_takes_one_position_after_the_other() -> None:
    """Long 10,000 from 100, 20,000 from 50, with 60,000: at 97 and 48.8 there are 6,000 of 19,460,
    less than two thirds. Both positions go at that instant, and with the second what is left."""
    rules = {"surplus": "account", "backstop_below": 2 / 3}
    rows = [mark(0, 100.0), mark(0, 50.0, 1), mark(1, 97.0), mark(2, 48.8, 1)]
    trader = a_trader("t", 60_000, (0, 10_000, 100.0), (1, 20_000, 50.0))
    said = said_of([a_venue(**rules), a_venue(1, **rules)], [trader], rows)
    taken = [(e.symbol, e.lots, e.ts_ns - T0) for e in said.named("backstop_takeover")]
    assert taken == [
        ("ETHUSDT", -20_000 * COIN, 2 * SECOND_NS),
        ("BTCUSDT", -10_000 * COIN, 2 * SECOND_NS),
    ]
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.equity_atoms) == ("closed", 0)


@pytest.mark.parametrize(("surplus", "first"), [("fund", "heaviest"), ("account", "listed")])
def test_a_cross_account_is_closed_position_by_position(surplus: str, first: str) -> None:
    """Long 10,000 from 100, short 20,000 from 50, with 60,000. At 97 and 50.9 there are 12,000 for
    9,700 and 10,180 of maintenance. The heavier, the short, is closed first: its share of what is
    left is ``12,000 * 10,180 / 19,880``, the fund's; the 5,855.130785 that remain do not cover
    9,700, and go the same way. Where the surplus is his and the listed one comes first, 12,000
    cover the 10,180 of the other."""
    rules = {"surplus": surplus, "first": first}
    rows = [mark(0, 100.0), mark(0, 50.0, 1), mark(1, 97.0), mark(2, 50.9, 1)]
    trader = a_trader("t", 60_000, (0, 10_000, 100.0), (1, -20_000, 50.0))
    said = said_of([a_venue(**rules), a_venue(1, **rules)], [trader], rows)
    (started,) = said.named("liquidation_started")
    assert started.ts_ns == T0 + 2 * SECOND_NS
    assert abs(started.equity_atoms - 12_000 * QUOTE) <= 2
    assert abs(started.maintenance_atoms - 19_880 * QUOTE) <= 2
    fills = said.named("liquidation_filled")
    (ended,) = said.named("liquidation_ended")
    if surplus == "account":
        assert [(fill.symbol, fill.lots) for fill in fills] == [("BTCUSDT", -10_000 * COIN)]
        assert ended.outcome == "restored"
        assert abs(ended.equity_atoms - 12_000 * QUOTE) <= 2
        return
    share = Fraction(12_000 * QUOTE * 10_180, 19_880)
    short, long = fills
    assert (short.symbol, short.lots) == ("ETHUSDT", 20_000 * COIN)
    assert (long.symbol, long.lots) == ("BTCUSDT", -10_000 * COIN)
    assert abs(short.fund_atoms - share) <= 3
    assert short.bankruptcy_price == pytest.approx(float(50.9 + share / (20_000 * QUOTE)), 1e-12)
    assert short.fund_atoms + long.fund_atoms == said.engine.ledger.balance("insurance", "USDT")
    assert abs(short.fund_atoms + long.fund_atoms - 12_000 * QUOTE) <= 3
    assert (ended.outcome, ended.equity_atoms) == ("closed", 0)


def test_counterparties_take_a_cross_account_position_by_position() -> None:
    """Long 10,000 from 100 and 20,000 from 50 with 60,000: at 46.5 for the second there are 10,000
    too little, and 10,000 and 9,300 of maintenance. The book refuses the first at its bankruptcy
    price, its share of the debt above 100, and so does it the second at what is then left to lose:
    whoever is short of both is closed at these prices, and nobody has lost what was not there."""
    adl = AdlRules(rest="stay_open")
    traders = [
        a_trader("t", 60_000, (0, 10_000, 100.0), (1, 20_000, 50.0)),
        a_trader("other", 5_000_000, (0, -10_000, 100.0), (1, -20_000, 50.0)),
    ]
    rows = [mark(0, 100.0), mark(0, 50.0, 1), mark(1, 46.5, 1), mark(2, 46.5, 1)]
    markets = [a_venue(n, limit="bankruptcy", adl=adl) for n in range(2)]
    said = said_of(markets, traders, rows)
    share = Fraction(10_000 * 10_000, 19_300)
    prices = [100 + share / 10_000, (1_940_000 - 1_000_000 - share) / 20_000]
    taken = said.named("position_auto_deleveraged")
    assert [(e.account, e.symbol, e.lots) for e in taken] == [
        ("trader:other", "BTCUSDT", 10_000 * COIN),
        ("trader:other", "ETHUSDT", 20_000 * COIN),
    ]
    assert [e.price for e in taken] == pytest.approx([float(each) for each in prices], rel=1e-9)
    broke, _ = said.engine.margins.traders.accounts
    assert (broke.cash, [held.lots for held in broke.holdings]) == (0, [0, 0])


# Futures, settled in coin -------------------------------------------------------------------------


@pytest.mark.parametrize(("leverage", "beyond"), [(10.0, -1), (-10.0, 1)])
def test_futures_on_an_inverse_contract(leverage: float, beyond: int) -> None:
    """A million at 30,000 are 33.33333334 coins of margin, 10,000,000 contracts of a dollar are
    333.33333333. Equity ``C + s N (1 / 30,000 - 1 / p)`` meets 1 % of ``N / p`` at ``N (1 + s 0.01)
    / (C s + N / 30,000)``: 27,545.45 for a long, 33,000 for a short. On the near side the position
    stands, on the other it is sold, and what is left of the coins is the venue's."""
    coins = ceil(Fraction(10**14, 30_000))
    side, lots = (1, 10**7) if leverage > 0 else (-1, -(10**7))
    bought = Fraction(lots * 10**8, 30_000)
    dies = Fraction(10**7 * (100 + side), 100) / ((coins * side + abs(bought)) / 10**8)
    for steps, dead in ((-beyond, False), (beyond, True)):
        price = float(dies + steps)
        product = a_product("FUT", kind="futures", leverage=leverage)
        spec = a_spec((product, ()), markets=(a_venue(inverse=True),))
        said = agree(spec, a_tape([30_000.0, price]))
        assert bool(said.named("liquidation_started")) is dead
        if not dead:
            continue
        (taken,) = said.named("liquidation_filled")
        left = coins + bought - Fraction(lots * 10**8) / Fraction(price)
        assert (taken.step, taken.lots) == ("full", -lots)
        assert abs(taken.fund_atoms - left) <= 2
        assert taken.bankruptcy_price == pytest.approx(
            float(abs(lots) * 10**8 / abs(coins + bought)), 1e-9
        )
        account = said.engine.handlers[0].account
        assert (account.cash, account.lots, account.nav(price)) == (0, 0, 0)


# A fund that stops at a drawdown ------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "peak"), [(1, 10_000), (9, 7_000)])
def test_a_fund_stops_at_its_drawdown_and_goes_on_from_a_new_peak(hours: int, peak: int) -> None:
    """10,000 in the fund, of which 30 % of the peak of 8 hours may go. The first, bankrupt at 95,
    is at 94.1: 0.9 a coin, so 3,000 let 3,333.333333 of his 10,000 be sold, the rest is closed
    against the other side at 95. The second is bankrupt at 93 and falls to 92. An hour later the
    fund has nothing to give: 7,000 of 10,000 must stay. After nine, of a peak of 7,000, 2,100 pay
    for 2,100 coins."""
    venue = a_venue(
        fund=10_000,
        limit="bankruptcy",
        insurance=InsuranceRules(drawdown=0.3, window_ns=8 * HOUR_NS),
        adl=AdlRules(ranking="binance", price="bankruptcy", rest="stay_open"),
    )
    traders = [
        a_trader("first", 50_000, (0, 10_000, 100.0)),
        a_trader("second", 70_000, (0, 10_000, 100.0)),
        a_trader("short", 2_000_000, (0, -20_000, 100.0)),
    ]
    rows = [mark(0, 100.0), mark(1, 94.1), *(mark(3_600 * h, 94.1) for h in range(1, hours + 1))]
    said = said_of([venue], traders, [*rows, mark(3_600 * hours + 1, 92.0)])
    paid = [fill for fill in said.named("liquidation_filled") if fill.step == "insured"]
    assert paid[0].lots == -floor(3_000 * COIN / (95 - Fraction(94.1)))
    assert abs(paid[0].fund_atoms + 3_000 * QUOTE) <= 2
    taken = said.named("position_auto_deleveraged")
    assert (taken[0].against, taken[0].price) == ("trader:first", 95.0)
    assert taken[0].lots == 10_000 * COIN + paid[0].lots
    (second,) = [each for each in taken if each.against == "trader:second"]
    left = said.engine.ledger.balance("insurance", "USDT")
    if peak == 10_000:
        assert len(paid) == 1
        assert second.lots == 10_000 * COIN
        assert abs(left - 7_000 * QUOTE) <= 2
    else:
        assert abs(paid[1].lots + 2_100 * COIN) <= 5
        assert abs(left - 4_900 * QUOTE) <= 4
        assert second.lots == 10_000 * COIN + paid[1].lots
    assert second.price == 93.0


# Funding of the other customers -------------------------------------------------------------------


def test_long_traders_pay_short_ones_at_a_positive_rate() -> None:
    """At 0.1 % and a mark of 100, 10,000 coins long pay 1,000 and 4,000 short get 400; what is
    over is the other side's, which the run does not know by name. Below zero it is the other way
    round."""
    traders = [
        a_trader("long", 50_000, (0, 10_000, 100.0)),
        a_trader("short", 50_000, (0, -4_000, 100.0)),
    ]
    said = said_of([a_venue()], traders, [mark(0, 100.0)])
    margins = said.engine.margins
    before = [trader.cash for trader in margins.traders.accounts]
    for rate, sign in ((0.001, 1), (-0.001, -1)):
        assert not margins.fund_traders(0, rate)
        now = [trader.cash for trader in margins.traders.accounts]
        moved = [new - old for new, old in zip(now, before, strict=True)]
        assert moved == [-sign * 1_000 * QUOTE, sign * 400 * QUOTE]
        said.engine.ledger.check()
        margins.check()
        before = now
    (first, second), _, _ = said.engine.tape.take()
    assert (first.accounts, first.paid_atoms, first.mark_price) == (2, 600 * QUOTE, 100.0)
    assert second.paid_atoms == -600 * QUOTE


def test_a_cost_without_lots_is_found() -> None:
    """A hedge that holds nothing cost nothing: the scan of a snapshot says whose does."""
    said = said_of([a_venue()], [], [mark(0, 100.0)])
    said.engine.margins.check()
    said.engine.handlers[0].account.state.cost = 1
    with pytest.raises(InvariantError, match="product:IDLE0: a cost of 1, no lots"):
        said.engine.margins.check()


# Who does nothing pays more -----------------------------------------------------------------------


def test_nobody_is_liquidated_before_all_that_he_holds_has_a_price() -> None:
    """Bitcoin falls to 1 before ether is quoted: what ten of one and one of the other are worth
    together nobody knows."""
    holder = a_trader("t", 100, (0, 10, 100.0), (1, 1, 100.0))
    said = said_of([a_venue(), a_venue(1)], [holder], [mark(0, 100.0), mark(1, 1.0)])
    margins = said.engine.margins
    assert margins.desk.review(margins.watch.accounts) == []
    assert (margins.desk.stages, said.named("liquidation_started")) == ({}, [])


@pytest.mark.parametrize(("lots", "mark_price", "price"), [(-1, 110.0, 110.11), (1, 90.0, 89.91)])
def test_a_single_lot_is_bought_at_the_ask_and_sold_at_the_bid(
    lots: int, mark_price: float, price: float
) -> None:
    """Lots of a coin, ten basis points from mid: a loss of 10 leaves 0.8 of the 0.9 or 1.1 that are
    needed."""
    market = replace(
        a_venue(surplus="account"),
        contract=a_contract(lot_size=1.0, taker_fee=0.0),
        book=BookSpec(model="flat", half_spread_bps=10.0),
    )
    held = PositionSpec(market=0, lots=lots, entry=100.0)
    trader = TraderSpec(id="t", wallet_atoms=10_800_000, positions=(held,))
    said = said_of([market], [trader], [mark(0, 100.0), mark(1, mark_price)])
    (filled,) = said.named("liquidation_filled")
    assert (filled.lots, filled.price) == (-lots, pytest.approx(price, rel=1e-14))


@pytest.mark.parametrize("fund", [0, 1])
def test_the_fund_pays_with_its_last_atom(fund: int) -> None:
    """A coin from 100 with an atom less than 16 brings 84, an atom too little: refused at its
    limit, and sold where the fund has that atom."""
    held = PositionSpec(market=0, lots=COIN, entry=100.0)
    trader = TraderSpec(id="t", wallet_atoms=16 * QUOTE - 1, positions=(held,))
    market = replace(a_venue(limit="bankruptcy"), insurance_atoms=fund)
    said = said_of([market], [trader], [mark(0, 100.0), mark(1, 84.0)])
    filled = [(e.step, e.lots, e.fund_atoms) for e in said.named("liquidation_filled")]
    assert filled[:2] == [("full", 0, 0), ("insured", -COIN, -1)][: 1 + fund]
    assert said.engine.ledger.balance("insurance", "USDT") == 0


@pytest.mark.parametrize(
    ("slots", "fee"),
    [(1_499, Fraction(2, 1000)), (1_500, Fraction(35, 10_000)), (9_000, Fraction(5, 1000))],
)
def test_the_promise_to_liquidators_rises_with_idleness(slots: int, fee: Fraction) -> None:
    """Long 1,000 from 100 with 10,000: at 90.5 he has 500 and needs 905. To free the 405 that are
    short, each 90.5 that is closed gives 1 % less what is promised: 0.2 % until 1,500 slots of 0.4
    s have passed, then a millionth more for each of all slots, 0.5 % at most."""
    rules = {"steps": "shortage", "surplus": "account", "limit": "none"}
    rules |= {"liquidator_fee": 0.002, "liquidator_fee_max": 0.005}
    rows = [mark(0, 100.0), mark(slots * 0.4, 90.5)]
    said = said_of([a_venue(**rules)], [a_trader("t", 10_000, (0, 1_000, 100.0))], rows)
    first, *_ = said.named("liquidation_filled")
    short = Fraction(405) * QUOTE
    exact = short / (Fraction(181, 2) * (Fraction(1, 100) - fee))
    assert abs(first.lots + exact) <= 2
    assert first.step == "partial"


@pytest.mark.parametrize("steps", ["full", "portion"])
def test_a_position_that_cost_nothing_is_closed_all_the_same(steps: str) -> None:
    """Four millionths of a coin sold at 0.2 bring 0.8 millionths: nothing, rounded down. At 100
    they are worth 400, beside 100 of cash, and are bought back, at once or in halves.
    Catches a position that is taken for none because its cost is 0."""
    held = PositionSpec(market=0, lots=-4, entry=0.2)
    trader = TraderSpec(id="t", wallet_atoms=100, positions=(held,))
    rules = {"steps": steps, "portion": 0.5, "portion_above": 0.0}
    said = said_of([a_venue(**rules)], [trader], [mark(0, 10.0), mark(1, 100.0)])
    filled = [e.lots for e in said.named("liquidation_filled")]
    assert filled == ([4] if steps == "full" else [2, 1, 1])
    (ended,) = said.named("liquidation_ended")
    assert ended.position_lots == 0
