"""Self-exciting trades: each trade moves the price and makes further trades likelier."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from engine.durations import Duration, duration_ns
from feeds.generators.clusters import Clusters, check_events
from feeds.generators.draws import Draws, Purpose, whole
from feeds.generators.gbm import Volatility
from feeds.generators.grid import FIXED, YEAR_NS, Grid
from feeds.generators.model import Chunk, Deals, Model

__all__ = ["Hawkes"]

I64 = np.ndarray[Any, np.dtype[np.int64]]


class Hawkes(Model, frozen=True, kw_only=True, tag="hawkes"):
    """Trades excite trades, and each moves the price by the same share, up or down alike.

    Volatility comes in bursts because trades do. ``quotes.trades`` counts for nothing here, and
    symbols are drawn each on its own. A year's variance is ``rate`` times the square of a trade's
    impact, so the impact follows from both.

    Attributes:
        volatility: of the price in the long run.
        rate: trades a second in the long run, excited ones and all.
        branching: mean number of trades that a trade excites directly, below 1; the share of
            trades that were excited.
        half_life: in which half of a trade's excitement is gone.

    Source: Hawkes (1971); Hawkes and Oakes (1974).
    """

    volatility: Volatility = 0.6
    rate: Annotated[float, Meta(gt=0.0, le=1_000.0)] = 0.5
    branching: Annotated[float, Meta(ge=0.0, le=0.99)] = 0.7
    half_life: Duration = "5s"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.correlation:
            raise ValueError("hawkes draws each symbol on its own; leave correlation at 0")
        if not duration_ns(self.half_life):
            raise ValueError("half_life must be longer than 0")
        half_life_s = duration_ns(self.half_life) / 1e9
        check_events(self.grid(), self.rate, self.branching, half_life_s)

    def impact(self) -> float:
        """By which a trade moves the logarithm of the price."""
        return self.volatility / math.sqrt(self.rate * (YEAR_NS / 1e9))

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        count = len(self.symbols)
        half_life_s = duration_ns(self.half_life) / 1e9
        clusters = Clusters(draws, count, self.rate, self.branching, half_life_s)
        impact = whole(self.impact() * self.scale()[:, 0] * FIXED)
        # E[exp(+-d)] = cosh(d) = 1 + d^2 / 2 + ...: what a trade adds to the expected price.
        paid = whole((impact / FIXED) ** 2 / 2.0 * FIXED)
        drift = whole(np.array([self.drift * grid.step_years * FIXED]))[0]
        for chunk, events in enumerate(clusters.chunks(grid)):
            sides = [
                1
                - 2
                * (draws.words(Purpose.SIDES, symbol, chunk, len(at)) >> np.uint64(63)).astype(
                    np.int64
                )
                for symbol, at in enumerate(events)
            ]
            steps = [at // grid.step_ns for at in events]
            moves = np.full((count, grid.chunk_steps), drift)
            logs = []
            for symbol, (step, side) in enumerate(zip(steps, sides, strict=True)):
                own = side * impact[symbol] - paid[symbol]
                np.add.at(moves[symbol], step, own)
                logs.append(np.cumsum(own) + step * drift)
            yield Chunk(moves, _in_order(grid, events, steps, sides, logs))


def _in_order(
    grid: Grid, events: list[I64], steps: list[I64], sides: list[I64], logs: list[I64]
) -> Deals:
    """The trades of all symbols by time."""
    at_ns, step, side, log = (np.concatenate(each) for each in (events, steps, sides, logs))
    symbol = np.repeat(np.arange(len(events)), [len(each) for each in events])
    order = np.lexsort((symbol, at_ns))
    step = step[order]
    return Deals(step, at_ns[order] - step * grid.step_ns, symbol[order], side[order], log[order])
