"""For how long a product's hedge was not what it was meant to be: from each decision to its last
fill, and from what the venue took by force to the decision to buy it back."""

from __future__ import annotations

from engine.execution import Desk
from engine.handler_state import ACTIVE
from engine.orders import Order, Scene
from engine.promising import Promising

__all__ = ["Unhedged"]


class Unhedged(Promising):
    """One product's gaps."""

    __slots__ = ()

    desk: Desk

    def unhedged_ns(self, ts_ns: int) -> int:
        """All of them up to a time, the one that is open included."""
        state, plan, since_ns = self.state, self.desk.state.plan, ts_ns
        if plan is not None:
            since_ns = plan.decided_ns
        elif state.rehedge and state.status == ACTIVE:
            since_ns = state.bare_ns
        return state.unhedged_ns + ts_ns - since_ns

    def bare(self, scene: Scene) -> None:
        """The venue took of the hedge: that is missing until it is bought back."""
        if self.state.status == ACTIVE and not self.state.rehedge:
            self.state.rehedge, self.state.bare_ns = True, scene.ts_ns

    def _covered(self, scene: Scene) -> None:
        """What was missing is decided upon, or nobody wants it any more."""
        if self.state.rehedge:
            self.state.rehedge = False
            self.state.unhedged_ns += scene.ts_ns - self.state.bare_ns

    def _over(self, scene: Scene, plan: Order) -> None:
        """A plan is under way no more; what is missing besides was so in its time."""
        self.state.unhedged_ns += scene.ts_ns - plan.decided_ns
        self.desk.state.plan = None
        if self.state.rehedge:
            self.state.bare_ns = scene.ts_ns
