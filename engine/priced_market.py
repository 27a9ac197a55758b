"""A market whose venue makes prices of its own: its mark, its funding rate, or both.

Its marks are no rows of the input but points of a grid, so they are looked up by time where those
of other markets are looked up by sequence. What stands on them (edges, samples, signals, extremes,
staleness) is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.commands import DegradeMarket, MaskIndex, ThinBook
from engine.handler import Handler
from engine.market import Market
from engine.market_state import MarketSpec
from engine.outputs import Tape
from engine.pricing import Pricing
from engine.rows import Column, Rows
from engine.units import MILLISECOND_NS, NEVER_NS
from engine.watch import first_breach

__all__ = ["PricedMarket", "trouble"]

I64 = np.ndarray[Any, np.dtype[np.int64]]


class PricedMarket(Market):
    """A symbol with its book, its products, and the points that its venue makes."""

    def __init__(
        self, spec: MarketSpec, handlers: list[Handler], products: list[int], tape: Tape, seed: int
    ) -> None:
        super().__init__(spec, handlers, products, tape, seed)
        self.pricing = self._maker()
        self._seen_ns, self._again_ns = 0, -1
        self._told = 0
        self._made_to_ns = -1

    def _maker(self) -> Pricing:
        spec = self.spec
        assert spec.pricing is not None
        return Pricing(spec.symbol, spec.pricing, spec.funding)

    @property
    def makes_marks(self) -> bool:
        """Whether positions are valued at what the venue makes."""
        return self.kind is None

    # The step -----------------------------------------------------------------------------------

    def open(self, rows: Rows) -> None:
        super().open(rows)
        self.pricing.open(rows)
        self._told, self._again_ns = 0, -1

    def make(self, rows: Rows, up_to_ns: int, before: int) -> None:
        """Make the points up to a time, of the rows below ``before``."""
        self.pricing.advance(rows, up_to_ns, before)
        self._made_to_ns = up_to_ns
        if self.makes_marks:
            self.source = self.pricing.column

    def close(self, time_ns: int) -> None:
        rows, seen_ns = self._rows, self._seen_ns
        assert rows is not None
        self._seen_ns = NEVER_NS - 1  # all points of the step lie before its end
        super().close(time_ns)
        self._seen_ns = seen_ns
        self.pricing.close(rows)
        if self.spec.funding.premium is not None:
            self.state.rate = self.pricing.points.state.rate

    def stage(self, before: int, ts_ns: int, due_ns: int, mark: float | None = None) -> None:
        # A mark that is given was made at this instant, and comes before its alarms.
        seen_ns = ts_ns if self.makes_marks and mark is not None else due_ns
        if seen_ns != self._seen_ns:
            self._seen_ns, self._view = seen_ns, None
        if mark is None:
            self._again_ns = -1
            mark = self.made_at(due_ns)
        super().stage(before, ts_ns, due_ns, mark)

    def made_at(self, ts_ns: int) -> float | None:
        """The last mark made up to a time; ``None`` where marks are not the venue's own."""
        if not self.makes_marks:
            return None
        row = self._row_at(ts_ns)
        return self.state.mark if row < 0 else self._prices().item(row)

    def _seen(self) -> int:
        return self._seen_ns + 1 if self.makes_marks else self._limit

    def _row_at(self, ts_ns: int) -> int:
        """The last mark made up to a time; -1 where there is none in this step."""
        return self.source.row_at(ts_ns + 1) - 1 if self.source is not None else -1

    def _prices(self) -> Any:
        assert self.source is not None
        return self.source.prices

    def mask_index(self, command: MaskIndex, source: int | None) -> str | None:
        """The operator: the sources of a symbol, all where ``None``, are out of order, or count
        again; why not, where it is refused."""
        for_ns = command.for_ms * MILLISECOND_NS
        until_ns = self.ts_ns + for_ns if for_ns else NEVER_NS
        return self.pricing.points.mask(source, self.ts_ns, until_ns if command.masked else 0)

    # Alarms -------------------------------------------------------------------------------------

    def next_made_ns(self) -> int:
        """When the venue has something to tell, or makes a mark at or beyond an edge, from now
        on."""
        notices, due_ns = self.pricing.points.notices, NEVER_NS
        if self._told < len(notices):
            due_ns = notices[self._told][0]
        row = self._next_beyond() if self.makes_marks else -1
        return due_ns if row < 0 else min(due_ns, self._made_ns(row))

    def beyond_at(self, ts_ns: int) -> int:
        """The mark made at that very time, if it is at or beyond an edge; else -1."""
        self._again_ns = -1
        row = self._row_at(ts_ns) if self.makes_marks else -1
        if row < 0 or self._made_ns(row) != ts_ns:
            return -1
        low, high = self.bounds()
        return -1 if low < self._prices().item(row) < high else row

    def look_again(self, ts_ns: int) -> None:
        """The market resumed at the mark of that time: its products are to look at it."""
        self._again_ns = ts_ns

    def tell(self, ts_ns: int) -> None:
        """Say what became due at that time."""
        notices, symbol = self.pricing.points.notices, self.spec.contract.symbol
        while self._told < len(notices) and notices[self._told][0] <= ts_ns:
            _, kind, said = notices[self._told]
            self._told += 1
            self.tape.say(kind, symbol=symbol, **said)

    def _next_beyond(self) -> int:
        """The next mark at or beyond an edge; -1 where there is none in this step."""
        if self.source is None or not self.handlers:
            return -1
        start = self._row_at(self._seen_ns) + 1
        if self._again_ns == self._seen_ns:
            start -= 1
        low, high = self.bounds()
        row = first_breach(self._prices(), low, high, start, len(self.source))
        return row if row < len(self.source) else -1

    def _made_ns(self, row: int) -> int:
        assert self.source is not None
        return self.source.run.item(row)

    # What is looked up by time ------------------------------------------------------------------

    def check_ns(self, before: int, ts_ns: int) -> int:
        return super().check_ns(ts_ns + 1 if self.makes_marks else before, ts_ns)

    def check_by(self, ts_ns: int, column: Column | None) -> int:
        if self.makes_marks and ts_ns > self._made_to_ns:
            return ts_ns  # the marks up to then are not made yet: nobody knows
        return super().check_by(ts_ns, column)

    def check_through(self, due_ns: int, before_ns: int, column: Column | None) -> int:
        if self.makes_marks:
            if due_ns > self._made_to_ns:
                return due_ns
            before_ns = min(before_ns, self._made_to_ns + 1)
        return super().check_through(due_ns, before_ns, column)

    def marks_at(self, sequences: I64, times: I64) -> Any:
        source = self.source
        if not self.makes_marks or source is None:
            return super().marks_at(sequences, times)
        rows = source.run.searchsorted(times, "right") - 1
        return np.where(rows < 0, self.state.mark, self._prices().take(rows, mode="clip"))

    def index(self) -> float:
        return self.pricing.index_at(self._seen_ns)

    def _funding_known(self) -> tuple[float, int]:
        known = self.pricing.points.state
        return known.rate, known.funding_ns

    def funding_rate(self) -> float:
        """Where the venue makes it, the one of the last instant."""
        if self.spec.funding.premium is None:
            return super().funding_rate()
        return self.pricing.rate_at(self._seen_ns)


def trouble(
    market: Market, command: DegradeMarket | MaskIndex | ThinBook, symbols: tuple[str, ...]
) -> str | None:
    """The operator: a market's venue is in trouble, or its index is; why not, where it is refused.

    Args:
        symbols: of the input, in order.
    """
    if isinstance(command, DegradeMarket):
        return market.degrade(command)
    if isinstance(command, ThinBook):
        return market.thin(command)
    source = symbols.index(command.source) if command.source in symbols else None
    if command.source and source is None:
        return "unknown_source"
    return market.mask_index(command, source) if isinstance(market, PricedMarket) else "no_index"
