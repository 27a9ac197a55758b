"""The walk of dYdX: whom the price at which he is closed would bankrupt is passed over.

The first price is 10 away from the 100 at which one holds his coins, on whose loss of 5 a coin his
money ends: he is bankrupt 5 away. On the other side two hold 10 coins each, from 1 before that
price: *thin* with 3 a coin, so that he is bankrupt 6 away from the 100, on the wrong side of the 5,
and *fat* with 9, who is bankrupt at 100.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.crowd import CrowdSpec
from engine.venue.rules import AdlRules, LiquidationRules, MarginRules, Tier, VenueRules
from tests.builders import Run, a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.agreement import agree

QUOTE = 10**6
WALK = AdlRules(ranking="dydx", price="bankruptcy", rest="stay_open")


def a_trader(name: str, lots: int, entry: float, a_coin: int) -> TraderSpec:
    """With so much money for each coin."""
    held = PositionSpec(market=0, lots=lots, entry=entry)
    return TraderSpec(id=name, wallet_atoms=abs(lots) * a_coin * QUOTE, positions=(held,))


def said_of(
    side: int,
    coins: int,
    *others: TraderSpec,
    crowds: tuple[CrowdSpec, ...] = (),
    adl: AdlRules = WALK,
) -> Run:
    market = a_market(
        contract=a_contract(taker_fee=0.0, lot_size=1.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(
            margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),)),
            liquidation=LiquidationRules(limit="bankruptcy"),
            adl=adl,
        ),
    )
    spec = a_spec(
        (a_product("IDLE"), ()),
        markets=(market,),
        traders=(a_trader("one", side * coins, 100.0, 5), *others),
        crowds=crowds,
    )
    return agree(spec, a_tape([100.0 - 10.0 * side]))


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("coins", "taken"), [(1, 1), (10, 10), (15, 10)])
def test_who_would_be_bankrupt_is_passed_over(side: int, coins: int, taken: int) -> None:
    """Whatever the order of the walk, the thin one keeps his coins: of 15 only the 10 of the fat
    one are closed, at the bankruptcy price, and 5 stay open."""
    near = 100.0 - 9.0 * side
    said = said_of(
        side,
        coins,
        a_trader("thin", -10 * side, near, 3),
        a_trader("fat", -10 * side, near, 9),
    )
    (closed,) = said.named("position_auto_deleveraged")
    assert (closed.account, closed.lots) == ("trader:fat", side * taken)
    assert closed.price == 100.0 - 5.0 * side
    assert closed.cash_atoms == -side * (100 - 5 * side) * taken * QUOTE
    (ended,) = said.named("liquidation_ended")
    left = side * (coins - taken)
    assert (ended.outcome, ended.position_lots) == ("unfilled" if left else "closed", left)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("coins", "taken"), [(1, 1), (15, 10)])
def test_rows_of_a_population_are_passed_over_alike(side: int, coins: int, taken: int) -> None:
    """The same two as rows, behind a trader who holds one coin and is as thin; a third row of ten
    is on the side of the bankrupt, and takes no part."""
    near = 100.0 - 9.0 * side
    crowd = CrowdSpec(
        id="crowd",
        market=0,
        absolute=True,
        sizes=np.array([-10 * side, -10 * side, 10 * side], np.int64).tobytes(),
        wallets=np.array([30 * QUOTE, 90 * QUOTE, 900 * QUOTE], np.int64).tobytes(),
        entries=np.array([near, near, near]).tobytes(),
        leverages=np.array([20.0, 10.0, 1.0]).tobytes(),
    )
    said = said_of(side, coins, a_trader("thin", -side, near, 3), crowds=(crowd,))
    assert not said.named("position_auto_deleveraged")
    (closed,) = said.named("population_deleveraged")
    assert (closed.against, closed.positions, closed.lots) == ("trader:one", 1, side * taken)
    assert closed.price == 100.0 - 5.0 * side
    (kept,) = said.engine.margins.crowds.all
    assert kept.lots.tolist() == [-10 * side, (taken - 10) * side, 10 * side]
    (ended,) = said.named("liquidation_ended")
    assert ended.position_lots == side * (coins - taken)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("rule", [{"price": "mark"}, {"mark_beyond": 0.01}])
def test_the_walk_asks_of_the_price_at_which_it_closes(side: int, rule: dict[str, Any]) -> None:
    """Closed at the mark, 10 away, the thin one keeps 4 a coin: he is closed like the fat one,
    though the bankruptcy price would bankrupt him."""
    near = 100.0 - 9.0 * side
    others = a_trader("thin", -10 * side, near, 3), a_trader("fat", -10 * side, near, 9)
    said = said_of(side, 20, *others, adl=replace(WALK, **rule))
    closed = said.named("position_auto_deleveraged")
    assert sorted((e.account, e.lots, e.price) for e in closed) == [
        ("trader:fat", 10 * side, 100.0 - 10.0 * side),
        ("trader:thin", 10 * side, 100.0 - 10.0 * side),
    ]
