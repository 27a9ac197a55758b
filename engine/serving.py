"""What users ask of one product: taken or refused, dealt at once or when it is time.

A request that is taken outside a window, for a batch or during a rebalance waits in a queue, and is
looked at once more when its time has come: what was possible when it came may be so no more.
"""

from __future__ import annotations

from typing import Final

from engine.asking import Asking
from engine.events import CreationRequest
from engine.handler_state import ACTIVE, CLOSED, CLOSING, PENDING
from engine.orders import Scene
from engine.refusing import Request

__all__ = ["Serving"]

_CLOSED_TO_NEW: Final = ("futures", "margin_loan")
"""Who opened at another price has another entry: no pool of his would be the same."""


class Serving(Asking):
    """One product's requests."""

    __slots__ = ()

    def _take(self, scene: Scene, request: Request) -> None:
        """A request comes: refuse it, let it wait, or deal it."""
        self.keep_high_water(scene)
        refusal = self._refusal(scene, request) or self._rebalancing()
        wait, due_ns = self._wait(scene.ts_ns)
        if wait == "window" and self.spec.terms.offering.outside == "refuse":
            refusal = refusal or "outside_window"
        self.dealing.ask(scene, request, refusal, wait, due_ns)
        self.traded = self.state.status != PENDING

    def _refusal(self, scene: Scene, request: Request) -> str | None:
        status, creates = self.state.status, isinstance(request, CreationRequest)
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
        if self.account.units <= 0 or (self.account.nav(scene.mark) <= 0 and status != CLOSED):
            return "nav_not_positive"
        return None

    def _rebalancing(self) -> str | None:
        """Why a request is not taken while a plan is under way."""
        refuses = self.spec.terms.while_rebalancing == "refuse"
        return "rebalancing" if refuses and self.desk.state.plan is not None else None

    def _wait(self, ts_ns: int) -> tuple[str | None, int]:
        """Why a request that comes now is not dealt at once, and until when at least it waits."""
        offering, rebalances = self.spec.terms.offering, self.desk.state.plan is not None
        if self.state.status != ACTIVE:
            return "rebalancing" if rebalances else None, 0
        taken_ns = offering.taken_ns(ts_ns)
        due_ns = offering.dealt_ns(taken_ns)
        if taken_ns > ts_ns:
            return "window", due_ns
        if due_ns > ts_ns:
            return "batch", due_ns
        return "rebalancing" if rebalances else None, 0

    def _serve_queue(self, scene: Scene) -> None:
        """Deal what is due, in the order in which it came; a rebalance comes first."""
        queue = self.dealing.queue
        while (
            queue
            and queue[0].due_ns <= scene.due_ns
            and self.desk.state.plan is None
            and self.state.status == ACTIVE
        ):
            request = queue.pop(0).request
            self.dealing.serve(scene, request, self._refusal(scene, request))
            self.traded = True
