"""The marks of many markets at many places of a step: what a block of NAV samples stands on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.market import Market

__all__ = ["marks_at", "prices_at"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]


def marks_at(markets: Sequence[Market], sequences: I64, times: I64) -> list[F64]:
    """``Market.marks_at`` of each; those whose marks are interleaved in one column are looked up
    there all at once.

    Args:
        markets: some of the open step.
        sequences: shape (n,), ascending.
        times: shape (n,), which those let pass.
    """
    column = markets[0].source if len(markets) > 1 else None
    if column is None or not all(market.source is column for market in markets):
        return [market.marks_at(sequences, times) for market in markets]
    assert column.prices is not None
    symbols = np.array([market.spec.symbol for market in markets])
    rows = column.groups.lasts(symbols, column.sequence.searchsorted(sequences))
    before = np.array([market.state.mark for market in markets])
    return list(np.where(rows < 0, before[:, None], column.prices.take(rows, mode="clip")))


def prices_at(market: Market, sequence: int, ts_ns: int) -> list[float]:
    """By product the price at which its line is read, just before an input that lets that time
    pass."""
    passed = np.array([sequence])
    mark = float(market.marks_at(passed, np.array([ts_ns]))[0])
    prices, indexes = [mark] * len(market.handlers), market.indexes_at(passed)
    if indexes is not None:
        for place in market.followers:
            prices[place] = float(indexes[0])
    return prices
