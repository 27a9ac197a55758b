"""A desk's own NAV against the simulation: where they part, by cause, in basis points a day.

Both are looked at as what one quote became since the desk's first line. Fills of the two are
paired: the same product and side, nearest in time. What the one holds and the other does not earns
``quantity x change of mark``, and each execution what lies between the mark and its price, so that

- ``timing`` is what was held between the two times of a pair;
- ``missing_fill`` is what only one of them traded, or the one more than the other, from then on;
- ``price`` is the difference of what was paid beyond the mark;
- ``fee`` and ``funding`` are the differences of what was paid;
- ``unexplained`` is the rest: other marks, other money, what the files do not say.

On an inverse contract ``n`` contracts of face ``F`` are ``n F / price`` coins: these earn with the
mark, the face does not. Fees and funding paid in coins are what these were worth then, and what
they would have earned since; what was paid before the desk's first line is in the NAV of that line.

Fills before the desk's first line tell what it held then; where it has none it held what the run
held. Where units are split, both are looked at in units of the run's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import InputError
from engine.first_units import in_first_units
from engine.report.desk import (
    DeskFill,
    DeskNav,
    navs_in_first_units,
    read_fills,
    read_navs,
)
from engine.report.executions import executions, is_inverse
from engine.report.history import History, read_history
from engine.report.words import instant, priced

__all__ = ["CAUSES", "Day", "Reconciliation", "read_reconciliation", "reconcile"]

CAUSES: Final = ("missing_fill", "price", "timing", "fee", "funding")
_DAY_NS: Final = 86_400 * 10**9
_SHOWN: Final = 12
_TINY: Final = 1e-9
_BPS: Final = 1e4


class Day(Struct, frozen=True):
    """One day of one product, in basis points of its NAV at the day's start.

    Attributes:
        desk, ours: what each gained.
        causes: of the difference, desk less ours, in ``CAUSES``.
        unexplained: the rest.
    """

    product: str
    from_ns: int
    to_ns: int
    desk: float
    ours: float
    causes: dict[str, float]
    unexplained: float


class Reconciliation(Struct, frozen=True):
    """``days`` in order, and fills without a counterpart, in words."""

    days: list[Day]
    unmatched: list[str]


class _Ours:
    """The run's own NAVs and marks of one product, in units of its start."""

    def __init__(self, history: History, product: str) -> None:
        names = ["ts_ns", "nav_per_unit", "units", "mark_price"]
        path, asked = history.path / "nav.parquet", [("product", "=", product)]
        table = pq.read_table(path, columns=names, filters=asked, page_checksum_verification=True)
        self.ts, self.nav, self.units, self.mark = (table[name].to_numpy() for name in names)
        if not len(self.ts):
            raise InputError(f"{history.path} has no NAV samples of {product}")
        self.splits = history.summary["products"][product].get("splits", ())
        back = [(when, old, new) for when, new, old in self.splits]
        self.nav = in_first_units(self.ts, self.nav, self.splits)
        self.units = in_first_units(self.ts, self.units, back)

    def at(self, ts_ns: int) -> int:
        """The place of the last sample at or before a time."""
        return int(np.searchsorted(self.ts, ts_ns, "right")) - 1


def reconcile(
    history: History,
    navs: Sequence[DeskNav],
    fills: Sequence[DeskFill] | None,
    within_s: float = 60.0,
) -> Reconciliation:
    """Compare a desk's records with a run.

    Args:
        navs: of its products, in order.
        fills: ``None``: it says nothing of them, and all that differs is unexplained.
        within_s: how far two fills may lie apart that are one.

    Raises:
        InputError: if its NAVs lie outside the run or lack units.
    """
    days: list[Day] = []
    unmatched: list[str] = []
    for product in dict.fromkeys(one.product for one in navs):
        own = [one for one in navs if one.product == product]
        desk = None if fills is None else [one for one in fills if one.product == product]
        found = _Product(history, product, own, desk, within_s)
        days += found.days()
        unmatched += found.unmatched
    return Reconciliation(days, unmatched)


class _Hold(Struct, frozen=True):
    """What one of them held and the other did not: ``quantity`` a unit (desk less run), between two
    times, at the marks of then; without an end up to now."""

    cause: str
    quantity: float
    from_ns: int
    from_mark: float
    to_ns: int = 2**62
    to_mark: float = 0.0

    def earned(self, start: tuple[int, float], end: tuple[int, float]) -> float:
        """Between two moments."""
        if self.to_ns <= start[0] or self.from_ns >= end[0]:
            return 0.0
        first = self.from_mark if self.from_ns > start[0] else start[1]
        last = self.to_mark if self.to_ns < end[0] else end[1]
        return self.quantity * (last - first)


class _Product:
    """One product's days."""

    def __init__(
        self,
        history: History,
        product: str,
        navs: Sequence[DeskNav],
        fills: Sequence[DeskFill] | None,
        within_s: float,
    ) -> None:
        self.product = product
        contract = history.contract(product)
        self.face = float(contract["contract_size"]) if is_inverse(contract) else 0.0
        self.ours = _Ours(history, product)
        self.navs = navs_in_first_units(navs, self.ours.splits)
        first = navs[0]
        if self.ours.at(first.ts_ns) < 0:
            said = f"{product}: the NAV of {instant(first.ts_ns, seconds=True)}"
            raise InputError(f"{said} is earlier than the run's first sample")
        self.unmatched: list[str] = []
        self.holds: list[_Hold] = []
        self.paid: list[tuple[int, str, float]] = []
        self.base = float(self.ours.nav[self.ours.at(first.ts_ns)])
        if fills is not None:
            if not all(one.units for one in navs):
                raise InputError(f"{product}: with fills the NAV file needs units in every line")
            theirs = [self._per_unit(one) for one in fills]
            mine = [self._ours_per_unit(one) for one in executions(history, product)]
            self._pair(theirs, mine, within_s)

    def _per_unit(self, fill: DeskFill) -> DeskFill:
        places = [n for n, one in enumerate(self.navs) if one.ts_ns <= fill.ts_ns]
        scale = self.navs[places[-1] if places else 0].units * self.navs[0].nav
        return self._scaled(fill, scale)

    def _ours_per_unit(self, fill: DeskFill) -> DeskFill:
        units = float(self.ours.units[max(self.ours.at(fill.ts_ns), 0)])
        return self._scaled(fill, units * self.base)

    def _scaled(self, fill: DeskFill, by: float) -> DeskFill:
        """A ``by``-th of it, in coins where contracts are inverse."""
        mark = fill.mark or float(self.ours.mark[max(self.ours.at(fill.ts_ns), 0)])
        first_ns = self.navs[0].ts_ns
        if self.face and fill.ts_ns <= first_ns:
            mark = float(self.ours.mark[self.ours.at(first_ns)])
            fill = replace(fill, price=mark, fee=0.0)
        return (fill.in_coins(self.face) if self.face else fill).scaled(by, mark)

    def _pair(self, theirs: Sequence[DeskFill], mine: Sequence[DeskFill], within_s: float) -> None:
        first_ns = self.navs[0].ts_ns
        free = [fill for fill in mine if fill.kind == "trade"]
        for fill in theirs:
            self._pay(fill, 1.0)
            if fill.kind == "funding":
                continue
            near = [
                one
                for one in free
                if one.quantity * fill.quantity > 0.0
                and abs(one.ts_ns - fill.ts_ns) <= within_s * 1e9
            ]
            other = min(near, key=lambda one: abs(one.ts_ns - fill.ts_ns), default=None)
            if other is None:
                self._alone(fill, 1.0, "of the desk")
            else:
                free.remove(other)
                self._matched(fill, other)
        for fill in mine:
            self._pay(fill, -1.0)
        known = any(fill.ts_ns <= first_ns and fill.kind == "trade" for fill in theirs)
        for fill in free:
            if known or fill.ts_ns > first_ns:
                self._alone(fill, -1.0, "of the run")

    def _pay(self, fill: DeskFill, sign: float) -> None:
        cause = "funding" if fill.kind == "funding" else "fee"
        paid = -sign * fill.fee
        self.paid.append((fill.ts_ns, cause, paid * fill.mark if self.face else paid))
        if self.face:
            self.holds.append(_Hold(cause, paid, fill.ts_ns, fill.mark))

    def _alone(self, fill: DeskFill, sign: float, whose: str) -> None:
        quantity = sign * fill.quantity
        self.holds.append(_Hold("missing_fill", quantity, fill.ts_ns, fill.mark))
        beyond = quantity * (fill.mark - fill.price)
        self.paid.append((fill.ts_ns, "missing_fill", beyond))
        if len(self.unmatched) < _SHOWN:
            side = "bought" if fill.quantity > 0 else "sold"
            when = instant(fill.ts_ns, seconds=True)
            said = f"{self.product}: {whose}, {when}, {side} at {priced(fill.price)}"
            self.unmatched.append(said)

    def _matched(self, desk: DeskFill, ours: DeskFill) -> None:
        """The desk's amount counts for both; what it traded more than the run is missing there."""
        early, late = (desk, ours) if desk.ts_ns <= ours.ts_ns else (ours, desk)
        size = desk.quantity if early is desk else -desk.quantity
        self.holds.append(_Hold("timing", size, early.ts_ns, early.mark, late.ts_ns, late.mark))
        same = desk.quantity * desk.price / ours.price if self.face else desk.quantity
        for fill, quantity in ((desk, desk.quantity), (ours, -same)):
            self.paid.append((fill.ts_ns, "price", quantity * (fill.mark - fill.price)))
        if same != desk.quantity:
            self.holds.append(_Hold("price", desk.quantity - same, ours.ts_ns, ours.mark))
        rest = same - ours.quantity
        if abs(rest) > _TINY * abs(desk.quantity):
            self.holds.append(_Hold("missing_fill", rest, ours.ts_ns, ours.mark))
            beyond = rest * (ours.mark - ours.price)
            self.paid.append((ours.ts_ns, "missing_fill", beyond))

    def days(self) -> list[Day]:
        """The days between the desk's last lines of each day."""
        ends = {one.ts_ns // _DAY_NS: one for one in self.navs[1:]}
        starts = [self.navs[0], *ends.values()]
        return [self._day(start, end) for start, end in pairwise(starts)]

    def _day(self, start: DeskNav, end: DeskNav) -> Day:
        places = [self.ours.at(one.ts_ns) for one in (start, end)]
        before, after = (float(self.ours.nav[place]) / self.base for place in places)
        first, last = (
            (one.ts_ns, float(self.ours.mark[place]))
            for one, place in zip((start, end), places, strict=True)
        )
        causes = dict.fromkeys(CAUSES, 0.0)
        for hold in self.holds:
            causes[hold.cause] += hold.earned(first, last)
        for ts_ns, cause, cash in self.paid:
            if start.ts_ns < ts_ns <= end.ts_ns:
                causes[cause] += cash
        desk = (end.nav - start.nav) / self.navs[0].nav
        scale = _BPS / before if before > 0.0 else 0.0
        rest = desk - (after - before) - sum(causes.values())
        return Day(
            self.product,
            start.ts_ns,
            end.ts_ns,
            desk * scale,
            (after - before) * scale,
            {cause: value * scale for cause, value in causes.items()},
            rest * scale,
        )


def read_reconciliation(
    run_dir: Path, nav: Path, fills: Path | None, within_s: float
) -> Reconciliation:
    """``reconcile`` a run directory with CSV files."""
    history = read_history(run_dir)
    end_ns = history.summary["end_ns"]
    spans = {name: (said["ts_ns"], end_ns) for name, said in history.launches.items()}
    navs = read_navs(nav, spans)
    if not navs:
        raise InputError(f"{nav} has no line but its head")
    deals = None if fills is None else read_fills(fills, spans)
    return reconcile(history, navs, deals, within_s)
