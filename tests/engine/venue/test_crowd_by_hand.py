"""A background population worked out by hand: what it opens, and what a move would liquidate.

A tier of 20x keeps 2 % up to 10,000, one of 5x a tenth, less 800, up to a million.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.ledger import Ledger
from engine.venue.cascade import cascade_ratios
from engine.venue.contract import Contract
from engine.venue.crowd import Crowd, CrowdSpec
from engine.venue.crowd_opening import open_crowd
from engine.venue.depth import DepthBook
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing
from tests.builders import a_contract
from tests.properties.crowded import a_crowd

QUOTE, BITCOIN = 10**6, 10**8
TWO = (
    Tier(cap=1e4, max_leverage=20.0, rate=0.02),
    Tier(cap=1e6, max_leverage=5.0, rate=0.1, deduction=800.0),
)
IN_COIN: dict[str, Any] = {"caps_in": "settlement"}
TENTH = (Tier(cap=1e12, max_leverage=10.0, rate=0.1),)


def opened(
    mark: float, *rows: tuple[float, float, float], tiers: tuple[Tier, ...] = TWO,
    inverse: bool = False, **margin: Any,
) -> list[tuple[int, int, int, float]]:  # fmt: skip
    """``(lots, wallet, cost, leverage)`` of each that opens; rows are size, entry as a share of
    the mark, and leverage."""
    sizes, entries, leverages = zip(*rows, strict=True)
    spec = CrowdSpec(
        id="c",
        market=0,
        sizes=np.array(sizes).tobytes(),
        entries=np.array(entries).tobytes(),
        leverages=np.array(leverages).tobytes(),
    )
    contract = Contract(a_contract(inverse=inverse))
    listing = Listing(contract, VenueRules(margin=MarginRules(tiers=tiers, **margin)))
    crowd = Crowd(spec, listing, Ledger())
    open_crowd(crowd, mark)
    crowd.check()
    columns = crowd.lots, crowd.cash + crowd.cost, crowd.cost, crowd.leverage
    return list(zip(*(column.tolist() for column in columns), strict=True))


COIN = 10**6
"""In linear lots."""


@pytest.mark.parametrize(
    ("row", "position"),
    [
        # 1,000 at 200 are five coins; a tenth of it is paid in, and an atom more.
        ((1_000.0, 1.0, 10.0), (5 * COIN, 100 * QUOTE + 1, 1_000 * QUOTE, 10.0)),
        ((-1_000.0, 1.0, 10.0), (-5 * COIN, 100 * QUOTE + 1, -1_000 * QUOTE, 10.0)),
        # 20x at most, and above 10,000 at the mark 5x, whatever it was at the entry.
        ((1_000.0, 1.0, 50.0), (5 * COIN, 50 * QUOTE + 1, 1_000 * QUOTE, 20.0)),
        ((-20_000.0, 1.0, 10.0), (-100 * COIN, 4_000 * QUOTE + 1, -20_000 * QUOTE, 5.0)),
        ((9_000.0, 0.75, 20.0), (60 * COIN, 1_800 * QUOTE + 1, 9_000 * QUOTE, 5.0)),
        # Bought at 225 with half paid, 125 lost of 562.5 leave enough; with a twentieth paid it was
        # at 200 instead. Bought at 204 with a twentieth, 31 are left of 51, and 20 needed.
        ((1_125.0, 1.125, 2.0), (5 * COIN, 562_500_001, 1_125 * QUOTE, 2.0)),
        ((1_125.0, 1.125, 20.0), (5 * COIN, 50 * QUOTE + 1, 1_000 * QUOTE, 20.0)),
        ((1_020.0, 1.02, 20.0), (5 * COIN, 51 * QUOTE + 1, 1_020 * QUOTE, 20.0)),
        ((-900.0, 0.9, 20.0), (-5 * COIN, 50 * QUOTE + 1, -1_000 * QUOTE, 20.0)),
        ((-980.0, 0.98, 20.0), (-5 * COIN, 49 * QUOTE + 1, -980 * QUOTE, 20.0)),
        # Twice the last tier is cut to a hair below it: 999,000 at the entry.
        ((2e6, 1.0, 3.0), (4_995 * COIN, 333_000 * QUOTE + 1, 999_000 * QUOTE, 3.0)),
        ((-2e6, 1.0, 3.0), (-4_995 * COIN, 333_000 * QUOTE + 1, -999_000 * QUOTE, 3.0)),
    ],
)
def test_what_a_drawn_position_becomes(
    row: tuple[float, float, float], position: tuple[int, int, int, float]
) -> None:
    """At a first mark of 200."""
    (found,) = opened(200.0, row)
    assert found == position


def test_who_is_too_small_for_a_lot_opens_nothing() -> None:
    """A millionth of a coin at 200 is a fiftieth of a cent."""
    rows = [(0.0001, 1.0, 2.0), (1_000.0, 1.0, 4.0), (-0.0001, 1.0, 8.0), (-400.0, 1.0, 16.0)]
    assert [(lots, leverage) for lots, _, _, leverage in opened(200.0, *rows)] == [
        (5 * COIN, 4.0),
        (-2 * COIN, 16.0),
    ]


def test_the_dearest_entry_bounds_all() -> None:
    """The cut of 999,000 is made at the highest of the entries, 400: 2,497.5 coins."""
    found = opened(200.0, (2e6, 1.0, 3.0), (-400.0, 2.0, 2.0))
    assert [lots for lots, *_ in found] == [2_497_500_000, -COIN]


def test_without_tiers_everything_goes() -> None:
    """Any size, with any leverage."""
    (found,) = opened(200.0, (2e9, 1.0, 100.0), tiers=())
    assert found == (10_000_000 * COIN, 20_000_000 * QUOTE + 1, 2 * 10**15, 100.0)


@pytest.mark.parametrize(
    ("row", "margin", "position"),
    [
        # 10,000 dollars are 0.2 coins at 50,000; by the face 20x is allowed, and for one more 5x.
        ((10_000.0, 1.0, 50.0), {}, (10_000, 10**6 + 1, -BITCOIN // 5, 20.0)),
        ((-10_001.0, 1.0, 50.0), {}, (-10_001, 4_000_401, 20_002_000, 5.0)),
        ((2e6, 1.0, 4.0), {}, (999_000, 499_500_001, -1_998_000_000, 4.0)),
        # Caps in coin: 40 coins are of the first tier, and nothing is cut.
        ((2e6, 1.0, 50.0), IN_COIN, (2_000_000, 2 * BITCOIN + 1, -40 * BITCOIN, 20.0)),
    ],
)  # fmt: skip
def test_what_a_drawn_position_in_coin_becomes(
    row: tuple[float, float, float], margin: dict[str, Any], position: tuple[int, int, int, float]
) -> None:
    """A contract of a dollar, at a first mark of 50,000; what was bought brought coins in."""
    (found,) = opened(50_000.0, row, inverse=True, **margin)
    assert found == position


# The cascade ratio --------------------------------------------------------------------------------


@pytest.mark.parametrize("inverse", [False, True])
def test_what_a_move_liquidates_for_each_quote_that_the_book_takes(*, inverse: bool) -> None:
    """A book of 1,000 for each per cent, of which half of the bids and a quarter of the asks are
    there. Of 1,000 held long at 98.5 and 92, and more at 80 and at a mark that is past: 1,000
    against 500 between one and two per cent, twice 250 against 2,500 between five and ten. Of 400
    held short at 100.3: against 125 within half a per cent."""
    mark, kept = 100.0, 0.1
    positions = []
    for dollars, edge in ((1_000, 98.5), (250, 92.0), (3_000, 80.0), (500, 100.5), (-400, 100.3)):
        side = 1 if dollars > 0 else -1
        if inverse:  # cash + wallet - face / edge = a tenth of that
            lots, wallet = dollars, dollars * (1.0 + side * kept) / edge - dollars / mark
        else:
            lots = dollars // 50
            wallet = dollars - dollars * (1.0 - side * kept) * edge / mark
        atoms = round(wallet * (BITCOIN if inverse else QUOTE))
        positions.append((lots, atoms, mark, 1.0))
    contract = Contract(a_contract(inverse=inverse, lot_size=1.0 if inverse else 0.5))
    listing = Listing(contract, VenueRules(margin=MarginRules(tiers=TENTH)))
    crowds = []
    for own in (positions, positions[1:2]):
        crowds.append(Crowd(a_crowd(own), listing, Ledger()))
        open_crowd(crowds[-1], mark)
    book = DepthBook(depth_at_1pct=1_000.0, beta_near=1.0, beta_far=1.0)
    book.survive(0.5, 0.25, 0)
    down, up = cascade_ratios(crowds, book, mark, 0)
    assert down == pytest.approx((0.0, 0.0, 2.0, 0.0, 0.0, 0.2))
    assert up == pytest.approx((3.2, 0.0, 0.0, 0.0, 0.0, 0.0))
