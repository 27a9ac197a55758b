"""Tests of ``engine.venue.index``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.units import SECOND_NS
from engine.venue.index import index_price, is_fresh, weighted_median
from engine.venue.price_rules import IndexSource

NOW = 1_000 * SECOND_NS
PRICES = st.floats(1e-3, 1e6)
WEIGHTS = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0])


def sources(*weights: float, stale_after_ns: int = 10 * SECOND_NS) -> list[IndexSource]:
    return [
        IndexSource(symbol=n, weight=w, stale_after_ns=stale_after_ns)
        for n, w in enumerate(weights)
    ]


def test_the_price_with_half_of_the_weight_below_it() -> None:
    """Three at 100, two at 101, two at 99: half of seven is reached at 100. Catches weights that
    are ignored (the middle of four or more is another)."""
    assert weighted_median([100.0, 101.0, 99.0], [3.0, 2.0, 2.0]) == 100.0
    assert weighted_median([100.0, 101.0, 99.0], [1.0, 1.0, 3.0]) == 99.0
    assert weighted_median([100.0, 101.0, 99.0], [1.0, 3.0, 1.0]) == 101.0
    assert weighted_median([5.0], [0.1]) == 5.0


def test_a_tie_goes_to_the_source_declared_first() -> None:
    """Half of the weight at or below one price: either that or the next is a median."""
    assert weighted_median([100.0, 101.0], [1.0, 1.0]) == 100.0
    assert weighted_median([101.0, 100.0], [1.0, 1.0]) == 101.0
    assert weighted_median([102.0, 100.0, 101.0], [2.0, 1.0, 1.0]) == 102.0
    assert weighted_median([100.0, 101.0, 102.0, 103.0], [1.0, 1.0, 1.0, 1.0]) == 101.0
    assert weighted_median([103.0, 102.0, 101.0, 100.0], [1.0, 1.0, 1.0, 1.0]) == 102.0


@given(st.lists(st.tuples(PRICES, WEIGHTS), min_size=1, max_size=9))
def test_no_more_than_half_of_the_weight_lies_on_either_side(
    rows: list[tuple[float, float]],
) -> None:
    """The definition, on any sources; and the answer is one of the prices."""
    prices, weights = [p for p, _ in rows], [w for _, w in rows]
    found, total = weighted_median(prices, weights), sum(weights)
    assert found in prices
    assert sum(w for p, w in rows if p < found) <= total / 2
    assert sum(w for p, w in rows if p > found) <= total / 2


@given(st.lists(PRICES, min_size=2, max_size=8), st.floats(1e-3, 1e9))
def test_a_broken_source_of_less_than_half_stays_among_the_others(
    honest: list[float], broken: float
) -> None:
    """Whatever it says, the index lies between prices that others named."""
    found = weighted_median([broken, *honest], [1.0] * (len(honest) + 1))
    assert min(honest) <= found <= max(honest)


def test_the_print_of_2021_10_21_does_not_move_the_index() -> None:
    """One venue falls from 65,800 to 8,200; two others hold, in the weights of Hyperliquid."""
    held = index_price(sources(3.0, 2.0, 2.0), [65_800.0, 65_790.0, 65_810.0], [NOW] * 3, NOW)
    broken = index_price(sources(3.0, 2.0, 2.0), [8_200.0, 65_790.0, 65_810.0], [NOW] * 3, NOW)
    assert held == 65_800.0
    assert broken == 65_790.0
    assert index_price(sources(3.0, 2.0), [8_200.0, 65_790.0], [NOW] * 2, NOW) == 8_200.0


def test_silence_ends_a_source() -> None:
    """At the limit it is stale, a nanosecond before it is not; 0 was never heard."""
    assert is_fresh(NOW - 10 + 1, 10, NOW)
    assert not is_fresh(NOW - 10, 10, NOW)
    assert not is_fresh(0, NOW + 1, NOW)
    assert is_fresh(1, NOW, NOW)


def test_stale_and_masked_sources_do_not_count() -> None:
    """Of two the fresh one holds; masked it is as if it were silent; with none there is no
    index."""
    both, prices = sources(1.0, 5.0), [100.0, 200.0]
    assert index_price(both, prices, [NOW, NOW], NOW) == 200.0
    assert index_price(both, prices, [NOW, NOW - 10 * SECOND_NS], NOW) == 100.0
    assert index_price(both, prices, [NOW, NOW], NOW, [False, True]) == 100.0
    assert index_price(both, prices, [NOW, NOW], NOW, [True, True]) is None
    assert index_price(both, prices, [NOW - 11 * SECOND_NS] * 2, NOW) is None
    assert index_price([], [], [], NOW) is None
