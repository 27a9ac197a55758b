"""Which sides of a product's primary market are shut, and why."""

from __future__ import annotations

from engine.handler_state import ACTIVE, PENDING
from engine.orders import Scene
from engine.second_market import CLOSED
from engine.splitting import Splitting
from engine.units import NEVER_NS

__all__ = ["Shutting"]


class Shutting(Splitting):
    """One product's creations and redemptions, as those see them who trade its units."""

    __slots__ = ()

    def reprice(self, scene: Scene) -> int:
        """Something may have shut or opened a side; when the next instant of the terms may."""
        if self.spec.terms.secondary is None or self.state.status == PENDING:
            return NEVER_NS
        active = self.state.status == ACTIVE
        self.dealing.reprice(scene, self._shut(scene) if active else CLOSED)
        return self.spec.terms.next_offering_ns(scene.due_ns) if active else NEVER_NS

    def _shut(self, scene: Scene) -> tuple[str, str]:
        """Why nothing is created, and why nothing is redeemed; empty where it is."""
        state, due_ns = self.state, scene.due_ns
        both = ""
        if state.paused:
            both = "paused"
        elif scene.stale:
            both = "halted" if scene.halted else "stale"
        elif self.desk.state.plan is not None:
            both = "rebalancing"
        elif self.spec.terms.offering_at(due_ns).taken_ns(due_ns) > due_ns:
            both = "outside_window"
        return "gated" if state.gated else both, both
