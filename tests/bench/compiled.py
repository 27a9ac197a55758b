"""The second yardstick: the same loop over every tick, compiled by numba.

It does what ``plain`` does, with events as rows of numbers. ``available()`` says whether numba is
there (extra ``bench``); ``compile_now`` compiles, so that no run pays for it.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import numpy as np

from engine.ticks import Bbo, Marks, Step, Trades
from tests.bench.columns import (
    BALANCES,
    BAND_HIGH,
    BAND_LOW,
    CASH,
    EDGES,
    HIGH,
    LAST_ID,
    LAST_NS,
    LOTS,
    LOW,
    MARK,
    NEXT_NS,
    NUMBERS,
    REAL,
    REBALANCES,
    TARGET,
    TRANSFERS,
    WHOLE,
)
from tests.bench.contest import Score
from tests.bench.tapes import SAMPLE_NS, Lineup

__all__ = ["Compiled", "available", "compile_now"]


def available() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


def compile_now() -> None:
    """Compile the loops for the types that they are called with, or load them compiled."""
    import tests.bench.kernels  # noqa: F401  # importing compiles


class Compiled:
    """Arrays in the place of objects; the same steps, the same results."""

    def __init__(self, lineup: Lineup) -> None:
        from tests.bench import kernels

        self.kernels = kernels
        count = len(lineup)
        self.products = np.zeros((count, BALANCES), np.int64)
        self.edges = np.empty((count, EDGES))
        self.edges[:, LOW], self.edges[:, HIGH] = math.inf, -math.inf
        self.edges[:, TARGET] = lineup.targets
        self.edges[:, BAND_LOW], self.edges[:, BAND_HIGH] = lineup.lows, lineup.highs
        self.state = np.zeros(NUMBERS, np.int64)
        self.state[LAST_ID] = -1
        self.prices = np.zeros(3)
        self.room = 0
        if lineup.mixed:
            self.process = self.process_mixed  # type: ignore[method-assign]

    def _make_room(self, rows: int) -> None:
        """Buffers for whatever a step of that many rows can say."""
        self.room = rows
        events = (rows + 2) * 3 * len(self.products) + len(self.products)
        events = min(events, 1_000_000)
        self.whole = np.zeros((events, WHOLE), np.int64)
        self.real = np.zeros((events, REAL))
        self.navs = np.zeros((rows + 2, len(self.products)))

    def process(self, step: Step) -> tuple[Any, Any, Any]:
        """Events as two tables, NAVs of shape (samples, products)."""
        (table,) = step.tables
        assert isinstance(table, Marks)
        self._ready(step)
        said, samples = self.kernels.walk(
            step.first,
            table.ts_ns,
            table.price,
            self.products,
            self.edges,
            self.state,
            self.prices,
            self.whole,
            self.real,
            self.navs,
        )
        return self.whole[:said].copy(), self.real[:said].copy(), self.navs[:samples].copy()

    def process_mixed(self, step: Step) -> tuple[Any, Any, Any]:
        """``process`` for steps of trades, book tops and marks."""
        trades, book, marks = step.tables
        assert isinstance(trades, Trades)
        assert isinstance(book, Bbo)
        assert isinstance(marks, Marks)
        self._ready(step)
        said, samples = self.kernels.walk_mixed(
            trades.sequence,
            trades.ts_ns,
            trades.price,
            trades.size,
            trades.aggressor,
            trades.trade_id,
            book.sequence,
            book.ts_ns,
            book.bid,
            book.ask,
            book.bid_size,
            book.ask_size,
            marks.sequence,
            marks.ts_ns,
            marks.price,
            self.products,
            self.edges,
            self.state,
            self.prices,
            self.whole,
            self.real,
            self.navs,
        )
        return self.whole[:said].copy(), self.real[:said].copy(), self.navs[:samples].copy()

    def _ready(self, step: Step) -> None:
        if not self.state[NEXT_NS]:
            first_ns = min(int(table.ts_ns[0]) for table in step.tables)
            self.state[NEXT_NS] = -(-first_ns // SAMPLE_NS) * SAMPLE_NS
        if len(step) > self.room:
            self._make_room(len(step))

    def finish(self) -> tuple[Any, Any, Any]:
        """The samples up to the last tick."""
        left = int((self.state[LAST_NS] - self.state[NEXT_NS]) // SAMPLE_NS) + 1
        line = self.products[:, CASH] + self.products[:, LOTS] * self.prices[MARK]
        self.state[NEXT_NS] += left * SAMPLE_NS
        return self.whole[:0].copy(), self.real[:0].copy(), np.tile(line, (left, 1))

    def rows(self, outputs: list[Any]) -> list[Any]:
        return [navs for *_, navs in outputs]

    def count(self, outputs: list[Any]) -> int:
        return sum(len(whole) for whole, *_ in outputs)

    def close(self, score: Score) -> None:
        tally = score.tally
        tally.rebalances = int(self.state[REBALANCES])
        tally.transfers = int(self.state[TRANSFERS])
        worth = self.products[:, CASH] + np.floor(self.products[:, LOTS] * self.prices[MARK])
        tally.navs = worth.tolist()
