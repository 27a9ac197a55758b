"""The lines of a market's products, and how they change: what NAV samples are read off.

A block of samples takes the lines as they were at its start, and the changes with the sample from
which each holds. So a trade costs one entry, however many products the market has: its record of
fixed size, which is what the digest takes, and is read as columns where somebody wants columns.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from engine.account import Account
from engine.errors import OutOfRangeError
from engine.outputs import ATTRIBUTION, LineChanges

__all__ = ["LINE_BYTES", "Lines", "Taken"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

Plans = tuple[int, ...]
PlanChanges = tuple[tuple[int, int, int], ...]
Taken = tuple[tuple[int, ...], F64, I64, LineChanges | None, Plans, PlanChanges]
"""``NavBlock`` from ``products`` to ``plan_changes``."""

_PARTS: Final = 1 + len(ATTRIBUTION)
_RECORD: Final = struct.Struct(f"<i3d{_PARTS}q")
_COLUMNS: Final = np.dtype([("product", "<i4"), ("line", "<f8", (3,)), ("parts", "<i8", (_PARTS,))])
"""The same as columns."""
_TOLD: Final = _RECORD.size - 8 * (len(ATTRIBUTION) - ATTRIBUTION.index("collateral"))
"""Where the column is that digests leave out: the events say what became of collateral."""
LINE_BYTES: Final = _RECORD.size - 8
"""Of a change in the digest."""
_MOST: Final = 2**62
"""Of lots and atoms: twice as many, a fill that turns a position round, still fit 64 bits."""
_LEAST: Final = -_MOST


class Lines:
    """One market's lines.

    Attributes:
        products: indices of the products, in declared order.
        line, parts: as in ``NavBlock``, at the next block's first sample; blocks share them until
            a line changes.
        planned: lots that each product's plan has still to trade, as of now.
    """

    __slots__ = (
        "_later",
        "_now",
        "_plans",
        "_plans_later",
        "_records",
        "_shared",
        "has_records",
        "line",
        "parts",
        "planned",
        "products",
    )

    def __init__(self, products: tuple[int, ...]) -> None:
        self.products = products
        self.line: F64 = np.zeros((len(products), 3))
        self.parts: I64 = np.zeros((len(products), _PARTS), np.int64)
        self._records: list[bytes] = []
        self.has_records = False
        self._now: dict[int, bytes] = {}
        self._later: list[tuple[int, int, bytes]] = []
        self._shared = False
        self._plans = self.planned = (0,) * len(products)
        self._plans_later: list[tuple[int, int, int]] = []

    def change(self, place: int, account: Account, sample: int) -> None:
        """A product traded: from ``sample`` on (counted from the next block's first) it is on
        another line.

        Raises:
            OutOfRangeError: if it grew beyond 64 bits.
        """
        state, (cash, lots, units) = account.state, account.held()
        nav = state.since_nav
        if not (_LEAST < lots < _MOST and _LEAST < cash < _MOST and _LEAST < nav < _MOST):
            raise OutOfRangeError(account.spec.id)
        try:
            record = _RECORD.pack(
                self.products[place],
                account.intercept,
                account.slope,
                state.since_mark,
                units,
                *state.attribution,
            )
        except struct.error:
            raise OutOfRangeError(account.spec.id) from None
        self._records.append(record)
        self.has_records = True
        if sample:
            self._later.append((sample, place, record))
        else:
            self._now[place] = record

    def plan(self, place: int, lots: int, sample: int) -> None:
        """From a sample on a product's plan has so many lots still to trade."""
        self.planned = (*self.planned[:place], lots, *self.planned[place + 1 :])
        if sample:
            self._plans_later.append((sample, place, lots))
        else:
            self._plans = self.planned

    def _take_plans(self, samples: int) -> tuple[Plans, PlanChanges]:
        plans, later = self._plans, self._plans_later
        self._plans_later = [
            (at - samples, place, lots) for at, place, lots in later if at > samples
        ]
        now = list(plans)
        for at, place, lots in later:
            if at <= samples:
                now[place] = lots
        self._plans = tuple(now)
        return plans, tuple(change for change in later if change[0] < samples)

    def take(self, samples: int) -> Taken:
        """What a block of so many samples needs; the next one begins where its changes lead."""
        if self._now:
            self.settle()
        self._shared = True
        if not self._later and not self._plans_later:
            return self.products, self.line, self.parts, None, self._plans, ()
        line, parts, within = self.line, self.parts, None
        if self._later:
            changes, self._later = self._later, []
            for sample, place, record in changes:
                if sample > samples:
                    self._later.append((sample - samples, place, record))
                else:
                    self._now[place] = record
            within = _within([change for change in changes if change[0] < samples])
        plan_changes: PlanChanges = ()
        plans = self._plans
        if self._plans_later:
            plans, plan_changes = self._take_plans(samples)
        return self.products, line, parts, within, plans, plan_changes

    def records(self) -> bytes:
        """The changes since the last call in canonical form, for the digest."""
        records, self._records = self._records, []
        self.has_records = False
        return b"".join([each[:_TOLD] + each[_TOLD + 8 :] for each in records])

    def settle(self) -> None:
        """Bring ``line`` and ``parts`` up to date: changes that hold from the next sample on are
        put in together, when somebody wants to see them."""
        if not self._now:
            return
        if self._shared:
            self.line, self.parts, self._shared = self.line.copy(), self.parts.copy(), False
        places, read = list(self._now), _read(self._now.values())
        self.line[places], self.parts[places] = read["line"], read["parts"]
        self._now.clear()


def _within(changes: list[tuple[int, int, bytes]]) -> LineChanges | None:
    if not changes:
        return None
    samples, places, records = zip(*changes, strict=True)
    read = _read(records)
    return LineChanges(np.array(samples), np.array(places), read["line"], read["parts"])


def _read(records: Iterable[bytes]) -> Any:
    return np.frombuffer(b"".join(records), _COLUMNS)
