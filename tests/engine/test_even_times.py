"""Tests of ``engine.even_times``: one look at all rows finds what a search for each time finds."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engine.even_times import rows_up_to
from tests.builders import T0


@pytest.mark.parametrize("seed", range(200))
def test_a_look_at_all_rows_finds_what_a_search_finds(seed: int) -> None:
    """Whether rows come in each time or in heaps, at the very times, before the first of them,
    behind the last, or in one place alone; and with so few times that they are searched for."""
    random = Random(seed)
    count, every_ns = random.choice((1, 2, 600, 1_000)), random.choice((1, 2, 7, 10**9))
    times = np.arange(T0, T0 + count * every_ns, every_ns)
    around = T0 + count * every_ns // 2
    reach = random.choice((0, every_ns, count * every_ns // 3, 2 * count * every_ns))
    run = [random.randint(around - reach, around + reach) for _ in range(random.randint(1, 5_000))]
    run += times.tolist() * random.randint(0, 1)
    run += [time + random.randint(-1, 1) for time in random.choices(times.tolist(), k=100)]
    rows = np.sort(np.array(run))
    assert rows_up_to(rows, times).tolist() == rows.searchsorted(times, "right").tolist()


def test_without_rows_none_come_before_any_time() -> None:
    """An empty column has no first row that could be divided."""
    assert not rows_up_to(np.empty(0, np.int64), np.arange(1_000)).any()
