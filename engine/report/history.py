"""What a run directory says about each product's course: where it stood, and what turned it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import InputError
from engine.outputs import ATTRIBUTION
from engine.report.holding import statement_of_holder
from engine.report.own_deals import OwnDeal, own_deals
from engine.report.reading import events_of, holdings_of, readable, summary_of
from engine.report.statement import Deal, Mile, Point, Statement, statement_of
from engine.report.turns import turns_of
from engine.report.words import instant
from engine.units import UNIT_STEPS, asset_decimals

__all__ = ["History", "read_history"]

Object = dict[str, Any]

_NEAR_NS: Final = (60 * 10**9, 3600 * 10**9, 86_400 * 10**9, 2**62)
"""How far back the last sample is looked for, in turn."""


class History:
    """A finished run, product by product.

    Attributes:
        events: those that speak of a product, in order.
    """

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir
        self.summary = summary_of(run_dir)
        self.events: dict[str, list[Object]] = {name: [] for name in self.summary["products"]}
        for event in events_of(run_dir):
            if event.get("product") in self.events:
                self.events[event["product"]].append(event)
        self.launches = {
            name: next(e for e in events if e["event"] == "product_launched")
            for name, events in self.events.items()
        }
        self._turns = turns_of(run_dir, self.events)

    def decimals(self, product: str) -> int:
        """Of the quote asset."""
        return asset_decimals(self.currency(product))

    def launch(self, product: str) -> Point:
        """When its first units were issued."""
        said = self.launches[product]
        return Point(
            ts_ns=said["ts_ns"],
            price=self.summary["products"][product]["price_start"],
            units=said["units"],
            slope=0.0,
            equity_start=said["equity_atoms"],
            causes=(0,) * len(ATTRIBUTION),
        )

    def end(self, product: str) -> Point:
        """When the run ended."""
        said, atoms = self.summary["products"][product], 10 ** self.decimals(product)
        nav, held = said["equity_end"] * atoms, said["leverage"]["end"] or 0.0
        return Point(
            ts_ns=self.summary["end_ns"],
            price=said["price_end"],
            units=round(said["units"] * UNIT_STEPS),
            slope=held * nav / said["price_end"],
            equity_start=self.launches[product]["equity_atoms"],
            causes=tuple(round(said["attribution"][name] * atoms) for name in ATTRIBUTION),
        )

    def at(self, product: str, ts_ns: int | None, *, ends: bool = False) -> Point:
        """The last NAV sample at or before a time; the launch before all of them, the end of the
        run behind it. ``None``: the launch, or with ``ends`` the end.

        Raises:
            InputError: if there are no samples to look at.
        """
        launch, end_ns = self.launch(product), self.summary["end_ns"]
        if ts_ns is None:
            return self.end(product) if ends else launch
        if ts_ns >= end_ns:
            return self.end(product)
        if ts_ns <= launch.ts_ns:
            return launch
        row = self._sample(product, ts_ns)
        if row is None and self._sample(product, end_ns) is not None:
            return launch
        if row is None:
            said = f"{self.path} has no NAV sample of {product} at {instant(ts_ns, seconds=True)}"
            raise InputError(f"{said} or before; run with a nav_every in [output]")
        atoms = 10 ** self.decimals(product)
        leverage, price = row["leverage"] or 0.0, row[self._followed(product)]
        return Point(
            ts_ns=row["ts_ns"],
            price=price,
            units=round(row["units"] * UNIT_STEPS),
            slope=leverage * row["nav"] * atoms / price,
            equity_start=launch.equity_start,
            causes=tuple(round(row[name] * atoms) for name in ATTRIBUTION),
        )

    def _followed(self, product: str) -> str:
        """The column of ``nav.parquet`` in which the price is that its NAV follows."""
        return f"{self.summary['products'][product]['follows']}_price"

    def _sample(self, product: str, ts_ns: int) -> Object | None:
        for near_ns in _NEAR_NS:
            asked = [
                ("product", "=", product),
                ("ts_ns", "<=", ts_ns),
                ("ts_ns", ">", ts_ns - near_ns),
            ]
            path = self.path / "nav.parquet"
            table = pq.read_table(path, filters=asked, page_checksum_verification=True)
            if len(table):
                row: Object = table.slice(len(table) - 1).to_pylist()[0]
                return row
        return None

    def range_of(self, product: str, from_ns: int, to_ns: int) -> tuple[float, float]:
        """The lowest and the highest price that it followed in the samples of an interval, its ends
        among them."""
        ends = [self.at(product, from_ns).price, self.at(product, to_ns, ends=True).price]
        asked = [("product", "=", product), ("ts_ns", ">=", from_ns), ("ts_ns", "<=", to_ns)]
        name = self._followed(product)
        prices = pq.read_table(self.path / "nav.parquet", columns=[name], filters=asked)
        found = pc.min_max(prices[name]).as_py()
        known = [price for price in (*ends, found["min"], found["max"]) if price is not None]
        return min(known), max(known)

    def currency(self, product: str) -> str:
        """The quote asset."""
        return str(self.summary["products"][product]["quote"])

    def contract(self, product: str) -> Object:
        """The contract as it was resolved, from ``run.toml``."""
        symbol = self.summary["products"][product]["symbol"]
        config = tomllib.loads((self.path / "run.toml").read_text(encoding="utf-8"))
        return next((m["contract"] for m in config["markets"] if m["symbol"] == symbol), {})

    def turns(self, product: str, start: Point, end: Point) -> tuple[list[Mile | Deal], bool]:
        """What turned it between two points, and whether nothing was decided before."""
        launch_ns, found, first = self.launches[product]["ts_ns"], [], True
        for turn in self._turns[product]:
            ts_ns = turn.ts_ns if isinstance(turn, Mile) else turn.after.ts_ns
            if ts_ns > start.ts_ns or start.ts_ns == launch_ns:
                if ts_ns <= end.ts_ns:
                    found.append(turn)
            elif isinstance(turn, Mile):
                first = False
        return found, first

    def statement(self, product: str, from_ns: int | None, to_ns: int | None) -> Statement:
        """What became of a product in an interval."""
        start, end = self._interval(product, from_ns, to_ns)
        turns, first = self.turns(product, start, end)
        return statement_of(product, start, end, turns, first=first)

    def _interval(
        self, product: str, from_ns: int | None, to_ns: int | None
    ) -> tuple[Point, Point]:
        start, end = self.at(product, from_ns), self.at(product, to_ns, ends=True)
        if start.ts_ns >= end.ts_ns:
            ends = [instant(point.ts_ns, seconds=True) for point in (start, end)]
            said = f"nothing of {product} lies between {ends[0]} and {ends[1]}"
            raise InputError(f"{said}; give an earlier --from, or a later --to")
        return start, end

    def holder(
        self, product: str, user: str, from_ns: int | None, to_ns: int | None
    ) -> Statement | None:
        """What became of a holder's units in an interval; ``None`` where he never had any."""
        start, end = self._interval(product, from_ns, to_ns)
        units, deals = self.own_deals(product, user)
        if not units and not deals:
            return None
        launched = start.ts_ns == self.launches[product]["ts_ns"]
        for deal in deals:
            if deal.ts_ns <= start.ts_ns and not launched:
                units = deal.units
        turns, first = self.turns(product, start, end)
        own = {deal.place: deal.own for deal in deals}
        return statement_of_holder((product, user), units, (start, end), turns, own, first=first)

    def own_deals(self, product: str, user: str) -> tuple[int, list[OwnDeal]]:
        """What a holder had at the launch, and his deals."""
        rows = [row for row in holdings_of(self.path, user) if row["product"] == product]
        return own_deals(self.events[product], user, rows)


def read_history(run_dir: Path) -> History:
    """The course of each product of a run.

    Raises:
        InputError: if the directory is none of a run, or lacks what tells it.
    """
    summary_of(run_dir)
    with readable(run_dir, "events.jsonl", "nav.parquet", "milestones.parquet", "user_nav.parquet"):
        return History(run_dir)
