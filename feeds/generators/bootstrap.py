"""Block bootstrap: stretches of a recording, put together anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.durations import Duration, duration_ns
from feeds.generators.draws import COMMON, Draws, Purpose, fractions, whole
from feeds.generators.grid import FIXED, Grid
from feeds.generators.model import Chunk, Model
from feeds.generators.recorded import log_returns
from feeds.recording import InputFile, open_recording

__all__ = ["Bootstrap"]


class Bootstrap(Model, frozen=True, kw_only=True, tag="bootstrap"):
    """Returns of a recording in blocks of random length, all symbols of an instant together.

    What happened within a block stays: bursts of volatility, jumps, correlations. Blocks begin
    anywhere, and the recording goes on from its end at its beginning. The mean return of the
    recording is taken out and ``drift`` put in its place, less half the variance.

    Attributes:
        recording: file or folder; ``symbols`` are among its own.
        block: mean length of a block; lengths are geometric, so that the result is stationary.

    Source: Politis and Romano, "The stationary bootstrap" (1994).
    """

    recording: str
    block: Duration = "1h"

    def __post_init__(self) -> None:
        super().__post_init__()
        if duration_ns(self.block) < duration_ns(self.step):
            raise ValueError(f"block must be a step or longer, was {self.block}")

    def opening(self, symbol: str) -> float:
        own = self.prices.get(symbol)
        if own is not None:
            return own
        return log_returns(self.recording, self.symbols, self.step)[1][symbol]

    def files(self) -> tuple[InputFile, ...]:
        return open_recording([self.recording]).inputs

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        recorded = log_returns(self.recording, self.symbols, self.step)[0]
        moves = whole(recorded * self.scale() * FIXED)
        centred = moves - moves.sum(axis=1, keepdims=True) // moves.shape[1]
        squares = np.cumsum((centred / FIXED) ** 2, axis=1)[:, -1:] / centred.shape[1]
        centred += whole((self.drift * grid.step_years - squares / 2.0) * FIXED)
        chance = grid.step_ns / duration_ns(self.block)
        count, length, place = grid.chunk_steps, moves.shape[1], 0
        for chunk in range(grid.chunks):
            words = draws.words(Purpose.BLOCKS, COMMON, chunk, 2 * count)
            begins = fractions(words[:count]) < chance
            if chunk == 0:
                begins[0] = True
            starts = np.floor(fractions(words[count:]) * length).astype(np.int64)
            # A step goes on from the last beginning, or from where the last chunk ended.
            number = np.arange(count)
            last = np.maximum.accumulate(np.where(begins, number, -1))
            taken = np.where(last < 0, place + number, starts[last] + number - last) % length
            place = int(taken[-1]) + 1
            yield Chunk(centred[:, taken])
