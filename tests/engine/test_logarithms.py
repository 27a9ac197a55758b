"""Tests of ``engine.logarithms``."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.exact import log2
from engine.logarithms import log2s

DRAWS = 20_000


def columns() -> list[np.ndarray]:
    """Near one from both sides, of all sizes, of all bits, around powers of two and around the
    entries of the table."""
    random = np.random.default_rng(1)
    near = 10.0 ** random.integers(-16, -1, DRAWS)
    bits = random.integers(1, 0x7FEFFFFFFFFFFFFF, DRAWS).astype(np.int64).view(np.float64)
    powers = 2.0 ** random.integers(-1070, 1020, DRAWS).astype(float)
    ulps = 1.0 + random.integers(-3, 4, DRAWS) * 2.0**-52
    entries = (1024 + random.integers(0, 1024, DRAWS)) / 1024
    normal = np.abs(random.normal(0.0, 1.0, DRAWS))
    steps = [1.0 + near * normal, 1.0 - near * np.minimum(normal, 9.0)]
    return [*steps, np.exp(50.0 * (normal - 1.0)), bits, powers * ulps, entries * ulps]


@pytest.mark.parametrize("column", columns())
def test_a_column_has_the_bits_of_its_values(column: np.ndarray) -> None:
    """Every logarithm is that of ``log2``, to the last bit. Catches a sum of pairs that loses what
    decides a rounding: one value in a thousand of those just below one."""
    alone = np.array([log2(value) for value in column.tolist()])
    assert log2s(column).tobytes() == alone.tobytes()


def test_of_no_values_there_are_no_logarithms() -> None:
    """An empty column is no error. Catches a look for its least value."""
    assert log2s(np.empty(0)).tolist() == []


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_what_has_no_logarithm_is_refused(bad: float) -> None:
    """As ``log2`` refuses it, also in the middle of others."""
    with pytest.raises(ValueError, match="log2 needs a finite argument > 0"):
        log2s(np.array([1.0, bad, 2.0]))
