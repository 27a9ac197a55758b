"""A step as the heart works on it: accepted columns, the clock at each row, and the barriers
between.

Rows of several kinds share one clock: engine time at a row is the running maximum of exchange time
over all kinds and messages up to it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.clock import LEAP_NS, silences
from engine.even_times import rows_up_to
from engine.events import Dated
from engine.groups import Groups
from engine.soundness import is_ascending
from engine.ticks import Kind, Step, Table

__all__ = ["Column", "Rows", "Untimely"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

_NO_ROWS: Final[I64] = np.empty(0, np.int64)
_KINDS: Final = len(Kind)
_CHUNK: Final = 64
"""Rows in which a repetition is looked for first."""


class Untimely(Struct, frozen=True, gc=False):
    """A request or command whose time is not believed; it moves no clock."""

    message: Dated
    reason: str


class Column:
    """Accepted rows of one kind.

    Attributes:
        table: the rows.
        first, end: their lowest place in the input, and one past the highest.
        sequence, run: shape (n,), place in the input, and engine time there (the running maximum).
        prices: shape (n,), what moves prices: price, or mid; ``None`` for kinds without.
        low, high: extremes of ``prices``.
        alone: whether all rows are of one symbol.
    """

    __slots__ = (
        "_answer",
        "_asked",
        "_groups",
        "alone",
        "end",
        "first",
        "high",
        "kind",
        "low",
        "prices",
        "run",
        "sequence",
        "symbol",
        "table",
    )

    def __init__(
        self,
        table: Table,
        run: I64,
        prices: F64 | None,
        low: float,
        high: float,
        groups: Groups | None = None,
    ) -> None:
        self.table = table
        self.kind = table.KIND
        self.sequence = table.sequence
        self.first = table.sequence.item(0)
        self.end = table.sequence.item(-1) + 1
        self.symbol = table.symbol
        self.alone = isinstance(table.symbol, int)
        self.run = run
        self.prices = prices
        self.low = low
        self.high = high
        self._groups = groups
        self._asked = self._answer = -1

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def is_dense(self) -> bool:
        """Whether no input lies between its rows."""
        return self.end - self.first == len(self.sequence)

    def holds(self, kind: Kind | None, symbol: int) -> bool:
        """Whether all its rows are of that kind and symbol."""
        return self.kind is kind and self.symbol == symbol

    def row_at(self, sequence: int) -> int:
        """Index of the first row at or after ``sequence``."""
        first, end, count = self.first, self.end, len(self.sequence)
        if sequence <= first:
            return 0
        if sequence >= end:
            return count
        if end - first == count:
            return sequence - first
        # Who is attended asks for several values as of one place.
        if sequence != self._asked:
            self._asked, self._answer = sequence, int(self.sequence.searchsorted(sequence))
        return self._answer

    def rows_of(self, symbol: int) -> I64 | None:
        """Indices of a symbol's rows; ``None`` where all rows are its own."""
        if self.alone:
            return None if self.symbol == symbol else _NO_ROWS
        bounds = self.groups.bounds.get(symbol)
        return _NO_ROWS if bounds is None else self.groups.order[bounds[0] : bounds[1]]

    @property
    def groups(self) -> Groups:
        """Its rows by symbol, where they are interleaved."""
        if self._groups is None:
            self._groups = Groups(self.table.symbols())
        return self._groups

    def last(self, symbol: int, before: int) -> int:
        """Index of the symbol's last row with a sequence below ``before``; -1 if it has none
        here."""
        return self.last_above(symbol, self.row_at(before))

    def last_above(self, symbol: int, stop: int) -> int:
        """Index of the symbol's last row with an index below ``stop``; -1 if it has none there."""
        if self.alone:
            return stop - 1 if self.symbol == symbol else -1
        if stop == len(self.sequence):
            return self.groups.tails.get(symbol, -1)
        rows = self.rows_of(symbol)
        assert rows is not None
        place = int(rows.searchsorted(stop))
        return rows.item(place - 1) if place else -1

    def repeated_from(self, symbol: int, last: int) -> tuple[int, bool]:
        """The first of the symbol's rows up to ``last`` between which its price never changed, and
        whether it is the symbol's first of all here."""
        rows, prices = self.rows_of(symbol), self.prices
        assert prices is not None
        price = prices.item(last)
        if rows is None:
            stop, before = last, last - 1
        else:
            stop = len(rows) - 1 if rows.item(-1) == last else int(rows.searchsorted(last))
            before = rows.item(stop - 1) if stop else -1
        if before >= 0 and prices.item(before) != price:
            return last, False
        chunk = _CHUNK
        while stop > 0:
            start = max(0, stop - chunk)
            part = slice(start, stop) if rows is None else rows[start:stop]
            other = (prices[part] != price)[::-1]
            back = int(other.argmax())
            if other[back]:
                return (stop - back if rows is None else rows.item(stop - back)), False
            stop = start
            chunk += chunk
        return (0 if rows is None else rows.item(0)), True


class Rows:
    """A step's accepted columns, and what stands between their rows.

    Attributes:
        by_kind: the columns, by kind.
        barriers: ``(sequence, what)`` in order: messages, refused rows, announcements.
        moments: ``(sequence, time)`` of messages that moved engine time.
        floor_ns: engine time before the step.
        silences: ``(from, to)``: stretches without input, from the leap behind its last row on.
        time_ns: engine time after the last tick of the step; messages may be later.
    """

    # ``_clock``: engine time at each place of the input, where several columns share it.
    __slots__ = (
        "_clock",
        "barriers",
        "by_kind",
        "columns",
        "end",
        "first",
        "floor_ns",
        "moments",
        "silences",
        "time_ns",
    )

    def __init__(self, step: Step, time_ns: int) -> None:
        self.first = step.first
        self.end = step.end
        self.columns: list[Column] = []
        self.by_kind: list[Column | None] = [None] * _KINDS
        self.barriers: list[tuple[int, Any]] = list(step.messages)
        self.moments: list[tuple[int, int]] = []
        self.silences: list[tuple[int, int]] = []
        self.floor_ns = time_ns
        self.time_ns = time_ns
        self._clock: I64 | None = None

    @classmethod
    def of(cls, step: Step, time_ns: int, column: Column) -> Rows:
        """A step that is one column, all of it accepted."""
        rows = cls(step, time_ns)
        rows.add(column)
        rows.seal()
        return rows

    def add(self, column: Column) -> None:
        """Take up the column of one kind."""
        self.columns.append(column)
        self.by_kind[column.kind] = column

    def moved(self) -> list[tuple[int, int]]:
        """``(sequence, ts_ns)`` of the messages that may move engine time."""
        return [
            (sequence, message.ts_ns)
            for sequence, message in self.barriers
            if isinstance(message, Dated) and self.floor_ns < message.ts_ns
        ]

    def seal(self) -> None:
        """All columns are in: set the clock."""
        columns = self.columns
        moved = self.moments = self.moved() if self.barriers else []
        if len(columns) > 1 or (columns and moved):
            clock = np.full(self.end - self.first, self.floor_ns)
            for column in columns:
                clock[column.sequence - self.first] = column.run
            for sequence, ts_ns in moved:
                clock[sequence - self.first] = ts_ns
            self._clock = clock
            if not is_ascending(clock):  # else every column is on it already
                np.maximum.accumulate(clock, out=clock)
                for column in columns:
                    column.run = clock[column.sequence - self.first]
        for column in columns:
            self.time_ns = max(self.time_ns, column.run.item(-1))
        last = max(self.time_ns, *(ts_ns for _, ts_ns in moved)) if moved else self.time_ns
        if last - self.floor_ns > LEAP_NS:
            runs = [(column.sequence, column.run) for column in columns]
            self.silences = silences(self.floor_ns, runs, moved)

    def first_after(self, ts_ns: int) -> int:
        """Sequence of the first tick later than ``ts_ns``; ``end`` if there is none."""
        if self._clock is not None and not self.moments:
            return self.first + int(self._clock.searchsorted(ts_ns, "right"))
        found = self.end
        for column in self.columns:
            run = column.run
            if run.item(-1) > ts_ns:
                found = min(found, column.sequence.item(run.searchsorted(ts_ns, "right")))
        return found

    def firsts_after(self, times: I64) -> I64:
        """The first tick or message later than each of the times, which are evenly spaced."""
        if self._clock is not None:
            return rows_up_to(self._clock, times) + self.first
        found = self._ticks_after(times)
        for message, ts_ns in self.moments:
            before = found[: int(times.searchsorted(ts_ns))]
            np.minimum(before, message, out=before)
        return found

    def ticks_after(self, times: I64) -> I64:
        """``first_after`` of each of the times, which are evenly spaced."""
        if self._clock is not None and not self.moments:
            return rows_up_to(self._clock, times) + self.first
        return self._ticks_after(times)

    def _ticks_after(self, times: I64) -> I64:
        found: I64 | None = None
        for column in self.columns:
            places = rows_up_to(column.run, times)
            if places.item(-1) == len(column):
                sequence = np.append(column.sequence, self.end).take(places)
            else:
                sequence = column.sequence.take(places)
            found = sequence if found is None else np.minimum(found, sequence)
        return np.full(len(times), self.end) if found is None else found

    def time_at(self, sequence: int, floor: int) -> int:
        """Engine time once the row ``sequence`` was seen."""
        for column in self.columns:
            place = column.row_at(sequence + 1)
            if place:
                floor = max(floor, column.run.item(place - 1))
        return floor
