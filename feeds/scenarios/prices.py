"""Rows with their prices moved, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from engine.ticks import Bbo, Kind, Marks, Step, Table, Trades
from feeds.elementary import exps, logs
from feeds.scenarios.curves import F64
from feeds.scenarios.movers import MOVED, Mover
from feeds.scenarios.moves import VolRegime
from feeds.scenarios.rows import concerned
from feeds.scenarios.timeline import Placed

__all__ = ["PRICES", "Scaled", "moved"]

PRICES: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.TRADE: ("price",),
    Kind.BBO: ("bid", "ask"),
    Kind.MARK: ("price",),
    Kind.INDEX: ("price",),
}
"""Columns that hold prices."""
_REFERENCES: Final = (Kind.MARK, Kind.BBO, Kind.TRADE)
"""Whose moves are a market's own: the first of these that it has."""


def moved(table: Table, movers: Sequence[Mover], symbols: Sequence[str]) -> Table:
    """The table with every factor that concerns it; the same table where none does."""
    if table.KIND not in MOVED:
        return table
    factors: F64 | None = None
    last_ns = int(table.ts_ns.max())
    for mover in movers:
        if table.KIND not in mover.kinds or last_ns <= mover.start_ns:
            continue
        own = concerned(table, mover.symbols, symbols)
        if own is False:
            continue
        found = mover.of(table.ts_ns)
        if own is not True:
            found = np.where(own, found, 1.0)
        factors = found if factors is None else factors * found
    if factors is None:
        return table
    return table.replaced(**{name: getattr(table, name) * factors for name in PRICES[table.KIND]})


class Scaled:
    """A market's own moves taken ``scale`` times while an event lasts.

    All its prices are multiplied by ``(R / R0)^(scale - 1)``: R is the reference price as of the
    row, R0 the first one that the event sees. After it the last factor stays.

    Args:
        placed: the event.
        symbol, reference: the market's place, and the kind of its reference rows.
    """

    def __init__(self, placed: Placed, symbol: int, reference: Kind) -> None:
        assert isinstance(placed.event, VolRegime)
        self._power = placed.event.scale - 1.0
        self._start_ns, self._end_ns = placed.start_ns, placed.end_ns
        self._symbol, self._reference = symbol, reference
        self._first = self._last = 0.0

    def applied(self, step: Step) -> Step:
        """The step with this market's prices scaled."""
        table = step.table(self._reference)
        sequence, price = self._seen(table) if table is not None else (np.empty(0, np.int64),) * 2
        before = self._last
        if len(price):
            self._first = self._first or float(price[0])
            self._last = float(price[-1])
        if not self._first:
            return step
        known = np.concatenate(([before or self._first], price)) / self._first
        factors = exps(self._power * logs(known))
        return Step(
            first=step.first,
            end=step.end,
            tables=tuple(self._moved(each, sequence, factors) for each in step.tables),
            messages=step.messages,
        )

    def _seen(self, table: Table) -> tuple[Any, Any]:
        """Sequences and prices of the reference rows within the event."""
        assert isinstance(table, Trades | Bbo | Marks)
        price = (table.bid + table.ask) * 0.5 if isinstance(table, Bbo) else table.price
        own = table.symbols() == self._symbol
        within = (table.ts_ns > self._start_ns) & (table.ts_ns <= self._end_ns)
        good = own & within & np.isfinite(price) & (price > 0.0)
        return table.sequence[good], price[good]

    def _moved(self, table: Table, sequence: Any, factors: F64) -> Table:
        if table.KIND not in MOVED:
            return table
        rows = sequence.searchsorted(table.sequence, "right")
        own = (table.symbols() == self._symbol) & (table.ts_ns > self._start_ns)
        if not own.any():
            return table
        factor = np.where(own, factors[rows], 1.0)
        return table.replaced(
            **{name: getattr(table, name) * factor for name in PRICES[table.KIND]}
        )


def scalers_of(
    events: Sequence[Placed], symbols: Sequence[str], kinds: Sequence[Sequence[Kind]]
) -> Iterator[Scaled]:
    """One for each event and market whose own moves are scaled."""
    for placed in events:
        event = placed.event
        if not isinstance(event, VolRegime) or event.scale == 1.0:
            continue
        for place, name in enumerate(symbols):
            if event.symbols and name not in event.symbols:
                continue
            reference = next((kind for kind in _REFERENCES if kind in kinds[place]), None)
            if reference is not None:
                yield Scaled(placed, place, reference)
