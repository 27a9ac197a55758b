"""Tests of ``engine.venue.book``: which book is asked for, and what an order's terms make of it."""

from __future__ import annotations

import pytest

from engine.units import SECOND_NS
from engine.venue.book import BookSpec, book_of, meet
from engine.venue.depth import ASSUMED_DEPTH, DEPTH_AT_1PCT, DepthBook
from engine.venue.flat import FlatBook
from engine.venue.recorded import RecordedBook
from engine.venue.taking import AT_MARKET, Taken, TakingTerms, Top
from tests.builders import a_contract

A = 1_000_000.0
TOP = Top(100.0, 0.0, 0)


def a_book(**fields: float) -> DepthBook:
    return DepthBook(**{"depth_at_1pct": A, "half_life_s": 180.0, **fields})


def test_a_configuration_names_its_book() -> None:
    """Each model gets its own parameters."""
    contract = a_contract()
    flat = book_of(BookSpec(model="flat", half_spread_bps=2.0), contract, SECOND_NS)
    assert isinstance(flat, FlatBook)
    assert flat.take_limited(1, 1, 1.0, None, Top(100.0, -1.0, 0)) == Taken(1, 100.02)
    spec = BookSpec(
        model="depth", depth_at_1pct=A, half_life_s=1.0, beta_near=1.0, beta_far=2.0,
        half_spread_bps=1.0,
    )  # fmt: skip
    deep = book_of(spec, contract, SECOND_NS)
    assert isinstance(deep, DepthBook)
    # Inside 1 % a uniform book: half of it reaches 0.5 %, and costs half of that.
    assert deep.take(1, A / 2, 100.0, -1.0, 0)[1] == pytest.approx(100.01 + 0.25)
    assert deep.take(-1, 1e12, 100.0, 0.0, 0)[0] == pytest.approx(100.0 * A / 1e12)
    assert deep.take(1, A / 4, 100.0, 0.0, SECOND_NS)[1] == pytest.approx(100.0 + 0.375)
    assert isinstance(book_of(BookSpec(model="recorded"), contract, SECOND_NS), RecordedBook)
    usual = BookSpec()
    assert (usual.model, usual.half_spread_bps, usual.half_life_s) == ("depth", 0.0, 180.0)


@pytest.mark.parametrize("side", [1, -1])
def test_a_limit_gets_what_lies_within_it(side: int) -> None:
    """At 0.5 % from mid lie A 0.5^0.67 = 628,507 quote: of 1,000 lots of 1,000 quote, 628 are
    filled, at the mean distance of those 628,000. Catches a limit on the wrong side, a spread that
    is forgotten, and lots rounded up."""
    limit = 100.0 * (1.0 + side * 0.005)
    taken = a_book().take_limited(side, 1_000, A, limit, TOP)
    distance = 0.628 ** (1 / 0.67) * 0.67 / 1.67
    assert (taken.lots, taken.reason) == (628, "limit")
    assert taken.price == pytest.approx(100.0 + side * distance, rel=1e-12)
    spread = Top(100.0, 0.001, 0)
    nearer = a_book().take_limited(side, 1_000, A, limit, spread)
    assert nearer.lots == int(1_000 * 0.4**0.67)
    assert a_book().take_limited(side, 1_000, A, 100.0, spread).lots == 0
    assert a_book().take_limited(side, 1_000, A, 100.0 - side * 0.1, TOP).lots == 0


def test_a_limit_beyond_one_per_cent() -> None:
    """At 2 % lie A 2^1.13 = 2.1886 A, and at 10 % the book ends whatever the limit."""
    book = a_book()
    assert book.offer(1, 10_000, 10.0 * A, 102.0, TOP).lots == int(1_000 * 2.0**1.13)
    far = book.offer(1, 20_000, 20.0 * A, 150.0, TOP)
    assert far.lots == int(1_000 * 10.0**1.13)
    assert far.reason == "no_depth"
    assert book.offer(1, 1_000, A, 102.0, TOP).reason == ""


def test_what_a_limited_order_took_is_missing() -> None:
    """After 400 of 628 lots within the limit, 228 are left; a half-life later 428; the other side
    is whole, and looking takes nothing."""
    book = a_book()
    limit = 100.5
    assert book.offer(1, 400, 0.4 * A, limit, TOP) == book.take_limited(1, 400, 0.4 * A, limit, TOP)
    assert book.take_limited(1, 1_000, A, limit, TOP).lots == 228
    assert book.state.taken_ask == pytest.approx(0.628 * A)
    assert book.offer(1, 1_000, A, limit, TOP).lots == 0
    book = a_book()
    book.take_limited(1, 400, 0.4 * A, limit, TOP)
    assert book.offer(1, 1_000, A, limit, Top(100.0, 0.0, 180 * SECOND_NS)).lots == 428
    assert book.offer(-1, 1_000, A, 99.5, TOP).lots == 628
    assert book.best(1, TOP) == pytest.approx(100.0 + 0.4 ** (1 / 0.67))
    assert book.best(-1, TOP) == 100.0


@pytest.mark.parametrize("side", [1, -1])
def test_a_limited_order_never_pays_more_than_its_limit(side: int) -> None:
    """Whatever the sizes, also where the whole order lies in the last bit before the limit."""
    for n in range(1, 200):
        limit = 100.0 + side * n * 0.0113
        taken = a_book(half_spread_bps=0.0).take_limited(side, 10**9, 50.0 * A, limit, TOP)
        if taken.lots:
            assert side * (limit - taken.price) >= 0.0


def test_without_a_limit_it_is_a_market_order() -> None:
    """The same price and share as ``take``, whole lots of it."""
    one, other = a_book(), a_book()
    share, price = one.take(1, 20.0 * A, 100.0, 0.0, 0)
    taken = other.take_limited(1, 777, 20.0 * A, None, TOP)
    assert taken == Taken(int(777 * share), price, reason="no_depth")
    assert one.state == other.state
    flat = FlatBook(5.0)
    assert flat.take_limited(1, 7, 1.0, None, Top(100.0, -1.0, 0)) == Taken(7, 100.05)
    assert flat.take_limited(1, 7, 1.0, 100.04, Top(100.0, -1.0, 0)).reason == "limit"
    assert flat.take_limited(-1, 7, 1.0, 99.95, Top(100.0, -1.0, 0)).lots == 7


def test_all_or_nothing() -> None:
    """A fill-or-kill order of 629 lots within 0.5 % takes nothing, one of 628 takes them all; an
    immediate one takes what there is."""
    for lots, filled in ((629, 0), (628, 628)):
        book = a_book()
        terms = TakingTerms(limit=100.5, time_in_force="fok")
        taken = meet(book, terms, 1, lots, lots * 1_000.0, TOP)
        assert taken.lots == filled
        assert taken.reason == ("" if filled else "not_whole")
        assert bool(book.state.taken_ask) == bool(filled)
    assert meet(a_book(), TakingTerms(limit=100.5), 1, 629, 629e3, TOP).lots == 628
    assert meet(a_book(), AT_MARKET, 1, 629, 629e3, TOP).lots == 629
    blind = book_of(BookSpec(model="recorded"), a_contract(), SECOND_NS)
    assert meet(blind, TakingTerms(limit=1.0, time_in_force="fok"), 1, 1, 1.0, TOP).reason == (
        "no_image"
    )


@pytest.mark.parametrize(("side", "limit", "reason"), [
    (1, 100.0, "would_cross"), (1, 99.99, "limit"), (-1, 100.0, "would_cross"),
    (-1, 100.01, "limit"),
])  # fmt: skip
def test_a_post_only_order_takes_nothing(side: int, limit: float, reason: str) -> None:
    """At the best price of the other side or beyond it is refused, before it it may rest."""
    book = a_book()
    terms = TakingTerms(limit=limit, time_in_force="gtc", post_only=True)
    assert meet(book, terms, side, 10, 10.0, TOP) == Taken(0, reason=reason)
    assert book.state.taken_ask == book.state.taken_bid == 0.0


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.98, 0.99, 0.999, 1.0, 1.001, 2.0])
@pytest.mark.parametrize("reach", [0.009, 0.0099, 0.01, 0.011, 0.02, 0.3])
def test_a_limit_that_does_not_bind_changes_nothing(side: int, share: float, reach: float) -> None:
    """An order that all lies before its limit is filled as at market, and leaves the same book;
    one that does not is not filled whole. Catches a look that is spared where a limit binds."""
    free, bound = a_book(beta_near=1.0, beta_far=1.0), a_book(beta_near=1.0, beta_far=1.0)
    lots, limit = 1_000_000, 100.0 * (1.0 + side * reach)
    taken = bound.take_limited(side, lots, share * A, limit, TOP)
    if share * 0.01 < reach * (1.0 - 1e-9):
        assert taken == free.take_limited(side, lots, share * A, None, TOP)
        assert bound.state == free.state
    elif share * 0.01 > reach * (1.0 + 1e-5):
        assert 0 < taken.lots < lots


def test_the_depth_of_a_normal_day() -> None:
    """Millions of quote a side within 1 % of mid, as measured; ten are assumed of any other."""
    measured = {base: depth / 1e6 for base, depth in DEPTH_AT_1PCT.items()}
    assert measured == {"BTC": 244.0, "ETH": 116.9, "SOL": 40.0, "XRP": 23.9, "DOGE": 15.9}
    assert ASSUMED_DEPTH == 10e6
