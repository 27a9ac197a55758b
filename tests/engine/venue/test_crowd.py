"""A background population's columns against single accounts, and what it watches."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine.crowd_events import PopulationOpened
from engine.engine import Engine
from engine.ledger import Ledger
from engine.venue.accounts import TraderAccount, Traders
from engine.venue.contract import Contract
from engine.venue.crowd import Crowd, CrowdState
from engine.venue.crowd_columns import edges_of, standings
from engine.venue.crowd_opening import open_crowd
from engine.venue.edges import edges
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing, standing_of
from tests.builders import a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.crowded import a_crowd, as_traders, drawn
from tests.properties.margined import TIERS


def crowd_and_accounts(inverse: bool, **margin: Any) -> tuple[Listing, Crowd, list[TraderAccount]]:
    """A venue's rules, an opened population, and its members as single accounts."""
    contract = Contract(a_contract(inverse=inverse))
    rules = VenueRules(margin=MarginRules(tiers=TIERS, **margin))
    listing = Listing(contract, rules)
    positions = drawn(Random(3), 80, inverse=inverse)
    crowd = Crowd(a_crowd(positions), listing, Ledger())
    open_crowd(crowd, 100.0)
    traders = Traders(as_traders(positions), [contract], Ledger())
    return listing, crowd, [TraderAccount(traders, each) for each in traders.accounts]


@pytest.mark.parametrize(
    ("inverse", "margin"),
    [
        (False, {}),
        (False, {"priced_at": "entry"}),
        (False, {"taker_fee_inside": True}),
        (False, {"taker_fee_inside": True, "fee_at": "bankruptcy"}),
        (True, {}),
        (True, {"caps_in": "settlement"}),
    ],
)
def test_columns_are_single_accounts(inverse: bool, margin: dict[str, Any]) -> None:
    """Equity, maintenance and edges are those of the same accounts, one by one: whole numbers to
    the unit, edges but for the last bits."""
    listing, crowd, accounts = crowd_and_accounts(inverse, **margin)
    low = [edges(listing, a.cash, *a.positions()[0][1:]) for a in accounts]
    own = crowd.lots, crowd.cash, crowd.cost
    found = edges_of(listing, *own).tolist()
    for (least, most), edge, lots in zip(low, found, crowd.lots.tolist(), strict=True):
        assert edge == pytest.approx(least if lots > 0 else most, rel=1e-14)
    for mark in (50.0, 97.3, 100.01, 180.7):
        equity, needed = standings(listing, *own, mark)
        stands = [standing_of(account, [listing], [mark]) for account in accounts]
        assert equity.tolist() == [stand.equity for stand in stands]
        assert needed.tolist() == [stand.maintenance for stand in stands]


@pytest.mark.parametrize("inverse", [False, True])
def test_the_watch_is_the_nearest_edge(inverse: bool) -> None:
    """Its bounds are the nearest edges of those who still hold something, whoever was closed or got
    another edge, and at any price it reaches whom a look at everybody finds."""
    _, crowd, _ = crowd_and_accounts(inverse)
    random = Random(8)
    for _ in range(60):
        held = np.flatnonzero(crowd.lots)
        rows = np.array(sorted(random.sample(held.tolist(), 1)))
        if random.random() < 0.5:
            crowd.closed(rows, np.zeros(1, np.int64))
        else:
            part = -(crowd.lots[rows] // 2)
            crowd.traded(rows, part, np.array([random.randint(0, 10**6)]))
        alive = crowd.lots != 0
        longs, shorts = crowd.edges[alive & (crowd.lots > 0)], crowd.edges[alive & (crowd.lots < 0)]
        low, high = crowd.bounds()
        assert low == max(longs.tolist(), default=-np.inf)
        assert high == min(shorts.tolist(), default=np.inf)
        mark = random.uniform(60.0, 150.0)
        beyond = np.where(crowd.lots > 0, crowd.edges >= mark, crowd.edges <= mark) & alive
        assert crowd.reached(mark).tolist() == np.flatnonzero(beyond).tolist()


def test_every_long_has_its_short() -> None:
    """What longs hold beyond shorts the rest of the market has sold: lots cancel, money too, and a
    position takes no more than 64 bytes."""
    crowd = a_crowd(drawn(Random(1), 200))
    market = a_market(venue=VenueRules(margin=MarginRules(tiers=TIERS)))
    engine = Engine(a_spec(markets=(market,), crowds=(crowd,)))
    engine.process(a_tape([100.0, 95.0, 120.0]))
    engine.ledger.check()
    assert engine.margins is not None
    (kept,) = engine.margins.crowds.all
    kept.check()
    lots = [balance for _, asset, balance in engine.ledger.accounts() if asset == "BTCUSDT:lots"]
    assert sum(lots) == 0
    assert any(lots)
    sides = [each for side in (kept.longs, kept.shorts) for each in (side._order, side._keys)]
    columns = [kept.lots, kept.cash, kept.cost, kept.leverage, kept.edges, *sides]
    assert sum(column.nbytes for column in columns) <= 64 * len(kept)


def test_drawn_positions_stand_at_the_first_mark() -> None:
    """Leverage is cut to the tier's, and who would be short at once entered at the mark."""
    count = 500
    spec = replace(
        a_crowd([(1, 1, 1.0, 1.0)]),
        absolute=False,
        wallets=b"",
        sizes=(np.linspace(1.0, 1e6, count) * np.where(np.arange(count) % 2, 1, -1)).tobytes(),
        entries=np.linspace(0.8, 1.2, count).tobytes(),
        leverages=np.full(count, 50.0).tobytes(),
    )
    listing = Listing(Contract(a_contract()), VenueRules(margin=MarginRules(tiers=TIERS)))
    crowd = Crowd(spec, listing, Ledger())
    open_crowd(crowd, 100.0)
    assert len(crowd) == count
    assert not len(crowd.short(100.0)[0])
    sizes = np.abs(crowd.lots) * 1e-6 * 100.0
    most = [next(t.max_leverage for t in TIERS if size <= t.cap) for size in sizes.tolist()]
    assert (crowd.leverage <= np.array(most)).all()
    crowd.check()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("cap", [1e15, float("inf")])
def test_no_draw_is_larger_than_can_be_counted(inverse: bool, cap: float) -> None:
    """However large the draw, and the last tier, a position is counted: no more than 2**52 lots, or
    worth 2**56 atoms; and the crowd adds up, marked a hundredth or a hundredfold."""
    spec = replace(
        a_crowd([(1, 1, 1.0, 1.0)]),
        absolute=False,
        wallets=b"",
        sizes=np.array([1e3, -1e16, 1e30, -1e300]).tobytes(),
        entries=np.ones(4).tobytes(),
        leverages=np.ones(4).tobytes(),
    )
    tier = Tier(cap=cap, max_leverage=2.0, rate=0.01)
    listing = Listing(
        Contract(a_contract(inverse=inverse)), VenueRules(margin=MarginRules(tiers=(tier,)))
    )
    crowd = Crowd(spec, listing, Ledger())
    open_crowd(crowd, 100.0)
    assert np.sign(crowd.lots).tolist() == [1, -1, 1, -1]
    assert int(np.abs(crowd.lots).max()) <= 2**52
    assert int(np.abs(crowd.cost).max()) <= 2**56
    for mark in (1.0, 100.0, 10_000.0):
        standings(listing, crowd.lots, crowd.cash, crowd.cost, mark)
    crowd.check()


def test_who_draws_less_than_a_lot_is_not_there() -> None:
    """Nobody at all where all of them do: the population opens without a position."""
    spec = replace(
        a_crowd([(1, 1, 1.0, 1.0)]),
        absolute=False,
        wallets=b"",
        sizes=np.array([1e-5, -1e-5]).tobytes(),
        entries=np.ones(2).tobytes(),
        leverages=np.ones(2).tobytes(),
    )
    market = a_market(venue=VenueRules(margin=MarginRules(tiers=TIERS)))
    engine = Engine(a_spec((a_product("IDLE"), ()), markets=(market,), crowds=(spec,)))
    said = engine.process(a_tape([100.0, 50.0]))
    assert [e.positions for e in said.events if isinstance(e, PopulationOpened)] == [0]
    engine.ledger.check()


def test_a_population_goes_on_from_what_it_said_of_itself() -> None:
    """One that has not opened has nobody and was told of never; given the state of another it is
    that one, closed rows, pools and all. Catches a column that lands in another's place."""
    listing, crowd, _ = crowd_and_accounts(inverse=False)
    rows = np.flatnonzero(crowd.lots)[:3]
    crowd.closed(rows, np.array([5, 0, 7]))
    crowd.pools[1].take_in(7, -900)
    crowd.pools[-1].take_in(-8, 1_000)
    crowd.told_ns = 11
    other = Crowd(crowd.spec, listing, Ledger())
    empty = [pool.trader for pool in other.pools.values()]
    assert other.state(whole=True) == CrowdState(
        opened=False, columns=[b""] * 4, pools=empty, told_ns=0, waits=False
    )
    other.resume(crowd.state(whole=True))
    assert other.state(whole=True) == crowd.state(whole=True)
    assert other.lots[rows].tolist() == [0, 0, 0]
    assert other.cash[rows].tolist() == [5, 0, 7]
    assert [other.pools[side].positions()[0][1] for side in (1, -1)] == [7, -8]
    for name in ("lots", "cash", "cost", "leverage", "edges"):
        live = crowd.lots != 0 if name == "edges" else slice(None)
        assert (getattr(other, name)[live] == getattr(crowd, name)[live]).all()
    assert other.bounds() == crowd.bounds()


def test_a_pool_is_given_nothing_and_asked_for_nothing() -> None:
    """Nobody pays in for the bankrupt, and they have no orders to cancel. Catches a liquidation
    that waits for money that never comes."""
    _, crowd, _ = crowd_and_accounts(inverse=False)
    pool = crowd.pools[1]
    assert (pool.credited(), pool.cancel_orders(0), pool.topups, pool.withheld) == (False, 0, 0, 0)
