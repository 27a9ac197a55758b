"""Block bootstrap: stretches of a recording, put together anew."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import numpy as np

from engine.durations import Duration, duration_ns
from engine.errors import InputError
from engine.ticks import Bbo, Kind, Marks, Table, Trades
from feeds.elementary import logs
from feeds.generators.draws import COMMON, Draws, Purpose, fractions, whole
from feeds.generators.grid import FIXED, Grid
from feeds.generators.model import Chunk, Model
from feeds.recording import InputFile, Recording, open_recording

__all__ = ["Bootstrap"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

_SOURCES: Final = (Kind.MARK, Kind.BBO, Kind.TRADE)
"""Which price of a recording is taken, the best first."""
_RECORDINGS_MAX: Final = 4
_STEPS_MAX: Final = 50_000_000


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
        return _returns(self.recording, self.symbols, self.step)[1][symbol] if own is None else own

    def files(self) -> tuple[InputFile, ...]:
        return open_recording([self.recording]).inputs

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        recorded = _returns(self.recording, self.symbols, self.step)[0]
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


@lru_cache(_RECORDINGS_MAX)
def _returns(recording: str, symbols: tuple[str, ...], step: str) -> tuple[F64, dict[str, float]]:
    """Log returns of the recording on the grid of the step, shape (symbols, steps), from the last
    price at or before each grid point; and the first price of each symbol."""
    opened = open_recording([recording])
    names = [info.symbol for info in opened.symbols]
    for symbol in symbols:
        if symbol not in names:
            raise InputError(f"{recording} holds no {symbol}; it holds {', '.join(names)}")
    prices = [_prices(opened, names.index(symbol)) for symbol in symbols]
    step_ns = duration_ns(step)
    first = max(int(ts_ns[0]) for ts_ns, _ in prices)
    last = min(int(ts_ns[-1]) for ts_ns, _ in prices)
    steps = (last - first) // step_ns
    if not 2 <= steps <= _STEPS_MAX:
        said = f"{recording} holds {max(steps, 0):,} steps of {step}"
        raise InputError(f"{said}, a bootstrap takes 2 to {_STEPS_MAX:,}")
    grid = first + np.arange(steps + 1) * step_ns
    found = [price[np.searchsorted(ts_ns, grid, "right") - 1] for ts_ns, price in prices]
    opening = {symbol: float(price[0]) for symbol, price in zip(symbols, found, strict=True)}
    return np.stack([np.diff(logs(price)) for price in found]), opening


def _prices(opened: Recording, place: int) -> tuple[I64, F64]:
    """Times, in order, and prices of a symbol: of the best source that it has."""
    info = opened.symbols[place]
    usable = [kind for kind in _SOURCES if kind in info.kinds]
    if info.mark_coarse:
        usable.remove(Kind.MARK)
    kind = usable[0] if usable else None
    if kind is None:
        raise InputError(f"{opened.symbols[place].symbol} has no prices")
    times, prices = [], []
    for step in opened.steps():
        table = step.table(kind)
        if table is not None:
            own = table.symbols() == place
            price = _price(table)[own]
            good = np.isfinite(price) & (price > 0.0)
            times.append(table.ts_ns[own][good])
            prices.append(price[good])
    ts_ns = np.maximum.accumulate(np.concatenate(times)) if times else np.empty(0, np.int64)
    if not len(ts_ns):
        raise InputError(f"{opened.symbols[place].symbol} has no prices")
    return ts_ns, np.concatenate(prices)


def _price(table: Table) -> F64:
    if isinstance(table, Bbo):
        return (table.bid + table.ask) / 2.0
    assert isinstance(table, Trades | Marks)
    return table.price
