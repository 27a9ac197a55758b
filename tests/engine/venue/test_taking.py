"""Tests of ``engine.venue.taking``."""

from __future__ import annotations

import pytest

from engine.venue.taking import AT_MARKET, Taken, TakingTerms, within


def test_an_order_that_says_nothing() -> None:
    """Trades at any price, at once, and takes; one that got all it asked for at one price walked
    no levels of a recorded book, and has no reason for a rest."""
    for terms in (AT_MARKET, TakingTerms()):
        assert (terms.limit, terms.time_in_force, terms.post_only) == (None, "ioc", False)
    taken = Taken(7)
    assert (taken.lots, taken.price, taken.levels, taken.reason) == (7, 0.0, 0, "")


@pytest.mark.parametrize(
    ("side", "price", "limit", "may"),
    [
        (1, 100.0, None, True), (-1, 100.0, None, True),
        (1, 100.0, 100.0, True), (1, 100.1, 100.0, False), (1, 99.9, 100.0, True),
        (-1, 100.0, 100.0, True), (-1, 99.9, 100.0, False), (-1, 100.1, 100.0, True),
    ],
)  # fmt: skip
def test_a_limit_is_a_worst_price(
    side: int, price: float, limit: float | None, *, may: bool
) -> None:
    """Of a buyer the highest, of a seller the lowest, itself included."""
    assert within(side, price, limit) is may
