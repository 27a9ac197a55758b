"""Tests of ``feeds.generators.merton`` and ``kou``: jumps as often and as large as told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from feeds.generators.jumps import Jumping
from feeds.generators.kou import Kou
from feeds.generators.merton import Merton
from tests.feeds.generators.moments import near, returns

YEAR_MINUTES = 525_960
PLAIN: dict[str, Any] = {"volatility": 0.2, "days": 365.25, "step": "1m"}
MERTON = Merton(**PLAIN, jumps_per_year=2_000.0, jump_mean=-0.02, jump_sd=0.03)
KOU = Kou(**PLAIN, jumps_per_year=2_000.0, up_share=0.3, up_mean=0.02, down_mean=0.03)


def jumps(model: Jumping) -> np.ndarray[Any, Any]:
    """Returns of a year that the normal part cannot explain: 8 of its standard deviations."""
    drawn = returns(model)[0]
    return drawn[np.abs(drawn) > 8 * 0.2 / math.sqrt(YEAR_MINUTES)]


def test_merton_jumps_come_as_often_and_as_large_as_told() -> None:
    """Intensity within Poisson's error; mean and variance within theirs, less the unseen ones."""
    found = jumps(MERTON)
    hidden = (
        0.043  # share of N(-0.02, 0.03) within 8 standard deviations of the normal part, 0.0022
    )
    expected = 2_000 * (1 - hidden)
    assert abs(len(found) - expected) < 4 * math.sqrt(expected)
    assert near(returns(MERTON)[0] ** 2, 0.04 / YEAR_MINUTES + 2_000 / YEAR_MINUTES * 13e-4)


def test_kou_jumps_have_two_exponential_sides() -> None:
    """The share of jumps up, and the mean of each side beyond a threshold (it forgets where)."""
    found = jumps(KOU)
    cut = 8 * 0.2 / math.sqrt(YEAR_MINUTES)
    up, down = found[found > 0], -found[found < 0]
    ups, downs = 600 * math.exp(-cut / 0.02), 1_400 * math.exp(-cut / 0.03)
    assert abs(len(up) - ups) < 4 * math.sqrt(ups)
    assert abs(len(down) - downs) < 4 * math.sqrt(downs)
    assert near(up - cut, 0.02)
    assert near(down - cut, 0.03)
    assert down.max() > 0.12  # the tail is there


@pytest.mark.parametrize("model", [MERTON, KOU], ids=["merton", "kou"])
def test_the_expected_price_pays_for_the_jumps(model: Jumping) -> None:
    """``E[exp(return)]`` of a step is ``exp(drift dt)``, jumps or not."""
    drawn = returns(model)[0]
    assert near(np.exp(drawn), 1.0)


def test_jumps_too_dense_for_the_step_are_refused() -> None:
    """A step has one jump at most."""
    with pytest.raises(ValueError, match="make the step shorter"):
        Merton(jumps_per_year=1e6, step="1h")


def test_symbols_jump_on_their_own() -> None:
    """Hardly any step has two jumps."""
    model = Merton(**PLAIN, symbols=("BTCUSDT", "ETHUSDT"), jumps_per_year=2_000.0, jump_mean=-0.1)
    both = (returns(model) < -0.02).all(axis=0).sum()
    assert both < 25  # 7.6 expected
