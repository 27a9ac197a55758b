"""The way through a step: from wake to wake, each at its own instant.

The earliest of the next alarm, the next message and the first row at which a product has something
to say. At one instant prices come first, then alarms by priority, then requests, then samples: an
alarm at ``a`` rings before the first tick later than ``a``.
"""

from __future__ import annotations

from typing import Any, Final

from engine.agenda import Priority
from engine.events import (
    CreationRefused,
    CreationRequest,
    InputRejected,
    Malformed,
    RedemptionRefused,
    RedemptionRequest,
)
from engine.intake import Rejection
from engine.parts import Parts
from engine.router import Breach
from engine.rows import Rows, Untimely
from engine.spec import Announcement
from engine.ticks import Kind

__all__ = ["Walker"]

_HANDLER: Final = 0
Asked = CreationRequest | RedemptionRequest


class Walker(Parts):
    """The way through a step: visits what matters to somebody, in order."""

    def _walk(self, rows: Rows) -> None:
        self._announce(rows)
        self.router.open(rows)
        agenda, router, barriers = self.agenda, self.router, rows.barriers
        passed, looked_up, limit_of_due = 0, -1, 0
        while True:
            due = agenda.next_ns()
            if due != looked_up:
                looked_up = due
                limit_of_due = rows.first_after(due) if due < rows.time_ns else rows.end
            limit = limit_of_due
            barrier = passed < len(barriers) and barriers[passed][0] < limit
            if barrier:
                limit = barriers[passed][0]
            breach = router.next_breach(limit)
            if breach is not None:
                self._wake(rows, breach)
            elif barrier:
                self._pass_barrier(rows, *barriers[passed])
                passed += 1
            elif limit < rows.end:
                self._ring(rows, due, limit)
            else:
                return

    def _wake(self, rows: Rows, breach: Breach) -> None:
        """A row at or beyond an edge of its market."""
        ts_ns = max(breach.run_ns, self.state.time_ns)
        market = self.markets[breach.market]
        if not market.launched and self.sampler.wakes_ns < ts_ns:
            self.sampler.pass_time(rows, ts_ns, breach.sequence)
        self._pass_time(rows, ts_ns, breach.sequence)
        due_ns = max(ts_ns - 1, self.state.rung_ns)
        market.stage(breach.sequence + 1, ts_ns, due_ns, breach.price)
        if market.stale:
            market.resume()
            self.agenda.set((Priority.VENUE, breach.market, _HANDLER), market.next_check_ns())
            for place in range(len(market.handlers)):
                self._set_fill(breach.market, place)
            self.router.arm(market)
            self.router.again(breach)
        else:
            for place in market.edges.breached(breach.price):
                handler = market.handlers[place]
                launched = handler.state.status != "pending"
                self._count(handler.attend(market))
                self._after(breach.market, place, breach.sequence)
                if not launched:
                    self._launched(breach.market, ts_ns)
        self.router.arm(market)

    def _launched(self, number: int, ts_ns: int) -> None:
        """The first price of a market: its clocks start, and samples if it is the first of all."""
        market = self.markets[number]
        if self.sampler.wakes_ns == self.sampler.state.next_ns == self.sampler.state.next_users_ns:
            self.sampler.start(ts_ns)
        self.agenda.set((Priority.VENUE, number, _HANDLER), market.next_check_ns())
        if not market.spec.funding.recorded and not market.state.funding_ns < ts_ns:
            next_ns = market.schedule_funding(ts_ns)
            self.agenda.set((Priority.FUNDING, number, _HANDLER), next_ns)

    def _ring(self, rows: Rows, due: int, before: int) -> None:
        """Alarms of one instant, on the market as of the last tick up to it."""
        self._pass_time(rows, due, before)
        booked: set[tuple[int, int]] = set()
        for priority, number, place in self.agenda.due(due):
            market = self.markets[number]
            if priority == Priority.VENUE and self._is_fresh(number, before, due):
                continue
            market.stage(before, due, due)
            if priority == Priority.VENUE:
                market.check_stale()
            elif priority == Priority.FUNDING:
                self.agenda.set((Priority.FUNDING, number, _HANDLER), market.settle_funding())
                for each in range(len(market.handlers)):
                    booked.add((number, each))
                    self._after(number, each, before)
            else:
                handler = market.handlers[place]
                if priority == Priority.FILL:
                    handler.fill(market)
                elif priority == Priority.FEE:
                    handler.charge_fee(market)
                else:
                    spoke = handler.attend(market)
                    if spoke or (number, place) not in booked:
                        self._count(spoke)
                booked.add((number, place))
                self._after(number, place, before)
            self.router.arm(market)

    def _is_fresh(self, number: int, before: int, due: int) -> bool:
        """Whether a market is fresh at its check; then the next check is set."""
        next_ns = self.markets[number].check_ns(before, due)
        if next_ns <= due:
            return False
        self.agenda.set((Priority.VENUE, number, _HANDLER), next_ns)
        return True

    def _after(self, number: int, place: int, sequence: int) -> None:
        """A handler was attended: take over when it next cares, and value its holders if it
        traded."""
        market = self.markets[number]
        handler = market.handlers[place]
        due = handler.next
        market.edges.arm(place, due.low, due.high)
        self.agenda.set_each(self._alarms[number][place], (due.fill_ns, due.fee_ns, due.policy_ns))
        if handler.traded:
            market.lines.change(place, handler.account, self.sampler.sample_at(self.tape.ts_ns))
        if handler.dealing.changed or (handler.traded and self.spec.sampling.users_on_trade):
            reason = "holders" if handler.dealing.changed else "traded"
            self.sampler.value_users(market, place, market.mark, self.tape.ts_ns, sequence, reason)
            handler.dealing.changed.clear()
        handler.traded = False

    def _set_fill(self, number: int, place: int) -> None:
        arrival = self.markets[number].handlers[place].desk.next_arrival_ns()
        self.agenda.set((Priority.FILL, number, place), arrival)

    def _pass_time(self, rows: Rows, ts_ns: int, sequence: int) -> None:
        if self.sampler.state.next_users_ns < ts_ns:
            self.sampler.pass_users(rows, ts_ns, sequence)
        if ts_ns > self.state.time_ns:
            self.state.time_ns = ts_ns
        self.tape.at(sequence, ts_ns)

    def _count(self, spoke: bool) -> None:
        self.state.wakes += 1
        if not spoke:
            self.state.wakes_empty += 1

    # Barriers -----------------------------------------------------------------------------------

    def _announce(self, rows: Rows) -> None:
        """Funding rows that name a new instant become barriers: an alarm is to be set there."""
        column = rows.by_kind[Kind.FUNDING]
        if column is None:
            return
        named: dict[int, int] = {}
        symbols = column.table.symbols().tolist()
        next_ns = column.table.next_ns.tolist()  # type: ignore[attr-defined]
        for sequence, symbol, instant in zip(
            column.sequence.tolist(), symbols, next_ns, strict=True
        ):
            if named.get(symbol) != instant:
                named[symbol] = instant
                rows.barriers.append((sequence, Announcement(symbol, instant)))
        rows.barriers.sort(key=lambda barrier: barrier[0])

    def _pass_barrier(self, rows: Rows, sequence: int, message: Any) -> None:
        ts_ns = rows.time_at(sequence, self.state.time_ns)
        request = isinstance(message, Asked)
        if request:
            ts_ns = max(ts_ns, message.ts_ns)
        if request or (isinstance(message, Announcement) and self._passes(message, ts_ns)):
            while self.agenda.next_ns() <= ts_ns:
                self._ring(rows, self.agenda.next_ns(), sequence)
            self.state.rung_ns = ts_ns
            for market in self.markets:
                market.stage(sequence, ts_ns, ts_ns)
                market.pass_grid()
        self._pass_time(rows, ts_ns, sequence)
        if isinstance(message, Announcement):
            self._announced(sequence, message)
        elif isinstance(message, Rejection):
            self._rejected(message)
        elif isinstance(message, Malformed):
            self._reject("malformed", detail=message.detail)
        elif isinstance(message, Untimely):
            self._request(sequence, message.request, message.reason)
        else:
            self._request(sequence, message)

    def _passes(self, message: Announcement, ts_ns: int) -> bool:
        """A row stamped with the funding instant that names the next one: this one is settled
        first, at its own rate."""
        number = self.router.of_symbol[message.symbol]
        if number < 0 or not self.markets[number].spec.funding.recorded:
            return False
        return self.markets[number].state.funding_ns <= ts_ns < message.next_ns

    def _announced(self, sequence: int, message: Announcement) -> None:
        number = self.router.of_symbol[message.symbol]
        if number >= 0:
            market = self.markets[number]
            market.stage(sequence + 1, self.state.time_ns, self.state.time_ns - 1)
            instant = market.announce(message.next_ns)
            self.agenda.set((Priority.FUNDING, number, _HANDLER), instant)

    def _rejected(self, message: Rejection) -> None:
        known = 0 <= message.symbol < len(self.spec.symbols)
        symbol = self.spec.symbols[message.symbol] if known else str(message.symbol)
        kind = message.kind.name.lower()
        self._reject(message.reason, symbol=symbol, kind=kind, detail=message.detail)

    def _reject(self, reason: str, **fields: Any) -> None:
        self.state.rejected[reason] = self.state.rejected.get(reason, 0) + 1
        self.tape.say(InputRejected, reason=reason, **fields)

    def _request(self, sequence: int, request: Asked, untimely: str | None = None) -> None:
        place = self.by_id.get(request.product)
        refusal = "duplicate" if request.id in self.state.requests else untimely
        self.state.requests.setdefault(request.id, sequence)
        if place is None or refusal:
            named = untimely is not None and refusal == untimely
            kind = CreationRefused if isinstance(request, CreationRequest) else RedemptionRefused
            self.tape.say(
                kind,
                product=request.product,
                user=request.user,
                id=request.id,
                reason=refusal or "unknown_product",
                detail=f"dated {request.ts_ns}, engine time {self.state.time_ns}" if named else "",
            )
            return
        market = self.markets[place[0]]
        market.stage(sequence, self.state.time_ns, self.state.time_ns)
        market.handlers[place[1]].request(market, request)
        self._after(*place, sequence)
        self.router.arm(market)
