"""What is told of the positions that one price made short, worked out by hand."""

from __future__ import annotations

import pytest

from engine.sampler import Sampling
from engine.venue.book import BookSpec
from engine.venue.rules import MarginRules, Tier, VenueRules
from tests.builders import Run, a_contract, a_market, a_spec, a_tape, run
from tests.properties.crowded import a_crowd

QUOTE = 10**6


def at(mark: float, *rows: tuple[int, float], fund: int = 0, **fields: bool) -> Run:
    """Coins from 100 with so much paid in, a tenth of which is kept, at another price; sold without
    a fee or a spread, at their bankruptcy price or better."""
    venue = VenueRules(margin=MarginRules(tiers=(Tier(cap=1e12, max_leverage=10.0, rate=0.1),)))
    market = a_market(
        contract=a_contract(lot_size=1.0, taker_fee=0.0),
        book=BookSpec(model="flat", half_spread_bps=0.0),
        venue=venue,
        insurance_atoms=fund,
    )
    known = [(lots, round(wallet * QUOTE), 100.0, 1.0) for lots, wallet in rows]
    crowd = a_crowd(known, **fields)
    spec = a_spec(markets=(market,), crowds=(crowd,), sampling=Sampling(nav_every_ns=0))
    return run(spec, a_tape([100.0, mark]), [1])


@pytest.mark.parametrize("side", [1, -1])
def test_what_neither_book_nor_fund_takes(side: int) -> None:
    """A coin with 15 lost 16, two with 31 lost 32: one quote of each is missing, so all
    three are the counterparties', two quote below zero; of rows nothing is told unasked. Catches
    lots and debts of the wrong sign, and an event for the side on which nobody was short."""
    mark = 100.0 - side * 16.0
    said = at(mark, (side, 15.0), (2 * side, 31.0), (-side, 50.0))
    (told,) = said.named("population_liquidated")
    assert told.side == ("long" if side > 0 else "short")
    assert (told.positions, told.lots, told.filled_lots) == (2, -3 * side, 0)
    assert told.notional_atoms == 3 * round(mark) * QUOTE
    assert (told.unpaid_positions, told.unpaid_lots) == (2, -3 * side)
    assert told.deficit_atoms == 2 * QUOTE
    assert (told.fund_atoms, told.fund_paid_atoms, told.backstop_lots) == (0, 0, 0)
    assert not said.named("insurance_fund_changed")
    assert not said.named("position_liquidated")


@pytest.mark.parametrize("side", [1, -1])
def test_what_the_fund_pays_is_told_as_its_loss(side: int) -> None:
    """Sold for one quote less than its debt, which the fund has: three were there and two are left,
    and nothing is unpaid, though the coin was one below zero."""
    said = at(100.0 - side * 16.0, (side, 15.0), fund=3 * QUOTE)
    (told,) = said.named("population_liquidated")
    assert (told.filled_lots, told.unpaid_positions, told.unpaid_lots) == (-side, 0, 0)
    assert (told.fund_paid_atoms, told.deficit_atoms) == (QUOTE, QUOTE)
    (changed,) = said.named("insurance_fund_changed")
    assert (changed.delta_atoms, changed.balance_atoms, changed.cause) == (
        -QUOTE,
        2 * QUOTE,
        "fill",
    )


@pytest.mark.parametrize("side", [1, -1])
def test_each_row_is_told_as_it_was_found(side: int) -> None:
    """The second of three is short: 15 less 10 are five, and the tenth of the coin is nine or
    eleven. What is left is the fund's, and nobody was below zero."""
    said = at(100.0 - side * 10.0, (side, 90.0), (side, 15.0), (-side, 90.0), tells_rows=True)
    (row,) = said.named("position_liquidated")
    needed = (9 if side > 0 else 11) * QUOTE
    assert (row.row, row.lots) == (1, side)
    assert (row.equity_atoms, row.maintenance_atoms) == (5 * QUOTE, needed)
    (told,) = said.named("population_liquidated")
    assert (told.positions, told.unpaid_positions, told.unpaid_lots) == (1, 0, 0)
    assert (told.fund_atoms, told.deficit_atoms) == (5 * QUOTE, 0)
