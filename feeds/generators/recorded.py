"""What a recording says of its prices on a grid, for who draws from it or fits a model to it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.durations import duration_ns
from engine.errors import InputError
from engine.ticks import Bbo, Kind, Marks, Table, Trades
from feeds.elementary import logs
from feeds.recording import Recording, open_recording

__all__ = ["log_returns", "prices_of"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

_SOURCES: Final = (Kind.MARK, Kind.BBO, Kind.TRADE)
"""Which price of a recording is taken, the best first."""
_RECORDINGS_MAX: Final = 4
_STEPS_MAX: Final = 50_000_000


def log_returns(
    recording: str, symbols: tuple[str, ...], step: str
) -> tuple[F64, dict[str, float]]:
    """Log returns of the recording on the grid of the step, shape (symbols, steps), from the last
    price at or before each grid point; and the first price of each symbol.

    Raises:
        InputError: if it holds no such symbol, or too little of it.
    """
    path = Path(recording)
    stamp = path.stat() if path.is_file() else None
    written = (stamp.st_mtime_ns, stamp.st_size) if stamp is not None else None
    return _log_returns(recording, symbols, step, written)


@lru_cache(_RECORDINGS_MAX)
def _log_returns(
    recording: str, symbols: tuple[str, ...], step: str, written: object
) -> tuple[F64, dict[str, float]]:
    """A changed file is read again, which ``written`` is for."""
    del written
    opened = open_recording([recording])
    names = [info.symbol for info in opened.symbols]
    for symbol in symbols:
        if symbol not in names:
            raise InputError(f"{recording} holds no {symbol}; it holds {', '.join(names)}")
    prices = [prices_of(opened, names.index(symbol)) for symbol in symbols]
    step_ns = duration_ns(step)
    first = max(int(ts_ns[0]) for ts_ns, _ in prices)
    last = min(int(ts_ns[-1]) for ts_ns, _ in prices)
    steps = (last - first) // step_ns
    if not 2 <= steps <= _STEPS_MAX:
        said = f"{recording} holds {max(steps, 0):,} steps of {step}"
        raise InputError(f"{said}, expected 2 to {_STEPS_MAX:,}")
    grid = first + np.arange(steps + 1) * step_ns
    found = [price[np.searchsorted(ts_ns, grid, "right") - 1] for ts_ns, price in prices]
    opening = {symbol: float(price[0]) for symbol, price in zip(symbols, found, strict=True)}
    return np.stack([np.diff(logs(price)) for price in found]), opening


def prices_of(opened: Recording, place: int) -> tuple[I64, F64]:
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
