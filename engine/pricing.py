"""A venue's own prices, made of the rows of a step: point by point of the grid, whole stretches at
once.

A point is made once the market is known to be past it, of all rows up to it. Where nothing is heard
for long, the points at which nothing could be made are passed at once.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final

import numpy as np

from engine.points import Heard, Points, PricingSpec
from engine.rows import Column, Rows
from engine.ticks import Bbo, Funding, Index, Kind, Marks, Trades
from engine.units import NEVER_NS
from engine.venue.funding import FundingSpec

__all__ = ["Pricing"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

_POINTS_MAX: Final = 8_192
"""Points of the grid that are looked up at once."""


class Channel:
    """What a venue publishes of one symbol, rows of one kind, in this step."""

    __slots__ = ("_own", "column", "number", "seen")

    def __init__(self, number: int, column: Column, symbol: int) -> None:
        self.number = number
        self.column = column
        self._own = column.rows_of(symbol)
        self.seen = -1

    def places(self, times: I64, before: int) -> list[int]:
        """The last row of each time, with a sequence below ``before``; -1 where there is none."""
        column, own = self.column, self._own
        stops = np.minimum(column.run.searchsorted(times, "right"), column.row_at(before))
        if own is not None:
            picked = own.searchsorted(stops) - 1
            stops = np.where(picked < 0, -1, own.take(picked)) + 1
        places: list[int] = (stops - 1).tolist()
        return places

    def next_ns(self, after_ns: int, before: int) -> int:
        """When the next row comes; ``NEVER_NS`` where none does."""
        place = int(self.column.run.searchsorted(after_ns, "right"))
        return self.column.run.item(place) if place < self.column.row_at(before) else NEVER_NS


class Pricing:
    """Makes the points of one market.

    Attributes:
        points: what makes them, and remembers.
        column: the marks made in this step, each named by its time instead of a sequence; ``None``
            as long as there are none.
    """

    __slots__ = (
        "_channels",
        "_index",
        "_indexes",
        "_points",
        "_prices",
        "_rate",
        "_recorded",
        "_symbols",
        "_times",
        "column",
        "points",
    )

    def __init__(self, symbol: int, spec: PricingSpec, funding: FundingSpec) -> None:
        self._symbols = [symbol, *(source.symbol for source in spec.sources)]
        self._recorded = [False, *(source.recorded for source in spec.sources)]
        self.points = Points(spec, funding)
        self._channels: list[Channel] = []
        self._clear()

    def _clear(self) -> None:
        self._times: list[int] = []
        self._points: list[int] = []
        self._prices: list[float] = []
        self._indexes: list[float] = []
        self._index, self._rate = self.points.state.index, self.points.state.rate
        self.column: Column | None = None

    def open(self, rows: Rows) -> None:
        """A new step begins."""
        self._clear()
        self.points.forget()
        self._channels = []
        for number, symbol in enumerate(self._symbols):
            kinds = [Kind.INDEX] if self._recorded[number] else [Kind.BBO, Kind.TRADE]
            if number == 0:
                kinds.append(Kind.FUNDING)
            for kind in kinds:
                column = rows.by_kind[kind]
                if column is not None and column.last(symbol, rows.end) >= 0:
                    self._channels.append(Channel(number, column, symbol))

    def advance(self, rows: Rows, up_to_ns: int, before: int) -> None:
        """Make the points up to a time, of rows with a sequence below ``before``."""
        state, made = self.points.state, len(self._times)
        if state.next_ns == NEVER_NS:
            if not rows.columns:
                return
            first_ns: int = min(column.run.item(0) for column in rows.columns)
            state.next_ns = -(-first_ns // self.points.grid_ns) * self.points.grid_ns
        while state.next_ns <= up_to_ns:
            self._some(up_to_ns, before)
        if len(self._times) > made:
            self.column = self._marks()

    def _some(self, up_to_ns: int, before: int) -> None:
        """Points until so many are made, or until nothing is heard."""
        points, state, every = self.points, self.points.state, self.points.grid_ns
        stop_ns = min(up_to_ns, state.next_ns + (_POINTS_MAX - 1) * every)
        times = np.arange(state.next_ns, stop_ns + 1, every)
        places = [channel.places(times, before) for channel in self._channels]
        for place, ts_ns in enumerate(times.tolist()):
            for channel, rows in zip(self._channels, places, strict=True):
                if rows[place] != channel.seen:
                    self._hear(channel, rows[place])
            fresh = points.at(ts_ns)
            state.next_ns = ts_ns + every
            self._points.append(ts_ns)
            self._indexes.append(state.index)
            if points.mark is not None:
                self._times.append(ts_ns)
                self._prices.append(points.mark.price)
            if not fresh:
                heard_ns = self._silent_until(ts_ns, up_to_ns, before)
                if heard_ns > state.next_ns:
                    points.pass_silence(ts_ns, heard_ns - 1)
                    state.next_ns = heard_ns
                    return

    def _silent_until(self, ts_ns: int, up_to_ns: int, before: int) -> int:
        """The first point after a silent one at which something may be heard or is due, or the
        first later than ``up_to_ns``."""
        every = self.points.grid_ns
        row_ns = min(
            [channel.next_ns(ts_ns, before) for channel in self._channels], default=NEVER_NS
        )
        again_ns = min(self.points.next_instant(ts_ns), self.points.next_unmasked(ts_ns))
        next_ns = min(row_ns, again_ns, up_to_ns + 1)
        return -(-next_ns // every) * every

    def _hear(self, channel: Channel, row: int) -> None:
        channel.seen = row
        table, state = channel.column.table, self.points.state
        said: Heard = state.heard[channel.number]
        ts_ns = table.ts_ns.item(row)
        if isinstance(table, Bbo):
            said.bid, said.ask, said.book_ns = table.bid.item(row), table.ask.item(row), ts_ns
        elif isinstance(table, Trades):
            said.last, said.last_ns = table.price.item(row), ts_ns
        elif isinstance(table, Index):
            said.index, said.index_ns = table.price.item(row), ts_ns
        elif isinstance(table, Funding):
            self.points.announce(table.rate.item(row), table.next_ns.item(row))

    def _marks(self) -> Column:
        times = np.array(self._times, np.int64)
        prices = np.array(self._prices)
        table = Marks(sequence=times, symbol=self._symbols[0], ts_ns=times, price=prices)
        return Column(table, times, prices, min(self._prices), max(self._prices))

    def index_at(self, ts_ns: int) -> float:
        """The index of the last point of this step up to a time; of the last one before where there
        is none."""
        row = bisect_right(self._points, ts_ns) - 1
        return self._indexes[row] if row >= 0 else self._index

    def rate_at(self, ts_ns: int) -> float:
        """The funding rate of the last instant up to a time, where it is made of premiums."""
        rate = self._rate
        for instant_ns, settled in self.points.settled:
            if instant_ns <= ts_ns:
                rate = settled
        return rate

    def close(self, rows: Rows) -> None:
        """The step ends: what its last rows said is remembered."""
        for channel in self._channels:
            row = channel.column.last(self._symbols[channel.number], rows.end)
            if row != channel.seen:
                self._hear(channel, row)
        self._channels = []
