"""Tests of ``strategies.hidden_band``."""

from __future__ import annotations

import pytest

from engine.policy import Nothing
from strategies import HiddenBand
from tests.strategies.seen import a_view, followed, ladder

STATE, HOME = Nothing(), 5.0**0.5


@pytest.mark.parametrize(
    ("direction", "low", "high"),
    [(1, 73.704854, 276.393202), (-1, 80.400755, 115.777088)],
)
def test_it_trades_at_the_ends_of_the_range(direction: int, low: float, high: float) -> None:
    """From the middle of [1.25, 4], by the algebra of 3.1. Catches ends that are exchanged."""
    policy = HiddenBand(direction=direction)
    watch = policy.watch(a_view(direction * HOME), STATE)
    assert watch.low == pytest.approx(low, rel=1e-6)
    assert watch.high == pytest.approx(high, rel=1e-6)


def test_only_when_needed() -> None:
    """A market that stays within its ends is never traded, however long. Catches a schedule."""
    waves = [100.0 + 15.0 * (-1) ** n for n in range(200)]
    assert not followed(HiddenBand(), [100.0, *waves]).rebalances


def test_a_down_token_gives_back_what_it_gained_within_the_day() -> None:
    """Down 40 % and up to where it was: it bought more on the way down, and ends below its start,
    as BTCDOWN did on 19 May 2021, while a position never traded would end where it began. Catches a
    band that sells on the way down."""
    prices = [*ladder(100.0, 60.0, 300), *ladder(60.0, 100.0, 300)[1:]]
    done = followed(HiddenBand(direction=-1), prices)
    best = done.nav.max() / done.nav[0]
    assert len(done.rebalances) >= 3
    assert best > 2.0
    assert done.factor < 1.0


def test_home_may_be_told() -> None:
    """Catches a home outside the range, from which it would trade for ever."""
    assert HiddenBand(home=2.0).magnitude == 2.0
    assert HiddenBand().magnitude == pytest.approx(HOME)
    with pytest.raises(ValueError, match="home between low and high"):
        HiddenBand(home=4.0)
