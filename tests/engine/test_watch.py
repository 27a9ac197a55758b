"""Tests of ``engine.watch``."""

from __future__ import annotations

import itertools
import math
from random import Random

import numpy as np
import pytest

from engine.units import NEVER_NS
from engine.watch import ALWAYS, NEVER, Watch, drawn_in, first_breach, first_breach_by_symbol

EDGES = (-math.inf, 1.0, 2.0, math.inf)
ALARMS = (1, 2, NEVER_NS)


def wakes(watch: Watch, price: float, ts_ns: int) -> bool:
    """The watch's own words: quiet while low < price < high and ts < alarm."""
    return not (watch.low < price < watch.high and ts_ns < watch.alarm_ns)


def test_two_watches_wake_whenever_either_would() -> None:
    """For all pairs of edges and alarms, a & b wakes exactly where a or b does. Catches a minimum
    taken for a maximum."""
    watches = [Watch(*x) for x in itertools.product(EDGES, EDGES, ALARMS)]
    for a, b in itertools.product(watches, repeat=2):
        both = a & b
        for price, ts in itertools.product((0.5, 1.0, 1.5, 2.0, 2.5), (0, 1, 2)):
            assert wakes(both, price, ts) == (wakes(a, price, ts) or wakes(b, price, ts))


def test_never_and_always() -> None:
    """NEVER adds nothing to a watch, ALWAYS wakes at any price. Catches a default that is an
    edge."""
    watch = Watch(1.0, 2.0, 5)
    assert watch & NEVER == NEVER & watch == watch
    assert all(wakes(watch & ALWAYS, price, 0) for price in (1e-300, 1.5, 1e300))
    assert not wakes(NEVER, 1e300, NEVER_NS - 1)


def test_computed_edges_are_drawn_in_by_a_hair() -> None:
    """A floor goes up and a ceiling down by a relative 1e-12: 88 and 120 become 88.000000000088
    and 119.99999999988. Catches edges drawn apart, which would wake late."""
    low, high = drawn_in(88.0, 120.0)
    assert low > 88.0
    assert high < 120.0
    assert low / 88.0 - 1.0 == pytest.approx(1e-12, rel=1e-3)
    assert 1.0 - high / 120.0 == pytest.approx(1e-12, rel=1e-3)
    assert drawn_in(-math.inf, math.inf) == (-math.inf, math.inf)


@pytest.mark.parametrize("place", [0, 1, 1_022, 1_023, 1_024, 1_025, 3_071, 3_072, 3_073, 6_999])
@pytest.mark.parametrize("start", [0, 1, 1_000])
@pytest.mark.parametrize("beyond", [90.0, 110.0])
def test_the_first_breach_is_found_wherever_the_chunks_end(
    place: int, start: int, beyond: float
) -> None:
    """A single price at an edge is found at its own index, also at the ends of the chunks of
    1,024, 2,048, ... Catches a chunk that skips or repeats its last row."""
    prices = np.full(7_000, 100.0)
    prices[place] = beyond
    expected = place if place >= start else 7_000
    assert first_breach(prices, 90.0, 110.0, start, 7_000) == expected


def test_a_price_exactly_at_an_edge_breaches() -> None:
    """At the edge is beyond it, one ulp inside is not. Catches a strict comparison, which would
    wake late."""
    inside = [math.nextafter(90.0, 100.0), math.nextafter(110.0, 100.0)]
    assert first_breach(np.array([*inside, 90.0]), 90.0, 110.0, 0, 3) == 2
    assert first_breach(np.array([*inside, 110.0]), 90.0, 110.0, 0, 3) == 2


def test_of_two_breaches_the_earlier_counts() -> None:
    """Catches a search that asks for one side first."""
    assert first_breach(np.array([100.0, 111.0, 89.0]), 90.0, 110.0, 0, 3) == 1
    assert first_breach(np.array([100.0, 89.0, 111.0]), 90.0, 110.0, 0, 3) == 1


def test_nothing_is_looked_at_beyond_the_stop() -> None:
    """Without a breach before it the answer is ``stop``, and an empty range gives its end. Catches
    a chunk that runs past the present barrier."""
    prices = np.array([100.0, 100.0, 1.0])
    assert first_breach(prices, 90.0, 110.0, 0, 2) == 2
    assert first_breach(prices, 90.0, 110.0, 2, 2) == 2
    assert first_breach(prices, 90.0, 110.0, 1, 3) == 2


def test_the_search_by_symbol_is_the_plain_loop() -> None:
    """Each row is compared with its own symbol's edges. Catches edges gathered from a neighbour,
    on random rows whose breaches are rare."""
    random = Random(3)
    generator = np.random.default_rng(3)
    for _ in range(60):
        count = random.choice((5, 1_023, 1_024, 1_025, 4_000))
        symbols = generator.integers(0, 4, count).astype(np.int32)
        lows = np.array([90.0, -math.inf, 10.0, 980.0])
        highs = np.array([110.0, math.inf, 12.0, 1_020.0])
        middle = np.array([100.0, 55.0, 11.0, 1_000.0])
        prices = middle[symbols]
        for place in generator.integers(0, count, random.randint(0, 3)):
            prices[place] = random.choice((10.0, 90.0, 110.0, 1_020.0, 2_000.0))
        start = random.randint(0, count)
        stop = random.randint(start, count)
        plain = next(
            (
                row
                for row in range(start, stop)
                if not lows[symbols[row]] < prices[row] < highs[symbols[row]]
            ),
            stop,
        )
        assert first_breach_by_symbol(prices, symbols, lows, highs, start, stop) == plain
