"""Jumps on top of a normal part: when they come, and what the drift pays for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.exact import log2
from feeds.chance import U64
from feeds.generators.draws import Draws, Purpose, fractions, whole
from feeds.generators.gbm import Volatile
from feeds.generators.grid import FIXED, Grid
from feeds.generators.model import Chunk, NotNegative

__all__ = ["Jumping"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
_LN2 = 0.6931471805599453
_CHANCE_MAX = 0.5


class Jumping(Volatile, frozen=True, kw_only=True):
    """A normal part with jumps: each step has one with the chance ``jumps_per_year dt``.

    The drift is less by ``ln(1 + chance (E[exp(jump)] - 1))`` a step, so that the expected price
    grows as without jumps.

    Attributes:
        jumps_per_year: of each symbol; symbols jump on their own.
    """

    jumps_per_year: NotNegative = 12.0

    def __post_init__(self) -> None:
        super().__post_init__()
        chance = self._chance(self.grid())
        if chance > _CHANCE_MAX:
            raise ValueError(
                f"jumps_per_year is {self.jumps_per_year:g}, which is {chance:.2g} a step, "
                f"expected at most {_CHANCE_MAX:g}; make the step shorter"
            )

    def _chance(self, grid: Grid) -> float:
        return self.jumps_per_year * grid.step_years

    def mean_factor(self) -> float:
        """By how much a jump multiplies the price, on average."""
        raise NotImplementedError

    def sizes(self, words: U64) -> F64:
        """Shape of ``words``: jumps of the logarithm of the price."""
        raise NotImplementedError

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        chance, count = self._chance(grid), grid.chunk_steps
        paid = _LN2 * log2(1.0 + chance * (self.mean_factor() - 1.0))
        for chunk in range(grid.chunks):
            moves = self.normal_moves(grid, draws, chunk) - paid
            for symbol in range(len(self.symbols)):
                drawn = draws.words(Purpose.JUMPS, symbol, chunk, count)
                (where,) = np.nonzero(fractions(drawn) < chance)
                if len(where):
                    words = draws.words(Purpose.SIZES, symbol, chunk, count)
                    moves[symbol, where] += self.sizes(words[where])
            yield Chunk(whole(moves * FIXED))
