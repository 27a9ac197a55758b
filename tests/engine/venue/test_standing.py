"""What a listed contract asks for, at the very edge: to the atom, and to the lot.

A lot is a whole coin. Up to 10,000 the initial margin is 5 % and the maintenance 2 %, up to a
million 20 % and 10 %.
"""

from __future__ import annotations

import math
from typing import Literal

import pytest

from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.contract import Contract
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing, Standing, opening_fault
from tests.builders import a_contract

QUOTE = 10**6
TIERS = (
    Tier(cap=1e4, max_leverage=20.0, rate=0.02),
    Tier(cap=1e6, max_leverage=5.0, rate=0.1, deduction=800.0),
)


def a_listing(*, strict: bool = False, open_interest: tuple[float, float] | None = None) -> Listing:
    margin = MarginRules(tiers=TIERS, strict=strict, open_interest=open_interest)
    return Listing(Contract(a_contract(lot_size=1.0)), VenueRules(margin=margin))


@pytest.mark.parametrize(
    ("equity", "withheld", "usual", "strict"),
    [
        (101, 0, False, False),
        (100, 0, True, False),
        (99, 0, True, True),
        (108, 7, False, False),
        (107, 7, True, False),
        (106, 7, True, True),
    ],
)
def test_margin_that_equals_maintenance(
    equity: int, withheld: int, *, usual: bool, strict: bool
) -> None:
    """Of 100 asked for: who has just as much is short, unless the venue is strict about *below*;
    what it does not count is not there."""
    stand = Standing(equity, 100, withheld)
    assert a_listing().is_short(stand) is usual
    assert a_listing(strict=True).is_short(stand) is strict


@pytest.mark.parametrize(
    ("held", "cap", "lots"),
    [
        (7, 700, 7),
        (7, 699, 6),
        (7, 600, 6),
        (7, 599, 5),
        (-7, 350, 3),
        (7, 99, 0),
        (7, 800, 7),
    ],
)
def test_lots_within_a_cap(held: int, cap: int, lots: int) -> None:
    """At 100 a coin: as many as the cap has room for, of a short as of a long; no more than are
    held."""
    assert a_listing().lots_within(held, cap * QUOTE, 100.0) == lots


def test_the_largest_position_of_a_leverage() -> None:
    """10,000 with twenty times, a million with five, none with more: however often it is asked."""
    listing = a_listing()
    for _ in range(2):
        assert listing.largest(20.0) == 10_000 * QUOTE
        assert listing.largest(5.0) == 1_000_000 * QUOTE
        assert listing.largest(20.5) == 0
    free = Listing(Contract(a_contract()), VenueRules())
    assert free.largest(100.0) is None


def test_a_position_alone_is_not_what_is_open() -> None:
    """What is open raises the margin from 50,000 on, to the whole notional at 150,000. One coin at
    100,000 needs 20 %, 20,000, where nothing is said of others; if that coin is all that is open,
    half of the way is gone, and half of the other 80 % is added."""
    listing = a_listing(open_interest=(50_000.0, 150_000.0))
    assert listing.initial(1, 100_000.0) == 20_000 * QUOTE
    assert listing.initial(1, 100_000.0, open_lots=1) == 60_000 * QUOTE
    assert listing.initial(1, 100_000.0, 2.0) == 50_000 * QUOTE
    assert listing.initial(1, 100_000.0, math.inf) == 20_000 * QUOTE


@pytest.mark.parametrize(
    ("wallet", "positions", "admitted"),
    [
        (500 * QUOTE, 1, True),
        (500 * QUOTE - 1, 1, True),
        (500 * QUOTE - 2, 1, False),
        (1_000 * QUOTE - 2, 2, True),
        (1_000 * QUOTE - 3, 2, False),
    ],
)
def test_a_wallet_may_be_an_atom_short_for_each_position(
    wallet: int, positions: int, *, admitted: bool
) -> None:
    """100 coins at 100 need 500 of initial margin, which was rounded up."""
    held = tuple(PositionSpec(market=m, lots=100, entry=100.0) for m in range(positions))
    trader = TraderSpec(id="t", wallet_atoms=wallet, positions=held)
    fault = opening_fault(trader, [a_listing()] * positions)
    assert (fault is None) is admitted
    assert fault is None or fault[0] == "wallet"


@pytest.mark.parametrize(("leverage", "fault"), [(20.0, None), (20.5, "leverage")])
def test_the_leverage_of_a_tier_is_allowed(leverage: float, fault: str | None) -> None:
    """100 coins at 100 are 10,000, the end of the tier of twenty; more than that it does not
    give."""
    held = (PositionSpec(market=0, lots=100, entry=100.0),)
    trader = TraderSpec(id="t", wallet_atoms=500 * QUOTE, positions=held, max_leverage=leverage)
    found = opening_fault(trader, [a_listing()])
    assert (found and found[0]) == fault


def test_what_is_kept_at_each_size() -> None:
    """Per atom of notional, the fee of closing inside where the venue counts it; the last tier has
    no end."""
    tiers = (*TIERS, Tier(cap=1e7, max_leverage=2.0, rate=0.2, deduction=100_800.0))
    margin = MarginRules(tiers=tiers, taker_fee_inside=True)
    listing = Listing(Contract(a_contract(taker_fee=0.001)), VenueRules(margin=margin))
    assert listing.rates == [
        (1e10, 0.02 + 0.001, 0.0),
        (1e12, 0.1 + 0.001, 800e6),
        (math.inf, 0.2 + 0.001, 100_800e6),
    ]
    assert Standing(5, 3).margin == 5


@pytest.mark.parametrize(
    ("caps_in", "inverse", "by_face"),
    [("quote", True, True), ("settlement", True, False), ("quote", False, False)],
)
def test_which_positions_count_by_their_face(
    caps_in: Literal["quote", "settlement"], *, inverse: bool, by_face: bool
) -> None:
    """Inverse ones, where the venue's caps are quote."""
    margin = MarginRules(tiers=TIERS, caps_in=caps_in)
    listing = Listing(Contract(a_contract(inverse=inverse)), VenueRules(margin=margin))
    assert listing.by_face is by_face


def test_margin_to_open_a_face() -> None:
    """A thousand dollars at twenty times are 50, at 30,000 a coin 166,667 satoshi, rounded up."""
    listing = Listing(
        Contract(a_contract(inverse=True)), VenueRules(margin=MarginRules(tiers=TIERS))
    )
    assert listing.opening(1_000, 30_000.0) == listing.opening(-1_000, 30_000.0) == 166_667
    assert a_listing().opening(10, 100.0) == 50 * QUOTE


def test_the_fee_of_closing_is_kept_too() -> None:
    """Where the venue counts it: 2 % of 1,000 are 20, and a tenth of a per cent is one more."""
    for inside, kept in ((False, 20), (True, 21)):
        margin = MarginRules(tiers=TIERS, taker_fee_inside=inside)
        contract = Contract(a_contract(lot_size=1.0, taker_fee=0.001))
        listing = Listing(contract, VenueRules(margin=margin))
        for lots in (10, -10):
            assert listing.maintenance(lots, 0, 100.0) == kept * QUOTE


@pytest.mark.parametrize("inverse", [False, True])
def test_a_wallet_is_told_in_its_asset(*, inverse: bool) -> None:
    """Of 50 dollars, or of 0.005 coins, a tenth was paid in."""
    lot = {} if inverse else {"lot_size": 1.0}
    listing = Listing(
        Contract(a_contract(inverse=inverse, **lot)), VenueRules(margin=MarginRules(tiers=TIERS))
    )
    price = 10_000.0 if inverse else 100.0
    held = (PositionSpec(market=0, lots=1_000 if inverse else 10, entry=price),)
    wallet = 50_000 if inverse else 5 * QUOTE
    fault = opening_fault(TraderSpec(id="t", wallet_atoms=wallet, positions=held), [listing])
    paid = "0.005 BTC of initial margin, 0.0005" if inverse else "50 USDT of initial margin, 5"
    assert fault == ("wallet", f"needs {paid} were paid in")


@pytest.mark.parametrize(
    ("fee_at", "lots", "fee"), [("bankruptcy", 7, 2), ("bankruptcy", 0, 0), ("position", 7, 0)]
)
def test_the_fee_of_a_bankruptcy_price(
    fee_at: Literal["bankruptcy", "position"], lots: int, fee: int
) -> None:
    """A fifth of a per cent of the thousand that leaves 998; nothing where nothing is held, and
    where the venue takes it of the position."""
    margin = MarginRules(tiers=TIERS, taker_fee_inside=True, fee_at=fee_at)
    listing = Listing(Contract(a_contract(taker_fee=0.002)), VenueRules(margin=margin))
    assert listing.closing_fee(lots, -998) == fee
