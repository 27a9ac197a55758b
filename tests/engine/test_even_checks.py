"""Tests of ``engine.even_checks``: many checks at once are what they are one by one."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engine.even_checks import pass_even
from engine.rows import Column
from engine.ticks import Marks
from engine.units import SECOND_NS
from tests.builders import T0

WAIT_NS = 60 * SECOND_NS


def a_column(random: Random, *, even: bool, changing: bool) -> Column:
    """A few thousand marks, a second apart or about as much, some of which repeat a price."""
    count = random.randint(500, 3_000)
    gaps = np.full(count, SECOND_NS)
    if not even:
        for place in random.choices(range(count), k=5):
            gaps[place] = random.choice((0, SECOND_NS // 2, 3 * SECOND_NS, 90 * SECOND_NS))
    times = T0 + gaps.cumsum()
    prices = 100.0 + np.arange(count) * 0.01
    if not changing:
        for place in random.choices(range(1, count), k=count // 100):
            prices[place] = prices[place - 1]
    rows = np.arange(count)
    table = Marks(sequence=rows, symbol=0, ts_ns=times, price=prices)
    return Column(table, times, prices, prices.min(), prices.max())


def one_by_one(
    column: Column, row: int, stride: int, due_ns: int, before_ns: int
) -> tuple[int, int]:
    """The same, slowly."""
    run, prices = column.run.tolist(), column.prices
    assert prices is not None
    while due_ns < before_ns:
        near = row + stride
        if near >= len(run) - 1 or not run[near] <= due_ns < run[near + 1]:
            break
        if prices[near] == prices[near - 1] or run[near] + WAIT_NS <= due_ns:
            break
        row, due_ns = near, run[near] + WAIT_NS
    return row, due_ns


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("changing", [True, False])
def test_many_at_once_are_those_one_by_one(even: bool, changing: bool) -> None:
    """Whatever the rows, wherever it begins and ends: where they are even, where one is missing,
    repeats its price or comes late, and at the end."""
    passed = 0
    for seed in range(100):
        random = Random(seed)
        column = a_column(random, even=even, changing=changing)
        row = random.randint(1, 200)
        due_ns = column.run.item(row) + WAIT_NS
        before_ns = column.run.item(random.randint(row, len(column) - 1)) + random.randint(0, 2)
        found = pass_even(column, WAIT_NS, row, 60, due_ns, before_ns)
        assert found == one_by_one(column, row, 60, due_ns, before_ns)
        passed += found[0] > row
    assert passed > 10
