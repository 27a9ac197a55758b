"""Tests of ``engine.venue.crowd_watch``: four longs at 90, 95, 80 and 95, a short at 110 between
them, and one who holds nothing.
"""

from __future__ import annotations

import numpy as np
import pytest

from engine.venue.crowd_watch import Side

ROWS = [(10, 90.0), (-5, 110.0), (1, 95.0), (7, 80.0), (0, 99.0), (2, 95.0)]


def a_side(side: int, rows: list[tuple[int, float]] = ROWS) -> tuple[Side, np.ndarray, np.ndarray]:
    """The watch, and the columns of lots and edges that it reads."""
    lots, edges = np.array([n for n, _ in rows]), np.array([edge for _, edge in rows])
    return Side(side, lots, edges), lots, edges


@pytest.mark.parametrize("side", [1, -1])
def test_the_nearest_comes_first(side: int) -> None:
    """A falling price reaches 95, twice, then 90, then 80; a rising one, of shorts at the same
    distances from 100, likewise. At the very edge a row is reached."""
    away = [(side * abs(n), 100.0 - side * (100.0 - edge)) for n, edge in ROWS if n > 0]
    watch, _, _ = a_side(side, away)
    assert watch.next() == 100.0 - side * 5.0
    for distance, rows in ((4.9, []), (5.0, [1, 3]), (10.0, [0, 1, 3]), (99.0, [0, 1, 2, 3])):
        assert watch.reached(100.0 - side * distance).tolist() == rows


def test_each_side_knows_its_own() -> None:
    """The short is nobody's who watches longs, and the other way round; who holds nothing is on
    neither side."""
    longs, shorts = a_side(1)[0], a_side(-1)[0]
    assert (longs.next(), shorts.next()) == (95.0, 110.0)
    assert longs.reached(1.0).tolist() == [0, 2, 3, 5]
    assert shorts.reached(1e9).tolist() == [1]
    assert shorts.reached(109.9).tolist() == []


def test_who_was_closed_is_passed_over() -> None:
    """Both at 95 are closed, then the one at 80; the one at 90 is next, and with it nobody."""
    watch, lots, _ = a_side(1)
    lots[[2, 5, 3]] = 0
    assert watch.reached(1.0).tolist() == [0]
    assert watch.next() == 90.0
    assert watch.reached(1.0).tolist() == [0]
    lots[0] = 0
    assert watch.next() == -np.inf
    assert watch.reached(1.0).tolist() == []


def test_a_new_edge_counts_and_the_old_one_does_not() -> None:
    """Who stood at 90 stands at 97 now, and is reached there, once; who stood at 95 at 85. One of
    the other side, said to have moved, is none of ours."""
    watch, lots, edges = a_side(1)
    edges[[0, 2]] = (97.0, 85.0)
    watch.moved(np.array([0, 1, 2]))
    assert watch.next() == 97.0
    assert watch.reached(97.0).tolist() == [0]
    assert watch.reached(90.0).tolist() == [0, 5]
    assert watch.reached(85.0).tolist() == [0, 2, 5]
    lots[0] = 0
    assert watch.next() == 95.0
    assert watch.reached(97.0).tolist() == []
    lots[[5, 2]] = 0
    assert watch.next() == 80.0


def test_few_lie_beside_the_order() -> None:
    """Up to 4,096 with new edges; with one more all are put in order anew."""
    lots, edges = np.ones(5_000, np.int64), np.linspace(50.0, 90.0, 5_000)
    watch = Side(1, lots, edges)
    edges[:4_096] += 1.0
    watch.moved(np.arange(4_096))
    assert len(watch._loose) == 4_096
    assert watch.next() == 90.0
    edges[4_999] = 91.0
    watch.moved(np.array([4_999]))
    assert len(watch._loose) == 0
    assert watch.next() == 91.0
    assert len(watch.reached(70.0)) == int(np.count_nonzero(edges >= 70.0))
