"""Ticks: what a market said, as columns.

A ``Step`` holds the rows of the input sequences ``[first, end)`` as one table per kind, symbols
mixed, plus the messages among them. Tables are read-only; a row is named by its ``sequence``, which
counts rows of the input. A ``Tick`` is one row as plain Python numbers, for the live path.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, ClassVar, Final, Self

import numpy as np
from msgspec import Struct

__all__ = ["NOT_MARKET", "NOT_RECORDED_NS", "TABLES", "Bbo", "Funding", "Heartbeats", "Index"]
__all__ += ["Kind", "Levels", "Marks", "Step", "Table", "Tick", "Trades"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
I32 = np.ndarray[Any, np.dtype[np.int32]]
I8 = np.ndarray[Any, np.dtype[np.int8]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

NOT_MARKET: Final = 2
"""``aggressor`` of a print that is no market trade (insurance fund, ADL, settlement): it moves no
price."""


NOT_RECORDED_NS: Final = -(2**63)
"""``ingest_ns`` of a row whose time of receipt nobody recorded, among rows that have theirs."""


class Kind(IntEnum):
    """What a row says."""

    TRADE = 0
    BBO = 1
    MARK = 2
    INDEX = 3
    FUNDING = 4
    LEVEL = 5
    HEARTBEAT = 6


class Table(Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """Rows of one kind, in input order.

    Attributes:
        sequence: shape (n,), strictly increasing place in the input.
        symbol: shape (n,) index of the symbol, or one ``int`` where all rows are of one symbol.
        ts_ns: shape (n,), exchange time.
        ingest_ns: shape (n,), time of receipt, ``NOT_RECORDED_NS`` in rows that have none; ``None``
            where no row has.
    """

    KIND: ClassVar[Kind]
    VALUES: ClassVar[dict[str, str]]

    sequence: I64
    symbol: I32 | int
    ts_ns: I64
    ingest_ns: I64 | None = None

    def __len__(self) -> int:
        return len(self.sequence)

    def values(self) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        """The kind's own columns, in declared order."""
        for name in self.VALUES:
            yield name, getattr(self, name)

    def take(self, rows: Any) -> Self:
        """The rows that a slice, a mask or an index array picks, in that order."""
        return type(self)(
            sequence=self.sequence[rows],
            symbol=self.symbol if isinstance(self.symbol, int) else self.symbol[rows],
            ts_ns=self.ts_ns[rows],
            ingest_ns=None if self.ingest_ns is None else self.ingest_ns[rows],
            **{name: column[rows] for name, column in self.values()},
        )

    def numbered(self, sequence: I64) -> Self:
        """The same rows under other sequence numbers."""
        return self.replaced(sequence=sequence)

    def replaced(self, **columns: Any) -> Self:
        """The same rows with some columns replaced."""
        own: dict[str, Any] = {
            "sequence": self.sequence,
            "symbol": self.symbol,
            "ts_ns": self.ts_ns,
            "ingest_ns": self.ingest_ns,
            **dict(self.values()),
        }
        return type(self)(**{**own, **columns})

    def received_ns(self) -> I64:
        """Shape (n,): the time of receipt of each row, or ``NOT_RECORDED_NS``."""
        if self.ingest_ns is None:
            return np.full(len(self), NOT_RECORDED_NS, np.int64)
        return self.ingest_ns

    def symbols(self) -> I32:
        """Shape (n,): the symbol of each row."""
        if isinstance(self.symbol, int):
            return np.full(len(self), self.symbol, np.int32)
        return self.symbol

    @classmethod
    def concatenated(cls, tables: list[Self]) -> Self:
        """All rows of the tables, one after the other; not empty."""
        if len(tables) == 1:
            return tables[0]
        first = tables[0].symbol
        one_symbol = isinstance(first, int) and all(
            isinstance(t.symbol, int) and t.symbol == first for t in tables
        )
        stamped = any(t.ingest_ns is not None for t in tables)
        return cls(
            sequence=np.concatenate([t.sequence for t in tables]),
            symbol=first if one_symbol else np.concatenate([t.symbols() for t in tables]),
            ts_ns=np.concatenate([t.ts_ns for t in tables]),
            ingest_ns=np.concatenate([t.received_ns() for t in tables]) if stamped else None,
            **{name: np.concatenate([getattr(t, name) for t in tables]) for name in cls.VALUES},
        )


class Trades(Table, frozen=True, kw_only=True, eq=False, gc=False):
    """Prints. ``price`` quote per base, ``size`` in the venue's own unit (coin, or contracts where
    inverse), ``aggressor`` +1 buyer, -1 seller, 0 unknown, ``NOT_MARKET`` for what moves no price;
    ``trade_id`` -1 if none."""

    KIND: ClassVar[Kind] = Kind.TRADE
    VALUES: ClassVar[dict[str, str]] = {
        "price": "f8",
        "size": "f8",
        "aggressor": "i1",
        "trade_id": "i8",
    }
    price: F64
    size: F64
    aggressor: I8
    trade_id: I64


class Bbo(Table, frozen=True, kw_only=True, eq=False, gc=False):
    """Best bid and ask with their sizes."""

    KIND: ClassVar[Kind] = Kind.BBO
    VALUES: ClassVar[dict[str, str]] = {
        "bid": "f8",
        "bid_size": "f8",
        "ask": "f8",
        "ask_size": "f8",
    }
    bid: F64
    bid_size: F64
    ask: F64
    ask_size: F64


class Marks(Table, frozen=True, kw_only=True, eq=False, gc=False):
    """The venue's mark price."""

    KIND: ClassVar[Kind] = Kind.MARK
    VALUES: ClassVar[dict[str, str]] = {"price": "f8"}
    price: F64


class Index(Table, frozen=True, kw_only=True, eq=False, gc=False):
    """The spot reference."""

    KIND: ClassVar[Kind] = Kind.INDEX
    VALUES: ClassVar[dict[str, str]] = {"price": "f8"}
    price: F64


class Funding(Table, frozen=True, kw_only=True, eq=False, gc=False):
    """``rate``: share of notional that longs pay shorts at ``next_ns``; the last row before then
    counts."""

    KIND: ClassVar[Kind] = Kind.FUNDING
    VALUES: ClassVar[dict[str, str]] = {"rate": "f8", "next_ns": "i8"}
    rate: F64
    next_ns: I64


class Levels(Table, frozen=True, kw_only=True, eq=False, gc=False):
    """Changes of the L2 book: ``side`` +1 bid, -1 ask; ``size`` is the new size at ``price``, 0
    removes it; ``snapshot`` 1 on the first row of a new image (the side's old levels are dropped),
    2 on its further rows, else 0."""

    KIND: ClassVar[Kind] = Kind.LEVEL
    VALUES: ClassVar[dict[str, str]] = {"side": "i1", "price": "f8", "size": "f8", "snapshot": "i1"}
    side: I8
    price: F64
    size: F64
    snapshot: I8


class Heartbeats(Table, frozen=True, kw_only=True, eq=False, gc=False):
    """Nothing but the time: quiet markets need it for their alarms."""

    KIND: ClassVar[Kind] = Kind.HEARTBEAT
    VALUES: ClassVar[dict[str, str]] = {}


TABLES: Final[tuple[type[Table], ...]] = (Trades, Bbo, Marks, Index, Funding, Levels, Heartbeats)
"""Table classes, indexed by ``Kind``."""


class Step(Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """Consecutive rows of the input.

    Attributes:
        first: sequence of the first row.
        end: one past the last; ``end - first`` rows are in the tables and messages together.
        tables: at most one table per kind, in the order of ``Kind``; none is empty.
        messages: ``(sequence, message)`` in sequence order: requests and other input that is not a
            tick.
    """

    first: int
    end: int
    tables: tuple[Table, ...] = ()
    messages: tuple[tuple[int, Any], ...] = ()

    def __len__(self) -> int:
        return self.end - self.first

    def table(self, kind: Kind) -> Table | None:
        """The table of that kind, if the step has rows of it."""
        for table in self.tables:
            if table.KIND is kind:
                return table
        return None

    def shifted(self, offset: int) -> Step:
        """The same rows, ``offset`` later in the input."""
        if not offset:
            return self
        return Step(
            first=self.first + offset,
            end=self.end + offset,
            tables=tuple(t.numbered(t.sequence + offset) for t in self.tables),
            messages=tuple((sequence + offset, m) for sequence, m in self.messages),
        )

    def between(self, first: int, end: int) -> Step:
        """The rows of the sequences ``[first, end)``, which must lie in the step."""
        tables = []
        for table in self.tables:
            low, high = np.searchsorted(table.sequence, (first, end))
            if low < high:
                tables.append(table.take(slice(int(low), int(high))))
        messages = tuple((s, m) for s, m in self.messages if first <= s < end)
        return Step(first=first, end=end, tables=tuple(tables), messages=messages)


class Tick(Struct, frozen=True, array_like=True, gc=False):
    """One row as plain numbers: what a single live message carries.

    ``values`` are the kind's own columns in declared order (``Table.VALUES``), numbers only.
    """

    kind: int
    symbol: int
    ts_ns: int
    values: tuple[float, ...]
    ingest_ns: int | None = None

    def step(self, sequence: int) -> Step:
        """A step of this one row."""
        cls = TABLES[self.kind]
        if len(self.values) != len(cls.VALUES):
            raise ValueError(
                f"a {Kind(self.kind).name} row has {len(cls.VALUES)} values, not {len(self.values)}"
            )
        columns = zip(cls.VALUES.items(), self.values, strict=True)
        table = cls(
            sequence=np.array([sequence], np.int64),
            symbol=self.symbol,
            ts_ns=np.array([self.ts_ns], np.int64),
            ingest_ns=None if self.ingest_ns is None else np.array([self.ingest_ns], np.int64),
            **{name: np.array([value], dtype) for (name, dtype), value in columns},
        )
        return Step(first=sequence, end=sequence + 1, tables=(table,))
