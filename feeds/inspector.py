"""One pass over a recording's steps that finds out what it holds and where it is poor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.events import Malformed
from engine.ticks import NOT_MARKET, Bbo, Kind, Step, Table, Trades
from engine.units import SECOND_NS
from feeds.inspection import Inspection, Refused, Stretch, SymbolInspection

__all__ = ["Inspector"]

GAP_NS: Final = 10 * SECOND_NS
"""Ticks: no row for this long is a gap. Bars: three quarters of a bar, which one missing bar
exceeds."""
_RATES_GAP_NS: Final = 12 * 3_600 * SECOND_NS
"""Files of funding alone: rates come every 8 hours at the most."""
FROZEN_NS: Final = 60 * SECOND_NS
"""Rows kept coming and said the same price for this long; for bars, ten bars."""
SHOWN_MAX: Final = 20
"""Gaps and frozen stretches kept one by one, the longest ones; all are counted."""


_NEVER: Final = -(2**63)
"""Before all times."""


class _Stretches:
    """Counts stretches and keeps the longest."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Stretch] = []

    def add(self, starts: Any, ends: Any) -> None:
        self.count += len(starts)
        longest = np.argsort(starts - ends, kind="stable")[:SHOWN_MAX]
        self._kept += [Stretch(int(starts[i]), int(ends[i])) for i in longest]
        self._kept = sorted(self._kept, key=lambda s: (-s.length_ns, s.start_ns))[:SHOWN_MAX]

    def longest(self) -> tuple[Stretch, ...]:
        return tuple(self._kept)


class _Symbol:
    """Running state of one symbol."""

    def __init__(
        self, symbol: str, contract: str, bar_ns: int | None, kinds: Sequence[Kind]
    ) -> None:
        self.symbol = symbol
        self.contract = contract
        ticks_ns = _RATES_GAP_NS if set(kinds) == {Kind.FUNDING} else GAP_NS
        self.gap_ns = ticks_ns if bar_ns is None else bar_ns * 3 // 4
        self.frozen_ns = FROZEN_NS if bar_ns is None else 10 * bar_ns
        # Marks every 8 hours say nothing on gaps of a market whose trades are recorded.
        self._paced = {Kind.TRADE, Kind.BBO} & set(kinds) or set(kinds)
        self.rows: dict[Kind, int] = {}
        self.first_ns: int | None = None
        self.last_ns = 0
        self.low, self.high = np.inf, -np.inf
        self.gaps, self.frozen = _Stretches(), _Stretches()
        self.duplicates = self.late = self.crossed = self.bad_prices = 0
        self._reached: dict[Kind, int] = {}
        self._trade_id = -1
        self._same: dict[Kind, tuple[tuple[float, ...], int, int]] = {}

    def add(self, tables: Sequence[Table]) -> None:
        """The symbol's rows of one step."""
        times = []
        for table in tables:
            kind = table.KIND
            self.rows[kind] = self.rows.get(kind, 0) + len(table)
            prices = _prices_of(table)
            counts = self._in_time(table, self._usable(table, prices))
            if kind in self._paced:
                times.append((table.sequence, table.ts_ns))
            if prices and counts.any():
                own = [column[counts] for column in prices]
                self.low = min(self.low, *(float(column.min()) for column in own))
                self.high = max(self.high, *(float(column.max()) for column in own))
                if kind in (Kind.TRADE, Kind.BBO):
                    self._freeze(kind, table.ts_ns[counts], *own)
        if times:
            # Gaps are seen in arrival order: a late row fills none.
            order = np.argsort(np.concatenate([sequence for sequence, _ in times]))
            self._span(np.concatenate([ts_ns for _, ts_ns in times])[order])

    def _span(self, times: Any) -> None:
        if self.first_ns is None:
            self.first_ns = int(times[0])
            self.last_ns = int(times[0])
        self.first_ns = min(self.first_ns, int(times.min()))
        whole = np.maximum.accumulate(np.concatenate(([self.last_ns], times)))
        wide = np.flatnonzero(np.diff(whole) > self.gap_ns)
        self.gaps.add(whole[wide], whole[wide + 1])
        self.last_ns = int(whole[-1])

    def _usable(self, table: Table, prices: Sequence[Any]) -> Any:
        """Which rows a run could use if they are in time; what is wrong with the others is
        counted."""
        usable = np.ones(len(table), bool)
        for column in prices:
            sound = np.isfinite(column) & (column > 0)
            self.bad_prices += int((~sound).sum())
            usable &= sound
        if isinstance(table, Bbo):
            crossed = table.bid >= table.ask
            self.crossed += int(crossed.sum())
            usable &= ~crossed
        elif isinstance(table, Trades):
            known = np.where(usable, table.trade_id, -1)
            before = np.maximum.accumulate(np.concatenate(([self._trade_id], known)))
            again = (table.trade_id >= 0) & (table.trade_id <= before[:-1])
            self.duplicates += int(again.sum())
            self._trade_id = int(before[-1])
            usable &= ~again
        return usable

    def _in_time(self, table: Table, usable: Any) -> Any:
        """Which of the usable rows are not earlier than one of their kind that counted before; late
        ones are counted. A print that is no market trade makes no other late."""
        market = usable
        if isinstance(table, Trades):
            market = usable & (table.aggressor != NOT_MARKET)
        reached = self._reached.get(table.KIND, _NEVER)
        times = np.where(market, table.ts_ns, _NEVER)
        running = np.maximum.accumulate(np.concatenate(([reached], times)))
        late = table.ts_ns < running[:-1]
        self.late += int((usable & late).sum())
        self._reached[table.KIND] = int(running[-1])
        return market & ~late

    def _freeze(self, kind: Kind, ts_ns: Any, *prices: Any) -> None:
        """Stretches of rows that repeat one price; what the step begins with may go on from
        before."""
        changed = np.zeros(len(ts_ns), bool)
        changed[0] = True
        for column in prices:
            changed[1:] |= column[1:] != column[:-1]
        starts = np.flatnonzero(changed)
        ends = np.append(starts[1:], len(ts_ns)) - 1
        began, until = ts_ns[starts].copy(), ts_ns[ends]
        held = self._same.get(kind)
        if held is not None and held[0] == tuple(float(column[0]) for column in prices):
            began[0] = held[1]
        elif held is not None and held[2] - held[1] >= self.frozen_ns:
            self.frozen.add(np.array([held[1]]), np.array([held[2]]))
        long = np.flatnonzero(until[:-1] - began[:-1] >= self.frozen_ns)
        self.frozen.add(began[long], until[long])
        last = tuple(float(column[-1]) for column in prices)
        self._same[kind] = (last, int(began[-1]), int(until[-1]))

    def result(self) -> SymbolInspection:
        for _, began, until in self._same.values():
            if until - began >= self.frozen_ns:
                self.frozen.add(np.array([began]), np.array([until]))
        known = np.isfinite(self.low)
        return SymbolInspection(
            symbol=self.symbol,
            contract=self.contract,
            rows={kind.name.lower(): self.rows[kind] for kind in sorted(self.rows)},
            first_ns=self.first_ns or 0,
            last_ns=self.last_ns,
            price_min=float(self.low) if known else 0.0,
            price_max=float(self.high) if known else 0.0,
            gap_threshold_ns=self.gap_ns,
            gaps=self.gaps.count,
            longest_gaps=self.gaps.longest(),
            frozen=self.frozen.count,
            longest_frozen=self.frozen.longest(),
            duplicates=self.duplicates,
            late=self.late,
            crossed=self.crossed,
            bad_prices=self.bad_prices,
        )


def _prices_of(table: Table) -> tuple[Any, ...]:
    if isinstance(table, Bbo):
        return table.bid, table.ask
    if table.KIND in (Kind.TRADE, Kind.MARK, Kind.INDEX):
        return (table.price,)  # type: ignore[attr-defined]  # these have it
    return ()


class Inspector:
    """Takes the steps of a recording in order.

    Attributes:
        bars_without_trades: counted by whoever makes ticks of bars, which these make none of.
    """

    def __init__(self, symbols: Sequence[tuple[str, str, int | None, Sequence[Kind]]]) -> None:
        self.bars_without_trades = 0
        self._symbols = [_Symbol(*symbol) for symbol in symbols]
        self._rows = 0
        self._refused: dict[tuple[str, str | None], tuple[int, str]] = {}
        self._first_ns: int | None = None
        self._last_ns = 0

    def add(self, step: Step) -> None:
        """Count one step."""
        self._rows += len(step)
        for _, message in step.messages:
            if isinstance(message, Malformed):
                key = message.reason, message.symbol
                count, first = self._refused.get(key, (0, message.detail))
                self._refused[key] = count + 1, first
        by_symbol: dict[int, list[Table]] = {}
        for table in map(self._known, step.tables):
            if not len(table):
                continue
            low, high = int(table.ts_ns.min()), int(table.ts_ns.max())
            self._first_ns = low if self._first_ns is None else min(self._first_ns, low)
            self._last_ns = max(self._last_ns, high)
            if isinstance(table.symbol, int):
                by_symbol.setdefault(table.symbol, []).append(table)
                continue
            for place in np.unique(table.symbol).tolist():
                by_symbol.setdefault(place, []).append(table.take(table.symbol == place))
        for place, tables in by_symbol.items():
            self._symbols[place].add(tables)

    def _known(self, table: Table) -> Table:
        """The rows whose symbol is known; the others are refused, as the heart does."""
        strange = table.symbols() < 0
        count = int(strange.sum())
        if not count:
            return table
        key = "unknown_symbol", None
        told, first = self._refused.get(key, (0, f"a {table.KIND.name.lower()} of no known symbol"))
        self._refused[key] = told + count, first
        return table.take(~strange)

    def result(
        self,
        formats: tuple[str, ...],
        files: int,
        book_breaks: int,
        skipped: tuple[tuple[str, str], ...],
    ) -> Inspection:
        """The inspection of all steps so far."""
        symbols = tuple(symbol.result() for symbol in self._symbols)
        malformed, malformed_first = self._refused.get(("malformed", None), (0, ""))
        refused = tuple(
            Refused(*key, *told) for key, told in self._refused.items() if key[0] != "malformed"
        )
        kinds: dict[str, int] = {}
        for kind in Kind:
            count = sum(symbol.rows.get(kind, 0) for symbol in self._symbols)
            if count:
                kinds[kind.name.lower()] = count
        return Inspection(
            rows=self._rows,
            rows_by_kind=kinds,
            first_ns=self._first_ns or 0,
            last_ns=self._last_ns,
            symbols=symbols,
            malformed=malformed,
            malformed_first=malformed_first,
            refused=refused,
            bars_without_trades=self.bars_without_trades,
            book_breaks=book_breaks,
            formats=formats,
            files=files,
            skipped=skipped,
        )
