"""The cascade ratio: how much a fall would liquidate for each quote that the book takes on the way.

``n(u) = l(u) / (A S beta u^(beta - 1))``, here over bins of the distance ``u`` from the mark: above
1 each quote that is liquidated lets more than one follow. It is counted in the positions, not
estimated.

Source: reference venue notes 4.4 and 4.6, equation 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from engine.venue.crowd import Crowd
from engine.venue.crowd_columns import notionals
from engine.venue.depth import DepthBook
from engine.venue.exact_columns import total_of

__all__ = ["DISTANCES", "cascade_ratios"]

DISTANCES: Final = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
"""Per cent from the mark; the edges of the bins."""


def cascade_ratios(
    crowds: Sequence[Crowd], book: DepthBook, mark: float, ts_ns: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each bin, downwards and upwards; of the positions of one market."""
    found = []
    for side in (1, -1):
        book.reach(-side, ts_ns)  # what is left of that side is as thin as it is now
        bins = np.zeros(len(DISTANCES) - 1)
        for crowd in crowds:
            rows = crowd.holders(side)
            away = side * (1.0 - crowd.edges[rows] / mark) * 100.0
            place = np.searchsorted(DISTANCES, away, "right") - 1
            atoms = notionals(crowd.listing, crowd.lots[rows], mark)
            contract = crowd.listing.contract
            for number in range(len(bins)):
                held = contract.to_quote(total_of(atoms[place == number]), mark)
                bins[number] += held / contract.quote_atoms
        there = [book.within(far) - book.within(near) for near, far in pairwise(DISTANCES)]
        ratios = zip(bins.tolist(), there, strict=True)
        found.append(tuple(held / takes for held, takes in ratios))
    return found[0], found[1]
