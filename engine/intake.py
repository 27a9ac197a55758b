"""What is accepted of a step: finite, positive, in time, once, and no absurd jump.

A block in which nothing is suspicious costs a handful of vector operations; only a block with a
doubtful row is walked row by row, under the same rules. What is refused becomes a barrier with its
reason; nothing is repaired.

Times come first, over all kinds together (``engine.clock``). Then, per (symbol, kind):

- Lateness: a late trade is no error, it only moves no price; neither does a print that is no market
  trade.
- Prices: one more than 100 times away from the last is refused until three in a row agree within
  twice of one another; one more than 1,000 times away is never believed, however often it comes.
- Trade ids: one that is not above the last is a duplicate (``engine.lanes``: a stray one makes no
  duplicates of those that follow).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.clock import EPOCH_END_NS, Clock
from engine.groups import Groups
from engine.lanes import Lane, fresh_ids_mixed, learn_id, newest_id
from engine.rows import Column, Rows, Untimely
from engine.soundness import (
    CONFIRMATIONS,
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

__all__ = ["JUMP_FACTOR", "JUMP_FACTOR_MAX", "Intake", "Rejection"]

JUMP_FACTOR: Final = 100.0
JUMP_FACTOR_MAX: Final = 1_000.0
_CALM: Final = 10.0
"""Within a tenth and ten times the last price no two neighbours can be a jump apart."""
_AGREE: Final = 2.0


class Rejection(Struct, frozen=True, gc=False):
    """A refused row."""

    reason: str
    symbol: int
    kind: Kind
    ts_ns: int
    detail: str


_TRADE: Final = Kind.TRADE  # looked up once; see ``folding``


class Intake:
    """Judges rows; remembers per lane what the next one is judged by."""

    __slots__ = ("clock", "lanes", "symbols")

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols
        self.clock = Clock()
        self.lanes = [[Lane() for _ in range(symbols)] for _ in Kind]

    def accept(self, step: Step, time_ns: int, refused: dict[int, str]) -> Rows:
        """The step's good rows, and a barrier for each that was refused.

        Args:
            time_ns: engine time before the step.
            refused: what ``clock`` refused of it.
        """
        rows, tables = Rows(step, time_ns), list(step.tables)
        if refused:
            tables = _believed(rows, tables, refused)
        for table in tables:
            whole = self.whole(table, time_ns)
            column = self._walk(table, rows) if whole is None else whole
            if column is not None:
                rows.add(column)
        if len(rows.barriers) > len(step.messages):
            rows.barriers.sort(key=_place)
        rows.seal()
        return rows

    def whole(self, table: Table, time_ns: int) -> Column | None:
        """One of a step's tables, if nothing in it is suspicious."""
        symbol, ts = table.symbol, table.ts_ns
        if not isinstance(symbol, int):
            return self._fast_mixed(table, time_ns)
        if not 0 <= symbol < self.symbols or not is_ascending(ts):
            return None
        lane = self.lanes[table.KIND][symbol]
        first, last = ts.item(0), ts.item(-1)
        if first < lane.ts_ns:
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
        known_id = newest_id(table, lane) if table.KIND is _TRADE else lane.trade_id
        if known_id is None:
            return None
        lane.ts_ns, lane.trade_id = last, known_id
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
        groups = Groups(symbols)
        order, whose, firsts = groups.order, groups.whose, groups.firsts
        ascending = is_ascending(ts)
        if not ascending:
            own_ts = ts[order]
            if bool(((whose[1:] == whose[:-1]) & (own_ts[1:] < own_ts[:-1])).any()):
                return None
        prices, low, high = prices_of(table)
        lanes = [self.lanes[table.KIND][symbol] for symbol in groups.bounds]
        for lane, when_ns in zip(lanes, ts[order[firsts]].tolist(), strict=True):
            if when_ns < lane.ts_ns or lane.suspects:
                return None
        if prices is not None:
            if not low > 0.0:
                return None
            own = prices.take(order)
            known = np.array([lane.price for lane in lanes])
            known = np.where(known > 0.0, known, own[firsts])
            least, most = np.minimum.reduceat(own, firsts), np.maximum.reduceat(own, firsts)
            if not ((least > known / _CALM) & (most < known * _CALM)).all():
                return None
            groups.extremes = least, most
        elif not is_sound(table):
            return None
        if isinstance(table, Trades) and not fresh_ids_mixed(table, lanes, groups):
            return None
        for lane, (start, end) in zip(lanes, groups.bounds.values(), strict=True):
            last_row = order.item(end - 1)
            lane.ts_ns = ts.item(last_row)
            lane.rows += end - start
            if prices is not None:
                lane.price = prices.item(last_row)
        run = ts if ts.item(0) >= time_ns else np.maximum(ts, time_ns)
        run = run if ascending else np.maximum.accumulate(run)
        return Column(table, run, prices, low, high, groups)

    def _walk(self, table: Table, rows: Rows) -> Column | None:
        """Row by row: the rules as they are meant."""
        keep = np.zeros(len(table), bool)
        symbols, known = table.symbols().tolist(), prices_of(table)[0]
        for row, sequence in enumerate(table.sequence.tolist()):
            symbol, ts = symbols[row], int(table.ts_ns[row])
            price = 0.0 if known is None else float(known[row])
            reason = self._judge(table, row, symbol, ts, price)
            if reason is None:
                keep[row] = True
            elif reason:
                rejection = Rejection(reason, symbol, table.KIND, ts, detail(table, row))
                rows.barriers.append((sequence, rejection))
        if not keep.any():
            return None
        return _column(table if keep.all() else table.take(keep), rows.floor_ns)

    def _judge(self, table: Table, row: int, symbol: int, ts: int, price: float) -> str | None:
        """``None`` accepts; a reason refuses; an empty reason keeps the row from moving a price,
        without an error."""
        kind = table.KIND
        if ts < EPOCH_END_NS:
            return "clock_jump"
        if not 0 <= symbol < self.symbols:
            return "unknown_symbol"
        lane = self.lanes[kind][symbol]
        reason = flaw(table, row)
        if reason is not None:
            return reason
        trade_id = int(table.trade_id[row]) if isinstance(table, Trades) else -1
        if 0 <= trade_id <= lane.trade_id or (lane.leaps and trade_id == lane.leapt_id):
            return "duplicate"
        late = ts < lane.ts_ns
        if late and kind is not _TRADE:
            return "late"
        counts = not late and not (isinstance(table, Trades) and table.aggressor[row] == NOT_MARKET)
        leaps = kind in PRICED and lane.price and not _near(price, lane.price, JUMP_FACTOR)
        if counts and leaps and not self._confirmed(lane, price):
            return "jump"
        # Only now: the id of a refused row must not make its neighbours duplicates.
        learn_id(lane, trade_id)
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
        if not _near(price, lane.price, JUMP_FACTOR_MAX):
            return False
        agrees = lane.suspects and _near(price, lane.suspect, _AGREE)
        lane.suspects = lane.suspects + 1 if agrees else 1
        lane.suspect = price
        return lane.suspects >= CONFIRMATIONS


def _believed(rows: Rows, tables: list[Table], refused: dict[int, str]) -> list[Table]:
    """The rows whose time is believed; the others become barriers."""
    rows.barriers = [
        (sequence, Untimely(message, refused[sequence]) if sequence in refused else message)
        for sequence, message in rows.barriers
    ]
    places, kept = np.array(list(refused), np.int64), []
    for table in tables:
        bad = np.isin(table.sequence, places)
        for row in np.flatnonzero(bad).tolist():
            sequence, symbol = int(table.sequence[row]), int(table.symbols()[row])
            ts, told = int(table.ts_ns[row]), detail(table, row)
            rejection = Rejection(refused[sequence], symbol, table.KIND, ts, told)
            rows.barriers.append((sequence, rejection))
        if not bad.all():
            kept.append(table.take(~bad) if bad.any() else table)
    return kept


def _column(table: Table, time_ns: int) -> Column:
    run = np.maximum.accumulate(np.maximum(table.ts_ns, time_ns))
    return Column(table, run, *prices_of(table))


def _place(barrier: tuple[int, Any]) -> int:
    return barrier[0]


def _near(price: float, other: float, factor: float) -> bool:
    return other < price * factor and price < other * factor
