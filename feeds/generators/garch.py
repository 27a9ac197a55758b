"""GARCH(1,1): large returns make the next ones large, downward ones more so if wanted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.generators.cells import cell_shocks, shaped
from feeds.generators.draws import Draws
from feeds.generators.gbm import Volatility
from feeds.generators.grid import Grid
from feeds.generators.model import Chunk, Model, Share

__all__ = ["Garch"]


class Garch(Model, frozen=True, kw_only=True, tag="garch"):
    """GARCH(1,1) on cells (a minute, or a step if longer); within one, returns are normal.

    With a cell's variance ``v`` and shock ``z`` the next one's is
    ``v' = (1 - a - g / 2 - b) volatility^2 + v ((a + g [z < 0]) z^2 + b)``.

    Attributes:
        volatility: root of the mean variance.
        arch: ``a``, weight of the last squared return.
        garch: ``b``, weight of the last variance.
        downward: ``g``, further weight of the last squared return if it was negative.

    Source: Bollerslev (1986); Glosten, Jagannathan, Runkle (1993).
    """

    volatility: Volatility = 0.6
    arch: Share = 0.05
    garch: Share = 0.94
    downward: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.persistence >= 1.0:
            raise ValueError(
                "arch + downward / 2 + garch must be below 1, else the variance has no mean; "
                f"was {self.persistence:g}"
            )

    @property
    def persistence(self) -> float:
        """Share of a variance's distance to its mean that is left a cell later."""
        return self.arch + self.downward / 2.0 + self.garch

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        symbols = range(len(self.symbols))
        mean = self.volatility * self.volatility
        floor = (1.0 - self.persistence) * mean
        last = [mean] * len(symbols)
        for chunk in range(grid.chunks):
            drawn = draws.normals(len(symbols), chunk, grid.chunk_steps, self.correlation)
            shocks = cell_shocks(drawn, grid)
            weight = self.arch + self.downward * (shocks < 0.0)
            factors = weight * shocks * shocks + self.garch
            path = np.empty_like(shocks)
            for symbol in symbols:
                now = last[symbol]
                for cell, factor in enumerate(factors[symbol].tolist()):
                    path[symbol, cell] = now
                    now = floor + now * factor
                last[symbol] = now
            variance = path * self.scale() * self.scale()
            yield Chunk(shaped(grid, drawn, variance, self.drift))
