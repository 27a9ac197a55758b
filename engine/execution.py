"""From a decision to contracts: orders that take time, meet a book, and may come back half filled.

A decision is fixed in lots when it is taken. Its order leaves at once and reaches the book after
the latency, at the price of then; what the book cannot take is sent again after a pause. One
rebalance is under way at a time; the hedges of creations and redemptions travel beside it.

An order with a limit takes what its price allows and waits for the rest in the queue of that price,
where the market finds out when it is filled; when its time is up it goes on at market.
"""

from __future__ import annotations

import math
from typing import Final

from engine.account import Account
from engine.admission import REFUSALS, limit_price, meet_venue
from engine.events import (
    CreationRequest,
    OrderCancelled,
    OrderFilled,
    OrderHeld,
    OrderRejected,
    OrderRested,
    OrderSent,
    OrderUnfilled,
    RedemptionRequest,
)
from engine.orders import DeskState, Order, Scene
from engine.units import MILLISECOND_NS, NEVER_NS
from engine.venue.queue import Resting

__all__ = ["Desk"]

_PATIENT: Final = ("opening", "rebalance")
"""Purposes whose orders may wait for a price."""
TRIES_MAX: Final = 1_000
"""After so many attempts a plan ends with what it has; at the default pause that is a quarter of an
hour. A close has no such end: contracts that are held are somebody's risk until they are gone, and
its next attempt is an alarm."""


class Desk:
    """Sends one product's orders and books their fills."""

    __slots__ = ("account", "latency_ns", "place", "state")

    def __init__(self, account: Account, place: int = 0) -> None:
        self.account = account
        self.place = place
        self.latency_ns = account.spec.hedge.latency_ns
        self.state = DeskState(deals=[])

    def order(
        self,
        scene: Scene,
        purpose: str,
        lots: int,
        target: float = 0.0,
        reason: str = "",
        leverage_before: float = 0.0,
        request: CreationRequest | RedemptionRequest | None = None,
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
        )
        state.sent += 1
        if purpose in _PATIENT and self.account.spec.hedge.order == "limit":
            self._limit(scene, order)
        tape = scene.tape
        tape.add(
            OrderSent(
                sequence=tape.sequence,
                ordinal=tape.ordinal,
                ts_ns=tape.ts_ns,
                product=self.account.spec.id,
                order=order.number,
                lots=lots,
                purpose=purpose,
                arrives_ns=order.arrives_ns,
                mark_price=scene.mark,
            )
        )
        return order

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
        account, filled, reason = self.account, 0, ""
        lots = self._bounded(order, scene.mark)
        if lots:
            mid = scene.top()[0]
            fills, reason = meet_venue(scene, account.contract, order, lots, account.lots)
            for part, price in fills:
                self._book(scene, order, part, price, mid)
                filled += part
        order.left = lots - filled
        if order.left:
            if order.kind == "limit" and reason == "limit" and order.time_in_force == "gtc":
                self._rest(scene, order)
            else:
                self._retry(scene, order, reason)
        return filled

    # Orders that wait ---------------------------------------------------------------------------

    def _limit(self, scene: Scene, order: Order) -> None:
        """An order of a product that need not hurry: on our own side of mid, for some time."""
        hedge, side = self.account.spec.hedge, 1 if order.lots > 0 else -1
        price = scene.top()[0] * (1.0 - side * hedge.limit_bps * 1e-4)
        order.kind, order.limit = "limit", limit_price(scene, self.account.contract, price, side)
        order.time_in_force, order.post_only = hedge.time_in_force, hedge.post_only
        order.expires_ns = order.arrives_ns + hedge.timeout_ns

    def _rest(self, scene: Scene, order: Order) -> None:
        side, price = 1 if order.left > 0 else -1, order.limit
        assert price is not None
        ahead = scene.ahead(side, price)
        order.resting = Resting(side, price, abs(order.left), ahead, ahead, rested_ns=scene.ts_ns)
        order.arrives_ns = order.expires_ns
        scene.rest(self.place, order)
        scene.tape.say(
            OrderRested,
            product=self.account.spec.id,
            order=order.number,
            lots=order.left,
            price=price,
            ahead_lots=None if ahead == math.inf else ahead,
            expires_ns=order.expires_ns,
        )

    def strike(self, scene: Scene, order: Order, lots: int) -> None:
        """Somebody took so many lots of an order that rests: at its limit, and no more than may be
        traded; the rest of one that may trade no more is cancelled."""
        side, may = 1 if order.left > 0 else -1, abs(self._bounded(order, scene.mark))
        filled, price = side * min(lots, may), order.limit
        assert price is not None
        if filled:
            self._book(scene, order, filled, price, scene.top()[0], maker=True)
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
        scene.tape.say(
            OrderCancelled,
            product=self.account.spec.id,
            order=order.number,
            lots=order.left,
            reason=reason,
        )

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

    # Bounds, fills, attempts --------------------------------------------------------------------

    def _bounded(self, order: Order, mark: float) -> int:
        """What an order may still trade: none flips the sign of the product's exposure. A close,
        though, leaves an inverse account its own coins, whatever side the product was on."""
        account, lots, purpose = self.account, order.left, order.purpose
        if order.reduce_only:
            held = account.lots
            return 0 if held * lots >= 0 else min(max(lots, -abs(held)), abs(held))
        if purpose in ("creation", "opening"):
            return lots
        held = account.lots
        if account.contract.inverse:
            if purpose == "close":
                return lots
            held = account.contract.exposure_lots(account.slope, mark)
        if held * (held + lots) >= 0:
            return lots
        if order.request is not None:
            order.lots = (
                -held
            )  # what is no longer held needs no hedge: the request is dealt in full
        return -held

    def _book(
        self,
        scene: Scene,
        order: Order,
        lots: int,
        price: float,
        mid: float,
        *,
        maker: bool = False,
    ) -> None:
        account, tape, mark = self.account, scene.tape, scene.mark
        done = account.execute(lots, price, mid, mark, maker=maker)
        order.cost_atoms += done.fee - done.spread_impact
        tape.add(
            OrderFilled(
                sequence=tape.sequence,
                ordinal=tape.ordinal,
                ts_ns=tape.ts_ns,
                product=account.spec.id,
                symbol=account.contract.spec.symbol,
                order=order.number,
                purpose=order.purpose,
                lots=lots,
                price=price,
                mid_price=mid,
                mark_price=mark,
                hedge_atoms=done.hedge,
                spread_impact_atoms=done.spread_impact,
                fee_atoms=done.fee,
                maker=maker,
            )
        )

    def _wait(self, scene: Scene, order: Order) -> None:
        if self.account.spec.hedge.when_stale == "refuse":
            self._retry(scene, order, "halted" if scene.halted else "stale")
            return
        order.held = True
        order.arrives_ns = NEVER_NS
        scene.tape.say(OrderHeld, product=self.account.spec.id, order=order.number, lots=order.left)

    def _retry(self, scene: Scene, order: Order, reason: str) -> None:
        order.tries += 1
        deal = order.request is not None
        given_up = deal or (order.tries >= TRIES_MAX and order.purpose != "close")
        if reason == "too_small" and order.left != order.lots:
            given_up = True  # the rest of an order that was filled, and no order by itself
        pause = max(self.account.spec.hedge.retry_ns, MILLISECOND_NS)
        order.arrives_ns = NEVER_NS if given_up else scene.ts_ns + pause
        refused = reason in REFUSALS
        if refused:
            order.kind, order.limit = "market", None
        scene.tape.say(
            OrderRejected if refused else OrderUnfilled,
            product=self.account.spec.id,
            order=order.number,
            lots=order.left,
            retry_ns=0 if given_up else order.arrives_ns,
            reason=reason,
        )
        if given_up:
            order.left = 0

    def release(self, ts_ns: int) -> None:
        """The market is fresh again: orders that waited meet the book now."""
        state = self.state
        for order in [*state.deals, *([state.plan] if state.plan else [])]:
            if order.held:
                order.held = False
                order.arrives_ns = ts_ns

    def next_arrival_ns(self) -> int:
        """When the next order meets the book."""
        state = self.state
        first = state.plan.arrives_ns if state.plan else NEVER_NS
        for order in state.deals:
            first = min(first, order.arrives_ns)
        return first
