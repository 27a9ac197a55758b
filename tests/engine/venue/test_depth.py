"""Tests of ``engine.venue.depth``."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.units import SECOND_NS
from engine.venue.depth import ASSUMED_DEPTH, DEPTH_AT_1PCT, DepthBook
from engine.venue.depth_state import DepthState
from engine.venue.flat import FlatBook
from engine.venue.taking import Top

A = 1_000_000.0
EDGE = A * 10.0**1.13
"""What lies within 10 % of mid: 13.49 millions."""


def a_book(**fields: Any) -> DepthBook:
    return DepthBook(**{"depth_at_1pct": A, "half_life_s": 180.0, **fields})


def distance(size: float) -> float:
    """Per cent from mid of the last quote of an order, by the curve itself."""
    share = size / A
    return share ** (1 / 0.67) if share <= 1.0 else share ** (1 / 1.13)


def average(first: float, size: float, cells: int = 20_000) -> float:
    """Mean distance of the quotes from ``first`` on, as a fine sum."""
    width = size / cells
    return math.fsum(distance(first + (n + 0.5) * width) for n in range(cells)) / cells


def test_a_flat_book_fills_any_size_at_the_half_spread() -> None:
    """A buyer pays it and a seller receives it less: 100 with 5 bps is 100.05 and 99.95. A
    recorded spread beats the model's. Catches the sign of a side and a spread in the wrong
    unit."""
    book = FlatBook(half_spread_bps=5.0)
    for side, half_spread, price in (
        (1, -1.0, 100.05),
        (-1, -1.0, 99.95),
        (1, 0.001, 100.1),
        (1, 0.0, 100.0),
    ):
        taken = book.take_limited(side, 10**18, 1e18, None, Top(100.0, half_spread, 0))
        assert (taken.lots, taken.levels, taken.reason) == (10**18, 0, "")
        assert taken.price == pytest.approx(price)
    assert book.depth(0) == 0.0


@pytest.mark.parametrize("share", [1e-6, 0.01, 0.5, 0.999, 1.0, 1.001, 2.0, 7.0, 13.0])
@pytest.mark.parametrize("side", [1, -1])
def test_the_price_is_the_integral_of_the_depth_curve(share: float, side: int) -> None:
    """The average distance agrees with a fine sum over the curve, inside 1 %, across it and
    beyond. Catches a primitive with a wrong constant or a wrong joint."""
    filled, price = a_book().take(side, share * A, 100.0, 0.0, 0)
    assert filled == 1.0
    assert side * (price / 100.0 - 1.0) * 100.0 == pytest.approx(average(0.0, share * A), rel=1e-5)


def test_a_million_at_one_per_cent_costs_forty_basis_points() -> None:
    """By hand: the mean of u over D = A u^0.67 up to 1 % is 0.67 / 1.67 = 0.4012 %, so 100 becomes
    100.4012."""
    assert a_book().take(1, A, 100.0, 0.0, 0)[1] == pytest.approx(100.0 + 0.67 / 1.67)


def test_what_we_took_is_not_there_for_the_next_order() -> None:
    """The second order begins where the first one ended, and two halves at one instant cost what
    the whole costs. Catches an overlay that is forgotten, or counted as distance."""
    book = a_book()
    _, first = book.take(1, 0.4 * A, 100.0, 0.0, 0)
    _, second = book.take(1, 0.8 * A, 100.0, 0.0, 0)
    assert second == pytest.approx(100.0 + average(0.4 * A, 0.8 * A), rel=1e-7)
    _, whole = a_book().take(1, 1.2 * A, 100.0, 0.0, 0)
    assert (0.4 * first + 0.8 * second) / 1.2 == pytest.approx(whole)


def test_each_side_has_its_own_depth() -> None:
    """Catches a purchase that makes a sale dearer."""
    book = a_book()
    book.take(1, A, 100.0, 0.0, 0)
    assert book.take(-1, 0.5 * A, 100.0, 0.0, 0) == a_book().take(-1, 0.5 * A, 100.0, 0.0, 0)


def test_half_of_what_we_took_is_back_after_a_half_life() -> None:
    """After 180 s an order of A behaves as one of A / 2, after 540 s as one of A / 8; before its
    own time nothing comes back. Catches a recovery per look, and one in the wrong unit of time."""
    for seconds, left in ((0, 1.0), (180, 0.5), (540, 0.125)):
        book = a_book()
        book.take(1, A, 100.0, 0.0, 1_000)
        _, price = book.take(1, 0.1 * A, 100.0, 0.0, 1_000 + seconds * SECOND_NS)
        assert price == pytest.approx(100.0 + average(left * A, 0.1 * A), rel=1e-7)
    book = a_book()
    book.take(1, A, 100.0, 0.0, 10 * SECOND_NS)
    assert book.depth(0) == book.depth(10 * SECOND_NS) == 0.0


def test_looking_at_the_book_never_changes_it() -> None:
    """Depth asked for at a hundred times gives the same later price as not asked. Catches a
    recovery that compounds with the number of looks, and with it a result that depends on them."""
    looked, left = a_book(), a_book()
    for book in (looked, left):
        book.take(-1, A, 100.0, 0.0, 0)
    for n in range(100):
        looked.depth(n * SECOND_NS)
    later = 100 * SECOND_NS
    assert looked.take(-1, A, 100.0, 0.0, later) == left.take(-1, A, 100.0, 0.0, later)
    assert a_book().depth(0) == A


def test_nothing_is_extrapolated_beyond_the_last_distance() -> None:
    """Within 10 % lie A * 10^1.13: of an order of twice that, half is filled; the next order of
    that side finds nothing until some is back. Catches a fill at a price that no book had."""
    book = a_book()
    filled, price = book.take(1, 2.0 * EDGE, 100.0, 0.0, 0)
    assert filled == pytest.approx(0.5)
    assert 101.0 < price < 110.0
    assert book.take(1, 1.0, 100.0, 0.0, 0) == (0.0, 100.0)
    filled, _ = book.take(1, EDGE, 100.0, 0.0, 180 * SECOND_NS)
    assert filled == pytest.approx(0.5)


def test_the_spread_comes_on_top_of_the_walk() -> None:
    """Catches a spread that replaces the impact; where none is recorded the book has its own."""
    _, bare = a_book().take(1, A, 100.0, 0.0, 0)
    _, recorded = a_book(half_spread_bps=1.0).take(1, A, 100.0, 0.0003, 0)
    _, own = a_book(half_spread_bps=1.0).take(1, A, 100.0, -1.0, 0)
    assert recorded - bare == pytest.approx(0.03)
    assert own - bare == pytest.approx(0.01)


def test_larger_orders_never_get_better_prices() -> None:
    """Over seven decades of size, both sides. Catches a curve that dips at the joint."""
    sizes = [A * 10.0 ** (n / 20.0) for n in range(-120, 22)]
    for side in (1, -1):
        prices = [side * a_book().take(side, size, 100.0, 0.0, 0)[1] for size in sizes]
        assert prices == sorted(prices)


def test_the_measured_depths() -> None:
    """Millions within 1 % on a normal day before 2025-10-10, as published with that crash; 244 of
    them for BTC: a hedge of 10 millions costs 0.34 bps by the curve. Catches depth in units of
    another size."""
    published = {"BTC": 244.0, "ETH": 116.9, "SOL": 40.0, "XRP": 23.9, "DOGE": 15.9}
    millions = {base: depth / 1e6 for base, depth in DEPTH_AT_1PCT.items()}
    assert millions == pytest.approx(published, rel=1e-15)
    book = DepthBook(depth_at_1pct=DEPTH_AT_1PCT["BTC"])
    _, price = book.take(1, 10e6, 60_000.0, 0.0, 0)
    by_hand = (10.0 / 244.0) ** (1 / 0.67) * 0.67 / 1.67 * 100.0
    assert (price / 60_000.0 - 1.0) * 1e4 == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.3408, abs=1e-3)


# Thin, taken and left -----------------------------------------------------------------------------


def an_even_book() -> DepthBook:
    """As much in each per cent inside one; outside, depth grows with the square."""
    return DepthBook(depth_at_1pct=A, half_life_s=180.0, beta_near=1.0, beta_far=2.0)


def shares_of(book: DepthBook, *seconds: float) -> list[float]:
    return [book.depth(int(at * SECOND_NS)) / A for at in seconds]


def test_the_thinner_side_is_the_depth() -> None:
    """Half of the bids and a quarter of the asks were taken: three minutes later half of that is
    back, and nothing before it was taken."""
    book = an_even_book()
    book.take(-1, 0.5 * A, 100.0, 0.0, 0)
    book.take(1, 0.25 * A, 100.0, 0.0, 0)
    assert shares_of(book, 0, 180) == [0.5, 0.75]
    book.take(1, 0.25 * A, 100.0, 0.0, 180 * SECOND_NS)
    assert book.state == DepthState(0.25 * A, 0.375 * A, 180 * SECOND_NS)
    assert shares_of(book, 0, 180, 360) == [0.625, 0.625, 0.8125]


def test_a_thinned_book_comes_back_by_half_lives() -> None:
    """Two fifths until ten seconds, and from there half of what is missing every five; or all of it
    at once."""
    book = an_even_book()
    assert shares_of(book, 0) == [1.0]
    book.thin(0.4, 10 * SECOND_NS, 5 * SECOND_NS)
    assert shares_of(book, 0, 9.9, 10, 15, 20) == pytest.approx([0.4, 0.4, 0.4, 0.7, 0.85])
    book.thin(0.4, 10 * SECOND_NS, 0)
    assert shares_of(book, 9.9, 10) == [0.4, 1.0]
    assert book.depth(10 * SECOND_NS - 1) == 0.4 * A


@pytest.mark.parametrize("side", [1, -1])
def test_what_is_left_of_two_sides_after_a_move(side: int) -> None:
    """Half of one side is left and a quarter of the other, of which 20 % and 10 % were taken: this
    shrinks with them, and grows again. Who takes the thinner side reaches four times as far."""
    book = an_even_book()
    book.take(-side, 0.2 * A, 100.0, 0.0, 0)
    book.take(side, 0.1 * A, 100.0, 0.0, 0)

    def survive(other: float, own: float) -> None:
        bids, asks = (other, own) if side > 0 else (own, other)
        book.survive(bids, asks, 0)

    survive(0.5, 0.25)
    assert shares_of(book, 0, 180) == pytest.approx([0.225, 0.2375])
    assert (book.refilled(side), book.refilled(-side)) == (0.25, 0.5)
    assert book.widened == 4.0
    survive(1.0, 0.5)
    taken = book.state.taken_bid, book.state.taken_ask
    assert taken == pytest.approx((0.2 * A, 0.05 * A)[::side])
    assert (book.refilled(side), book.refilled(-side)) == (0.5, 1.0)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("taken", "reach", "lots"),
    [
        # Up to 0.3 and 0.8 per cent, where 0.2 are taken: 0.1 and 0.6. At 1.5 per cent there are
        # 2.25, at ten 100.
        (0.2, 0.3, 100),
        (0.2, 0.8, 600),
        (0.2, 0.2, 0),
        (0.2, 0.1, 0),
        (0.0, 1.5, 2_250),
        (2.0, 1.5, 250),
        (0.0, 11.0, 100_000),
        (40.0, 9.0, 41_000),
    ],
)
def test_lots_within_a_reach(taken: float, reach: float, lots: int, side: int) -> None:
    """Of an order of 200 times the depth, in lots of a thousandth of it; a hair is the float's."""
    book = an_even_book()
    if taken:
        book.take(side, taken * A, 100.0, 0.0, 0)
    limit = 100.0 + side * (reach + 1e-9)
    found = book.offer(side, 200_000, 200.0 * A, limit, Top(100.0, 0.0, 0))
    assert found.lots == lots
    assert book.reach(side, 0) == pytest.approx(taken if taken <= 1.0 else taken**0.5)
    book.set_reach(side, reach)
    assert book.reach(side, 0) == pytest.approx(min(reach, 10.0))


def test_a_book_of_which_nothing_was_said() -> None:
    """Ten millions within a per cent, without a spread, half of it back after three minutes."""
    book = DepthBook()
    assert (ASSUMED_DEPTH, book.half_spread_bps, book.depth(0)) == (10e6, 0.0, 10e6)
    book.take(1, 4e6, 100.0, -1.0, 0)
    assert book.depth(180 * SECOND_NS) == pytest.approx(8e6)
    assert DepthState() == DepthState(0.0, 0.0, 0, 1.0, 0, 0)


@pytest.mark.parametrize("side", [1, -1])
def test_the_end_of_the_book(side: int) -> None:
    """A hundred depths lie within ten per cent: of them 40 are taken, 60 are filled, and then there
    is no best; two fifths of a thinned one, or twice as much."""
    book, top = an_even_book(), Top(100.0, 0.0, 0)
    book.take(side, 40.0 * A, 100.0, 0.0, 0)
    for limit in (None, 100.0 + side * 11.0):
        offer = book.offer(side, 200_000, 200.0 * A, limit, top)
        assert (offer.lots, offer.reason) == (60_000, "no_depth")
    assert book.best(side, top) is not None
    assert book.take(side, 200.0 * A, 100.0, 0.0, 0)[0] == pytest.approx(0.3)
    assert book.best(side, top) is None
    for scale in (0.4, 2.0):
        book = an_even_book()
        book.thin(scale, SECOND_NS, 0)
        assert book.depth(0) == scale * A
        assert book.take(side, 400.0 * A, 100.0, 0.0, 0)[0] == pytest.approx(scale / 4.0)


def test_less_than_one_quote_is_something() -> None:
    """Half a quote within a twentieth of a per cent: two of ten lots that are two quote."""
    book = DepthBook(depth_at_1pct=10.0, beta_near=1.0)
    offer = book.offer(1, 10, 2.0, 100.05 + 1e-9, Top(100.0, 0.0, 0))
    assert (offer.lots, offer.reason) == (2, "limit")


def test_a_recorded_spread_of_nothing_is_one() -> None:
    """The book's own is for where none was recorded."""
    book = DepthBook(half_spread_bps=1.0)
    assert book.best(1, Top(100.0, 0.0, 0)) == 100.0
    assert book.best(1, Top(100.0, -1.0, 0)) == pytest.approx(100.01)


@pytest.mark.parametrize("side", [1, -1])
def test_all_that_is_there_is_a_whole_order(side: int) -> None:
    """Ten depths lie within ten per cent of an evener book: an order of just that is filled and has
    no reason for a rest; so is one of 2**53 + 1 lots, to the last. Catches a rest where there is
    none, and lots that went through a float."""
    book = DepthBook(depth_at_1pct=A, beta_near=1.0, beta_far=1.0)
    top = Top(100.0, 0.0, 0)
    offer = book.offer(side, 10_000, 10.0 * A, None, top)
    assert (offer.lots, offer.reason) == (10_000, "")
    taken = book.take_limited(side, 2**53 + 1, A, None, top)
    assert (taken.lots, taken.reason) == (2**53 + 1, "")


@pytest.mark.parametrize("side", [1, -1])
def test_a_limit_at_or_before_the_first_quote_gets_nothing(side: int) -> None:
    """However many lots one quote is. Catches a book that gives one quote for nothing."""
    book = an_even_book()
    for limit in (100.0, 100.0 - side):
        assert book.within(side * (limit - 100.0)) == 0.0
        offer = book.offer(side, 10**9, 10.0, limit, Top(100.0, 0.0, 0))
        assert (offer.lots, offer.reason) == (0, "limit")


@pytest.mark.parametrize("side", [1, -1])
def test_what_is_back_may_be_taken_at_a_limit(side: int) -> None:
    """Of four tenths of a per cent two are missing after a half-life: up to half a per cent there
    are three, and 500 of a thousand lots for the depth are cut to 300; five are missing then, and
    on the other side none. Catches a recovery upside down."""
    book, later = an_even_book(), 180 * SECOND_NS
    book.take(side, 0.4 * A, 100.0, 0.0, 0)
    taken = book.take_limited(
        side, 500, 0.5 * A, 100.0 + side * (0.5 + 1e-9), Top(100.0, 0.0, later)
    )
    assert (taken.lots, taken.reason) == (300, "limit")
    assert book.reach(side, later) == pytest.approx(0.5)
    assert book.reach(-side, later) == 0.0


def test_two_equal_purchases_make_no_sale_dearer() -> None:
    """A tenth of a per cent each: 0.05 and 0.15 away on average; a sale of as much begins at the
    first bid, 0.05 away. Catches a walk that is remembered at a place where none ended."""
    book = an_even_book()
    prices = [book.take(side, 0.1 * A, 100.0, 0.0, 0)[1] for side in (1, 1, -1)]
    assert prices == pytest.approx([100.05, 100.15, 99.95], rel=1e-12)
