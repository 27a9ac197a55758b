"""The marks of many markets at many places of a step: what a block of NAV samples stands on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.market import Market
from engine.ticks import Kind, Table

__all__ = ["indexes_through", "marks_at", "marks_through", "prices_at"]

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


def marks_through(
    markets: Sequence[Market], tracked: Market | None, prices: F64, rows: I64, early: int
) -> list[F64]:
    """The mark of each through a step that is one table; ``rows`` and ``early`` as in
    ``indexes_through``.

    Args:
        tracked: the market whose marks are the table's prices, if there is one.
    """
    found: list[F64] = []
    for market in markets:
        if market is tracked:
            marks = prices.take(rows)
            if early:
                marks[:early] = market.state.mark
        else:
            marks = np.full(len(rows), market.state.mark)
        found.append(marks)
    return found


def indexes_through(
    markets: Sequence[Market], table: Table, prices: F64, rows: I64, early: int
) -> list[F64 | None]:
    """The index of each that has followers, through a step that is one table with those prices.

    Args:
        rows: shape (n,), the table's last row at or before each sample.
        early: how many of them come before its first row.
    """
    found: list[F64 | None] = []
    for market in markets:
        known = None
        if market.followers:
            known = np.full(len(rows), market.state.index)
            if table.KIND is Kind.INDEX and table.symbol == market.spec.symbol:
                known[early:] = prices.take(rows[early:])
        found.append(known)
    return found


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
