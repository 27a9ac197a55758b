"""Plans that are carried out in turns: what an order may trade at each, and when the next one is.

Lots are fixed when a decision is taken, but for a window's, whose price is known at its end. A turn
trades no more than that leaves, and no more than what is still missing at its own mark: where the
price has done the work meanwhile, a plan ends without a trade.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from engine.account import Account
from engine.orders import Course, Order, Scene
from engine.plans import Participate, Restrike, Twap
from engine.units import SECOND_NS

__all__ = ["Turn", "begin", "turn"]


class Turn(Struct, frozen=True, gc=False):
    """Signed ``lots`` that may be traded now; at ``price``, past the book and for the last time,
    where there is one."""

    lots: int
    price: float | None = None


_WAIT: Final = Turn(0)


def begin(
    scene: Scene, account: Account, order: Order, plan: Twap | Participate | Restrike
) -> None:
    """A new order follows a plan; its arrival becomes its first turn."""
    course = order.course = Course(plan)
    if isinstance(plan, Twap):
        course.slice_lots = _slice_lots(scene, account, order, plan)
    elif isinstance(plan, Participate):
        scene.follow(order)
        course.ends_ns = order.arrives_ns + _ns(plan.timeout_s)
        order.arrives_ns = min(order.arrives_ns + _ns(plan.every_s), course.ends_ns)
    else:
        order.arrives_ns += _ns(plan.delay_s)
        course.ends_ns = order.arrives_ns + _ns(plan.window_s)


def turn(scene: Scene, account: Account, order: Order) -> Turn | None:
    """What an order may trade now; ``None`` where nothing is missing any more. ``arrives_ns`` says
    when the next turn is."""
    course = order.course
    assert course is not None
    plan, due = course.plan, scene.ts_ns >= course.ends_ns
    next_ns = scene.ts_ns + _ns(plan.every_s)
    order.arrives_ns = next_ns if due else min(next_ns, course.ends_ns)
    if isinstance(plan, Restrike):
        _look(scene, order, course, plan)
        return _strike(account, order, course, plan) if due else _WAIT
    lots = _missing(scene, account, order)
    if not lots:
        return None
    if isinstance(plan, Twap):
        return Turn(_at_most(lots, course.slice_lots + course.owed_lots))
    traded = scene.volume(order)
    if due:
        order.course = None
        return Turn(order.left)
    return Turn(_at_most(lots, int(plan.share * traded) + course.owed_lots))


def _slice_lots(scene: Scene, account: Account, order: Order, plan: Twap) -> int:
    lots, contract = abs(order.lots), account.contract
    most = -(-lots // plan.chunks)
    if plan.largest:
        one = contract.quote_notional(1, scene.mark)
        most = min(most, max(1, int(plan.largest / one)))
    return most


def _look(scene: Scene, order: Order, course: Course, plan: Restrike) -> None:
    course.looks += 1
    if plan.price == "average":
        course.price += scene.mark
    elif course.looks == 1:
        course.price = scene.mark
    else:
        worst = max if order.left > 0 else min
        course.price = worst(course.price, scene.mark)


def _strike(account: Account, order: Order, course: Course, plan: Restrike) -> Turn | None:
    """All that leads to the target at the price of the window."""
    price = course.price / course.looks if plan.price == "average" else course.price
    wanted = account.contract.lots_for(order.target, account.nav(price), price)
    lots = wanted - account.lots
    if lots * order.left <= 0:
        return None
    order.lots = order.left = lots
    return Turn(lots, price)


def _missing(scene: Scene, account: Account, order: Order) -> int:
    """Signed lots of the order that are still missing for its target; 0 where none are."""
    mark, left = scene.mark, order.left
    wanted = account.contract.lots_for(order.target, account.nav(mark), mark) - account.lots
    if wanted * left <= 0:
        return 0
    return _at_most(left, abs(wanted))


def _at_most(lots: int, most: int) -> int:
    return min(lots, most) if lots > 0 else max(lots, -most)


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)
