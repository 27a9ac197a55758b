"""Orders at the book: what each may still trade, what its fills do to the account, and when what is
left is tried again."""

from __future__ import annotations

from typing import Final

from engine.account import Account
from engine.admission import REFUSALS, TROUBLE
from engine.events import OrderCancelled, OrderFilled, OrderHeld, OrderRejected, OrderUnfilled
from engine.orders import DeskState, Order, Scene
from engine.plans import NOW
from engine.risk_limits import nav_max, too_large
from engine.treasury import Treasury
from engine.units import MILLISECOND_NS, NEVER_NS

__all__ = ["PAUSES_MAX", "TRIES_MAX", "Booking"]

TRIES_MAX: Final = 1_000
"""After so many pauses a plan ends with what it has, and its decision is taken anew, with the
lots of then; at the default pause that is a quarter of an hour. A close has no such end: contracts
that are held are somebody's risk until they are gone, and its next attempt is an alarm."""

PAUSES_MAX: Final = 64
"""How many pauses an order waits at most between two refusals: 1, 2, 4, ... 64. What is wrong with
an order seldom rights itself within a second; a venue in trouble, or a thin book, may."""

MOVE: Final = 0.005
"""A mark so far from that of the refusal ends the wait: margin and tiers stand on it."""


_OPENS: Final = ("creation", "opening")
"""Purposes of orders that no position bounds."""


class Booking:
    """One product's orders, and their fills in its account."""

    __slots__ = (
        *("account", "latency_ns", "own_plan", "place", "product", "state", "symbol"),
        "treasury",
    )

    def __init__(self, account: Account, place: int = 0) -> None:
        self.account = account
        self.place = place
        self.product = account.spec.id
        self.symbol = account.contract.spec.symbol
        hedge = account.spec.hedge
        self.latency_ns = hedge.latency_ns
        self.own_plan = NOW if hedge.plan == NOW else hedge.plan
        self.treasury = Treasury(account.book)
        self.state = DeskState(deals=[])

    @property
    def planned_lots(self) -> int:
        """What the plan under way has still to trade, signed."""
        return self.state.plan.left if self.state.plan is not None else 0

    def bounded(self, order: Order, held: int, mark: float) -> int:
        """What an order may still trade, of so many lots that are held: none flips the sign of the
        product's exposure. A close, though, leaves an inverse account its own coins, whatever side
        the product was on."""
        lots, purpose = order.left, order.purpose
        if order.reduce_only:
            return 0 if held * lots >= 0 else min(max(lots, -abs(held)), abs(held))
        if purpose in _OPENS:
            return lots
        contract = self.account.contract
        if contract.inverse:
            if purpose == "close":
                return lots
            held = contract.exposure_lots(self.account.slope, mark)
        if held * (held + lots) >= 0:
            return lots
        if order.request is not None:
            # What is no longer held needs no hedge: the request is dealt in full.
            order.lots = -held
        return -held

    def book(
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
        self.state.note_trade(scene.ts_ns, account.lots)
        done = account.execute(lots, price, mid, mark, maker=maker)
        order.cost_atoms += done.fee - done.spread_impact
        tape.add(
            OrderFilled(
                sequence=tape.sequence,
                ordinal=tape.ordinal,
                ts_ns=tape.ts_ns,
                product=self.product,
                symbol=self.symbol,
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

    def cross(self, scene: Scene, order: Order, lots: int, cash: int, mid: float) -> None:
        """Trade with orders of the same omnibus account: ``lots`` for ``cash`` at mid."""
        account, mark = self.account, scene.mark
        self.state.note_trade(scene.ts_ns, account.lots)
        account.cross(lots, cash, mark)
        scene.tape.say(
            OrderFilled,
            product=self.product,
            symbol=self.symbol,
            order=order.number,
            purpose=order.purpose,
            lots=lots,
            price=mid,
            mid_price=mid,
            mark_price=mark,
            hedge_atoms=cash,
            spread_impact_atoms=0,
            fee_atoms=0,
            crossed=True,
        )

    def over_limit(self, scene: Scene, order: Order, lots: int, held: int) -> str:
        """Why the venue's risk limits refuse an order for ``lots`` of who holds so many; empty
        where they do not."""
        account, after = self.account, held + lots
        if abs(after) <= abs(held):
            return ""  # whoever reduces may
        most = nav_max(account.spec, scene.listing, scene.mark, order.target)
        if most is not None and account.nav(scene.mark) > most:
            return "risk_limit"
        if too_large(account.spec, scene.listing, after, scene.mark, order.target):
            return "risk_limit"
        return "" if self.treasury.covers(scene, lots) else "no_margin"

    def _wait(self, scene: Scene, order: Order) -> None:
        if self.account.spec.hedge.when_stale == "refuse":
            self.retry(scene, order, "halted" if scene.halted else "stale")
            return
        order.held = True
        order.arrives_ns = NEVER_NS
        scene.tape.say(OrderHeld, product=self.product, order=order.number, lots=order.left)

    def retry(self, scene: Scene, order: Order, reason: str) -> None:
        """What was not filled is sent again after a pause, as long as that makes sense; what is
        refused again and again, after a longer one each time."""
        refused, course, pauses = reason in REFUSALS, order.course, 1
        if not refused:
            order.pauses = 1
        elif reason not in TROUBLE and course is None:
            pauses = order.pauses
            order.pauses = min(2 * pauses, PAUSES_MAX)
            order.between = (scene.mark * (1.0 - MOVE), scene.mark * (1.0 + MOVE))
        order.tries += pauses
        deal = order.request is not None
        given_up = deal or order.once or (order.tries >= TRIES_MAX and order.purpose != "close")
        # The rest of an order that was filled is no order by itself.
        rest = reason == "too_small" and order.left != order.lots
        # The hedge of a promise is tried again as it is: the promise was made.
        formula = self.account.formula
        if reason == "too_small" and (rest or not formula) and not (course and course.owed_lots):
            given_up = True
        if given_up:
            left_be = rest or formula or order.once
            order.arrives_ns, order.missed = NEVER_NS, "" if left_be else reason
        elif course is None or order.arrives_ns <= scene.ts_ns:
            pause = max(self.account.spec.hedge.retry_ns, MILLISECOND_NS)
            order.arrives_ns = scene.ts_ns + pauses * pause
        if refused and reason not in TROUBLE:
            order.kind, order.limit = "market", None
        said: dict[str, int | None] = {}
        if reason == "risk_limit":
            # The hedge of a promise is as large as the promise.
            order.limited = not formula and course is None
            most = nav_max(self.account.spec, scene.listing, scene.mark, order.target)
            said["nav_max_atoms"] = most
        scene.tape.say(
            OrderRejected if refused else OrderUnfilled,
            product=self.product,
            order=order.number,
            lots=order.left,
            retry_ns=0 if given_up else order.arrives_ns,
            reason=reason,
            **said,
        )
        if given_up:
            order.lots -= order.left if order.once else 0
            order.left = 0

    def _say_cancelled(self, scene: Scene, order: Order, reason: str) -> None:
        scene.tape.say(
            OrderCancelled,
            product=self.product,
            order=order.number,
            lots=order.left,
            reason=reason,
        )

    def _end(self, scene: Scene, order: Order) -> None:
        """What is left of an order is not needed any more."""
        self._say_cancelled(scene, order, "not_needed")
        order.lots -= order.left
        order.left = 0

    def resize(self, scene: Scene, order: Order) -> None:
        """What a tier refused is tried again with the lots that its target takes now; where that
        is none, or the other way, it is not needed."""
        account, mark, order.limited = self.account, scene.mark, False
        wanted = account.contract.lots_for(order.target, account.nav(mark), mark) - account.lots
        if wanted * order.left <= 0:
            self._end(scene, order)
        else:
            order.lots += wanted - order.left
            order.left = wanted

    def hurry(self, ts_ns: int, mark: float | None = None) -> bool:
        """What the venue refused is tried again now, unless the mark, where that is why, is nearly
        that of the refusal; whether there is any."""
        plan = self.state.plan
        if plan is None or plan.pauses == 1:
            return False
        if mark is not None and plan.between[0] < mark < plan.between[1]:
            return False
        plan.pauses, plan.arrives_ns = 1, ts_ns
        return True

    def release(self, ts_ns: int) -> None:
        """The market is fresh again: orders that waited meet the book now."""
        state = self.state
        for order in [*state.deals, *([state.plan] if state.plan else [])]:
            if order.held:
                order.held = False
                order.arrives_ns = ts_ns

    def next_arrival_ns(self) -> int:
        """When the next order meets the book, or a top-up arrives."""
        state, topup = self.state, self.treasury.topup
        first = NEVER_NS if topup is None else topup.arrives_ns
        if state.plan is not None:
            first = min(first, state.plan.arrives_ns)
        for order in state.deals:
            first = min(first, order.arrives_ns)
        return first
