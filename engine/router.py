"""Whose wake comes first: the earliest breach among the rows of a step.

Each column that some market values its positions with is scanned once, with the edges of the
symbols in it; rows before the first breach are never visited again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from msgspec import Struct

from engine.agenda import Agenda, Priority
from engine.market import Market
from engine.priced_market import PricedMarket
from engine.rows import Column, Rows
from engine.ticks import Kind
from engine.watch import first_breach, first_breach_by_symbol

__all__ = ["Breach", "Router"]

_INDEX = Kind.INDEX  # looked up once; see ``folding``
F64 = np.ndarray[Any, np.dtype[np.float64]]


class Breach(Struct, frozen=True, gc=False):
    """A row at or beyond a market's edge.

    Attributes:
        sequence: what it wakes is said there.
        before: rows below that sequence were seen.
        is_made: it is no row but a mark that the venue made.
        of_index: the price is the index.
    """

    market: int
    row: int
    price: float
    run_ns: int
    sequence: int
    before: int
    is_made: bool = False
    of_index: bool = False

    @classmethod
    def made(cls, market: int, column: Column, row: int, before: int) -> Breach:
        """A mark that the venue made, ahead of the row with sequence ``before``."""
        assert column.prices is not None
        price, run_ns = column.prices.item(row), column.run.item(row)
        return cls(market, row, price, run_ns, before, before, is_made=True)


class Router:
    """The markets' edges, by kind of column and symbol."""

    __slots__ = (
        "_agenda",
        "_columns",
        "_highs",
        "_lows",
        "_positions",
        "markets",
        "of_symbol",
        "sources",
    )

    def __init__(self, markets: list[Market], symbols: int, agenda: Agenda) -> None:
        self.markets = markets
        self._agenda = agenda
        self.of_symbol = [-1] * symbols
        sources = {m.kind for m in markets if m.handlers and m.kind is not None}
        sources |= {_INDEX for m in markets if m.followers}
        self.sources = sorted(sources)
        self._lows: dict[Kind, F64] = {k: np.full(symbols, -math.inf) for k in self.sources}
        self._highs: dict[Kind, F64] = {k: np.full(symbols, math.inf) for k in self.sources}
        for number, market in enumerate(markets):
            self.of_symbol[market.spec.symbol] = number
            self.arm(market)
        self._columns: list[Column] = []
        self._positions: list[int] = []

    def arm(self, market: Market) -> None:
        """Take over a market's present edges; where the venue makes the marks, and what there is to
        tell of them, an alarm rings at the first one beyond."""
        if isinstance(market, PricedMarket):
            due_ns, number = market.next_made_ns(), self.of_symbol[market.spec.symbol]
            self._agenda.set((Priority.MARK, number, 0), due_ns)
        kind = market.kind
        if kind is not None and market.handlers:
            symbol = market.spec.symbol
            self._lows[kind][symbol], self._highs[kind][symbol] = market.bounds()
            if market.followers:
                low, high = market.index_bounds()
                self._lows[_INDEX][symbol], self._highs[_INDEX][symbol] = low, high

    def edges(self, kind: Kind, symbol: int) -> tuple[float, float]:
        """Between which prices a row of that kind and symbol wakes nobody."""
        if kind not in self._lows:
            return -math.inf, math.inf
        return self._lows[kind].item(symbol), self._highs[kind].item(symbol)

    def open(self, rows: Rows) -> None:
        """A new step begins."""
        self._columns = [c for c in rows.columns if c.kind in self._lows]
        self._positions = [0] * len(self._columns)

    def close(self) -> None:
        """The step is through, and let go."""
        self._columns, self._positions = [], []

    def next_breach(self, stop: int) -> Breach | None:
        """The first row below sequence ``stop`` at which some market wakes; the scan goes on behind
        it."""
        columns, positions = self._columns, self._positions
        first, row = -1, 0
        for number, column in enumerate(columns):
            start, end = positions[number], column.row_at(stop)
            if start < end and (place := self._scan(column, start, end)) < end:
                first, row = number, place
                stop = column.sequence.item(place)
        if first < 0:
            self.skip(stop)
            return None
        positions[first] = row + 1
        if len(columns) > 1:
            self.skip(stop)
        column = columns[first]
        symbol, prices = column.symbol, column.prices
        assert prices is not None
        symbol = symbol if isinstance(symbol, int) else symbol.item(row)
        market, run_ns = self.of_symbol[symbol], column.run.item(row)
        of_index = column.kind is _INDEX
        return Breach(market, row, prices.item(row), run_ns, stop, stop + 1, of_index=of_index)

    def is_calm(self) -> bool:
        """Whether no row of the step wakes anybody, as edges are now; unsure where symbols are
        mixed."""
        for column in self._columns:
            symbol, kind = column.symbol, column.kind
            if not isinstance(symbol, int):
                return False
            low, high = self._lows[kind].item(symbol), self._highs[kind].item(symbol)
            if not (low < column.low and column.high < high):
                return False
        return True

    def clear_until(self, first: int, stop: int) -> int:
        """Sequence of the first row in ``[first, stop)`` at which some market wakes, ``stop`` if
        there is none; the scan stays where it is."""
        for number, column in enumerate(self._columns):
            start, end = max(self._positions[number], column.row_at(first)), column.row_at(stop)
            if start < end and (place := self._scan(column, start, end)) < end:
                stop = column.sequence.item(place)
        return stop

    def skip(self, stop: int) -> None:
        """Rows below ``stop`` need not be looked at again."""
        for number, column in enumerate(self._columns):
            self._positions[number] = max(self._positions[number], column.row_at(stop))

    def rewind(self, sequence: int) -> None:
        """Look at the rows from ``sequence`` on once more."""
        for number, column in enumerate(self._columns):
            self._positions[number] = min(self._positions[number], column.row_at(sequence))

    def again(self, breach: Breach) -> None:
        """Look at the row of a breach once more: the market resumed there, with its products' own
        edges."""
        if breach.is_made:
            market = self.markets[breach.market]
            assert isinstance(market, PricedMarket)
            market.look_again(breach.run_ns)
            return
        for number, column in enumerate(self._columns):
            if column.kind is self.markets[breach.market].kind:
                self._positions[number] = breach.row

    def _scan(self, column: Column, start: int, end: int) -> int:
        prices = column.prices
        assert prices is not None
        lows, highs = self._lows[column.kind], self._highs[column.kind]
        symbol = column.symbol
        if isinstance(symbol, int):
            low, high = lows.item(symbol), highs.item(symbol)
            if low < column.low and column.high < high:
                return end
            return first_breach(prices, low, high, start, end)
        if not start and column.groups.lie_within(lows, highs):
            return end
        return first_breach_by_symbol(prices, symbol, lows, highs, start, end)
