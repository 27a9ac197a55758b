"""A crowd as it stood at earlier instants: a copy of its columns now and then, and what changed
since, row by row. A sample reads it long after the rows have moved on.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from engine.venue.exact_columns import F64, I64

__all__ = ["Columns", "History", "Version", "Versions"]

Columns = dict[str, I64 | F64]
"""``lots``, ``cash``, ``cost`` and ``leverage`` of every row."""


class History:
    """One copy, and the changes since.

    Args:
        columns: as they are now; they are copied.
    """

    __slots__ = ("_changes", "_first", "_noted")

    def __init__(self, columns: Columns) -> None:
        self._first: Columns = {name: column.copy() for name, column in columns.items()}
        self._changes: list[tuple[I64, Columns]] = []
        self._noted = 0

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def rows(self) -> int:
        """How many the crowd has."""
        return len(self._first["lots"])

    @property
    def is_long(self) -> bool:
        """Whether a new copy is less to keep."""
        return self._noted > self.rows

    def note(self, rows: I64, columns: Columns) -> None:
        """These rows are otherwise now."""
        self._changes.append((rows, {name: column[rows] for name, column in columns.items()}))
        self._noted += len(rows)

    def at(self, count: int) -> Columns:
        """The columns after so many changes."""
        found: Columns = {name: column.copy() for name, column in self._first.items()}
        for rows, columns in self._changes[:count]:
            for name, column in columns.items():
                found[name][rows] = column
        return found


Version = tuple[History, int]
"""A history, and how many of its changes had come."""


class Versions:
    """What is kept of a crowd's columns, by those who ask.

    Args:
        columns: what they are now.
    """

    __slots__ = ("_columns", "_hashes", "_history")

    def __init__(self, columns: Callable[[], Columns]) -> None:
        self._columns = columns
        self._hashes: list[bytes] | None = None
        self._history: History | None = None

    def latest(self) -> Version:
        """What they are now, to be read later."""
        if self._history is None:
            self._history = History(self._columns())
        return self._history, len(self._history)

    def note(self, rows: I64) -> None:
        """These rows have changed."""
        self._hashes = None
        if self._history is not None:
            self._history.note(rows, self._columns())
            if self._history.is_long:
                self._history = None

    def renew(self) -> None:
        """All rows have changed."""
        self._hashes = self._history = None

    def hashes(self) -> list[bytes]:
        """Of each column as it is."""
        if self._hashes is None:
            self._hashes = [sha256(column.data).digest() for column in self._columns().values()]
        return self._hashes
