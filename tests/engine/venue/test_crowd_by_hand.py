"""A background population worked out by hand: what it opens, and what a move would liquidate.

A tier of 20x keeps 2 % up to 10,000, one of 5x a tenth, less 800, up to a million.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import InvariantError
from engine.ledger import Cause, Ledger
from engine.venue.adl_queue import Holder, Queue
from engine.venue.cascade import cascade_ratios
from engine.venue.contract import Contract
from engine.venue.crowd import Crowd, CrowdSpec
from engine.venue.crowd_columns import edges_of
from engine.venue.crowd_opening import _stands, open_crowd
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
    inverse: bool = False, lot: float | None = None, **margin: Any,
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
    contract = Contract(a_contract(inverse=inverse, lot_size=lot or (1.0 if inverse else 1e-6)))
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
    """At a first mark of 200, in lots of a millionth, of a tenth of that, and of five coins."""
    (found,) = opened(200.0, row)
    assert found == position
    (finer,) = opened(200.0, row, lot=1e-7)
    assert finer == (10 * position[0], *position[1:])
    (coarser,) = opened(200.0, row, lot=5.0)
    assert coarser == (position[0] // (5 * COIN), *position[1:])


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


def test_a_tier_without_leverage_is_one() -> None:
    """Who may have no more than what he pays for may have that: 999,000 of a million."""
    tiers = (TWO[0], Tier(cap=1e6, max_leverage=1.0, rate=0.1, deduction=800.0))
    (found,) = opened(200.0, (2e6, 1.0, 3.0), tiers=tiers)
    assert found == (4_995 * COIN, 999_000 * QUOTE + 1, 999_000 * QUOTE, 1.0)


@pytest.mark.parametrize(
    ("mark", "inverse", "lot", "lots"),
    [
        # 2**56 atoms at 200 each, or ten lots for each.
        (200.0, False, 1e-6, 360_287_970_189_639),
        (200.0, False, 1e-7, 3_602_879_701_896_396),
        # 2**52 lots, where they are worth little.
        (2.0**-7, False, 1e-6, 2**52),
        # 2**56 millionths of a dollar; where a dollar is two coins, as many of 200,000,000 each.
        (50_000.0, True, 1.0, 72_057_594_037),
        (0.5, True, 1.0, 360_287_970),
    ],
)
def test_what_whole_numbers_hold(mark: float, lot: float, lots: int, *, inverse: bool) -> None:
    """No tier bounds it, so the numbers do: by the entry at which a lot is worth the most."""
    other = 2.0 if inverse else 0.5
    found = opened(mark, (1e18, 1.0, 1.0), (40.0, other, 1.0), tiers=(), inverse=inverse, lot=lot)
    assert abs(found[0][0] - lots) <= 1


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
        # Bought at 51,000 with a twentieth, 529,412 atoms are left and 360,000 needed; at 56,250
        # more is lost than was there.
        ((9_000.0, 1.02, 20.0), {}, (9_000, 882_354, -17_647_058, 20.0)),
        ((9_000.0, 1.125, 20.0), {}, (9_000, 900_001, -18_000_000, 20.0)),
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


# Its money ----------------------------------------------------------------------------------------


def a_small_crowd(**margin: Any) -> tuple[Crowd, Ledger]:
    """Long ten coins from 100 with 200, short five from 100 with 100, long twenty from 100 with
    300: they keep a tenth."""
    ledger = Ledger()
    contract = Contract(a_contract("C", lot_size=1.0, taker_fee=0.02))
    listing = Listing(contract, VenueRules(margin=MarginRules(tiers=TENTH, **margin)))
    rows = [(10, 200 * QUOTE, 100.0, 5.0), (-5, 100 * QUOTE, 100.0, 5.0)]
    crowd = Crowd(a_crowd([*rows, (20, 300 * QUOTE, 100.0, 5.0)]), listing, ledger)
    open_crowd(crowd, 100.0)
    return crowd, ledger


def test_before_it_opens_nobody_holds_anything() -> None:
    """No rows, and no price that would reach one."""
    listing = Listing(Contract(a_contract()), VenueRules(margin=MarginRules(tiers=TENTH)))
    crowd = Crowd(a_crowd([(10, 200 * QUOTE, 100.0, 5.0)]), listing, Ledger())
    assert crowd.state(whole=True).columns == [b""] * 4
    assert crowd.bounds() == (-np.inf, np.inf)


def balances(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {(owner, asset): held for owner, asset, held in ledger.accounts() if held}


def test_the_ledger_knows_a_population_as_one() -> None:
    """600 paid in, 3,000 bought and 500 sold, thirty coins long and five short."""
    crowd, ledger = a_small_crowd()
    assert crowd.cash.tolist() == [-800 * QUOTE, 600 * QUOTE, -1_700 * QUOTE]
    assert crowd.cost.tolist() == [1_000 * QUOTE, -500 * QUOTE, 2_000 * QUOTE]
    assert balances(ledger) == {
        ("population:crowd", "USDT"): -1_900 * QUOTE,
        ("clearing", "USDT"): -600 * QUOTE,
        ("book:C", "USDT"): 2_500 * QUOTE,
        ("population:crowd", "C:lots"): 25,
        ("book:C", "C:lots"): -25,
    }
    assert crowd.open_lots() == (3, 35)
    assert [crowd.holders(side).tolist() for side in (1, -1)] == [[0, 2], [1]]


def test_whoever_is_paid_has_another_edge() -> None:
    """10 p - 800 = p at 800 / 9 and 20 p - 1,700 = 2 p at 1,700 / 18; 600 - 5 p = p / 2 at
    600 / 5.5. Nine fewer for the first, 180 more for the second and 55 for the short move them."""
    crowd, ledger = a_small_crowd()
    assert crowd.bounds() == pytest.approx((1_700 / 18, 600 / 5.5))
    crowd.credit(np.array([-9, 55, 180]) * QUOTE, Cause.FUNDING, "funding:C")
    assert crowd.edges == pytest.approx([809 / 9, 655 / 5.5, 1_520 / 18])
    assert crowd.bounds() == pytest.approx((809 / 9, 655 / 5.5))
    assert crowd.reached(89.0).tolist() == [0]
    assert crowd.reached(84.0).tolist() == [0, 2]
    assert crowd.reached(120.0).tolist() == [1]
    assert balances(ledger)["funding:C", "USDT"] == -226 * QUOTE
    crowd.check()


def test_what_is_traded_takes_its_share_of_the_cost_with_it() -> None:
    """Four of ten at 105: 420 come, 600 of cost stay, 6 p - 380 = 0.6 p. The short's five at 105:
    nothing is held, and 75 stay. Seven of twenty at 105 leave thirteen."""
    crowd, _ = a_small_crowd()
    rows, lots = np.array([0, 1, 2]), np.array([-4, 5, -7])
    crowd.traded(rows, lots, np.array([420, -525, 735]) * QUOTE)
    assert crowd.lots.tolist() == [6, 0, 13]
    assert crowd.cash.tolist() == [-380 * QUOTE, 75 * QUOTE, -965 * QUOTE]
    assert crowd.cost.tolist() == [600 * QUOTE, 0, 1_300 * QUOTE]
    assert crowd.edges[[0, 2]] == pytest.approx([380 / 5.4, 965 / 11.7])
    assert crowd.bounds() == (pytest.approx(965 / 11.7), np.inf)
    crowd.closed(np.array([2]), np.array([7]))
    assert (crowd.lots.tolist(), crowd.cost.tolist()) == ([6, 0, 0], [600 * QUOTE, 0, 0])
    assert crowd.cash.tolist()[2] == 7
    assert crowd.bounds() == (pytest.approx(380 / 5.4), np.inf)


def test_a_price_at_an_edge_reaches_it() -> None:
    """One coin is left of the short after four at 100, 200 - p = p / 10 at 2,000 / 11, and one of
    the first long after nine at 82, p - 62 = p / 10 at 62 / 0.9. Whether an edge is where it was or
    not, the price that is it is looked at."""
    crowd, _ = a_small_crowd()
    crowd.traded(np.array([0, 1]), np.array([-9, 4]), np.array([738, -400]) * QUOTE)
    assert crowd.edges.tolist() == pytest.approx([62 / 0.9, 2_000 / 11, 1_700 / 18])
    assert crowd.bounds() == pytest.approx((1_700 / 18, 2_000 / 11))
    for row, reached in ((0, [0, 2]), (1, [1]), (2, [2])):
        assert crowd.reached(crowd.edges.item(row)).tolist() == reached


@pytest.mark.parametrize(
    ("loss", "left", "paid"),
    [(10, 100, [3, 2, 6]), (10, 10, [3, 2, 5]), (10, 4, [3, 1, 0]), (35, 35, [10, 5, 20])],
)
def test_a_loss_that_all_share(loss: int, left: int, paid: list[int]) -> None:
    """By the lots of each of 35, rounded up, one after the other until nothing is left of it."""
    crowd, ledger = a_small_crowd()
    before = crowd.cash.tolist()
    assert crowd.share_loss(loss, 35, left) == sum(paid)
    assert [b - a for a, b in zip(crowd.cash.tolist(), before, strict=True)] == paid
    assert balances(ledger)["clearing", "USDT"] == -600 * QUOTE + sum(paid)
    crowd.check()


@pytest.mark.parametrize(("strict", "short"), [(False, [0, 2]), (True, [2])])
def test_who_is_short(strict: bool, short: list[int]) -> None:
    """At 100 the first long has 100 left, a tenth of 1,000, the second 199 of 2,000: who has just
    what he needs is short, unless only less is."""
    crowd, _ = a_small_crowd(strict=strict)
    crowd.credit(np.array([-100, 0, -101]) * QUOTE, Cause.FUNDING, "funding:C")
    rows, equity, needed = crowd.short(100.0)
    assert rows.tolist() == short
    assert equity.tolist() == [{0: 100, 2: 199}[row] * QUOTE for row in short]
    assert needed.tolist() == [{0: 100, 2: 200}[row] * QUOTE for row in short]


def test_what_closing_must_bring() -> None:
    """800 so that nothing is owed; 816.326531 where 2 % of it go to the venue."""
    assert a_small_crowd()[0].least(10, -800 * QUOTE) == 800 * QUOTE
    crowd, _ = a_small_crowd(taker_fee_inside=True, fee_at="bankruptcy")
    assert crowd.least(10, -800 * QUOTE) == 816_326_531


@pytest.mark.parametrize(
    ("column", "message"),
    [("cash", "-1899999999 USDT, the ledger -1900000000$"), ("lots", "26 C:lots, the ledger 25$")],
)
def test_rows_that_do_not_add_up(column: str, message: str) -> None:
    """An atom, or a lot, that the ledger knows nothing of is found."""
    crowd, _ = a_small_crowd()
    crowd.check()
    getattr(crowd, column)[0] += 1
    with pytest.raises(InvariantError, match=f"^population:crowd has {message}"):
        crowd.check()


def test_what_nobody_paid_for_is_the_pool_s() -> None:
    """Ten coins of the longs and what they owed, then four of them sold: as of any account; and a
    pool has no margin, no orders and no owner."""
    crowd, _ = a_small_crowd()
    pool = crowd.pools[1]
    assert (pool.name, crowd.pools[-1].name) == ("population:crowd:long", "population:crowd:short")
    assert (pool.alone, pool.withheld, pool.topups, pool.call_at) == (False, 0, 0, 0.0)
    assert (pool.max_leverage, pool.cancel_orders(0)) == (0.0, 0)
    assert pool.positions() == [(0, 0, 0)]
    pool.take_in(10, -1_020 * QUOTE)
    pool.move(0, Cause.ADL, -4, 400 * QUOTE, "book", 100.0)
    pool.move(0, Cause.SOCIALISED, 0, 8 * QUOTE, "clearing", 0.0)
    assert (pool.cash, pool.positions()) == (-612 * QUOTE, [(0, 6, 612 * QUOTE)])
    crowd.lots[0], crowd.cash[0] = 0, 220 * QUOTE
    crowd.check()


def test_rows_stand_in_the_queue_after_the_accounts() -> None:
    """Of two populations, the first with rows 0 and 2 of a side, the second with row 1: places
    from the number of accounts on are theirs, in this order, and there are no more."""
    first, second = a_small_crowd()[0], a_small_crowd()[0]
    rows = [(first, first.holders(1)), (second, second.holders(-1))]
    nobody = np.zeros(0, np.int64)
    account: Holder = (first.pools[1], 7, 0)
    for count in range(3):
        accounts = [account] * count
        queue = Queue(accounts, rows, nobody, nobody)
        found = [queue.place_of_row(len(accounts) + place) for place in range(3)]
        assert found == [(0, 0), (0, 2), (1, 1)]
        with pytest.raises(InvariantError, match="no row at place"):
            queue.place_of_row(len(accounts) + 3)


# The cascade ratio --------------------------------------------------------------------------------


@pytest.mark.parametrize("inverse", [False, True])
def test_what_a_move_liquidates_for_each_quote_that_the_book_takes(*, inverse: bool) -> None:
    """A book of 1,000 for each per cent, of which half of the bids and a quarter of the asks are
    there. Long, 1,000 at 98.5 meet 500 between one and two per cent, 200 at 96.5 meet 1,000
    between three and five, twice 250 at 92 meet 2,500 between five and ten; those at 89.5 and at a
    mark that is past meet none. Short, 400 at 100.498 meet 125 within half a per cent."""
    mark, kept = 100.0, 0.1
    positions = []
    for dollars, edge in (
        *((1_000, 98.5), (250, 92.0), (200, 96.5), (3_000, 89.5), (500, 100.5)),
        (-400, 100.498),
    ):
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
    assert down == pytest.approx((0.0, 0.0, 2.0, 0.0, 0.2, 0.2))
    assert up == pytest.approx((3.2, 0.0, 0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("side", [1, -1])
def test_at_its_very_edge_a_position_does_not_stand(side: int) -> None:
    """Ten coins from 100 at five times: the mark at which it is looked at is too near for one that
    is drawn, the next number of the safe side is not."""
    crowd, _ = a_small_crowd()
    lots, entries, leverage = np.array([10 * side]), np.array([100.0]), np.array([5.0])
    cost = 1_000 * QUOTE * side
    cash = np.array([200 * QUOTE + 1 - cost])
    (edge,) = edges_of(crowd.listing, lots, cash, np.array([cost])).tolist()
    assert edge == pytest.approx(800.0 / 9.0 if side > 0 else 1_200.0 / 11.0, rel=1e-6)
    for mark, stands in ((edge, False), (np.nextafter(edge, side * np.inf), True)):
        assert _stands(crowd, lots, entries, leverage, mark).tolist() == [stands]
