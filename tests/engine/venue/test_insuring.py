"""What the insurance fund lets be filled beyond the bankruptcy price, lot by lot: lots of a whole
coin, so that one of them is money.

Where nothing else is said the book takes all at the mark.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.engine import Engine
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.liquidation import Liquidator
from engine.venue.rules import AdlRules, LiquidationRules, MarginRules, Tier, VenueRules
from tests.builders import Run, a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.agreement import agree

QUOTE = 10**6
RULES = VenueRules(
    margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),)),
    liquidation=LiquidationRules(limit="bankruptcy"),
    adl=AdlRules(ranking="binance", price="bankruptcy", rest="stay_open"),
)


def a_venue(fund: int = 0, **book: Any) -> Any:
    """``fund``: quote in the insurance fund."""
    return a_market(
        contract=a_contract(taker_fee=0.0, lot_size=1.0),
        book=BookSpec(**{"model": "flat", **book}),
        venue=RULES,
        insurance_atoms=fund * QUOTE,
    )


def a_desk(mark: float, **book: Any) -> Liquidator:
    engine = Engine(a_spec(markets=(a_venue(**book),)))
    engine.process(a_tape([mark]))
    assert engine.margins is not None
    return engine.margins.desk


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("coins", "budget", "paid_for"),
    [
        (10, 50 * QUOTE, 10),  # all, to the atom
        (10, 50 * QUOTE - 1, 9),
        (10, 27 * QUOTE, 5),
        (10, 25 * QUOTE, 5),
        (10, 25 * QUOTE - 1, 4),
        (10, 5 * QUOTE, 1),
        (10, 5 * QUOTE - 1, 0),  # one costs an atom too much
        (10, 3 * QUOTE, 0),
        (2, 5 * QUOTE, 1),
        (1, 5 * QUOTE, 1),
        (1, 5 * QUOTE - 1, 0),
        (1, 3 * QUOTE, 0),
    ],
)
def test_a_fund_pays_for_as_many_as_it_can(
    side: int, coins: int, budget: int, paid_for: int
) -> None:
    """At 100.5 a long that must get 105.5 a coin loses 5, and so does a short that must not pay
    more than 95.5: the fund lets as many be closed as 5 go into it."""
    desk = a_desk(100.5)
    atoms = -side * (1005 - side * 50) * coins * QUOTE // 10
    assert desk.affordable(desk.venues[0], side * coins, atoms, budget) == side * paid_for


def test_a_first_lot_is_asked_for_at_its_own_size() -> None:
    """A book of 100 within 1 %, as thick everywhere, is 1 % away when a coin is sold and 2 % when
    two are: they bring 99.50, and 99.00 each. Who must get 100.20 loses 0.70 on one and 2.40 on
    two; with 1.00 the fund pays for the one."""
    desk = a_desk(100.0, model="depth", depth_at_1pct=100.0, beta_near=1.0, beta_far=1.0)
    (venue,) = desk.venues
    for size, price in ((1, 99.5), (2, 99.0)):
        taken = venue.floor.book.offer(-1, size, size * 100.0, None, venue.floor.top())
        assert taken.price == pytest.approx(price, rel=1e-9)
    assert desk.affordable(venue, -2, -(-2_004 * QUOTE // 10), QUOTE) == -1
    assert desk.affordable(venue, -2, 2_004 * QUOTE // 10, 69 * QUOTE // 100) == 0


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("fund", "insured"), [(0, 0), (4, 0), (5, 1)])
def test_one_lot_is_bought_back_as_it_is_sold(side: int, fund: int, insured: int) -> None:
    """Who holds one coin from 100 with 5 is bankrupt 5 away from it, and the mark goes on to 10
    away: 4 in the fund do not pay for that, and one who stands on the other side is closed at the
    bankruptcy price; 5 do, and the fund is empty."""
    traders = (a_trader("one", side, 5), a_trader("other", -3 * side, 1_000))
    said = said_of(fund, traders, [100.0, 100.0 - 10.0 * side])
    fills = [(e.step, e.lots, e.fund_atoms) for e in said.named("liquidation_filled") if e.lots]
    assert fills == [("insured", -side, -5 * QUOTE)] * insured
    taken = [(e.account, e.lots, e.price) for e in said.named("position_auto_deleveraged")]
    assert taken == [("trader:other", side, 100.0 - 5.0 * side)] * (1 - insured)
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.position_lots, ended.equity_atoms) == ("closed", 0, 0)
    told = [(e.delta_atoms, e.balance_atoms, e.cause) for e in said.named("insurance_fund_changed")]
    assert told == [(-5 * QUOTE, (fund - 5) * QUOTE, "fill")] * insured
    assert said.engine.ledger.balance("insurance", "USDT") == (fund - 5 * insured) * QUOTE
    assert held(said) == {"one": 0, "other": (-3 + 1 - insured) * side}


def test_a_fund_lends_its_name_and_pays_nothing() -> None:
    """Who holds one coin from 100 with 5 has 0.50 left at 95.50, of 0.955: the limit is 95.45, and
    the book pays 95.309. That is refused, and with a fund behind it, better than 95 as it is, it is
    taken: the fund loses nothing, and an atom less than 0.309 is left."""
    rules = replace(RULES, liquidation=LiquidationRules(limit="fillable"))
    market = replace(a_venue(1, half_spread_bps=20.0), venue=rules)
    spec = a_spec((a_product("IDLE"), ()), markets=(market,), traders=(a_trader("one", 1, 5),))
    said = agree(spec, a_tape([100.0, 95.5]))
    refused, insured = said.named("liquidation_filled")
    assert (refused.step, refused.lots) == ("full", 0)
    assert (insured.step, insured.lots) == ("insured", -1)
    assert (insured.cash_atoms, insured.fee_atoms, insured.fund_atoms) == (95_308_999, 0, 0)
    assert [e.delta_atoms for e in said.named("insurance_fund_changed")] == [0]
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.equity_atoms) == ("closed", 308_999)


def test_a_fund_pays_for_what_the_book_leaves() -> None:
    """Ten coins from 100 with 50 are bankrupt at 95. At 95.90 a book of 1,000 within 1 %, as thick
    everywhere, takes 938.5 down to there: nine coins. The tenth is the fund's to pay for, and it
    alone."""
    market = a_venue(5, model="depth", depth_at_1pct=1_000.0, beta_near=1.0, beta_far=1.0)
    spec = a_spec((a_product("IDLE"), ()), markets=(market,), traders=(a_trader("one", 10, 50),))
    said = agree(spec, a_tape([100.0, 95.9]))
    fills = [(e.step, e.asked_lots, e.lots) for e in said.named("liquidation_filled")]
    assert fills == [("full", -10, -9), ("insured", -1, -1)]
    assert held(said) == {"one": 0}


def test_a_loss_brings_the_fund_nothing() -> None:
    """Sold at any price: a coin that had to bring 95 brings 94, of which the fund has nothing, not
    an atom."""
    rules = replace(RULES, liquidation=LiquidationRules(limit="none"))
    market = replace(a_venue(), venue=rules)
    spec = a_spec((a_product("IDLE"), ()), markets=(market,), traders=(a_trader("one", 1, 5),))
    (sold,) = agree(spec, a_tape([100.0, 94.0])).named("liquidation_filled")
    assert (sold.cash_atoms, sold.bankruptcy_atoms) == (94 * QUOTE, 95 * QUOTE)
    assert (sold.fee_atoms, sold.fund_atoms) == (0, 0)


@pytest.mark.parametrize("side", [1, -1])
def test_one_lot_goes_to_the_book(side: int) -> None:
    """Who holds one coin from 100 with 5 has 0.5 left 4.5 away from it, less than 1 % of the coin:
    it is sold to the book, or bought there, and the 0.5 are the fund's."""
    said = said_of(0, (a_trader("one", side, 5),), [100.0, 100.0 - 4.5 * side])
    (sold,) = said.named("liquidation_filled")
    assert (sold.step, sold.lots, sold.fund_atoms) == ("full", -side, QUOTE // 2)
    assert held(said) == {"one": 0}


def said_of(fund: int, traders: tuple[TraderSpec, ...], marks: list[float]) -> Run:
    """Beside a product that holds nothing: with its launch the market opens."""
    spec = a_spec((a_product("IDLE"), ()), markets=(a_venue(fund),), traders=traders)
    return agree(spec, a_tape(marks))


def a_trader(name: str, lots: int, wallet: int) -> TraderSpec:
    """In from 100."""
    position = PositionSpec(market=0, lots=lots, entry=100.0)
    return TraderSpec(id=name, wallet_atoms=wallet * QUOTE, positions=(position,))


def held(said: Run) -> dict[str, int]:
    """Lots that each trader is left with."""
    traders = said.engine.margins.traders.accounts
    return {each.id: sum(position.lots for position in each.holdings) for each in traders}
