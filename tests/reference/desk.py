"""Orders of one product on their way to the book, and requests that deal at their own hedge
fills."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.events import (
    CreationRefused,
    CreationRequest,
    OrderCancelled,
    OrderFilled,
    OrderHeld,
    OrderRejected,
    OrderRested,
    OrderSent,
    OrderUnfilled,
    RedemptionRefused,
    RequestQueued,
    UnitsCreated,
    UnitsRedeemed,
)
from engine.plans import NOW, LimitThenMarket, Participate, Restrike, Twap
from engine.units import NEVER_NS, Rounding, asset_decimals
from engine.venue.order_rules import OrderBounds
from engine.venue.queue import Resting
from engine.venue.taking import Taken, Top

if TYPE_CHECKING:
    from tests.reference.product import Product

TRIES_MAX = 1_000
PIECES_MAX = 100
MILLISECOND_NS = 10**6
UNITS_MAX = 2**60


@dataclass
class Order:
    """One order: what it wants, what is left, when it meets the book next."""

    number: int
    purpose: str
    lots: int
    left: int
    decided_ns: int
    arrives_ns: int
    target: float = 0.0
    reason: str = ""
    before: float = 0.0
    cost: int = 0
    tries: int = 0
    held: bool = False
    request: Any = None
    limit: float | None = None
    expires_ns: int = NEVER_NS
    queue: Any = None
    plan: Any = None
    ends_ns: int = NEVER_NS
    part: int = 0
    owed: int = 0
    traded: int = 0
    seen: list[float] = field(default_factory=list)


def send(product: Product, purpose: str, lots: int, **decision: Any) -> Order:
    """An order leaves for the venue."""
    market, latency = product.market, latency_of(product)
    order = Order(
        product.sent, purpose, lots, lots, market.now_ns, market.now_ns + latency, **decision
    )
    product.sent += 1
    if order.plan is None:
        own = purpose in ("opening", "rebalance")
        order.plan = product.spec.hedge.plan if own else NOW
    _begin(product, order)
    product.say(
        OrderSent,
        order=order.number,
        lots=lots,
        purpose=purpose,
        arrives_ns=order.arrives_ns,
        mark_price=market.mark,
    )
    return order


def _begin(product: Product, order: Order) -> None:
    """Where a plan puts its order, and when it is first due."""
    plan, market, lots = order.plan, product.market, abs(order.lots)
    if isinstance(plan, LimitThenMarket):
        side = 1 if order.lots > 0 else -1
        price = market.top()[0] * (1 - side * plan.offset_bps * 1e-4)
        order.limit = _stepped(product, price, side)
        order.expires_ns = order.arrives_ns + _ns(plan.timeout_s)
    if isinstance(plan, Participate):
        order.ends_ns = order.arrives_ns + _ns(plan.timeout_s)
        order.arrives_ns = min(order.arrives_ns + _ns(plan.every_s), order.ends_ns)
        market.counting.append(order)
    if isinstance(plan, Restrike):
        order.arrives_ns += _ns(plan.delay_s)
        order.ends_ns = order.arrives_ns + _ns(plan.window_s)
    if isinstance(plan, Twap):
        order.part = math.ceil(lots / plan.chunks)
        if plan.largest:
            one = product.contract.quote_notional(1, market.mark)
            order.part = min(order.part, max(1, math.floor(plan.largest / one)))


def _ns(seconds: float) -> int:
    return round(seconds * 10**9)


def takes_turns(order: Order) -> bool:
    """Whether its plan goes on over time."""
    return isinstance(order.plan, Twap | Participate | Restrike)


def _take_turn(product: Product, order: Order) -> int:
    """One of the turns of a plan that takes several."""
    plan, market, held = order.plan, product.market, product.holding
    over = market.now_ns >= order.ends_ns
    order.arrives_ns = market.now_ns + _ns(plan.every_s)
    if not over:
        order.arrives_ns = min(order.arrives_ns, order.ends_ns)
    order.seen.append(market.mark)
    if isinstance(plan, Restrike) and not over:
        return 0
    side = 1 if order.left > 0 else -1
    wanted = product.contract.lots_for(order.target, held.nav(market.mark), market.mark)
    missing = side * (wanted - held.lots)
    if missing <= 0:
        _end(product, order)
        return 0
    lots, left = min(missing, abs(order.left)), _bounded(product, order)
    if isinstance(plan, Twap):
        lots = min(lots, order.part + order.owed)
    elif isinstance(plan, Participate) and over:
        order.plan, lots = NOW, abs(order.left)
    elif isinstance(plan, Participate):
        lots = min(lots, math.floor(plan.share * order.traded) + order.owed)
    order.traded = 0
    lots = side * min(lots, abs(left))
    filled, reason = 0, ""
    if lots and isinstance(plan, Restrike):
        worst = max(order.seen) if side > 0 else min(order.seen)
        price = worst if plan.price == "worst" else sum(order.seen) / len(order.seen)
        _fill(product, order, lots, price, market.top()[0])
        filled = lots
    elif lots:
        filled, reason = _walk(product, order, lots)
    order.left = left - filled
    if lots:
        order.owed = abs(lots) if reason == "too_small" and lots != left else 0
    if reason:
        _try_again(product, order, reason)
    elif isinstance(plan, Restrike) and order.left:
        _end(product, order)
    return filled


def _end(product: Product, order: Order) -> None:
    product.say(OrderCancelled, order=order.number, lots=order.left, reason="not_needed")
    order.lots, order.left = order.lots - order.left, 0


def latency_of(product: Product) -> int:
    """From decision to book, at a venue that may be degraded."""
    return product.spec.hedge.latency_ns + product.market.delay_ns


def _stepped(product: Product, price: float, side: int) -> float:
    """A bid on the price step at or below, an ask at or above."""
    step = Fraction(repr(product.contract.spec.price_step))
    steps = Fraction(repr(price)) / step
    venue = _rules_of(product)
    plain = float(max(1, math.floor(steps) if side > 0 else math.ceil(steps)) * step)
    if not venue.is_price(plain):
        return venue.rounded(price, Rounding.DOWN if side > 0 else Rounding.UP)
    return plain


def meet_book(product: Product, order: Order) -> int:
    """The order arrives; the lots that were filled."""
    market = product.market
    if order.limit is not None and market.now_ns >= order.expires_ns:
        rested = order.queue is not None
        cancel(product, order, "expired")
        order.limit = None
        if rested and latency_of(product):
            order.arrives_ns = market.now_ns + latency_of(product)
            return 0
    if market.stale and product.spec.hedge.when_stale == "hold":
        order.held, order.arrives_ns = True, NEVER_NS
        product.say(OrderHeld, order=order.number, lots=order.left)
        return 0
    if market.stale:
        _try_again(product, order, "halted" if market.stale == "halted" else "stale")
        return 0
    if takes_turns(order):
        return _take_turn(product, order)
    lots = _bounded(product, order)
    filled, reason = _walk(product, order, lots)
    order.left = lots - filled
    gtc = isinstance(order.plan, LimitThenMarket) and order.plan.time_in_force == "gtc"
    if order.left and reason == "limit" and gtc:
        _rest(product, order)
    elif order.left:
        _try_again(product, order, reason)
    return filled


def _walk(product: Product, order: Order, lots: int) -> tuple[int, str]:
    """What the venue takes and the book fills of so many lots, and why there is a rest."""
    market, held = product.market, product.holding.lots
    filled, reason = 0, ""
    for piece in _pieces(product, lots, order.limit):
        reason = _refusal_of(product, order, piece, lots, held)
        if reason:
            break
        mid, half_spread = market.top()
        size = product.contract.quote_notional(piece, mid)
        side = 1 if piece > 0 else -1
        top = Top(mid, half_spread, market.now_ns)
        taken = _take(product, order, side, abs(piece), size, top)
        if taken.lots:
            _fill(product, order, side * taken.lots, taken.price, mid)
        filled, reason = filled + side * taken.lots, taken.reason
        if reason == "limit" and order.limit is None:
            reason = "market_deviation"
        if reason:
            break
    return filled, reason or ("pieces" if filled != lots else "")


def _take(product: Product, order: Order, side: int, lots: int, size: float, top: Top) -> Taken:
    book, plan, limit = product.market.book, order.plan, order.limit
    if limit is not None and plan.post_only:
        best = book.best(side, top)
        crosses = best is not None and (best <= limit if side > 0 else best >= limit)
        return Taken(0, reason="would_cross" if crosses else "limit")
    if limit is not None and plan.time_in_force == "fok":
        offer = book.offer(side, lots, size, limit, top)
        if offer.lots < lots:
            known = offer.reason in ("limit", "no_depth")
            return Taken(0, reason="not_whole" if known else offer.reason)
    if limit is None and product.market.spec.venue.orders.market_deviation is not None:
        worst = _rules_of(product).market_limit(side, product.market.mark)
        limit = worst if worst > 0 else None
    taken: Taken = book.take_limited(side, lots, size, limit, top)
    return taken


def _rules_of(product: Product) -> OrderBounds:
    return OrderBounds(product.market.spec.venue.orders, product.contract.spec)


def _pieces(product: Product, lots: int, limit: float | None) -> list[int]:
    """An order at market in sizes that the venue takes."""
    most = _rules_of(product).lots_max(market=True) if limit is None else None
    side, left, pieces = 1 if lots > 0 else -1, abs(lots), []
    while left:
        piece = left if most is None else min(left, most)
        pieces.append(side * piece)
        left -= piece
        if len(pieces) == PIECES_MAX:
            break
    return pieces


def _refusal_of(product: Product, order: Order, piece: int, lots: int, held: int) -> str:
    """Why the venue does not take a piece of an order for ``lots``. One that only reduces may be
    worth little, one that closes the position may have any size."""
    closes = order.purpose == "close" or lots == -held
    only_reduces = lots * held < 0 and abs(lots) <= abs(held)
    found = _rules_of(product).refusal(
        piece,
        product.market.mark,
        order.limit,
        position=held,
        reduce_only=only_reduces,
    )
    return "" if found is None or (found == "too_small" and closes) else found


def _rest(product: Product, order: Order) -> None:
    """What its limit did not get waits at the end of that price's queue."""
    assert order.limit is not None
    market, side = product.market, 1 if order.left > 0 else -1
    ahead = market.ahead(side, order.limit)
    order.queue = Resting(side, order.limit, abs(order.left), ahead, ahead)
    order.arrives_ns = order.expires_ns
    market.resting.append((market.now_ns, product.number, order.number, product, order))
    market.resting.sort(key=lambda each: each[:3])
    product.say(
        OrderRested,
        order=order.number,
        lots=order.left,
        price=order.limit,
        ahead_lots=None if math.isinf(ahead) else ahead,
        expires_ns=order.expires_ns,
    )


def cancel(product: Product, order: Order, reason: str) -> None:
    """An order leaves its queue."""
    if order.queue is not None:
        _leave(product, order)
        product.say(OrderCancelled, order=order.number, lots=order.left, reason=reason)


def _leave(product: Product, order: Order) -> None:
    order.queue = None
    resting = product.market.resting
    product.market.resting = [each for each in resting if each[-1] is not order]


def strike(product: Product, order: Order, lots: int) -> None:
    """Somebody took so many lots of ours out of the queue."""
    side = 1 if order.left > 0 else -1
    may = abs(_bounded(product, order))
    filled = side * min(lots, may)
    if filled:
        assert order.limit is not None
        _fill(product, order, filled, order.limit, product.market.top()[0], maker=True)
    order.left -= filled
    if lots >= may and order.left:
        cancel(product, order, "reduce_only")
        order.left = 0
    elif not order.left:
        _leave(product, order)


def _bounded(product: Product, order: Order) -> int:
    """No order flips the sign of the exposure; a creation follows the basket, and a close leaves
    the coins alone."""
    held, lots, contract = product.holding.lots, order.left, product.contract
    if order.purpose in ("creation", "opening"):
        return lots
    if contract.inverse and order.purpose == "close":
        return lots
    if contract.inverse:
        held = contract.exposure_lots(product.holding.line()[1], product.market.mark)
    if held * (held + lots) >= 0:
        return lots
    if order.request is not None:
        order.lots = -held
    return -held


def _fill(
    product: Product, order: Order, lots: int, price: float, mid: float, *, maker: bool = False
) -> None:
    mark = product.market.mark
    hedge, impact, fee = product.holding.execute(lots, price, mid, mark, maker)
    order.cost += fee - impact
    product.say(
        OrderFilled,
        symbol=product.contract.spec.symbol,
        order=order.number,
        purpose=order.purpose,
        lots=lots,
        price=price,
        mid_price=mid,
        mark_price=mark,
        hedge_atoms=hedge,
        spread_impact_atoms=impact,
        fee_atoms=fee,
        maker=maker,
    )


def _try_again(product: Product, order: Order, reason: str) -> None:
    """What was not filled is sent again after a pause. A request's hedge has one attempt; a closing
    never gives up."""
    order.tries += 1
    over = order.request is not None or (order.tries >= TRIES_MAX and order.purpose != "close")
    if reason == "too_small" and order.left != order.lots and not order.owed:
        over = True
    pause = max(product.spec.hedge.retry_ns, MILLISECOND_NS)
    if over:
        order.arrives_ns = NEVER_NS
    elif not takes_turns(order) or product.market.stale:
        order.arrives_ns = product.market.now_ns + pause
    refused = reason not in (
        *("no_depth", "limit", "no_image", "crossed", "silent", "stale", "halted"),
        *("market_deviation", "pieces"),
    )
    if refused:
        order.limit = None
    product.say(
        OrderRejected if refused else OrderUnfilled,
        order=order.number,
        lots=order.left,
        retry_ns=0 if over else order.arrives_ns,
        reason=reason,
    )
    if over:
        order.left = 0


def ask(product: Product, request: Any, refusal: str | None, wait: str | None) -> None:
    """A request is refused, waits, or its hedge leaves."""
    refusal = refusal or _refusal(product, request)
    if refusal:
        refuse(product, request, refusal)
    elif wait:
        product.queue.append(request)
        product.say(RequestQueued, user=request.user, id=request.id, reason=wait)
    else:
        _send_hedge(product, request)


def refuse(product: Product, request: Any, reason: str) -> None:
    kind = CreationRefused if isinstance(request, CreationRequest) else RedemptionRefused
    product.say(kind, user=request.user, id=request.id, reason=reason)


def quote_of(product: Product, request: Any) -> int:
    """Quote atoms a creation pays."""
    return int(Fraction(repr(request.quote)) * 10 ** asset_decimals(product.contract.quote_asset))


def steps_of(request: Any) -> int:
    """Unit steps a redemption gives back."""
    return int(Fraction(repr(request.units)) * 10**8)


def _refusal(product: Product, request: Any) -> str | None:
    held = product.holding
    if isinstance(request, CreationRequest):
        units = quote_of(product, request) * held.units // held.nav(product.market.mark)
        return _size(product, units)
    user = product.users.index(request.user)
    if user is None:
        return "unknown_user"
    owned = product.owned[user] if user < len(product.owned) else 0
    if steps_of(request) <= 0:
        return "too_small"
    free = owned - product.pledged.get(user, 0)
    return None if steps_of(request) <= free else "insufficient_units"


def _size(product: Product, units: int) -> str | None:
    if units <= 0:
        return "too_small"
    return "too_large" if product.holding.units + units > UNITS_MAX else None


def _send_hedge(product: Product, request: Any) -> None:
    market, held = product.market, product.holding
    nav = held.nav(market.mark)
    if isinstance(request, CreationRequest):
        quote = quote_of(product, request)
        lots = _towards_zero(held.lots * quote, nav + _basket_cost(product))
        order = send(product, "creation", lots, request=request)
    else:
        user, units = product.users.index(request.user), steps_of(request)
        product.pledged[user] = product.pledged.get(user, 0) + units
        lots = -_towards_zero(held.lots * units, held.units)
        order = send(product, "redemption", lots, request=request)
    if order.arrives_ns <= market.now_ns:
        deal(product, order)
    if order.held or order.arrives_ns > market.now_ns:
        product.deals.append(order)


def _basket_cost(product: Product) -> int:
    """What trading the whole present basket would cost in spread and fee, quote atoms."""
    market, contract = product.market, product.contract
    mid, half_spread = market.top()
    if half_spread < 0.0:
        half_spread = market.spec.book.half_spread_bps * 1e-4
    cash = abs(contract.trade_cash(product.holding.lots, mid))
    fee = math.ceil(cash * Fraction(repr(contract.spec.taker_fee)))
    return contract.to_quote(fee + int(cash * half_spread), market.mark)


def deal(product: Product, order: Order) -> None:
    """The hedge of a request meets the book, and units are dealt at what it left."""
    mark, request, held = product.market.mark, order.request, product.holding
    nav = held.nav(mark)
    filled = meet_book(product, order)
    if order.held:
        return
    order.arrives_ns = product.market.now_ns
    cost = nav - held.nav(mark)
    whole = filled == order.lots
    if isinstance(request, CreationRequest):
        _create(product, request, nav, cost, Fraction(1) if whole else Fraction(filled, order.lots))
    else:
        _redeem(product, request, nav, cost, Fraction(1) if whole else Fraction(filled, order.lots))


def _create(product: Product, request: Any, nav: int, cost: int, share: Fraction) -> None:
    held, mark = product.holding, product.market.mark
    asked = quote_of(product, request)
    paid = int(asked * share)
    units = (paid - cost) * held.units // nav if nav > 0 else 0
    refusal = _size(product, units)
    if refusal:
        # The hedge is done: its cost is the requester's, as far as his money goes.
        units, paid = 0, min(max(cost, 0), paid)
        if not paid:
            refuse(product, request, refusal if share == 1 else "no_depth")
            return
    held.create(paid, units, mark)
    user = product.users.admit(request.user)
    product.seat_users()
    product.owned[user] += units
    product.changed.append(user)
    product.say(
        UnitsCreated,
        user=request.user,
        id=request.id,
        units=units,
        quote_atoms=paid,
        cost_atoms=cost,
        refund_atoms=asked - paid,
        nav_atoms=held.nav(mark),
        units_total=held.units,
        user_units=product.owned[user],
    )


def _redeem(product: Product, request: Any, nav: int, cost: int, share: Fraction) -> None:
    held, mark = product.holding, product.market.mark
    user = product.users.index(request.user)
    product.pledged[user] -= steps_of(request)
    units = int(steps_of(request) * share)
    quote = max(0, nav * units // held.units - cost) if nav > 0 else 0
    if units <= 0:
        refuse(product, request, "no_depth")
        return
    held.redeem(quote, units, mark)
    product.owned[user] -= units
    product.changed.append(user)
    product.say(
        UnitsRedeemed,
        user=request.user,
        id=request.id,
        units=units,
        quote_atoms=quote,
        cost_atoms=cost,
        nav_atoms=held.nav(mark),
        units_total=held.units,
        user_units=product.owned[user],
    )


def _towards_zero(over: int, under: int) -> int:
    return int(Fraction(over, under))
