"""Tests of ``strategies.drawdown_control``."""

from __future__ import annotations

import numpy as np
import pytest

from engine.policy import SetLeverage
from strategies import DrawdownControl
from strategies.reviewing import Review
from tests.strategies.seen import a_view, followed, ladder


@pytest.mark.parametrize("end", [90.0, 70.0, 40.0])
def test_in_a_fall_the_surplus_is_a_power_of_the_price(end: float) -> None:
    """What lies above 60 % of the high-water mark is multiplied by ``1 + k r`` with ``k = base / (1
    - a)``, 7.5 here: the limit is never reached. Catches a drawdown of anything else than NAV."""
    prices = ladder(100.0, end, 400)
    done = followed(DrawdownControl(review_s=1.0, step=0.0), prices)
    steps = prices[1:] / prices[:-1] - 1.0
    assert done.factor == pytest.approx(0.6 + 0.4 * np.prod(1.0 + 7.5 * steps), rel=1e-9)
    assert done.factor > 0.6


@pytest.mark.parametrize(
    ("drawdown", "wanted"), [(0.0, 3.0), (-0.2, 1.875), (-0.4, 0.0), (-0.5, 0.0)]
)
def test_leverage_by_drawdown(drawdown: float, wanted: float) -> None:
    """The worked example. Catches a straight line in its place."""
    decision, _ = DrawdownControl().decide(a_view(0.0, drawdown=drawdown), Review())
    assert isinstance(decision, SetLeverage)
    assert decision.target == pytest.approx(wanted, abs=1e-12)
    low = DrawdownControl(low=1.0, direction=-1)
    decision, _ = low.decide(a_view(0.0, drawdown=drawdown), Review())
    assert isinstance(decision, SetLeverage)
    assert decision.target == pytest.approx(-max(wanted, 1.0), abs=1e-12)


@pytest.mark.parametrize("wrong", [{"max_drawdown": 1.0}, {"base": 0.0}, {"low": 4.0}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Catches a limit that is all or nothing."""
    with pytest.raises(ValueError, match="drawdown_control"):
        DrawdownControl(**wrong)  # type: ignore[arg-type]  # each has its own type
