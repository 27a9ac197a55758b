"""Tests of ``engine.philox``."""

from __future__ import annotations

import numpy as np
import pytest

from engine.philox import below, word


@pytest.mark.parametrize(
    ("seed", "path", "sequence"),
    [(0, 0, 0), (7, 0, 1), (7, 3, 123_456), (2**64 - 1, 2**63 + 5, 2**64 - 1), (1, 2, 2**40)],
)
def test_words_are_numpy_s(seed: int, path: int, sequence: int) -> None:
    """The same key and counter give the same bits as the library's generator."""
    generator = np.random.Philox(key=seed | path << 64, counter=sequence << 64)
    assert word(seed, path, sequence) == int(generator.random_raw(1)[0])


def test_draws_are_spread_over_what_there_is() -> None:
    """Each of 7 comes about as often as the others; of one there is one; none is refused."""
    drawn = [below(7, 1, 0, sequence) for sequence in range(7_000)]
    assert set(drawn) == set(range(7))
    assert all(850 < drawn.count(each) < 1_150 for each in range(7))
    assert below(1, 5, 6, 7) == 0
    with pytest.raises(ValueError, match="draw"):
        below(0, 1, 2, 3)
