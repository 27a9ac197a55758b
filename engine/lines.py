"""The lines of a market's products, and how they change: what NAV samples are read off.

A block of samples takes the lines as they were at its start, and the changes with the sample from
which each holds. So a trade costs one entry, however many products the market has.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

from engine.account import Account
from engine.errors import OutOfRangeError
from engine.outputs import ATTRIBUTION, LineChange

__all__ = ["LINE_BYTES", "Lines"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_PARTS: Final = 1 + len(ATTRIBUTION)
_RECORD: Final = struct.Struct(f"<i3d{_PARTS}q")
LINE_BYTES: Final = _RECORD.size
_MOST: Final = 2**62
"""Of lots and atoms: twice as many, a fill that turns a position round, still fit 64 bits."""


class Lines:
    """One market's lines.

    Attributes:
        products: indices of the products, in declared order.
        line, parts: as in ``NavBlock``, at the next block's first sample; blocks share them until
            a line changes.
    """

    __slots__ = (
        "_later",
        "_now",
        "_records",
        "_shared",
        "has_records",
        "line",
        "parts",
        "products",
    )

    def __init__(self, products: tuple[int, ...]) -> None:
        self.products = products
        self.line: F64 = np.zeros((len(products), 3))
        self.parts: I64 = np.zeros((len(products), _PARTS), np.int64)
        self._records: list[bytes] = []
        self.has_records = False
        self._now: dict[int, tuple[tuple[float, ...], tuple[int, ...]]] = {}
        self._later: list[LineChange] = []
        self._shared = False

    def change(self, place: int, account: Account, sample: int) -> None:
        """A product traded: from ``sample`` on (counted from the next block's first) it is on
        another line.

        Raises:
            OutOfRangeError: if it grew beyond 64 bits.
        """
        state = account.state
        for amount in (account.lots, account.cash, state.since_nav):
            if not -_MOST < amount < _MOST:
                raise OutOfRangeError(account.spec.id)
        line = (account.intercept, account.slope, state.since_mark)
        parts = (account.units, *state.attribution)
        self.has_records = True
        try:
            self._records.append(_RECORD.pack(self.products[place], *line, *parts))
        except struct.error:
            raise OutOfRangeError(account.spec.id) from None
        if sample:
            self._later.append(LineChange(sample, place, line, parts))
        else:
            self._now[place] = line, parts

    def take(self, samples: int) -> tuple[tuple[int, ...], F64, I64, tuple[LineChange, ...]]:
        """What a block of so many samples needs; the next one begins where its changes lead."""
        self.settle()
        self._shared = True
        taken = self.products, self.line, self.parts
        if not self._later:
            return *taken, ()
        changes, self._later = self._later, []
        for change in changes:
            if change.sample > samples:
                left = change.sample - samples
                self._later.append(LineChange(left, change.place, change.line, change.parts))
            else:
                self._now[change.place] = change.line, change.parts
        return *taken, tuple(change for change in changes if change.sample < samples)

    def records(self) -> bytes:
        """The changes since the last call in canonical form, for the digest."""
        records, self._records = b"".join(self._records), []
        self.has_records = False
        return records

    def settle(self) -> None:
        """Bring ``line`` and ``parts`` up to date: changes that hold from the next sample on are
        put in together, when somebody wants to see them."""
        if not self._now:
            return
        if self._shared:
            self.line, self.parts, self._shared = self.line.copy(), self.parts.copy(), False
        places = list(self._now)
        self.line[places], self.parts[places] = zip(*self._now.values(), strict=True)
        self._now.clear()
