"""What a market's book is to orders: recorded levels, and the queues in which orders rest.

Level rows are folded when somebody looks at the book, or when the step ends. While an order rests,
its market looks through trades, levels and quotes for the rows that move its queue, and the first
one that fills it is a wake: the venue matches before anybody hears of the row.

Our own orders at one price stand one behind the other: what a trade gave the first is not there for
the second. A level that a new image leaves out keeps its queue until it is told.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from math import inf
from typing import Any

import numpy as np

from engine.foretelling import Foretelling
from engine.handler import Handler
from engine.market_state import MarketSpec
from engine.orders import Order, Strike
from engine.plans import Participate
from engine.rows import Column, Rows
from engine.ticks import Bbo, Kind, Levels, Trades
from engine.units import total
from engine.venue.book import AnyBook, book_of
from engine.venue.contract import Contract
from engine.venue.order_rules import OrderBounds
from engine.venue.queue import Resting, pass_level, pass_quote, pass_trade
from engine.venue.recorded import RecordedBook
from engine.venue.rules import OrderRules
from engine.venue.standing import Listing

__all__ = ["Matching"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Matching(Foretelling):
    """The book of one symbol, seen up to some place of the step.

    Attributes:
        resting: ``(handler, order)`` of the orders in its queues, the oldest first.
        following: orders that count what is traded.
    """

    def __init__(self, spec: MarketSpec, handlers: list[Handler]) -> None:
        super().__init__(spec, handlers)
        self.contract = Contract(spec.contract)
        rules = spec.venue.orders
        self.order_bounds = None if rules == OrderRules() else OrderBounds(rules, spec.contract)
        self.listing = Listing(self.contract, spec.venue) if spec.venue.margin.tiers else None
        self.resting: list[tuple[int, Order]] = []
        self.following: list[Order] = []
        self._handlers = handlers
        self._book = book_of(spec.book, spec.contract, spec.stale_after_ns)
        self._recorded = self._book if isinstance(self._book, RecordedBook) else None
        self._level_row = 0
        self._matched = 0  # rows with a sequence below it have moved the queues
        self._strike: Strike | None = None

    def open(self, rows: Rows) -> None:
        """A new step begins."""
        super().open(rows)
        self._level_row = 0
        self._matched = rows.first

    def close(self, time_ns: int) -> None:
        """The step ends: fold what its rows said and forget them."""
        assert self._rows is not None
        if self._recorded is not None:
            self._limit = self._rows.end
            self._fold_levels(self._recorded)
        if self.following:
            self._limit = self._rows.end
            plans = [handler.desk.state.plan for handler in self._handlers]
            self.following = [o for o in self.following if any(o is plan for plan in plans)]
            for order in self.following:
                self._count(order)
        super().close(time_ns)

    @property
    def book(self) -> AnyBook:
        """The book as of the rows that were seen."""
        if self._recorded is not None:
            self._fold_levels(self._recorded)
        return self._book

    def _fold_levels(self, book: RecordedBook) -> None:
        column = self._column(Kind.LEVEL)
        if column is None:
            return
        start, stop = self._level_row, column.row_at(self._limit)
        if stop <= start:
            return
        self._level_row = stop
        table, own = column.table, column.rows_of(self.spec.symbol)
        assert isinstance(table, Levels)
        if own is None:
            book.fold(table.take(slice(start, stop)))
        elif len(own := own[int(own.searchsorted(start)) : int(own.searchsorted(stop))]):
            book.fold(table.take(own))

    # Queues -------------------------------------------------------------------------------------

    def rest(self, place: int, order: Order) -> None:
        """From now on an order of a product waits in the queue of its price."""
        if not self.resting:
            self._matched = max(self._matched, self._limit)
        insort(self.resting, (place, order), key=_age)

    def leave(self, order: Order) -> None:
        """An order waits no more."""
        self.resting = [waiting for waiting in self.resting if waiting[1] is not order]

    def recall(self, handlers: list[Handler]) -> None:
        """Orders were restored: those that rest are in their queues."""
        self.resting, self.following = [], []
        for place, handler in enumerate(handlers):
            plan = handler.desk.state.plan
            if plan is not None and plan.resting is not None:
                self.rest(place, plan)
            if plan is not None and plan.course and isinstance(plan.course.plan, Participate):
                self.following.append(plan)

    def ahead(self, side: int, price: float) -> float:
        """Lots of others at a price on the side of an order; infinite where nobody knows. Without
        levels it is known only that nobody is there before the best price."""
        if isinstance(book := self.book, RecordedBook):
            return book.ahead(side, price)
        column = self._column(Kind.BBO)
        bid, ask = (self.state.bid, self.state.ask) if column is None else self._quotes(column)
        if bid <= 0.0:
            return inf
        return 0.0 if side * (price - (bid if side > 0 else ask)) > 0.0 else inf

    # Volume -------------------------------------------------------------------------------------

    def follow(self, order: Order) -> None:
        """From now on an order counts what is traded."""
        assert order.course is not None
        order.course.since = self._limit
        self.following.append(order)

    def volume(self, order: Order) -> int:
        """Lots that were traded since the order began to count, or last asked."""
        self._count(order)
        assert order.course is not None
        traded, order.course.traded_lots = order.course.traded_lots, 0
        return traded

    def _count(self, order: Order) -> None:
        course, column = order.course, self._column(Kind.TRADE)
        if course is None:
            return
        start, course.since = course.since, self._limit
        if column is None:
            return
        rows: Any = slice(column.row_at(start), column.row_at(self._limit))
        own = column.rows_of(self.spec.symbol)
        if own is not None:
            first, last = own.searchsorted((rows.start, rows.stop)).tolist()
            rows = own[first:last]
        table = column.table
        assert isinstance(table, Trades)
        # Whole lots, added as integers: where the input is cut makes no difference.
        lots = np.rint(table.size[rows] / self.spec.contract.lot_size).tolist()
        course.traded_lots += total(map(int, lots))

    # Strikes ------------------------------------------------------------------------------------

    def next_strike(self, stop: int) -> Strike | None:
        """The first row below sequence ``stop`` that fills an order; the queues are moved on up to
        there, or to ``stop``. It stays the next one until ``struck``."""
        if self._strike is not None:
            return self._strike if self._strike.sequence < stop else None
        if not self.resting:
            return None
        start, self._matched = self._matched, max(stop, self._matched)
        for sequence, column, row in self._moving(start, stop):
            if fills := self._move(column, row):
                self._matched = sequence + 1
                self._strike = Strike(sequence, column.run.item(row), fills)
                return self._strike
        return None

    def struck(self) -> None:
        """The next strike is being booked."""
        self._strike = None

    def _moving(self, start: int, stop: int) -> Iterator[tuple[int, Column, int]]:
        """Rows that may move a queue, in order: ``(sequence, column, row)``."""
        waiting = [order.resting for _, order in self.resting if order.resting]
        prices = {(resting.side, resting.price) for resting in waiting}
        found: list[tuple[int, Column, int]] = []
        kinds = (Kind.TRADE, Kind.BBO if self._recorded is None else Kind.LEVEL)
        for kind in kinds:
            column = self._column(kind)
            if column is None:
                continue
            rows: Any = np.arange(column.row_at(start), column.row_at(stop))
            mine = column.rows_of(self.spec.symbol)
            if mine is not None and len(rows):
                first, last = mine.searchsorted((rows.item(0), rows.item(-1) + 1)).tolist()
                rows = mine[first:last]
            if len(rows):
                rows = rows[_may_move(column, rows, sorted(prices))]
                found += ((column.sequence.item(row), column, row) for row in rows.tolist())
        return iter(sorted(found, key=lambda each: each[0]))

    def _move(self, column: Column, row: int) -> list[tuple[int, Order, int]]:
        """Let a row move the queues; what it fills."""
        table, fills = column.table, []
        ours: dict[tuple[int, float], int] = {}
        for place, order in self.resting:
            resting = order.resting
            assert resting is not None
            if isinstance(table, Trades):
                price, key = table.price.item(row), (resting.side, resting.price)
                lots = self.contract.lots_in(table.size.item(row)) - ours.get(key, 0)
                filled = pass_trade(resting, price, max(lots, 0), table.aggressor.item(row))
                if price == resting.price:
                    ours[key] = ours.get(key, 0) + filled
            elif isinstance(table, Levels):
                filled = self._move_by_level(resting, table, row)
            else:
                assert isinstance(table, Bbo)
                filled = self._move_by_quote(resting, table, row)
            if filled:
                fills.append((place, order, filled))
        return fills

    def _move_by_level(self, resting: Resting, table: Levels, row: int) -> int:
        price, size = table.price.item(row), table.size.item(row)
        if table.side.item(row) != resting.side:
            return pass_quote(resting, price) if size > 0.0 else 0
        if price == resting.price:
            self._tell(resting, size)
        return 0

    def _move_by_quote(self, resting: Resting, table: Bbo, row: int) -> int:
        """Best prices say of a level how large it is where it is the best one, and that it is empty
        where the best one is worse."""
        best, size, other = table.bid.item(row), table.bid_size.item(row), table.ask.item(row)
        if resting.side < 0:
            best, size, other = other, table.ask_size.item(row), best
        filled = pass_quote(resting, other)
        if not filled and resting.side * (resting.price - best) >= 0.0:
            self._tell(resting, size if best == resting.price else 0.0)
        return filled

    def _tell(self, resting: Resting, size: float) -> None:
        lots = float(self.contract.lots_in(size))
        pass_level(self.spec.book.queue, resting, lots, self.spec.contract.lot_size)


def _may_move(column: Column, rows: Any, prices: list[tuple[int, float]]) -> Mask:
    """Which rows may concern orders at these ``(side, price)``."""
    table = column.table
    bid = max((price for side, price in prices if side > 0), default=-inf)
    ask = min((price for side, price in prices if side < 0), default=inf)
    mask: Mask
    if isinstance(table, Bbo):
        mask = (table.bid[rows] <= bid) | (table.ask[rows] >= ask)
        return mask
    assert isinstance(table, Trades | Levels)
    price = table.price[rows]
    if isinstance(table, Trades):
        mask = (price <= bid) | (price >= ask)
        return mask
    side = table.side[rows]
    mask = ((side < 0) & (price <= bid)) | ((side > 0) & (price >= ask))
    for own, at in prices:
        mask |= (side == own) & (price == at)
    return mask


def _age(waiting: tuple[int, Order]) -> tuple[int, int, int]:
    place, order = waiting
    assert order.resting is not None
    return order.resting.rested_ns, place, order.number
