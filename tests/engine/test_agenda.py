"""Tests of ``engine.agenda``."""

from __future__ import annotations

import math
from random import Random

import pytest

from engine.agenda import Agenda, Edges, Priority
from engine.units import NEVER_NS
from engine.watch import ALWAYS

FILL, FUNDING, FEE, POLICY = Priority.FILL, Priority.FUNDING, Priority.FEE, Priority.POLICY


def test_an_alarm_is_hastened_and_never_put_off() -> None:
    """``hasten`` takes the earlier of two times. Catches a step that is due forgotten for a later
    one."""
    agenda = Agenda()
    agenda.hasten((FEE, 0, 0), 7)
    agenda.hasten((FEE, 0, 0), 9)
    assert agenda.next_ns() == 7
    agenda.hasten((FEE, 0, 0), 5)
    assert list(agenda.due(5)) == [(FEE, 0, 0)]
    assert agenda.next_ns() == NEVER_NS


def test_one_instant_rings_in_the_order_of_the_design() -> None:
    """Marks that the venue makes, venue, fills, funding, liquidations, fees, policies; then the
    market, then the product. Catches an order of arrival."""
    assert list(Priority) == sorted(Priority)
    names = ["MARK", "VENUE", "FILL", "FUNDING", "LIQUIDATION", "FEE", "POLICY"]
    assert [p.name for p in Priority] == names
    agenda = Agenda()
    keys = [(p, m, h) for p in Priority for m in range(2) for h in range(3)]
    for key in Random(1).sample(keys, len(keys)):
        agenda.set(key, 5)
    assert list(agenda.due(5)) == keys


def test_an_alarm_that_was_moved_rings_only_at_its_new_time() -> None:
    """Catches the stale entry of a heap that rings once more."""
    agenda = Agenda()
    agenda.set((POLICY, 0, 0), 5)
    agenda.set((POLICY, 0, 0), 9)
    agenda.set((POLICY, 0, 0), 5)
    agenda.set((POLICY, 0, 0), 7)
    assert agenda.next_ns() == 7
    assert list(agenda.due(5)) == []
    assert list(agenda.due(7)) == [(POLICY, 0, 0)]
    assert agenda.next_ns() == NEVER_NS


def test_an_alarm_moved_there_and_back_rings_once() -> None:
    """Catches the two entries that a there-and-back leaves behind."""
    agenda = Agenda()
    for ts in (5, 9, 5):
        agenda.set((FEE, 0, 1), ts)
    assert list(agenda.due(5)) == [(FEE, 0, 1)]
    assert agenda.next_ns() == NEVER_NS


def test_a_silenced_alarm_does_not_ring() -> None:
    """Catches NEVER_NS being taken for a time."""
    agenda = Agenda()
    agenda.set((FILL, 0, 0), 5)
    agenda.set((FILL, 0, 0), NEVER_NS)
    assert agenda.next_ns() == NEVER_NS
    assert list(agenda.due(5)) == []
    assert agenda.entries() == []


def test_what_is_set_at_its_own_instant_rings_in_it_by_priority() -> None:
    """A fill that a policy causes now comes before the policies still waiting; one that rang may
    ring again. Catches an instant that is fixed when it begins."""
    agenda = Agenda()
    agenda.set((POLICY, 0, 0), 5)
    agenda.set((POLICY, 0, 1), 5)
    rang = []
    for key in agenda.due(5):
        rang.append(key)
        if rang == [(POLICY, 0, 0)]:
            agenda.set((FILL, 0, 0), 5)
            agenda.set((FUNDING, 0, 0), 6)
        if key == (FILL, 0, 0):
            agenda.set((POLICY, 0, 0), 5)
    assert rang == [(POLICY, 0, 0), (FILL, 0, 0), (POLICY, 0, 0), (POLICY, 0, 1)]
    assert agenda.next_ns() == 6


def test_the_agenda_is_the_minimum_of_what_was_last_said() -> None:
    """Against a plain dict, over random settings and ringings. Catches whatever the other tests do
    not."""
    random = Random(7)
    agenda = Agenda()
    plain: dict[tuple[int, int, int], int] = {}
    now = 0
    for _ in range(3_000):
        if random.random() < 0.8:
            key = (random.choice(list(Priority)), random.randrange(2), random.randrange(3))
            ts = random.choice((NEVER_NS, now + random.randint(0, 20)))
            agenda.set(key, ts)
            plain[key] = ts
        else:
            now = min(plain.values(), default=NEVER_NS)
            assert agenda.next_ns() == now
            if now == NEVER_NS:
                break
            expected = sorted(key for key, ts in plain.items() if ts == now)
            assert list(agenda.due(now)) == expected
            plain.update(dict.fromkeys(expected, NEVER_NS))
        kept = sorted((ts, *key) for key, ts in plain.items() if ts != NEVER_NS)
        assert agenda.entries() == kept


def test_a_market_has_the_tightest_edges_of_its_products() -> None:
    """Catches an edge that hides behind a wider one, or stays after it was moved out."""
    edges = Edges(3)
    assert edges.bounds() == (-math.inf, math.inf)
    edges.arm(0, 90.0, 120.0)
    edges.arm(1, 95.0, 130.0)
    edges.arm(2, 80.0, 110.0)
    assert edges.bounds() == (95.0, 110.0)
    edges.arm(1, 70.0, 105.0)
    assert edges.bounds() == (90.0, 105.0)
    assert edges.of(1) == (70.0, 105.0)
    edges.arm(1, -math.inf, math.inf)
    assert edges.bounds() == (90.0, 110.0)


@pytest.mark.parametrize("seed", range(8))
def test_the_tightest_edges_are_those_of_a_plain_search(seed: int) -> None:
    """Whoever moves his edges in or out, asked for after each move or seldom, ties included.
    Catches a tightest edge that outlives its product's move, or one that is not taken over."""
    random, edges = Random(seed), Edges(5)
    plain = [(-math.inf, math.inf)] * 5
    for _ in range(400):
        place = random.randrange(5)
        plain[place] = float(random.randint(90, 99)), float(random.randint(101, 110))
        edges.arm(place, *plain[place])
        if random.random() < 0.7:
            lows, highs = zip(*plain, strict=True)
            assert edges.bounds() == (max(lows), min(highs))


@pytest.mark.parametrize(
    ("price", "woken"),
    [(100.0, []), (95.0, [1]), (90.0, [0, 1]), (1.0, [0, 1, 2]), (110.0, [2]), (125.0, [0, 2])],
)
def test_a_price_wakes_all_whose_edge_it_reaches(price: float, woken: list[int]) -> None:
    """At the edge or beyond it, in declared order. Catches a heap that gives only its first, or
    gives them by price."""
    edges = Edges(3)
    for handler, pair in enumerate([(90.0, 120.0), (95.0, 130.0), (80.0, 110.0)]):
        edges.arm(handler, *pair)
    assert edges.breached(price) == woken


def test_who_was_woken_is_armed_anew_with_the_same_edges() -> None:
    """After a breach the same edge holds again once it is stated again. Catches an edge lost
    because it did not change."""
    edges = Edges(1)
    edges.arm(0, 90.0, 120.0)
    assert edges.breached(90.0) == [0]
    edges.arm(0, 90.0, 120.0)
    assert edges.breached(89.0) == [0]
    edges.arm(0, 90.0, 120.0)
    assert edges.breached(120.0) == [0]


def test_always_wakes_at_any_price() -> None:
    """Edges at the wrong infinities, as a product that is not launched states them, wake it at the
    next price, once."""
    edges = Edges(2)
    edges.arm(1, ALWAYS.low, ALWAYS.high)
    assert edges.bounds()[0] == math.inf
    assert edges.breached(100.0) == [1]
    edges.arm(1, 90.0, 110.0)
    assert edges.breached(100.0) == []


def test_the_next_alarm_is_put_off_and_the_one_behind_it_comes_forward() -> None:
    """As if it were set; for good, too. Catches an entry of the heap that rings once more, and a
    stale one that is given for the next."""
    agenda = Agenda()
    for place, ts_ns in enumerate((5, 6, 9)):
        agenda.set((POLICY, 0, place), ts_ns)
    agenda.set((POLICY, 0, 1), 8)
    assert agenda.next_ns() == 5
    assert agenda.put_off(7) == 7
    assert agenda.put_off(20) == 8
    assert agenda.put_off(NEVER_NS) == 9
    assert agenda.entries() == [(9, POLICY, 0, 2), (20, POLICY, 0, 0)]
    assert list(agenda.due(9)) == [(POLICY, 0, 2)]
    assert list(agenda.due(20)) == [(POLICY, 0, 0)]
