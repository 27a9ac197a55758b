"""Tests of ``engine.venue.impact``, by hand; runs with it are in ``tests/oracle/test_felt.py``."""

from __future__ import annotations

import numpy as np
import pytest

from engine.units import SECOND_NS
from engine.venue.depth import DepthBook
from engine.venue.impact import WAVES_MAX, FeltBook, ImpactSpec, ImpactState
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


def test_a_point_of_the_grid_apart() -> None:
    """With a half-life and a time constant as long as a point a half and 1 / e are left;
    ten points in one, a half ten times over."""
    one = ImpactSpec(half_life_s=1.0, basis_s=1.0)
    assert one.left == 0.5
    assert one.kept == pytest.approx(0.36787944117144233, rel=1e-15)
    ten = ImpactSpec(half_life_s=1.0, basis_s=1.0, every_ns=10 * SECOND_NS)
    assert ten.left == 1.0 / 1024.0
    assert ten.kept == pytest.approx(4.5399929762484854e-05, rel=1e-14)


def test_an_average_that_crosses_zero_goes_on() -> None:
    """The book lies 1 % above the index, the average as far below zero as the first point brings it
    back: it is zero there, a part of 1 % at the second, and as much of the rest at the third.
    Catches an average that ends at zero though the distance does not."""
    spec = ImpactSpec(half_life_s=1e15)
    part = 1.0 - np.exp(-1.0 / 150.0)
    impact = ImpactState(passing=0.01, basis=-0.01 * part / (1.0 - part))
    _, basis = impact.ahead(spec, 3)
    assert basis.tolist() == pytest.approx([0.0, 0.01 * part, 0.01 * part * (2.0 - part)])
    assert basis.item(0) == 0.0


def test_a_book_of_which_no_point_was_made() -> None:
    """Since the beginning of time; at one instant marks are made anew 64 times at most."""
    assert a_felt_book().seen_ns == 0
    assert WAVES_MAX == 64


@pytest.mark.parametrize(
    ("passing", "basis", "carry", "median"),
    [
        # Index 105; with the funding 105.105, with the average distance 108.15 or 101.85.
        (0.02, 0.03, 0.001, 107.0), (0.0, 0.03, 0.001, 105.105), (0.05, 0.03, 0.001, 108.15),
        (0.02, -0.03, 0.001, 105.105), (-0.05, -0.03, 0.001, 101.85), (-0.02, -0.03, 0.0, 103.0),
    ],
)  # fmt: skip
def test_a_mark_is_the_middle_of_three(
    passing: float, basis: float, carry: float, median: float
) -> None:
    """The input says 100, of which 5 % more are for good: the book lies ``passing`` beyond that. A
    mark that is the book's is the book's, whatever the others say."""
    impact, of = ImpactState(lasting=0.05), [np.array([each]) for each in (carry, passing, basis)]
    marks = impact.marks(SPEC, np.array([100.0]), *of)
    assert marks.tolist() == pytest.approx([median])
    book = impact.marks(ImpactSpec(mark="book"), np.array([100.0]), *of)
    assert book.tolist() == pytest.approx([105.0 + 100.0 * passing])


def test_a_price_keeps_a_hundredth() -> None:
    """However much was sold, of what orders meet, and of the book."""
    impact = ImpactState(lasting=-3.0)
    assert (impact.middle, float(impact.felt(-1.0))) == (0.01, 0.01)
    assert ImpactState(lasting=0.25).middle == 1.25
    assert float(ImpactState(lasting=0.25).felt(0.25)) == 1.5


def test_a_price_is_settled_point_by_point() -> None:
    """The average of three points is the third's; between points nothing changes; one whom nobody
    has moved stands at the last point."""
    spec = ImpactSpec(half_life_s=1e15, basis_s=1.0)
    part = 1.0 - np.exp(-1.0)
    impact = ImpactState(lasting=0.25, passing=0.05)
    distance = 1.3 / 1.25 - 1.0
    for at_ns, points in ((999_999_999, 0), (SECOND_NS, 1), (3 * SECOND_NS, 3)):
        impact.settle(spec, at_ns)
        assert impact.at_ns == points * SECOND_NS
        assert impact.basis == pytest.approx(distance * (1.0 - (1.0 - part) ** points))
    still = ImpactState()
    still.settle(SPEC, 10_500_000_000)
    assert still.at_ns == 10 * SECOND_NS


def test_less_than_a_trillionth_is_none() -> None:
    """Halved at each point, what passes counts down to a trillionth, itself included; and so does
    the average distance."""
    spec = ImpactSpec(half_life_s=1.0)
    passing, _ = ImpactState(passing=4e-12).ahead(spec, 3)
    assert passing.tolist() == [2e-12, 1e-12, 0.0]
    spec = ImpactSpec(basis_s=1.4426950408889634)  # by which a point leaves a half of the average
    for side in (1.0, -1.0):
        _, basis = ImpactState(basis=side * 2e-12).ahead(spec, 3)
        assert basis.tolist() == [side * 1e-12, 0.0, 0.0]


def test_a_second_fill_moves_as_far_as_it_reaches() -> None:
    """Half of a per cent each, in a book as thick everywhere, though the second begins where the
    first has left the book."""
    felt = a_felt_book()
    for fills in (1, 2):
        felt.take_limited(1, 1_000, 0.5 * A, None, Top(100.0, 0.0, 0))
        impact = felt.impact
        assert impact.lasting == pytest.approx(0.003 * fills)
        assert impact.passing == pytest.approx(0.002 * fills)
