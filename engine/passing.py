"""What happens between the rows of a step: alarms ring, messages pass.

Alarms of one instant ring by priority, on the market as of the last tick up to it. A message that
brings a time of its own lets every alarm up to it ring first.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from engine.agenda import Priority
from engine.commands import Command
from engine.dealing_events import REFUSALS
from engine.events import (
    CancellationRequest,
    CreationRequest,
    Dated,
    InputRejected,
    Malformed,
    RedemptionRequest,
)
from engine.guarding import MARGINS
from engine.handler import Handler
from engine.intake import Rejection
from engine.market import Market
from engine.netting import net
from engine.obeying import Obeying
from engine.rows import Rows, Untimely
from engine.spec import Announcement
from engine.ticks import Kind

__all__ = ["Passing"]

_HANDLER: Final = 0
_VENUE, _FILL, _FUNDING = Priority.VENUE, Priority.FILL, Priority.FUNDING
_LIQUIDATION, _FEE = Priority.LIQUIDATION, Priority.FEE  # looked up once; see ``folding``
Asked = CreationRequest | RedemptionRequest | CancellationRequest


class Passing(Obeying):
    """What is due before the next row."""

    def _ring(self, rows: Rows, due: int, before: int) -> None:
        """Alarms of one instant, on the market as of the last tick up to it."""
        self._pass_time(rows, due, before)
        booked: set[tuple[int, int]] = set()
        staged = -1
        for priority, number, place in self.agenda.due(due):
            market = self.markets[number]
            if priority == _VENUE and self._is_fresh(number, before, due):
                continue
            if number != staged or self.priced:
                self._stage(number, before, due, due)
                staged = number
            if priority == _VENUE:
                market.check_stale()
                staged = -1
            elif priority == _FUNDING:
                self.agenda.set((_FUNDING, number, _HANDLER), market.settle_funding())
                for each in range(len(market.handlers)):
                    booked.add((number, each))
                    self._after(number, each, before)
                if self.margins is not None:
                    self._stage_others(number, before, due, due)
                    if self.margins.fund_traders(number, market.state.funded_rate):
                        self.agenda.hasten(MARGINS, due)
                    self._arm_others(number)
            elif priority == _LIQUIDATION:
                self._review_due(before, due)
            else:
                handler = market.handlers[place]
                if priority == _FILL:
                    took = net(market, handler.spec.hedge.account_name) if handler.nets else []
                    for each in took:
                        booked.add((number, each))
                        self._after(number, each, before)
                    if place not in took:
                        handler.fill(market)
                elif priority == _FEE:
                    handler.charge_fee(market)
                else:
                    spoke = self._ask(market, handler, due, before)
                    if spoke or (number, place) not in booked:
                        self._count(spoke=spoke)
                booked.add((number, place))
                self._after(number, place, before)
            self.router.arm(market)

    def _ask(
        self,
        market: Market,
        handler: Handler,
        due: int,  # noqa: ARG002  # as LookingAhead asks
        before: int,  # noqa: ARG002  # the same
    ) -> bool:
        """A product's alarm rings for its policies; whether there was anything to say."""
        return handler.attend(market)

    def _make_marks(self, rows: Rows, up_to_ns: int, before: int) -> None:
        """Let venues make their prices up to a time, of the rows below ``before``."""
        for market in self.priced:
            market.make(rows, up_to_ns, before)
            self.router.arm(market)

    # The venue's risk desk ----------------------------------------------------------------------

    def _review_due(self, before: int, due: int) -> None:
        """An alarm: accounts that may be short at the present marks, and steps that are due."""
        margins = self.margins
        assert margins is not None
        for market in self.markets:
            market.stage(before, due, due)
        for number, place in self._review(margins.watch.due(due), due):
            self.markets[number].handlers[place].survive(self.markets[number], last=True)
            self._after(number, place, before)

    def _after(self, number: int, place: int, sequence: int) -> None:
        """A handler was attended: take over when it next cares, and value its holders if it
        traded."""
        market = self.markets[number]
        handler = market.handlers[place]
        due, lines, changed = handler.next, market.lines, handler.dealing.changed
        if market.resting and number not in self.restless:
            self.restless.append(number)
        market.edges.arm(place, due.low, due.high)
        if market.followers:
            market.index_edges.arm(place, due.index_low, due.index_high)
        self.agenda.set_each(self._alarms[number][place], (due.fill_ns, due.fee_ns, due.policy_ns))
        plan = handler.desk.state.plan
        planned = 0 if plan is None else plan.left
        if planned != lines.planned[place]:
            lines.plan(place, planned, self._sample())
        traded = handler.traded
        if traded:
            handler.traded, margins = False, self.margins
            if margins is not None:
                if margins.traded(number, place):
                    self.agenda.hasten(MARGINS, self.tape.ts_ns)
                if margins.joint:
                    self._arm_others(number)
            lines.change(place, handler.account, self._sample())
        if changed or (traded and self.spec.sampling.users_on_trade):
            reason = "holders" if changed else "traded"
            price = handler.account.at(market.mark)
            self.sampler.value_users(market, place, price, self.tape.ts_ns, sequence, reason)
            changed.clear()

    def _pass_time(self, rows: Rows, ts_ns: int, sequence: int) -> None:
        if self.sampler.state.next_users_ns < ts_ns:
            self.sampler.pass_users(rows, ts_ns, sequence)
        if ts_ns > self.state.time_ns:
            self.state.time_ns = ts_ns
        self.tape.at(sequence, ts_ns)

    def _count(self, *, spoke: bool) -> None:
        self.state.wakes += 1
        if not spoke:
            self.state.wakes_empty += 1

    # Messages -----------------------------------------------------------------------------------

    def _pass_barrier(self, rows: Rows, sequence: int, message: Any) -> None:
        ts_ns = rows.time_at(sequence, self.state.time_ns)
        dated = isinstance(message, Dated)
        if dated:
            ts_ns = max(ts_ns, message.ts_ns)
        if dated or (isinstance(message, Announcement) and self._passes(message, ts_ns)):
            self._make_marks(rows, ts_ns, sequence)
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
            self._reject(message.reason, symbol=message.symbol, detail=message.detail)
        elif isinstance(message, Untimely):
            self._obey_or_deal(sequence, message.message, message.reason)
        else:
            self._obey_or_deal(sequence, message)

    def _obey_or_deal(self, sequence: int, message: Dated, untimely: str | None = None) -> None:
        field = _unwritable(message)
        if field is not None:
            self._reject(
                "malformed",
                kind=message.__struct_config__.tag,
                detail=f"{field}: cannot be written",
            )
            return
        if isinstance(message, Command):
            self._command(sequence, message, untimely)
        else:
            self._request(sequence, message, untimely)

    def _passes(self, message: Announcement, ts_ns: int) -> bool:
        """A row stamped with the funding instant that names the next one: this one is settled
        first, at its own rate."""
        number = self.router.of_symbol[message.symbol]
        if number < 0 or not self.markets[number].spec.funding.recorded:
            return False
        return self.markets[number].state.funding_ns <= ts_ns < message.next_ns

    def _announced(self, sequence: int, message: Announcement) -> None:
        number = self.router.of_symbol[message.symbol]
        if number < 0:
            return
        market = self.markets[number]
        if market.was_funded(message.next_ns):
            said = market.unsay_funding(sequence)
            late = Rejection("late", message.symbol, Kind.FUNDING, message.ts_ns, said)
            self._rejected(late)
            return
        market.stage(sequence + 1, self.state.time_ns, self.state.time_ns - 1)
        self.agenda.set((_FUNDING, number, _HANDLER), market.announce(message.next_ns))

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
            self.tape.say(
                REFUSALS[type(request)],
                product=request.product,
                user=request.user,
                id=request.id,
                reason=refusal or "unknown_product",
                detail=self._dates(request) if named else "",
            )
            return
        market = self.markets[place[0]]
        self._stage(place[0], sequence, self.state.time_ns, self.state.time_ns)
        market.handlers[place[1]].request(market, request)
        self._after(*place, sequence)
        self.router.arm(market)


def _unwritable(message: Dated) -> str | None:
    """The first field whose text no output could repeat: lone surrogates are no characters."""
    for name in message.__struct_fields__:
        try:
            msgspec.json.encode(getattr(message, name))
        except UnicodeEncodeError:
            return name
    return None
