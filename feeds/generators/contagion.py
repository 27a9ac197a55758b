"""Contagion: a jump of one symbol makes jumps of all of them likelier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from msgspec import Meta

from engine.durations import Duration, duration_ns
from engine.units import SECOND_NS
from feeds.generators.clusters import Clusters, check_events
from feeds.generators.draws import Draws, Purpose, standard_normals, table_mean, whole
from feeds.generators.gbm import Volatile
from feeds.generators.grid import FIXED, YEAR_NS, Grid
from feeds.generators.model import Chunk, Positive, Share

__all__ = ["Contagion"]


class Contagion(Volatile, frozen=True, kw_only=True, tag="contagion"):
    """Correlated normal returns, and normal jumps that excite each other within and across symbols.

    The drift pays for jumps at their mean rate; that they come together lifts the expected price a
    little beyond it.

    Attributes:
        jumps_per_year: of each symbol in the long run, excited ones and all.
        branching: mean number of jumps that a jump excites directly, below 1.
        spread: share of those that are other symbols', each of them alike.
        half_life: in which half of a jump's excitement is gone.
        jump_mean: of a jump of the logarithm of the price.
        jump_sd: standard deviation of a jump.

    Source: Ait-Sahalia, Cacho-Diaz, Laeven, "Modeling financial contagion using mutually exciting
    jump processes" (2015).
    """

    jumps_per_year: Positive = 50.0
    branching: Annotated[float, Meta(ge=0.0, le=0.99)] = 0.6
    spread: Share = 0.5
    half_life: Duration = "10m"
    jump_mean: Annotated[float, Meta(ge=-5.0, le=5.0)] = -0.02
    jump_sd: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not duration_ns(self.half_life):
            raise ValueError("half_life must be longer than 0")
        half_life_s = duration_ns(self.half_life) / SECOND_NS
        check_events(self.grid(), self._rate, self.branching, half_life_s)

    @property
    def _rate(self) -> float:
        """Jumps a second."""
        return self.jumps_per_year / (YEAR_NS / SECOND_NS)

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        half_life_s = duration_ns(self.half_life) / SECOND_NS
        count = len(self.symbols)
        clusters = Clusters(draws, count, self._rate, self.branching, half_life_s, self.spread)
        factor = table_mean(self.jump_mean, self.jump_sd)
        paid = self.jumps_per_year * grid.step_years * (factor - 1.0)
        for chunk, events in enumerate(clusters.chunks(grid)):
            moves = self.normal_moves(grid, draws, chunk) - paid
            for symbol, at_ns in enumerate(events):
                words = draws.words(Purpose.SIZES, symbol, chunk, len(at_ns))
                sizes = self.jump_mean + self.jump_sd * standard_normals(words)
                np.add.at(moves[symbol], at_ns // grid.step_ns, sizes)
            yield Chunk(whole(moves * FIXED))
