"""One product: it is woken, asks its policies, hedges, states what happened, and says when it next cares.

Order at a wake: bankruptcy before any policy; then the policies, of whose decisions ``Close`` beats ``Deleverage`` beats
``SetLeverage``, then the listed order. While a plan is under way only de-risking policies are asked, and only a decision that
reduces further replaces it.
"""

from __future__ import annotations

import math
from typing import Any, Final

from msgspec import Struct

from engine.account import Account
from engine.agenda import Priority
from engine.dealing import Dealing
from engine.events import (
    CreationRequest,
    DeficitPaid,
    Deleveraged,
    FundingSettled,
    ManagementFeeCharged,
    PolicyFaulted,
    ProductClosed,
    ProductLaunched,
    Rebalanced,
    RedemptionRequest,
)
from engine.execution import Desk, Order, Scene
from engine.policy import (
    Close,
    Decision,
    Deleverage,
    Policy,
    PolicyAnswerError,
    PositionView,
    SetLeverage,
    View,
)
from engine.product import bankruptcy_price
from engine.units import NEVER_NS, UNIT_STEPS, asset_decimals
from engine.venue.funding import funding_payment
from engine.watch import ALWAYS, drawn_in

__all__ = ["Handler", "HandlerState", "Next"]

PENDING: Final = "pending"
ACTIVE: Final = "active"
CLOSING: Final = "closing"
CLOSED: Final = "closed"
_RANK: Final = {Close: 0, Deleverage: 1, SetLeverage: 2}


class HandlerState(Struct):
    """What a handler remembers beside its account, its orders and its holders."""

    policies: list[Any]
    faulted: list[bool]
    status: str = PENDING
    launched_ns: int = 0
    closed_ns: int = 0
    last_rebalance_ns: int = 0
    fee_ns: int = NEVER_NS
    high_water: float = 0.0
    rebalances: int = 0
    deleveragings: int = 0
    unhedged_ns: int = 0
    opened: bool = False


class Next(Struct, frozen=True, gc=False):
    """When a handler must be woken: at two prices, and at times of three kinds."""

    low: float
    high: float
    policy_ns: int
    fill_ns: int
    fee_ns: int


class Handler:
    """Looks after one product."""

    __slots__ = (
        "_quote",
        "_uses_high_water",
        "_uses_signals",
        "account",
        "dealing",
        "desk",
        "edges",
        "next",
        "number",
        "policies",
        "spec",
        "state",
        "traded",
    )

    def __init__(
        self, number: int, account: Account, policies: tuple[Policy, ...], dealing: Dealing
    ) -> None:
        self.number = number
        self.account = account
        self.spec = account.spec
        self.desk: Desk = dealing.desk
        self.dealing = dealing
        self.policies = policies
        self.state = HandlerState(
            policies=[p.initial_state() for p in policies], faulted=[False] * len(policies)
        )
        self._uses_signals = any(p.uses_signals for p in policies)
        self._uses_high_water = any(p.uses_high_water for p in policies)
        self._quote = 10.0 ** -asset_decimals(account.contract.quote_asset)
        self.next = Next(ALWAYS.low, ALWAYS.high, NEVER_NS, NEVER_NS, NEVER_NS)
        self.edges = (-math.inf, math.inf)
        self.traded = False

    @property
    def uses_signals(self) -> bool:
        """Whether the market must keep signals for this product."""
        return self._uses_signals

    @property
    def uses_high_water(self) -> bool:
        """Whether the market must keep price extremes for this product."""
        return self._uses_high_water

    def attend(self, scene: Scene) -> bool:
        """A price or an alarm woke us: look, act, and state the next watch.

        Returns:
            Whether there was anything to say or to remember; an empty wake leaves no trace.
        """
        state = self.state
        if state.status == CLOSED:
            self._arm(scene)
            return False
        before = scene.tape.ordinal
        if state.status == PENDING:
            self._launch(scene)
        asked = False
        if state.status == ACTIVE:
            asked = self._decide(scene)
        self._arm(scene)
        return asked or scene.tape.ordinal != before

    def _decide(self, scene: Scene) -> bool:
        intercept, slope = self.account.line()
        if intercept + slope * scene.mark <= 0.0:
            self._close(scene, "nav_not_positive")
            return True
        view = self._view(scene, intercept, slope)
        decision, changed = self._ask(scene, view)
        if decision is not None:
            self._act(scene, decision, view)
        return changed

    def _launch(self, scene: Scene) -> None:
        state = self.state
        user_units, issuer_units, paid = self.dealing.issue()
        self.account.launch(scene.mark, user_units, issuer_units, paid)
        state.status = ACTIVE
        state.launched_ns = scene.ts_ns
        state.high_water = 1.0
        terms = self.spec.terms
        if terms.management_fee:
            state.fee_ns = (scene.ts_ns // terms.fee_every_ns + 1) * terms.fee_every_ns
        if self.spec.kind == "spot":
            self.account.state.target = self.account.state.first_target = 1.0
        self.traded = True
        scene.tape.say(
            ProductLaunched,
            product=self.spec.id,
            symbol=self.account.contract.spec.symbol,
            mark_price=scene.mark,
            equity_atoms=paid,
            units=self.account.units,
        )

    def _view(self, scene: Scene, intercept: float, slope: float) -> View:
        state = self.state
        mark = scene.mark
        exposure = slope * mark
        nav = intercept + exposure
        if self._uses_high_water:
            self._watch_high_water(scene, intercept, slope)
        high_water = state.high_water
        per_unit = nav * self._quote * UNIT_STEPS / self.account.units if self.account.units else 0.0
        position = PositionView(
            nav * self._quote,
            exposure * self._quote,
            exposure / nav if nav > 0.0 else 0.0,
            self.account.state.target,
            self.account.state.first_mark,
            high_water,
            per_unit / high_water - 1.0 if 0.0 < per_unit < high_water else 0.0,
            scene.ts_ns - state.launched_ns,
            state.last_rebalance_ns,
        )
        return View(scene.view(self._uses_signals), position, scene.due_ns)

    def _keep_high_water(self, scene: Scene) -> None:
        """The line is about to change: what was reached on the old one counts."""
        if self._uses_high_water and self.state.status == ACTIVE:
            self._watch_high_water(scene, *self.account.line())

    def _watch_high_water(self, scene: Scene, intercept: float, slope: float) -> None:
        """Between wakes NAV was on one line, so its highest was at an extreme of the price."""
        low, high = scene.extremes(self.number)
        best = intercept + slope * (high if slope > 0.0 else low)
        units = self.account.units
        if units:
            per_unit = best * self._quote * UNIT_STEPS / units
            self.state.high_water = max(self.state.high_water, per_unit)

    def _ask(self, scene: Scene, view: View) -> tuple[Decision | None, bool]:
        """The decision that comes first, and whether any policy had something to remember."""
        state, best, changed = self.state, None, False
        if self.spec.kind == "spot" and not state.opened:
            return SetLeverage(1.0, "spot purchase"), True
        planned = self.desk.state.plan is not None
        for place, policy in enumerate(self.policies):
            if state.faulted[place] or (planned and not policy.de_risking):
                continue
            try:
                decision, remembered = policy.decide(view, state.policies[place])
                self._check(decision)
            except Exception as error:  # noqa: BLE001  # a user's policy may raise anything
                self._fault(scene, place, error)
                continue
            if remembered is not state.policies[place]:
                state.policies[place] = remembered
                changed = True
            if decision is not None and (
                best is None or _RANK[type(decision)] < _RANK[type(best)]
            ):
                best = decision
        return best, changed

    def _check(self, decision: Decision | None) -> None:
        if decision is None or isinstance(decision, Close):
            return
        target = decision.target
        if not (type(target) in (float, int) and math.isfinite(target)):
            raise PolicyAnswerError(f"answered {target!r}; it must be a finite leverage")
        if abs(target) > self.spec.limit:
            raise PolicyAnswerError(
                f"answered {target}, outside the product's limits [-{self.spec.limit:g}, {self.spec.limit:g}]"
            )

    def _fault(self, scene: Scene, place: int, error: Exception) -> None:
        self.state.faulted[place] = True
        what = str(error) if isinstance(error, PolicyAnswerError) else f"{type(error).__name__}: {error}"
        scene.tape.say(
            PolicyFaulted,
            product=self.spec.id,
            policy=getattr(self.policies[place], "name", type(self.policies[place]).__name__),
            error=what,
            safe_mode="hold",
        )

    def _act(self, scene: Scene, decision: Decision, view: View) -> None:
        if isinstance(decision, Close):
            self._close(scene, decision.reason)
            return
        account, desk, target = self.account, self.desk, float(decision.target)
        mark = scene.mark
        nav = account.nav(mark)
        lots = account.contract.lots_for(target, nav, mark) - account.lots
        reduces = abs(target) < abs(view.position.leverage)
        if lots == 0 or (view.market.stale and not reduces):
            return
        if desk.state.plan is not None and not self._replace(scene, target, lots):
            return
        state = account.state
        if not self.state.opened:
            state.first_target = target
        if target != state.target or desk.latency_ns == 0:
            account.close_segment(mark, self._edge(mark), nav)
            state.target = target
        deleverage = isinstance(decision, Deleverage)
        purpose = "deleverage" if deleverage else "rebalance" if self.state.opened else "opening"
        self.state.opened = True
        self._send(scene, purpose, lots, target, decision.reason, view.position.leverage)

    def _replace(self, scene: Scene, target: float, lots: int) -> bool:
        """Whether a decision may replace the plan under way: one that ends with less, or reduces where the plan adds."""
        plan = self.desk.state.plan
        assert plan is not None
        slope = self.account.line()[1]
        reverses = plan.left * slope > 0.0 > lots * slope
        if abs(target) >= abs(plan.target) and not reverses:
            return False
        self.state.unhedged_ns += scene.ts_ns - plan.decided_ns
        self.desk.state.plan = None
        return True

    def _edge(self, mark: float) -> float | None:
        low, high = self.edges
        if mark < low < math.inf:
            return low
        return high if -math.inf < high < mark else None

    def _send(
        self, scene: Scene, purpose: str, lots: int, target: float, reason: str, leverage: float
    ) -> None:
        plan = self.desk.order(
            scene, purpose, lots, target=target, reason=reason, leverage_before=leverage
        )
        self.desk.state.plan = plan
        if plan.arrives_ns <= scene.ts_ns:
            self._arrive(scene, plan)

    def _close(self, scene: Scene, reason: str) -> None:
        if self.desk.state.plan is not None:
            self.state.unhedged_ns += scene.ts_ns - self.desk.state.plan.decided_ns
            self.desk.state.plan = None
        self.state.status = CLOSING
        if self.desk.latency_ns == 0:
            self.account.close_segment(scene.mark, self._edge(scene.mark))
        self._send(scene, "close", -self.account.lots, 0.0, reason, 0.0)

    def fill(self, scene: Scene) -> None:
        """An alarm: orders that are due meet the book."""
        self._keep_high_water(scene)
        state = self.desk.state
        orders = [*state.deals, *([state.plan] if state.plan else [])]
        due = [order for order in orders if order.arrives_ns <= scene.ts_ns]
        for order in sorted(due, key=lambda order: order.number):
            if order is state.plan:
                self._arrive(scene, order)
            elif order in state.deals:
                state.deals.remove(order)
                self._deal(scene, order)
        self._attend_last(scene)

    def _deal(self, scene: Scene, deal: Order) -> None:
        creates = isinstance(deal.request, CreationRequest)
        if self.state.status == CLOSING or (self.state.status == CLOSED and creates):
            assert deal.request is not None
            self.dealing.drop(deal.request)
            self.dealing.refuse(scene, deal.request, "closed")
            return
        self.dealing.arrive(scene, deal)
        self.traded = True
        if deal.held:
            self.desk.state.deals.append(deal)

    def _arrive(self, scene: Scene, plan: Order) -> None:
        self.desk.arrive(scene, plan)
        if plan.left == 0 and not plan.held:
            self.desk.state.plan = None
            self.state.unhedged_ns += scene.ts_ns - plan.decided_ns
            self._done(scene, plan)
        self.traded = True

    def _done(self, scene: Scene, plan: Order) -> None:
        if plan.purpose == "close":
            self._closed(scene, plan.reason)
            return
        state, account, mark = self.state, self.account, scene.mark
        exposure = account.slope * mark
        nav = account.intercept + exposure
        forced = plan.purpose == "deleverage"
        state.last_rebalance_ns = scene.ts_ns
        facts: dict[str, Any] = {} if forced else {"opening": plan.purpose == "opening"}
        if forced:
            state.deleveragings += 1
        elif plan.purpose == "rebalance":
            state.rebalances += 1
        scene.tape.say(
            Deleveraged if forced else Rebalanced,
            product=self.spec.id,
            reason=plan.reason,
            target=plan.target,
            leverage_before=plan.leverage_before,
            leverage_after=exposure / nav if nav > 0.0 else None,
            lots=plan.lots,
            position_lots=account.lots,
            mark_price=mark,
            nav_atoms=account.nav_at(mark),
            cost_atoms=plan.cost_atoms,
            decided_ns=plan.decided_ns,
            **facts,
        )

    def _closed(self, scene: Scene, reason: str) -> None:
        """The last contract is gone: the deficit, if any, is known now, and is paid in order."""
        account, mark = self.account, scene.mark
        account.settle_closed(mark)
        self.state.status = CLOSED
        self.state.closed_ns = scene.ts_ns
        deficit = max(0, -account.nav(mark))
        scene.tape.say(
            ProductClosed,
            product=self.spec.id,
            reason=reason,
            mark_price=mark,
            nav_atoms=account.nav(mark),
            deficit_atoms=deficit,
        )
        for payer in ("insurance", "reserve", "issuer"):
            paid = account.pay_deficit(payer, deficit) if deficit else 0
            if paid:
                deficit -= paid
                scene.tape.say(DeficitPaid, product=self.spec.id, payer=payer, paid_atoms=paid)
        for request in self.dealing.queue:
            self.dealing.refuse(scene, request, "closed")
        self.dealing.queue.clear()

    def settle_funding(self, scene: Scene, rate: float) -> None:
        """Funding at its instant, on the position held."""
        account = self.account
        lots = account.lots
        if self.state.status in (PENDING, CLOSED) or lots == 0 or self.spec.kind == "spot":
            return
        self._keep_high_water(scene)
        size = account.contract.notional(lots, scene.mark)
        paid = funding_payment(size, 1 if lots > 0 else -1, rate)
        account.pay_funding(paid, scene.mark)
        self.traded = True
        scene.tape.say(
            FundingSettled,
            product=self.spec.id,
            symbol=account.contract.spec.symbol,
            rate=rate,
            mark_price=scene.mark,
            position_lots=lots,
            paid_atoms=paid,
        )
        self._attend_last(scene)

    def charge_fee(self, scene: Scene) -> None:
        """An alarm: the management fee is due."""
        self._keep_high_water(scene)
        state, terms = self.state, self.spec.terms
        state.fee_ns += terms.fee_every_ns
        nav = self.account.nav(scene.mark)
        if state.status == ACTIVE and nav > 0:
            paid = self.account.pay_management_fee(terms.management_fee, scene.mark)
            self.traded = True
            scene.tape.say(
                ManagementFeeCharged,
                product=self.spec.id,
                rate=terms.management_fee,
                nav_atoms=nav,
                paid_atoms=paid,
            )
        self._attend_last(scene)

    def request(self, scene: Scene, request: CreationRequest | RedemptionRequest) -> None:
        """A user asks for units or gives some back."""
        self._keep_high_water(scene)
        self.dealing.ask(scene, request, self._refusal(scene, request), self._wait())
        self.traded = True
        self._arm(scene)

    def _refusal(self, scene: Scene, request: CreationRequest | RedemptionRequest) -> str | None:
        status = self.state.status
        if status == PENDING:
            return "not_launched"
        if status == CLOSING or (status == CLOSED and isinstance(request, CreationRequest)):
            return "closed"
        if scene.stale:
            return "stale"
        if self.account.units <= 0 or (self.account.nav(scene.mark) <= 0 and status != CLOSED):
            return "nav_not_positive"
        if self._wait() and self.spec.terms.while_rebalancing == "refuse":
            return "rebalancing"
        return None

    def _wait(self) -> str | None:
        return "rebalancing" if self.desk.state.plan is not None else None

    def _serve_queue(self, scene: Scene) -> None:
        queue = self.dealing.queue
        while queue and self.desk.state.plan is None and self.state.status == ACTIVE:
            request = queue.pop(0)
            self.dealing.ask(scene, request, self._refusal(scene, request), None)

    def _arm(self, scene: Scene) -> None:
        """State when we next care, from how things stand now."""
        state, desk = self.state, self.desk
        if self.dealing.queue:
            self._serve_queue(scene)
        low, high, alarm = -math.inf, math.inf, NEVER_NS
        if state.status == ACTIVE:
            low, high, alarm = self._watches(scene)
        elif state.status == PENDING:
            low, high = ALWAYS.low, ALWAYS.high
        fee = state.fee_ns if state.status == ACTIVE else NEVER_NS
        self.edges = (low, high)
        self.next = Next(low, high, alarm, desk.next_arrival_ns(), fee)

    def _attend_last(self, scene: Scene) -> None:
        """At one instant policies come last: what else is due, fees say, is booked before they size a trade."""
        fee = self.state.fee_ns if self.state.status == ACTIVE else NEVER_NS
        low, high = self.edges
        self.next = Next(low, high, scene.due_ns, self.desk.next_arrival_ns(), fee)

    def _watches(self, scene: Scene) -> tuple[float, float, int]:
        low, high, alarm = -math.inf, math.inf, NEVER_NS
        intercept, slope = self.account.line()
        if slope != 0.0:
            ruin = bankruptcy_price(intercept, slope)
            inner, outer = drawn_in(ruin, ruin)
            if intercept + slope * scene.mark <= 0.0:
                return ALWAYS.low, ALWAYS.high, NEVER_NS
            if ruin > 0.0:
                low, high = (inner, high) if slope > 0.0 else (low, outer)
        elif intercept <= 0.0 and self.account.units:
            return ALWAYS.low, ALWAYS.high, NEVER_NS
        view = self._view(scene, intercept, slope)
        state, planned = self.state, self.desk.state.plan is not None
        for place, policy in enumerate(self.policies):
            if state.faulted[place] or (planned and not policy.de_risking):
                continue
            try:
                watch = policy.watch(view, state.policies[place])
                if watch.alarm_ns <= scene.due_ns:
                    raise PolicyAnswerError(f"watch: alarm {watch.alarm_ns} is not after {scene.due_ns}")
            except Exception as error:  # noqa: BLE001  # a user's policy may raise anything
                self._fault(scene, place, error)
                continue
            low = watch.low if watch.low > low else low
            high = watch.high if watch.high < high else high
            alarm = watch.alarm_ns if watch.alarm_ns < alarm else alarm
        return low, high, alarm
