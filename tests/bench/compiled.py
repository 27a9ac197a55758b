"""The second yardstick: the same loop over every tick, compiled by numba.

It does what ``plain`` does, with events as rows of numbers. ``available()`` says whether numba is
there (extra ``bench``); ``compile_now`` compiles, so that no run pays for it.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from engine.ticks import Marks, Step
from tests.bench.contest import Score
from tests.bench.plain import DRAW_IN, FEE_OVER, FEE_UNDER
from tests.bench.tapes import SAMPLE_NS, SEED_ATOMS, Lineup

__all__ = ["Compiled", "available", "compile_now"]

CASH, LOTS, ORDERS, LAUNCHED, BALANCES = 0, 1, 2, 3, 4
LOW, HIGH, TARGET, BAND_LOW, BAND_HIGH, EDGES = 0, 1, 2, 3, 4, 5
NEXT_NS, LAST_NS, REJECTED, REBALANCES, TRANSFERS = 0, 1, 2, 3, 4
BOOK_CASH, BOOK_LOTS, FEES, ISSUER, MINT, NUMBERS = 5, 6, 7, 8, 9, 10
SENT, FILLED, REBALANCED, LAUNCH = 0, 1, 2, 3
WHOLE: Final = 12
"""Whole numbers of an event: kind, product, sequence, ordinal, time, order, lots, and five of its
own."""
REAL: Final = 5
"""Its other numbers: mark, price, target, leverage before and after."""


def available() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


def _walk(
    first: int,
    times: Any,
    prices: Any,
    products: Any,
    edges: Any,
    state: Any,
    mark: Any,
    whole: Any,
    real: Any,
    navs: Any,
) -> tuple[int, int]:
    """Every tick against every edge; the number of events and of samples."""
    count = products.shape[0]
    said = samples = 0
    for row in range(times.shape[0]):
        ts_ns, price = times[row], prices[row]
        if not (0.0 < price < math.inf) or ts_ns < state[LAST_NS]:
            state[REJECTED] += 1
            continue
        state[LAST_NS] = ts_ns
        while state[NEXT_NS] < ts_ns:
            for n in range(count):
                navs[samples, n] = products[n, CASH] + products[n, LOTS] * mark[0]
            samples += 1
            state[NEXT_NS] += SAMPLE_NS
        mark[0] = price
        began = said
        for n in range(count):
            if edges[n, LOW] < price < edges[n, HIGH]:
                continue
            opening = products[n, LAUNCHED] == 0
            if opening:
                products[n, LAUNCHED] = 1
                state[ISSUER] -= SEED_ATOMS
                products[n, CASH] += SEED_ATOMS
                state[MINT] += SEED_ATOMS
                state[TRANSFERS] += 5
                for at, value in enumerate((LAUNCH, n, first + row, said - began, ts_ns)):
                    whole[said, at] = value
                whole[said, 5] = whole[said, 6] = SEED_ATOMS
                real[said, 0] = price
                said += 1
            cash, held = products[n, CASH], products[n, LOTS]
            nav = cash + np.int64(math.floor(held * price))
            target = edges[n, TARGET]
            lots = np.int64(target * nav / price) - held
            if lots == 0:
                continue
            before = held * price / (cash + held * price)
            order = products[n, ORDERS]
            products[n, ORDERS] += 1
            hedge = np.int64(math.floor(-lots * price))
            fee = -(-abs(hedge) * FEE_OVER // FEE_UNDER)
            state[BOOK_LOTS] -= lots
            products[n, LOTS] += lots
            state[BOOK_CASH] -= hedge
            products[n, CASH] += hedge
            products[n, CASH] -= fee
            state[FEES] += fee
            state[TRANSFERS] += 4
            state[REBALANCES] += not opening
            cash, held = products[n, CASH], products[n, LOTS]
            for kind in (SENT, FILLED, REBALANCED):
                place = (kind, n, first + row, said - began, ts_ns, order, lots)
                for at, value in enumerate(place):
                    whole[said, at] = value
                whole[said, 7], whole[said, 8], whole[said, 9] = hedge, fee, held
                whole[said, 10] = cash + np.int64(math.floor(held * price))
                whole[said, 11] = opening
                real[said, 0], real[said, 1], real[said, 2] = price, price, target
                real[said, 3] = before
                real[said, 4] = held * price / (cash + held * price)
                said += 1
            low = math.copysign(edges[n, BAND_LOW], target)
            high = math.copysign(edges[n, BAND_HIGH], target)
            at_low = low * cash / (held * (1.0 - low))
            at_high = high * cash / (held * (1.0 - high))
            below, above = (at_high, at_low) if cash < 0 else (at_low, at_high)
            edges[n, LOW], edges[n, HIGH] = below * (1.0 + DRAW_IN), above * (1.0 - DRAW_IN)
    return said, samples


_COMPILED: dict[str, Any] = {}


def compile_now() -> None:
    """Compile the loop for the types it is called with."""
    if "walk" not in _COMPILED:
        from numba import njit

        whole, real = "int64[:, ::1]", "float64[:, ::1]"
        signature = (
            f"(int64, int64[::1], float64[::1], {whole}, {real}, int64[::1], float64[::1], "
            f"{whole}, {real}, {real})"
        )
        _COMPILED["walk"] = njit(signature, cache=True)(_walk)


class Compiled:
    """Arrays in the place of objects; the same steps, the same results."""

    def __init__(self, lineup: Lineup) -> None:
        compile_now()
        self.walk = _COMPILED["walk"]
        count = len(lineup)
        self.products = np.zeros((count, BALANCES), np.int64)
        self.edges = np.empty((count, EDGES))
        self.edges[:, LOW], self.edges[:, HIGH] = math.inf, -math.inf
        self.edges[:, TARGET] = lineup.targets
        self.edges[:, BAND_LOW], self.edges[:, BAND_HIGH] = lineup.lows, lineup.highs
        self.state = np.zeros(NUMBERS, np.int64)
        self.mark = np.zeros(1)
        self.room = 0

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
        if not self.state[NEXT_NS]:
            self.state[NEXT_NS] = -(-int(table.ts_ns[0]) // SAMPLE_NS) * SAMPLE_NS
        if len(step) > self.room:
            self._make_room(len(step))
        said, samples = self.walk(
            step.first,
            table.ts_ns,
            table.price,
            self.products,
            self.edges,
            self.state,
            self.mark,
            self.whole,
            self.real,
            self.navs,
        )
        return self.whole[:said].copy(), self.real[:said].copy(), self.navs[:samples].copy()

    def finish(self) -> tuple[Any, Any, Any]:
        """The samples up to the last tick."""
        left = int((self.state[LAST_NS] - self.state[NEXT_NS]) // SAMPLE_NS) + 1
        line = self.products[:, CASH] + self.products[:, LOTS] * self.mark[0]
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
        worth = self.products[:, CASH] + np.floor(self.products[:, LOTS] * self.mark[0])
        tally.navs = worth.tolist()
