"""Tests of ``strategies.cppi``."""

from __future__ import annotations

import numpy as np
import pytest

from engine.policy import Deleverage, SetLeverage
from strategies import Cppi
from strategies.cppi import CppiState
from tests.strategies.seen import a_view, followed, ladder

FREE = Cppi(multiplier=4.0, guard=50.0, high=9.0, review_s=1.0, step=0.0)


@pytest.mark.parametrize("end", [60.0, 85.0, 130.0])
def test_the_cushion_is_a_power_of_the_price(end: float) -> None:
    """Rebalanced at every price the cushion is the product of ``1 + m r``, and so nearly
    ``(S / S0)**m``; NAV never falls below the floor. The closed form of 3.4 without variance.
    Catches an exposure in terms of NAV, and a floor that drifts."""
    prices = ladder(100.0, end, 400)
    done = followed(FREE, prices)
    steps = prices[1:] / prices[:-1] - 1.0
    assert done.factor == pytest.approx(0.8 + 0.2 * np.prod(1.0 + 4.0 * steps), rel=1e-9)
    assert done.factor == pytest.approx(0.8 + 0.2 * (end / 100.0) ** 4, rel=3e-3)
    assert done.factor > 0.8


def test_one_jump_of_a_share_of_the_multiplier_breaks_the_floor() -> None:
    """Down by just less than ``1 / m`` the floor holds, by just more it does not: the gap risk of
    3.2. Catches a multiplier that is not what it says."""
    assert followed(FREE, (100.0, 75.1)).factor > 0.8
    assert followed(FREE, (100.0, 74.9)).factor < 0.8


@pytest.mark.parametrize(
    ("per_unit", "wanted"), [(1.0, 1.0), (1.1, 1.5 / 1.1), (0.9, 0.5 / 0.9), (0.8, 0.0), (0.7, 0.0)]
)
def test_exposure_is_the_multiplier_of_the_cushion(per_unit: float, wanted: float) -> None:
    """The worked example: 1x, 1.3636x, 0.5556x, and out at the floor. Catches a cushion of another
    NAV than the present one."""
    view = a_view(0.0, high_water_mark=1.2, drawdown=per_unit / 1.2 - 1.0)
    decision, _ = Cppi().decide(view, Cppi().initial_state())
    assert isinstance(decision, SetLeverage)
    assert decision.target == pytest.approx(wanted, abs=1e-9)


def test_the_floor_ratchets_up_at_reviews_and_never_down() -> None:
    """To a share of the high-water mark. Catches a floor that follows NAV down."""
    policy = Cppi(ratchet=0.9)
    _, state = policy.decide(a_view(0.0, high_water_mark=1.5), policy.initial_state())
    assert state.floor == pytest.approx(1.35)
    later = a_view(0.5, high_water_mark=1.2, due_ns=state.next_ns)
    assert policy.decide(later, state)[1].floor == state.floor


def test_between_reviews_it_cuts_where_exposure_outgrows_the_cushion() -> None:
    """Cushion 0.2, exposure 1: at -4.05 % exposure is six times what is left, and it is cut to
    five; a price before nothing. Catches an edge on the wrong side of the price."""
    policy = Cppi(guard=6.0)
    asleep = CppiState(2**62, 0.8)
    view = a_view(1.0, high_water_mark=1.0)
    watch = policy.watch(view, asleep)
    # p = 6 (p - 80), where the product holds one coin per 100.
    assert watch.low == pytest.approx(96.0, rel=1e-6)
    assert watch.low > 96.0
    assert watch.high == float("inf")
    at = a_view(1.0, price=95.9, nav=95.9, high_water_mark=1.0, drawdown=-0.041)
    decision, state = policy.decide(at, asleep)
    assert isinstance(decision, Deleverage)
    assert decision.target == pytest.approx(5 * (0.959 - 0.8) / 0.959)
    assert state is asleep
    before = a_view(1.0, price=96.1, nav=96.1, high_water_mark=1.0, drawdown=-0.039)
    assert policy.decide(before, asleep)[0] is None


def test_short_it_watches_the_other_side() -> None:
    """Catches a short whose guard lies below the price."""
    policy = Cppi(direction=-1, guard=6.0)
    watch = policy.watch(a_view(-1.0, high_water_mark=1.0), CppiState(2**62, 0.8))
    assert watch.low == -float("inf")
    assert watch.high == pytest.approx(600.0 * 1.2 / 7.0, rel=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"floor": 1.0}, {"multiplier": 1.0}, {"guard": 5.0}, {"ratchet": 1.0}, {"high": 0.0}]
)
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Catches a floor at or above NAV."""
    with pytest.raises(ValueError, match="cppi"):
        Cppi(**wrong)  # type: ignore[arg-type]  # each has its own type
