"""Rows of a capture, gathered into blocks as its lines are read."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.events import Malformed
from engine.ticks import TABLES, Kind, Levels, Step

__all__ = ["Gatherer", "Pairs"]

Pairs = list[tuple[float, float]]
"""Prices of levels with their new sizes; 0 removes a level."""
_SHOWN: Final = 120
"""Characters of a bad line that its refused row quotes."""


class Gatherer:
    """Rows of several kinds and symbols in the order in which they came, until ``flush``.

    Attributes:
        rows: how many wait.
    """

    def __init__(self, symbols: int, first_ns: int) -> None:
        self.rows = 0
        self._one_symbol = symbols == 1
        self._last_ns = first_ns
        self._tables: dict[Kind, list[tuple[Any, ...]]] = {kind: [] for kind in Kind}
        self._pairs: Pairs = []
        self._messages: list[tuple[int, Malformed]] = []

    def _add(self, kind: Kind, *values: Any) -> None:
        self._tables[kind].append((self.rows, *values))
        self.rows += 1

    def _add_levels(
        self, symbol: int, ts_ns: int, ingest_ns: int, bids: Pairs, asks: Pairs, *, image: bool
    ) -> None:
        if bids or asks:
            self._tables[Kind.LEVEL].append(
                (self.rows, symbol, ts_ns, ingest_ns, len(bids), len(asks), image)
            )
            self._pairs += bids
            self._pairs += asks
            self.rows += len(bids) + len(asks)

    def _refuse(self, where: str, why: str, line: bytes, **about: Any) -> None:
        """One row that says why a line, or what it tells of a symbol, is none."""
        shown = line[:_SHOWN].decode("ascii", "backslashreplace")
        self._refused(f"{where}: {why}: {shown}", **about)

    def _refused(self, detail: str, **about: Any) -> None:
        self._messages.append((self.rows, Malformed(ts_ns=self._last_ns, detail=detail, **about)))
        self.rows += 1

    def flush(self) -> Step:
        """The rows gathered so far as one block; the next row is numbered 0 again."""
        tables = []
        for kind, rows in self._tables.items():
            if rows:
                columns = list(zip(*rows, strict=True))
                tables.append(
                    _levels(columns, self._pairs) if kind is Kind.LEVEL else _table(kind, columns)
                )
                rows.clear()
        if self._one_symbol:
            tables = [table.replaced(symbol=0) for table in tables]
        step = Step(first=0, end=self.rows, tables=tuple(tables), messages=tuple(self._messages))
        self._pairs = []
        self._messages = []
        self.rows = 0
        return step


def _table(kind: Kind, columns: list[tuple[Any, ...]]) -> Any:
    cls = TABLES[kind]
    values = {
        name: np.array(column, dtype)
        for (name, dtype), column in zip(cls.VALUES.items(), columns[4:], strict=True)
    }
    return cls(
        sequence=np.array(columns[0], np.int64),
        symbol=np.array(columns[1], np.int32),
        ts_ns=np.array(columns[2], np.int64),
        ingest_ns=np.array(columns[3], np.int64),
        **values,
    )


def _levels(columns: list[tuple[Any, ...]], pairs: Pairs) -> Levels:
    first, symbol, ts_ns, ingest_ns, bids, asks = (np.array(c, np.int64) for c in columns[:6])
    counts = bids + asks
    starts = np.cumsum(counts) - counts
    place = np.arange(len(pairs)) - np.repeat(starts, counts)
    is_bid = place < np.repeat(bids, counts)
    of_image = np.repeat(np.array(columns[6], bool), counts)
    begins = (place == 0) | (place == np.repeat(bids, counts))
    values = np.array(pairs, np.float64).reshape(-1, 2)
    return Levels(
        sequence=np.repeat(first, counts) + place,
        symbol=np.repeat(symbol, counts).astype(np.int32),
        ts_ns=np.repeat(ts_ns, counts),
        ingest_ns=np.repeat(ingest_ns, counts),
        side=np.where(is_bid, 1, -1).astype(np.int8),
        price=np.ascontiguousarray(values[:, 0]),
        size=np.ascontiguousarray(values[:, 1]),
        snapshot=np.where(of_image, np.where(begins, 1, 2), 0).astype(np.int8),
    )
