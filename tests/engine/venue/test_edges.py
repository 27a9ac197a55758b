"""Tests of ``engine.venue.edges``: between its edges an account is not short."""

from __future__ import annotations

from itertools import product
from math import inf, nextafter
from random import Random

import pytest

from engine.ledger import Ledger
from engine.venue.accounts import PositionSpec, TraderAccount, Traders, TraderSpec
from engine.venue.contract import Contract
from engine.venue.edges import box, edges, rounded
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing, standing_of
from tests.builders import a_contract

TIER = Tier(cap=1e30, max_leverage=1.0, rate=0.001, initial_rate=0.001)
FEE = 0.02
MARKETS = 4


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_no_corner_of_the_box_is_short(seed: int, *, inverse: bool) -> None:
    """An account of four positions, with a fee of closing of 2 % at the bankruptcy price: what one
    position loses makes the other three dearer to close, and each has its share of the slack."""
    random = Random(seed)
    rules = VenueRules(
        margin=MarginRules(tiers=(TIER,), taker_fee_inside=True, fee_at="bankruptcy")
    )
    contracts = [
        Contract(a_contract(f"C{place}", inverse=inverse, taker_fee=FEE))
        for place in range(MARKETS)
    ]
    listings = [Listing(contract, rules) for contract in contracts]
    marks = [random.uniform(50.0, 200.0) for _ in contracts]
    size = 10**5 if inverse else 10**9
    positions = tuple(
        PositionSpec(
            market=place, lots=random.choice((-1, 1)) * random.randint(1, size), entry=mark
        )
        for place, mark in enumerate(marks)
    )
    worth = sum(c.notional(p.lots, p.entry) for c, p in zip(contracts, positions, strict=True))
    traders = Traders(
        [
            TraderSpec(
                id="t", wallet_atoms=worth * random.randint(4, 12) // 100, positions=positions
            )
        ],
        contracts,
        Ledger(),
    )
    account = TraderAccount(traders, traders.accounts[0])
    stand = standing_of(account, listings, marks)
    assert stand.equity > stand.maintenance
    found = box(account, listings, marks)
    sides = [
        (max(found[place][0], mark * 1e-3), min(found[place][1], mark * 1e3))
        for place, mark in enumerate(marks)
    ]
    for corner in product(*sides):
        stand = standing_of(account, listings, list(corner))
        assert stand.equity >= stand.maintenance, corner


@pytest.mark.parametrize("share", [1.0, 2.5])
@pytest.mark.parametrize("seed", range(40))
def test_an_atom_short_is_beyond_the_edge(seed: int, share: float) -> None:
    """A few dollars in coins: up to the edge, drawn in by what is rounded, whole atoms cover the
    margin; in floats alone the edge would lie beyond the first mark at which they do not."""
    random = Random(seed)
    tier = Tier(cap=1e30, max_leverage=20.0, rate=0.01)
    contract = Contract(a_contract(inverse=True, taker_fee=0.0006))
    inside = random.random() < 0.5
    listing = Listing(
        contract, VenueRules(margin=MarginRules(tiers=(tier,), taker_fee_inside=inside))
    )
    entry, side = random.uniform(2e4, 9e4), random.choice((-1, 1))
    position = PositionSpec(market=0, lots=side * random.randint(1, 3_000), entry=entry)
    wallet = contract.notional(position.lots, entry) // 10 + 1
    spec = TraderSpec(id="t", wallet_atoms=wallet, positions=(position,))
    traders = Traders([spec], [contract], Ledger())
    account = TraderAccount(traders, traders.accounts[0])
    ((_, lots, cost),) = account.positions()
    low, high = edges(listing, account.cash, lots, cost, share, rounded(share))
    for mark in (nextafter(low, inf), nextafter(high, 0.0)):
        if 0.0 < mark < inf:
            stand = standing_of(account, [listing], [mark])
            assert stand.equity >= share * stand.maintenance, mark


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("share", [1.0, 2.0, 3.0, 10.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_multiple_of_the_margin_may_grow_faster_than_equity(
    seed: int, share: float, *, inverse: bool
) -> None:
    """Twice a margin of 50 % takes all that a long earns, more than twice takes more: then it comes
    down to its multiple as the price rises, or is always below it."""
    random = Random(seed)
    cap = 1_000.0
    low_tier = Tier(cap=cap, max_leverage=2.0, rate=0.25)
    high_tier = Tier(cap=1e9, max_leverage=2.0, rate=0.5, deduction=cap * 0.25)
    margin = MarginRules(tiers=(low_tier, high_tier), caps_in="settlement")
    contract = Contract(a_contract(inverse=inverse))
    listing = Listing(contract, VenueRules(margin=margin))
    side, unit = random.choice((-1, 1)), contract.notional(10**6, 100.0) / contract.settlement_atoms
    lots = side * int(cap / unit * random.uniform(0.2, 5.0) * 10**6)
    cash = contract.trade_cash(lots, 100.0)
    cash += int(contract.notional(lots, 100.0) * random.uniform(0.3, 3.0))
    low, high = edges(listing, cash, lots, 0, share)
    for mark in (25.0, 50.0, 80.0, 100.0, 125.0, 200.0, 400.0, 1_600.0):
        left = cash + contract.exposure_value(lots, mark)
        left -= share * listing.maintenance(lots, 0, mark)
        assert (left > 0.0) == (low < mark < high), mark
