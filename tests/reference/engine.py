"""The slow engine: row by row, alarm by alarm, everybody asked every time.

At one instant: prices, then alarms (staleness, fills, funding, fees, policies), then requests, then
samples. So an alarm at ``a`` rings before the first tick later than ``a``, and a sample at ``g`` is
taken after the alarms at ``g``.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.commands import (
    Command,
    CustodyCommand,
    DegradeMarket,
    FreezeWithdrawals,
    HaltMarket,
    MarketCommand,
    MarkScenario,
    MaskIndex,
    ThinBook,
)
from engine.events import (
    EVENT_ENCODER,
    CommandObeyed,
    CommandRefused,
    InputRejected,
    Malformed,
    Output,
    ScenarioMark,
)
from engine.outputs import ATTRIBUTION
from engine.ticks import Kind, Step
from engine.units import NEVER_NS
from engine.users import Users
from tests.reference import custody, desk
from tests.reference.felt import FeltMarket, waves
from tests.reference.judge import LEAP_NS, Judge, Row, rows_of
from tests.reference.margins import Margins
from tests.reference.market import Market
from tests.reference.netting import net, nets, share
from tests.reference.product import Product

if TYPE_CHECKING:
    from engine.engine import EngineSpec

MARK, VENUE, FILL, FUNDING, LIQUIDATION, FEE, POLICY = range(-1, 6)


class Log:
    """The output log: events with their place, as objects and as canonical lines."""

    def __init__(self) -> None:
        self.events: list[Output] = []
        self.lines: list[bytes] = []
        self.sequence, self.ordinal, self.ts_ns = -1, 0, 0

    def at(self, sequence: int, ts_ns: int) -> None:
        if sequence != self.sequence:
            self.sequence, self.ordinal = sequence, 0
        self.ts_ns = ts_ns

    def say(self, kind: Any, /, **fields: Any) -> None:
        event = kind(sequence=self.sequence, ordinal=self.ordinal, ts_ns=self.ts_ns, **fields)
        self.ordinal += 1
        self.events.append(event)
        self.lines.append(EVENT_ENCODER.encode(event))


class ReferenceEngine:
    """Takes the spec and the steps of ``engine.engine.Engine``; ``log``, ``nav`` and ``user_nav``
    hold what it said."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.log = Log()
        self.nav: list[dict[str, float]] = []
        self.user_nav: list[tuple[Any, ...]] = []
        self.users = Users(spec.population, spec.users)
        self.judge = Judge(len(spec.symbols))
        funds: dict[str, int] = {}
        self.markets = [
            (FeltMarket if market.impact else Market)(market, self.log, funds, spec.seed)
            for market in spec.markets
        ]
        self.products: list[Product] = []
        for number, product in enumerate(spec.products):
            market = self.markets[product.market]
            policies = spec.policies[number]
            self.products.append(Product(number, product, policies, market, self.users))
            market.products.append(self.products[-1])
        for product in self.products:
            product.sharers = [each for each in self.products if share(product, each)]
        self.margins = Margins(spec, self.markets, funds)
        self.margins.admit(self.products)
        self.sequence = 0
        self.now_ns = self.rung_ns = self.heard_ns = 0
        self.left_out = 0
        self.requests: set[str] = set()
        self.commands: set[str] = set()
        self.sample_ns = self.user_sample_ns = NEVER_NS
        self._nav_place, self._user_place = (-1, 0), (-1, 0)
        self._ranked: Any = None
        self._queues: dict[tuple[int, bool], list[str]] = {}

    # Input ----------------------------------------------------------------------------------------

    def process(self, step: Step) -> None:
        for sequence, item in rows_of(step):
            if isinstance(item, Row):
                self._row(item)
            else:
                self._message(sequence, item)
        self.sequence = step.end

    def finish(self) -> None:
        """The input ended: its last instant passes."""
        self._ring_up_to(self.now_ns, self.sequence)
        self._sample_up_to(self.now_ns + 1, self.sequence)

    def _row(self, row: Row) -> None:
        fault = self.judge.fault(row)
        if fault:
            self._refuse(row, fault)
        if fault is not None:
            return
        ts_ns = max(self.now_ns, row.ts_ns)
        if self._supersedes(row, ts_ns):
            self._pass_time(ts_ns, ts_ns, row.sequence)
            self.rung_ns = ts_ns
        self._pass_time(ts_ns - 1, ts_ns, row.sequence)
        self.heard_ns = ts_ns
        for market in self.markets:
            market.listen(row, ts_ns)
            if market.spec.symbol == row.symbol and market.is_late(row):
                self._refuse(row, "late")
            elif market.spec.symbol == row.symbol:
                self._hear(market, row)

    def _refuse(self, row: Row, reason: str) -> None:
        known = 0 <= row.symbol < len(self.spec.symbols)
        self._rejected(
            row.sequence,
            reason,
            symbol=self.spec.symbols[row.symbol] if known else str(row.symbol),
            kind=row.kind.name.lower(),
            detail=str(row),
        )

    def _supersedes(self, row: Row, ts_ns: int) -> bool:
        """A funding row stamped with the instant that names the next one: this one is settled
        first, at its own rate."""
        return row.kind is Kind.FUNDING and any(
            market.spec.symbol == row.symbol
            and market.spec.funding.recorded
            and market.funding_ns <= ts_ns < row.values["next_ns"]
            for market in self.markets
        )

    def _hear(self, market: Market, row: Row) -> None:
        self._stage(market, max(row.ts_ns, self.now_ns) - 1)
        priced = market.hear(row)
        for product, order, lots in market.match(row):
            product.struck(order, lots)
            self._after(product)
        if priced:
            self._look(market, max(row.ts_ns, self.now_ns) - 1)
        elif row.kind is Kind.INDEX and market.followed:
            self._look_at_index(market)

    def _look(self, market: Market, due_ns: int) -> None:
        """A price that positions are valued with."""
        if market.followed and not market.index:
            return  # of two prices the first
        for product in market.products:
            product.watch_high_water()
        if market.resumes():
            market.resume()
        if not market.stale:
            self._stage_others(market, due_ns)
            touched = self.margins.at_price(self.markets.index(market), self.log.sequence)
            for product in market.products:
                first = product.status == "pending"
                if product in touched:
                    product.survive()
                product.look()
                self._after(product)
                if first:
                    self._launched(market)
            for product in touched:
                if product.market is not market:
                    product.survive()
                    product.look()
                    self._after(product)

    def _look_at_index(self, market: Market) -> None:
        """A price that some NAVs follow: those products alone look, but all are launched."""
        if market.stale or not market.mark:
            return
        for product in market.products:
            first = product.status == "pending"
            if first or product.follows:
                product.look()
                self._after(product)
            if first:
                self._launched(market)

    def _stage_others(self, market: Market, due_ns: int) -> None:
        for other in self.markets:
            if other is not market:
                self._stage(other, due_ns)

    def _launched(self, market: Market) -> None:
        """The first price: clocks start."""
        self.margins.launch(self.markets.index(market))
        every = self.spec.sampling
        now = market.now_ns
        if self.sample_ns == NEVER_NS and every.nav_every_ns:
            self.sample_ns = -(-now // every.nav_every_ns) * every.nav_every_ns
        if self.user_sample_ns == NEVER_NS and every.user_nav_every_ns:
            self.user_sample_ns = -(-now // every.user_nav_every_ns) * every.user_nav_every_ns
        if not market.spec.funding.recorded:
            market.schedule_funding()

    def _message(self, sequence: int, message: Any) -> None:
        if isinstance(message, Malformed):
            self._rejected(sequence, message.reason, symbol=message.symbol, detail=message.detail)
            return
        untimely = self.judge.untimely(message.ts_ns)
        if untimely:
            self.log.at(sequence, self.now_ns)
        else:
            ts_ns = max(self.now_ns, message.ts_ns)
            self._pass_time(ts_ns, ts_ns, sequence)
            self.heard_ns = self.rung_ns = ts_ns
        texts = [name for name in message.__struct_fields__ if _no_text(getattr(message, name))]
        if texts:
            tag, said = message.__struct_config__.tag, f"{texts[0]}: cannot be written"
            self.log.say(InputRejected, reason="malformed", kind=tag, detail=said)
            return
        if isinstance(message, Command):
            self._command(message, untimely)
        else:
            self._request(message, untimely)

    def _rejected(self, sequence: int, reason: str, **fields: Any) -> None:
        self.log.at(sequence, self.now_ns)
        self.log.say(InputRejected, reason=reason, **fields)

    def _request(self, request: Any, untimely: str | None) -> None:
        known = [p for p in self.products if p.spec.id == request.product]
        repeated = request.id in self.requests
        self.requests.add(request.id)
        if repeated or not known or untimely:
            named = untimely and not repeated
            self.log.say(
                desk.refusal_of(request),
                product=request.product,
                user=request.user,
                id=request.id,
                reason="duplicate" if repeated else untimely or "unknown_product",
                detail=f"dated {request.ts_ns}, engine time {self.now_ns}" if named else "",
            )
            return
        product = known[0]
        self._stage(product.market, self.now_ns)
        product.request(request)
        self._after(product)

    def _command(self, command: Command, untimely: str | None) -> None:
        repeated = command.id in self.commands
        self.commands.add(command.id)
        detail = command.detail
        if untimely and not repeated:
            detail = f"dated {command.ts_ns}, engine time {self.now_ns}"
        refusal = "duplicate" if repeated else untimely or self._obey(command)
        fields = {
            "command": command.__struct_config__.tag,
            "id": command.id,
            "symbol": getattr(command, "symbol", None),
            "product": getattr(command, "product", None),
            "detail": detail,
        }
        if refusal:
            self.log.say(CommandRefused, reason=refusal, **fields)
        elif isinstance(command, MarkScenario):
            names = ("scenario", "name", "what", "until_ns")
            told = {name: getattr(command, name) for name in names}
            self.log.say(ScenarioMark, **told, detail=command.words)
        else:
            self.log.say(CommandObeyed, **fields)

    def _obey(self, command: Command) -> str | None:
        if isinstance(command, MarketCommand):
            for market in self.markets:
                if market.spec.contract.symbol == command.symbol:
                    self._stage(market, self.now_ns)
                    if isinstance(command, DegradeMarket):
                        return market.degrade(command)
                    if isinstance(command, ThinBook):
                        return market.thin(command)
                    if isinstance(command, FreezeWithdrawals):
                        return market.freeze(command.until_ns)
                    if isinstance(command, CustodyCommand):
                        refusal = custody.obey(self.margins, market, command)
                        for product in market.products:
                            if product.traded:
                                self._after(product)
                        return refusal
                    if isinstance(command, MaskIndex):
                        return market.mask(command, self.spec.symbols)
                    return market.halt() if isinstance(command, HaltMarket) else market.lift()
            return "unknown_symbol"
        if isinstance(command, MarkScenario):
            return None
        for product in self.products:
            if product.spec.id == command.product:
                self._stage(product.market, self.now_ns)
                refusal = product.obey(command)
                self._after(product)
                return refusal
        return "unknown_product"

    # Time -----------------------------------------------------------------------------------------

    def _pass_time(self, ring_ns: int, ts_ns: int, sequence: int) -> None:
        """Alarms up to ``ring_ns`` ring, samples before ``ts_ns`` are taken, and it is
        ``ts_ns``."""
        self._ring_up_to(ring_ns, sequence)
        self._sample_up_to(ts_ns, sequence)
        self.now_ns = ts_ns
        self.log.at(sequence, ts_ns)

    def _alarms(self) -> list[tuple[int, int, int, int]]:
        """``(time, priority, market, product)`` of all that may ring."""
        alarms = []
        for number, market in enumerate(self.markets):
            alarms.append((market.point_ns, MARK, number, 0))
            alarms.append((market.next_check_ns(), VENUE, number, 0))
            alarms.append((market.funding_ns, FUNDING, number, 0))
            for place, product in enumerate(market.products):
                alarms.append((product.next_fill_ns(), FILL, number, place))
                alarms.append((product.next_fee_ns(), FEE, number, place))
                alarms.append((product.policy_ns, POLICY, number, place))
        alarms.append((self.margins.next_ns(), LIQUIDATION, 0, 0))
        return alarms

    def _ring_up_to(self, ts_ns: int, sequence: int) -> None:
        while True:
            due, priority, number, place = min(self._alarms(), default=(NEVER_NS, 0, 0, 0))
            self._feed_grids(min(due - (priority == MARK), ts_ns))
            if due > ts_ns:
                return
            self._sample_up_to(due, sequence)
            self.now_ns = max(self.now_ns, due)
            self.log.at(sequence, self.now_ns)
            market = self.markets[number]
            self._stage(market, due)
            if priority == MARK:
                self._stage(market, due - 1)
                if market.make_point():
                    waves(market, partial(self._look, market, due - 1))
            elif priority == VENUE:
                market.go_stale()
            elif priority == FUNDING:
                market.settle_funding()
                for product in market.products:
                    self._after(product)
                self.margins.fund(number, market.funded_rate)
            elif priority == LIQUIDATION:
                for each in self.markets:
                    self._stage(each, due)
                for product in self.margins.at_alarm(sequence):
                    product.survive()
                    product._look_last()
                    self._after(product)
            else:
                product = market.products[place]
                if priority == FILL:
                    took = net(market, product.spec.hedge.account_name) if nets(product) else []
                    for each in took:
                        self._after(each)
                    if product not in took:
                        product.fill()
                elif priority == FEE:
                    product.charge_fee()
                else:
                    product.look()
                self._after(product)

    def _feed_grids(self, up_to_ns: int) -> None:
        for market in self.markets:
            while market.grid_ns <= up_to_ns:
                market.feed_grid()

    def _stage(self, market: Market, due_ns: int) -> None:
        market.now_ns = self.now_ns
        market.due_ns = max(due_ns, self.rung_ns)
        market.survive(self.now_ns)

    # Samples --------------------------------------------------------------------------------------

    def _after(self, product: Product) -> None:
        """Holders whose units changed are valued at once; all of them when the product traded, if
        so configured."""
        if product.changed:
            self._value(product, self.now_ns, self.log.sequence, "holders", product.changed)
        elif product.traded and self.spec.sampling.users_on_trade:
            self._value(product, self.now_ns, self.log.sequence, "traded", None)
        if product.traded:
            self.margins.changed(product)
            product.segment = product.holding.since, product.holding.parts["price"]
        product.changed = []
        product.traded = False

    def _sample_up_to(self, before_ns: int, sequence: int) -> None:
        while self.sample_ns < before_ns:
            for market in self._heard(self.sample_ns):
                for product in market.products:
                    if product.status != "pending":
                        self._sample(product, sequence)
            self.sample_ns += self.spec.sampling.nav_every_ns
        while self.user_sample_ns < before_ns:
            for market in self._heard(self.user_sample_ns):
                for product in market.products:
                    self._value(product, self.user_sample_ns, sequence, "cadence", None)
            self.user_sample_ns += self.spec.sampling.user_nav_every_ns

    def _heard(self, ts_ns: int) -> list[Market]:
        """Which markets are sampled: none at a time long after the last input."""
        if ts_ns <= self.heard_ns + LEAP_NS:
            return self.markets
        self.left_out += 1
        return []

    def _sample(self, product: Product, sequence: int) -> None:
        last, ordinal = self._nav_place
        ordinal = ordinal if last == sequence else 0
        self._nav_place = sequence, ordinal + 1
        held, mark, price = product.holding, product.market.mark, product.price
        intercept, slope = held.line()
        exposure = slope * price
        nav = intercept + exposure
        parts = {name: float(held.parts[name]) for name in ATTRIBUTION}
        since, closed = product.segment
        parts["price"] = closed + slope * (price - since)
        self.nav.append(
            {
                "ts_ns": self.sample_ns,
                "product": product.number,
                "sequence": sequence,
                "ordinal": ordinal,
                "nav_atoms": nav,
                "nav_per_unit": nav * 10**8 / held.units if held.units > 0 else 0.0,
                "units": held.units,
                "leverage": exposure / nav if nav > 0.0 else math.nan,
                "mark_price": mark,
                "index_price": product.market.index if product.market.followed else math.nan,
                **parts,
                "adl_quantile": self._quantile(product),
                "plan_lots": product.plan.left if product.plan is not None else 0,
            }
        )

    def _quantile(self, product: Product) -> float:
        """Of its margin account among those who hold the same side, as the venue would rank them
        now; nan without one, and where the venue has no order."""
        number = self.markets.index(product.market)
        found = self.margins.account_of(product)
        ranking = product.market.spec.venue.adl.ranking
        if found is None or ranking in ("dydx", "drift", "pro_rata", "risk_aware"):
            return math.nan
        lots = sum(n for market, n, _ in found.positions() if market == number)
        key = tuple(market.mark for market in self.markets), self.margins.standing()
        if key != self._ranked:
            self._ranked, self._queues = key, {}
        side = (number, lots > 0)
        if side not in self._queues:
            self._queues[side] = self.margins.queue(number, 1 if lots > 0 else -1)
        queue = self._queues[side]
        if not lots or found.name not in queue:
            return math.nan
        return (len(queue) - queue.index(found.name)) / len(queue)

    def _value(
        self, product: Product, ts_ns: int, sequence: int, reason: str, whom: list[int] | None
    ) -> None:
        held = product.holding
        if product.status == "pending" or not held.units or not product.owned:
            return
        last, ordinal = self._user_place
        ordinal = ordinal if last == sequence else 0
        nav = held.nav(product.market.mark)
        users = range(len(product.owned)) if whom is None else whom
        for user in users:
            units = product.owned[user]
            worth = max(0, units * nav // held.units)
            place = (sequence, ordinal, ts_ns, product.number, reason)
            self.user_nav.append((*place, user, units, worth))
            ordinal += 1
        self._user_place = sequence, ordinal


def _no_text(value: Any) -> bool:
    """Whether it is a text with a lone surrogate."""
    return isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)
