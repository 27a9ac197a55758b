"""What users ask of one product: taken or refused, dealt at once or when it is time.

A request that is taken outside a window, for a batch or during a rebalance waits in a queue, and is
looked at once more when its time has come: what was possible when it came may be so no more. Who is
due first is first: a level that NAV has reached waits for no batch of later.
"""

from __future__ import annotations

from typing import Final

from engine.asking import Asking
from engine.events import CancellationRequest, CreationRequest, LevelReached, RedemptionRequest
from engine.handler_state import ACTIVE, CLOSED, CLOSING, PENDING
from engine.orders import Scene
from engine.refusing import Request
from engine.units import UNIT_STEPS
from engine.watch import NEVER, drawn_in

__all__ = ["Serving"]

_CLOSED_TO_NEW: Final = ("futures", "margin_loan")
"""Who opened at another price has another entry: no pool of his would be the same."""


class Serving(Asking):
    """One product's requests."""

    __slots__ = ()

    def _take(self, scene: Scene, request: Request | CancellationRequest) -> None:
        """A request comes: refuse it, let it wait, or deal it."""
        self.keep_high_water(scene)
        if isinstance(request, CancellationRequest):
            self.dealing.cancel(scene, request)
            self.traded = self.state.status != PENDING
            return
        refusal = self._refusal(scene, request)
        if isinstance(request, RedemptionRequest) and request.level is not None:
            closed = self.state.status == CLOSED
            self.dealing.order(scene, request, refusal or ("closed" if closed else None))
            self.traded = self.state.status != PENDING
            return
        refusal = refusal or self._rebalancing()
        wait, due_ns = self._wait(scene.ts_ns)
        if wait == "window" and self.spec.terms.offering_at(scene.ts_ns).outside == "refuse":
            refusal = refusal or "outside_window"
        self.dealing.ask(scene, request, refusal, wait, due_ns)
        self.traded = self.state.status != PENDING

    def _refusal(self, scene: Scene, request: Request) -> str | None:
        status, creates = self.state.status, isinstance(request, CreationRequest)
        if self.dealing.is_countless(request):
            return "too_large"
        if status == PENDING:
            return "not_launched"
        if status == CLOSING or (status == CLOSED and creates):
            return "closed"
        if self.state.paused and status != CLOSED:
            return "paused"
        if creates and (self._quoted or self.spec.kind in _CLOSED_TO_NEW):
            return "not_offered"
        if self.state.gated and creates:
            return "gated"
        if scene.stale:
            return "halted" if scene.halted else "stale"
        if self._unpriced and status != CLOSED:
            return "stale"
        if self.account.units <= 0 or (self.account.nav(scene.mark) <= 0 and status != CLOSED):
            return "nav_not_positive"
        return None

    def _rebalancing(self) -> str | None:
        """Why a request is not taken while a plan is under way."""
        refuses = self.spec.terms.while_rebalancing == "refuse"
        return "rebalancing" if refuses and self.desk.state.plan is not None else None

    def _wait(self, ts_ns: int) -> tuple[str | None, int]:
        """Why a request that comes now is not dealt at once, and until when at least it waits."""
        offering = self.spec.terms.offering_at(ts_ns)
        rebalances = self.desk.state.plan is not None
        if self.state.status != ACTIVE:
            return "rebalancing" if rebalances else None, ts_ns
        taken_ns = offering.taken_ns(ts_ns)
        due_ns = offering.dealt_ns(taken_ns)
        if taken_ns > ts_ns:
            return "window", due_ns
        if due_ns > ts_ns:
            return "batch", due_ns
        return "rebalancing" if rebalances else None, ts_ns

    def _serve_queue(self, scene: Scene) -> None:
        """Deal what is due, in the order in which it fell due; a rebalance comes first."""
        queue, state = self.dealing.queue, self.state
        while state.status == ACTIVE:
            self._reach(scene)
            waits = not queue or queue[0].due_ns > scene.due_ns
            if waits or self.desk.state.plan is not None:
                return
            request = queue.pop(0).request
            self.dealing.serve(scene, request, self._refusal(scene, request))
            self.traded = True

    def _reach(self, scene: Scene) -> None:
        """Redemptions whose level NAV has reached are due now, the oldest first."""
        dealing, account = self.dealing, self.account
        if not dealing.orders or self.state.paused or not account.units:
            return
        nav = account.intercept + account.slope * account.at(scene.mark)
        per_unit = nav * self._quote * UNIT_STEPS / account.units
        for request in [each for each in dealing.orders if _reached(each, per_unit)]:
            dealing.orders.remove(request)
            dealing.wait(request, scene.due_ns)
            scene.tape.say(
                LevelReached,
                product=request.product,
                user=request.user,
                id=request.id,
                level=request.level,
                nav_per_unit=per_unit,
                mark_price=scene.mark,
            )

    def _levels(self) -> tuple[float, float]:
        """Between which prices no redemption reaches its level: NAV is a straight line."""
        low, high, account = NEVER.low, NEVER.high, self.account
        if not account.slope or self.state.paused:
            return low, high
        for request in self.dealing.orders:
            assert request.level is not None
            nav = request.level * account.units / UNIT_STEPS / self._quote
            price = (nav - account.intercept) / account.slope
            if (request.at_or_below is not None) == (account.slope > 0.0):
                low = max(low, price)
            else:
                high = min(high, price)
        return drawn_in(low, high)


def _reached(request: RedemptionRequest, per_unit: float) -> bool:
    if request.at_or_below is not None:
        return per_unit <= request.at_or_below
    return request.at_or_above is not None and per_unit >= request.at_or_above
