"""``engine/matching.py`` and orders that wait: worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import CreationRequest
from engine.plans import LimitThenMarket
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.queue import QueueSpec
from strategies import LeverageBand, MarginFloor
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run

IDLE = LeverageBand(target=3.0, low=0.5, high=9.0)
IMAGE = ((1, 99.0, 2.0, 1), (1, 98.0, 3.0, 2), (-1, 101.0, 1.0, 1), (-1, 102.0, 4.0, 2))
"""Bids of 2 at 99 and 3 at 98, asks of 1 at 101 and 4 at 102."""


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND_NS)


def mark(seconds: float, price: float = 100.0) -> Any:
    return a_row(Kind.MARK, at(seconds), price)


def quote(seconds: float, bid: float, ask: float, size: float = 1.0) -> Any:
    return a_row(Kind.BBO, at(seconds), bid, size, ask, size)


def trade(seconds: float, price: float, size: float, side: int) -> Any:
    return a_row(Kind.TRADE, at(seconds), price, size, side, -1)


def level(seconds: float, *row: float) -> Any:
    return a_row(Kind.LEVEL, at(seconds), *row)


def image() -> list[Any]:
    return [level(0.0, *row) for row in IMAGE]


LIMIT = LimitThenMarket.__struct_fields__


def waiting(
    rows: list[Any], *, model: Any = "recorded", policies: Any = (IDLE,), **hedge: Any
) -> Run:
    """A product of 100 that wants 3 coins at 100 in lots of a tenth, and bids for them at 99 for
    ten seconds; makers pay 1 in 1,000, takers 1 in 100. However the tape is cut, the log is one."""
    market = a_market(
        contract=a_contract(lot_size=0.1, price_step=1.0, taker_fee=0.01, maker_fee=0.001),
        book=BookSpec(model=model, half_life_s=60.0, queue=QueueSpec(exponent=1.0)),
    )
    limit = {name: hedge.pop(name) for name in LIMIT if name in hedge}
    plan = LimitThenMarket(**{"offset_bps": 100.0, "timeout_s": 10.0, **limit})
    terms = {"plan": plan, **hedge}
    spec = a_spec((a_product(seed_atoms=100 * 10**6, **terms), policies), markets=[market])
    tape = a_tape(rows)
    whole = run(spec, tape)
    assert run(spec, tape, range(len(rows)), check=True).lines == whole.lines
    return whole


def told(said: Run) -> list[tuple[Any, ...]]:
    """What happened to orders, in short."""
    short = {"order_sent", "order_rested", "order_filled", "order_cancelled", "order_rejected",
             "order_unfilled"}  # fmt: skip
    return [
        (
            event.__struct_config__.tag.removeprefix("order_"),
            (event.ts_ns - T0) / SECOND_NS,
            event.lots,
            getattr(event, "price", None) or getattr(event, "reason", None),
        )
        for event in said.events
        if event.__struct_config__.tag in short
    ]


def test_a_bid_waits_its_turn() -> None:
    """30 lots at 99 behind 20. A sale of 1.5 at 1 s leaves 5 ahead; one of 1.2 at 2 s goes 7
    beyond and fills 7; one at 98 at 3 s has passed the level and fills the other 23, at 99. The
    maker's fee on 7 lots is 0.0693 of 69.3 quote, and the plan is done at the last fill."""
    said = waiting(
        [*image(), mark(0.0), trade(1.0, 99.0, 1.5, -1), trade(2.0, 99.0, 1.2, -1),
         mark(2.5), trade(3.0, 98.0, 0.1, -1), mark(4.0)]
    )  # fmt: skip
    assert told(said) == [
        ("sent", 0.0, 30, None),
        ("rested", 0.0, 30, 99.0),
        ("filled", 2.0, 7, 99.0),
        ("filled", 3.0, 23, 99.0),
    ]
    first, second = said.named("order_filled")
    assert first.maker
    assert first.fee_atoms == 69_300
    assert (first.mark_price, second.fee_atoms) == (100.0, 227_700)
    (rested,) = said.named("order_rested")
    assert (rested.ahead_lots, rested.expires_ns) == (20.0, at(10.0))
    (done,) = said.named("rebalanced")
    assert (done.ts_ns, done.lots, done.opening) == (at(3.0), 30, True)
    # Of 100 paid: 3 coins at 99 of a mark of 100 brought 3, the fees cost 0.297.
    assert done.nav_atoms == 102_703_000
    ledger = said.engine.ledger
    assert ledger.balance("fees", "USDT") == 297_000


def test_what_is_cancelled_moves_the_queue() -> None:
    """20 ahead and nobody behind. The level grows to 4 coins: 20 ahead, 20 behind; then falls to 2:
    20 lots were cancelled, half of them ahead. A sale of 1.1 goes one lot beyond the ten."""
    said = waiting(
        [*image(), mark(0.0), level(1.0, 1, 99.0, 4.0, 0), level(2.0, 1, 99.0, 2.0, 0),
         level(2.0, 1, 97.0, 9.0, 0), trade(3.0, 99.0, 1.1, -1), mark(4.0)]
    )  # fmt: skip
    assert told(said)[2:] == [("filled", 3.0, 1, 99.0)]


def test_an_ask_at_our_bid_has_taken_us() -> None:
    """A recorded ask of 0.1 at 99 fills all 30 at 99; one that goes does not, nor a quote, which
    the recorded book does not read; without levels the quote does."""
    said = waiting([*image(), mark(0.0), quote(1.0, 98.0, 99.0), level(2.0, -1, 99.0, 0.0, 0),
                    level(3.0, -1, 99.0, 0.1, 0), mark(4.0)])  # fmt: skip
    assert told(said)[2:] == [("filled", 3.0, 30, 99.0)]
    said = waiting([mark(0.0), quote(1.0, 98.0, 100.0), quote(2.0, 98.0, 99.0)], model="flat",
                   offset_bps=100.0)  # fmt: skip
    assert told(said) == [
        ("sent", 0.0, 30, None), ("rested", 0.0, 30, 99.0), ("filled", 2.0, 30, 99.0),
    ]  # fmt: skip


def test_quotes_tell_of_their_own_level() -> None:
    """Without levels nobody knows who is ahead of a bid at 99 below the best; a sale there fills
    nothing. A best bid of 1.5 at 99 says 15 at most, and a best bid below says nobody."""
    rows = [quote(0.0, 100.0, 101.0), mark(0.0, 100.5), trade(1.0, 99.0, 50.0, -1),
            quote(2.0, 99.0, 100.0, 1.5), trade(3.0, 99.0, 1.6, -1), quote(4.0, 98.0, 100.0),
            trade(5.0, 99.0, 0.2, -1), mark(6.0, 100.5)]  # fmt: skip
    said = waiting(rows, model="depth", offset_bps=149.0)
    assert said.named("order_rested")[0].ahead_lots is None
    assert [one[:3] for one in told(said)[2:]] == [("filled", 3.0, 1), ("filled", 5.0, 2)]


def test_a_bid_before_the_best_is_alone() -> None:
    """At 100, before a best bid of 99, the first sale there is ours."""
    rows = [quote(0.0, 99.0, 101.0), mark(0.0), trade(1.0, 100.0, 0.5, -1), mark(2.0)]
    said = waiting(rows, model="depth", offset_bps=0.0)
    assert said.named("order_rested")[0].ahead_lots == 0.0
    assert told(said)[2:] == [("filled", 1.0, 5, 100.0)]


def test_a_bid_at_the_best_is_behind_somebody() -> None:
    """At the best bid there is somebody before us, and nobody knows how many."""
    said = waiting([quote(0.0, 99.0, 101.0), mark(0.0), mark(1.0)], model="depth")
    assert said.named("order_rested")[0].ahead_lots is None


def test_rows_of_other_symbols_are_none_of_ours() -> None:
    """Trades of two symbols in turn: those of the other one fill nothing, the last row of all is
    ours and does. Catches rows of a mixed column that are taken for all, or cut short."""
    contract = a_contract(lot_size=0.1, price_step=1.0)
    flat = BookSpec(model="flat")
    markets = [a_market(0, contract=contract, book=flat), a_market(1, book=flat)]
    terms = {"seed_atoms": 100 * 10**6, "plan": LimitThenMarket(offset_bps=100.0)}
    spec = a_spec((a_product(**terms), (IDLE,)), markets=markets)
    other = [a_row(Kind.TRADE, at(n), 98.0, 1.0, -1, -1, symbol=1) for n in (1, 2)]
    rows = [quote(0.0, 99.0, 101.0), mark(0.0), other[0], trade(1.0, 100.0, 1.0, -1), other[1],
            trade(3.0, 98.0, 1.0, -1)]  # fmt: skip
    (fill,) = run(spec, a_tape(rows)).named("order_filled")
    assert (fill.lots, fill.ts_ns) == (30, at(3.0))


def test_what_is_not_filled_in_time_goes_on_at_market() -> None:
    """Five of 30 lots were filled when ten seconds are up, 11 s with the latency of one; the other
    25 leave the queue, and are on the book at 12 s: 10 at 101 and 15 at 102. A trade at 11 s and
    later is none of ours."""
    rows = [*image(), mark(0.0), trade(3.0, 99.0, 2.5, -1), mark(5.0), trade(11.0, 99.0, 0.3, -1),
            trade(11.5, 98.0, 9.0, -1), mark(12.5)]  # fmt: skip
    said = waiting(rows, latency_ns=SECOND_NS)
    assert told(said) == [
        ("sent", 0.0, 30, None),
        ("rested", 1.0, 30, 99.0),
        ("filled", 3.0, 5, 99.0),
        ("filled", 11.0, 3, 99.0),
        ("cancelled", 11.0, 22, "expired"),
        ("filled", 12.0, 22, pytest.approx((10 * 101.0 + 12 * 102.0) / 22)),
    ]
    assert [fill.maker for fill in said.named("order_filled")] == [True, True, False]


def test_a_limit_that_reaches_the_book_takes_first() -> None:
    """A bid at 101 takes the ten lots there, pays the taker's fee, and rests with 20 before
    anybody."""
    said = waiting([*image(), mark(0.0), mark(1.0)], offset_bps=-100.0)
    assert told(said) == [
        ("sent", 0.0, 30, None),
        ("filled", 0.0, 10, 101.0),
        ("rested", 0.0, 20, 101.0),
    ]
    assert said.named("order_filled")[0].fee_atoms == 1_010_000
    assert said.named("order_rested")[0].ahead_lots == 0.0


@pytest.mark.parametrize(
    ("terms", "reason"),
    [({"post_only": True}, "would_cross"), ({"time_in_force": "fok"}, "not_whole")],
)
def test_a_refused_order_is_not_forgotten(terms: dict[str, Any], reason: str) -> None:
    """Post-only at 101 would cross, and 30 lots are not there at 101: refused, and sent again at
    market a second later."""
    rows = [*image(), mark(0.0), mark(2.0)]
    said = waiting(rows, offset_bps=-100.0, **terms)
    assert told(said) == [
        ("sent", 0.0, 30, None),
        ("rejected", 0.0, 30, reason),
        ("filled", 1.0, 30, pytest.approx((10 * 101.0 + 20 * 102.0) / 30)),
    ]


def test_an_immediate_order_asks_again_until_its_time_is_up() -> None:
    """Ten lots at 101 at once, none a second later (our own taking is not back), the rest at
    market when the time is up."""
    rows = [*image(), mark(0.0), mark(4.0)]
    said = waiting(rows, offset_bps=-100.0, time_in_force="ioc", timeout_s=2.0)
    assert [one[:3] for one in told(said)] == [
        ("sent", 0.0, 30), ("filled", 0.0, 10), ("unfilled", 0.0, 20), ("unfilled", 1.0, 20),
        ("filled", 2.0, 20),
    ]  # fmt: skip


def test_another_plan_takes_the_order_out_of_the_queue() -> None:
    """30 lots bought at 97, and at a mark of 102 a bid for more at 98; at 90 the floor cuts
    instead: the bid is cancelled, and the sale at 50 that follows is none of ours."""
    floor = MarginFloor(max_leverage=3.2, cut_to=1.0)
    band = LeverageBand(target=3.0, low=2.7, high=9.0)
    rows = [*image(), mark(0.0), trade(1.0, 96.0, 9.0, -1), mark(2.0, 102.0), mark(3.0, 90.0),
            trade(4.0, 50.0, 9.0, -1)]  # fmt: skip
    said = waiting(rows, policies=(band, floor), offset_bps=300.0)
    assert [one[:2] for one in told(said)][:8] == [
        ("sent", 0.0), ("rested", 0.0), ("filled", 1.0),
        ("sent", 2.0), ("rested", 2.0),
        ("cancelled", 3.0), ("sent", 3.0), ("filled", 3.0),
    ]  # fmt: skip
    assert said.named("order_cancelled")[0].reason == "replaced"
    assert said.engine.markets[0].resting == []


def test_two_of_ours_stand_one_behind_the_other() -> None:
    """Both bid 30 lots at 99 behind 20 of others: a sale of 6 fills the older 30 and 10 of the
    other; a sale of 2 then fills the other's last 20."""
    market = a_market(
        contract=a_contract(lot_size=0.1, price_step=1.0, taker_fee=0.0),
        book=BookSpec(model="recorded"),
    )
    terms = {"seed_atoms": 100 * 10**6, "plan": LimitThenMarket(offset_bps=100.0)}
    spec = a_spec(
        (a_product("ONE", **terms), (IDLE,)),
        (a_product("TWO", **terms, latency_ns=1), (IDLE,)),
        markets=[market],
    )
    rows = [*image(), mark(0.0), trade(1.0, 99.0, 6.0, -1), trade(2.0, 99.0, 2.0, -1), mark(3.0)]
    said = run(spec, a_tape(rows))
    fills = [(fill.product, fill.lots) for fill in said.named("order_filled")]
    assert fills == [("ONE", 30), ("TWO", 10), ("TWO", 20)]


def test_an_order_never_flips_the_product() -> None:
    """A product of 30 lots asks more than one of them; were but one left when all of the order is
    taken, that one is sold, and the rest of the order cancelled."""
    band = LeverageBand(target=3.0, low=2.0, high=4.0)
    lower = [
        level(2.0, 1, price, size, 0) for price, size in ((99.0, 0.0), (98.0, 0.0), (84.0, 9.0))
    ]
    rows = [*image(), mark(0.0), trade(1.0, 98.0, 9.0, -1), *lower, mark(3.0, 85.0)]
    said = waiting(rows, policies=(band,))
    (handler,), (market,) = said.engine.handlers, said.engine.markets
    desk, account, order = handler.desk, handler.account, handler.desk.state.plan
    assert order is not None
    assert order.resting is not None
    assert order.left < -1
    account.balances[account._lots] = 1
    market.stage(market._limit, said.engine.time_ns, said.engine.time_ns)
    desk.strike(market, order, -order.left)
    assert account.lots == order.left == 0
    assert market.resting == []
    assert b'"reason":"reduce_only"' in market.tape.take()[1]


def test_reduce_only_orders_clip_to_the_position() -> None:
    """Of a sale of 50, 30 are held; of a purchase nothing may be bought; of 10 all."""
    said = waiting([*image(), mark(0.0), trade(1.0, 98.0, 9.0, -1), mark(2.0)])
    desk = said.engine.handlers[0].desk
    market = said.engine.markets[0]
    market.stage(market._limit, said.engine.time_ns, said.engine.time_ns)
    for lots, may in ((-50, -30), (5, 0), (-10, -10)):
        order = desk.order(market, "rebalance", lots)
        order.reduce_only = True
        assert desk.bounded(order, desk.account.lots, 100.0) == may


def test_requests_do_not_wait() -> None:
    """The hedge of a creation is a market order, whatever rebalances are."""
    ask = CreationRequest(ts_ns=at(3.0), id="a", user="u", product="BTC3L", quote=10.0)
    said = waiting([*image(), mark(0.0), trade(1.0, 98.0, 9.0, -1), mark(2.0), ask, mark(4.0)])
    fills = said.named("order_filled")
    assert [(fill.purpose, fill.maker) for fill in fills] == [
        ("opening", True), ("creation", False),
    ]  # fmt: skip
