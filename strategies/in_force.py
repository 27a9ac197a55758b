"""Rules that hold for a time: a policy between two instants, and a trade at one of them.

Who binds a rule pack wraps its policies so; no configuration names them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from engine.policy import Decision, Policy, SetLeverage, View
from engine.units import NEVER_NS
from engine.watch import NEVER, Watch

__all__ = ["InForce", "StartOver", "Started"]


class InForce(Struct, frozen=True):
    """``policy`` from ``from_ns`` on and before ``until_ns``; at other times it wants nothing. It
    begins without a memory of what was before."""

    policy: Policy
    from_ns: int = 0
    until_ns: int = NEVER_NS

    @property
    def uses_signals(self) -> bool:
        return self.policy.uses_signals

    @property
    def uses_high_water(self) -> bool:
        return self.policy.uses_high_water

    @property
    def de_risking(self) -> bool:
        return self.policy.de_risking

    def initial_state(self) -> Any:
        return self.policy.initial_state()

    def watch(self, view: View, state: Any) -> Watch:
        if view.due_ns < self.from_ns:
            return Watch(alarm_ns=self.from_ns)
        return self.policy.watch(view, state) if view.due_ns < self.until_ns else NEVER

    def decide(self, view: View, state: Any) -> tuple[Decision | None, Any]:
        if not self.from_ns <= view.due_ns < self.until_ns:
            return None, state
        return self.policy.decide(view, state)


class Started(Struct, frozen=True):
    """Whether it was done."""

    done: bool = False


class StartOver(Struct, frozen=True):
    """One trade to ``target`` at ``at_ns``, where new rules begin; none for a product that is
    launched later."""

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    target: float
    at_ns: int

    def initial_state(self) -> Started:
        return Started()

    def watch(self, view: View, state: Started) -> Watch:
        return NEVER if state.done or view.due_ns >= self.at_ns else Watch(alarm_ns=self.at_ns)

    def decide(self, view: View, state: Started) -> tuple[Decision | None, Started]:
        if state.done or view.due_ns < self.at_ns:
            return None, state
        if not view.position.target:
            return None, Started(done=True)
        return SetLeverage(self.target, "new rules in force"), Started(done=True)
