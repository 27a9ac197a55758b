"""Prices of a market at equal distances, from data of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import InputError
from engine.market_state import MarketSpec
from engine.provenance import Data
from engine.ticks import Bbo, Marks, Trades
from engine.units import SECOND_NS

__all__ = ["prices_of"]

F64 = np.ndarray[Any, np.dtype[np.float64]]


def prices_of(data: Data, market: MarketSpec, steps: int) -> tuple[F64, int]:
    """Shape (steps + 1,): prices of a market at equal distances, and the seconds between them.

    Each is the last of its time or before; rows that come late move none, as in a run.

    Raises:
        InputError: if there are too few.
    """
    times, prices, known_ns = [], [], 0
    for step in data.steps():
        for table in step.tables:
            found = _priced(table, market, known_ns)
            if found is not None:
                ts, price = found
                known_ns = int(ts[-1])
                last = np.append(ts[1:] // SECOND_NS != ts[:-1] // SECOND_NS, [True])
                times.append(ts[last])
                prices.append(price[last])
    ts_ns = np.concatenate(times) if times else np.empty(0, np.int64)
    span_s = int(ts_ns[-1] - ts_ns[0]) // SECOND_NS if len(ts_ns) else 0
    step_s = span_s // steps
    if not step_s:
        raise InputError(
            f"{market.contract.symbol} has {span_s:,} seconds of prices, and {steps:,} steps of a "
            "second or more were asked for; give fewer --steps"
        )
    grid = ts_ns[0] + np.arange(steps + 1) * step_s * SECOND_NS
    places = np.searchsorted(ts_ns, grid, "right") - 1
    return np.concatenate(prices)[places], step_s


def _priced(table: Any, market: MarketSpec, known_ns: int) -> tuple[Any, F64] | None:
    """Times and prices in a table of the market's mark source, of its mid where the venue makes the
    mark; those earlier than a row before them, or than ``known_ns``, left out."""
    wanted: Any = {"mark": Marks, "last": Trades}.get(market.mark_source, Bbo)
    if not isinstance(table, wanted):
        return None
    own = np.broadcast_to(np.asarray(table.symbol) == market.symbol, len(table.ts_ns))
    if not own.any():
        return None
    price = (table.bid + table.ask) / 2.0 if isinstance(table, Bbo) else table.price
    sound = own & np.isfinite(price) & (price > 0.0)
    ts, price = table.ts_ns[sound], price[sound]
    timely = ts >= np.maximum.accumulate(np.maximum(ts, known_ns))
    return (ts[timely], price[timely]) if timely.any() else None
