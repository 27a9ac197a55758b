"""The lines of a market's products, and how they change: what NAV samples are read off.

A block of samples takes the lines as they were at its start, and the changes with the sample from
which each holds. So a trade costs one entry, however many products the market has.
"""

from __future__ import annotations

from struct import Struct as Packer
from typing import Any, Final

import numpy as np

from engine.account import Account
from engine.outputs import ATTRIBUTION, LineChange

__all__ = ["LINE_BYTES", "Lines"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_PARTS: Final = 1 + len(ATTRIBUTION)
_RECORD: Final = Packer(f"<i3d{_PARTS}q")
LINE_BYTES: Final = _RECORD.size


class Lines:
    """One market's lines.

    Attributes:
        products: indices of the products, in declared order.
        line, parts: as in ``NavBlock``, at the next block's first sample; blocks share them until
            a line changes.
    """

    __slots__ = ("_changes", "_records", "_shared", "has_records", "line", "parts", "products")

    def __init__(self, products: tuple[int, ...]) -> None:
        self.products = products
        self.line: F64 = np.zeros((len(products), 3))
        self.parts: I64 = np.zeros((len(products), _PARTS), np.int64)
        self._records = bytearray()
        self.has_records = False
        self._changes: list[LineChange] = []
        self._shared = False

    def change(self, place: int, account: Account, sample: int) -> None:
        """A product traded: from ``sample`` on (counted from the next block's first) it is on
        another line."""
        state = account.state
        line = (account.intercept, account.slope, state.since_mark)
        parts = (account.units, *state.attribution)
        self.has_records = True
        self._records += _RECORD.pack(self.products[place], *line, *parts)
        self._changes.append(LineChange(sample, place, line, parts))

    def take(self, samples: int) -> tuple[tuple[int, ...], F64, I64, tuple[LineChange, ...]]:
        """What a block of so many samples needs; the next one begins where its changes lead."""
        if not self._changes:
            self._shared = True
            return self.products, self.line, self.parts, ()
        self.settle()
        self._shared = True
        changes = tuple(c for c in self._changes if c.sample < samples)
        taken = (self.products, self.line, self.parts, changes)
        self._changes = [
            LineChange(max(c.sample - samples, 0), c.place, c.line, c.parts) for c in self._changes
        ]
        return taken

    def records(self) -> bytes:
        """The changes since the last call in canonical form, for the digest."""
        self.settle()
        self.has_records = False
        records = bytes(self._records)
        self._records.clear()
        return records

    def settle(self) -> None:
        """Bring ``line`` and ``parts`` up to date: changes that hold from the next sample on are
        put in together, when somebody wants to see them."""
        last = {change.place: change for change in self._changes if not change.sample}
        if not last:
            return
        if self._shared:
            self.line, self.parts, self._shared = self.line.copy(), self.parts.copy(), False
        places = list(last)
        self.line[places] = [change.line for change in last.values()]
        self.parts[places] = [change.parts for change in last.values()]
        self._changes = [change for change in self._changes if change.sample]
