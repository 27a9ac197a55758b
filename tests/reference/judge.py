"""What is accepted of the input, row by row: the rules as one would say them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.ticks import NOT_MARKET, Kind, Step

DAY_NS = 86_400 * 10**9
LEAP_NS = 3 * DAY_NS
"""How far ahead one stamp is believed, and for how long a silence is sampled."""


@dataclass
class Row:
    """One row of the input as plain numbers."""

    sequence: int
    kind: Kind
    symbol: int
    ts_ns: int
    values: dict[str, Any]

    @property
    def price(self) -> float:
        """What moves prices: the price, or the mid of a quote."""
        if self.kind is Kind.BBO:
            return (self.values["bid"] + self.values["ask"]) * 0.5
        return self.values["price"]

    def __str__(self) -> str:
        return " ".join(f"{name}={value!r}" for name, value in self.values.items())


def rows_of(step: Step) -> Iterator[tuple[int, Any]]:
    """``(sequence, Row or message)`` in the order of the input."""
    found: list[tuple[int, Any]] = list(step.messages)
    for table in step.tables:
        symbols = table.symbols().tolist()
        columns = {name: column.tolist() for name, column in table.values()}
        for place, sequence in enumerate(table.sequence.tolist()):
            values = {name: column[place] for name, column in columns.items()}
            ts_ns = int(table.ts_ns[place])
            found.append((sequence, Row(sequence, table.KIND, symbols[place], ts_ns, values)))
    return iter(sorted(found, key=lambda pair: pair[0]))


@dataclass
class Lane:
    """One kind of one symbol: what its next row is judged by."""

    ts_ns: int = 0
    price: float = 0.0
    trade_id: int = -1
    suspect: float = 0.0
    suspects: int = 0
    leapt_id: int = -1
    leaps: int = 0


class Judge:
    """Says of each row whether it counts."""

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols
        self.lanes: dict[tuple[int, int], Lane] = {}
        self.clock_ns = 0
        self.ahead: list[int] = []

    def is_timely(self, ts_ns: int) -> bool:
        """Whether a row's time is believed. Three days ahead of all before it is; up to ten years
        is for the third in a row, each within three days of the one before; 1970 never."""
        leap = ts_ns - (self.clock_ns or ts_ns)
        if ts_ns < 365 * DAY_NS or ts_ns >= 2**63 - 1 or leap > 3_653 * DAY_NS:
            return False
        if leap > LEAP_NS:
            if self.ahead and abs(self.ahead[-1] - ts_ns) > LEAP_NS:
                self.ahead = []
            self.ahead.append(ts_ns)
            if len(self.ahead) < 3:
                return False
        self.ahead = []
        self.clock_ns = max(self.clock_ns, ts_ns)
        return True

    def untimely(self, request_ns: int) -> str | None:
        """Why a request's time is refused: it sets no clock, and moves it by no leap."""
        if not self.clock_ns:
            return "not_launched"
        if request_ns - self.clock_ns > LEAP_NS:
            return "clock_jump"
        self.clock_ns = max(self.clock_ns, request_ns)
        return None

    def fault(self, row: Row) -> str | None:
        """``None``: the row counts. ``""``: it counts for nothing, without an error. Else the
        reason of its refusal."""
        if not self.is_timely(row.ts_ns):
            return "clock_jump"
        if not 0 <= row.symbol < self.symbols:
            return "unknown_symbol"
        flaw = _flaw(row)
        if flaw:
            return flaw
        lane = self.lanes.setdefault((row.kind, row.symbol), Lane())
        trade_id = row.values["trade_id"] if row.kind is Kind.TRADE else -1
        if 0 <= trade_id <= lane.trade_id or (lane.leaps and trade_id == lane.leapt_id):
            return "duplicate"
        if row.ts_ns < lane.ts_ns:
            self._learn(lane, trade_id)
            return "" if row.kind is Kind.TRADE else "late"
        if row.kind is Kind.TRADE and row.values["aggressor"] == NOT_MARKET:
            self._learn(lane, trade_id)
            return ""
        if row.kind in (Kind.TRADE, Kind.BBO, Kind.MARK, Kind.INDEX):
            if not self._believable(lane, row.price):
                return "jump"
            lane.price = row.price
        self._learn(lane, trade_id)
        lane.suspects = 0
        lane.ts_ns = row.ts_ns
        return None

    @staticmethod
    def _learn(lane: Lane, trade_id: int) -> None:
        """An id counts from now on, but one 1,000 ahead only as the third of a sequence."""
        if trade_id > lane.trade_id + 1_000:
            follows = lane.leaps > 0 and lane.leapt_id < trade_id <= lane.leapt_id + 1_000
            lane.leaps = lane.leaps + 1 if follows else 1
            lane.leapt_id = trade_id
            if lane.leaps < 3:
                return
        if trade_id >= 0:
            lane.trade_id, lane.leaps = trade_id, 0

    @staticmethod
    def _believable(lane: Lane, price: float) -> bool:
        """A price 100 times away from the last counts only when it is the third in a row that agree
        within a factor of 2; one 1,000 times away never."""
        if lane.price == 0.0 or _within(price, lane.price, 100.0):
            return True
        if not _within(price, lane.price, 1_000.0):
            return False
        agrees = lane.suspects > 0 and _within(price, lane.suspect, 2.0)
        lane.suspects = lane.suspects + 1 if agrees else 1
        lane.suspect = price
        return lane.suspects >= 3


def _within(price: float, other: float, factor: float) -> bool:
    return other < price * factor and price < other * factor


def _flaw(row: Row) -> str | None:
    values = row.values
    if row.kind is Kind.FUNDING:
        return None if abs(values["rate"]) < 1.0 else "not_finite"
    if row.kind is Kind.HEARTBEAT:
        return None
    prices = [values[name] for name in ("bid", "ask", "price") if name in values]
    sizes = [values[name] for name in ("bid_size", "ask_size", "size") if name in values]
    if not all(math.isfinite(price) for price in (*prices, sum(prices))):
        return "not_finite"
    if not all(price > 0.0 for price in prices):
        return "not_positive"
    if not all(0.0 <= size < math.inf for size in sizes):
        return "not_finite"
    if row.kind is Kind.BBO and values["bid"] >= values["ask"]:
        return "crossed"
    return None
