"""Tests of ``engine.venue.mark``."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.mark import Average, Mark, MarkLegs, Quotes, decayed, funding_basis
from engine.venue.price_rules import MarkRules

NOW = 1_700_000_010 * SECOND_NS
BINANCE = MarkRules()
HYPERLIQUID = MarkRules(
    every_ns=3 * SECOND_NS,
    legs=("basis", "book"),
    basis="ema",
    basis_every_ns=3 * SECOND_NS,
    book="median",
    pair="book_ema",
)


def quotes(**fields: Any) -> Quotes:
    """An index of 100, a mid of 101, a last trade of 103 and 1 % of funding due in half an
    interval."""
    defaults: dict[str, Any] = {
        "index": 100.0,
        "bid": 100.5,
        "ask": 101.5,
        "last": 103.0,
        "rate": 0.01,
        "to_funding_ns": 4 * HOUR_NS,
        "interval_ns": 8 * HOUR_NS,
    }
    return Quotes(**{**defaults, **fields})


def a_mark(rules: MarkRules, **fields: Any) -> Mark | None:
    return MarkLegs(rules).at(NOW, quotes(**fields))


def fed(rules: MarkRules, *mids: float | None, index: float = 100.0) -> MarkLegs:
    """Legs that have seen these mids, one a point of the basis' grid, the last at ``NOW``."""
    legs = MarkLegs(rules)
    for place, mid in enumerate(mids, 1 - len(mids)):
        bid = 0.0 if mid is None else mid - 0.5
        ask = 0.0 if mid is None else mid + 0.5
        at = NOW + place * rules.basis_every_ns
        legs.at(at, quotes(index=index, bid=bid, ask=ask))
    return legs


def test_three_legs_and_their_median() -> None:
    """Funding says 100 (1 + 1 % x 1/2) = 100.5, basis 100 + 1 = 101, the last trade 103: 101. Each
    of the three is the median once."""
    assert a_mark(BINANCE) == Mark(101.0, "basis", "funding+basis+book")
    assert a_mark(BINANCE, last=100.7) == Mark(100.7, "book", "funding+basis+book")
    assert a_mark(BINANCE, rate=0.04) == Mark(102.0, "funding", "funding+basis+book")
    assert a_mark(BINANCE, rate=-0.04, last=90.0) == Mark(98.0, "funding", "funding+basis+book")


def test_the_funding_basis_shrinks_to_nothing() -> None:
    """All of the rate a whole interval before, none of it at the instant."""
    for left, basis in ((8, 1.0), (4, 0.5), (2, 0.25), (0, 0.0)):
        given_quotes = quotes(to_funding_ns=left * HOUR_NS)
        assert funding_basis(given_quotes, BINANCE) == pytest.approx(basis, abs=1e-15)
    assert funding_basis(quotes(rate=-0.01), BINANCE) == -0.5


def test_the_funding_basis_of_bitmex() -> None:
    """2024-11-24 23:33: 267 minutes of 480 left make 5.99 in cents; 19 seconds less make 5.98."""
    rules = MarkRules(legs=("funding",), basis_step=0.01)
    told = quotes(index=97_843.77, rate=0.00011, to_funding_ns=267 * MINUTE_NS)
    assert funding_basis(told, rules) == pytest.approx(5.99, abs=1e-12)
    late = quotes(index=97_843.77, rate=0.00011, to_funding_ns=267 * MINUTE_NS - 19 * SECOND_NS)
    assert funding_basis(late, rules) == pytest.approx(5.98, abs=1e-12)
    unrounded = funding_basis(told, MarkRules())
    assert unrounded == pytest.approx(97_843.77 * 0.00011 * 267 / 480, rel=1e-15)


@pytest.mark.parametrize(
    ("missing", "mark"),
    [
        ({"index": 0.0}, Mark(103.0, "book", "book")),
        ({"index": 0.0, "last": 0.0}, Mark(101.0, "book", "book")),
        ({"to_funding_ns": -1}, Mark(101.0, "basis", "basis+book")),
        ({"bid": 0.0}, Mark(100.5, "funding", "funding+book")),
        ({"bid": 0.0, "last": 0.0}, Mark(100.5, "funding", "funding")),
        ({"bid": 0.0, "last": 0.0, "to_funding_ns": -1}, None),
        ({"index": 0.0, "bid": 0.0, "last": 0.0}, None),
    ],
)
def test_any_leg_may_be_missing(missing: dict[str, Any], mark: Mark | None) -> None:
    """What is left holds and says so; of two the one declared first; with none there is no
    mark."""
    assert a_mark(BINANCE, **missing) == mark


@pytest.mark.parametrize("scale", [1.0, 0.001])
@pytest.mark.parametrize(
    ("last", "leg"),
    [(100.0, 100.5), (101.0, 101.0), (103.0, 101.5), (0.0, 101.0)],
)
def test_a_book_of_bid_ask_and_last(last: float, leg: float, scale: float) -> None:
    """The middle one of the three, or the mid, of a coin of a tenth of a quote as of another."""
    rules = MarkRules(legs=("book",), book="median")
    book = {name: getattr(quotes(), name) * scale for name in ("bid", "ask", "index")}
    found = a_mark(rules, last=last * scale, **book)
    assert found is not None
    assert found.price == pytest.approx(leg * scale)


def test_a_coin_of_a_tenth_of_a_quote_has_all_legs() -> None:
    """Those of the first test, a thousandth of each."""
    small = {name: getattr(quotes(), name) * 0.001 for name in ("bid", "ask", "last", "index")}
    for leg, price in (("funding", 0.1005), ("basis", 0.101), ("book", 0.103)):
        found = a_mark(MarkRules(legs=(leg,)), **small)
        assert found is not None
        assert found.price == pytest.approx(price)
    found = a_mark(MarkRules(legs=("basis",), basis="mean"), **small)
    assert found is not None
    assert found.price == pytest.approx(0.101)


def test_nothing_is_known_of_what_was_not_quoted() -> None:
    """Of quotes with nothing but an index there is that alone; and without one no distance from it
    is remembered."""
    assert Quotes() == Quotes(0.0, 0.0, 0.0, 0.0, 0.0, -1, 1)
    legs = MarkLegs(BINANCE)
    assert legs.at(NOW, Quotes(index=100.0)) is None
    legs.at(NOW + BINANCE.basis_every_ns, quotes(index=0.0))
    assert legs.state.distances == [None, None]


def test_a_leg_at_nothing_is_none() -> None:
    """An index of 100 and funding of the whole of it, to be paid."""
    rules = MarkRules(legs=("funding",))
    assert a_mark(rules, rate=-1.0, to_funding_ns=8 * HOUR_NS) is None


def test_a_book_of_one_side_is_no_book() -> None:
    """Without an ask there is no mid, as without a bid."""
    for side in ("bid", "ask"):
        assert a_mark(MarkRules(legs=("basis",)), **{side: 0.0}) is None
        assert a_mark(MarkRules(legs=("book",)), last=0.0, **{side: 0.0}) is None


def test_the_instant_of_funding_still_has_a_leg() -> None:
    """Nothing is left to come, but the leg is there; a nanosecond past it is not."""
    rules = MarkRules(legs=("funding",))
    assert a_mark(rules, to_funding_ns=0) == Mark(100.0, "funding", "funding")
    assert a_mark(rules, to_funding_ns=-1) is None


def test_a_mark_is_above_zero() -> None:
    """A leg that a rate or a distance brings to zero or below is missing."""
    legs = fed(MarkRules(legs=("basis", "index")), 2.0, index=100.0)
    assert legs.at(NOW + 1, quotes(index=90.0)) == Mark(90.0, "index", "index")


def test_the_basis_is_the_mean_of_the_last_points() -> None:
    """Distances 1, 2, 3 of three points; a fourth pushes the first out, in any turn of the ring."""
    rules = MarkRules(legs=("basis",), basis_points=3)
    for mids, mean in (
        ((101.0,), 1.0),
        ((101.0, 102.0), 1.5),
        ((101.0, 102.0, 103.0), 2.0),
        ((101.0, 102.0, 103.0, 107.0), 4.0),
        ((101.0, 102.0, 103.0, 107.0, 108.0, 112.0), 9.0),
        ((104.0, None, None), 4.0),
        ((None, 102.0, 104.0), 3.0),
    ):
        mark = fed(rules, *mids).at(NOW + 1, quotes())
        assert mark is not None
        assert mark.price == 100.0 + mean


def test_a_basis_that_was_not_heard_for_its_window_is_missing() -> None:
    """Three points without a mid, and the last distance is forgotten."""
    rules = MarkRules(legs=("basis", "book"), basis_points=3)
    assert fed(rules, 101.0, None, None).at(NOW + 1, quotes()) == Mark(101.0, "basis", "basis+book")
    gone = fed(rules, 101.0, None, None, None).at(NOW + 1, quotes())
    assert gone == Mark(103.0, "book", "book")


def test_distances_are_taken_on_their_own_grid() -> None:
    """Between its points the mid may say what it likes."""
    rules = MarkRules(legs=("basis",))
    legs = fed(rules, 101.0)
    for second in range(1, 5):
        mark = legs.at(NOW + second * SECOND_NS, quotes(bid=149.0, ask=151.0))
        assert mark == Mark(101.0, "basis", "basis")
    mark = legs.at(NOW + 5 * SECOND_NS, quotes(bid=102.5, ask=103.5))
    assert mark == Mark(102.0, "basis", "basis")


def test_the_exponential_average_decays_numerator_and_denominator() -> None:
    """Distances 1 and 2, three seconds apart, with 150 s: (e^-0.02 + 2) / (e^-0.02 + 1)."""
    legs = fed(HYPERLIQUID, 101.0, 102.0)
    kept = math.exp(-3.0 / 150.0)
    expected = (kept + 2.0) / (kept + 1.0)
    average = legs.state.basis.value(NOW, HYPERLIQUID.basis_tau_ns)
    assert average == pytest.approx(expected, rel=1e-12)
    assert decayed(3 * SECOND_NS, 150 * SECOND_NS) == pytest.approx(kept, rel=1e-14)


def test_an_average_weighs_by_the_time_that_passed() -> None:
    """A value after ten seconds weighs ten times one after one second, and is gone once nothing
    came for longer than its time constant."""
    average = Average()
    average.add(1.0, NOW, 30 * SECOND_NS, SECOND_NS)
    average.add(2.0, NOW + 10 * SECOND_NS, 30 * SECOND_NS, SECOND_NS)
    kept = math.exp(-10.0 / 30.0)
    at = NOW + 10 * SECOND_NS
    value = average.value(at, 30 * SECOND_NS)
    assert value == pytest.approx((kept + 20.0) / (kept + 10.0), rel=1e-12)
    assert average.value(at + 30 * SECOND_NS, 30 * SECOND_NS) == value
    assert average.value(at + 30 * SECOND_NS + 1, 30 * SECOND_NS) is None
    assert Average().value(NOW, NOW) is None


def test_the_book_leg_of_hyperliquid() -> None:
    """The median of best bid, best ask and last trade; of a book alone its mid; of a trade alone
    that."""
    rules = MarkRules(legs=("book",), book="median")
    for last, price in ((103.0, 101.5), (101.2, 101.2), (90.0, 100.5), (0.0, 101.0)):
        mark = a_mark(rules, last=last)
        assert mark is not None
        assert mark.price == price
    assert a_mark(rules, bid=0.0) == Mark(103.0, "book", "book")


def test_two_legs_take_in_an_average_of_the_book() -> None:
    """Index 100 and book 101.5 are joined by the book's own average: at first that is the book."""
    legs = MarkLegs(
        MarkRules(every_ns=3 * SECOND_NS, legs=("index", "book"), book="median", pair="book_ema")
    )
    assert legs.at(NOW, quotes()) == Mark(101.5, "book", "index+book+book_ema")
    mark = legs.at(NOW + 3 * SECOND_NS, quotes(bid=89.5, ask=90.5, last=90.0))
    kept = math.exp(-0.1)
    assert mark is not None
    assert mark.leg == "book_ema"
    assert mark.price == pytest.approx((101.5 * kept + 90.0) / (kept + 1.0), rel=1e-12)


def test_two_legs_otherwise() -> None:
    """The one declared first, or their mean."""
    two = {"bid": 0.0}
    assert a_mark(MarkRules(pair="first"), **two) == Mark(100.5, "funding", "funding+book")
    both = "funding+book"
    assert a_mark(MarkRules(pair="mean"), **two) == Mark(101.75, both, both)
    # Without a book there is nothing to average, and the first holds.
    alone = MarkRules(legs=("index", "funding", "book"), pair="book_ema")
    assert a_mark(alone, bid=0.0, last=0.0) == Mark(100.0, "index", "index+funding")


def crashed(rules: MarkRules, **fields: Any) -> list[float]:
    """Marks of 13 seconds in which 2021-10-21's print stands after ten quiet minutes."""
    legs = MarkLegs(rules)
    calm = {"index": 65_800.0, "bid": 65_799.0, "ask": 65_801.0, "last": 65_800.0, "rate": 0.0001}
    marks = []
    for second in range(-600, 13):
        said = calm if second < 0 else {**calm, **fields}
        if second % (rules.every_ns // SECOND_NS):
            continue
        mark = legs.at(NOW + second * SECOND_NS, quotes(**said))
        assert mark is not None
        if second >= 0:
            marks.append(mark.price)
    return marks


def test_a_single_print_does_not_move_the_mark() -> None:
    """2021-10-21, 65,800 to 8,200 within 13 seconds: as a trade of this venue it leaves the mark
    where two legs hold it; as one source of three it never reaches it."""
    for price in crashed(BINANCE, last=8_200.0):
        assert price == pytest.approx(65_800.0, rel=1e-4)
    for price in crashed(HYPERLIQUID, last=8_200.0):
        assert price == pytest.approx(65_800.0, rel=1e-4)


def test_a_whole_book_that_crashes_drags_the_mark_by_its_share() -> None:
    """The venue's own book falls by 87.5 % for 13 seconds: three of thirty distances, so Binance's
    mark falls by a tenth of that. Hyperliquid's two legs without other venues, joined by the book's
    own average of 30 s, lose a third."""
    down = {"last": 8_200.0, "bid": 8_199.0, "ask": 8_201.0}
    assert min(crashed(BINANCE, **down)) == pytest.approx(65_800.0 - 57_600.0 / 10.0, rel=1e-4)
    assert 0.64 < min(crashed(HYPERLIQUID, **down)) / 65_800.0 < 0.67


def test_an_index_that_crashes_takes_the_mark_with_it() -> None:
    """Two legs stand on the index: it is what must not break."""
    assert max(crashed(BINANCE, index=8_200.0)) < 15_000.0


LEGS = st.sampled_from([0.0, 99.0, 100.0, 101.0, 140.0])


@settings(max_examples=25)
@given(st.lists(st.tuples(LEGS, LEGS, LEGS), min_size=1, max_size=12), st.integers(1, 60))
def test_silence_may_be_passed_at_once(said: list[tuple[float, float, float]], points: int) -> None:
    """Points at which nothing is heard, one by one or together: the legs remember the same."""
    for rules in (MarkRules(basis_points=4), HYPERLIQUID):
        one, other = MarkLegs(rules), MarkLegs(rules)
        for place, (index, mid, last) in enumerate(said):
            told = quotes(index=index, bid=mid, ask=mid, last=last)
            for legs in (one, other):
                legs.at(NOW + place * rules.every_ns, told)
        begin = NOW + (len(said) - 1) * rules.every_ns
        end = begin + points * rules.every_ns
        for at in range(begin + rules.every_ns, end + 1, rules.every_ns):
            assert one.at(at, Quotes()) is None
        other.pass_silence(begin, end)
        assert one.state == other.state
