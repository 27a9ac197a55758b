"""A population in a run, worked out by hand: opened, liquidated, funded, revalued, and told of.

Long 10, short 5, long 20 and long 1, all from 100, with 200, 100, 300 and 30; a tenth is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.ledger import Cause
from engine.sampler import Sampling
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.adl_queue import queue_of
from engine.venue.book import BookSpec
from engine.venue.desk import Unpaid
from engine.venue.rules import AdlRules, LiquidationRules, MarginRules, Tier, VenueRules
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run
from tests.properties.crowded import a_crowd

QUOTE = 10**6
ROWS = [(10, 200, 100.0), (-5, 100, 100.0), (20, 300, 100.0), (1, 30, 100.0)]


def said_of(*marks: tuple[int, float], waits: bool = False) -> Run:
    """Marks by second, on a book of a billion within a per cent."""
    venue = VenueRules(
        margin=MarginRules(tiers=(Tier(cap=1e12, max_leverage=10.0, rate=0.1),)),
        liquidation=LiquidationRules(limit="none", surplus="account"),
    )
    market = a_market(
        contract=a_contract(lot_size=1.0, taker_fee=0.0),
        book=BookSpec(model="depth", depth_at_1pct=1e9),
        venue=venue,
    )
    rows = [(lots, wallet * QUOTE, entry, 1.0) for lots, wallet, entry in ROWS]
    spec = a_spec(
        markets=(market,),
        crowds=(a_crowd(rows, waits=waits),),
        sampling=Sampling(nav_every_ns=0),
    )
    tape = a_tape([a_row(Kind.MARK, T0 + at * SECOND_NS, mark) for at, mark in marks])
    return run(spec, tape, range(tape.end))


def test_it_opens_at_the_first_price_unless_it_waits() -> None:
    """31 coins long, five short, 630 paid in and 2,600 paid for what is held; once."""
    said = said_of((0, 100.0), (1, 100.0))
    (opened,) = said.named("population_opened")
    assert (opened.ts_ns, opened.positions, opened.cash_atoms) == (T0, 4, -1_970 * QUOTE)
    assert (opened.long_lots, opened.short_lots) == (31, 5)
    assert len(said.named("cascade_ratio")) == 1
    waiting = said_of((0, 100.0), (1, 100.0), waits=True)
    assert not waiting.named("population_opened")


def test_the_ratio_is_told_once_a_minute_in_which_some_were_liquidated() -> None:
    """At 94 the twenty are short, 180 left of 188; at 88 the ten, 80 of 88; at 77 the one, 7 of
    7.7. The first falls into the minute of the opening, the third into that of the second; at 76
    nobody is left but the short."""
    said = said_of((0, 100.0), (1, 94.0), (61, 88.0), (62, 77.0), (130, 76.0))
    fell = [(e.ts_ns - T0) // SECOND_NS for e in said.named("population_liquidated")]
    assert fell == [1, 61, 62]
    assert [e.lots for e in said.named("population_liquidated")] == [-20, -10, -1]
    told = [(e.ts_ns - T0) // SECOND_NS for e in said.named("cascade_ratio")]
    assert told == [0, 61]
    assert not said.named("position_liquidated")


@pytest.mark.parametrize(
    ("rate", "index", "paid"),
    [
        # A thousandth of 1,000, 500, 2,000 and 100; of twice as much where the index is paid on.
        (0.001, None, [10**6, -5 * 10**5, 2 * 10**6, 10**5]),
        (-0.001, None, [-(10**6), 5 * 10**5, -2 * 10**6, -(10**5)]),
        (0.001, 200.0, [2 * 10**6, -(10**6), 4 * 10**6, 2 * 10**5]),
        # 0.123 atoms are one to pay, 0.0615 none to get.
        (1.23e-10, None, [1, 0, 1, 1]),
    ],
)
def test_funding(rate: float, index: float | None, paid: list[int]) -> None:
    """Longs pay at a positive rate; who pays, pays up, and who gets, gets down."""
    said = said_of((0, 100.0))
    crowds = said.engine.margins.crowds
    (crowd,) = crowds.all
    said.engine.tape.take()
    before = crowd.cash.tolist()
    assert crowds.fund(0, rate, index) is True
    assert [a - b for a, b in zip(before, crowd.cash.tolist(), strict=True)] == paid
    (told,), _, _ = said.engine.tape.take()
    assert (told.positions, told.paid_atoms, told.mark_price) == (4, sum(paid), 100.0)
    crowds.check()
    said.engine.ledger.check()


def test_who_holds_nothing_is_not_funded() -> None:
    """A row without lots neither pays nor gets, and a population of such rows does nothing."""
    said = said_of((0, 100.0))
    crowds = said.engine.margins.crowds
    (crowd,) = crowds.all
    crowd.lots[:] = [0, -5, 0, 0]
    before = crowd.cash.tolist()
    assert crowds.fund(0, 0.001, None) is True
    assert [a - b for a, b in zip(crowd.cash.tolist(), before, strict=True)] == [0, 500_000, 0, 0]
    crowd.lots[:] = 0
    assert crowds.fund(0, 0.001, None) is False


def test_collateral_that_is_worth_less() -> None:
    """A tenth of what each paid in for what he holds: 20, 30 and three; the short, closed, has his
    100 to himself, and who owes has nothing there."""
    said = said_of((0, 100.0))
    crowds = said.engine.margins.crowds
    (crowd,) = crowds.all
    crowd.lots[1] = crowd.cost[1] = 0
    crowd.cash[3] = -101 * QUOTE
    before = crowd.cash.tolist()
    said.engine.tape.take()
    about: dict[str, Any] = {"symbol": "BTCUSDT", "mark_price": 100.0}
    crowds.revalue(0, -1, 10, {**about, "price_before": 1.0, "price": 0.9})
    changes = [a - b for a, b in zip(crowd.cash.tolist(), before, strict=True)]
    assert changes == [-20 * QUOTE, 0, -30 * QUOTE, 0]
    (told,), _, _ = said.engine.tape.take()
    assert (told.positions, told.collateral_atoms, told.change_atoms) == (
        *(2, 500 * QUOTE, -50 * QUOTE),
    )
    crowd.cash[3] = -70 * QUOTE
    crowds.revalue(0, -1, 10, {**about, "price_before": 1.0, "price": 0.9})
    assert crowd.cash.item(3) == -73 * QUOTE


# One coin, and what becomes of it -----------------------------------------------------------------


def one_coin(
    wallet: float, mark: float, side: int, book: BookSpec, *, fund: int = 0, **rules: Any
) -> Any:
    """What is told of a single coin from 100 that a price makes short, without a fee or a spread,
    and how many atoms the fund has then."""
    venue = VenueRules(
        margin=MarginRules(tiers=(Tier(cap=1e12, max_leverage=10.0, rate=0.1),)),
        liquidation=LiquidationRules(**rules),
    )
    contract = a_contract(lot_size=1.0, taker_fee=0.0)
    market = a_market(contract=contract, book=book, venue=venue, insurance_atoms=fund)
    crowd = a_crowd([(side, round(wallet * QUOTE), 100.0, 1.0)])
    spec = a_spec(markets=(market,), crowds=(crowd,), sampling=Sampling(nav_every_ns=0))
    said = run(spec, a_tape([100.0, mark]), [1])
    (told,) = said.named("population_liquidated")
    return told, said.engine.ledger.balance("insurance", "USDT")


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("model", "wallet", "move", "fund", "sold"),
    [
        # 15 less 10 are less than the tenth: 5 are left, the fund's. All 15 lost: nothing is. At
        # 16 the limit, 15 away, is past.
        ("flat", 15.0, 10.0, 5, True),
        ("flat", 15.0, 15.0, 0, True),
        ("flat", 15.0, 16.0, 0, False),
        ("depth", 15.0, 10.0, 5, True),
        ("depth", 15.0, 16.0, 0, False),
    ],
)
def test_one_coin_is_sold_at_its_bankruptcy_price_or_better(
    model: Any, wallet: float, move: float, fund: int, *, sold: bool, side: int
) -> None:
    """Where one price fills all, the price that is the limit is within it; a book of depth leaves a
    hair less."""
    book = BookSpec(model=model, half_spread_bps=0.0, depth_at_1pct=1e12)
    told, kept = one_coin(wallet, 100.0 - side * move, side, book)
    assert told.side == ("long" if side > 0 else "short")
    assert (told.filled_lots, told.unpaid_positions) == (-side * sold, not sold)
    assert told.fund_atoms == kept == pytest.approx(fund * QUOTE, abs=1_000)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("wallet", "fund", "paid"),
    # Sold at 84 for 85: one is missing, which the fund has, or an atom less; or an atom is, and the
    # fund has no more.
    [(15.0, QUOTE, QUOTE), (15.0, QUOTE - 1, 0), (15.999999, 1, 1), (15.999999, 0, 0)],
)
def test_the_fund_pays_what_one_coin_brings_too_little(
    wallet: float, fund: int, paid: int, side: int
) -> None:
    """All of it, or the coin is not sold."""
    book = BookSpec(model="flat", half_spread_bps=0.0)
    told, kept = one_coin(wallet, 100.0 - side * 16.0, side, book, fund=fund)
    assert (told.filled_lots, told.unpaid_positions) == ((-side, 0) if paid else (0, 1))
    assert (told.fund_paid_atoms, told.fund_atoms, kept) == (paid, 0, fund - paid)


@pytest.mark.parametrize("side", [1, -1])
def test_a_fee_out_of_what_closing_frees(side: int) -> None:
    """Five are left; of nine (eleven) that were needed four (six) were missing, and 95 % of the
    difference is the fee, which is 4.75, though 6 % would be more than all."""
    book = BookSpec(model="flat", half_spread_bps=0.0)
    rules: dict[str, Any] = {"limit": "none", "surplus": "account", "fee_from_freed": True}
    told, kept = one_coin(15.0, 100.0 - side * 10.0, side, book, fee=0.06, **rules)
    assert told.filled_lots == -side
    assert told.fund_atoms == kept == pytest.approx(4_750_000, abs=1)


def test_nobody_is_liquidated_at_a_stale_price() -> None:
    """99 are left where ten coins need 100: they are sold as soon as the price is fresh."""
    said = said_of((0, 100.0))
    crowds = said.engine.margins.crowds
    (crowd,) = crowds.all
    crowd.credit(np.array([-101 * QUOTE, 0, 0, 0]), Cause.INSURANCE, "insurance")
    (venue,) = said.engine.margins.desk.venues
    for stale, lots in ((True, 10), (False, 0)):
        venue.floor.stale = stale
        assert crowds.are_short() is not stale
        assert crowds.sweep() == []
        assert crowd.lots.item(0) == lots


def test_rows_of_a_side_are_a_queue_of_their_own() -> None:
    """At 110 the ten have won a tenth of 1,100 on 300, the twenty of 2,200 on 500 and the one of
    110 on 40: 3.67x, 4.4x and 2.75x. Without anybody there is none."""
    said = said_of((0, 100.0), (1, 110.0))
    margins = said.engine.margins
    queue = queue_of(margins.desk, 0, [], margins.crowds.all, 1, (0, 0))
    assert (queue.held.tolist(), queue.places.tolist()) == ([20, 10, 1], [1, 0, 2])
    assert len(queue_of(margins.desk, 0, [], [], 1, (0, 0))) == 0


@pytest.mark.parametrize(
    ("wallet", "move", "taken"),
    [(14.5, 10.0, False), (14.499999, 10.0, True), (14.5, 14.5, True)],
)
def test_the_backstop_takes_what_is_below_its_share(
    wallet: float, move: float, *, taken: bool
) -> None:
    """At 90 nine are needed, half of which are 4.5: who has just that is sold, who has an atom less
    is taken over, and so is who has nothing and owes nothing."""
    book = BookSpec(model="flat", half_spread_bps=0.0)
    told, _ = one_coin(wallet, 100.0 - move, 1, book, backstop_below=0.5)
    assert (told.filled_lots, told.backstop_lots) == ((0, -1) if taken else (-1, 0))
    assert (told.unpaid_positions, told.deficit_atoms) == (0, 0)


@pytest.mark.parametrize("fund", [0, 1])
def test_an_atom_that_is_owed_is_paid_once(fund: int) -> None:
    """By the fund where it has one; else of two populations of a coin each by the first."""
    tiers = (Tier(cap=1e12, max_leverage=10.0, rate=0.1),)
    venue = VenueRules(margin=MarginRules(tiers=tiers), adl=AdlRules(rest="socialise"))
    market = a_market(contract=a_contract(lot_size=1.0), venue=venue, insurance_atoms=fund)
    crowds = tuple(a_crowd([(1, 30 * QUOTE, 100.0, 1.0)], name) for name in ("a", "b"))
    held = (PositionSpec(market=0, lots=1, entry=100.0),)
    trader = TraderSpec(id="t", wallet_atoms=100 * QUOTE, positions=held)
    margins = run(
        a_spec((a_product(), ()), markets=(market,), crowds=crowds, traders=(trader,)),
        a_tape([100.0, 100.0]),
        [1],
    ).engine.margins
    (owing,) = [each for each in margins.deleverager.accounts if each.name == "trader:t"]
    owing.move(0, Cause.INSURANCE, -1, -owing.cash - 1, "clearing", 100.0)
    before = [crowd.cash.item(0) for crowd in margins.crowds.all]
    margins.deleverager.settle([Unpaid(owing, 0, 0, 0, None)], 1)
    paid = [b - crowd.cash.item(0) for b, crowd in zip(before, margins.crowds.all, strict=True)]
    assert (owing.cash, paid) == (0, [0, 0] if fund else [1, 0])


def test_what_is_left_of_a_row_is_its_own() -> None:
    """The twenty from 100 with 300 are sold at 94, for a hair less: 180 are left, and stay where
    they are, as the cash of those who hold on does."""
    said = said_of((0, 100.0), (1, 94.0))
    (crowd,) = said.engine.margins.crowds.all
    assert crowd.lots.tolist() == [10, -5, 0, 1]
    left = (crowd.cash + crowd.cost).tolist()
    assert left[2] == pytest.approx(180 * QUOTE, rel=1e-3)
    assert left[:2] + left[3:] == [200 * QUOTE, 100 * QUOTE, 30 * QUOTE]
