"""A day of a BTC perpetual that never was: calm, trend, chop, crash, rebound, aftershocks, calm.

Time is cut into cells of 200 ms; a cell has places for a row of each kind. Bits are the same
everywhere: Philox words, tables of quantiles, sums of integers, and ``+ - * / sqrt floor`` on
floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from engine.ticks import Bbo, Funding, Index, Marks, Step, Table, Trades
from engine.units import MILLISECOND_NS, SECOND_NS
from feeds.chance import QUANTILES, exponentials, indexes, raw_words, uniforms
from feeds.synthetic_path import (
    CELL_NS,
    CELLS,
    CENTS,
    FUNDING_MINUTES,
    LEGS,
    MINUTE,
    OPEN_PRICE,
    SECOND,
    Path,
    rounded,
)

__all__ = ["DAY_STEPS", "LOTS", "PRICE_STEPS", "START_NS", "day"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

START_NS: Final = 1_768_435_200 * SECOND_NS
"""2026-01-15 00:00 UTC."""
PRICE_STEPS: Final = 10
"""Price steps in one unit of quote."""
LOTS: Final = 1_000
"""Size steps in one coin."""
_CHUNK: Final = 30 * MINUTE
"""Cells made at a time."""
DAY_STEPS: Final = CELLS // _CHUNK
"""Steps that make the day."""
_SLOTS: Final = 6
"""Places in a cell, in order of time: index, mark, funding, book, two trades."""

_BOOK: Final = 1
_TRADES: Final = (2, 3)
"""Streams of random words; the path has 0."""


class _Carry:
    """What one chunk leaves to the next."""

    def __init__(self) -> None:
        self.trades = 0
        self.ingest_ns = 0
        self.mid = OPEN_PRICE
        self.quote = (0, 0)


class _Chunk:
    """A stretch of the day. Arrays are of shape (_CHUNK,) or (_CHUNK, _SLOTS), rows (n,)."""

    def __init__(self, seed: int, path: Path, chunk: int, carry: _Carry) -> None:
        self.path, self.carry = path, carry
        self.cells = slice(chunk * _CHUNK, (chunk + 1) * _CHUNK)
        self.number = np.arange(self.cells.start, self.cells.stop)
        self.leg = path.leg[self.cells]
        self.book = raw_words(seed, _BOOK, chunk, _CHUNK)
        self.deals = [raw_words(seed, stream, chunk, _CHUNK) for stream in _TRADES]
        self._quote()
        second, minute = self.number % SECOND == 0, self.number % MINUTE == 0
        traded = [uniforms(words, 0) < self._of_leg("trades") for words in self.deals]
        self.flags = np.stack([second, second, minute, self.quoted, *traded], axis=1)
        self.place = (np.cumsum(self.flags.ravel()) - 1).reshape(-1, _SLOTS)
        self._time()

    def _of_leg(self, name: str) -> F64:
        values: F64 = np.array([float(getattr(leg, name)) for leg in LEGS])[self.leg]
        return values

    def _quote(self) -> None:
        """Bid and ask in price steps; between two changes of the book the last one holds."""
        wide = self._of_leg("spread") * exponentials(self.book, 0)
        spread = 1 + np.floor(wide).astype(np.int64)
        bid = np.floor(self.path.mid[self.cells] * PRICE_STEPS - spread / 2.0 + 0.5)
        self.quoted = uniforms(self.book, 1) < self._of_leg("quotes")
        if not self.number[0]:
            self.quoted[0] = True
        last = np.maximum.accumulate(np.where(self.quoted, np.arange(_CHUNK), -1))
        ask = bid.astype(np.int64) + spread
        self.bid = np.where(last < 0, self.carry.quote[0], bid.astype(np.int64)[last])
        self.ask = np.where(last < 0, self.carry.quote[1], ask[last])

    def _time(self) -> None:
        """Exchange times and times of receipt of the rows, in order."""
        offset = np.zeros((_CHUNK, _SLOTS), np.int64)
        offset[:, 3] = 1 + indexes(self.book, 2) * 90 // QUANTILES
        for i, words in enumerate(self.deals):
            offset[:, 4 + i] = 100 + 50 * i + indexes(words, 1) * 40 // QUANTILES
        cell, slot = np.nonzero(self.flags)
        start = START_NS + self.number[cell] * CELL_NS
        self.ts_ns = start + offset[cell, slot] * MILLISECOND_NS
        delay = 2.0 + self._of_leg("delay_ms") * exponentials(self.book, 3)
        received = self.ts_ns + rounded(delay * MILLISECOND_NS)[cell]
        received[0] = max(int(received[0]), self.carry.ingest_ns)
        self.ingest_ns = np.maximum.accumulate(received)

    def _columns(self, flags: Flags, place: I64) -> dict[str, Any]:
        rows = place[flags]
        return {
            "sequence": rows,
            "symbol": 0,
            "ts_ns": self.ts_ns[rows],
            "ingest_ns": self.ingest_ns[rows],
        }

    def _trades(self) -> Trades:
        mid = self.path.mid[self.cells]
        before = np.concatenate(([self.carry.mid], mid[:-1]))
        chance = 0.5 + 0.25 * np.sign(mid - before)
        sides, prices, sizes = [], [], []
        for words in self.deals:
            buys = uniforms(words, 2) < chance
            # One deal in twelve is too large for the best price and goes deeper.
            large = indexes(words, 4) < QUANTILES // 12
            depth = (self.ask - self.bid) * exponentials(words, 3) * 0.5
            slip = np.where(large, np.floor(depth).astype(np.int64), 0)
            sides.append(np.where(buys, 1, -1))
            prices.append(np.where(buys, self.ask + slip, self.bid - slip))
            drawn = exponentials(words, 3) * np.where(large, 8.0, 0.36)
            sizes.append(1 + np.floor(self._of_leg("trade") * drawn * LOTS).astype(np.int64))
        flags = self.flags[:, 4:]
        columns = self._columns(flags, self.place[:, 4:])
        first = self.carry.trades + 1
        return Trades(
            **columns,
            price=np.stack(prices, axis=1)[flags] / PRICE_STEPS,
            size=np.stack(sizes, axis=1)[flags] / LOTS,
            aggressor=np.stack(sides, axis=1)[flags].astype(np.int8),
            trade_id=np.arange(first, first + len(columns["sequence"])),
        )

    def _bbo(self) -> Bbo:
        shown = [
            1 + np.floor(self._of_leg("depth") * exponentials(words, lane) * LOTS)
            for words, lane in ((self.book, 4), (self.deals[0], 4))
        ]
        return Bbo(
            **self._columns(self.quoted, self.place[:, 3]),
            bid=self.bid[self.quoted] / PRICE_STEPS,
            bid_size=shown[0][self.quoted] / LOTS,
            ask=self.ask[self.quoted] / PRICE_STEPS,
            ask_size=shown[1][self.quoted] / LOTS,
        )

    def _funding(self) -> Funding:
        flags = self.flags[:, 2]
        minute = self.number[flags] // MINUTE
        interval_ns = FUNDING_MINUTES * 60 * SECOND_NS
        return Funding(
            **self._columns(flags, self.place[:, 2]),
            rate=self.path.funding[minute] / 1e8,
            next_ns=START_NS + (minute // FUNDING_MINUTES + 1) * interval_ns,
        )

    def step(self) -> Step:
        """The rows, and what the next chunk must know."""
        second = self.number[self.flags[:, 0]] // SECOND
        marks = self._columns(self.flags[:, 1], self.place[:, 1])
        index = self._columns(self.flags[:, 0], self.place[:, 0])
        tables: tuple[Table, ...] = (
            self._trades(),
            self._bbo(),
            Marks(**marks, price=self.path.mark[second] / CENTS),
            Index(**index, price=self.path.index[second] / CENTS),
            self._funding(),
        )
        carry = self.carry
        carry.trades += len(tables[0])
        carry.ingest_ns = int(self.ingest_ns[-1])
        carry.mid = float(self.path.mid[self.cells][-1])
        carry.quote = (int(self.bid[-1]), int(self.ask[-1]))
        return Step(first=0, end=len(self.ts_ns), tables=tables)


def day(seed: int) -> Iterator[Step]:
    """The day's rows, half an hour of the market at a time; each step is numbered from 0."""
    path, carry = Path(seed), _Carry()
    for chunk in range(DAY_STEPS):
        yield _Chunk(seed, path, chunk, carry).step()
