"""What a product waits for: the prices and times that its policies name, and the ruin of its line;
and a review at which nothing else happens.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec.structs import replace

from engine.account import Account
from engine.dealing import Dealing
from engine.handler_state import ACTIVE, Next
from engine.orders import Scene
from engine.policy import MarketView, Policy, PolicyAnswerError, View
from engine.product import bankruptcy_price
from engine.reference import Reference
from engine.surviving import Surviving
from engine.units import NEVER_NS
from engine.watch import ALWAYS, NEVER, drawn_in

__all__ = ["AT_ONCE", "OUT_OF_REACH", "Reviews"]

AT_ONCE: Final = (ALWAYS.low, ALWAYS.high)
OUT_OF_REACH: Final = (NEVER.low, NEVER.high)


class Reviews(Surviving):
    """The watches of one product."""

    # The line at the last review, and between which prices it is solvent.
    __slots__ = ("_line", "_solvent", "next", "review_ns")

    def __init__(
        self, number: int, account: Account, policies: tuple[Policy, ...], dealing: Dealing
    ) -> None:
        super().__init__(number, account, policies, dealing)
        self.next = Next(ALWAYS.low, ALWAYS.high, NEVER_NS, NEVER_NS, NEVER_NS)
        self._line, self._solvent = (0.0, 0.0), OUT_OF_REACH
        self.review_ns = _grid_of(policies)
        """Grid on which its policies may be asked ahead (see ``review``); 0 where they may not."""

    def follow(self, reference: Reference) -> None:
        super().follow(reference)
        self.next = replace(self.next, index_low=ALWAYS.low, index_high=ALWAYS.high)

    @property
    def rests(self) -> bool:
        """Whether nothing is under way or due but its policies' reviews."""
        state, dealing = self.state, self.dealing
        return (
            state.status == ACTIVE
            and self.desk.state.plan is None
            and not (dealing.queue or dealing.orders or any(state.faulted))
            and not (state.paused or state.safe or state.cut_due or state.rehedge)
            and state.postponed is None
            and state.split_ns == NEVER_NS
            and (state.opened or self.spec.kind == "fund")
            and self.spec.terms.secondary is None
            and not self._quoted
            and self.reference is None
        )

    def review(self, scene: Scene, market: MarketView, due_ns: int) -> bool | None:
        """Ask the policies of a product that ``rests`` at an instant at which nothing else happens.

        Args:
            scene: asked for the extremes of the price alone, where ``uses_high_water``.
            market: as of then.

        Returns:
            Whether any of them had something to remember; ``None`` where one wants something, and
            then nothing was remembered: the product is to be attended.
        """
        state, changed = self.state, False
        line = intercept, slope = self.account.intercept, self.account.slope
        nav = intercept + slope * market.mark
        if nav <= 0.0:
            return None
        if line != self._line:
            self._line, self._solvent = line, self._ruin(market.mark)
        drawdown = self._drawdown(scene, nav) if self.uses_high_water else 0.0
        view = self._beside(market, drawdown, due_ns)
        (low, high), alarm_ns = self._solvent, NEVER_NS
        kept = []
        try:
            for policy, known in zip(self.policies, state.policies, strict=True):
                decision, remembered = policy.decide(view, known)
                if decision is not None:
                    return None
                changed = changed or remembered is not known
                kept.append(remembered)
                watch = policy.watch(view, remembered)
                if watch.low > low:
                    low = watch.low
                if watch.high < high:
                    high = watch.high
                if watch.alarm_ns < alarm_ns:
                    alarm_ns = watch.alarm_ns
        except Exception:  # noqa: BLE001  # who is attended is asked again, and it is told then
            return None
        if alarm_ns <= due_ns:
            return None
        state.policies = kept
        self.edges, known_next = (low, high), self.next
        self.next = Next(low, high, alarm_ns, known_next.fill_ns, known_next.fee_ns)
        return changed

    def _watches(self, scene: Scene, view: View | None) -> tuple[float, float, int]:
        state, plan = self.state, self.desk.state.plan
        planned = plan is not None
        low, high = self._ruin(self.account.at(scene.mark))
        if low > high or state.paused:
            return low, high, NEVER_NS
        if (state.rehedge or state.postponed is not None) and not planned:
            low, high = AT_ONCE  # it waits for the market alone
        if view is None:
            view = self._view(scene)
        alarm, due_ns, cautious = NEVER_NS, scene.due_ns, planned or state.safe
        for place, policy in enumerate(self.policies):
            if state.faulted[place] or (cautious and not policy.de_risking):
                continue
            try:
                watch = policy.watch(view, state.policies[place])
                rung = watch.alarm_ns <= due_ns
            except Exception as error:  # noqa: BLE001  # a user's policy may raise anything
                self._fault(scene, place, error)
                continue
            if rung:  # and would ring for ever
                said = f"watch: alarm {watch.alarm_ns} is not after {due_ns}"
                self._fault(scene, place, PolicyAnswerError(said))
                continue
            if watch.low > low:
                low = watch.low
            if watch.high < high:
                high = watch.high
            if watch.alarm_ns < alarm:
                alarm = watch.alarm_ns
        if plan is not None and plan.pauses > 1 and self.reference is None:
            low, high = max(low, plan.between[0]), min(high, plan.between[1])
        if state.cut_due:
            low, high = AT_ONCE
        return low, high, alarm

    def _due(self, policy_ns: int, fee_ns: int) -> Next:
        """When to be woken next, with the edges as they are."""
        low, high = self.edges
        arrival_ns = self.desk.next_arrival_ns()
        if self.reference is None:
            return Next(low, high, policy_ns, arrival_ns, fee_ns)
        least, most = self._marks_of_hedge()
        return Next(least, most, policy_ns, arrival_ns, fee_ns, low, high)

    def _marks_of_hedge(self) -> tuple[float, float]:
        """Between which marks there is nothing to say where NAV follows the index: who waits for
        anything at all is woken at either price, and a refused order waits for the mark."""
        low, high = self.edges
        if low > high:
            return AT_ONCE
        plan = self.desk.state.plan
        return plan.between if plan is not None and plan.pauses > 1 else OUT_OF_REACH

    def _ruin(self, price: float) -> tuple[float, float]:
        """Between which prices NAV is positive; at once where it is not so now."""
        if self._quoted:  # a claim that is worth nothing now may still pay
            return OUT_OF_REACH
        intercept, slope = self.account.intercept, self.account.slope
        if intercept + slope * price <= 0.0:
            return AT_ONCE
        ruin = bankruptcy_price(intercept, slope) if slope else 0.0
        if ruin <= 0.0:
            return OUT_OF_REACH
        return drawn_in(ruin, math.inf) if slope > 0.0 else drawn_in(-math.inf, ruin)


def _grid_of(policies: tuple[Policy, ...]) -> int:
    """The finest grid of policies that one may ask as often as one likes: their answers are
    functions of what they are shown and remember, and nobody counts the questions."""
    if not all(getattr(policy, "is_pure", False) for policy in policies):
        return 0
    grids = [getattr(policy, "review_ns", 0) for policy in policies]
    return min((grid for grid in grids if grid), default=0)
