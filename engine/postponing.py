"""Decisions that trade nothing: warnings, and what the venue would not take, which is remembered,
said once, and taken anew later."""

from __future__ import annotations

from engine.events import DecisionPostponed, ProductWarned
from engine.handler_state import Postponed
from engine.orders import Order, Scene
from engine.policy import View, Warn
from engine.unhedged import Unhedged

__all__ = ["Postponing"]


class Postponing(Unhedged):
    """One product's decisions that wait for nobody, and for whom nobody waits."""

    __slots__ = ()

    def postpone(self, scene: Scene, decision: Postponed, why: str, lots: int) -> None:
        """The venue would not take it: it is remembered, and said if it is new."""
        if decision != self.state.postponed:
            self.state.postponed = decision
            scene.tape.say(
                DecisionPostponed,
                product=self.spec.id,
                target=decision.target,
                reason=decision.reason,
                why=why,
                lots=lots,
                mark_price=scene.mark,
            )

    def warn(self, scene: Scene, warning: Warn, view: View) -> None:
        """A policy has something to say and does nothing."""
        scene.tape.say(
            ProductWarned,
            product=self.spec.id,
            reason=warning.reason,
            leverage=view.position.leverage,
            mark_price=scene.mark,
            nav_atoms=self.account.nav(scene.mark),
        )

    def missed(self, scene: Scene, plan: Order) -> None:
        """The venue would not take a plan's order, or not all of it: its decision stands."""
        self.state.opened = plan.purpose != "opening" or self.account.lots != 0
        deleverages = plan.purpose == "deleverage"
        decision = Postponed(plan.target, plan.reason, deleverages, plan.how)
        self.postpone(scene, decision, plan.missed, plan.lots)
