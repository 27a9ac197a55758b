"""Orders of a product, and the scene they are sent into."""

from __future__ import annotations

import math
from typing import Literal, Protocol

from msgspec import Struct

from engine.events import CreationRequest, RedemptionRequest
from engine.outputs import Tape
from engine.plans import Participate, Plan, Restrike, Twap
from engine.policy import MarketView
from engine.units import NEVER_NS
from engine.venue.book import Book
from engine.venue.order_rules import OrderBounds
from engine.venue.queue import Resting
from engine.venue.standing import Listing
from engine.venue.taking import AT_MARKET, TakingTerms, TimeInForce, Top

__all__ = ["Course", "DeskState", "Order", "Scene", "Strike"]


class Scene(Protocol):
    """The market at the moment of a wake, as far as handlers see it; ``order_bounds`` where the
    venue has rules for orders, ``listing`` where it asks for margin. Top-ups of margin are frozen
    until ``frozen_ns``; orders take ``delay_ns`` longer than their product's latency where the
    venue is degraded."""

    tape: Tape
    ts_ns: int
    due_ns: int
    mark: float
    stale: bool
    delay_ns: int

    order_bounds: OrderBounds | None
    listing: Listing | None

    @property
    def frozen_ns(self) -> int:
        """Until when no top-up arrives."""

    @property
    def book(self) -> Book:
        """The book as of now."""

    @property
    def halted(self) -> bool:
        """Whether it is the operator who made it stale."""

    def refuses(self, place: int, order: int, lots: int, held: int) -> str:
        """Why a venue in trouble takes nothing of a product's order now; empty where it is not."""

    def rest(self, place: int, order: Order) -> None:
        """From now on an order of a product waits in the queue of its price."""

    def leave(self, order: Order) -> None:
        """An order waits no more."""

    def ahead(self, side: int, price: float) -> float:
        """Lots of others at a price on the side of an order; infinite where nobody knows."""

    def follow(self, order: Order) -> None:
        """From now on an order counts what is traded."""

    def volume(self, order: Order) -> int:
        """Lots that were traded since the order began to count, or last asked."""

    def top(self) -> Top:
        """The market around the book."""

    def view(self, uses_signals: bool) -> MarketView:
        """What policies see; figures that need signals only where they are used."""

    def extremes(self, handler: int) -> tuple[float, float]:
        """Lowest and highest mark since this handler last asked."""


class Course(Struct):
    """How far a plan has come that is carried out in turns.

    Attributes:
        plan: what it follows.
        ends_ns: when its patience or its window ends.
        slice_lots: most that a turn trades.
        owed_lots: what the venue found too small, and the next turn may trade on top.
        since: sequence from which trades are not counted yet.
        traded_lots: volume since the last turn, as far as counted.
        looks: how often the window was looked at.
        price: the worst mark seen there, or the sum of all.
    """

    plan: Twap | Participate | Restrike
    ends_ns: int = NEVER_NS
    slice_lots: int = 0
    owed_lots: int = 0
    since: int = 0
    traded_lots: int = 0
    looks: int = 0
    price: float = 0.0


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
        kind: ``market``, or ``limit`` as long as it has one.
        time_in_force, post_only, limit: see ``engine.venue.taking``.
        reduce_only: trades no more than what is held on the other side.
        expires_ns: when a limit order becomes a market order.
        resting: its place in the queue of its price.
        course: where it is carried out in turns.
        how: the plan that its decision named.
        missed: why it was given up before it was filled; empty where it was not.
        limited: a tier refused it: it is sized anew when it is tried again.
        tries: pauses that it waited for so far.
        pauses: so many it waits when it is refused next; more than one: it was refused.
        between: at and beyond these marks it waits no more.
        once: what is not filled at the first attempt is given up.
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
    kind: Literal["market", "limit"] = "market"
    time_in_force: TimeInForce = "ioc"
    post_only: bool = False
    reduce_only: bool = False
    limit: float | None = None
    expires_ns: int = NEVER_NS
    resting: Resting | None = None
    course: Course | None = None
    how: Plan | None = None
    missed: str = ""
    limited: bool = False
    pauses: int = 1
    between: tuple[float, float] = (-math.inf, math.inf)
    once: bool = False

    @property
    def terms(self) -> TakingTerms:
        """Up to which price it trades, and what becomes of its rest."""
        if self.kind == "market":
            return AT_MARKET
        return TakingTerms(
            limit=self.limit, time_in_force=self.time_in_force, post_only=self.post_only
        )


class DeskState(Struct):
    """Orders of one product: the ``plan`` under way, the hedges of ``deals``, how many were sent;
    when it last traded, and the lots it held before that instant."""

    plan: Order | None = None
    deals: list[Order] = []
    sent: int = 0
    traded_ns: int = -1
    lots_before: int = 0

    def note_trade(self, ts_ns: int, lots: int) -> None:
        """Lots are about to change hands, of so many that are held."""
        if self.traded_ns != ts_ns:
            self.traded_ns, self.lots_before = ts_ns, lots

    def held_before(self, ts_ns: int, lots: int) -> int:
        """How many of the signed lots that are held now were held before an instant."""
        before = self.lots_before if self.traded_ns == ts_ns else lots
        return 0 if before * lots <= 0 else before if abs(before) < abs(lots) else lots


class Strike(Struct, frozen=True, gc=False):
    """A row that fills orders: its place, engine time there, and ``(handler, order, lots)``."""

    sequence: int
    run_ns: int
    fills: list[tuple[int, Order, int]]
