"""Tests of ``engine.venue.limits``: where an account ends, by hand."""

from __future__ import annotations

from random import Random

import pytest

from engine.ledger import Cause, Ledger
from engine.venue.accounts import PositionSpec, TraderAccount, Traders, TraderSpec
from engine.venue.contract import Contract
from engine.venue.limits import limits_of
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing, standing_of
from tests.builders import a_contract

USDT = 10**6
ONE = 10**6
"""A coin, in lots."""
TIER = Tier(cap=1e12, max_leverage=10.0, rate=0.1)


def account(
    wallet: int, *held: tuple[int, float], fee: float = 0.0, **margin: object
) -> tuple[TraderAccount, list[Listing]]:
    """``wallet`` quote and, market by market, coins bought at a price."""
    rules = VenueRules(margin=MarginRules(tiers=(TIER,), **margin))  # type: ignore[arg-type]
    contracts = [Contract(a_contract(f"C{place}", taker_fee=fee)) for place in range(len(held))]
    positions = tuple(
        PositionSpec(market=place, lots=coins * ONE, entry=entry)
        for place, (coins, entry) in enumerate(held)
    )
    spec = TraderSpec(id="t", wallet_atoms=wallet * USDT, positions=positions)
    traders = Traders([spec], contracts, Ledger())
    listings = [Listing(contract, rules) for contract in contracts]
    return TraderAccount(traders, traders.accounts[0]), listings


def test_two_longs() -> None:
    """10 coins at 100 and 100 at 10, a wallet of 650, a tenth to keep. One mark alone: 650 + 10 (p
    - 100) = p + 100 at 50, and nothing is left at 35; both: 650 + 2,000 b = 200 (1 + b) at a fall
    of a quarter. No rise hurts."""
    found = limits_of(*account(650, (10, 100.0), (100, 10.0)), [100.0, 10.0])
    assert (found.stand.equity, found.stand.maintenance) == (650 * USDT, 200 * USDT)
    assert not found.is_short
    first, second = found.positions
    assert (first.market, first.lots, first.maintenance) == (0, 10 * ONE, 100 * USDT)
    assert first.liquidated == pytest.approx(50.0, rel=1e-7)
    assert first.bankrupt == pytest.approx(35.0, rel=1e-7)
    assert (second.market, second.lots, second.maintenance) == (1, 100 * ONE, 100 * USDT)
    assert second.liquidated == pytest.approx(5.0, rel=1e-7)
    assert second.bankrupt == pytest.approx(3.5, rel=1e-7)
    assert found.down == pytest.approx(-0.25, rel=1e-7)
    assert found.up is None


def test_a_long_and_a_short_that_weigh_the_same() -> None:
    """They lose nothing together but what both need grows: a wallet of 650 needs 200 (1 + b) at a
    rise of 225 %. Of the short alone 650 - 10 (p - 100) = p + 100 at 150 / 1.1 + ... = 1,550 / 11,
    and 165 leaves nothing."""
    found = limits_of(*account(650, (10, 100.0), (-10, 100.0)), [100.0, 100.0])
    long, short = found.positions
    assert long.liquidated == pytest.approx(50.0, rel=1e-7)
    assert short.liquidated == pytest.approx(1_550.0 / 11.0, rel=1e-7)
    assert short.bankrupt == pytest.approx(165.0, rel=1e-7)
    assert (found.down, found.up) == (None, pytest.approx(2.25, rel=1e-7))


def test_an_end_is_the_first_mark_that_ends_it() -> None:
    """At the mark told the account is short, a hair on this side of it not, one way and the
    other."""
    for coins in (10, -10):
        trader, listings = account(650, (coins, 100.0))
        (limit,) = limits_of(trader, listings, [100.0]).positions
        assert limit.liquidated is not None
        side = 1 if coins > 0 else -1
        assert listings[0].is_short(standing_of(trader, listings, [limit.liquidated]))
        before = limit.liquidated * (1.0 + side * 3e-16)
        assert not listings[0].is_short(standing_of(trader, listings, [before]))


def test_an_account_that_is_short_as_it_is() -> None:
    """It ends where the mark is, by no move; bankrupt it is later. 150 lost 100 at 90, 50 stand
    against 90, and at 85 all is gone."""
    found = limits_of(*account(150, (10, 100.0)), [90.0])
    assert found.is_short
    assert (found.positions[0].liquidated, found.down, found.up) == (90.0, 0.0, 0.0)
    assert found.positions[0].bankrupt == pytest.approx(85.0, rel=1e-7)


def test_an_account_that_holds_nothing() -> None:
    """What is closed needs no fee of closing it again: it is worth its cash and has no end."""
    trader, listings = account(
        150, (10, 100.0), fee=0.01, taker_fee_inside=True, fee_at="bankruptcy"
    )
    trader.move(0, Cause.LIQUIDATION, -10 * ONE, 900 * USDT, "book", 90.0)
    found = limits_of(trader, listings, [90.0])
    assert (found.stand.equity, found.stand.maintenance) == (50 * USDT, 0)
    assert standing_of(trader, listings, [90.0]) == found.stand
    assert found.positions == ()
    assert (found.is_short, found.down, found.up) == (False, None, None)


def test_the_nearer_of_two_ends() -> None:
    """Where the last tier keeps all and a fee of a tenth beside it, a long is short of margin above
    a price too: ten coins with 300 owed have 10 p - 300 - 6 p up to a notional of 1,000, then
    10 p - 300 - (11 p - 500). That is used up at 75 and at 200, the one nearer to 100, the other to
    150."""
    tiers = (
        Tier(cap=1_000.0, max_leverage=2.0, rate=0.5),
        Tier(cap=1e9, max_leverage=1.0, rate=1.0, deduction=500.0),
    )
    rules = VenueRules(margin=MarginRules(tiers=tiers, taker_fee_inside=True))
    contract = Contract(a_contract(taker_fee=0.1))
    position = PositionSpec(market=0, lots=10 * ONE, entry=100.0)
    spec = TraderSpec(id="t", wallet_atoms=700 * USDT, positions=(position,))
    trader = TraderAccount(traders := Traders([spec], [contract], Ledger()), traders.accounts[0])
    for mark, end in ((100.0, 75.0), (150.0, 200.0)):
        found = limits_of(trader, [Listing(contract, rules)], [mark])
        (limit,) = found.positions
        assert limit.liquidated == pytest.approx(end, rel=1e-6)
        assert limit.bankrupt == pytest.approx(30.0, rel=1e-6)
        assert (found.down, found.up) == (
            pytest.approx(75.0 / mark - 1.0, rel=1e-6),
            pytest.approx(200.0 / mark - 1.0, rel=1e-6),
        )


@pytest.mark.parametrize(
    ("binary", "coins", "is_told"),
    [(39.5, -1, True), (40.5, -1, False), (-39.5, 10**9, True), (-40.5, 10**9, False)],
)
def test_marks_beyond_which_nobody_looks(binary: float, coins: int, *, is_told: bool) -> None:
    """A short with enough for a mark that is 2**39.5 times today's is told its end, with enough for
    2**40.5 none; so is a long that owes so little that it ends at 2**-39.5 or 2**-40.5."""
    mark = 100.0
    end = mark * 2.0**binary
    side = 1 if coins > 0 else -1
    wallet = round(coins * ONE * (mark - (1.0 - side * 0.1) * end))
    spec = TraderSpec(
        id="t",
        wallet_atoms=wallet,
        positions=(PositionSpec(market=0, lots=coins * ONE, entry=mark),),
    )
    contract = Contract(a_contract(taker_fee=0.0))
    traders = Traders([spec], [contract], Ledger())
    listing = Listing(contract, VenueRules(margin=MarginRules(tiers=(TIER,))))
    found = limits_of(TraderAccount(traders, traders.accounts[0]), [listing], [mark])
    together = found.up if side < 0 else found.down
    if not is_told:
        assert (found.positions[0].liquidated, together) == (None, None)
        return
    assert found.positions[0].liquidated == pytest.approx(end, rel=1e-3)
    assert together == pytest.approx(2.0**binary - 1.0, rel=1e-3)


def test_a_position_that_cost_no_atom_is_one() -> None:
    """A millionth of a coin sold at 0.4 brought nothing. At 1,000 it is worth 1,000 atoms and keeps
    100, of the 1,100 that were paid in."""
    contract = Contract(a_contract(taker_fee=0.0))
    position = PositionSpec(market=0, lots=-1, entry=0.4)
    spec = TraderSpec(id="t", wallet_atoms=1_100, positions=(position,))
    trader = TraderAccount(traders := Traders([spec], [contract], Ledger()), traders.accounts[0])
    assert trader.positions() == [(0, -1, 0)]
    listing = Listing(contract, VenueRules(margin=MarginRules(tiers=(TIER,))))
    (limit,) = limits_of(trader, [listing], [0.4]).positions
    assert limit.lots == -1
    assert limit.liquidated == pytest.approx(1_000.0, rel=2e-3)


@pytest.mark.parametrize("margin", [{}, {"taker_fee_inside": True, "fee_at": "bankruptcy"}])
def test_it_is_the_question_that_the_venue_asks(margin: dict[str, object]) -> None:
    """At each mark told, alone or together, the venue finds the account short, and a part in ten
    thousand nearer to today it does not: three positions, with a fee of closing of 1 %."""
    random = Random(3)
    for _ in range(10):
        held = [(random.choice((-1, 1)) * random.randint(1, 40), 100.0) for _ in range(3)]
        marks = [random.uniform(95.0, 105.0) for _ in held]
        worth = round(sum(abs(coins) for coins, _ in held) * 100.0)
        trader, listings = account(worth // 2, *held, fee=0.01, **margin)
        found = limits_of(trader, listings, marks)
        assert found.stand == standing_of(trader, listings, marks)
        ends = [
            [[limit.liquidated * s if m == limit.market else k for m, k in enumerate(marks)]
             for s in (1.0, (marks[limit.market] / limit.liquidated) ** 1e-4)]
            for limit in found.positions
            if limit.liquidated is not None
        ]  # fmt: skip
        ends += [
            [[k * (1.0 + move) ** s for k in marks] for s in (1.000001, 0.9999)]
            for move in (found.down, found.up)
            if move is not None
        ]
        assert ends
        for there, nearer in ends:
            assert listings[0].is_short(standing_of(trader, listings, there))
            assert not listings[0].is_short(standing_of(trader, listings, nearer))
