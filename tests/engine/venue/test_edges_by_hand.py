"""The marks between which an account's margin holds, each worked out by hand.

A linear lot is a coin, an inverse one a dollar. The tier keeps a tenth, where nothing else is said.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from engine.ledger import Ledger
from engine.venue.accounts import PositionSpec, TraderAccount, Traders, TraderSpec
from engine.venue.contract import Contract
from engine.venue.crowd_columns import edges_of
from engine.venue.edges import box, edges, rounded
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing
from tests.builders import a_contract

QUOTE, BITCOIN = 10**6, 10**8
EARLY = 1e-9
"""Edges lie this share of a price before the mark that is worked out."""
TENTH = (Tier(cap=1e12, max_leverage=10.0, rate=0.1),)
TWO = (
    Tier(cap=1e4, max_leverage=20.0, rate=0.02),
    Tier(cap=1e6, max_leverage=5.0, rate=0.1, deduction=800.0),
)
HALF = (Tier(cap=1e12, max_leverage=2.0, rate=0.5),)
NEVER, ALWAYS = (-inf, inf), (inf, -inf)
IN_COIN: dict[str, Any] = {"caps_in": "settlement"}
AT_ENTRY: dict[str, Any] = {"priced_at": "entry"}
FEE: dict[str, Any] = {"taker_fee_inside": True}
BANKRUPTCY: dict[str, Any] = {"taker_fee_inside": True, "fee_at": "bankruptcy"}


def a_listing(
    tiers: tuple[Tier, ...] = TENTH, *, inverse: bool = False, lot: float = 1.0, fee: float = 0.02,
    symbol: str = "C", **margin: Any,
) -> Listing:  # fmt: skip
    contract = Contract(a_contract(symbol, inverse=inverse, lot_size=lot, taker_fee=fee))
    return Listing(contract, VenueRules(margin=MarginRules(tiers=tiers, **margin)))


def drawn_in(low: float, high: float) -> tuple[Any, Any]:
    return (
        pytest.approx(low * (1.0 + EARLY), rel=1e-13),
        pytest.approx(high * (1.0 - EARLY), rel=1e-13),
    )


@pytest.mark.parametrize(
    ("cash", "lots", "asked", "margin", "low", "high"),
    [
        # Ten coins that cost 650 more than there is: 10 p - 650 = p.
        (-650, 10, {}, {}, 650 / 9, inf),
        # 50 do not count: 10 p - 700 = p. Twice the margin: 10 p - 650 = 2 p.
        (-650, 10, {"withheld": 50 * QUOTE}, {}, 700 / 9, inf),
        (-650, 10, {"share": 2.0}, {}, 650 / 8, inf),
        # Below a price of one, 10 p - 4.5 = p; paid in full, there is no such mark.
        (-4.5, 10, {}, {}, 0.5, inf),
        (0, 10, {}, {}, -inf, inf),
        (1, 10, {}, {}, -inf, inf),
        # Ten coins owed against 1,210: 1,210 - 10 p = p. Against less than nothing: at any mark.
        (1_210, -10, {}, {}, -inf, 110),
        (1_210, -10, {"withheld": 55 * QUOTE}, {}, -inf, 105),
        (1_210, -10, {"share": 1.1}, {}, -inf, 1_210 / 11.1),
        (-5, -10, {}, {}, -inf, 0),
        # The tier at the mark that is found counts: 100 p - 9,000 = 2 p, at 9,184 of notional;
        # 200 p - 15,000 = 4 p would be at 15,306, so 200 p - 15,000 = 20 p - 800.
        (-9_000, 100, {}, {"tiers": TWO}, 9_000 / 98, inf),
        (-15_000, 200, {}, {"tiers": TWO}, 14_200 / 180, inf),
        (-15_000, 200, {"share": 2.0}, {"tiers": TWO}, 13_400 / 160, inf),
        (12_000, -100, {}, {"tiers": TWO}, -inf, 12_800 / 110),
        # Valued at the entry, ten coins that cost 1,000 keep 100: 10 p - 650 = 100; twice: 200.
        (-650, 10, {}, AT_ENTRY, 75, inf),
        (-650, 10, {"share": 2.0}, AT_ENTRY, 85, inf),
        # With the fee of closing, 2 % of what they are worth: 10 p - 650 = 1.2 p.
        (-650, 10, {}, FEE, 650 / 8.8, inf),
        # The fee at the bankruptcy price: 663.265307 bring 650 after 2 %, whatever the mark.
        (-650, 10, {}, BANKRUPTCY, 663.265307 / 9, inf),
        (-650, 10, {"withheld": 50 * QUOTE}, BANKRUPTCY, 713.265307 / 9, inf),
        (-650, 10, {"share": 2.0}, BANKRUPTCY, 676.530614 / 8, inf),
        # Nothing is held, or no margin is asked for.
        (-650, 0, {}, {}, *NEVER),
        (-650, 10, {}, {"tiers": ()}, *NEVER),
        (-650, -10, {}, {"tiers": ()}, *NEVER),
        # Twice the half of ten coins is what they are worth: only the cash is left over.
        (0, 10, {"share": 2.0}, {"tiers": HALF}, *ALWAYS),
        (0.000001, 10, {"share": 2.0}, {"tiers": HALF}, *NEVER),
        # Three times the half is more: 10 p + 50 = 15 p as they rise.
        (50, 10, {"share": 3.0}, {"tiers": HALF}, -inf, 10),
        # A millionth of a coin: 0.9 p of 90 atoms.
        (-0.00009, 1, {}, {"lot": 1e-6}, 100, inf),
        (0.00011, -1, {}, {"lot": 1e-6}, -inf, 100),
        # And of a tenth of that, worth less than an atom at a price of one: 0.09 p of 9.
        (-0.000009, 1, {}, {"lot": 1e-7}, 100, inf),
    ],
)  # fmt: skip
def test_of_one_linear_position(
    cash: float, lots: int, asked: dict[str, Any], margin: dict[str, Any], low: float, high: float
) -> None:
    """Where equity comes down to what must be there; ``cost`` counts where the entry does."""
    listing, atoms, cost = a_listing(**margin), round(cash * QUOTE), 1_000 * QUOTE
    assert edges(listing, atoms, lots, cost, **asked) == drawn_in(low, high)
    if lots and listing.rates and not asked:
        assert of_a_row(listing, lots, atoms, cost) == drawn_in(low, high)[lots < 0]


def of_a_row(listing: Listing, lots: int, cash: int, cost: int) -> float:
    """The edge of the same position in a population."""
    (edge,) = edges_of(listing, *(np.array([each]) for each in (lots, cash, cost))).tolist()
    return float(edge)


@pytest.mark.parametrize(
    ("cash", "lots", "asked", "margin", "low", "high"),
    [
        # 10,000 dollars bought: 0.25 - 10,000 / p = 1,000 / p; twice the margin: 2,000 / p.
        (0.25, 10_000, {}, {}, 44_000, inf),
        (0.25, 10_000, {"share": 2.0}, {}, 48_000, inf),
        (0.25, 10_000, {"withheld": BITCOIN // 20}, {}, 55_000, inf),
        # 10,000 sold: 10,000 / p - 0.15 = 1,000 / p.
        (-0.15, -10_000, {}, {}, -inf, 60_000),
        (-0.15, -10_000, {"share": 2.0}, {}, -inf, 8_000 / 0.15),
        # Of a dollar.
        (0.000025, 1, {}, {}, 44_000, inf),
        (-0.000015, -1, {}, {}, -inf, 60_000),
        # The fee, 2 % of 10,000 / p, beside it.
        (0.25, 10_000, {}, FEE, 11_200 / 0.25, inf),
        (-0.15, -10_000, {"share": 2.0}, FEE, -inf, 7_600 / 0.15),
        # Tiers in dollars of face: 200,000 are beyond the first, and keep 20,000 - 800.
        (2.5, 200_000, {}, {"tiers": TWO}, 219_200 / 2.5, inf),
        # Tiers in coin: the same tenth.
        (0.25, 10_000, {}, IN_COIN, 44_000, inf),
        (-0.15, -10_000, {}, IN_COIN, -inf, 60_000),
        # What 0.2 coins cost keeps 0.02 at any mark: 0.25 - 10,000 / p = 0.02.
        (0.25, 10_000, {}, {**IN_COIN, **AT_ENTRY}, 10_000 / 0.23, inf),
        # No coins of one's own but what was sold for: no price is too high, or none high enough.
        (0, -10_000, {}, {}, -inf, inf),
        (0.1, -10_000, {}, {}, -inf, inf),
        (0, 10_000, {}, {}, *ALWAYS),
        (-0.1, 10_000, {}, {}, *ALWAYS),
    ],
)  # fmt: skip
def test_of_one_inverse_position(
    cash: float, lots: int, asked: dict[str, Any], margin: dict[str, Any], low: float, high: float
) -> None:
    """The same in coins, of which a position is worth less the higher the price."""
    cost = -BITCOIN // 5 if lots > 0 else BITCOIN // 5
    listing, atoms = a_listing(inverse=True, **margin), round(cash * BITCOIN)
    assert edges(listing, atoms, lots, cost, **asked) == drawn_in(low, high)
    if not asked:
        assert of_a_row(listing, lots, atoms, cost) == drawn_in(low, high)[lots < 0]


def an_account(
    wallet: float, listings: list[Listing], *held: tuple[int, float]
) -> tuple[TraderAccount, list[Listing], list[float]]:
    """Positions opened at the marks."""
    positions = tuple(PositionSpec(market=m, lots=n, entry=p) for m, (n, p) in enumerate(held))
    contracts = [listing.contract for listing in listings]
    atoms = round(wallet * contracts[0].settlement_atoms)
    spec = TraderSpec(id="t", wallet_atoms=atoms, positions=positions)
    traders = Traders([spec], contracts, Ledger())
    return TraderAccount(traders, traders.accounts[0]), listings, [mark for _, mark in held]


@pytest.mark.parametrize(("share", "multiple"), [(1.0, 5), (2.5, 10), (10.0, 32)])
def test_atoms_that_rounding_may_take(share: float, multiple: int) -> None:
    """Two, and three for each time that the margin is asked for, rounded up."""
    assert rounded(share) == multiple


@pytest.mark.parametrize(
    ("wallet", "share", "slack", "each"),
    [
        # 650 - 200, of which each has the half, less five atoms; a coin that moves by one costs
        # one, and raises what must be there by a tenth of it.
        (650, 1.0, 225 - 5e-6, 1.1),
        # 650 - 400, less eight atoms.
        (650, 2.0, 125 - 8e-6, 1.2),
        # Short already: there is nothing to share, and the next price is too far.
        (150, 1.0, 0.0, 1.1),
    ],
)
def test_positions_share_the_slack(wallet: float, share: float, slack: float, each: float) -> None:
    """Long ten from 100 and short twenty from 50: 1,000 each, 200 to keep."""
    listings = [a_listing(symbol="A"), a_listing(symbol="B")]
    account, *market = an_account(wallet, listings, (10, 100.0), (-20, 50.0))
    first, second = slack / (10 * each), slack / (20 * each)
    assert box(account, *market, share) == {
        0: drawn_in(100.0 - first, 100.0 + first),
        1: drawn_in(50.0 - second, 50.0 + second),
    }
    if share == 1.0:
        assert box(account, *market) == box(account, *market, share)


def test_a_fee_at_the_bankruptcy_price_rises_with_what_the_others_lose() -> None:
    """Long ten from 100, short twenty from 50, long five from 200, with 650 and 300 to keep. A long
    that may lose 350 sells for 357.142858 and pays 2 % of that, 7.142858; the short, with 1,650,
    buys for 1,633.663366 and pays 1 %, 16.336634. Of 650 there are left 319.377650, a third for
    each, less five atoms. What one loses costs each of the two others 2 % of 98 at most.
    """
    listings = [
        a_listing(fee=fee, symbol=name, **BANKRUPTCY)
        for name, fee in (("A", 0.02), ("B", 0.01), ("C", 0.02))
    ]
    account, *market = an_account(650, listings, (10, 100.0), (-20, 50.0), (5, 200.0))
    slack = 319.377650 / 3 - 5e-6
    away = slack / (1.0 + 0.1 + 2.0 * 2.0 / 98.0)
    assert box(account, *market) == {
        0: drawn_in(100.0 - away / 10, 100.0 + away / 10),
        1: drawn_in(50.0 - away / 20, 50.0 + away / 20),
        2: drawn_in(200.0 - away / 5, 200.0 + away / 5),
    }


def test_a_position_alone_has_all_of_the_slack() -> None:
    """Ten from 100 with 300, 100 to keep, and 14.285715 for selling at 714.285715, which brings
    700: there is nobody else whose fee would rise."""
    account, *market = an_account(300, [a_listing(**BANKRUPTCY)], (10, 100.0))
    away = (300 - 114.285715 - 5e-6) / 11
    assert box(account, *market) == {0: drawn_in(100.0 - away, 100.0 + away)}


def test_a_lot_of_a_millionth_has_edges_too() -> None:
    """One atom a dollar: 100 atoms of it, with 60, of which 10 are kept and five may be rounded
    away: 45 over 1.1."""
    account, *market = an_account(0.00006, [a_listing(lot=1e-6)], (1, 100.0))
    assert box(account, *market) == {0: drawn_in(100.0 - 45 / 1.1, 100.0 + 45 / 1.1)}


def test_the_dearest_tier_counts_for_a_box() -> None:
    """Ten from 100 with 300 keep 2 %, 20; but they may come to where each keeps a tenth more."""
    account, *market = an_account(300, [a_listing(TWO)], (10, 100.0))
    away = (280 - 5e-6) / 11
    assert box(account, *market) == {0: drawn_in(100.0 - away, 100.0 + away)}


def test_a_mark_that_is_no_longer_there() -> None:
    """A dollar from half a dollar, an eighth to keep: 2.25 coins and the five atoms that may be
    rounded away let it move by the whole 2 of 1 / p, to no price at all."""
    eighth = (Tier(cap=1e12, max_leverage=8.0, rate=0.125),)
    account, *market = an_account(2.50000005, [a_listing(eighth, inverse=True)], (1, 0.5))
    assert box(account, *market) == {0: drawn_in(0.25, inf)}


@pytest.mark.parametrize(("wallet", "slack"), [(0.05, 0.03), (0.5, 0.48)])
def test_inverse_positions_move_in_coins(wallet: float, slack: float) -> None:
    """10,000 dollars from 50,000 keep 0.02 of 0.2 coins. In coins a dollar the mark is 0.00002, and
    may move by the slack over 11,000: where that is more than all of it, no price is too high."""
    account, *market = an_account(wallet, [a_listing(inverse=True)], (10_000, 50_000.0))
    away = (slack - 5e-8) / 11_000
    high = 1.0 / (0.00002 - away) if away < 0.00002 else inf
    assert box(account, *market) == {0: drawn_in(1.0 / (0.00002 + away), high)}


def test_where_no_margin_is_asked_for_the_box_has_no_sides() -> None:
    """Nobody is liquidated."""
    account, *market = an_account(650, [a_listing(())], (10, 100.0))
    assert box(account, *market) == {0: NEVER}
