"""Orders at the book: what each may still trade, what its fills do to the account, and when what is
left is tried again."""

from __future__ import annotations

from typing import Final

from engine.account import Account
from engine.admission import REFUSALS
from engine.events import OrderCancelled, OrderFilled, OrderHeld, OrderRejected, OrderUnfilled
from engine.orders import DeskState, Order, Scene
from engine.units import MILLISECOND_NS, NEVER_NS

__all__ = ["TRIES_MAX", "Booking"]

TRIES_MAX: Final = 1_000
"""After so many attempts a plan ends with what it has; at the default pause that is a quarter of an
hour. A close has no such end: contracts that are held are somebody's risk until they are gone, and
its next attempt is an alarm."""


class Booking:
    """One product's orders, and their fills in its account."""

    __slots__ = ("account", "latency_ns", "place", "state")

    def __init__(self, account: Account, place: int = 0) -> None:
        self.account = account
        self.place = place
        self.latency_ns = account.spec.hedge.latency_ns
        self.state = DeskState(deals=[])

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
        course = order.course
        if reason == "too_small" and order.left != order.lots and not (course and course.owed_lots):
            given_up = True  # the rest of an order that was filled, and no order by itself
        if given_up:
            order.arrives_ns = NEVER_NS
        elif course is None or order.arrives_ns <= scene.ts_ns:
            pause = max(self.account.spec.hedge.retry_ns, MILLISECOND_NS)
            order.arrives_ns = scene.ts_ns + pause
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

    def _say_cancelled(self, scene: Scene, order: Order, reason: str) -> None:
        scene.tape.say(
            OrderCancelled,
            product=self.account.spec.id,
            order=order.number,
            lots=order.left,
            reason=reason,
        )

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
