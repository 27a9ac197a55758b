"""The way through a step: from wake to wake, each at its own instant.

The earliest of the next alarm, the next message and the first row at which a product has something
to say. At one instant prices come first, then alarms by priority, then requests, then samples: an
alarm at ``a`` rings before the first tick later than ``a``. What the operator says has its place
among the requests.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.agenda import Priority
from engine.events import Dated
from engine.felt_market import FeltMarket
from engine.handler_state import PENDING
from engine.late_funding import open_to_lateness
from engine.looking_ahead import LookingAhead
from engine.market import Market
from engine.orders import Strike
from engine.priced_market import PricedMarket
from engine.router import Breach
from engine.rows import Rows
from engine.spec import Announcement
from engine.ticks import Kind
from engine.venue.impact import WAVES_MAX

__all__ = ["Walker"]

_HANDLER: Final = 0
_ROWS_OF_FUNDING: Final = Kind.FUNDING  # looked up once; see ``folding``


class Walker(LookingAhead):
    """The way through a step: visits what matters to somebody, in order."""

    def _walk(self, rows: Rows) -> None:
        self._announce(rows)
        self.router.open(rows)
        self.restless = [number for number, each in enumerate(self.markets) if each.resting]
        agenda, router, barriers = self.agenda, self.router, rows.barriers
        passed, looked_up, limit_of_due = 0, -1, 0
        self._look_ahead(rows, passed)
        while True:
            due = agenda.next_ns()
            if due != looked_up:
                stop = barriers[passed][0] if passed < len(barriers) else rows.end
                clear_ns = self.clear_ns(rows, stop)
                due = self.pass_checks(clear_ns)
                if due < rows.time_ns and not self.restless:
                    due = self._pass_reviews(rows, due, stop, clear_ns)
                looked_up = due
                limit_of_due = rows.first_after(due) if due < rows.time_ns else rows.end
            limit = limit_of_due
            barrier = passed < len(barriers) and barriers[passed][0] < limit
            if barrier:
                limit = barriers[passed][0]
            breach = router.next_breach(limit)
            struck = None
            if self.restless:
                struck = self._next_strike(limit if breach is None else breach.sequence + 1)
            if struck is not None:
                self._match(rows, *struck)
            elif breach is not None:
                self._wake(rows, breach)
            elif barrier:
                self._pass_barrier(rows, *barriers[passed])
                passed += 1
                self._look_ahead(rows, passed)
            elif limit < rows.end:
                self._ring(rows, due, limit)
            else:
                self._ahead.clear()
                self.router.close()
                return

    def _next_strike(self, stop: int) -> tuple[int, Strike] | None:
        """``(market, strike)`` of the first row below ``stop`` that fills an order that rests."""
        first: tuple[int, Strike] | None = None
        for number in self.restless:
            strike = self.markets[number].next_strike(stop)
            if strike is not None:
                first, stop = (number, strike), strike.sequence
        return first

    def _match(self, rows: Rows, number: int, strike: Strike) -> None:
        """A row fills orders of a market; rows from there on are looked at with new edges."""
        ts_ns, market = max(strike.run_ns, self.state.time_ns), self.markets[number]
        market.struck()
        self.router.rewind(strike.sequence)
        self._pass_time(rows, ts_ns, strike.sequence)
        self._stage(number, strike.sequence + 1, ts_ns, max(ts_ns - 1, self.state.rung_ns))
        for place, order, lots in strike.fills:
            market.handlers[place].strike(market, order, lots)
            self._after(number, place, strike.sequence)
        self.router.arm(market)

    def _wake(self, rows: Rows, breach: Breach) -> None:
        """A row, or a mark that the venue made, at or beyond an edge of its market."""
        number, price, sequence = breach.market, breach.price, breach.sequence
        market, state = self.markets[number], self.state
        ts_ns = max(breach.run_ns, state.time_ns)
        if self.sampler.wakes_ns < ts_ns and not market.launched:
            self.sampler.pass_time(rows, ts_ns, sequence)
        self._pass_time(rows, ts_ns, sequence)
        due_ns = max(ts_ns - 1, state.rung_ns)
        mark = None if breach.of_index else price
        self._stage(number, breach.before, ts_ns, due_ns, mark, made=breach.is_made)
        if market.followers and not market.priced:
            return  # of two prices the first: there is nothing to launch anybody at
        if market.stale:
            market.resume()
            self.agenda.set((Priority.VENUE, number, _HANDLER), market.next_check_ns())
            for place in range(len(market.handlers)):
                self._set_fill(number, place)
            self.router.arm(market)
            self.router.again(breach)
        else:
            touched, places = [], _breached(market, breach)
            if not breach.of_index:
                touched = self._breach_margins(breach, ts_ns, due_ns)
            if touched:
                places = sorted({*places, *(place for of, place in touched if of == number)})
            for place in places:
                handler = market.handlers[place]
                launches = handler.state.status == PENDING
                if touched and (number, place) in touched:
                    handler.survive(market, last=False)
                    self._count(spoke=True)
                else:
                    self._count(spoke=handler.attend(market))
                self._after(number, place, sequence)
                if launches:
                    self._stage_others(number, breach.before, ts_ns, due_ns, made=breach.is_made)
                    self._launched(number, ts_ns)
            for other, place in touched:
                if other != number:
                    self._survived(other, place, sequence)
        self.router.arm(market)

    def _survived(self, number: int, place: int, sequence: int) -> None:
        """A product of another market was touched."""
        other = self.markets[number]
        other.handlers[place].survive(other, last=False)
        self._count(spoke=True)
        self._after(number, place, sequence)
        self.router.arm(other)

    def _breach_margins(self, breach: Breach, ts_ns: int, due_ns: int) -> list[tuple[int, int]]:
        """The venue looks at the accounts that the price may have made short, before any policy
        does; the products that it touched."""
        margins = self.margins
        accounts = margins.breached(breach.market, breach.price) if margins is not None else None
        if margins is None or accounts is None:
            return []
        self._stage_others(breach.market, breach.before, ts_ns, due_ns, made=breach.is_made)
        return self._review(accounts, ts_ns)

    def _look_ahead(self, rows: Rows, passed: int) -> None:
        """Let venues make their prices up to the next message that may let alarms ring, or to the
        end: no row before it is missing."""
        if not self.priced:
            return
        barriers = rows.barriers
        for place in range(passed, len(barriers)):
            sequence, message = barriers[place]
            if isinstance(message, Dated | Announcement):
                time_ns = rows.time_at(sequence, self.state.time_ns)
                self._make_marks(rows, time_ns - 1, sequence)
                return
        self._make_marks(rows, max(rows.time_ns, self.state.time_ns) - 1, rows.end)

    def _ring(self, rows: Rows, due: int, before: int) -> None:
        """Prices that the venue made come before all that rings at their instant."""
        while self.priced and self.agenda.next_ns() == due:
            priority, number, _ = self.agenda.next_key()
            if priority != Priority.MARK:
                break
            next(self.agenda.due(due))
            self._meet(rows, number, due, before)
        if self.agenda.next_ns() == due:
            super()._ring(rows, due, before)

    def _meet(self, rows: Rows, number: int, due: int, before: int) -> None:
        """A point at which the venue has something to tell, or whose mark is beyond an edge."""
        market = self.markets[number]
        assert isinstance(market, PricedMarket)
        self._pass_time(rows, due, before)
        market.tell(due)
        row, column = market.beyond_at(due), market.pricing.column
        if row >= 0 and column is not None:
            self._wake(rows, Breach.made(number, column, row, before))
            if isinstance(market, FeltMarket):
                self._wave(rows, number, due, before)
        else:
            market.stage(before, due, due)
            self.router.arm(market)

    def _wave(self, rows: Rows, number: int, due: int, before: int) -> None:
        """What was traded moved the mark of this very instant: whoever that concerns is next, until
        it concerns nobody."""
        market = self.markets[number]
        assert isinstance(market, FeltMarket)
        for _ in range(WAVES_MAX):
            row, column = market.again(due), market.pricing.column
            if row < 0 or column is None:
                break
            self._wake(rows, Breach.made(number, column, row, before))
        self.router.arm(market)

    def _launched(self, number: int, ts_ns: int) -> None:
        """The first price of a market: its clocks start, and samples if it is the first of all."""
        market = self.markets[number]
        if self.sampler.wakes_ns == self.sampler.state.next_ns == self.sampler.state.next_users_ns:
            self.sampler.start(ts_ns)
        self.agenda.set((Priority.VENUE, number, _HANDLER), market.next_check_ns())
        if self.margins is not None and self.margins.launch(number):
            self.agenda.hasten((Priority.LIQUIDATION, 0, _HANDLER), ts_ns)
        self._arm_others(number)
        if not market.spec.funding.recorded and not market.state.funding_ns < ts_ns:
            next_ns = market.schedule_funding(ts_ns)
            self.agenda.set((Priority.FUNDING, number, _HANDLER), next_ns)

    def _announce(self, rows: Rows) -> None:
        """Funding rows that name another instant than is expected become barriers: an alarm is to
        be set there. So do those whose instant has come: they are late where it was settled."""
        column = rows.by_kind[_ROWS_OF_FUNDING]
        if column is None:
            return
        named = {market.spec.symbol: market.state.funding_ns for market in self.markets}
        instants = column.table.next_ns  # type: ignore[attr-defined]  # funding has it
        come = instants <= column.run
        if come.any():
            open_to_lateness(column)
        elif isinstance(column.symbol, int) and (instants == named.get(column.symbol)).all():
            return
        symbols, sequences, times = column.table.symbols(), column.sequence, column.table.ts_ns
        if column.alone:  # most rows say again what the one before said
            said = np.flatnonzero(np.append(True, np.diff(instants) != 0) | come)
            symbols, sequences, times = symbols[said], sequences[said], times[said]
            instants, come = instants[said], come[said]
        told = sequences, symbols, times, instants, come
        for sequence, symbol, ts_ns, instant, has_come in zip(
            *(column.tolist() for column in told), strict=True
        ):
            if has_come or named.get(symbol) != instant:
                named[symbol] = instant
                rows.barriers.append((sequence, Announcement(symbol, ts_ns, instant)))
        rows.barriers.sort(key=lambda barrier: barrier[0])


def _breached(market: Market, breach: Breach) -> list[int]:
    """The products that a price wakes, in declared order."""
    if not market.followers:
        return market.edges.breached(breach.price)
    if not market.launched:
        return list(range(len(market.handlers)))
    places = set(market.index_edges.breached(market.reference.price))
    if not breach.of_index:
        places.update(market.edges.breached(breach.price))
    return sorted(places)
