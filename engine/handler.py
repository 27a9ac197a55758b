"""One product: it is woken, asks its policies, has them carried out, and says when it next cares.

Order at a wake: bankruptcy before any policy; then the policies, of whose decisions ``Close`` beats
``Deleverage`` beats ``SetLeverage``, then the listed order. While a plan is under way only
de-risking policies are asked, and only a decision that reduces further replaces it.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

from engine.account import Account
from engine.dealing import Dealing
from engine.events import CreationRequest, PolicyFaulted, RedemptionRequest
from engine.execution import Scene
from engine.hedging import ACTIVE, CLOSED, CLOSING, PENDING, HandlerState, Hedging
from engine.policy import (
    Close,
    Decision,
    Deleverage,
    Policy,
    PolicyAnswerError,
    PositionView,
    SetLeverage,
    View,
)
from engine.product import bankruptcy_price
from engine.units import NEVER_NS, UNIT_STEPS, asset_decimals
from engine.watch import ALWAYS, NEVER, drawn_in

__all__ = ["Handler", "Next"]

_NUMBERS: Final = (float, int)
_RANK: Final = {Close: 0, Deleverage: 1, SetLeverage: 2}


class Next(Struct, frozen=True, gc=False):
    """When a handler must be woken: at two prices, and at times of three kinds."""

    low: float
    high: float
    policy_ns: int
    fill_ns: int
    fee_ns: int


class Handler(Hedging):
    """Looks after one product."""

    __slots__ = ("_quote", "next", "number", "policies", "uses_high_water", "uses_signals")

    def __init__(
        self, number: int, account: Account, policies: tuple[Policy, ...], dealing: Dealing
    ) -> None:
        remembered = [policy.initial_state() for policy in policies]
        state = HandlerState(policies=remembered, faulted=[False] * len(policies))
        super().__init__(account, dealing, state)
        self.number = number
        self.policies = policies
        self.uses_signals = any(p.uses_signals for p in policies)
        """Whether the market must keep signals for this product."""
        self.uses_high_water = any(p.uses_high_water for p in policies)
        """Whether the market must keep price extremes for this product."""
        self._quote = 1.0 / 10 ** asset_decimals(account.contract.quote_asset)
        self.next = Next(ALWAYS.low, ALWAYS.high, NEVER_NS, NEVER_NS, NEVER_NS)

    def attend(self, scene: Scene) -> bool:
        """A price or an alarm woke us: look, act, and state the next watch.

        Returns:
            Whether there was anything to say or to remember; an empty wake leaves no trace.
        """
        state, tape = self.state, scene.tape
        before, changed = tape.ordinal, False
        if state.status == PENDING:
            self._launch(scene)
        if state.status == ACTIVE:
            changed = self._decide(scene)
        self._arm(scene)
        return changed or tape.ordinal != before

    def _decide(self, scene: Scene) -> bool:
        account = self.account
        if account.intercept + account.slope * scene.mark <= 0.0:
            self._close(scene, "nav_not_positive")
            return True
        view = self._view(scene)
        decision, changed = self._ask(scene, view)
        if decision is not None:
            self._act(scene, decision, view)
        return changed

    def _view(self, scene: Scene) -> View:
        account, state, quote = self.account, self.state, self._quote
        kept = account.state
        exposure = account.slope * scene.mark
        nav = account.intercept + exposure
        drawdown = self._drawdown(scene, nav) if self.uses_high_water else 0.0
        position = PositionView(
            nav * quote,
            exposure * quote,
            exposure / nav if nav > 0.0 else 0.0,
            kept.target,
            kept.first_mark,
            state.high_water,
            drawdown,
            scene.ts_ns - state.launched_ns,
            state.last_rebalance_ns,
        )
        return View(scene.view(self.uses_signals), position, scene.due_ns)

    def _drawdown(self, scene: Scene, nav: float) -> float:
        """Of ``nav`` per unit from the high-water mark, which is brought up to date."""
        self._watch_high_water(scene)
        units, high_water = self.account.units, self.state.high_water
        per_unit = nav * self._quote * UNIT_STEPS / units if units else 0.0
        return per_unit / high_water - 1.0 if 0.0 < per_unit < high_water else 0.0

    def _keep_high_water(self, scene: Scene) -> None:
        """The line is about to change: what was reached on the old one counts."""
        if self.uses_high_water and self.state.status == ACTIVE:
            self._watch_high_water(scene)

    def _watch_high_water(self, scene: Scene) -> None:
        """Between wakes NAV was on one line, so its highest was at an extreme of the price."""
        account = self.account
        low, high = scene.extremes(self.number)
        best = account.intercept + account.slope * (high if account.slope > 0.0 else low)
        if account.units:
            per_unit = best * self._quote * UNIT_STEPS / account.units
            self.state.high_water = max(self.state.high_water, per_unit)

    def _ask(self, scene: Scene, view: View) -> tuple[Decision | None, bool]:
        """The decision that comes first, and whether any policy had something to remember."""
        state, best, changed = self.state, None, False
        if not state.opened and self.spec.kind == "spot":
            return SetLeverage(1.0, "spot purchase"), True
        planned = self.desk.state.plan is not None
        for place, policy in enumerate(self.policies):
            known = state.policies[place]
            if state.faulted[place] or (planned and not policy.de_risking):
                continue
            try:
                decision, remembered = policy.decide(view, known)
                if decision is not None:
                    self._check(decision)
            except Exception as error:  # noqa: BLE001  # a user's policy may raise anything
                self._fault(scene, place, error)
                continue
            if remembered is not known:
                state.policies[place] = remembered
                changed = True
            if decision is not None and (best is None or _RANK[type(decision)] < _RANK[type(best)]):
                best = decision
        return best, changed

    def _check(self, decision: Decision) -> None:
        if isinstance(decision, Close):
            return
        target, limit = decision.target, self.spec.limit
        if type(target) not in _NUMBERS or not math.isfinite(target):
            raise PolicyAnswerError(f"answered {target!r}; it must be a finite leverage")
        if abs(target) > limit:
            raise PolicyAnswerError(
                f"answered {target}, outside the product's limits [-{limit:g}, {limit:g}]"
            )

    def _fault(self, scene: Scene, place: int, error: Exception) -> None:
        self.state.faulted[place] = True
        told = isinstance(error, PolicyAnswerError)
        what = str(error) if told else f"{type(error).__name__}: {error}"
        scene.tape.say(
            PolicyFaulted,
            product=self.spec.id,
            policy=getattr(self.policies[place], "name", type(self.policies[place]).__name__),
            error=what,
            safe_mode="hold",
        )

    def fill(self, scene: Scene) -> None:
        """An alarm: orders that are due meet the book."""
        self._keep_high_water(scene)
        self._fill(scene)
        self._attend_last(scene)

    def settle_funding(self, scene: Scene, rate: float) -> None:
        """Funding at its instant, on the position held."""
        self._keep_high_water(scene)
        if self._pay_funding(scene, rate):
            self._attend_last(scene)

    def charge_fee(self, scene: Scene) -> None:
        """An alarm: the management fee is due."""
        self._keep_high_water(scene)
        self._pay_fee(scene)
        self._attend_last(scene)

    def request(self, scene: Scene, request: CreationRequest | RedemptionRequest) -> None:
        """A user asks for units or gives some back."""
        self._keep_high_water(scene)
        self.dealing.ask(scene, request, self._refusal(scene, request), self._wait())
        self.traded = self.state.status != PENDING
        self._arm(scene)

    def _refusal(self, scene: Scene, request: CreationRequest | RedemptionRequest) -> str | None:
        status = self.state.status
        if status == PENDING:
            return "not_launched"
        if status == CLOSING or (status == CLOSED and isinstance(request, CreationRequest)):
            return "closed"
        if scene.stale:
            return "stale"
        if self.account.units <= 0 or (self.account.nav(scene.mark) <= 0 and status != CLOSED):
            return "nav_not_positive"
        if self._wait() and self.spec.terms.while_rebalancing == "refuse":
            return "rebalancing"
        return None

    def _wait(self) -> str | None:
        return "rebalancing" if self.desk.state.plan is not None else None

    def _serve_queue(self, scene: Scene) -> None:
        queue = self.dealing.queue
        while queue and self.desk.state.plan is None and self.state.status == ACTIVE:
            request = queue.pop(0)
            self.dealing.ask(scene, request, self._refusal(scene, request), None)
            self.traded = True

    def _arm(self, scene: Scene) -> None:
        """State when we next care, from how things stand now."""
        if self.dealing.queue:
            self._serve_queue(scene)
        state = self.state
        low, high, alarm, fee = -math.inf, math.inf, NEVER_NS, NEVER_NS
        if state.status == ACTIVE:
            low, high, alarm = self._watches(scene)
            fee = state.fee_ns
        elif state.status == PENDING:
            low, high = ALWAYS.low, ALWAYS.high
        self.edges = (low, high)
        self.next = Next(low, high, alarm, self.desk.next_arrival_ns(), fee)

    def _attend_last(self, scene: Scene) -> None:
        """At one instant policies come last: what else is due, fees say, is booked before they size
        a trade."""
        fee = self.state.fee_ns if self.state.status == ACTIVE else NEVER_NS
        low, high = self.edges
        self.next = Next(low, high, scene.due_ns, self.desk.next_arrival_ns(), fee)

    def _watches(self, scene: Scene) -> tuple[float, float, int]:
        low, high = self._ruin(scene.mark)
        if low > high:
            return low, high, NEVER_NS
        view, alarm, due_ns = self._view(scene), NEVER_NS, scene.due_ns
        state, planned = self.state, self.desk.state.plan is not None
        for place, policy in enumerate(self.policies):
            if state.faulted[place] or (planned and not policy.de_risking):
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
            low = watch.low if watch.low > low else low
            high = watch.high if watch.high < high else high
            alarm = watch.alarm_ns if watch.alarm_ns < alarm else alarm
        return low, high, alarm

    def _ruin(self, mark: float) -> tuple[float, float]:
        """Between which marks NAV is positive; at once where it is not so now."""
        intercept, slope = self.account.intercept, self.account.slope
        if intercept + slope * mark <= 0.0:
            return ALWAYS.low, ALWAYS.high
        ruin = bankruptcy_price(intercept, slope) if slope else 0.0
        if ruin <= 0.0:
            return NEVER.low, NEVER.high
        return drawn_in(ruin, NEVER.high) if slope > 0.0 else drawn_in(NEVER.low, ruin)
