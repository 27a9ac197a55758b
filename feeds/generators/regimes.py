"""Regime switching: the market is calm, or wild, and changes now and then."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct, field

from engine.durations import Duration, duration_ns
from feeds.generators.cells import shaped
from feeds.generators.draws import COMMON, Draws, Purpose, fractions
from feeds.generators.gbm import Volatility
from feeds.generators.grid import Grid
from feeds.generators.model import Chunk, Finite, Model, Share

__all__ = ["Regime", "Regimes"]

I64 = np.ndarray[Any, np.dtype[np.int64]]


class Regime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A state of the whole market.

    Attributes:
        name: of it.
        volatility: of returns while it lasts.
        drift: of the expected price while it lasts, on top of the generator's.
        lasts: mean duration; how long it has lasted says nothing of when it ends.
        next: chances of what follows, by name, that sum to 1; every other one alike without.
    """

    name: str
    volatility: Volatility
    lasts: Duration
    drift: Finite = 0.0
    next: dict[str, Share] = {}


CALM = Regime(name="calm", volatility=0.4, lasts="2d")
WILD = Regime(name="wild", volatility=1.4, lasts="4h")


class Regimes(Model, frozen=True, kw_only=True, tag="regimes"):
    """Returns are normal; volatility and drift are those of the present regime, which all symbols
    share and which ends at the edge of a cell (a minute, or a step if longer).

    Attributes:
        regimes: two or more; a path begins in the first one.
    """

    regimes: Annotated[tuple[Regime, ...], Meta(min_length=2, max_length=100)] = field(
        default=(CALM, WILD)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [regime.name for regime in self.regimes]
        if len(set(names)) < len(names):
            raise ValueError("regimes has a name twice")
        for regime in self.regimes:
            if duration_ns(regime.lasts) < self.grid().cell_ns:
                raise ValueError(f"regime {regime.name} lasts less than a cell of the grid")
            for name in regime.next:
                if name not in names or name == regime.name:
                    raise ValueError(f'next of {regime.name} has "{name}", which is no other one')
            if regime.next and not math.isclose(math.fsum(regime.next.values()), 1.0):
                raise ValueError(f"chances in next of {regime.name} must sum to 1")

    def _ways(self) -> list[list[tuple[float, int]]]:
        """For each regime the others, each with the chance of it and those before it."""
        ways = []
        for place, regime in enumerate(self.regimes):
            alike = 1.0 / (len(self.regimes) - 1)
            total, own = 0.0, []
            for other, each in enumerate(self.regimes):
                if other != place:
                    total += regime.next.get(each.name, 0.0) if regime.next else alike
                    own.append((total, other))
            ways.append(own)
        return ways

    def states(self, grid: Grid, draws: Draws) -> Iterator[I64]:
        """For each chunk the regime of each cell, as a place in ``regimes``."""
        ends = [grid.cell_ns / duration_ns(regime.lasts) for regime in self.regimes]
        ways, state = self._ways(), 0
        for chunk in range(grid.chunks):
            words = draws.words(Purpose.REGIMES, COMMON, chunk, 2 * grid.chunk_cells)
            shares = fractions(words).tolist()
            path = []
            for share, way in zip(shares[::2], shares[1::2], strict=True):
                path.append(state)
                if share < ends[state]:
                    own = ways[state]
                    state = next((other for total, other in own if way < total), own[-1][1])
            yield np.array(path)

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        volatility = np.array([regime.volatility for regime in self.regimes])
        drift = np.array([regime.drift for regime in self.regimes])
        count = len(self.symbols)
        for chunk, states in enumerate(self.states(grid, draws)):
            drawn = draws.normals(count, chunk, grid.chunk_steps, self.correlation)
            width = volatility[states] * self.scale()
            yield Chunk(shaped(grid, drawn, width * width, self.drift + drift[states]))
