"""Rows that stay out, repeat a price, say another rate, or have another spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engine.ticks import Bbo, Funding, Kind, Step, Table
from feeds.scenarios.mishaps import Freeze, FundingRate, Liquidity, Outage
from feeds.scenarios.prices import PRICES
from feeds.scenarios.rows import KINDS, within
from feeds.scenarios.timeline import Placed

__all__ = ["Faults"]


class Faults:
    """Puts the events of feeds into one pass of steps.

    Args:
        events: in their places.
        symbols: of the data.
    """

    def __init__(self, events: Sequence[Placed], symbols: Sequence[str]) -> None:
        self._events = [each for each in events if _is_fault(each)]
        self._symbols = symbols
        self._last: dict[tuple[int, Kind, int], tuple[float, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._events)

    def steps(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The same rows with the faults; those that stay out leave no hole."""
        sequence = 0
        for each in steps:
            tables = [self._table(table) for table in each.tables]
            step = Step(
                first=each.first,
                end=each.end,
                tables=tuple(table for table in tables if table is not None),
                messages=each.messages,
            )
            kept = sum(len(table) for table in step.tables) + len(step.messages)
            if kept < len(step):
                step = closed_up(step)
            step = step.shifted(sequence - step.first)
            sequence = step.end
            if len(step):
                yield step

    def _table(self, table: Table) -> Table | None:
        for number, placed in enumerate(self._events):
            event = placed.event
            if isinstance(event, Freeze):
                table = self._frozen(number, placed, event, table)
                continue
            flags = within(table, placed, self._symbols)
            if not flags.any():
                continue
            if isinstance(event, Outage):
                if event.target == "ticks" or table.KIND is Kind.INDEX:
                    if flags.all():
                        return None
                    table = table.take(~flags)
            elif isinstance(event, FundingRate) and isinstance(table, Funding):
                table = table.replaced(rate=np.where(flags, event.rate, table.rate))
            elif isinstance(event, Liquidity) and isinstance(table, Bbo):
                table = _widened(table, flags, event)
        return table

    def _frozen(self, number: int, placed: Placed, event: Freeze, table: Table) -> Table:
        """Prices of the rows within the event are those of the last row before it, by symbol."""
        if table.KIND not in [KINDS[name] for name in event.prices]:
            return table
        flags, symbols = within(table, placed, self._symbols), table.symbols()
        columns = {name: getattr(table, name).copy() for name in PRICES[table.KIND]}
        for symbol in np.unique(symbols).tolist():
            rows = np.flatnonzero(symbols == symbol)
            held = flags[rows]
            last = np.maximum.accumulate(np.where(held, -1, np.arange(len(rows))))
            key = (number, table.KIND, symbol)
            if key not in self._last and last[0] < 0:
                self._last[key] = tuple(float(column[rows[0]]) for column in columns.values())
            kept = self._last.get(key, (0.0,) * len(columns))
            for column, value in zip(columns.values(), kept, strict=True):
                own = column[rows]
                column[rows] = np.where(held, np.where(last < 0, value, own[last]), own)
            if last[-1] >= 0:
                place = rows[last[-1]]
                self._last[key] = tuple(float(column[place]) for column in columns.values())
        return table.replaced(**columns)


def _is_fault(placed: Placed) -> bool:
    event = placed.event
    if isinstance(event, Outage):
        return event.target == "ticks" or (event.target == "index" and not event.source)
    if isinstance(event, Liquidity):
        return bool(event.spread_bps)
    return isinstance(event, Freeze | FundingRate)


def _widened(table: Bbo, flags: Any, event: Liquidity) -> Bbo:
    """Quotes around the same mid with the event's spread, where theirs is narrower."""
    mid, half = (table.bid + table.ask) * 0.5, event.spread_bps / 20_000.0
    bid = np.where(flags, np.minimum(table.bid, mid * (1.0 - half)), table.bid)
    ask = np.where(flags, np.maximum(table.ask, mid * (1.0 + half)), table.ask)
    return table.replaced(bid=bid, ask=ask)


def closed_up(step: Step) -> Step:
    """The rows that are left, numbered without holes from where they began."""
    places = [table.sequence for table in step.tables]
    places.append(np.array([sequence for sequence, _ in step.messages], np.int64))
    kept = np.sort(np.concatenate(places))
    tables = tuple(
        table.numbered(step.first + np.searchsorted(kept, table.sequence)) for table in step.tables
    )
    messages = tuple(
        (step.first + int(np.searchsorted(kept, sequence)), message)
        for sequence, message in step.messages
    )
    return Step(first=step.first, end=step.first + len(kept), tables=tables, messages=messages)
