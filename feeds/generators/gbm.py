"""Geometric Brownian motion: normal returns, independent of each other and of everything else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, field

from feeds.generators.draws import Draws, whole
from feeds.generators.grid import FIXED, Grid
from feeds.generators.model import Chunk, Model

__all__ = ["Gbm", "Volatile"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
Volatility = Annotated[float, Meta(ge=0.0, le=100.0)]


class Volatile(Model, frozen=True, kw_only=True):
    """A generator whose returns have a constant normal part.

    Attributes:
        volatility: of the normal part, per square root of a year: 0.6 is 60 %.
        volatilities: of symbols that differ.
    """

    volatility: Volatility = 0.6
    volatilities: dict[str, Volatility] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.volatilities:
            if name not in self.symbols:
                raise ValueError(f'volatilities has "{name}", which is not among symbols')

    def sigmas(self) -> list[float]:
        """The volatility of each symbol."""
        return [self.volatilities.get(symbol, self.volatility) for symbol in self.symbols]

    def normal_moves(self, grid: Grid, draws: Draws, chunk: int, drift: float) -> I64:
        """A chunk of the normal part, so that the expected price grows at ``drift``."""
        sigma = np.array(self.sigmas())[:, None]
        years = grid.step_years
        drawn = draws.normals(len(self.symbols), chunk, grid.chunk_steps, self.correlation)
        mean = (drift - sigma * sigma / 2.0) * years
        return whole((mean + sigma * math.sqrt(years) * drawn) * FIXED)


class Gbm(Volatile, frozen=True, kw_only=True, tag="gbm"):
    """Geometric Brownian motion.

    The logarithm of the price moves by ``(drift - volatility^2 / 2) dt + volatility sqrt(dt) Z``.
    """

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        for chunk in range(grid.chunks):
            yield Chunk(self.normal_moves(grid, draws, chunk, self.drift))
