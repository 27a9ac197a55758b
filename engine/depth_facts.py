"""How much of a book is left after a move, as measured: normal depth over the smallest within 1 %,
by the size of a 5-minute move in standard deviations.

Source: reference venue notes 4.3 (1.79 million bars of five coins, 2023-2026): medians and ninth
deciles; between them the logarithm is taken for normal.
"""

from __future__ import annotations

from math import exp, log
from statistics import NormalDist
from typing import Final

__all__ = ["COLLAPSES", "depth_left"]

COLLAPSES: Final = (
    (4.0, 1.233, 1.93),
    (6.0, 1.398, 2.94),
    (8.0, 1.754, 5.23),
    (12.0, 2.396, 7.97),
    (20.0, 6.101, 34.3),
)
"""``(|z| from, median, ninth decile)``; below the first the book is whole."""
_DECILE: Final = NormalDist().inv_cdf(0.9)


def depth_left(z: float, quantile: float = 0.5) -> float:
    """Share of a side's depth that is left after a move of ``z`` deviations: in the median, or in
    the worse of a share ``quantile`` of all such moves."""
    own = [each for each in COLLAPSES if abs(z) >= each[0]]
    if not own:
        return 1.0
    _, median, decile = own[-1]
    spread = (log(decile) - log(median)) / _DECILE
    return min(1.0, exp(-log(median) - spread * NormalDist().inv_cdf(quantile)))
