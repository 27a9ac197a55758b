"""Geometric Brownian motion: normal returns, independent of each other and of everything else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from feeds.generators.draws import Draws, whole
from feeds.generators.grid import FIXED, Grid
from feeds.generators.model import Chunk, Model

__all__ = ["Gbm", "Volatile", "Volatility"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]
Volatility = Annotated[float, Meta(ge=0.0, le=100.0)]


class Volatile(Model, frozen=True, kw_only=True):
    """A generator whose returns have a constant normal part.

    Attributes:
        volatility: of the normal part, per square root of a year: 0.6 is 60 %.
    """

    volatility: Volatility = 0.6

    def normal_moves(self, grid: Grid, draws: Draws, chunk: int) -> F64:
        """A chunk of the normal part, so that the expected price grows at the drift."""
        sigma = self.volatility * self.scale()
        years = grid.step_years
        drawn = draws.normals(len(self.symbols), chunk, grid.chunk_steps, self.correlation)
        mean = (self.drift - sigma * sigma / 2.0) * years
        moves: F64 = mean + sigma * math.sqrt(years) * drawn
        return moves


class Gbm(Volatile, frozen=True, kw_only=True, tag="gbm"):
    """Geometric Brownian motion.

    The logarithm of the price moves by ``(drift - volatility^2 / 2) dt + volatility sqrt(dt) Z``.
    """

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        for chunk in range(grid.chunks):
            yield Chunk(whole(self.normal_moves(grid, draws, chunk) * FIXED))
