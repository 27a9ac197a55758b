"""One product, asked at every tick: it has no edges, it looks."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.commands import GateCreations, PauseProduct, ResumeProduct, SplitUnits
from engine.events import (
    CancellationRequest,
    CreationRequest,
    DecisionPostponed,
    DeficitPaid,
    Deleveraged,
    FundingSettled,
    InterestCharged,
    LevelReached,
    ManagementFeeCharged,
    PolicyFaulted,
    ProductClosed,
    ProductLaunched,
    ProductWarned,
    Rebalanced,
    SurplusTaken,
    TermSettled,
)
from engine.plans import Restrike
from engine.policy import (
    Close,
    Deleverage,
    PolicyAnswerError,
    PositionView,
    Quote,
    SetLeverage,
    View,
    Warn,
    words_of,
)
from engine.units import NEVER_NS, asset_decimals
from tests.reference import desk, splits, traded
from tests.reference.holding import Formula, Holding

if TYPE_CHECKING:
    from engine.product import ProductSpec
    from engine.users import Users
    from tests.reference.market import Market


HOUR_NS = 3_600 * 10**9
OPENING = {
    "spot": "spot purchase",
    "futures": "futures opened",
    "margin_loan": "loan drawn",
}


class Product:
    """A product with its orders and its holders."""

    def __init__(
        self, number: int, spec: ProductSpec, policies: Any, market: Market, users: Users
    ) -> None:
        self.number, self.spec, self.market, self.users = number, spec, market, users
        self.contract = market.contract
        self.formula = spec.terms.nav != "basket"
        self.quoted = spec.terms.nav == "quoted"
        kind = Formula if self.formula else Holding
        self.holding: Any = kind(spec, market.contract, market.funds)
        self.follows = spec.terms.formula_price == "index"
        if self.follows:
            self.holding.price = lambda _mark: market.index
        self.policies = list(policies)
        self.memories = [policy.initial_state() for policy in policies]
        self.faulted = [False] * len(self.policies)
        self.uses_signals = any(policy.uses_signals for policy in policies)
        self.status = "pending"
        self.launched_ns = 0
        self.rebalanced_ns = 0
        self.fee_ns = NEVER_NS
        self.high_water = 0.0  # of a unit of the launch
        self.units_scale = 1.0  # units of now for one of the launch
        self.target = 0.0
        self.opened = False
        self.paused = self.gated = self.rehedge = False
        self.cut_due = self.safe = False
        self.plan: desk.Order | None = None
        self.sharers = [self]  # behind the same margin account
        self.topup: Any = None  # (atoms, due, arrives)
        self.postponed: Any = None
        self.traded_at, self.lots_before = -1, 0
        self.deals: list[desk.Order] = []
        self.sent = 0
        self.split_ns = NEVER_NS
        self.unsplit: str | None = None
        self.premium = traded.Premium()
        self.orders: list[Any] = []  # redemptions that wait for a level of NAV
        self.queue: list[tuple[int, Any]] = []  # from when on each may be dealt, as they came
        self.taken: list[tuple[int, bool, str, int]] = []  # day, whether it creates, user, quote
        self.pledged: dict[int | None, int] = {}
        self.owned: list[int] = [0] * len(users)
        self.changed: list[int] = []
        self.traded = False
        self.segment = (0.0, 0)  # where the last trade left the line, and the price part until then
        self.policy_ns = NEVER_NS
        self.quote = 10.0 ** -asset_decimals(self.contract.quote_asset)

    def say(self, kind: Any, /, **fields: Any) -> None:
        self.market.log.say(kind, product=self.spec.id, **fields)

    @property
    def price(self) -> float:
        """What NAV follows."""
        return self.market.index if self.follows else self.market.mark

    def seat_users(self) -> None:
        """Whoever arrived since has nothing yet."""
        self.owned += [0] * (len(self.users) - len(self.owned))

    # Looking --------------------------------------------------------------------------------------

    def look(self) -> None:
        """A tick or an alarm: whatever there is to do now."""
        if self.status == "pending":
            self._launch()
        if self.status == "active":
            self._decide()
        if self.status == "active" and self.split_ns <= self.market.due_ns:
            splits.at_its_instant(self)
        self._serve_queue()
        self.policy_ns = self._next_alarm()
        traded.look(self)

    def survive(self) -> None:
        """The venue took lots or money: a close that it cancelled goes on with what is left."""
        if self.spec.kind == "futures" and not self.holding.book.lots:
            self.status = "closing"
            self._closed("liquidated")
        if self.status == "closing" and self.plan is None:
            self._close("liquidated")

    def _launch(self) -> None:
        spec, mark, held = self.spec, self.market.mark, self.holding
        self.seat_users()
        step = 10**8 // 10 ** asset_decimals(self.contract.quote_asset)
        paid = spec.seed_atoms
        count, each = spec.population
        for user, quote in [*((user, each) for user in range(count)), *spec.holdings]:
            self.owned[user] += quote * step
            paid += quote
        held.launch(paid, paid * step, mark)
        self.status, self.launched_ns, self.high_water = "active", self.market.now_ns, 1.0
        if spec.terms.management_fee or spec.terms.fees:
            every, since_ns = spec.terms.fee_every_ns, spec.terms.fee_at_ns
            self.fee_ns = since_ns + math.floor((self.market.now_ns - since_ns) / Fraction(every))
            self.fee_ns = since_ns + (self.fee_ns - since_ns + 1) * every
        self.split_ns = splits.next_instant(self, self.market.now_ns)
        if spec.kind != "fund":
            self.target = spec.opening_target(inverse=self.contract.inverse)
        if spec.kind == "margin_loan":
            self.fee_ns = (self.market.now_ns // HOUR_NS + 1) * HOUR_NS
        self.traded = True
        self.say(
            ProductLaunched,
            symbol=self.contract.spec.symbol,
            mark_price=mark,
            equity_atoms=paid,
            units=held.units,
        )

    def _decide(self) -> None:
        intercept, slope = self.holding.line()
        if intercept + slope * self.price <= 0.0 and not self.quoted:
            self._close("nav_not_positive")
            return
        if self.paused:
            return
        self.watch_high_water()
        if desk.hurry(self) and self.spec.hedge.account == "segregated":
            assert self.plan is not None
            self._arrive(self.plan)
        view = self.view()
        if self._rehedges(view):
            return
        if self.spec.kind != "fund" and not self.opened:
            self._try(SetLeverage(self.target, OPENING[self.spec.kind]), view)
            return
        answers = []
        for place, policy in enumerate(self.policies):
            if self._asks(place):
                try:
                    decision, memory = policy.decide(view, self.memories[place])
                    self._judge(decision)
                except Exception as error:  # noqa: BLE001  # a user's policy may raise anything
                    self._fault(place, error)
                    continue
                self.memories[place] = memory
                if decision is not None and not (self.safe and isinstance(decision, SetLeverage)):
                    answers.append(decision)
        first = min(answers, key=_rank, default=None)
        if first is None and self.plan is None:
            grows = isinstance(self.postponed, SetLeverage)
            first = None if self.safe and grows else self.postponed
        if self.cut_due:
            first = self._safe_cut(view, first)
        if isinstance(first, Close):
            self._close(first.reason)
        elif isinstance(first, Warn):
            self.say(
                ProductWarned,
                reason=first.reason,
                leverage=view.position.leverage,
                mark_price=self.market.mark,
                nav_atoms=self.holding.nav(self.market.mark),
            )
        elif first is not None:
            self._try(first, view)

    def _rehedges(self, view: View) -> bool:
        """What the venue took is bought back: of a basket, unless a fault has cut it."""
        waits = self.plan is not None or view.market.stale or self.market.stale == "halted"
        if not self.rehedge or waits:
            return False
        self.rehedge = False
        if self.safe and not self.formula:
            return False
        target = view.position.leverage if self.formula else self.target
        self._try(SetLeverage(target, "re-hedge after auto-deleveraging"), view)
        return True

    def _safe_cut(self, view: View, first: Any) -> Any:
        """A policy faulted and the product is to have little leverage from now on."""
        self.cut_due = False
        most, held = self.spec.safe_leverage, view.position.leverage
        goes_further = isinstance(first, Close) or (
            isinstance(first, Deleverage) and abs(first.target) <= most
        )
        if abs(held) > most and not goes_further:
            return Deleverage(math.copysign(most, held), "safe mode: a policy faulted")
        return None if isinstance(first, SetLeverage) else first

    def _asks(self, place: int) -> bool:
        quiet = self.plan is None and not self.safe
        return not self.faulted[place] and (quiet or self.policies[place].de_risking)

    def _judge(self, decision: Any) -> None:
        if decision is None:
            return
        if any("\ud800" <= letter <= "\udfff" for letter in decision.reason):
            raise PolicyAnswerError(f"gave {decision.reason!r} as reason; it cannot be written")
        if isinstance(decision, Close | Warn):
            return
        target, limit = decision.target, self.spec.limit
        if isinstance(decision, Quote) and self.quoted:
            self._judge_quote(decision)
            return
        if type(target) not in (float, int) or not math.isfinite(target):
            raise PolicyAnswerError(f"answered {target!r}; it must be a finite leverage")
        if abs(target) > limit:
            raise PolicyAnswerError(
                f"answered {target}, outside the product's limits [-{limit:g}, {limit:g}]"
            )

    def _judge_quote(self, quote: Any) -> None:
        for name, value in (("nav_per_unit", quote.nav_per_unit), ("target", quote.target)):
            if not math.isfinite(value):
                said = f"quoted a {name} of {value!r}; it must be a finite number"
                raise PolicyAnswerError(said)
        if quote.nav_per_unit < 0.0:
            raise PolicyAnswerError(f"quoted {quote.nav_per_unit!r} a unit; it must be >= 0")
        most, worth, target = 2**60, self.worth(quote), float(quote.target)
        fits = worth <= most and abs(worth * target) <= most
        mark = self.market.mark
        if not fits or abs(self.contract.lots_for(target, math.floor(worth), mark)) > most:
            raise PolicyAnswerError(
                f"quoted {quote.nav_per_unit!r} a unit at {quote.target!r}x; of all units that is "
                f"more than {most} atoms or lots"
            )

    def _fault(self, place: int, error: Exception) -> None:
        self.faulted[place] = True
        if self.spec.safe_mode == "cut":
            self.cut_due = self.cut_due or not self.safe
            self.safe = True
        policy = self.policies[place]
        self.say(
            PolicyFaulted,
            policy=getattr(policy, "name", type(policy).__name__),
            error=words_of(error),
            safe_mode=self.spec.safe_mode,
        )

    def view(self) -> View:
        """What policies see of this product and its market."""
        self.watch_high_water()
        market = self.market
        intercept, slope = self.holding.line()
        exposure = slope * self.price
        nav = intercept + exposure
        units = self.units_at_launch()
        per_unit = nav * self.quote * 10**8 / units if units else 0.0
        below = 0.0 < per_unit < self.high_water
        position = PositionView(
            nav=nav * self.quote,
            exposure=exposure * self.quote,
            leverage=exposure / nav if nav > 0.0 else 0.0,
            target=self.target,
            entry_price=self.holding.first_mark,
            high_water_mark=self.high_water,
            drawdown=per_unit / self.high_water - 1.0 if below else 0.0,
            age_ns=market.now_ns - self.launched_ns,
            last_rebalance_ns=self.rebalanced_ns,
        )
        seen = market.view_of_index() if self.follows else market.view(self.uses_signals)
        return View(seen, position, market.due_ns)

    def units_at_launch(self) -> float:
        """All units, counted as if they had never been split or merged."""
        return self.holding.units / self.units_scale

    def watch_high_water(self) -> None:
        """At every price, and before and after whatever moves the line."""
        if self.status == "active" and self.holding.units:
            intercept, slope = self.holding.line()
            nav = intercept + slope * self.price
            per_unit = nav * self.quote * 10**8 / self.units_at_launch()
            self.high_water = max(self.high_water, per_unit)

    # Acting ---------------------------------------------------------------------------------------

    def _try(self, decision: Any, view: View) -> None:
        """Carry a decision out, or remember it where it is too little for an order."""
        if self._act(decision, view) == "too_small" and not self.quoted:
            held, mark = self.holding, self.market.mark
            lots = (
                self.contract.lots_for(float(decision.target), held.nav(mark), mark)
                - held.book.lots
            )
            self._postpone(decision, "too_small", lots)

    def _postpone(self, decision: Any, why: str, lots: int) -> None:
        if decision == self.postponed:
            return
        self.postponed = decision
        self.say(
            DecisionPostponed,
            target=float(decision.target),
            reason=decision.reason,
            why=why,
            lots=lots,
            mark_price=self.market.mark,
        )

    def _act(self, decision: Any, view: View) -> str | None:
        held, mark, target = self.holding, self.market.mark, float(decision.target)
        if isinstance(decision, Quote) and self._quote(decision):
            return None
        lots = self.contract.lots_for(target, held.nav(mark), mark) - held.book.lots
        reduces = abs(target) < abs(view.position.leverage)
        if (view.market.stale or self.market.stale == "halted") and not reduces:
            return "stale"
        if lots == 0 and self.formula and not self.quoted and self.plan is None:
            self._promise(target)
        if lots == 0:
            self.postponed = None
            if not self.opened and target == view.position.leverage:
                self.opened, self.target = True, target  # it opens with what it has
            return "rebalancing" if self.plan is not None else None
        if self.plan is not None and abs(target) >= abs(self.plan.target):
            slope = held.line()[1]
            if not (self.plan.left * slope > 0 > lots * slope):
                return "rebalancing"
        purpose = "rebalance" if self.opened else "opening"
        if isinstance(decision, Deleverage):
            purpose = "deleverage"
        book = not isinstance(desk.plan_of(self, purpose, decision.plan), Restrike)
        follows = self.formula and not self.quoted
        if book and not follows and desk.is_too_small(self, lots):
            return "too_small"
        if self.plan is not None:
            desk.cancel(self, self.plan, "replaced")
        if target != self.target:
            held.close_segment(mark)
            self.target = target
        if follows:
            self._promise(target)
        self.opened = True
        before, how = view.position.leverage, decision.plan
        self._send(purpose, lots, target, decision.reason, before, how)
        return None

    def _quote(self, quote: Any) -> bool:
        """What units are worth from now on; whether for good."""
        self.holding.reprice(self.market.mark, self.worth(quote), float(quote.target))
        self.traded = True
        if quote.settles:
            self.say(
                TermSettled,
                reason=quote.reason,
                nav_per_unit=quote.nav_per_unit / self.units_scale,
                mark_price=self.market.mark,
            )
            self._close("settled")
        return bool(quote.settles)

    def worth(self, quote: Any) -> float:
        """What a quote makes all units worth, atoms: it is told of a unit of the launch."""
        step = 10**8 // 10 ** asset_decimals(self.contract.quote_asset)
        return float(quote.nav_per_unit * self.units_at_launch() / step)

    def _promise(self, target: float) -> None:
        self.holding.promise(self.market.mark, target)
        self.traded = True

    def _close(self, reason: str) -> None:
        if self.plan is not None:
            desk.cancel(self, self.plan, "replaced")
        self.status = "closing"
        if self.formula:
            self.holding.end(self.market.mark)
            self.traded = True
        self._send("close", -self.holding.book.lots, 0.0, reason, 0.0)

    def _send(
        self, purpose: str, lots: int, target: float, reason: str, before: float, how: Any = None
    ) -> None:
        self.postponed = None
        decided = {"target": target, "reason": reason, "before": before, "plan": how}
        self.plan = desk.send(self, purpose, lots, **decided)
        if not desk.latency_of(self):
            self.holding.close_segment(self.market.mark)
        if self.plan.arrives_ns <= self.market.now_ns and self.spec.hedge.account == "segregated":
            self._arrive(self.plan)

    def _arrive(self, plan: desk.Order) -> None:
        filled = desk.meet_book(self, plan)
        if filled or not plan.left or not desk.takes_turns(plan):
            self._filled(plan)

    def _filled(self, plan: desk.Order) -> None:
        self.traded = True
        if plan.left or plan.held:
            return
        self.plan = None
        if plan.purpose == "close":
            self._closed(plan.reason)
        elif plan.missed:
            self.opened = plan.purpose != "opening" or self.holding.book.lots != 0
            kind = Deleverage if plan.purpose == "deleverage" else SetLeverage
            self._postpone(kind(plan.target, plan.reason, plan.how), plan.missed, plan.lots)
        elif plan.lots:
            self._done(plan)
        elif plan.purpose == "opening":
            self.opened = False

    def _done(self, plan: desk.Order) -> None:
        mark, held = self.market.mark, self.holding
        intercept, slope = held.line()
        exposure = slope * self.price
        nav = intercept + exposure
        self.rebalanced_ns = self.market.now_ns
        forced = plan.purpose == "deleverage"
        self.say(
            Deleveraged if forced else Rebalanced,
            reason=plan.reason,
            target=plan.target,
            leverage_before=plan.before,
            leverage_after=exposure / nav if nav > 0.0 else None,
            lots=plan.lots,
            position_lots=held.book.lots,
            mark_price=mark,
            nav_atoms=held.nav(mark),
            cost_atoms=plan.cost,
            decided_ns=plan.decided_ns,
            **({} if forced else {"opening": plan.purpose == "opening"}),
        )

    def _closed(self, reason: str) -> None:
        mark, held = self.market.mark, self.holding
        held.settle(mark)
        self.topup = None
        self.status = "closed"
        nav = held.nav(mark)
        deficit = held.missing(mark)
        self.say(
            ProductClosed, reason=reason, mark_price=mark, nav_atoms=nav, deficit_atoms=deficit
        )
        for payer in ("insurance", "reserve", "issuer"):
            paid = held.cover(payer, deficit) if deficit else 0
            deficit -= paid
            if paid:
                self.say(DeficitPaid, payer=payer, paid_atoms=paid)
        surplus = held.surplus(mark)
        if surplus:
            self.say(SurplusTaken, atoms=surplus)
        for _, request in self.waiting():
            desk.refuse(self, request, "closed")
        self.queue.clear()
        for request in self.orders:
            desk.refuse(self, request, "closed")
        self.orders.clear()

    # What others bring ----------------------------------------------------------------------------

    def fill(self) -> None:
        """Orders that are due meet the book."""
        self.watch_high_water()
        now, plan = self.market.now_ns, self.plan
        if self.topup is not None and self.topup[2] <= now:
            desk.topped_up(self)
            self.traded = True
        orders = [*self.deals, *([self.plan] if self.plan else [])]
        due = [order for order in orders if order.arrives_ns <= now]
        for order in sorted(due, key=lambda order: order.number):
            if order is self.plan:
                self._arrive(order)
                continue
            self.deals.remove(order)
            redeems = not isinstance(order.request, CreationRequest)
            if self.status == "closing" or (self.status == "closed" and not redeems):
                if redeems:
                    user = self.users.index(order.request.user)
                    self.pledged[user] -= desk.steps_of(order.request)
                desk.refuse(self, order.request, "closed")
                continue
            desk.deal(self, order)
            self.traded = True
            if order.held:
                self.deals.append(order)
        self.look_again(plan)

    def struck(self, order: desk.Order, lots: int) -> None:
        """Somebody took lots of an order of ours that rests."""
        self.watch_high_water()
        desk.strike(self, order, lots)
        self._filled(order)
        self._look_last()

    def settle_funding(self, rate: float) -> None:
        held, mark = self.holding, self.market.mark
        alive = self.status in ("active", "closing")
        if not alive or held.book.lots == 0 or self.spec.kind in ("spot", "margin_loan"):
            return
        lots, index = held.book.lots, self.market.funding_index()
        opened_now = self.traded_at == self.market.now_ns
        if opened_now and not self.market.spec.venue.funding.instant_pays:
            kept = min(abs(lots), abs(self.lots_before)) if lots * self.lots_before > 0 else 0
            lots = kept if lots > 0 else -kept
        self.watch_high_water()
        if lots == 0:
            return
        notional = self.contract.notional(lots, index or mark)
        side = 1 if lots > 0 else -1
        paid = math.ceil(notional * side * Fraction(repr(rate)))
        held.pay("funding", paid, mark)
        self.traded = True
        self.say(
            FundingSettled,
            symbol=self.contract.spec.symbol,
            rate=rate,
            mark_price=mark,
            position_lots=lots,
            paid_atoms=paid,
            index_price=index,
        )
        self._look_last()

    def charge_fee(self) -> None:
        """The issuer's fee, a share of NAV, rounded up; of a loan, the lender's interest."""
        self.watch_high_water()
        if self.spec.kind == "margin_loan":
            self._charge_interest()
            return
        mark, terms = self.market.mark, self.spec.terms
        rates = [terms.management_fee]
        rates += [rate for since_ns, rate in terms.fees if since_ns <= self.fee_ns]
        self.fee_ns += terms.fee_every_ns
        nav = self.holding.nav(mark)
        if self.status == "active" and nav > 0 and rates[-1]:
            fee = math.ceil(nav * Fraction(repr(rates[-1])))
            paid = self.holding.charge(fee, mark)
            self.traded = True
            self.say(ManagementFeeCharged, rate=rates[-1], nav_atoms=nav, paid_atoms=paid)
        self._look_last()

    def _charge_interest(self) -> None:
        mark, rate = self.market.mark, self.spec.loan.hourly_rate
        self.fee_ns += HOUR_NS
        intercept, slope = self.holding.line()
        debt = math.ceil(max(-intercept, 0.0) + max(-slope * mark, 0.0))
        if self.status in ("active", "closing") and debt:
            paid = self.holding.coins_up(math.ceil(debt * Fraction(repr(rate))), mark)
            self.holding.pay("interest", paid, mark)
            self.traded = True
            self.say(InterestCharged, rate=rate, debt_atoms=debt, paid_atoms=paid)
        self._look_last()

    def look_again(self, plan: desk.Order | None) -> None:
        """After a plan met the book: last of the instant, unless it was decided at it and trades
        once: whoever decided that looks at the next price."""
        if (
            plan is not None
            and desk.is_capped(self, plan)
            and plan.decided_ns == self.market.now_ns
        ):
            self.watch_high_water()
            self.policy_ns = self._next_alarm()
        else:
            self._look_last()

    def _look_last(self) -> None:
        """At one instant policies come last, when all that is due is booked."""
        self.watch_high_water()
        self.policy_ns = self.market.now_ns

    def request(self, request: Any) -> None:
        """A user asks for units or gives some back."""
        self.watch_high_water()
        if isinstance(request, CancellationRequest):
            desk.take_back(self, request)
            self.traded = True
            self._serve_queue()
            self.policy_ns = self._next_alarm()
            traded.look(self)
            return
        refusal = self._refusal(request)
        waits = getattr(request, "level", None) is not None
        if self.plan is not None and self.spec.terms.while_rebalancing == "refuse" and not waits:
            refusal = refusal or "rebalancing"
        desk.ask(self, request, refusal)
        self.traded = True
        self._serve_queue()
        self.policy_ns = self._next_alarm()
        traded.look(self)

    def obey(self, command: Any) -> str | None:
        """What the operator says; why not, where it is refused."""
        self.watch_high_water()
        if self.status != "active":
            return "not_launched" if self.status == "pending" else "closed"
        refusal = None
        if isinstance(command, PauseProduct):
            refusal = "paused" if self.paused else None
            self.paused = True
        elif isinstance(command, ResumeProduct):
            refusal = None if self.paused else "not_paused"
            self.paused = False
            if not refusal:
                self.look()
        elif isinstance(command, GateCreations):
            if self.gated == command.closed:
                refusal = "gated" if self.gated else "not_gated"
            self.gated = command.closed
        elif isinstance(command, SplitUnits):
            refusal = splits.split(self, command.new, command.old, "operator")
            self._serve_queue()
        else:
            refusal = self._force(command.target)
        if not refusal:
            self.policy_ns = self._next_alarm()
        traded.look(self)
        return refusal

    def _force(self, target: float) -> str | None:
        intercept, slope = self.holding.line()
        if self.market.stale:
            return "halted" if self.market.stale == "halted" else "stale"
        if self.follows and self.market.view_of_index().stale:
            return "stale"
        if intercept + slope * self.price <= 0.0:
            return "nav_not_positive"
        if abs(target) > self.spec.limit:
            return "out_of_limits"
        refusal = self._act(SetLeverage(target, "forced by the operator"), self.view())
        self._serve_queue()
        return refusal

    def _refusal(self, request: Any) -> str | None:
        if isinstance(request, CreationRequest) and desk.quote_of(self, request) > desk.ATOMS_MAX:
            return "too_large"
        if self.status == "pending":
            return "not_launched"
        if self.status == "closing":
            return "closed"
        if self.status == "closed" and isinstance(request, CreationRequest):
            return "closed"
        if self.paused and self.status == "active":
            return "paused"
        loaned = self.quoted or self.spec.kind in ("futures", "margin_loan")
        if loaned and isinstance(request, CreationRequest):
            return "not_offered"
        if self.gated and isinstance(request, CreationRequest):
            return "gated"
        if self.market.stale:
            return "halted" if self.market.stale == "halted" else "stale"
        if self.follows and self.market.view_of_index().stale and self.status != "closed":
            return "stale"
        nav = self.holding.nav(self.market.mark)
        if self.holding.units <= 0 or (nav <= 0 and self.status != "closed"):
            return "nav_not_positive"
        return None

    def _serve_queue(self) -> None:
        """What is due is dealt, one after the other, unless a rebalance is under way."""
        while self.status == "active":
            self._reach()
            if not self.queue or self.plan is not None:
                return
            due_ns, request = first = self.waiting()[0]
            if due_ns > self.market.due_ns:
                return
            self.queue.remove(first)
            desk.serve(self, request, self._refusal(request))
            self.traded = True

    def waiting(self) -> list[tuple[int, Any]]:
        """The queue by the times at which its requests are due; as they came at one time."""
        return sorted(self.queue, key=lambda each: each[0])

    def _reach(self) -> None:
        """Redemptions that waited for a level of NAV, and have it now, are due."""
        if not self.orders or self.paused or not self.holding.units:
            return
        intercept, slope = self.holding.line()
        nav = intercept + slope * self.price
        per_unit = nav * self.quote * 10**8 / self.holding.units
        for request in list(self.orders):
            stop, take = request.at_or_below, request.at_or_above
            if (stop is not None and per_unit <= stop) or (take is not None and per_unit >= take):
                self.orders.remove(request)
                self.queue.append((self.market.due_ns, request))
                self.say(
                    LevelReached,
                    user=request.user,
                    id=request.id,
                    level=take if stop is None else stop,
                    nav_per_unit=per_unit,
                    mark_price=self.market.mark,
                )

    # Times ----------------------------------------------------------------------------------------

    def _next_alarm(self) -> int:
        """The earliest time at which a policy wants to be asked; prices are no matter, it is asked
        at all of them."""
        if self.status != "active":
            return NEVER_NS
        first = self.waiting()[0][0] if self.queue else 0
        alarm = min(first if first > self.market.due_ns else NEVER_NS, self.split_ns)
        if self.spec.terms.secondary is not None:
            alarm = min(alarm, traded.next_edge(self))
        intercept, slope = self.holding.line()
        ruined = intercept + slope * self.price <= 0.0 and not self.quoted
        if ruined or self.paused:
            return alarm
        view = self.view()
        for place, policy in enumerate(self.policies):
            if self._asks(place):
                try:
                    watch = policy.watch(view, self.memories[place])
                    _judge_alarm(watch.alarm_ns, view.due_ns)
                except Exception as error:  # noqa: BLE001  # a user's policy may raise anything
                    self._fault(place, error)
                    continue
                alarm = min(alarm, watch.alarm_ns)
        return alarm

    def next_fill_ns(self) -> int:
        times = [order.arrives_ns for order in [*([self.plan] if self.plan else []), *self.deals]]
        return min([*times, *([self.topup[2]] if self.topup else [])], default=NEVER_NS)

    def next_fee_ns(self) -> int:
        return self.fee_ns if self.status == "active" else NEVER_NS

    def release(self, now_ns: int) -> None:
        """The market is fresh again: what waited meets the book now."""
        for order in [*self.deals, *([self.plan] if self.plan else [])]:
            if order.held:
                order.held, order.arrives_ns = False, now_ns


def _rank(decision: Any) -> int:
    return (Close, Quote, Deleverage, SetLeverage, Warn).index(type(decision))


def _judge_alarm(alarm_ns: int, due_ns: int) -> None:
    if alarm_ns <= due_ns:
        raise PolicyAnswerError(f"watch: alarm {alarm_ns} is not after {due_ns}")
