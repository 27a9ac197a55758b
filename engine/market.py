"""One symbol: its venue, its products, and the market as of any moment.

A market hands itself to its handlers as their ``Scene``: prices as of the row or the alarm that
woke them. Rows between wakes are never visited; what a handler needs of them (signals, extremes) is
folded from whole blocks.
"""

from __future__ import annotations

import math

from engine.agenda import Edges
from engine.even_checks import pass_even
from engine.events import MarketResumed
from engine.following import Following
from engine.handler import Handler
from engine.late_funding import unsay
from engine.lines import Lines
from engine.market_state import AS_USUAL, MarketSpec, MarketState, Staleness
from engine.outputs import Tape
from engine.policy import MarketView
from engine.rows import Column
from engine.ticks import Kind
from engine.units import NEVER_NS
from engine.venue.funding import FundingDue, next_scheduled
from engine.venue.places import Places
from engine.venue.taking import Top
from engine.watch import ALWAYS

__all__ = ["Market", "MarketSpec", "MarketState"]

_TRADE, _BBO = Kind.TRADE, Kind.BBO  # looked up once; see ``folding``


class Market(Following):
    """A symbol with its book and its products."""

    def __init__(
        self, spec: MarketSpec, handlers: list[Handler], products: list[int], tape: Tape, seed: int
    ) -> None:
        super().__init__(spec, handlers)
        self.handlers = handlers
        self.products = products
        self.seed = seed
        self.edges = Edges(len(handlers))
        for place in range(len(handlers)):
            self.edges.arm(place, ALWAYS.low, ALWAYS.high)
        self.tape = tape
        self.ts_ns = 0
        self.due_ns = 0
        self.mark = 0.0
        self.stale = False
        self.degraded = AS_USUAL
        self.delay_ns = 0
        self.guard = (-math.inf, math.inf)
        """Between which marks the venue need not look at any margin account."""
        self._view: MarketView | None = None
        self._plain_view: MarketView | None = None
        self.lines = Lines(tuple(products))
        self.places: Places | None = None
        """The queue of the venue's auto-deleveraging, where a hedge may stand in it."""

    def stage(self, before: int, ts_ns: int, due_ns: int, mark: float | None = None) -> None:
        """Set the scene: rows with a sequence below ``before`` were seen, engine time is ``ts_ns``,
        alarms up to ``due_ns`` have rung; ``mark`` is looked up where it is not known."""
        if before != self._limit or ts_ns != self.ts_ns or due_ns != self.due_ns:
            self._view = None
        self._limit = before
        self.ts_ns = ts_ns
        self.due_ns = due_ns
        state = self.state
        self.mark = self._price(self.kind, state.mark) if mark is None else mark
        if self.followers:
            self.refer(ts_ns)
        self.stale = state.stale != ""
        degraded = state.degraded
        if degraded is not AS_USUAL and ts_ns >= degraded.until_ns:
            degraded = AS_USUAL
        self.degraded, self.delay_ns = degraded, degraded.delay_ns
        self._plain_view = None

    # What handlers see ------------------------------------------------------------------------

    def top(self) -> Top:
        """The market around the book; at the mark where no book is recorded."""
        rows, state = self._rows, self.state
        bid, ask = state.bid, state.ask
        book = rows.by_kind[_BBO] if rows is not None else None
        if book is not None:
            bid, ask = self._quotes(book)
        if bid <= 0.0:
            return Top(self.mark, -1.0, self.ts_ns)
        mid = (bid + ask) * 0.5
        return Top(mid, (ask - bid) * 0.5 / mid, self.ts_ns)

    def view(self, uses_signals: bool) -> MarketView:
        """What policies see; the figures of the grid and the book only where they are used."""
        mark = self.mark
        if not uses_signals:
            view = self._plain_view
            if view is None:
                view = self._plain_view = MarketView(self.ts_ns, mark, mark, mark)
            return view
        # Everybody who is attended on one scene sees the same, but for what trades took meanwhile.
        depth = self.book.depth(self.ts_ns)
        view = self._view
        if view is None or view.depth != depth:
            view = self._view = self._signal_view(depth)
        return view

    def _signal_view(self, depth: float) -> MarketView:
        self._fold_signals(self.due_ns)
        state, signals, mark = self.state, self.signals, self.mark
        index = self.index() or mark
        half_spread = self.top().half_spread
        return MarketView(
            self.ts_ns,
            mark,
            self._price(_TRADE, state.last) or mark,
            index,
            (mark / index - 1.0) * 1e4,
            self.funding_rate(),
            max(half_spread, 0.0) * 2e4,
            depth,
            signals.ewma_vol,
            signals.realised_vol,
            signals.parkinson_vol,
            signals.trend,
            signals.drawdown(mark),
            signals.stale,
            signals.state.price,
        )

    def pass_grid(self) -> None:
        """Alarms up to ``due_ns`` have rung: the grid is fed as far, whoever asks, and begins
        later if there was no price yet."""
        if self.uses_signals:
            self._fold_signals(self.due_ns)
            if self.state.grid_ns == NEVER_NS:
                self.state.floor_ns = self.due_ns

    def extremes(self, handler: int) -> tuple[float, float]:
        """Lowest and highest mark since this handler last asked; the present one included."""
        self._fold_extremes(handler)
        low, high = self.state.extremes[handler]
        self.state.extremes[handler] = (math.inf, -math.inf)
        return min(low, self.mark), max(high, self.mark)

    # Staleness --------------------------------------------------------------------------------

    def check_ns(self, before: int, ts_ns: int) -> int:
        """``next_check_ns`` as of ``ts_ns``, with the rows below ``before`` seen: not later than
        ``ts_ns`` where the market is stale by then."""
        column = self.source
        row = column.last(self.spec.symbol, before) if column is not None else -1
        return self._check_at(column, row, ts_ns)

    def next_check_ns(self) -> int:
        """When the market would be stale if nothing came; not before now, though its last price may
        be older."""
        return self.check_ns(self._limit, self.ts_ns)

    def check_by(self, ts_ns: int, column: Column | None) -> int:
        """``check_ns`` with all rows of a column seen that are not later than ``ts_ns``."""
        row = -1
        if column is not None:
            stop = int(column.run.searchsorted(ts_ns, "right"))
            row = column.last_above(self.spec.symbol, stop)
        return self._check_at(column, row, ts_ns)

    def check_through(self, due_ns: int, before_ns: int, column: Column | None) -> int:
        """``check_by`` from check to check as long as they find the market fresh and lie before
        ``before_ns``: the first one that does not, or ``due_ns`` where it is that one."""
        if column is None or column.prices is None or not column.alone:
            return self.check_by(due_ns, column)
        runs, times, price = column.run.item, column.table.ts_ns.item, column.prices.item
        spec, row, stride, last = self.spec, -1, 0, len(column.sequence) - 1
        wait_ns = min(spec.stale_after_ns, spec.frozen_after_ns)
        first_ns, span_ns = runs(0), runs(last) - runs(0) or 1
        while due_ns < before_ns:
            # Where rows come evenly each is as far on as its time, or as the last check's row was.
            near = row + stride if stride else (due_ns - first_ns) * last // span_ns
            if not (0 <= near < last and runs(near) <= due_ns < runs(near + 1)):
                near = int(column.run.searchsorted(due_ns, "right")) - 1
            row, stride = near, near - row if row >= 0 else 0
            changed = row > 0 and price(row) != price(row - 1)
            next_ns = times(row) + wait_ns if changed else self._check_at(column, row, due_ns)
            if next_ns <= due_ns:
                break
            due_ns = next_ns
            if 0 < stride <= row < last - stride:
                row, due_ns = pass_even(column, wait_ns, row, stride, due_ns, before_ns)
        return due_ns

    def _check_at(self, column: Column | None, row: int, ts_ns: int) -> int:
        seen, changed = self._fresh_at(column, row)
        due_ns = min(seen + self.spec.stale_after_ns, changed + self.spec.frozen_after_ns)
        return max(due_ns, ts_ns)

    def check_stale(self) -> None:
        """An alarm: is the market stale by now?"""
        column = self.source
        row = column.last(self.spec.symbol, self._seen()) if column is not None else -1
        seen, changed = self._fresh_at(column, row)
        silent = self.ts_ns - seen >= self.spec.stale_after_ns
        if not silent and self.ts_ns - changed < self.spec.frozen_after_ns:
            return
        if silent:
            self._go_stale("gap", seen)
        else:
            self._go_stale("frozen", changed)

    def _fresh_at(self, column: Column | None, row: int) -> tuple[int, int]:
        if column is None or row < 0:
            return self.state.seen_ns, self.state.changed_ns
        return column.table.ts_ns.item(row), self._changed_ns(column, row)

    def _go_stale(self, reason: Staleness, since_ns: int) -> None:
        super()._go_stale(reason, since_ns)
        for handler in self.handlers:
            handler.reprice(self)

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
            handler.reprice(self)

    def bounds(self) -> tuple[float, float]:
        """Between which marks nobody here has anything to say."""
        stale = self.state.stale
        if not stale and self.handlers:
            if self.followers and self.index_waits:
                return math.inf, -math.inf
            low, high = self.edges.bounds()
            least, most = self.guard
            return (low if low > least else least), (high if high < most else most)
        if not self.handlers or stale == "halted":
            return -math.inf, math.inf
        if stale == "frozen":
            mark = self.mark
            return math.nextafter(mark, -math.inf), math.nextafter(mark, math.inf)
        return math.inf, -math.inf

    # Funding ----------------------------------------------------------------------------------

    def announce(self, next_ns: int) -> int:
        """A funding row named an instant that was not settled; when to settle."""
        if self.spec.funding.recorded:
            self.state.funding_ns = max(next_ns, self.ts_ns)
        return self.state.funding_ns

    def was_funded(self, next_ns: int) -> bool:
        """Whether a funding row that names this instant is late: it was settled, or a later one
        was."""
        return self.spec.funding.recorded and next_ns <= self.state.funded_ns

    def unsay_funding(self, sequence: int) -> str:
        """The funding row at that place came late; its own numbers."""
        column = self._column(Kind.FUNDING)
        assert column is not None
        return unsay(column, self.spec.symbol, sequence, self._funding_known())

    def _funding_known(self) -> tuple[float, int]:
        """Rate and instant as said before this step; only a venue's own mark looks at the
        instant."""
        return self.state.rate, 0

    def funding_index(self) -> float | None:
        """The index at which positions are valued to pay; ``None`` where that is the mark."""
        by_index = self.spec.venue.funding.priced_at == "index"
        return (self.index() or None) if by_index else None

    def settle_funding(self) -> int:
        """An alarm: the funding instant. Every product pays or receives; the next instant, if it is
        known."""
        state, rate = self.state, self.funding_rate()
        rules = self.spec.venue.funding
        due = FundingDue(rate, self.funding_index(), rules.instant_pays)
        for handler in self.handlers:
            handler.settle_funding(self, due)
        state.funded_ns, state.funded_rate = self.ts_ns, rate
        return self.schedule_funding(self.ts_ns)

    def schedule_funding(self, after_ns: int) -> int:
        """Look up the next configured instant; recorded ones come with the rows."""
        state, self._view = self.state, None
        state.funding_ns = NEVER_NS
        if not self.spec.funding.recorded:
            state.funding_ns, state.rate = next_scheduled(self.spec.funding, after_ns)
        return state.funding_ns
