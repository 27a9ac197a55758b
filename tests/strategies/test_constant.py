"""Tests of ``strategies.constant``."""

from __future__ import annotations

import pytest

from strategies import Constant
from tests.strategies.seen import followed


@pytest.mark.parametrize(
    ("target", "prices", "factor"),
    [
        (3.0, (10e3, 11e3, 10e3), 1.3 * (1 - 3 / 11)),
        (3.0, (10e3, 11e3, 12.1e3), 1.69),
        (3.0, (10e3, 9.5e3, 9e3), 0.85 * (1 - 3 / 19)),
        (3.0, (100, 110, 121, 133.1, 146.41), 2.8561),
        (3.0, (100, 90, 81, 72.9, 65.61), 0.2401),
        (3.0, (100, 110, 99, 108.9, 98.01), 0.8281),
        (-2.0, (100, 110, 99), 0.8 * 1.2),
    ],
)
def test_each_review_multiplies_by_one_and_l_times_r(
    target: float, prices: tuple[float, ...], factor: float
) -> None:
    """FTX's, KuCoin's and MEXC's examples: -5.45 %, +69 %, -28.42 %, +185.61 %, -75.99 %,
    -17.19 %. Catches a review that is left out, and one that comes a price late."""
    done = followed(Constant(target=target, review_s=1.0), prices)
    assert done.factor == pytest.approx(factor, rel=1e-9)


def test_a_step_leaves_small_deviations_alone() -> None:
    """Off by less than ``step`` nothing is traded. Catches a comparison the wrong way round."""
    still = (100.0, 100.5, 101.0, 100.5)
    assert not followed(Constant(target=3.0, review_s=1.0, step=0.2), still).rebalances
    assert len(followed(Constant(target=3.0, review_s=1.0), still).rebalances) == 3


def test_a_target_that_is_no_number_is_refused() -> None:
    """Catches a policy that is made and faults at its first answer."""
    with pytest.raises(ValueError, match="target must be finite"):
        Constant(target=float("inf"))
