"""The lines of a market's products, and how they change: what NAV samples are read off.

A block of samples takes the lines as they were at its start, and the changes with the sample from which each holds. So
a trade costs one entry, however many products the market has.
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
        records: changes in canonical form, for the digest; whoever takes them empties it.
    """

    __slots__ = ("_changes", "line", "parts", "products", "records")

    def __init__(self, products: tuple[int, ...]) -> None:
        self.products = products
        self.line: F64 = np.zeros((len(products), 3))
        self.parts: I64 = np.zeros((len(products), _PARTS), np.int64)
        self.records = bytearray()
        self._changes: list[LineChange] = []

    def change(self, place: int, account: Account, sample: int) -> None:
        """A product traded: from ``sample`` on (counted from the next block's first) it is on another line."""
        state = account.state
        line = (account.intercept, account.slope, state.since_mark)
        parts = (account.units, *state.attribution)
        self.records += _RECORD.pack(self.products[place], *line, *parts)
        if sample:
            self._changes.append(LineChange(sample, place, line, parts))
        else:
            self._apply(LineChange(0, place, line, parts))

    def take(self, samples: int) -> tuple[tuple[int, ...], F64, I64, tuple[LineChange, ...]]:
        """What a block of so many samples needs; the next one begins where its changes lead."""
        changes = tuple(c for c in self._changes if c.sample < samples)
        later = self._changes[len(changes) :]
        taken = (self.products, self.line.copy(), self.parts.copy(), changes)
        self._changes = []
        for change in changes:
            self._apply(change)
        for change in later:
            if change.sample == samples:
                self._apply(change)
            else:
                left = change.sample - samples
                self._changes.append(LineChange(left, change.place, change.line, change.parts))
        return taken

    def _apply(self, change: LineChange) -> None:
        self.line[change.place] = change.line
        self.parts[change.place] = change.parts
