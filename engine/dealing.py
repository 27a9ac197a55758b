"""Creation and redemption: units against money, at the request's own hedge fills.

Forward-priced: a request hedges its share of the present basket and deals at NAV after that hedge
was filled, so the requester bears spread, impact and fee, and the other holders keep their NAV,
their leverage and their next wake but for rounding, which favours them. Impact is known too late
to be hedged for: a creation that paid some leaves the others' lots per unit higher by that part of
NAV. A book that a deal has dented is dented for the next rebalance, too.
"""

from __future__ import annotations

from bisect import insort
from operator import attrgetter
from typing import TYPE_CHECKING

from engine.account import Account
from engine.events import (
    CancellationRequest,
    CreationRequest,
    LevelDealt,
    RedemptionRequest,
    RequestCancelled,
    RequestQueued,
    UnitsCreated,
    UnitsRedeemed,
)
from engine.execution import Desk
from engine.ledger import Cause
from engine.orders import Order, Scene
from engine.product import units_for
from engine.quotas import Waiting
from engine.refusing import Refusing, Request, steps_of
from engine.striking import milestone
from engine.units import UNIT_STEPS, asset_decimals

if TYPE_CHECKING:
    from engine.users import Users

__all__ = ["Dealing"]


class Dealing(Refusing):
    """One product's primary market.

    Attributes:
        queue: requests that wait, the first that is due first, the oldest of those due together.
        orders: redemptions that wait for a level of NAV, oldest first.
    """

    __slots__ = ("orders", "queue")

    def __init__(self, account: Account, desk: Desk, users: Users) -> None:
        super().__init__(account, desk, users)
        self.queue: list[Waiting] = []
        self.orders: list[RedemptionRequest] = []

    def issue(self) -> tuple[int, int, int]:
        """The first units, one per quote: ``(users' units, issuer's units, quote atoms paid)``."""
        spec = self.account.spec
        step = UNIT_STEPS // 10 ** asset_decimals(self.account.contract.quote_asset)
        self._grow()
        self._digest = b""
        paid = spec.seed_atoms
        count, each = spec.population
        self.units[:count] += each * step
        paid += count * each
        for user, quote in spec.holdings:
            self.units[user] += quote * step
            paid += quote
        return (paid - spec.seed_atoms) * step, spec.seed_atoms * step, paid

    def ask(
        self, scene: Scene, request: Request, refusal: str | None, wait: str | None, due_ns: int
    ) -> None:
        """Refuse a request, let it wait, or send its hedge.

        Args:
            refusal: why it is not taken, as the handler sees it.
            wait: why the request should wait instead, until ``due_ns`` at least.
        """
        refusal = refusal or self._refusal(scene, request)
        if refusal:
            self.refuse(scene, request, refusal)
        elif not self._capped(scene, request):
            if wait is None:
                self._send(scene, request)
                return
            self.wait(request, due_ns)
            scene.tape.say(
                RequestQueued,
                product=request.product,
                user=request.user,
                id=request.id,
                reason=wait,
            )

    def wait(self, request: Request, due_ns: int) -> None:
        """Let a request wait, behind all that are due as early."""
        insort(self.queue, Waiting(request, due_ns), key=attrgetter("due_ns"))

    def order(self, scene: Scene, request: RedemptionRequest, refusal: str | None) -> None:
        """Refuse a redemption that is to wait for a level, or let it wait."""
        refusal = refusal or self._refusal(scene, request)
        if refusal:
            self.refuse(scene, request, refusal)
            return
        self.orders.append(request)
        scene.tape.say(
            RequestQueued,
            product=request.product,
            user=request.user,
            id=request.id,
            reason="level",
        )

    def cancel_waiting(self, scene: Scene, reason: str) -> None:
        """Refuse what waits for its time, then what waits for its level."""
        for waiting in self.queue:
            self.refuse(scene, waiting.request, reason)
        self.queue.clear()
        for request in self.orders:
            self.refuse(scene, request, reason)
        self.orders.clear()

    def cancel(self, scene: Scene, request: CancellationRequest) -> None:
        """Let what waits under the id that a request names wait no more."""
        named = [each for each in self.queue if each.request.id == request.request]
        ordered = [each for each in self.orders if each.id == request.request]
        found = [*(each.request for each in named), *ordered]
        if not found or found[0].user != request.user:
            reason = "not_yours" if found else "not_waiting"
            self.refuse(scene, request, reason, f"request {request.request}")
            return
        if named:
            self.queue.remove(named[0])
        else:
            self.orders.remove(ordered[0])
        scene.tape.say(
            RequestCancelled,
            product=request.product,
            user=request.user,
            id=request.request,
            cancellation=request.id,
        )

    def serve(self, scene: Scene, request: Request, refusal: str | None) -> None:
        """A request has waited long enough: refuse it, or send its hedge."""
        refusal = refusal or self._refusal(scene, request)
        if refusal:
            self.refuse(scene, request, refusal)
        else:
            self._send(scene, request)

    def _send(self, scene: Scene, request: Request) -> None:
        account = self.account
        held, nav, total = account.lots, account.nav(scene.mark), account.units
        if isinstance(request, CreationRequest):
            quote = self.quote_atoms(request)
            quote -= self._fee(scene, quote)
            cost = 0 if self.account.formula else self._basket_cost(scene)
            lots = _towards_zero(held * quote, nav + cost)
        else:
            user = self.users.index(request.user)
            units = steps_of(request)
            assert user is not None
            self.pledged[user] = self.pledged.get(user, 0) + units
            lots = -_towards_zero(held * units, total)
        purpose = "creation" if isinstance(request, CreationRequest) else "redemption"
        order = self.desk.order(scene, purpose, lots, request=request)
        if order.arrives_ns <= scene.ts_ns:
            self.arrive(scene, order)
        if order.held or order.arrives_ns > scene.ts_ns:
            self.desk.state.deals.append(order)

    def arrive(self, scene: Scene, order: Order) -> None:
        """Let the hedge of a request meet the book, then deal at what it left."""
        account, request = self.account, order.request
        assert request is not None
        before, passed = account.nav(scene.mark), milestone(scene, account)
        filled = self.desk.arrive(scene, order)
        if order.held:
            return
        order.arrives_ns = scene.ts_ns
        scene.tape.milestones.append(passed)
        cost = before - account.nav(scene.mark)
        if isinstance(request, CreationRequest):
            self._create(scene, order, request, before, filled, cost)
        else:
            self._redeem(scene, order, request, before, filled, cost)
        scene.tape.milestones.append(milestone(scene, account))

    def _create(
        self, scene: Scene, order: Order, request: CreationRequest, nav: int, filled: int, cost: int
    ) -> None:
        account = self.account
        asked = self.quote_atoms(request)
        dealt = self._dealt(order, filled, asked)
        fee = self._fee(scene, dealt)
        paid = dealt - fee
        units = units_for(paid - cost, account.units, nav) if nav > 0 else 0
        refusal = self._size(scene, units)
        if refusal:
            # The hedge is done: its cost is the requester's, as far as his money goes.
            units, paid, fee = 0, min(max(cost, 0), dealt), 0
            if not paid:
                missed = "" if filled == order.lots else order.missed or "no_depth"
                self.refuse(scene, request, missed or refusal)
                return
        coins = account.create(paid, units, scene.mark)
        account.charge(Cause.CREATE_FEE, fee)
        user = self.users.admit(request.user)
        self._grow()
        self._change(user, units)
        scene.tape.say(
            UnitsCreated,
            product=request.product,
            user=request.user,
            id=request.id,
            units=units,
            quote_atoms=paid,
            cost_atoms=cost,
            refund_atoms=asked - paid - fee,
            nav_atoms=account.nav(scene.mark),
            units_total=account.units,
            user_units=int(self.units[user]),
            fee_atoms=fee,
            coin_atoms=coins,
        )
        self.recount(scene)

    def _redeem(
        self,
        scene: Scene,
        order: Order,
        request: RedemptionRequest,
        nav: int,
        filled: int,
        cost: int,
    ) -> None:
        account = self.account
        user, asked = self.users.index(request.user), steps_of(request)
        assert user is not None
        self._release(user, asked)
        units = self._dealt(order, filled, asked)
        quote = max(0, nav * units // account.units - cost) if nav > 0 else 0
        if units <= 0:
            self.refuse(scene, request, order.missed or "no_depth")
            return
        coins = account.redeem(quote, units, scene.mark)
        fee = self._fee(scene, quote, redeems=True)
        account.charge(Cause.REDEEM_FEE, fee)
        self._change(user, -units)
        scene.tape.say(
            UnitsRedeemed,
            product=request.product,
            user=request.user,
            id=request.id,
            units=units,
            quote_atoms=quote,
            cost_atoms=cost,
            nav_atoms=account.nav(scene.mark),
            units_total=account.units,
            user_units=int(self.units[user]),
            fee_atoms=fee,
            coin_atoms=coins,
        )
        if request.level is not None:
            atoms = 10 ** asset_decimals(account.contract.quote_asset)
            scene.tape.say(
                LevelDealt,
                product=request.product,
                user=request.user,
                id=request.id,
                level=request.level,
                price_per_unit=quote * UNIT_STEPS / units / atoms,
                units=units,
            )
        self.recount(scene)

    def _dealt(self, order: Order, filled: int, asked: int) -> int:
        """How much of a request is dealt: as much as was hedged, of a formula product all of it."""
        whole = filled == order.lots or self.account.formula
        return asked if whole else asked * filled // order.lots

    def drop(self, request: Request) -> None:
        """Free the units that a redemption under way had pledged: it will not be dealt."""
        if isinstance(request, RedemptionRequest):
            user = self.users.index(request.user)
            assert user is not None
            self._release(user, steps_of(request))

    def _release(self, user: int, units: int) -> None:
        self.pledged[user] -= units
        if not self.pledged[user]:
            del self.pledged[user]


def _towards_zero(over: int, under: int) -> int:
    whole = abs(over) // abs(under)
    return whole if (over >= 0) == (under >= 0) else -whole
