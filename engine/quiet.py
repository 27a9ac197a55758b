"""The short way of a block that matters to nobody: no walk, no router, no market opened or closed.

Most blocks of one symbol and one kind hold sound prices between two edges while no alarm rings but
the check that finds its market fresh. Such a block is sampled, its last values are remembered, and
that is all. Between which prices and up to when is found once: it holds until somebody is attended.
What such blocks leave of their market waits, for of many in a row the last values and the extremes
are all that will matter; it is settled before anybody looks there. Every other block goes the
general way, which gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.clock import LEAP_NS
from engine.guarding import Guarding
from engine.intake import Intake
from engine.lanes import newest_id
from engine.lull import Lull
from engine.market import Market
from engine.outputs import NavBlock
from engine.rows import Column
from engine.soundness import is_ascending, prices_of
from engine.ticks import Kind, Table

__all__ = ["Quiet"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_NONE: Final[Sequence[NavBlock]] = ()
_TRADE, _INDEX = Kind.TRADE, Kind.INDEX  # looked up once; see ``folding``
_CALM: Final = 3.0
"""Prices within this factor of one price are within its square of one another, which is no jump."""


class Quiet:
    """Tells the blocks that matter to nobody, and takes them."""

    # Of which rows the rest holds; between which prices, and up to when, they matter to nobody. And
    # what waits: the last table, whether its rows are marks, and the extremes of all.
    __slots__ = (
        "_high",
        "_intake",
        "_kind",
        "_lane",
        "_least",
        "_low",
        "_lull",
        "_market",
        "_marks",
        "_most",
        "_parts",
        "_prices",
        "_signalled",
        "_symbol",
        "_table",
        "_until_ns",
    )

    def __init__(self, parts: Guarding, intake: Intake, lull: Lull) -> None:
        self._parts = parts
        self._intake = intake
        self._lull = lull
        self._signalled = [market for market in parts.markets if market.uses_signals]
        self._kind: Kind | None = None
        self._market: Market | None = None
        self._table: Table | None = None
        self._least = self._most = 0.0

    def end(self) -> None:
        """Somebody is attended: what was found holds no longer."""
        self._kind = None
        self.settle()
        self._lull.settle()

    def settle(self) -> None:
        """Write what waits where everybody looks for it."""
        table, market = self._table, self._market
        self._table = None
        if table is not None and market is not None:
            market.pass_table(table, self._prices, self._least, self._most)
            if table.KIND is _INDEX:
                market.settle_index(table.ts_ns.item(-1))

    def take(self, table: Table) -> Sequence[NavBlock] | None:
        """Take a table that is all of its step: the samples that it let pass. ``None`` leaves it
        for the general way."""
        kind, symbol, parts = table.KIND, table.symbol, self._parts
        if not isinstance(symbol, int):
            return None
        prices, low, high = prices_of(table)
        if prices is None:
            return None
        known = kind is self._kind and symbol == self._symbol
        if not known and not self._begins(kind, symbol, low, high):
            return None
        if not (self._low < low and high < self._high):
            return None
        ts, lane, state = table.ts_ns, self._lane, parts.state
        first_ns, last_ns = ts.item(0), ts.item(-1)
        if first_ns < lane.ts_ns or not is_ascending(ts):
            return None
        known_id = newest_id(table, lane) if kind is _TRADE else lane.trade_id
        if known_id is None:
            return None
        run, time_ns = ts, last_ns
        if first_ns < state.time_ns:
            run = np.maximum(ts, state.time_ns)
            time_ns = run.item(-1)
        if time_ns > self._until_ns and not self._lasts(table, run, prices, time_ns):
            return None
        lane.ts_ns, lane.price, lane.trade_id = last_ns, prices.item(-1), known_id
        lane.rows += len(ts)
        lull, samples = self._lull, _NONE
        if lull.waiting or lull.next_ns < time_ns:
            if not lull.waiting:
                self.settle()
            samples = lull.take(table, run, prices, time_ns)
        state.time_ns = time_ns
        if self._marks and (len(ts) == 1 or prices.item(-2) == lane.price):
            self.settle()  # since when it is repeated depends on the tables before
        if self._table is None:
            self._least, self._most = low, high
        else:
            if low < self._least:
                self._least = low
            if high > self._most:
                self._most = high
        self._table, self._prices = table, prices
        return samples

    def _begins(self, kind: Kind, symbol: int, low: float, high: float) -> bool:
        """Whether rows of a kind and symbol may matter to nobody, with prices from ``low`` to
        ``high``; then, between which."""
        parts, intake, self._kind = self._parts, self._intake, None
        self.settle()
        if not 0 <= symbol < intake.symbols or parts.priced:
            return False
        least, most = parts.router.edges(kind, symbol)
        if not (least < low and high < most):
            return False
        lane = intake.lanes[kind][symbol]
        if not lane.price or lane.suspects or intake.clock.suspects:
            return False
        number = parts.router.of_symbol[symbol]
        market = parts.markets[number] if number >= 0 else None
        if market is not None and (market.resting or market.following):
            return False
        if market is not None and market.kind is kind and market.keeps_previous:
            return False
        if not all(other.launched for other in self._signalled):
            return False
        self._low, self._high = max(least, lane.price / _CALM), min(most, lane.price * _CALM)
        self._kind, self._symbol, self._lane = kind, symbol, lane
        self._market, self._until_ns = market, -1
        self._marks = market is not None and market.kind is kind
        self._lull.begin(market, kind)
        return True

    def _lasts(self, table: Table, run: I64, prices: F64, last_ns: int) -> bool:
        """Whether nothing is due before the last row of a step, which is this table."""
        parts, sampling = self._parts, self._parts.sampler.state
        until_ns = min(sampling.next_users_ns, parts.state.time_ns + LEAP_NS)
        for other in self._signalled:
            until_ns = min(until_ns, other.state.grid_ns)
        if until_ns < last_ns:
            return False
        self.settle()
        due_ns = parts.pass_checks(last_ns, Column(table, run, prices, 0.0, 0.0))
        self._until_ns = min(until_ns, due_ns)
        return last_ns <= due_ns
