"""Tests of ``engine.venue.depth``."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.units import SECOND_NS
from engine.venue.depth import DEPTH_AT_1PCT, DepthBook
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
    """244 millions for BTC within 1 %: a hedge of 10 millions costs 0.34 bps by the curve. Catches
    depth in units of another size."""
    book = DepthBook(depth_at_1pct=DEPTH_AT_1PCT["BTC"])
    _, price = book.take(1, 10e6, 60_000.0, 0.0, 0)
    by_hand = (10.0 / 244.0) ** (1 / 0.67) * 0.67 / 1.67 * 100.0
    assert (price / 60_000.0 - 1.0) * 1e4 == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.3408, abs=1e-3)
