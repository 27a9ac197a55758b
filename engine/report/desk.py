"""A desk's own records as CSV: its NAVs and its fills, each fault with file and line.

NAV file: ``ts, product, nav_per_unit``, and ``units`` where fills are to be compared.
Fills file: ``ts, product, quantity, price, fee``; ``quantity`` in base, bought positive; ``fee``
in quote, paid positive; of inverse contracts in contracts and in coins. With a column ``kind`` a
row may be ``funding``, whose ``fee`` is what was paid (negative: received) and whose quantity and
price do not matter. Hedges of creations and redemptions are left out: they are in proportion, and
change no NAV per unit.

Times are ISO 8601 with the time of day (UTC where no zone is said) or whole nanoseconds since 1970.
A date alone is refused: it may mean the day's beginning or its end. So is what lies outside the
run, by a wrong century or unit.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import InputError
from engine.report.words import instant, listed
from engine.units import DAY_NS

__all__ = ["DeskFill", "DeskNav", "navs_in_first_units", "read_fills", "read_navs"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAV: Final = ("ts", "product", "nav_per_unit")
_FILL: Final = ("ts", "product", "quantity", "price", "fee")
_BEFORE_NS: Final = 366 * DAY_NS
"""A fill may be older than the run by so much: what the desk held when it began."""
_NANOS: Final = range(10**17, 2**63)
"""From 1973 on: what is less counts other units, or is a date."""

Spans = Mapping[str, tuple[int, int]]
"""When a run launched each product, and when it ended."""


class DeskNav(Struct, frozen=True):
    """A line of the NAV file; ``units`` 0 where it does not say."""

    ts_ns: int
    product: str
    nav: float
    units: float


class DeskFill(Struct, frozen=True):
    """A line of the fills file, or an execution of the run: ``quantity`` in base and ``fee`` in
    quote, or in contracts and in coins."""

    ts_ns: int
    product: str
    kind: Literal["trade", "funding"]
    quantity: float
    price: float
    fee: float
    mark: float = 0.0

    def in_coins(self, face: float) -> DeskFill:
        """Contracts of a quote face as the coins that they are at the fill's price.

        10 contracts of 100 at 50,000 are 0.02.
        """
        quantity = self.quantity * face / self.price if self.quantity else 0.0
        return replace(self, quantity=quantity)

    def scaled(self, by: float, mark: float) -> DeskFill:
        """A ``by``-th of it, while the mark was ``mark``."""
        quantity, fee = self.quantity / by, self.fee / by
        return DeskFill(self.ts_ns, self.product, self.kind, quantity, self.price, fee, mark)


def navs_in_first_units(
    navs: Sequence[DeskNav], splits: Sequence[tuple[int, int, int]]
) -> list[DeskNav]:
    """Lines in units of the run's start: the desk counts its units anew when the run does.

    Args:
        navs: of one product.
        splits: its ``(when, new, old)``; a line of that instant is of the new units.
    """
    found = list(navs)
    for at_ns, new, old in splits:
        found = [
            replace(one, nav=one.nav * new / old, units=one.units * old / new)
            if one.ts_ns >= at_ns
            else one
            for one in found
        ]
    return found


def read_navs(path: Path, spans: Spans) -> list[DeskNav]:
    """The NAVs in order.

    Raises:
        InputError: with file and line, if a line is none, lies outside the run, or time goes back.
    """
    found, last = [], dict.fromkeys(spans, -1)
    for line in _lines(path, _NAV, spans):
        product = line.row["product"]
        ts_ns = line.time("ts", spans[product])
        if ts_ns <= last[product]:
            raise line.error("ts", "must be later than the one before of its product")
        last[product] = ts_ns
        nav = line.number("nav_per_unit")
        if nav <= 0.0:
            raise line.error("nav_per_unit", "must be > 0")
        units = line.number("units") if line.row.get("units") else 0.0
        if units < 0.0:
            raise line.error("units", "must not be negative")
        found.append(DeskNav(ts_ns, product, nav, units))
    return found


def read_fills(path: Path, spans: Spans) -> list[DeskFill]:
    """The fills in order of time.

    Raises:
        InputError: with file and line, if a line is none or lies outside the run.
    """
    found = []
    for line in _lines(path, _FILL, spans):
        kind = line.row.get("kind") or "trade"
        if kind not in ("trade", "funding"):
            raise line.error("kind", "must be trade or funding")
        product = line.row["product"]
        ts_ns = line.time("ts", spans[product], _BEFORE_NS)
        fee = line.number("fee")
        if kind == "funding":
            found.append(DeskFill(ts_ns, product, "funding", 0.0, 0.0, fee))
            continue
        price = line.number("price")
        if price <= 0.0:
            raise line.error("price", "must be > 0")
        found.append(DeskFill(ts_ns, product, "trade", line.number("quantity"), price, fee))
    return sorted(found, key=lambda fill: fill.ts_ns)


class _Line:
    """A row, and where it is."""

    def __init__(self, where: str, row: dict[str, str]) -> None:
        self.where, self.row = where, row

    def error(self, column: str, said: str) -> InputError:
        return InputError(f"{self.where}: {column} {said}, was {self.row[column]!r}")

    def number(self, column: str) -> float:
        try:
            value = float(self.row[column])
        except ValueError:
            raise self.error(column, "must be a number") from None
        if not math.isfinite(value):
            raise self.error(column, "must be finite")
        return value

    def time(self, column: str, span: tuple[int, int], before_ns: int = 0) -> int:
        text = self.row[column].strip()
        ts_ns = self._nanos(column, text)
        first_ns, end_ns = span
        if not first_ns - before_ns <= ts_ns <= end_ns + DAY_NS:
            run = f"{instant(first_ns)} to {instant(end_ns)}"
            raise self.error(column, f"lies outside the run ({run})")
        return ts_ns

    def _nanos(self, column: str, text: str) -> int:
        if text.isdecimal() and int(text) in _NANOS:
            return int(text)
        with suppress(ValueError):
            date.fromisoformat(text)
            said = "must have the time of day, such as T00:00 (the day's beginning)"
            raise self.error(column, said)
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise self.error(column, "must be a time (ISO 8601) or nanoseconds") from None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return (at - _EPOCH) // timedelta(microseconds=1) * 1_000


def _lines(path: Path, wanted: Collection[str], products: Collection[str]) -> Iterator[_Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            heads = reader.fieldnames or []
            lacking = [name for name in wanted if name not in heads]
            if lacking:
                said = f"lacks {listed(lacking)}; it has {listed(list(heads)) or 'no head'}"
                raise InputError(f"{path}:1: {said}")
            for row in reader:
                line = _Line(f"{path}:{reader.line_num}", row)
                if None in row or None in row.values():
                    raise InputError(f"{line.where}: as many values are needed as names in line 1")
                if row["product"] not in products:
                    near = get_close_matches(row["product"], products, 1)
                    hint = f"did you mean {near[0]}" if near else f"it has {listed(list(products))}"
                    raise line.error("product", f"is none of the run ({hint})")
                yield line
    except FileNotFoundError:
        raise InputError(f"{path} is not there") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV text: {error}") from None
