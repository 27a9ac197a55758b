"""From a decision to contracts: orders that take time, meet a book, and may come back half filled.

A decision is fixed in lots when it is taken. Its order leaves at once and reaches the book after
the latency, at the price of then; what the book cannot take is sent again after a pause. One
rebalance is under way at a time; the hedges of creations and redemptions travel beside it.

An order with a limit takes what its price allows and waits for the rest in the queue of that price,
where the market finds out when it is filled; when its time is up it goes on at market. An order
with a course trades turn by turn.
"""

from __future__ import annotations

import math
from typing import Final

from engine.admission import limit_price, meet_venue
from engine.booking import Booking
from engine.courses import begin, turn
from engine.events import (
    CreationRequest,
    OrderRested,
    OrderSent,
    RedemptionRequest,
)
from engine.orders import Order, Scene
from engine.plans import NOW, LimitThenMarket, Now, Plan
from engine.units import SECOND_NS, total
from engine.venue.queue import Resting

__all__ = ["Desk"]

_PATIENT: Final = ("opening", "rebalance")
"""Purposes whose orders follow the product's own plan."""


class Desk(Booking):
    """Sends one product's orders and books their fills."""

    __slots__ = ()

    def order(
        self,
        scene: Scene,
        purpose: str,
        lots: int,
        target: float = 0.0,
        reason: str = "",
        leverage_before: float = 0.0,
        request: CreationRequest | RedemptionRequest | None = None,
        plan: Plan | None = None,
    ) -> Order:
        """A new order, sent now; it is for the caller to let it arrive when it is due."""
        state, ts_ns = self.state, scene.ts_ns
        order = Order(
            state.sent,
            purpose,
            lots,
            lots,
            ts_ns,
            ts_ns + self.latency_ns + scene.delay_ns,
            target,
            reason,
            leverage_before,
            request=request,
            how=plan,
        )
        state.sent += 1
        if plan is not None or self.own_plan is not NOW:
            self._follow(scene, order, self.plan_of(purpose, plan))
        tape = scene.tape
        tape.add(
            OrderSent(
                sequence=tape.sequence,
                ordinal=tape.ordinal,
                ts_ns=tape.ts_ns,
                product=self.product,
                order=order.number,
                lots=lots,
                purpose=purpose,
                arrives_ns=order.arrives_ns,
                mark_price=scene.mark,
            )
        )
        return order

    def plan_of(self, purpose: str, named: Plan | None) -> Plan:
        """How a decision is carried out: by the plan that it names, or the product's own."""
        if named is not None:
            return named
        return self.own_plan if purpose in _PATIENT else NOW

    def _follow(self, scene: Scene, order: Order, plan: Plan) -> None:
        if isinstance(plan, LimitThenMarket):
            self._limit(scene, order, plan)
        elif not isinstance(plan, Now):
            begin(scene, self.account, order, plan)
        elif plan.slippage_bps and not self.account.formula:
            side = 1 if order.lots > 0 else -1
            price = scene.top().mid * (1.0 + side * plan.slippage_bps * 1e-4)
            order.kind, order.limit = (
                "limit",
                limit_price(scene, self.account.contract, price, side),
            )
            order.once = True

    def arrive(self, scene: Scene, order: Order) -> int:
        """Let an order meet the book now; the lots that were filled. What is left has a new
        ``arrives_ns``, waits in a queue (``resting``) or for the market to be fresh again
        (``held``)."""
        if (
            order.kind == "limit"
            and order.expires_ns <= scene.ts_ns
            and not self._expire(scene, order)
        ):
            return 0
        if scene.stale:
            self._wait(scene, order)
            return 0
        if order.course is not None:
            return self._take_turn(scene, order)
        if order.limited:
            self.resize(scene, order)
        filled, reason, held = 0, "", self.account.lots
        lots = self.bounded(order, held, scene.mark)
        if lots and order.request is None and scene.listing is not None:
            reason = self.over_limit(scene, order, lots, held)
        if lots and not reason:
            top = scene.top()
            contract = self.account.contract
            fills, reason = meet_venue(scene, contract, order, lots, held, top, self.place)
            for part, price in fills:
                self.book(scene, order, part, price, top.mid)
                filled += part
        left = order.left = lots - filled
        if left:
            if order.kind == "limit" and reason == "limit" and order.time_in_force == "gtc":
                self._rest(scene, order)
            else:
                self.retry(scene, order, reason)
        return filled

    def _take_turn(self, scene: Scene, order: Order) -> int:
        """One turn of an order that is carried out in several."""
        account, top = self.account, scene.top()
        now = turn(scene, account, order)
        if now is None:
            self._end(scene, order)
            return 0
        held = account.lots
        left = self.bounded(order, held, scene.mark)
        lots = min(now.lots, left) if left > 0 else max(now.lots, left)
        fills: list[tuple[int, float]] = []
        reason = self.over_limit(scene, order, lots, held) if lots else ""
        if lots and not reason and now.price is not None:
            fills = [(lots, now.price)]
        elif lots and not reason:
            contract = account.contract
            fills, reason = meet_venue(scene, contract, order, lots, held, top, self.place)
        for part, price in fills:
            self.book(scene, order, part, price, top.mid)
        filled = total(part for part, _ in fills)
        order.left = left - filled
        course = order.course
        if course is not None and lots:
            course.owed_lots = abs(lots) if reason == "too_small" and lots != left else 0
        if reason:
            self.retry(scene, order, reason)
        elif now.price is not None and order.left:
            self._end(scene, order)
        return filled

    # Orders that wait ---------------------------------------------------------------------------

    def _limit(self, scene: Scene, order: Order, plan: LimitThenMarket) -> None:
        """An order of a product that need not hurry: on our own side of mid, for some time."""
        side = 1 if order.lots > 0 else -1
        price = scene.top().mid * (1.0 - side * plan.offset_bps * 1e-4)
        order.kind, order.limit = "limit", limit_price(scene, self.account.contract, price, side)
        order.time_in_force, order.post_only = plan.time_in_force, plan.post_only
        order.expires_ns = order.arrives_ns + round(plan.timeout_s * SECOND_NS)

    def _rest(self, scene: Scene, order: Order) -> None:
        side, price = 1 if order.left > 0 else -1, order.limit
        assert price is not None
        ahead = scene.ahead(side, price)
        order.resting = Resting(side, price, abs(order.left), ahead, ahead, 0.0, scene.ts_ns)
        order.arrives_ns = order.expires_ns
        scene.rest(self.place, order)
        scene.tape.say(
            OrderRested,
            product=self.product,
            order=order.number,
            lots=order.left,
            price=price,
            ahead_lots=None if ahead == math.inf else ahead,
            expires_ns=order.expires_ns,
        )

    def strike(self, scene: Scene, order: Order, lots: int) -> None:
        """Somebody took so many lots of an order that rests: at its limit, and no more than may be
        traded; the rest of one that may trade no more is cancelled."""
        side, may = (
            1 if order.left > 0 else -1,
            abs(self.bounded(order, self.account.lots, scene.mark)),
        )
        filled, price = side * min(lots, may), order.limit
        assert price is not None
        if filled:
            self.book(scene, order, filled, price, scene.top().mid, maker=True)
        order.left -= filled
        if lots >= may and order.left:
            self.cancel(scene, order, "reduce_only")
            order.left = 0
        elif not order.left:
            scene.leave(order)
            order.resting = None

    def cancel(self, scene: Scene, order: Order, reason: str) -> None:
        """An order that rests waits no more; others are as they were."""
        if order.resting is None:
            return
        scene.leave(order)
        order.resting = None
        self._say_cancelled(scene, order, reason)

    def _expire(self, scene: Scene, order: Order) -> bool:
        """The time of a limit order is up: it is a market order now. Whether that meets the book at
        once; else it is on its way."""
        rested = order.resting is not None
        self.cancel(scene, order, "expired")
        order.kind, order.limit = "market", None
        latency_ns = self.latency_ns + scene.delay_ns
        if not rested or not latency_ns:
            return True
        order.arrives_ns = scene.ts_ns + latency_ns
        return False
