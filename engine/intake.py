"""What is accepted of a step: finite, positive, in time, once, and no absurd jump.

A block in which nothing is suspicious costs a handful of vector operations; only a block with a
doubtful row is walked row by row, under the same rules. What is refused becomes a barrier with its
reason; nothing is repaired.

Lateness is per (symbol, kind). A late trade is no error, it only moves no price; neither does a
print that is no market trade. A price more than 100 times away from the last is refused until three
in a row agree with one another.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.rows import Column, Groups, Rows
from engine.soundness import (
    PRICED,
    detail,
    flaw,
    highest,
    is_ascending,
    is_sound,
    lowest,
    prices_of,
)
from engine.ticks import NOT_MARKET, Kind, Step, Table, Trades
from engine.units import DAY_NS, NEVER_NS

__all__ = ["CLOCK_JUMP_NS", "JUMP_FACTOR", "Intake", "Lane", "Rejection"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

JUMP_FACTOR: Final = 100.0
_CALM: Final = 10.0
"""Within a tenth and ten times the last price no two neighbours can be a jump apart."""
_CONFIRMATIONS: Final = 3
_AGREE: Final = 2.0
CLOCK_JUMP_NS: Final = 400 * DAY_NS


class Lane(Struct):
    """One kind of rows of one symbol: what the next row is judged by."""

    ts_ns: int = 0
    price: float = 0.0
    trade_id: int = -1
    suspect: float = 0.0
    suspects: int = 0
    rows: int = 0
    late_trades: int = 0
    off_market: int = 0


class Rejection(Struct, frozen=True, gc=False):
    """A refused row."""

    reason: str
    symbol: int
    kind: Kind
    ts_ns: int
    detail: str


class Intake:
    """Judges rows; remembers per lane what the next one is judged by."""

    __slots__ = ("lanes", "symbols")

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols
        self.lanes = [[Lane() for _ in range(symbols)] for _ in Kind]

    def accept(self, step: Step, time_ns: int) -> Rows:
        """The step's good rows, and a barrier for each that was refused.

        Args:
            time_ns: engine time before the step.
        """
        rows = Rows(step, time_ns)
        if len(step.tables) > 1 and _leaps(step, time_ns):
            for column in self._walk(step.tables, rows):
                rows.add(column)
        else:
            for table in step.tables:
                whole = self.whole(table, time_ns)
                for column in self._walk((table,), rows) if whole is None else (whole,):
                    rows.add(column)
        if len(rows.barriers) > len(step.messages):
            rows.barriers.sort(key=_place)
        rows.seal()
        return rows

    def whole(self, table: Table, time_ns: int) -> Column | None:
        """A step's only table, or one of several, if nothing in it is suspicious."""
        symbol, ts = table.symbol, table.ts_ns
        if not isinstance(symbol, int):
            return self._fast_mixed(table, time_ns)
        if not 0 <= symbol < self.symbols or not is_ascending(ts):
            return None
        lane = self.lanes[table.KIND][symbol]
        first, last = ts.item(0), ts.item(-1)
        if first < lane.ts_ns or last >= NEVER_NS or last - (time_ns or first) > CLOCK_JUMP_NS:
            return None
        prices, low, high = prices_of(table)
        if prices is not None:
            known = lane.price or prices.item(0)
            if not (known / _CALM < low and high < known * _CALM and high < np.inf):
                return None
            if lane.suspects:
                return None
        elif not is_sound(table):
            return None
        if table.KIND is Kind.TRADE and not _fresh_ids(table, lane):
            return None
        lane.ts_ns = last
        lane.rows += len(ts)
        if prices is not None:
            lane.price = prices.item(-1)
        run = ts if first >= time_ns else np.maximum(ts, time_ns)
        return Column(table, run, prices, low, high)

    def _fast_mixed(self, table: Table, time_ns: int) -> Column | None:
        """``whole`` for interleaved symbols: each row is compared with its own lane and its own
        predecessor."""
        symbols = table.symbols()
        ts = table.ts_ns
        if lowest(symbols) < 0 or highest(symbols) >= self.symbols:
            return None
        first, last = lowest(ts), highest(ts)
        if first < 0 or last >= NEVER_NS or last - (time_ns or first) > CLOCK_JUMP_NS:
            return None
        groups = Groups(symbols)
        order, whose, firsts = groups.order, groups.whose, groups.firsts
        same = whose[1:] == whose[:-1]
        if not is_ascending(ts) and bool((same & (ts[order][1:] < ts[order][:-1])).any()):
            return None
        prices, low, high = prices_of(table)
        lanes = [self.lanes[table.KIND][symbol] for symbol in groups.bounds]
        for lane, when_ns in zip(lanes, ts[order[firsts]].tolist(), strict=True):
            if when_ns < lane.ts_ns or lane.suspects:
                return None
        if prices is not None:
            if not low > 0.0:
                return None
            own = prices[order]
            known = np.array([lane.price for lane in lanes])
            known = np.where(known > 0.0, known, own[firsts])
            near = np.minimum.reduceat(own, firsts) > known / _CALM
            near &= np.maximum.reduceat(own, firsts) < known * _CALM
            if not near.all():
                return None
        elif not is_sound(table):
            return None
        if isinstance(table, Trades) and not _fresh_ids_mixed(table, lanes, order, same, firsts):
            return None
        for lane, (start, end) in zip(lanes, groups.bounds.values(), strict=True):
            last_row = order.item(end - 1)
            lane.ts_ns = ts.item(last_row)
            lane.rows += end - start
            if prices is not None:
                lane.price = prices.item(last_row)
        run = np.maximum.accumulate(np.maximum(ts, time_ns))
        return Column(table, run, prices, low, high, groups)

    def _walk(self, tables: tuple[Table, ...], rows: Rows) -> list[Column]:
        """Row by row, in the order of the input: the rules as they are meant."""
        keep = [np.zeros(len(table), bool) for table in tables]
        symbols = [table.symbols().tolist() for table in tables]
        prices = [prices_of(table)[0] for table in tables]
        moved = rows.moved()
        clock = rows.floor_ns
        order = sorted(
            (sequence, number, row)
            for number, table in enumerate(tables)
            for row, sequence in enumerate(table.sequence.tolist())
        )
        for sequence, number, row in order:
            while moved and moved[0][0] < sequence:
                clock = max(clock, moved.pop(0)[1])
            table, symbol, known = tables[number], symbols[number][row], prices[number]
            ts, price = int(table.ts_ns[row]), 0.0 if known is None else float(known[row])
            reason = self._judge(table, row, symbol, ts, price, clock)
            if reason is None:
                keep[number][row] = True
                clock = max(clock, ts)
            elif reason:
                rejection = Rejection(reason, symbol, table.KIND, ts, detail(table, row))
                rows.barriers.append((sequence, rejection))
        return [
            _column(table if kept.all() else table.take(kept), rows.floor_ns)
            for table, kept in zip(tables, keep, strict=True)
            if kept.any()
        ]

    def _judge(
        self, table: Table, row: int, symbol: int, ts: int, price: float, clock: int
    ) -> str | None:
        """``None`` accepts; a reason refuses; an empty reason keeps the row from moving a price,
        without an error."""
        kind = table.KIND
        if not 0 <= symbol < self.symbols:
            return "unknown_symbol"
        lane = self.lanes[kind][symbol]
        reason = flaw(table, row)
        if reason is not None:
            return reason
        if ts < 0 or ts >= NEVER_NS or (clock and ts - clock > CLOCK_JUMP_NS):
            return "clock_jump"
        trade_id = int(table.trade_id[row]) if isinstance(table, Trades) else -1
        if 0 <= trade_id <= lane.trade_id:
            return "duplicate"
        late = ts < lane.ts_ns
        if late and kind is not Kind.TRADE:
            return "late"
        counts = not late and not (isinstance(table, Trades) and table.aggressor[row] == NOT_MARKET)
        leaps = kind in PRICED and lane.price and not _near(price, lane.price, JUMP_FACTOR)
        if counts and leaps and not self._confirmed(lane, price):
            return "jump"
        # Only now: the id of a refused row must not make its neighbours duplicates.
        lane.trade_id = max(lane.trade_id, trade_id)
        if late:
            lane.late_trades += 1
            return ""
        if not counts:
            lane.off_market += 1
            return ""
        lane.suspects = 0
        lane.ts_ns = ts
        lane.rows += 1
        if kind in PRICED:
            lane.price = price
        return None

    @staticmethod
    def _confirmed(lane: Lane, price: float) -> bool:
        agrees = lane.suspects and _near(price, lane.suspect, _AGREE)
        lane.suspects = lane.suspects + 1 if agrees else 1
        lane.suspect = price
        return lane.suspects >= _CONFIRMATIONS


def _leaps(step: Step, time_ns: int) -> bool:
    """Whether some row may be too far ahead of the clock: then all kinds are judged together, as
    each moves the clock for the others."""
    since = time_ns or min(lowest(table.ts_ns) for table in step.tables)
    return bool(max(highest(table.ts_ns) for table in step.tables) - since > CLOCK_JUMP_NS)


def _column(table: Table, time_ns: int) -> Column:
    run = np.maximum.accumulate(np.maximum(table.ts_ns, time_ns))
    return Column(table, run, *prices_of(table))


def _place(barrier: tuple[int, Any]) -> int:
    return barrier[0]


def _near(price: float, other: float, factor: float) -> bool:
    return other < price * factor and price < other * factor


def _fresh_ids(trades: Table, lane: Lane) -> bool:
    assert isinstance(trades, Trades)
    ids = trades.trade_id
    if highest(trades.aggressor) >= NOT_MARKET:
        return False
    first, last = ids.item(0), ids.item(-1)
    if first == -1 and last == -1 and highest(ids) == -1:
        return True
    if first <= lane.trade_id or not (len(ids) == 1 or bool((ids[1:] > ids[:-1]).all())):
        return False
    lane.trade_id = last
    return True


def _fresh_ids_mixed(
    trades: Trades, lanes: list[Lane], order: I64, same: np.ndarray[Any, Any], firsts: I64
) -> bool:
    """``_fresh_ids`` per symbol; ``order`` sorts by symbol, ``firsts`` are the places where one
    begins, ``lanes`` theirs."""
    if highest(trades.aggressor) >= NOT_MARKET:
        return False
    ids = trades.trade_id[order]
    if int(ids.max()) == -1:
        return True
    heads = all(
        first > lane.trade_id for lane, first in zip(lanes, ids[firsts].tolist(), strict=True)
    )
    if not heads or bool((same & (ids[1:] <= ids[:-1])).any()):
        return False
    lasts = ids[np.append(firsts[1:], len(ids)) - 1].tolist()
    for lane, last in zip(lanes, lasts, strict=True):
        lane.trade_id = last
    return True
