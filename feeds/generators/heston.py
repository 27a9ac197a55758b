"""Stochastic volatility: the variance is pulled to its mean and wanders on its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from msgspec import Meta

from feeds.generators.cells import cell_shocks, shaped
from feeds.generators.draws import Draws, Purpose, standard_normals
from feeds.generators.gbm import Volatility
from feeds.generators.grid import Grid
from feeds.generators.model import Chunk, Model, NotNegative, Positive

__all__ = ["Heston"]


class Heston(Model, frozen=True, kw_only=True, tag="heston"):
    """Heston's model, whose variance changes from cell to cell (a minute, or a step if longer).

    ``v' = v + reversion (volatility^2 - v) dt + vol_of_vol sqrt(v dt) W``, with 0 for ``v`` below
    it; within a cell returns are normal with the variance ``v dt``.

    Attributes:
        volatility: root of the mean variance.
        reversion: speed per year at which the variance goes back: 50 halves a distance in 5 days.
        vol_of_vol: volatility of the variance.
        leverage: correlation of the variance's shocks with the returns, mostly below 0.

    Source: Heston (1993), with the full truncation of Lord, Koekkoek, van Dijk (2010).
    """

    volatility: Volatility = 0.6
    reversion: Positive = 50.0
    vol_of_vol: NotNegative = 3.0
    leverage: Annotated[float, Meta(ge=-1.0, le=1.0)] = -0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reversion * self.grid().step_years * self.grid().cell_steps > 1.0:
            raise ValueError("reversion goes back to the mean in less than a cell of the grid")

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        symbols = range(len(self.symbols))
        years = grid.step_years * grid.cell_steps
        mean = self.volatility * self.volatility
        pull, width = self.reversion * years, self.vol_of_vol * math.sqrt(years)
        own = math.sqrt(1.0 - self.leverage * self.leverage)
        last = [mean] * len(symbols)
        for chunk in range(grid.chunks):
            drawn = draws.normals(len(symbols), chunk, grid.chunk_steps, self.correlation)
            returns = cell_shocks(drawn, grid)
            path = np.empty_like(returns)
            for symbol in symbols:
                words = draws.words(Purpose.VARIANCE, symbol, chunk, grid.chunk_cells)
                shocks = self.leverage * returns[symbol] + own * standard_normals(words)
                now = last[symbol]
                for cell, shock in enumerate((width * shocks).tolist()):
                    held = now if now > 0.0 else 0.0
                    path[symbol, cell] = held
                    now += pull * (mean - held) + math.sqrt(held) * shock
                last[symbol] = now
            variance = path * self.scale() * self.scale()
            yield Chunk(shaped(grid, drawn, variance, self.drift))
