"""Tests of ``engine.venue.impact``, by hand; runs with it are in ``tests/oracle/test_felt.py``."""

from __future__ import annotations

import numpy as np
import pytest

from engine.units import SECOND_NS
from engine.venue.depth import DepthBook
from engine.venue.impact import FeltBook, ImpactSpec, ImpactState
from engine.venue.taking import Top

A = 1_000_000.0
SPEC = ImpactSpec()


def a_felt_book(**fields: float) -> FeltBook:
    """As much in each per cent inside one."""
    book = DepthBook(depth_at_1pct=A, beta_near=1.0, beta_far=2.0, **fields)
    return FeltBook(book, SPEC, ImpactState())


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("alive", "size", "lasting", "passing"),
    # Half of a per cent: of a whole book three tenths stay; of half a book, which a whole one would
    # have moved by a quarter, 0.15.
    [(1.0, 0.5, 0.003, 0.002), (0.5, 0.25, 0.0015, 0.0035)],
)
def test_of_a_move_a_share_stays(
    alive: float, size: float, lasting: float, passing: float, side: int
) -> None:
    """The overlay keeps the rest; a fill more was felt."""
    felt = a_felt_book()
    felt.book.survive(alive, alive, 0)
    taken = felt.take_limited(side, 1_000, size * A, None, Top(100.0, 0.0, 0))
    assert taken.lots == 1_000
    impact = felt.impact
    assert (impact.lasting, impact.passing) == pytest.approx((side * lasting, side * passing))
    assert impact.fills == 1
    assert felt.book.reach(side, 0) == pytest.approx(100.0 * passing)
    assert felt.take_limited(side, 1_000, A, 100.0 - side, Top(100.0, 0.0, 0)).lots == 0
    assert impact.fills == 1


def test_the_spread_widens_as_the_book_thins() -> None:
    """Of half a book it is twice as wide."""
    felt = a_felt_book(half_spread_bps=1.0)
    felt.book.survive(0.5, 1.0, 0)
    assert felt.half_spread_bps == 2.0


def test_what_passes_is_half_gone_after_three_minutes() -> None:
    """At the points of a grid of seconds: in between, as at the one before; what is left of a
    trillionth is nothing."""
    impact = ImpactState(passing=0.004, at_ns=10 * SECOND_NS)
    times = np.array([10, 10.9, 11, 190, 370]) * SECOND_NS
    found = impact.passing_at(SPEC, times.astype(np.int64)).tolist()
    second = 0.004 * 2.0 ** (-1 / 180)
    assert found == pytest.approx([0.004, 0.004, second, 0.002, 0.001])
    impact.settle(SPEC, int(190.5 * SECOND_NS))
    assert (impact.passing, impact.at_ns) == (pytest.approx(0.002), 190 * SECOND_NS)
    impact.settle(SPEC, 100_000 * SECOND_NS)
    assert impact.is_still
    assert impact.passing_at(SPEC, times.astype(np.int64)).tolist() == [0.0] * 5


def test_the_average_distance_follows_within_minutes() -> None:
    """A move of 1 % that does not pass: after one time constant all but 1 / e of it is in the
    average, on either side; once it is gone the average goes."""
    spec = ImpactSpec(half_life_s=1e15)
    for side in (1.0, -1.0):
        impact = ImpactState(passing=0.01 * side)
        _, basis = impact.ahead(spec, 150)
        assert basis.item(-1) == pytest.approx(0.01 * side * (1.0 - np.exp(-1.0)))
        gone = ImpactState(basis=0.01 * side)
        passing, basis = gone.ahead(spec, 150)
        assert passing.tolist() == [0.0] * 150
        assert basis.item(-1) == pytest.approx(0.01 * side * np.exp(-1.0))


def test_a_market_that_nobody_has_moved() -> None:
    """Three fifths stay, the rest is half gone after three minutes, the average takes two and a
    half."""
    assert (SPEC.permanent, SPEC.every_ns) == (0.6, SECOND_NS)
    assert (SPEC.half_life_s, SPEC.basis_s) == (180.0, 150.0)
    still = ImpactState()
    assert (still.lasting, still.passing, still.basis, still.fills, still.own) == (0, 0, 0, 0, 1.0)
    assert (still.at_ns, still.base, still.heard, still.heard_ns) == (0, 0.0, 0.0, -1)
    assert still.is_still
