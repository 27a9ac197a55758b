"""From a decision to contracts: orders that take time, meet a book, and may come back half filled.

A decision is fixed in lots when it is taken. Its order leaves at once and reaches the book after
the latency, at the price of then; what the book cannot take is sent again after a pause. One
rebalance is under way at a time; the hedges of creations and redemptions travel beside it.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from engine.account import Account
from engine.events import (
    CreationRequest,
    OrderFilled,
    OrderHeld,
    OrderSent,
    OrderUnfilled,
    RedemptionRequest,
)
from engine.outputs import Tape
from engine.policy import MarketView
from engine.units import MILLISECOND_NS, NEVER_NS
from engine.venue.book import Book
from engine.venue.taking import Top

__all__ = ["Desk", "DeskState", "Order", "Scene"]

TRIES_MAX: Final = 1_000
"""After so many attempts a plan ends with what it has; at the default pause that is a quarter of an
hour. A close has no such end: contracts that are held are somebody's risk until they are gone, and
its next attempt is an alarm."""


class Scene(Protocol):
    """The market at the moment of a wake, as far as handlers see it."""

    tape: Tape
    ts_ns: int
    due_ns: int
    mark: float
    stale: bool

    @property
    def book(self) -> Book:
        """The book as of now."""

    @property
    def halted(self) -> bool:
        """Whether it is the operator who made it stale."""

    def top(self) -> tuple[float, float]:
        """Mid, and half the recorded spread as a share of it (negative where no book is
        recorded)."""

    def view(self, uses_signals: bool) -> MarketView:
        """What policies see; figures that need signals only where they are used."""

    def extremes(self, handler: int) -> tuple[float, float]:
        """Lowest and highest mark since this handler last asked."""


class Order(Struct):
    """An order under way.

    Attributes:
        number: counts the product's orders.
        purpose: ``opening``, ``rebalance``, ``deleverage``, ``close``, ``creation`` or
            ``redemption``.
        lots: signed size as decided; ``left`` is what is not filled yet.
        decided_ns, arrives_ns: when it was decided, when it meets the book next.
        target, reason, leverage_before: of the decision.
        cost_atoms: spread, impact and fee so far, settlement asset.
        request: the user's request that it hedges.
    """

    number: int
    purpose: str
    lots: int
    left: int
    decided_ns: int
    arrives_ns: int
    target: float = 0.0
    reason: str = ""
    leverage_before: float = 0.0
    cost_atoms: int = 0
    tries: int = 0
    held: bool = False
    request: CreationRequest | RedemptionRequest | None = None


class DeskState(Struct):
    """Orders of one product: the ``plan`` under way, the hedges of ``deals``, and how many were
    sent."""

    plan: Order | None = None
    deals: list[Order] = []
    sent: int = 0


class Desk:
    """Sends one product's orders and books their fills."""

    __slots__ = ("account", "latency_ns", "state")

    def __init__(self, account: Account) -> None:
        self.account = account
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
            ts_ns + self.latency_ns,
            target,
            reason,
            leverage_before,
            request=request,
        )
        state.sent += 1
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
        ``arrives_ns``, or waits (``held``) for the market to be fresh again."""
        if scene.stale:
            self._wait(scene, order)
            return 0
        lots = filled = self._bounded(order, scene.mark)
        reason = ""
        if lots:
            side, (mid, half_spread) = 1 if lots > 0 else -1, scene.top()
            size = self.account.contract.quote_notional(lots, mid)
            top = Top(mid, half_spread, scene.ts_ns)
            taken = scene.book.take_limited(side, abs(lots), size, None, top)
            filled, reason = side * taken.lots, taken.reason
            if filled:
                self._book(scene, order, filled, taken.price, mid)
        order.left = lots - filled
        if order.left:
            self._retry(scene, order, reason)
        return filled

    def _bounded(self, order: Order, mark: float) -> int:
        """What an order may still trade: none flips the sign of the product's exposure. A close,
        though, leaves an inverse account its own coins, whatever side the product was on."""
        account, lots, purpose = self.account, order.left, order.purpose
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

    def _book(self, scene: Scene, order: Order, lots: int, price: float, mid: float) -> None:
        account, tape, mark = self.account, scene.tape, scene.mark
        done = account.execute(lots, price, mid, mark)
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
        pause = max(self.account.spec.hedge.retry_ns, MILLISECOND_NS)
        order.arrives_ns = NEVER_NS if given_up else scene.ts_ns + pause
        scene.tape.say(
            OrderUnfilled,
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
