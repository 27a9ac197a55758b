"""Tests of ``engine.venue.last_rows``: against a memory that is overwritten row by row."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engine.venue.last_rows import last_of_each

STEP = 0.5
NEAR = [99.5, 100.0, 100.5, 101.0]
FAR = [100.0 + side * 0.5 * steps for side in (1, -1) for steps in (32_767, 32_768, 32_769, 10**6)]
SHARED = [100.0, 100.1, 100.2, 99.9]
"""Within half a step of one another."""


def remembered(prices: list[float]) -> list[int]:
    """The last row of each price, ascending."""
    return sorted({price: row for row, price in enumerate(prices)}.values())


def found(prices: list[float]) -> list[int]:
    return sorted(last_of_each(np.array(prices), STEP).tolist())


def test_by_hand() -> None:
    """100 comes three times, 101 once, and a price of thousands of steps away twice."""
    assert found([100.0, 101.0, 100.0, 90_000.0, 100.0, 90_000.0]) == [1, 4, 5]
    assert found([100.0]) == [0]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "known", [NEAR, FAR, SHARED, NEAR + FAR, NEAR + SHARED, FAR + SHARED], ids=str
)
def test_the_last_of_each_price(known: list[float], seed: int) -> None:
    """Next to one another, at the very end of the grid and beyond it, and where prices share a step
    of it: one row of each price, its last. Catches a neighbour's row, a price that is lost, and a
    price told twice."""
    random = Random(seed)
    prices = [random.choice(known) for _ in range(random.randint(1, 60))]
    assert found(prices) == remembered(prices)


def test_many_rows() -> None:
    """More than sixteen bits number."""
    prices = [100.0 + 0.5 * (row * 7_919 % 1_000) for row in range(70_000)]
    assert found(prices) == remembered(prices) == list(range(69_000, 70_000))
