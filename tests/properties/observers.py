"""Policies that only tests need: one that lives on the high-water mark, one that breaks, one that
only looks."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.plans import NOW, Plan
from engine.policy import Decision, Deleverage, SetLeverage, View
from engine.units import SECOND_NS
from engine.watch import Watch

__all__ = ["Fallible", "Hasty", "Looker", "Ratchet"]


class Review(Struct, frozen=True):
    """The next point of a grid, and how many there were."""

    next_ns: int = 0
    count: int = 0


class Reviewer(Struct, frozen=True):
    """Asked on a grid of ``every_s`` seconds; subclasses say what they want then."""

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    every_s: int = 7

    def initial_state(self) -> Review:
        return Review()

    def watch(self, view: View, state: Review) -> Watch:
        return Watch(alarm_ns=state.next_ns or self._after(view.due_ns))

    def decide(self, view: View, state: Review) -> tuple[Decision | None, Review]:
        if view.due_ns < state.next_ns:
            return None, state
        reviewed = Review(self._after(view.due_ns), state.count + 1)
        return self.want(view, reviewed.count), reviewed

    def want(self, view: View, count: int) -> Decision | None:
        return None

    def _after(self, ts_ns: int) -> int:
        every = self.every_s * SECOND_NS
        return (ts_ns // every + 1) * every


class Ratchet(Reviewer, frozen=True):
    """Says in its reason how high the product stood, to the last bit."""

    uses_high_water: ClassVar[bool] = True

    def want(self, view: View, count: int) -> Decision | None:
        position = view.position
        high = f"high water {position.high_water_mark!r}, below it {position.drawdown!r}"
        return SetLeverage(2.0 + 0.5 * (count % 2), high)


class Hasty(Reviewer, frozen=True):
    """Up by its own plan, down in a hurry by the same: a deleveraging that takes its time."""

    plan: Plan = NOW

    def want(self, view: View, count: int) -> Decision | None:
        if count % 3 == 2:
            return Deleverage(1.5, "less", self.plan)
        return SetLeverage(2.0 + count % 2, "other", self.plan)


class Fallible(Reviewer, frozen=True):
    """Answers what is no leverage, or raises, when asked for the third time."""

    answer: float | None = None

    def want(self, view: View, count: int) -> Decision | None:
        if count == 3 and self.answer is None:
            raise ArithmeticError("lost my way")
        return SetLeverage(self.answer if count == 3 and self.answer else 1.0 + count % 2, "review")


class Looker(Reviewer, frozen=True):
    """Looks at everything and wants nothing."""

    uses_signals: ClassVar[bool] = True
    uses_high_water: ClassVar[bool] = True
    de_risking: ClassVar[bool] = True

    def watch(self, view: View, state: Review) -> Watch:
        mark = view.market.mark
        edges = Watch(mark * (1.0 - 1e-4), mark * (1.0 + 1e-4))
        return edges & Watch(alarm_ns=state.next_ns or self._after(view.due_ns))


NOT_A_LEVERAGE = math.nan
