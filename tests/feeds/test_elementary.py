"""Tests of ``feeds.elementary``: true to the last digits but one, and the same bits everywhere."""

from __future__ import annotations

import numpy as np

from feeds.elementary import exps, logs


def test_exps_are_near_the_library() -> None:
    """Within 1e-13 in share over the whole range, and exact at 0."""
    x = np.concatenate([np.linspace(-700.0, 700.0, 100_001), np.linspace(-1e-3, 1e-3, 10_001)])
    assert np.max(np.abs(exps(x) / np.exp(x) - 1.0)) < 1e-13
    assert exps(np.zeros(1))[0] == 1.0


def test_logs_are_near_the_library() -> None:
    """Within 1e-15 absolute near 1 and 1e-13 in share elsewhere; exact at 1."""
    near = 1.0 + np.linspace(-0.4, 0.9, 100_001)
    assert np.max(np.abs(logs(near) - np.log(near))) < 1e-15
    far = np.exp(np.linspace(-700.0, 700.0, 100_001))
    assert np.max(np.abs(logs(far) - np.log(far))) < 1e-12
    assert logs(np.ones(1))[0] == 0.0


def test_a_value_does_not_depend_on_its_neighbours() -> None:
    """One at a time or in a column: the same bits."""
    x = np.linspace(0.01, 50.0, 1_001)
    assert np.array([logs(x[i : i + 1])[0] for i in range(len(x))]).tobytes() == logs(x).tobytes()
    assert np.array([exps(x[i : i + 1])[0] for i in range(len(x))]).tobytes() == exps(x).tobytes()
