"""Thinned curves keep what a picture would show."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.pictures import in_steps
from engine.report.thinning import Curve, thinned


def a_curve(seed: int, count: int = 5000, undefined: float = 0.0) -> Curve:
    """Random times and two random walks, parts of one undefined."""
    source = np.random.default_rng(seed)
    times = np.sort(source.integers(0, 1_000_000, count))
    one, other = source.normal(0.0, 1.0, (2, count)).cumsum(axis=1)
    other[source.random(count) < undefined] = np.nan
    return Curve(times, {"one": one, "other": other})


@pytest.mark.parametrize("undefined", [0.0, 0.5, 1.0])
def test_the_extremes_of_every_column_survive(undefined: float) -> None:
    """Lowest and highest of each series in each pixel column are what they were."""
    curve = a_curve(1, undefined=undefined)
    thin = thinned(curve, 0, 1_000_000, 50)
    assert len(thin) < len(curve) / 5
    for column in range(50):
        for name in curve.series:
            before = curve.series[name][curve.ts_ns * 50 // 1_000_000 == column]
            after = thin.series[name][thin.ts_ns * 50 // 1_000_000 == column]
            before, after = before[~np.isnan(before)], after[~np.isnan(after)]
            if len(before):
                assert (after.min(), after.max()) == (before.min(), before.max())


@given(st.integers(0, 100), st.lists(st.integers(1, 1999), max_size=4))
def test_thinning_parts_first_changes_nothing(seed: int, cuts: list[int]) -> None:
    """A file may be read in any batches: the picture is the same."""
    curve = a_curve(seed, 2000, 0.1)
    edges = [0, *sorted(set(cuts)), 2000]
    parts = [
        thinned(curve.at(np.arange(a, b)), 0, 1_000_000, 40) for a, b in itertools.pairwise(edges)
    ]
    again = thinned(Curve.joined(parts), 0, 1_000_000, 40)
    once = thinned(curve, 0, 1_000_000, 40)
    assert again.ts_ns.tolist() == once.ts_ns.tolist()


def test_the_first_and_the_last_row_stay() -> None:
    """Curves begin and end where the run did, even in a single column."""
    curve = a_curve(2)
    thin = thinned(curve, 0, 1_000_000, 1)
    assert thin.ts_ns[0] == curve.ts_ns[0]
    assert thin.ts_ns[-1] == curve.ts_ns[-1]
    assert len(thin) <= 6


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50))
def test_numbers_in_steps_keep_their_ends_and_stay_within_half_a_step(values: list[float]) -> None:
    """Ends are exact; the steps add up to each number, within half of a step that is 2**-18 of the
    range."""
    column = in_steps(np.array(values))
    assert column["ends"] == [values[0], values[-1]]
    assert column["low"] == min(values)
    assert column["step"] == (max(values) - min(values)) / 2**18
    sums = column["low"] + column["step"] * np.cumsum(column["steps"])
    assert np.abs(sums - values).max() <= 0.5001 * column["step"] + 1e-12


def test_undefined_numbers_are_undefined_in_steps() -> None:
    """A leverage that is undefined is not drawn as zero, and the next step counts from the number
    before it."""
    column = in_steps(np.array([1.0, np.nan, 2.0, np.nan]))
    assert column["ends"] == [1.0, None]
    assert column["steps"] == [0, None, 2**18, None]
