"""What a product does at the venue and in the ledger: launch, hedge, close.

A decision becomes a plan, one order at a time; a plan under way gives way only to one that ends
with less. After the last fill the plan is stated as a fact. Whoever decides, and when, is the
handler's business.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

from engine.account import Account
from engine.admission import is_too_small
from engine.dealing import Dealing
from engine.events import (
    CreationRequest,
    Deleveraged,
    ProductClosed,
    ProductLaunched,
    Rebalanced,
)
from engine.handler_state import ACTIVE, CLOSED, CLOSING, HandlerState
from engine.orders import Order, Scene
from engine.plans import Plan, Restrike
from engine.policy import Close, Decision, Deleverage, Quote, View, Warn
from engine.postponing import Postponing
from engine.striking import NOWHERE, strike
from engine.units import HOUR_NS

__all__ = ["Hedging"]

_Opened: Final = partial(Rebalanced, opening=True)


class Hedging(Postponing):
    """One product's trades.

    Attributes:
        edges: between which marks the product had nothing to say; a move that jumped through one is
            booked apart.
        nets: whether it is one of an omnibus account.
    """

    __slots__ = ("_opening_target", "dealing", "desk", "edges", "nets")

    def __init__(self, account: Account, dealing: Dealing, state: HandlerState) -> None:
        super().__init__(account, state)
        self._opening_target = self.spec.opening_target(inverse=account.contract.inverse)
        self.desk = dealing.desk
        self.dealing = dealing
        self.edges = (-math.inf, math.inf)
        self.nets = self.spec.hedge.account == "omnibus"

    def _launch(self, scene: Scene) -> None:
        state = self.state
        user_units, issuer_units, paid = self.dealing.issue()
        self.account.launch(scene.mark, user_units, issuer_units, paid)
        state.status = ACTIVE
        state.launched_ns = scene.ts_ns
        state.high_water = 1.0
        state.fee_ns = self.spec.terms.next_fee_ns(scene.ts_ns)
        state.split_ns = self.spec.terms.next_split_ns(scene.ts_ns)
        if self.spec.kind != "fund":
            self.account.state.target = self.account.state.first_target = self._opening_target
        if self.spec.kind == "margin_loan":
            state.fee_ns = (scene.ts_ns // HOUR_NS + 1) * HOUR_NS
        self.traded = True
        scene.tape.say(
            ProductLaunched,
            product=self.spec.id,
            symbol=self.account.contract.spec.symbol,
            mark_price=scene.mark,
            equity_atoms=paid,
            units=self.account.units,
        )

    # Plans --------------------------------------------------------------------------------------

    def _act(self, scene: Scene, decision: Decision, view: View) -> str | None:
        """Carry a decision out; why not, where something is in its way."""
        if type(decision) is Quote:
            decision = self._told(scene, decision)
        if type(decision) is Close:
            self._close(scene, decision.reason)
            return None
        if type(decision) is Warn:
            self.warn(scene, decision, view)
            return None
        account, desk, state, mark = self.account, self.desk, self.state, scene.mark
        target, leverage, kept = float(decision.target), view.position.leverage, account.state
        held, nav, plan = account.lots, account.nav(mark), desk.state.plan
        lots = account.contract.lots_for(target, nav, mark) - held
        stale = view.market.stale or (scene.stale and scene.halted)
        if stale and not abs(target) < abs(leverage):
            return "stale"
        if lots == 0:
            state.postponed = None
            # Coins of an inverse account are one times long without a contract.
            if not state.opened and target == leverage:
                self._strike(scene, target, nav)
                kept.first_target = kept.target = target
                state.opened = True
            if self._follows and plan is None:
                self._strike(scene, target, nav)
                self._promise(mark, target)
            return None if plan is None else "rebalancing"
        if plan is not None and not self._may_replace(plan, target, lots):
            return "rebalancing"
        purpose = "rebalance" if state.opened else "opening"
        if type(decision) is Deleverage:
            purpose = "deleverage"
        small = scene.order_bounds is not None and is_too_small(scene, lots, held)
        if small and not self._is_owed(purpose, decision.plan):
            return "too_small"
        if plan is not None:
            self._drop(scene, plan)
        self._strike(scene, target, nav)
        if not state.opened:
            kept.first_target, state.opened = target, True
        if target != kept.target or desk.latency_ns + scene.delay_ns == 0:
            account.close_segment(mark, nav)
            kept.target = target
        if self._follows:
            self._promise(mark, target)
        reason, how = decision.reason, decision.plan
        self._send(scene, desk.order(scene, purpose, lots, target, reason, leverage, plan=how))
        return None

    def _is_owed(self, purpose: str, plan: Plan | None) -> bool:
        """Whether its size matters to nobody: a restrike has a counterparty that owes it, and a
        promise is made whatever its hedge is."""
        return self._follows or isinstance(self.desk.plan_of(purpose, plan), Restrike)

    def _strike(self, scene: Scene, target: float, nav: int) -> None:
        if not self._quoted:  # or the quote did
            strike(scene, self.account, target, nav, self.edges, opens=not self.state.opened)

    def _may_replace(self, plan: Order, target: float, lots: int) -> bool:
        """Whether a decision may replace the plan under way: one that ends with less, or reduces
        where the plan adds."""
        slope = self.account.slope
        reverses = plan.left * slope > 0.0 > lots * slope
        return abs(target) < abs(plan.target) or reverses

    def _drop(self, scene: Scene, plan: Order) -> None:
        """Another plan takes its place."""
        self.desk.cancel(scene, plan, "replaced")
        self._over(scene, plan)

    def _send(self, scene: Scene, plan: Order) -> None:
        """A new order is under way."""
        self.desk.state.plan, self.state.postponed = plan, None
        # Orders of an omnibus account wait for each other: until the end of the instant.
        if plan.arrives_ns <= scene.ts_ns and not self.nets:
            self._arrive(scene, plan)

    def _close(self, scene: Scene, reason: str) -> None:
        if self.desk.state.plan is not None:
            self._drop(scene, self.desk.state.plan)
        self._covered(scene)
        self.state.status = CLOSING
        self._strike(scene, 0.0, self.account.nav(scene.mark))
        if self.desk.latency_ns + scene.delay_ns == 0:
            self.account.close_segment(scene.mark)
        if self.account.formula:
            self.account.end(scene.mark)
            self.traded = True
        self._send(scene, self.desk.order(scene, "close", -self.account.lots, reason=reason))

    def cancel(self, scene: Scene, reason: str) -> int:
        """The venue cancels what is under way to the book: requests are refused. How many orders
        that were."""
        desk = self.desk.state
        count = len(desk.deals) + (desk.plan is not None)
        if desk.plan is not None:
            self.desk.cancel(scene, desk.plan, reason)
            self._over(scene, desk.plan)
        for deal in desk.deals:
            assert deal.request is not None
            self.dealing.drop(deal.request)
            self.dealing.refuse(scene, deal.request, reason)
        desk.deals.clear()
        return count

    # Fills --------------------------------------------------------------------------------------

    def _fill(self, scene: Scene) -> None:
        """What is due arrives: a top-up, then orders, in the order in which they were sent."""
        if self.desk.treasury.arrives_ns <= scene.ts_ns:
            self._top_up(scene)
        state = self.desk.state
        orders = [*state.deals, *([state.plan] if state.plan else [])]
        due = [order for order in orders if order.arrives_ns <= scene.ts_ns]
        for order in sorted(due, key=lambda order: order.number):
            if order is state.plan:
                self._arrive(scene, order)
            elif order in state.deals:
                state.deals.remove(order)
                self._deal(scene, order)

    def _top_up(self, scene: Scene) -> None:
        self.desk.treasury.arrive(scene)
        self.desk.hurry(scene.ts_ns)
        self.traded = True

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
        filled = self.desk.arrive(scene, plan)
        if filled or plan.course is None or not plan.left:
            self._filled(scene, plan)

    def _filled(self, scene: Scene, plan: Order) -> None:
        self.traded = True
        if plan.left or plan.held:
            return
        self._over(scene, plan)
        if plan.purpose == "close":
            self._closed(scene, plan.reason)
        elif plan.missed:
            self.missed(scene, plan)
        elif plan.lots:
            self._done(scene, plan)
        elif plan.purpose == "opening":
            self.state.opened = False

    def _done(self, scene: Scene, plan: Order) -> None:
        state, account, tape, mark = self.state, self.account, scene.tape, scene.mark
        exposure = account.slope * account.at(mark)
        nav = account.intercept + exposure
        state.last_rebalance_ns = scene.ts_ns
        if plan.purpose == "deleverage":
            state.deleveragings += 1
            kind: Any = Deleveraged
        else:
            rebalance = plan.purpose == "rebalance"
            kind = Rebalanced if rebalance else _Opened
            state.rebalances += rebalance
        tape.add(
            kind(
                sequence=tape.sequence,
                ordinal=tape.ordinal,
                ts_ns=tape.ts_ns,
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
            )
        )

    def _closed(self, scene: Scene, reason: str) -> None:
        """The last contract is gone: the deficit, if any, is known now, and is paid in order."""
        account, mark = self.account, scene.mark
        if account.state.split.target:  # the venue closed it, nobody decided
            strike(scene, account, 0.0, account.nav(mark), NOWHERE)
        account.settle_closed(mark)
        self._covered(scene)
        self.desk.treasury.topup = None
        self.state.status = CLOSED
        self.state.closed_ns = scene.ts_ns
        deficit = account.deficit(mark)
        scene.tape.say(
            ProductClosed,
            product=self.spec.id,
            reason=reason,
            mark_price=mark,
            nav_atoms=account.nav(mark),
            deficit_atoms=deficit,
        )
        self._pay_deficit(scene, deficit)
        self.dealing.cancel_waiting(scene, "closed")
