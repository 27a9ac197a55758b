"""Tests of ``strategies.time_series_momentum``."""

from __future__ import annotations

import pytest

from engine.policy import SetLeverage
from strategies import TimeSeriesMomentum
from strategies.time_series_momentum import Momentum
from tests.builders import T0
from tests.strategies.seen import a_view

HOUR_NS = 3600 * 10**9


def targets(
    policy: TimeSeriesMomentum, prices: list[float], volatility: float = 0.8
) -> list[float]:
    """What it asks for at each review of a price, carried out at once."""
    state, held, asked = Momentum(), 0.0, []
    for number, price in enumerate(prices):
        view = a_view(held, price=price, due_ns=T0 + number * HOUR_NS, ewma_vol=0.8)
        decision, state = policy.decide(view, state)
        if isinstance(decision, SetLeverage):
            held = decision.target
        asked.append(held)
    return asked


def test_on_a_monotone_path_the_sign_never_changes() -> None:
    """The oracle of 3.4: up all the way is long all the way, from the twelfth review on, at target
    volatility over volatility. Catches a lookback that is one too short or too long."""
    rising = [100.0 * 1.001**n for n in range(40)]
    asked = targets(TimeSeriesMomentum(step=0.0), rising)
    assert asked[:12] == [0.0] * 12
    assert asked[12:] == pytest.approx([0.5] * 28)
    falling = [100.0 / 1.001**n for n in range(40)]
    assert targets(TimeSeriesMomentum(step=0.0), falling)[12:] == pytest.approx([-0.5] * 28)


def test_only_the_two_ends_of_the_lookback_count() -> None:
    """Its sign is that of the price against the one ``lookback`` reviews ago, whatever lay between.
    Catches an average, or a window that never moves on."""
    prices = [100.0, 180.0, 60.0, 101.0, 90.0, 59.0, 102.0]
    policy = TimeSeriesMomentum(lookback=3, step=0.0, target_vol=0.8, high=1.0)
    signs = [(p > 0) - (p < 0) for p in targets(policy, prices)]
    # 101 > 100 is long; 90 < 180 turns: flat first; 59 < 60 is short; 102 > 101 turns again.
    assert signs == [0, 0, 0, 1, 0, -1, 0]


def test_without_shorts_a_fall_is_nothing() -> None:
    """Catches a sign that slips through."""
    falling = [100.0 - n for n in range(20)]
    policy = TimeSeriesMomentum(lookback=2, allow_short=False, step=0.0)
    assert set(targets(policy, falling)) == {0.0}


@pytest.mark.parametrize("wrong", [{"lookback": 0}, {"target_vol": -1.0}, {"high": 0.0}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Catches a window of nothing."""
    with pytest.raises(ValueError, match="time_series_momentum"):
        TimeSeriesMomentum(**wrong)  # type: ignore[arg-type]  # each has its own type
