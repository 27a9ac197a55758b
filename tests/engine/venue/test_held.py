"""Tests of ``engine.venue.held``: columns are ranked by what each account is by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.ledger import Ledger
from engine.venue.accounts import PositionSpec, TraderAccount, Traders, TraderSpec
from engine.venue.contract import Contract
from engine.venue.held import Held, candidates
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing, equity_of, standing_of
from tests.builders import a_contract

TIERS = (
    Tier(cap=5e3, max_leverage=50.0, rate=0.01),
    Tier(cap=1e9, max_leverage=10.0, rate=0.02, deduction=50.0),
)
MARKS = ((100.0, 50.0), (91.0, 57.0), (130.0, 44.0))
"""Of both markets at three instants."""
RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "entry": {"priced_at": "entry"},
    "fee inside": {"taker_fee_inside": True},
    "fee at bankruptcy": {"taker_fee_inside": True, "fee_at": "bankruptcy"},
}
INVERSE = {**RULES, "face": {"caps_in": "quote"}}
CASES = [(False, name) for name in RULES] + [(True, name) for name in INVERSE]


def accounts(listings: Sequence[Listing], *, inverse: bool) -> list[TraderAccount]:
    """A long, a large short, two with a position in the other market as well, long and short; an
    account whose cash is above zero, and one whose is below, on each side."""
    lots = 1_000 if inverse else 30_000_000
    wallet = 30_000_000 if inverse else 900_000_000
    held = (
        (1, (0, lots, 95.0)),
        (1, (0, -9 * lots, 104.0)),
        (1, (0, lots, 101.0), (1, -2 * lots, 52.0)),
        (1, (0, -lots, 99.0), (1, lots, 48.0)),
        (40, (0, lots, 97.0)),
        (40, (0, -lots, 97.0), (1, -lots, 50.0)),
    )
    specs = [
        TraderSpec(
            id=f"t{number}",
            wallet_atoms=wallet * times,
            positions=tuple(PositionSpec(market=m, lots=n, entry=e) for m, n, e in positions),
            max_leverage=float(number),
        )
        for number, (times, *positions) in enumerate(held)
    ]
    traders = Traders(specs, [listing.contract for listing in listings], Ledger())
    return [TraderAccount(traders, trader) for trader in traders.accounts]


def listed(name: str, *, inverse: bool) -> list[Listing]:
    own = {"tiers": TIERS, **INVERSE[name]}
    if inverse and name != "face":  # caps are coins
        own["tiers"] = tuple(
            Tier(
                cap=t.cap / 100,
                max_leverage=t.max_leverage,
                rate=t.rate,
                deduction=t.deduction / 100,
            )
            for t in TIERS
        )
    rules = VenueRules(margin=MarginRules(**own))
    return [
        Listing(Contract(a_contract(f"C{n}", inverse=inverse, taker_fee=0.002)), rules)
        for n in range(2)
    ]


@pytest.mark.parametrize(("inverse", "name"), CASES)
def test_columns_are_what_each_account_is(name: str, *, inverse: bool) -> None:
    """Equity, wallet, maintenance, size and entry of each of six accounts, at three instants at
    once and one by one, as the exact account of one row says. Catches a sign, a price that is
    upside down, a fee or a position elsewhere that does not count."""
    listings = listed(name, inverse=inverse)
    known = accounts(listings, inverse=inverse)
    held, contract = Held.of(known, 0), listings[0].contract
    columns = {n: np.array([[marks[n]] for marks in MARKS]) for n in range(2)}
    together = candidates(listings, 0, held, columns)
    assert held.take(np.array([5, 2])).others == {0: held.others[5], 1: held.others[2]}
    for instant, marks in enumerate(MARKS):
        alone = candidates(listings, 0, held, dict(enumerate(marks)))
        coin = 1e-8 * marks[0] if inverse else 1e-6
        for row, account in enumerate(known):
            market, lots, cost = account.positions()[0]
            assert (market, held.lots[row], held.leverage[row]) == (0, lots, float(row))
            stand = standing_of(account, listings, marks)
            profit = contract.exposure_value(lots, marks[0]) - cost
            entry = account.trader.holdings[0]
            expected = {
                "equity": equity_of(account, listings, marks) * coin,
                "wallet": (equity_of(account, listings, marks) - profit) * coin,
                "maintenance": stand.maintenance * coin,
                "notional": contract.notional(lots, marks[0]) * coin,
                "entry": (95.0, 104.0, 101.0, 99.0, 97.0, 97.0)[row],
            }
            assert entry.cost == cost
            for column, value in expected.items():
                found = getattr(together, column)
                one = found[row] if found.ndim == 1 else found[instant, row]
                assert one == pytest.approx(value, rel=1e-6), (column, row)
                assert getattr(alone, column)[row] == pytest.approx(value, rel=1e-6)


def test_what_cost_no_atom_stands_at_the_mark() -> None:
    """A lot worth less than an atom, and one whose cost has the wrong sign. Catches an entry of
    zero, below it, or without end, which no ranking takes."""
    for inverse in (False, True):
        listings = listed("plain", inverse=inverse)
        held = Held.of(accounts(listings, inverse=inverse)[:2], 0)
        own = held.cost.copy()
        for cost in ((0.0, -own[1]), (-own[0], 0.0)):
            held.cost[:] = cost
            assert candidates(listings, 0, held, {0: 91.0}).entry.tolist() == [91.0, 91.0]
        held.cost[:] = own * (200.0 if inverse else 0.005)
        assert candidates(listings, 0, held, {0: 0.4}).entry.tolist() == pytest.approx(
            [0.475, 0.52]
        )


def test_who_holds_nothing_in_the_market_is_in_no_queue() -> None:
    """A row is taken over by an account of the other market alone: its lots are elsewhere."""
    listings = listed("plain", inverse=False)
    held = Held.of(known := accounts(listings, inverse=False), 1)
    assert held.lots.tolist()[:2] == [0, 0]
    assert held.others[0] == ((0, *known[0].positions()[0][1:]),)
    assert held.lots[2] == known[2].positions()[1][1]


def test_a_copy_is_its_own() -> None:
    """Rows of a crowd come after the accounts, and neither knows of changes to the other."""
    held = Held.of(accounts(listed("plain", inverse=False), inverse=False), 0)
    crowd = {name: np.array([7, -8]) for name in ("lots", "cash", "cost", "leverage")}
    whole, copy = held.beside([crowd, crowd]), held.copy()
    for name in crowd:
        own = getattr(held, name).tolist()
        assert getattr(whole, name).tolist() == [*own, 7, -8, 7, -8]
        assert getattr(copy, name).tolist() == own
    assert held.beside([]) is held
    copy.lots[0] = 1
    copy.others.clear()
    assert held.lots[0] != 1
    assert whole.others == held.others


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    ("lots", "cash", "fee"),
    [
        # Bankrupt where 1,000 come or go: two are the fee, and 998 are owed or 1,002 there.
        (1, -998.0, 2.0), (-1, 1_002.0, 2.0), (7, -499.0, 1.0), (-7, 501.0, 1.0),
        # No price moves the money this way, or there is none to move.
        (1, 998.0, 0.0), (-1, -1_002.0, 0.0), (1, 0.0, 0.0), (-1, 0.0, 0.0),
    ],
)  # fmt: skip
def test_the_fee_of_closing_at_the_bankruptcy_price(
    lots: int, cash: float, fee: float, *, inverse: bool
) -> None:
    """A fifth of a per cent of what closing moves, and nothing else where the venue asks for no
    margin; who is long of inverse lots pays coins. Without that rule there is none."""
    contract = Contract(a_contract(inverse=inverse, taker_fee=0.002))
    side = -1 if inverse else 1
    held = Held(np.zeros(1))
    held.lots[:], held.cash[:], held.cost[:] = side * lots, cash, side * lots * 100.0
    for rules, atoms in (({}, 0.0), (RULES["fee at bankruptcy"], fee)):
        listing = Listing(contract, VenueRules(margin=MarginRules(**rules)))
        found = candidates([listing], 0, held, {0: 100.0}).maintenance
        assert found.tolist() == pytest.approx([atoms * 1e-6], rel=1e-9, abs=1e-12)
