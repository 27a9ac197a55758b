"""What is accepted of a step: finite, positive, in time, once, and no absurd jump.

A block in which nothing is suspicious costs a handful of vector operations; only a block with a doubtful row is walked row
by row, under the same rules. What is refused becomes a barrier with its reason; nothing is repaired.

Lateness is per (symbol, kind). A late trade is no error, it only moves no price; neither does a print that is no market
trade. A price more than 100 times away from the last is refused until three in a row agree with one another.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.events import CreationRequest, RedemptionRequest
from engine.ticks import NOT_MARKET, Bbo, Funding, Kind, Levels, Step, Table, Trades
from engine.units import DAY_NS, NEVER_NS

__all__ = ["JUMP_FACTOR", "Column", "Intake", "Lane", "Rejection", "Rows"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

JUMP_FACTOR: Final = 100.0
_CALM: Final = 10.0
"""Within a tenth and ten times the last price no two neighbours can be a jump apart."""
_CONFIRMATIONS: Final = 3
_AGREE: Final = 2.0
_CLOCK_JUMP_NS: Final = 400 * DAY_NS
_PRICED: Final = (Kind.TRADE, Kind.BBO, Kind.MARK, Kind.INDEX)


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


class Column:
    """Accepted rows of one kind.

    Attributes:
        table: the rows.
        sequence, run: shape (n,), place in the input, and engine time there (the running maximum).
        prices: shape (n,), what moves prices: price, or mid; ``None`` for kinds without.
        low, high: extremes of ``prices``.
    """

    __slots__ = ("_rows", "high", "kind", "low", "prices", "run", "sequence", "symbol", "table")

    def __init__(self, table: Table, run: I64, prices: F64 | None, low: float, high: float) -> None:
        self.table = table
        self.kind = table.KIND
        self.sequence = table.sequence
        self.symbol = table.symbol
        self.run = run
        self.prices = prices
        self.low = low
        self.high = high
        self._rows: dict[int, I64] = {}

    def __len__(self) -> int:
        return len(self.sequence)

    def row_at(self, sequence: int) -> int:
        """Index of the first row at or after ``sequence``."""
        numbers = self.sequence
        count = len(numbers)
        first = int(numbers[0])
        if sequence <= first:
            return 0
        if sequence > int(numbers[-1]):
            return count
        if int(numbers[-1]) - first == count - 1:
            return sequence - first
        return int(numbers.searchsorted(sequence))

    def rows_of(self, symbol: int) -> I64 | None:
        """Indices of a symbol's rows; ``None`` where all rows are its own."""
        if isinstance(self.symbol, int):
            return None if self.symbol == symbol else _NO_ROWS
        rows = self._rows.get(symbol)
        if rows is None:
            rows = self._rows[symbol] = np.flatnonzero(self.symbol == symbol)
        return rows

    def last(self, symbol: int, before: int) -> int:
        """Index of the symbol's last row with a sequence below ``before``; -1 if it has none here."""
        stop = self.row_at(before)
        rows = self.rows_of(symbol)
        if rows is None:
            return stop - 1
        place = int(rows.searchsorted(stop))
        return int(rows[place - 1]) if place else -1


_NO_ROWS: Final[I64] = np.empty(0, np.int64)


class Rows:
    """A step as the heart works on it: accepted columns, and the barriers between them."""

    __slots__ = (
        "barriers",
        "by_kind",
        "columns",
        "end",
        "first",
        "floor_ns",
        "moments",
        "time_ns",
    )

    def __init__(self, step: Step, time_ns: int) -> None:
        self.first = step.first
        self.end = step.end
        self.columns: list[Column] = []
        self.by_kind: list[Column | None] = [None] * len(Kind)
        self.barriers: list[tuple[int, Any]] = list(step.messages)
        self.moments: list[tuple[int, int]] = []
        """``(sequence, time)`` of messages that moved engine time."""
        self.floor_ns = time_ns
        self.time_ns = time_ns
        """Engine time after the last tick of the step; messages may be later."""

    def add(self, column: Column) -> None:
        """Take up the column of one kind."""
        self.columns.append(column)
        self.by_kind[column.kind] = column

    def moved(self) -> list[tuple[int, int]]:
        """``(sequence, ts_ns)`` of the messages that may move engine time."""
        return [
            (sequence, message.ts_ns)
            for sequence, message in self.barriers
            if isinstance(message, CreationRequest | RedemptionRequest)
            and self.floor_ns < message.ts_ns
        ]

    def seal(self) -> None:
        """All columns are in: engine time at a row is the running maximum over all kinds and messages up to it."""
        moved = self.moved()
        self.moments = moved
        if len(self.columns) > 1 or (self.columns and moved):
            clock = np.full(self.end - self.first, self.floor_ns)
            for column in self.columns:
                clock[column.sequence - self.first] = column.run
            for sequence, ts_ns in moved:
                clock[sequence - self.first] = ts_ns
            np.maximum.accumulate(clock, out=clock)
            for column in self.columns:
                column.run = clock[column.sequence - self.first]
        for column in self.columns:
            self.time_ns = max(self.time_ns, int(column.run[-1]))

    def first_after(self, ts_ns: int) -> int:
        """Sequence of the first tick later than ``ts_ns``; ``end`` if there is none."""
        found = self.end
        for column in self.columns:
            run = column.run
            if run[-1] > ts_ns:
                found = min(found, int(column.sequence[run.searchsorted(ts_ns, "right")]))
        return found

    def firsts_after(self, times: I64) -> I64:
        """The first tick or message later than each of the ascending times."""
        found: I64 | None = None
        for column in self.columns:
            places = column.run.searchsorted(times, "right")
            if int(places[-1]) == len(column):
                sequence = np.append(column.sequence, self.end).take(places)
            else:
                sequence = column.sequence.take(places)
            found = sequence if found is None else np.minimum(found, sequence)
        if found is None:
            found = np.full(len(times), self.end)
        for sequence, ts_ns in self.moments:
            found[: int(times.searchsorted(ts_ns))] = np.minimum(
                found[: int(times.searchsorted(ts_ns))], sequence
            )
        return found

    def time_at(self, sequence: int, floor: int) -> int:
        """Engine time once the row ``sequence`` was seen."""
        for column in self.columns:
            place = column.row_at(sequence + 1)
            if place:
                floor = max(floor, int(column.run[place - 1]))
        return floor


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
        messages = len(rows.barriers)
        if _leaps(step, time_ns):
            columns = self._walk(step.tables, rows)
        else:
            columns = []
            for table in step.tables:
                column = self._fast(table, time_ns)
                columns += self._walk((table,), rows) if column is None else [column]
        for column in columns:
            rows.add(column)
        if len(rows.barriers) > messages:
            rows.barriers.sort(key=_place)
        rows.seal()
        return rows

    def _fast(self, table: Table, time_ns: int) -> Column | None:
        """The whole table, if nothing in it is suspicious."""
        ts = table.ts_ns
        in_order = len(ts) == 1 or bool((ts[1:] >= ts[:-1]).all())
        symbol = table.symbol
        if not isinstance(symbol, int) or not in_order:
            return None if isinstance(symbol, int) else self._fast_mixed(table, in_order, time_ns)
        if not 0 <= symbol < self.symbols:
            return None
        lane = self.lanes[table.KIND][symbol]
        first, last = int(ts[0]), int(ts[-1])
        if first < lane.ts_ns or first < 0 or last >= NEVER_NS:
            return None
        prices, low, high = _prices(table)
        if prices is not None:
            known = lane.price or float(prices[0])
            if not (known / _CALM < low and high < known * _CALM and high < np.inf):
                return None
            if lane.suspects:
                return None
        elif not _sound(table):
            return None
        if isinstance(table, Trades) and not _fresh_ids(table, lane):
            return None
        lane.ts_ns = last
        lane.rows += len(ts)
        if prices is not None:
            lane.price = float(prices[-1])
        run = ts if first >= time_ns else np.maximum(ts, time_ns)
        return Column(table, run, prices, low, high)

    def _fast_mixed(self, table: Table, in_order: bool, time_ns: int) -> Column | None:
        """``_fast`` for interleaved symbols: each row is compared with its own lane and its own predecessor."""
        symbols = table.symbols()
        ts = table.ts_ns
        if symbols.min() < 0 or symbols.max() >= self.symbols or ts.min() < 0:
            return None
        if int(ts.max()) >= NEVER_NS:
            return None
        order = symbols.astype(np.int16).argsort(kind="stable")
        whose, when = symbols[order], ts[order]
        same = whose[1:] == whose[:-1]
        firsts = np.flatnonzero(np.concatenate([[True], ~same]))
        lanes = self.lanes[table.KIND]
        if not in_order and bool((same & (when[1:] < when[:-1])).any()):
            return None
        prices, low, high = _prices(table)
        for place in firsts:
            lane = lanes[whose[place]]
            if when[place] < lane.ts_ns or lane.suspects:
                return None
        if isinstance(table, Trades) and not _fresh_ids_mixed(table, lanes, order, same, firsts):
            return None
        if prices is not None:
            if not low > 0.0:
                return None
            known = np.array([lane.price for lane in lanes])
            sorted_prices = prices[order]
            heads = whose[firsts]
            known[heads] = np.where(known[heads] > 0.0, known[heads], sorted_prices[firsts])
            own = known[symbols]
            if not bool(((prices > own / _CALM) & (prices < own * _CALM)).all()):
                return None
        elif not _sound(table):
            return None
        lasts = np.concatenate([firsts[1:], [len(whose)]]) - 1
        for first_place, place in zip(firsts.tolist(), lasts.tolist(), strict=True):
            lane = lanes[whose[place]]
            lane.ts_ns = int(when[place])
            lane.rows += place - first_place + 1
            if prices is not None:
                lane.price = float(sorted_prices[place])
        run = np.maximum.accumulate(np.maximum(ts, time_ns))
        return Column(table, run, prices, low, high)

    def _walk(self, tables: tuple[Table, ...], rows: Rows) -> list[Column]:
        """Row by row, in the order of the input: the rules as they are meant."""
        keep = [np.zeros(len(table), bool) for table in tables]
        symbols = [table.symbols().tolist() for table in tables]
        prices = [_prices(table)[0] for table in tables]
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
                rejection = Rejection(reason, symbol, table.KIND, ts, _detail(table, row))
                rows.barriers.append((sequence, rejection))
        return [
            _column(table if kept.all() else table.take(kept), rows.floor_ns)
            for table, kept in zip(tables, keep, strict=True)
            if kept.any()
        ]

    def _judge(
        self, table: Table, row: int, symbol: int, ts: int, price: float, clock: int
    ) -> str | None:
        """``None`` accepts; a reason refuses; an empty reason keeps the row from moving a price, without an error."""
        kind = table.KIND
        if not 0 <= symbol < self.symbols:
            return "unknown_symbol"
        lane = self.lanes[kind][symbol]
        reason = _flaw(table, row)
        if reason is not None:
            return reason
        if ts < 0 or ts >= NEVER_NS or (clock and ts - clock > _CLOCK_JUMP_NS):
            return "clock_jump"
        if isinstance(table, Trades):
            trade_id = int(table.trade_id[row])
            if 0 <= trade_id <= lane.trade_id:
                return "duplicate"
            lane.trade_id = max(lane.trade_id, trade_id)
        if ts < lane.ts_ns:
            if kind is Kind.TRADE:
                lane.late_trades += 1
                return ""
            return "late"
        if isinstance(table, Trades) and table.aggressor[row] == NOT_MARKET:
            lane.off_market += 1
            return ""
        if kind in _PRICED and lane.price and not _near(price, lane.price, JUMP_FACTOR):
            if not self._confirmed(lane, price):
                return "jump"
        lane.suspects = 0
        lane.ts_ns = ts
        lane.rows += 1
        if kind in _PRICED:
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
    if not step.tables:
        return False
    since = time_ns or min(int(table.ts_ns.min()) for table in step.tables)
    return max(int(table.ts_ns.max()) for table in step.tables) - since > _CLOCK_JUMP_NS


def _column(table: Table, time_ns: int) -> Column:
    run = np.maximum.accumulate(np.maximum(table.ts_ns, time_ns))
    return Column(table, run, *_prices(table))


def _place(barrier: tuple[int, Any]) -> int:
    return barrier[0]


def _near(price: float, other: float, factor: float) -> bool:
    return other < price * factor and price < other * factor


def _prices(table: Table) -> tuple[F64 | None, float, float]:
    """Prices of the rows with their extremes; the low is -1 where a row of a book is crossed or has a bad size."""
    if isinstance(table, Bbo):
        with np.errstate(invalid="ignore", over="ignore"):
            prices = (table.bid + table.ask) * 0.5
        sound = bool((table.bid < table.ask).all()) and table.bid.min() > 0.0
        sound = sound and table.bid_size.min() >= 0.0 and table.ask_size.min() >= 0.0
    elif table.KIND in _PRICED:
        prices = table.price  # type: ignore[attr-defined]
        sound = not isinstance(table, Trades) or bool(table.size.min() >= 0.0)
    else:
        return None, 0.0, 0.0
    low = float(np.minimum.reduce(prices)) if sound else -1.0
    return prices, low, float(np.maximum.reduce(prices))


def _sound(table: Table) -> bool:
    if isinstance(table, Levels):
        return bool(
            table.price.min() > 0.0 and table.price.max() < np.inf and table.size.min() >= 0.0
        )
    if isinstance(table, Funding):
        return bool(np.abs(table.rate).max() < 1.0)
    return True


def _fresh_ids(trades: Trades, lane: Lane) -> bool:
    ids = trades.trade_id
    if trades.aggressor.max() >= NOT_MARKET:
        return False
    if ids[0] == -1 and ids[-1] == -1 and ids.max() == -1:
        return True
    if ids[0] <= lane.trade_id or not (len(ids) == 1 or bool((ids[1:] > ids[:-1]).all())):
        return False
    lane.trade_id = int(ids[-1])
    return True


def _fresh_ids_mixed(
    trades: Trades, lanes: list[Lane], order: I64, same: np.ndarray[Any, Any], firsts: I64
) -> bool:
    """``_fresh_ids`` per symbol; ``order`` sorts by symbol, ``firsts`` are the places where a symbol begins."""
    if trades.aggressor.max() >= NOT_MARKET:
        return False
    ids = trades.trade_id[order]
    if int(ids.max()) == -1:
        return True
    whose = trades.symbols()[order]
    heads = all(ids[place] > lanes[whose[place]].trade_id for place in firsts)
    if not heads or bool((same & (ids[1:] <= ids[:-1])).any()):
        return False
    for place in np.concatenate([firsts[1:], [len(ids)]]) - 1:
        lanes[whose[place]].trade_id = int(ids[place])
    return True


def _flaw(table: Table, row: int) -> str | None:
    """Why a row's own numbers cannot be used."""
    if isinstance(table, Funding):
        return None if abs(float(table.rate[row])) < 1.0 else "not_finite"
    if isinstance(table, Bbo):
        bid, ask = float(table.bid[row]), float(table.ask[row])
        if not (np.isfinite(bid) and np.isfinite(ask)):
            return "not_finite"
        if bid <= 0.0 or ask <= 0.0:
            return "not_positive"
        sizes = float(table.bid_size[row]) >= 0.0 and float(table.ask_size[row]) >= 0.0
        return ("crossed" if bid >= ask else None) if sizes else "not_finite"
    if table.KIND in _PRICED or isinstance(table, Levels):
        price = float(table.price[row])  # type: ignore[attr-defined]
        if not np.isfinite(price):
            return "not_finite"
        if price <= 0.0:
            return "not_positive"
        if isinstance(table, Trades | Levels) and not float(table.size[row]) >= 0.0:
            return "not_finite"
    return None


def _detail(table: Table, row: int) -> str:
    return " ".join(f"{name}={column[row].item()!r}" for name, column in table.values())
