"""Depth after moves, and what trades cost then, against the published measurements."""

from __future__ import annotations

import pytest

from engine.depth_facts import COLLAPSES, depth_left
from engine.venue.depth import DepthBook
from engine.venue.taking import Top

SLIPPAGES = {1e5: 1.3, 5e5: 6.4, 1e6: 12.7, 5e6: 64.5, 1e7: 144.6}
"""Quote to basis points: the medians after moves of six deviations, five coins."""


@pytest.mark.parametrize(("z", "median", "decile"), COLLAPSES)
def test_depth_collapses_as_measured(z: float, median: float, decile: float) -> None:
    """In each class of moves the median and the ninth decile are those of the bars; a fall counts
    as a rise."""
    assert 1.0 / depth_left(z) == pytest.approx(median)
    assert 1.0 / depth_left(-z, 0.9) == pytest.approx(decile)
    assert depth_left(z, 0.99) < depth_left(z, 0.9) < depth_left(z)


def test_a_quiet_book_is_whole() -> None:
    """Below four deviations nothing is missing."""
    assert depth_left(3.9) == depth_left(3.9, 0.99) == 1.0


def _slippage(book: DepthBook, size: float) -> float:
    taken = book.offer(1, 10**6, size, None, Top(100.0, 0.0, 0))
    return (taken.price / 100.0 - 1.0) * 1e4


def test_slippage_after_six_deviations() -> None:
    """A book of 3.85 millions at 1 % that grows in proportion to the distance costs what was
    measured, within 30 % at all five sizes."""
    for size, published in SLIPPAGES.items():
        book = DepthBook(depth_at_1pct=3.85e6, beta_near=1.0)
        assert _slippage(book, size) == pytest.approx(published, rel=0.3), size


def test_the_usual_exponent_is_too_kind_to_small_orders() -> None:
    """With 0.67 inside 1 %, which is measured on a quiet book, no depth brings all five sizes
    within 30 %: what fits the large ones lets the smallest trade for less than half."""
    fits = []
    for depth in (1e6, 2e6, 3e6, 4e6, 6e6, 1e7, 2e7, 4e7):
        book = DepthBook(depth_at_1pct=depth)
        fits.append(
            all(
                _slippage(book, size) == pytest.approx(published, rel=0.3)
                for size, published in SLIPPAGES.items()
            )
        )
    assert not any(fits)
    near = DepthBook(depth_at_1pct=3.85e6)
    assert _slippage(near, 5e6) == pytest.approx(SLIPPAGES[5e6], rel=0.3)
    assert _slippage(near, 1e5) < SLIPPAGES[1e5] / 2.0
