"""What a move leaves of a book: the published collapse by size, its way back, its spread."""

from __future__ import annotations

import math
from statistics import NormalDist, median, quantiles

import pytest

from engine.depth_facts import COLLAPSES
from engine.philox import word
from engine.units import SECOND_NS
from engine.venue.depth import DepthBook
from engine.venue.survival import (
    LEAST,
    Survival,
    SurvivalSpec,
    SurvivalState,
    spread_of,
    standard_normal,
)
from engine.venue.taking import Top

MIDDLES = {4.0: 4.7, 6.0: 6.7, 8.0: 9.3, 12.0: 14.5, 20.0: 33.0}
"""A typical size of each class: moves of more deviations are rarer within it, too. The last has no
end; there the measured median says how far its moves go."""


def _after(size: float, seed: int) -> tuple[float, float]:
    """Shares of bids and asks after a fall of so many deviations from one point to the next."""
    spec = SurvivalSpec()
    book = Survival(spec, SurvivalState(), seed, 0)
    book.begin(0)
    book.pass_points([100.0] * 30)
    book.pass_points([100.0 * (1.0 - size * spec.deviation)])
    return book.shares


@pytest.mark.parametrize(("least", "middle", "decile"), COLLAPSES)
def test_depth_collapses_as_measured(least: float, middle: float, decile: float) -> None:
    """Over many seeds the median collapse of each class of moves is within 15 % of that of the
    bars, and the ninth decile within a third; a side is never deeper than on a calm day."""
    collapses = [1.0 / _after(MIDDLES[least], seed)[0] for seed in range(800)]
    assert median(collapses) == pytest.approx(middle, rel=0.15)
    assert quantiles(collapses, n=10)[-1] == pytest.approx(decile, rel=0.34)
    assert min(collapses) >= 1.0
    assert max(collapses) <= 1.0 / LEAST * (1 + 1e-9)


def test_the_sides_draw_apart() -> None:
    """Bids and asks of one move are not the same share, unless both are whole."""
    both = [_after(20.0, seed) for seed in range(40)]
    assert sum(bids != asks for bids, asks in both) > 30


def test_a_calm_book_is_whole() -> None:
    """Moves below four deviations take nothing."""
    assert _after(3.9, 1) == (1.0, 1.0)
    assert spread_of(3.9) == 0.0


def test_half_of_a_collapse_is_gone_after_a_half_life() -> None:
    """Once the move is older than five minutes the logarithm is halved in each half-life, and at
    last the book is exactly whole."""
    spec = SurvivalSpec(half_life_s=100.0)
    book = Survival(spec, SurvivalState(), 7, 0)
    book.begin(0)
    book.pass_points([100.0] * 30 + [96.0] * 31)
    before = book.state.bid
    assert before < 0.0
    book.pass_points([96.0] * 10)
    assert book.state.bid == pytest.approx(before / 2.0)
    book.pass_points([96.0] * 400)
    assert book.shares == (1.0, 1.0)


def test_a_smaller_move_brings_nobody_back() -> None:
    """A price that has come back most of its way leaves the book as thin as its fall made it, but
    for the time that passed."""
    book = Survival(SurvivalSpec(), SurvivalState(), 7, 0)
    book.begin(0)
    book.pass_points([100.0] * 30 + [95.0])
    fallen = book.state.bid
    book.pass_points([99.2])
    assert fallen < book.state.bid < 0.9 * fallen


def test_the_normal_is_normal() -> None:
    """Of 64 uniform bits, by the distribution itself."""
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        wanted = NormalDist().inv_cdf(share)
        assert standard_normal(int(share * 2**64)) == pytest.approx(wanted, abs=1e-9)


def test_a_book_that_is_left_to_a_share() -> None:
    """A share of the bids costs a seller what so much more would have, at a spread as much wider;
    the price that our own orders have left stays where it was."""
    top = Top(100.0, -1.0, 0)
    whole = DepthBook(half_spread_bps=1.0, depth_at_1pct=1e6, beta_near=1.0)
    thin = DepthBook(half_spread_bps=1.0, depth_at_1pct=1e6, beta_near=1.0)
    for book in (whole, thin):
        book.take_limited(-1, 100, 1e5, None, top)
    left = thin.reach(-1, 0)
    thin.survive(0.25, 0.5, 0)
    assert thin.reach(-1, 0) == pytest.approx(left)
    assert thin.widened == 4.0
    cost = [(1.0 - book.offer(-1, 100, 1e4, None, top).price / 100.0) for book in (whole, thin)]
    # From 0.1 % on, 0.5 % a million on average: four times as far, behind a spread four times wide.
    assert cost[0] == pytest.approx(0.0001 + 0.001 + 0.00005, rel=1e-6)
    assert cost[1] == pytest.approx(0.0004 + 0.001 + 0.0002, rel=1e-6)
    assert thin.depth(0) == pytest.approx(0.25e6 - 0.25e5)
    thin.survive(1.0, 1.0, SECOND_NS)
    assert math.isclose(thin.widened, 1.0)


# Point by point -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "spread"),
    [
        (3.999, 0.0), (4.0, 0.35), (5.999, 0.35), (6.0, 0.6), (7.999, 0.6), (8.0, 0.85),
        (11.999, 0.85), (12.0, 0.94), (19.999, 0.94), (20.0, 1.35), (500.0, 1.35),
    ],
)  # fmt: skip
def test_the_spread_of_a_collapse(size: float, spread: float) -> None:
    """By classes of moves; the lower end belongs to each."""
    assert spread_of(size) == spread


@pytest.mark.parametrize(("first", "point"), [(0, 0), (1, 10), (9_999_999_999, 10), (10**10, 10)])
def test_the_grid_begins_at_the_first_mark_or_after_it(first: int, point: int) -> None:
    """Every ten seconds."""
    book = Survival(SurvivalSpec(), SurvivalState(), 7, 0)
    book.begin(first)
    assert book.state.next_ns == point * SECOND_NS


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_fall_is_remembered_for_five_minutes(place: int) -> None:
    """Nine deviations from 100 at the point of 500 s: each side draws for itself, at that instant;
    what it lost halves in three minutes, and the least of each minute is kept."""
    book = Survival(SurvivalSpec(), SurvivalState(), 7, place)
    state = book.state
    book.begin(0)
    assert book.pass_points([100.0] * 50) is False
    assert (state.prices, state.next_ns, state.since_ns) == ([100.0] * 30, 500 * SECOND_NS, -1)
    assert (state.minutes, book.shares) == ([], (1.0, 1.0))
    assert book.pass_points([98.65]) is True
    drawn = [
        standard_normal(word(7, (1 << 63) | (place << 1) | side, 500 * SECOND_NS))
        for side in (0, 1)
    ]
    lost = [max(0.055 * 9.0 + 0.85 * each, 0.0) for each in drawn]
    assert book.shares == pytest.approx([math.exp(-each) for each in lost])
    assert state.minutes == [(480 * SECOND_NS, state.bid, state.ask)]
    fallen = state.bid, state.ask
    book.pass_points([98.65] * 29)
    assert state.since_ns == 500 * SECOND_NS
    assert (state.bid, state.ask) == pytest.approx(fallen)
    book.pass_points([98.65])
    assert state.since_ns == -1
    book.pass_points([98.65] * 17)
    assert (state.bid, state.ask) == pytest.approx([each / 2.0 for each in fallen], rel=1e-6)
    minutes = [at // SECOND_NS for at, _, _ in state.minutes]
    assert minutes == list(range(480, 980, 60))
    assert state.minutes[0][1:] == fallen


def test_a_small_share_is_always_left() -> None:
    """One part of 561, however far it fell; half of it, as a logarithm, after three minutes."""
    book = Survival(SurvivalSpec(), SurvivalState(), 7, 0)
    book.begin(0)
    book.pass_points([100.0] * 30 + [1.0])
    assert book.shares == pytest.approx((1 / 561, 1 / 561))


def test_what_is_usual_of_a_market() -> None:
    """Assumed: 15 basis points in five minutes, a half-life of three."""
    spec = SurvivalSpec()
    assert (spec.deviation, spec.slope, spec.half_life_s) == (0.0015, 0.055, 180.0)
    assert (spec.every_ns, spec.steps) == (10 * SECOND_NS, 30)
    state = SurvivalState()
    assert (state.bid, state.ask, state.since_ns) == (0.0, 0.0, -1)


def test_a_fall_at_the_very_first_instant() -> None:
    """At the time 0, which is a time like any other. Catches 0 taken for never: ten seconds later
    the sides would draw anew."""
    book = Survival(SurvivalSpec(), SurvivalState(next_ns=0, prices=[100.0]), 7, 0)
    book.pass_points([95.0, 95.0, 95.0])
    assert book.state.since_ns == 0


def test_each_minute_keeps_its_thinnest_moment() -> None:
    """Of every minute the smallest share of each side, as looking at each point finds it. Catches
    the last one of a minute, which is thicker while the book comes back."""
    book = Survival(SurvivalSpec(), SurvivalState(), 7, 0)
    state, least = book.state, dict[int, list[tuple[float, float]]]()
    book.begin(0)
    for mark in [100.0] * 30 + [95.0] * 90:
        minute = state.next_ns // (60 * SECOND_NS)
        book.pass_points([mark])
        if state.bid or state.ask:
            least.setdefault(minute, []).append((state.bid, state.ask))
    assert len(least) == 15
    assert state.minutes == [
        (minute * 60 * SECOND_NS, min(b for b, _ in each), min(a for _, a in each))
        for minute, each in least.items()
    ]


def test_no_more_than_two_days_of_minutes_are_kept() -> None:
    """2,880 minutes in which something was missing; what comes after them is not noted."""
    known = [(n * 60 * SECOND_NS, -1.0, -1.0) for n in range(2_879)]
    state = SurvivalState(
        next_ns=2_879 * 60 * SECOND_NS, prices=[100.0], bid=-2.0, ask=-2.0, minutes=known
    )
    book = Survival(SurvivalSpec(), state, 7, 0)
    book.pass_points([100.0] * 18)
    assert len(state.minutes) == 2_880
    assert state.minutes[-1][0] == 2_879 * 60 * SECOND_NS
    assert state.bid < 0.0


def test_a_draw_in_the_books_favour_adds_nothing() -> None:
    """Whoever draws far below nothing loses nothing, and gains nothing either: about a quarter
    of all draws at the edge of a move. Catches a side deeper than whole."""
    shares = [share for seed in range(60) for share in _after(4.2, seed)]
    assert 10 < shares.count(1.0) < 60
    assert max(shares) == 1.0


def test_a_collapse_halves_until_it_is_nothing() -> None:
    """With a half-life of one point: what is left of a logarithm is half of it each time, down to a
    thousand-millionth, which still counts; what is nearer to zero is nothing."""
    state = SurvivalState(next_ns=0, prices=[100.0], bid=-1.0, ask=-4e-9)
    book = Survival(SurvivalSpec(half_life_s=10.0), state, 7, 0)
    book.pass_points([100.0])
    assert (state.bid, state.ask) == (-0.5, -2e-9)
    state.bid = -2e-9
    book.pass_points([100.0])
    assert (state.bid, state.ask) == (-1e-9, -1e-9)
    book.pass_points([100.0])
    assert (state.bid, state.ask) == (0.0, 0.0)


def test_nobody_leaves_at_four_deviations() -> None:
    """A deviation of an eighth, a move of a half: four of them to the last bit are calm, and a
    little more is not."""
    for mark, since_ns in ((150.0, -1), (50.0, -1), (150.001, 0), (49.999, 0)):
        state = SurvivalState(next_ns=0, prices=[100.0])
        Survival(SurvivalSpec(deviation=0.125), state, 7, 0).pass_points([mark])
        assert state.since_ns == since_ns


def test_a_normal_draw_is_found_between_eight_deviations() -> None:
    """From below, to a part in 2**44, and no farther out; a half of a bit counts where the share is
    of a few thousand bits."""
    assert standard_normal(2**63) == -(2.0**-44)
    assert (standard_normal(0), standard_normal(2**64 - 1)) == (-8.0, 8.0 - 2.0**-44)
    for drawn in (20_000, 2**62, 3**40):
        found = standard_normal(drawn)
        assert found == pytest.approx(NormalDist().inv_cdf((drawn + 0.5) / 2**64), abs=2e-9)
        assert (found * 2**44).is_integer()
