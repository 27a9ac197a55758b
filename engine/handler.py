"""One product: it is woken, asks its policies, has them carried out, and says when it next cares.

Order at a wake: bankruptcy before any policy; then the policies. While a plan is under way only
de-risking policies are asked, and only a decision that reduces further replaces it. What the
operator says is obeyed here, too; while a product is paused no policy is asked.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec.structs import replace

from engine.commands import GateCreations, PauseProduct, ProductCommand, ResumeProduct, SplitUnits
from engine.events import CancellationRequest
from engine.handler_state import ACTIVE, PENDING, Next
from engine.orders import Order, Scene
from engine.policy import SetLeverage, View
from engine.refusing import Request
from engine.reviews import AT_ONCE, OUT_OF_REACH, Reviews
from engine.units import NEVER_NS
from engine.venue.funding import FundingDue
from engine.watch import ALWAYS

__all__ = ["Handler"]

GATED: Final = ("not_gated", "gated")


class Handler(Reviews):
    """Looks after one product."""

    __slots__ = ()

    def attend(self, scene: Scene) -> bool:
        """A price or an alarm woke us: look, act, and state the next watch.

        Returns:
            Whether there was anything to say or to remember; an empty wake leaves no trace.
        """
        state, tape = self.state, scene.tape
        before, changed, view = tape.ordinal, False, None
        if state.status == PENDING:
            self._launch(scene)
        if state.status == ACTIVE:
            changed, view = self._decide(scene)
            if state.split_ns <= scene.due_ns and state.status == ACTIVE:
                self._split_due(scene)
                changed, view = True, None
        self._arm(scene, view)
        return changed or tape.ordinal != before

    def _decide(self, scene: Scene) -> tuple[bool, View | None]:
        """Whether anybody had something to remember, and the view as long as nothing in it
        changed."""
        account = self.account
        price = account.at(scene.mark)
        if account.intercept + account.slope * price <= 0.0 and not self._quoted:
            self._close(scene, "nav_not_positive")
            return True, None
        if self.state.paused:
            return False, None
        plan = self.desk.state.plan
        if plan is not None and self.desk.hurry(scene.ts_ns, scene.mark) and not self.nets:
            self.keep_high_water(scene)
            self._arrive(scene, plan)
        view = self._view(scene)
        decision, changed = self._ask(scene, view)
        if decision is None:
            return changed, view
        ordinal, target = scene.tape.ordinal, account.state.target
        if self._act(scene, decision, view) == "too_small":
            self._remember(scene, decision)
        idle = ordinal == scene.tape.ordinal and target == account.state.target
        return changed, view if idle and not self.traded else None

    def fill(self, scene: Scene) -> None:
        """An alarm: orders that are due meet the book."""
        plan = self.desk.state.plan
        self.keep_high_water(scene)
        self._fill(scene)
        self._look_again(scene, plan)

    def netted(self, scene: Scene, plan: Order) -> None:
        """A plan took part in the netting of its account."""
        self._filled(scene, plan)
        self._look_again(scene, plan)

    def strike(self, scene: Scene, order: Order, lots: int) -> None:
        """A row took so many lots of an order that rests."""
        self.keep_high_water(scene)
        self.desk.strike(scene, order, lots)
        self._filled(scene, order)
        self.keep_high_water(scene)
        # Rows of this very instant may follow: at the first price of them, or at its end.
        self.edges = (-math.inf, math.inf)
        fee = self.state.fee_ns if self.state.status == ACTIVE else NEVER_NS
        arrival = self.desk.next_arrival_ns()
        index = OUT_OF_REACH if self.reference is None else AT_ONCE
        self.next = Next(ALWAYS.low, ALWAYS.high, scene.ts_ns, arrival, fee, *index)

    def settle_funding(self, scene: Scene, due: FundingDue) -> None:
        """Funding at its instant, on the position held."""
        self.keep_high_water(scene)
        lots = self.account.lots
        if not due.instant_pays:
            lots = self.desk.state.held_before(scene.ts_ns, lots)
        if self._pay_funding(scene, due, lots):
            self._attend_last(scene)

    def charge_fee(self, scene: Scene) -> None:
        """An alarm: the management fee is due."""
        self.keep_high_water(scene)
        self._pay_fee(scene)
        self._attend_last(scene)

    def request(self, scene: Scene, request: Request | CancellationRequest) -> None:
        """A user asks for units, gives some back, or takes back what he asked."""
        self._take(scene, request)
        self._arm(scene)

    # What the venue does ------------------------------------------------------------------------

    def top_up(self, scene: Scene) -> None:
        """A top-up that is due at this very instant counts before the venue liquidates."""
        self.keep_high_water(scene)
        self._top_up(scene)

    def freeze(self, scene: Scene) -> None:
        """Withdrawals are frozen from now on, or no more."""
        self.desk.treasury.freeze(scene)
        self.next = replace(self.next, fill_ns=self.desk.next_arrival_ns())

    # What the operator says ---------------------------------------------------------------------

    def obey(self, scene: Scene, command: ProductCommand) -> str | None:
        """Do what a command says; why not, where it is refused."""
        if isinstance(command, PauseProduct):
            return self._pause(scene)
        if isinstance(command, ResumeProduct):
            return self._unpause(scene)
        if isinstance(command, GateCreations):
            return self._gate(scene, command.closed)
        if isinstance(command, SplitUnits):
            refusal = self._unable(None)
            refusal = refusal or self._split(scene, command.new, command.old, "operator")
            if refusal is None:
                self._arm(scene)
            return refusal
        return self._force(scene, command.target)

    def _pause(self, scene: Scene) -> str | None:
        if refusal := self._unable("paused" if self.state.paused else None):
            return refusal
        self.state.paused = True
        self._arm(scene)
        return None

    def _unpause(self, scene: Scene) -> str | None:
        """The policies are asked now: what they missed is theirs to make up for."""
        if refusal := self._unable(None if self.state.paused else "not_paused"):
            return refusal
        self.state.paused = False
        self.attend(scene)
        return None

    def _gate(self, scene: Scene, closed: bool) -> str | None:
        gated = self.state.gated
        if refusal := self._unable(None if closed != gated else GATED[gated]):
            return refusal
        self.state.gated = closed
        self.reprice(scene)
        return None

    def _force(self, scene: Scene, target: float) -> str | None:
        refusal = "halted" if scene.halted else "stale" if scene.stale else None
        refusal = self._unable(refusal)
        if refusal is None and self._unpriced:
            refusal = "stale"
        price = self.account.at(scene.mark)
        if refusal is None and self.account.intercept + self.account.slope * price <= 0.0:
            refusal = "nav_not_positive"
        if refusal is None and abs(target) > self.spec.limit:
            refusal = "out_of_limits"
        if refusal is None:
            decision = SetLeverage(target, "forced by the operator")
            refusal = self._act(scene, decision, self._view(scene))
            self._arm(scene)
        return refusal

    def _unable(self, refusal: str | None) -> str | None:
        """A product takes commands while it lives."""
        status = self.state.status
        if status == ACTIVE:
            return refusal
        return "not_launched" if status == PENDING else "closed"

    # Watches ------------------------------------------------------------------------------------

    def _arm(self, scene: Scene, view: View | None = None) -> None:
        """State when we next care, from how things stand now; ``view``: of it, where there is
        one."""
        queue, state, orders = self.dealing.queue, self.state, self.dealing.orders
        if queue or orders:
            self._serve_queue(scene)
            view = None
        if state.status == ACTIVE:
            low, high, alarm = self._watches(scene, view)
            fee = state.fee_ns
            if orders:
                below, above = self._levels()
                low, high = max(low, below), min(high, above)
            if queue and queue[0].due_ns > scene.due_ns:
                alarm = min(alarm, queue[0].due_ns)
            if state.split_ns < alarm:
                alarm = state.split_ns
        else:
            low, high = AT_ONCE if state.status == PENDING else OUT_OF_REACH
            alarm = fee = NEVER_NS
        if self.spec.terms.secondary is not None:
            alarm = min(alarm, self.reprice(scene))
        self.edges = (low, high)
        self.next = self._due(alarm, fee)

    def _look_again(self, scene: Scene, plan: Order | None) -> None:
        """A plan met the book: policies are asked, last of this instant; where they were, and its
        rest is given up, at the next price, or they would decide the same without end."""
        if plan is not None and plan.once and plan.decided_ns == scene.ts_ns:
            self._arm(scene)
        else:
            self._attend_last(scene)

    def _attend_last(self, scene: Scene) -> None:
        """At one instant policies come last: what else is due, fees say, is booked before they size
        a trade."""
        fee = self.state.fee_ns if self.state.status == ACTIVE else NEVER_NS
        self.next = self._due(scene.due_ns, fee)
