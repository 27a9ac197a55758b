"""Whole-number arithmetic on columns."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engine.venue.exact_columns import ceil_products, floor_products, total_of


@pytest.mark.parametrize("bits", [8, 30, 50, 62, 90])
def test_products_are_those_of_whole_numbers(bits: int) -> None:
    """Whatever the size of the fraction, each product is floored, or ceiled, exactly."""
    random = Random(bits)
    for _ in range(200):
        over = random.randint(-(2**bits), 2**bits)
        under = random.randint(1, 2**bits)
        counts = [random.randint(-(2**40), 2**40) for _ in range(20)]
        if abs(over) >= under * 2**20:
            continue
        column = np.array(counts, np.int64)
        assert floor_products(column, over, under).tolist() == [c * over // under for c in counts]
        assert ceil_products(column, over, under).tolist() == [
            -(-c * over // under) for c in counts
        ]


def test_products_next_to_whole_numbers() -> None:
    """A product that is whole, or misses it by the least there is, is not rounded to the wrong
    side."""
    for under in (3, 7, 10**6, 2**45 + 1):
        counts = [under * n + d for n in range(1, 40) for d in (-1, 0, 1)]
        column = np.array(counts, np.int64)
        assert floor_products(column, 1, under).tolist() == [c // under for c in counts]


def test_what_does_not_fit_is_refused() -> None:
    """A result beyond 64 bits is an error, never a wrong number."""
    for counts, over in (([2**60], 2**10), ([1, 2**60], 2**10), ([2**40], 2**30)):
        with pytest.raises(OverflowError):
            floor_products(np.array(counts), over, 1)


@pytest.mark.parametrize("over", [2**62 - 1, 2**63 - 1, 2**63, 2**63 + 1, -(2**63), -(2**63) - 1])
def test_a_fraction_of_more_than_64_bits(over: int) -> None:
    """Some fifteen, or eight: only what is left after the division has to fit."""
    under, counts = 2**59 + 1, [1, -3, 1_000_003]
    found = floor_products(np.array(counts), over, under)
    assert found.tolist() == [count * over // under for count in counts]


def test_totals_beyond_64_bits() -> None:
    """Their sum is a whole number of any size."""
    assert total_of(np.full(10, 2**62)) == 10 * 2**62
    assert total_of(np.full(2, 2**62)) == 2**63
    assert total_of(np.array([1, 2**62, 2**62])) == 2**63 + 1
    assert total_of(np.array([], np.int64)) == 0


@pytest.mark.parametrize("under", [2**60 - 1, 2**60, 2**60 + 1, 2**61 - 1, 2**61 + 1])
def test_a_fraction_whose_divisor_is_as_large_as_can_be(under: int) -> None:
    """Counts next to where the product is whole, of more bits than a float holds."""
    counts = [under - 1, under, under + 1, 2 * under - 1, -under - 1]
    found = floor_products(np.array(counts), 3, under)
    assert found.tolist() == [3 * count // under for count in counts]
