"""Plain rows quickly, as many as are wanted, for measurements; and the sample in steps of any size.

The same bits on every machine and in blocks of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from engine.ticks import Bbo, Marks, Step, Table, Trades
from engine.units import MILLISECOND_NS
from feeds.chance import indexes, normal_table, raw_words
from feeds.merge import rechunked
from feeds.recording import BLOCK_ROWS
from feeds.synthetic import SEED
from feeds.synthetic_day import LOTS, PRICE_STEPS, START_NS, day

__all__ = ["generate", "generate_rows"]

_PATTERN: Final = 16
"""Rows after which the kinds repeat."""
_MARK_SLOTS: Final = (0,)
_TRADE_SLOTS: Final = (2, 5, 7, 10, 13, 15)
_BBO_SLOTS: Final = (1, 3, 4, 6, 8, 9, 11, 12, 14)
_LOW: Final = 500_000
_RANGE: Final = 1_000_000
"""Generated mids lie this many price steps above ``_LOW``, at most."""
_CHUNK_ROWS: Final = BLOCK_ROWS


def generate(seed: int = SEED, *, block_rows: int = BLOCK_ROWS) -> Iterator[Step]:
    """The sample: a day of ticks in steps of ``block_rows`` (the last one shorter).

    Args:
        seed: 0 or more, below 2**64; each has the same story with other noise.
    """
    return rechunked(day(seed), block_rows)


def generate_rows(
    rows: int,
    seed: int = SEED,
    *,
    marks_only: bool = False,
    move_bps: float = 0.2,
    interval_ns: int = 10 * MILLISECOND_NS,
    block_rows: int = BLOCK_ROWS,
) -> Iterator[Step]:
    """A random walk of one symbol, in bounded memory.

    Nine rows of sixteen are book tops, six are trades, one is a mark; or all are marks. Prices walk
    on a grid of 0.1 from 100,000 and are reflected at 50,000 and 150,000.

    Args:
        rows: how many.
        seed: 0 or more, below 2**64.
        marks_only: whether all rows are marks.
        move_bps: standard deviation of a row's move at 100,000.
        interval_ns: time from row to row, 2 ms or more.
        block_rows: rows a step; the last one is shorter.
    """
    steps = _walk(rows, seed, marks_only, move_bps, interval_ns)
    if block_rows == _CHUNK_ROWS:
        return steps
    return rechunked((step.shifted(-step.first) for step in steps), block_rows)


def _walk(
    rows: int, seed: int, marks_only: bool, move_bps: float, interval_ns: int
) -> Iterator[Step]:
    moves = np.floor(normal_table() * (move_bps * 10.0 * PRICE_STEPS) + 0.5).astype(np.int64)
    place = _RANGE // 2
    numbers = np.arange(_CHUNK_ROWS)
    for first in range(0, rows, _CHUNK_ROWS):
        words = raw_words(seed, 0, first // _CHUNK_ROWS, _CHUNK_ROWS)
        walk = moves[indexes(words, 0)]
        walk[0] += place
        np.cumsum(walk, out=walk)
        place = int(walk[-1]) % (2 * _RANGE)
        mid = _LOW + np.abs((walk + _RANGE) % (2 * _RANGE) - _RANGE)
        ts_ns = START_NS + (first + numbers) * interval_ns
        ingest_ns = ts_ns + MILLISECOND_NS + indexes(words, 1)
        columns = {"sequence": first + numbers, "ts_ns": ts_ns, "ingest_ns": ingest_ns}
        if marks_only:
            tables: tuple[Table, ...] = (Marks(symbol=0, **columns, price=mid / PRICE_STEPS),)
        else:
            tables = _tables(columns, mid, words)
        step = Step(first=first, end=first + _CHUNK_ROWS, tables=tables)
        yield step if step.end <= rows else step.between(first, rows)


def _tables(columns: dict[str, Any], mid: Any, words: Any) -> tuple[Table, ...]:
    """The walk as trades, book tops and marks in the repeating pattern."""

    def taken(column: Any, slots: tuple[int, ...]) -> Any:
        return column.reshape(-1, _PATTERN)[:, slots].ravel()

    def of(slots: tuple[int, ...]) -> dict[str, Any]:
        return {"symbol": 0, **{k: taken(column, slots) for k, column in columns.items()}}

    deals, steps = taken(words, _TRADE_SLOTS), taken(mid, _TRADE_SLOTS)
    side = (indexes(deals, 2) & 1) * 2 - 1
    trades = Trades(
        **of(_TRADE_SLOTS),
        price=(steps + (side > 0)) / PRICE_STEPS,
        size=(1 + indexes(deals, 3)) / LOTS,
        aggressor=side.astype(np.int8),
        trade_id=taken(columns["sequence"], _TRADE_SLOTS),
    )
    quotes, steps = taken(words, _BBO_SLOTS), taken(mid, _BBO_SLOTS)
    bbo = Bbo(
        **of(_BBO_SLOTS),
        bid=steps / PRICE_STEPS,
        bid_size=(1 + indexes(quotes, 2)) / LOTS,
        ask=(steps + 1) / PRICE_STEPS,
        ask_size=(1 + indexes(quotes, 3)) / LOTS,
    )
    marks = Marks(**of(_MARK_SLOTS), price=taken(mid, _MARK_SLOTS) / PRICE_STEPS)
    return trades, bbo, marks
