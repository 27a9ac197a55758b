"""One symbol: its venue, its products, and the market as of any moment.

A market hands itself to its handlers as their ``Scene``: prices as of the row or the alarm that woke them. Rows
between wakes are never visited; what a handler needs of them (signals, extremes) is folded from whole blocks.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct

from engine.agenda import Edges
from engine.events import MarketResumed, MarketStale
from engine.handler import Handler
from engine.lines import Lines
from engine.outputs import Tape
from engine.policy import MarketView
from engine.rows import Column, Rows
from engine.signals import Signals, SignalSpec
from engine.ticks import Bbo, Funding, Kind
from engine.units import MINUTE_NS, NEVER_NS
from engine.venue.book import Book, BookSpec
from engine.venue.contract import Contract, ContractSpec
from engine.venue.funding import FundingSpec, next_scheduled
from engine.watch import ALWAYS

__all__ = ["Market", "MarketSpec", "MarketState"]

MarkSource = Literal["mark", "mid", "last"]
_CHUNK: Final = 64
_KIND_OF: Final = {"mark": Kind.MARK, "mid": Kind.BBO, "last": Kind.TRADE}


class MarketSpec(Struct, frozen=True, kw_only=True):
    """One symbol as the heart needs it.

    Attributes:
        symbol: index of the symbol in the input.
        mark_source: which price values positions, fixed for a run: recorded mark, mid, or last trade.
        stale_after_ns: silence of the mark source after which the market is stale.
        frozen_after_ns: repetition of one price after which it is.
    """

    symbol: int
    contract: ContractSpec
    book: BookSpec = BookSpec(model="flat")
    funding: FundingSpec = FundingSpec()
    signals: SignalSpec = SignalSpec()
    mark_source: MarkSource = "mid"
    stale_after_ns: int = MINUTE_NS
    frozen_after_ns: int = 10 * MINUTE_NS


class MarketState(Struct):
    """What the market remembers between steps: last values, staleness, funding, and the open cell of the grid."""

    mark: float = 0.0
    seen_ns: int = 0
    changed_ns: int = 0
    bid: float = 0.0
    ask: float = 0.0
    last: float = 0.0
    index: float = 0.0
    rate: float = 0.0
    funding_ns: int = NEVER_NS
    funded_ns: int = 0
    following_ns: int = NEVER_NS
    due_rate: float = 0.0
    stale: str = ""
    stale_since_ns: int = 0
    grid_ns: int = NEVER_NS
    cell_low: float = math.inf
    cell_high: float = -math.inf
    cell_fresh: bool = False
    extremes: list[tuple[float, float]] = []


class Market:
    """A symbol with its book and its products."""

    def __init__(
        self, spec: MarketSpec, handlers: list[Handler], products: list[int], tape: Tape
    ) -> None:
        self.spec = spec
        self.contract = Contract(spec.contract)
        self.book = Book(spec.book)
        self.signals = Signals(spec.signals)
        self.handlers = handlers
        self.products = products
        self.edges = Edges(len(handlers))
        for place in range(len(handlers)):
            self.edges.arm(place, ALWAYS.low, ALWAYS.high)
        self.state = MarketState(extremes=[(math.inf, -math.inf)] * len(handlers))
        self.kind = _KIND_OF[spec.mark_source]
        self.tape = tape
        self.uses_signals = any(h.uses_signals for h in handlers)
        self.high_water = [n for n, h in enumerate(handlers) if h.uses_high_water]
        self.ts_ns = 0
        self.due_ns = 0
        self.mark = 0.0
        self.stale = False
        self._plain_view: MarketView | None = None
        self._rows: Rows | None = None
        self._limit = 0
        self._cell_row = 0
        self._extreme_rows = [0] * len(handlers)
        self.lines = Lines(tuple(products))

    @property
    def launched(self) -> bool:
        """Whether the products were launched: all at the first price."""
        return bool(self.handlers) and self.handlers[0].state.status != "pending"

    # The step -------------------------------------------------------------------------------

    def open(self, rows: Rows) -> None:
        """A new step begins."""
        self._rows = rows
        self._cell_row = 0
        self._extreme_rows = [0] * len(self.handlers)

    def stage(
        self, before: int, ts_ns: int, due_ns: int, mark: float | None = None
    ) -> None:
        """Set the scene: rows with a sequence below ``before`` were seen, engine time is ``ts_ns``, alarms up to
        ``due_ns`` have rung; ``mark`` is looked up where it is not known."""
        self._limit = before
        self.ts_ns = ts_ns
        self.due_ns = due_ns
        known = self.state.mark
        self.mark = self._value(self.kind, "prices", known) if mark is None else mark
        self._plain_view = None
        self.stale = bool(self.state.stale)

    def close(self, time_ns: int) -> None:
        """The step ends: fold what its rows said and forget them."""
        rows, state = self._rows, self.state
        assert rows is not None
        self._limit = rows.end
        column = self._column(self.kind)
        if column is not None and self.uses_signals:
            self._fold_signals(time_ns - 1)
        if column is not None:
            last = column.last(self.spec.symbol, rows.end)
            if last >= 0:
                self._remember(column, last)
        for number in self.high_water:
            self._fold_extremes(number)
        state.rate = self.funding_rate()
        state.last = self._value(Kind.TRADE, "prices", state.last)
        state.index = self._value(Kind.INDEX, "prices", state.index)
        book = rows.by_kind[Kind.BBO]
        if book is not None:
            state.bid, state.ask = self._quotes(book)
        self._rows = None

    def _remember(self, column: Column, last: int) -> None:
        state, prices = self.state, column.prices
        assert prices is not None
        mark, seen = float(prices[last]), int(column.table.ts_ns[last])
        state.changed_ns = self._changed_ns(column, last)
        if self.uses_signals:
            own = self._own(column, self._cell_row, last + 1)
            if len(own):
                state.cell_low = min(state.cell_low, float(own.min()))
                state.cell_high = max(state.cell_high, float(own.max()))
                state.cell_fresh = True
            if state.grid_ns == NEVER_NS:
                state.grid_ns = self._next_grid(int(column.run[last]))
        state.mark, state.seen_ns = mark, seen

    # What handlers see ------------------------------------------------------------------------

    def top(self) -> tuple[float, float]:
        """Mid, and half the recorded spread as a share of it; the mark and -1 where no book is recorded."""
        rows, state = self._rows, self.state
        bid, ask = state.bid, state.ask
        book = rows.by_kind[Kind.BBO] if rows is not None else None
        if book is not None:
            bid, ask = self._quotes(book)
        if bid <= 0.0:
            return self.mark, -1.0
        mid = (bid + ask) * 0.5
        return mid, (ask - bid) * 0.5 / mid

    def view(self, uses_signals: bool) -> MarketView:
        """What policies see; the figures of the grid and the book only where they are used."""
        mark = self.mark
        if not uses_signals:
            view = self._plain_view
            if view is None:
                view = self._plain_view = MarketView(self.ts_ns, mark, mark, mark)
            return view
        self._fold_signals(self.due_ns)
        state, signals = self.state, self.signals
        index = self._value(Kind.INDEX, "prices", state.index) or mark
        half_spread = self.top()[1]
        return MarketView(
            self.ts_ns,
            mark,
            self._value(Kind.TRADE, "prices", state.last) or mark,
            index,
            (mark / index - 1.0) * 1e4,
            self.funding_rate(),
            max(half_spread, 0.0) * 2e4,
            self.book.depth(self.ts_ns),
            signals.ewma_vol,
            signals.realised_vol,
            signals.parkinson_vol,
            signals.trend,
            signals.drawdown(mark),
            signals.stale,
            signals.state.price,
        )

    def pass_grid(self) -> None:
        """Alarms up to ``due_ns`` have rung: the grid is fed as far, whoever asks."""
        if self.uses_signals:
            self._fold_signals(self.due_ns)

    def extremes(self, handler: int) -> tuple[float, float]:
        """Lowest and highest mark since this handler last asked; the present one included."""
        self._fold_extremes(handler)
        low, high = self.state.extremes[handler]
        self.state.extremes[handler] = (math.inf, -math.inf)
        return min(low, self.mark), max(high, self.mark)

    def funding_rate(self) -> float:
        """The funding rate as last announced; the scheduled one where nothing is recorded."""
        column = self._column(Kind.FUNDING) if self.spec.funding.recorded else None
        place = column.last(self.spec.symbol, self._limit) if column is not None else -1
        if column is None or place < 0:
            return self.state.rate
        table = column.table
        assert isinstance(table, Funding)
        return float(table.rate[place])

    def see(self, price: float) -> None:
        """A live tick: what the folding of a block would have made of it."""
        state = self.state
        if self.uses_signals:
            state.cell_low = min(state.cell_low, price)
            state.cell_high = max(state.cell_high, price)
            state.cell_fresh = True
        for number in self.high_water:
            low, high = state.extremes[number]
            state.extremes[number] = (min(low, price), max(high, price))

    def marks_at(self, sequences: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
        """Shape (n,): the mark just before each of the ascending sequences."""
        column = self._column(self.kind)
        if column is None:
            return np.full(len(sequences), self.state.mark)
        prices = column.prices
        assert prices is not None
        rows = column.rows_of(self.spec.symbol)
        if rows is None:
            places = column.sequence.searchsorted(sequences) - 1
        else:
            places = column.sequence[rows].searchsorted(sequences) - 1
            prices = prices[rows]
        if not len(prices):
            return np.full(len(sequences), self.state.mark)
        marks = prices.take(places, mode="clip")
        if places[0] < 0:
            marks = np.where(places < 0, self.state.mark, marks)
        return marks

    # Staleness --------------------------------------------------------------------------------

    def next_check_ns(self) -> int:
        """When the market would be stale if nothing came; not before now, though its last price may be older."""
        seen, changed = self._freshness()
        due_ns = min(seen + self.spec.stale_after_ns, changed + self.spec.frozen_after_ns)
        return max(due_ns, self.ts_ns)

    def check_stale(self) -> None:
        """An alarm: is the market stale by now?"""
        seen, changed = self._freshness()
        silent = self.ts_ns - seen >= self.spec.stale_after_ns
        if not silent and self.ts_ns - changed < self.spec.frozen_after_ns:
            return
        state = self.state
        state.stale = "gap" if silent else "frozen"
        state.stale_since_ns = seen if silent else changed
        self.stale = True
        self.tape.say(
            MarketStale,
            symbol=self.spec.contract.symbol,
            reason=state.stale,
            since_ns=state.stale_since_ns,
        )

    def resume(self) -> None:
        """A fresh price after staleness."""
        state = self.state
        state.stale = ""
        self.stale = False
        self.tape.say(
            MarketResumed,
            symbol=self.spec.contract.symbol,
            price=self.mark,
            stale_ns=self.ts_ns - state.stale_since_ns,
        )
        for handler in self.handlers:
            handler.desk.release(self.ts_ns)

    def bounds(self) -> tuple[float, float]:
        """Between which marks nobody here has anything to say."""
        if not self.handlers:
            return -math.inf, math.inf
        if self.state.stale == "frozen":
            mark = self.mark
            return math.nextafter(mark, -math.inf), math.nextafter(mark, math.inf)
        if self.state.stale:
            return math.inf, -math.inf
        return self.edges.low, self.edges.high

    # Folding ----------------------------------------------------------------------------------

    def _column(self, kind: Kind) -> Column | None:
        rows = self._rows
        column = rows.by_kind[kind] if rows is not None else None
        if column is None:
            return None
        symbol = column.symbol
        return None if isinstance(symbol, int) and symbol != self.spec.symbol else column

    def _value(self, kind: Kind, values: str, known: float) -> float:
        column = self._column(kind)
        if column is None:
            return known
        place = column.last(self.spec.symbol, self._limit)
        return float(getattr(column, values)[place]) if place >= 0 else known

    def _quotes(self, book: Column) -> tuple[float, float]:
        place = book.last(self.spec.symbol, self._limit)
        if place < 0:
            return self.state.bid, self.state.ask
        table = book.table
        assert isinstance(table, Bbo)
        return float(table.bid[place]), float(table.ask[place])

    def _own(self, column: Column, start: int, stop: int) -> Any:
        """The symbol's prices among the rows ``[start, stop)`` of a column."""
        prices = column.prices
        assert prices is not None
        rows = column.rows_of(self.spec.symbol)
        if rows is None:
            return prices[start:stop]
        return prices[rows[int(rows.searchsorted(start)) : int(rows.searchsorted(stop))]]

    def _freshness(self) -> tuple[int, int]:
        column = self._column(self.kind)
        place = column.last(self.spec.symbol, self._limit) if column is not None else -1
        if column is None or place < 0:
            return self.state.seen_ns, self.state.changed_ns
        return int(column.table.ts_ns[place]), self._changed_ns(column, place)

    def _changed_ns(self, column: Column, last: int) -> int:
        """When the price at row ``last`` was first seen in an unbroken repetition."""
        rows = column.rows_of(self.spec.symbol)
        own = self._own(column, 0, last + 1)
        times = column.table.ts_ns if rows is None else column.table.ts_ns[rows]
        if len(own) > 1 and own[-1] != own[-2]:
            return int(times[len(own) - 1])
        chunk, stop = _CHUNK, len(own)
        while stop > 0:
            start = max(0, stop - chunk)
            other = np.flatnonzero(own[start:stop] != own[-1])
            if len(other):
                return int(times[start + int(other[-1]) + 1])
            stop = start
            chunk += chunk
        repeats = self.state.mark == own[-1]
        return self.state.changed_ns if repeats else int(times[0])

    def _next_grid(self, ts_ns: int) -> int:
        every = self.spec.signals.every_ns
        return -(-ts_ns // every) * every

    def _fold_signals(self, up_to_ns: int) -> None:
        """Feed the grid points up to ``up_to_ns`` that are not fed yet."""
        state = self.state
        column = self._column(self.kind)
        if state.grid_ns == NEVER_NS:
            rows = column.rows_of(self.spec.symbol) if column is not None else None
            if column is None or (rows is not None and not len(rows)):
                return
            state.grid_ns = self._next_grid(int(column.run[0 if rows is None else rows[0]]))
        every = self.spec.signals.every_ns
        while state.grid_ns <= up_to_ns:
            self._feed(column, state.grid_ns)
            state.grid_ns += every

    def _feed(self, column: Column | None, grid_ns: int) -> None:
        state, close = self.state, self.state.mark
        if column is not None:
            stop = min(int(column.run.searchsorted(grid_ns, "right")), column.row_at(self._limit))
            own = self._own(column, self._cell_row, stop) if stop > self._cell_row else ()
            if len(own):
                state.cell_low = min(state.cell_low, float(own.min()))
                state.cell_high = max(state.cell_high, float(own.max()))
                state.cell_fresh = True
            self._cell_row = max(self._cell_row, stop)
            place = column.last(self.spec.symbol, int(column.sequence[stop - 1]) + 1) if stop else -1
            if place >= 0:
                assert column.prices is not None
                close = float(column.prices[place])
        self.signals.step(close, state.cell_high, state.cell_low, state.cell_fresh)
        state.cell_low, state.cell_high, state.cell_fresh = math.inf, -math.inf, False

    def _fold_extremes(self, handler: int) -> None:
        column = self._column(self.kind)
        if column is None:
            return
        stop = column.row_at(self._limit)
        start = self._extreme_rows[handler]
        if stop > start:
            own = self._own(column, start, stop)
            if len(own):
                low, high = self.state.extremes[handler]
                self.state.extremes[handler] = (
                    min(low, float(own.min())),
                    max(high, float(own.max())),
                )
            self._extreme_rows[handler] = stop

    # Funding ----------------------------------------------------------------------------------

    def announce(self, next_ns: int) -> int:
        """A funding row named another instant; when to settle.

        An instant that was settled is not settled again. One that is due now, and not settled yet because prices come
        first, is not given up: it keeps the rate of the last row that named it, and the new one follows it.
        """
        state = self.state
        if not self.spec.funding.recorded or next_ns <= state.funded_ns:
            return state.funding_ns
        if state.funding_ns <= self.ts_ns and next_ns > state.funding_ns:
            if state.following_ns == NEVER_NS:
                self._limit -= 1
                state.due_rate = self.funding_rate()
                self._limit += 1
            state.following_ns = next_ns
        else:
            state.funding_ns = max(next_ns, self.ts_ns)
        return state.funding_ns

    def settle_funding(self) -> int:
        """An alarm: the funding instant. Every product pays or receives; the next instant, if it is known."""
        state = self.state
        followed = state.following_ns != NEVER_NS
        rate = state.due_rate if followed else self.funding_rate()
        for handler in self.handlers:
            handler.settle_funding(self, rate)
        state.funded_ns = self.ts_ns
        next_ns, state.following_ns = state.following_ns, NEVER_NS
        state.funding_ns = next_ns if followed else self.schedule_funding(self.ts_ns)
        return state.funding_ns

    def schedule_funding(self, after_ns: int) -> int:
        """Look up the next configured instant; recorded ones come with the rows."""
        state = self.state
        state.funding_ns = NEVER_NS
        if not self.spec.funding.recorded:
            state.funding_ns, state.rate = next_scheduled(self.spec.funding, after_ns)
        return state.funding_ns
