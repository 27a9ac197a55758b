"""Orders of one product on their way to the book, and requests that deal at their own hedge
fills."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.events import (
    CancellationRefused,
    CancellationRequest,
    CreationRefused,
    CreationRequest,
    LevelDealt,
    OrderCancelled,
    OrderFilled,
    OrderHeld,
    OrderRejected,
    OrderRested,
    OrderSent,
    OrderUnfilled,
    RedemptionRefused,
    RequestCancelled,
    RequestQueued,
    UnitsCreated,
    UnitsRedeemed,
)
from engine.plans import NOW, LimitThenMarket, Now, Participate, Restrike, Twap
from engine.units import NEVER_NS, Rounding, asset_decimals
from engine.venue.order_rules import OrderBounds
from engine.venue.queue import Resting
from engine.venue.standing import Listing
from engine.venue.taking import Taken, Top
from engine.venue_events import TopUpArrived, TopUpFrozen, TopUpOrdered
from tests.reference import traded

if TYPE_CHECKING:
    from tests.reference.product import Product

TRIES_MAX = 1_000
PAUSES_MAX = 64
MOVE = 0.005
PIECES_MAX = 100
MILLISECOND_NS = 10**6
DAY_NS = 86_400 * 10**9
UNITS_MAX = 2**60
ATOMS_MAX = 2**60


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
    how: Any = None
    ends_ns: int = NEVER_NS
    part: int = 0
    owed: int = 0
    traded: int = 0
    seen: list[float] = field(default_factory=list)
    missed: str = ""
    limited: bool = False
    refused: int = 0
    refused_at: float = 0.0


def send(product: Product, purpose: str, lots: int, **decision: Any) -> Order:
    """An order leaves for the venue."""
    market, latency = product.market, latency_of(product)
    order = Order(
        product.sent, purpose, lots, lots, market.now_ns, market.now_ns + latency, **decision
    )
    product.sent += 1
    order.how = order.plan
    order.plan = plan_of(product, purpose, order.how)
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


def plan_of(product: Product, purpose: str, named: Any) -> Any:
    """How a decision is carried out."""
    if named is not None:
        return named
    return product.spec.hedge.plan if purpose in ("opening", "rebalance") else NOW


def _begin(product: Product, order: Order) -> None:
    """Where a plan puts its order, and when it is first due."""
    plan, market, lots = order.plan, product.market, abs(order.lots)
    if is_capped(product, order):
        side = 1 if order.lots > 0 else -1
        price = market.top()[0] * (1 + side * plan.slippage_bps * 1e-4)
        order.limit = _stepped(product, price, side)
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


def is_capped(product: Product, order: Order) -> bool:
    """Whether it trades up to some price, once."""
    return isinstance(order.plan, Now) and order.plan.slippage_bps > 0 and not product.formula


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
        order.left = _bounded(product, order)
        return 0
    side, price = 1 if order.left > 0 else -1, market.mark
    if isinstance(plan, Restrike):
        worst = max(order.seen) if side > 0 else min(order.seen)
        price = worst if plan.price == "worst" else sum(order.seen) / len(order.seen)
    wanted = product.contract.lots_for(order.target, held.nav(price), price)
    missing = side * (wanted - held.book.lots)
    if missing <= 0:
        _end(product, order)
        return 0
    if isinstance(plan, Restrike):
        order.lots = order.left = side * missing
    lots, left = min(missing, abs(order.left)), _bounded(product, order)
    if isinstance(plan, Twap):
        lots = min(lots, order.part + order.owed)
    elif isinstance(plan, Participate) and over:
        order.plan, lots = NOW, abs(order.left)
    elif isinstance(plan, Participate):
        lots = min(lots, math.floor(plan.share * order.traded) + order.owed)
    order.traded = 0
    lots = side * min(lots, abs(left))
    filled, reason = 0, over_limit(product, order, lots) if lots else ""
    if lots and not reason and isinstance(plan, Restrike):
        _fill(product, order, lots, price, market.top()[0])
        filled = lots
    elif lots and not reason:
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


def resize(product: Product, order: Order) -> None:
    """A tier refused it: what its target takes now, if that is any."""
    if not order.limited:
        return
    order.limited = False
    held, mark = product.holding, product.market.mark
    wanted = product.contract.lots_for(order.target, held.nav(mark), mark) - held.book.lots
    if wanted == 0 or (wanted > 0) != (order.left > 0):
        _end(product, order)
    else:
        order.lots, order.left = order.lots - order.left + wanted, wanted


def latency_of(product: Product) -> int:
    """From decision to book, at a venue that may be degraded."""
    return product.spec.hedge.latency_ns + product.market.trouble[0]


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
    resize(product, order)
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
    market, held = product.market, product.holding.book.lots
    filled = 0
    reason = over_limit(product, order, lots) if lots and order.request is None else ""
    reason = reason or (market.refuses(product, order, lots, held) if lots else "")
    for piece in _pieces(product, lots, order.limit) if not reason else ():
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
    waits = isinstance(plan, LimitThenMarket)
    if limit is not None and waits and plan.post_only:
        best = book.best(side, top)
        crosses = best is not None and (best <= limit if side > 0 else best >= limit)
        return Taken(0, reason="would_cross" if crosses else "limit")
    if limit is not None and waits and plan.time_in_force == "fok":
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


def is_too_small(product: Product, lots: int) -> bool:
    """Whether a market order of so many lots is too little for the venue."""
    held = product.holding.book.lots
    order = Order(0, "rebalance", lots, lots, 0, 0)
    piece = _pieces(product, lots, None)[0]
    return _refusal_of(product, order, piece, lots, held) == "too_small"


def _rest(product: Product, order: Order) -> None:
    """What its limit did not get waits at the end of that price's queue."""
    assert order.limit is not None
    market, side = product.market, 1 if order.left > 0 else -1
    ahead = market.ahead(side, order.limit)
    order.queue = Resting(side, order.limit, abs(order.left), ahead, ahead, 0.0, market.now_ns)
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
    held, lots, contract = product.holding.book.lots, order.left, product.contract
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


def note_trade(product: Product) -> None:
    """What is held before the trades of this instant."""
    if product.traded_at != product.market.now_ns:
        product.traded_at, product.lots_before = product.market.now_ns, product.holding.book.lots


def _fill(
    product: Product, order: Order, lots: int, price: float, mid: float, *, maker: bool = False
) -> None:
    mark = product.market.mark
    note_trade(product)
    hedge, impact, fee = product.holding.book.execute(lots, price, mid, mark, maker)
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
    """What was not filled is sent again after a pause, what is refused n times in a row after
    2 ** (n - 1) of them and no more than 64. A request's hedge has one attempt; a closing never
    gives up."""
    refused = reason not in (
        *("no_depth", "limit", "no_image", "crossed", "silent", "stale", "halted"),
        *("market_deviation", "pieces"),
    )
    pauses = 1
    if refused and reason not in ("refused", "reduce_only") and not takes_turns(order):
        order.refused += 1
        order.refused_at = product.market.mark
        pauses = min(2 ** min(order.refused - 1, 99), PAUSES_MAX)
    elif not refused:
        order.refused = 0
    order.tries += pauses
    over = order.request is not None or (order.tries >= TRIES_MAX and order.purpose != "close")
    rest = reason == "too_small" and order.left != order.lots
    if reason == "too_small" and not order.owed and (rest or not product.formula):
        over = True
    if over and not rest and not product.formula:
        order.missed = reason
    if is_capped(product, order):
        over, order.missed = True, ""
    pause = max(product.spec.hedge.retry_ns, MILLISECOND_NS)
    if over:
        order.arrives_ns = NEVER_NS
    elif not takes_turns(order) or product.market.stale:
        order.arrives_ns = product.market.now_ns + pauses * pause
    if reason == "risk_limit":
        order.limited = not product.formula and not takes_turns(order)
    if refused and reason not in ("refused", "reduce_only"):
        order.limit = None
    product.say(
        OrderRejected if refused else OrderUnfilled,
        order=order.number,
        lots=order.left,
        retry_ns=0 if over else order.arrives_ns,
        reason=reason,
        **({"nav_max_atoms": largest_nav(product, order.target)} if reason == "risk_limit" else {}),
    )
    if over:
        order.lots -= order.left if is_capped(product, order) else 0
        order.left = 0


def hurry(product: Product) -> bool:
    """The mark has moved since an order was refused: whether it is tried again at once."""
    plan, mark = product.plan, product.market.mark
    if plan is None or not plan.refused:
        return False
    if plan.refused_at * (1.0 - MOVE) < mark < plan.refused_at * (1.0 + MOVE):
        return False
    plan.refused, plan.arrives_ns = 0, product.market.now_ns
    return True


def ask(product: Product, request: Any, refusal: str | None) -> None:
    """A request comes: it is refused, waits, or its hedge leaves."""
    if getattr(request, "level", None) is not None:
        refusal = refusal or ("closed" if product.status == "closed" else None)
        refusal = refusal or _refusal(product, request)
        if refusal:
            refuse(product, request, refusal)
        else:
            product.orders.append(request)
            product.say(RequestQueued, user=request.user, id=request.id, reason="level")
        return
    terms, now = offering_of(product), product.market.now_ns
    taken, dealt = times_of(terms, now) if product.status == "active" else (now, now)
    if taken > now and terms.outside == "refuse":
        refusal = refusal or "outside_window"
    refusal = refusal or _refusal(product, request)
    if refusal:
        refuse(product, request, refusal)
    elif not _capped(product, request):
        wait = "rebalancing" if product.plan is not None else ""
        wait = "window" if taken > now else "batch" if dealt > now else wait
        if wait:
            product.queue.append((max(dealt, now), request))
            product.say(RequestQueued, user=request.user, id=request.id, reason=wait)
        else:
            _send_hedge(product, request)


def serve(product: Product, request: Any, refusal: str | None) -> None:
    """The time of a request that waited has come."""
    refusal = refusal or _refusal(product, request)
    if refusal:
        refuse(product, request, refusal)
    else:
        _send_hedge(product, request)


def offering_of(product: Product, at_ns: int | None = None) -> Any:
    """On what terms it is dealt now, or at an instant: the last rules that began."""
    terms, now = product.spec.terms, product.market.now_ns if at_ns is None else at_ns
    begun = [later for from_ns, later in terms.offerings if from_ns <= now]
    return [terms.offering, *begun][-1]


def times_of(terms: Any, now: int) -> tuple[int, int]:
    """When a request that comes now is taken, and when it is dealt: day by day, instant by
    instant."""
    taken = now
    if terms.opens_ns != terms.closes_ns:
        day = (now - terms.day_at_ns) // DAY_NS * DAY_NS + terms.day_at_ns
        length = (terms.closes_ns - terms.opens_ns) % DAY_NS
        openings = [day + terms.opens_ns + n * DAY_NS for n in (-1, 0, 1)]
        if not any(opens <= now < opens + length for opens in openings):
            taken = min(opens for opens in openings if opens > now)
    if not terms.batch_ns:
        return taken, taken
    batches = math.floor(Fraction(taken - terms.batch_at_ns, terms.batch_ns))
    return taken, terms.batch_at_ns + (batches + 1) * terms.batch_ns


def _capped(product: Product, request: Any) -> bool:
    """Whether a request is beyond what may be taken on one day; else it counts."""
    terms, creates = offering_of(product), isinstance(request, CreationRequest)
    day = math.floor(Fraction(product.market.now_ns - terms.day_at_ns, DAY_NS))
    day = day * DAY_NS + terms.day_at_ns
    nav = product.holding.nav(product.market.mark)
    worth = steps_of(request) * nav // product.holding.units if not creates else 0
    quote = quote_of(product, request) if creates else worth
    today = [each for each in product.taken if each[:2] == (day, creates)]
    users = sum(each[3] for each in today if each[2] == request.user)
    caps = (
        ("request_cap", terms.request_max, 0),
        ("user_cap", terms.user_day_max, users),
        ("day_cap", terms.day_max, sum(each[3] for each in today)),
    )
    for reason, most, used in caps:
        if most and used + quote > most:
            refuse(product, request, reason, f"{most - used} quote atoms are left")
            return True
    if terms.user_day_max or terms.day_max:
        product.taken.append((day, creates, request.user, quote))
    return False


def refusal_of(request: Any) -> Any:
    """What is said where it is refused."""
    if isinstance(request, CancellationRequest):
        return CancellationRefused
    return CreationRefused if isinstance(request, CreationRequest) else RedemptionRefused


def take_back(product: Product, request: Any) -> None:
    """A user wants what he asked for no more."""
    waiting = [each for _, each in product.queue] + product.orders
    theirs = [each for each in waiting if each.id == request.request]
    mine = [each for each in theirs if each.user == request.user]
    if not mine:
        why = "not_yours" if theirs else "not_waiting"
        refuse(product, request, why, f"request {request.request}")
        return
    product.queue = [each for each in product.queue if each[1] is not mine[0]]
    product.orders = [each for each in product.orders if each is not mine[0]]
    product.say(RequestCancelled, user=request.user, id=request.request, cancellation=request.id)


def refuse(product: Product, request: Any, reason: str, detail: str = "") -> None:
    kind = refusal_of(request)
    fits = f"a NAV of {largest_nav(product)} atoms fits" if reason == "risk_limit" else detail
    product.say(kind, user=request.user, id=request.id, reason=reason, detail=fits)
    if not isinstance(request, CancellationRequest):
        traded.turn_away(product, request, reason)


def quote_of(product: Product, request: Any) -> int:
    """Quote atoms a creation pays."""
    return int(Fraction(repr(request.quote)) * 10 ** asset_decimals(product.contract.quote_asset))


def steps_of(request: Any) -> int:
    """Unit steps a redemption gives back."""
    return int(Fraction(repr(request.units)) * 10**8)


def _refusal(product: Product, request: Any) -> str | None:
    held = product.holding
    if isinstance(request, CreationRequest):
        quote, nav = quote_of(product, request), held.nav(product.market.mark)
        if nav + quote > largest_nav(product):
            return "risk_limit"
        if 0 < offering_of(product).nav_max < nav + quote:
            return "nav_cap"
        if quote < product.spec.terms.least_quote:
            return "too_small"
        units = (quote - _fee_of(product, quote, 0)) * held.units // nav
        return _size(product, units) or _countless(product, quote)
    user = product.users.index(request.user)
    if user is None:
        return "unknown_user"
    owned = product.owned[user] if user < len(product.owned) else 0
    nav = held.nav(product.market.mark)
    least = product.spec.terms.least_quote
    if steps_of(request) <= 0 or steps_of(request) * nav // max(held.units, 1) < least:
        return "too_small"
    free = owned - product.pledged.get(user, 0)
    return None if steps_of(request) <= free else "insufficient_units"


def _size(product: Product, units: int) -> str | None:
    if units <= 0:
        return "too_small"
    if 0 < offering_of(product).units_max < product.holding.units + units:
        return "units_cap"
    return "too_large" if product.holding.units + units > UNITS_MAX else None


def _countless(product: Product, quote: int) -> str | None:
    """With so much more, and what others are about to pay, NAV, lots and cash grow in
    proportion."""
    held = product.holding
    nav, book = held.nav(product.market.mark), held.book
    others = [each.request for each in product.deals if isinstance(each.request, CreationRequest)]
    coming = quote + sum(quote_of(product, each) for each in others)
    grown = Fraction(nav + coming, nav)
    counted = (nav, abs(book.lots), abs(book.cash + book.treasury))
    return "too_large" if max(counted) * grown > ATOMS_MAX else None


def _send_hedge(product: Product, request: Any) -> None:
    market, held = product.market, product.holding
    nav = held.nav(market.mark)
    if isinstance(request, CreationRequest):
        quote = quote_of(product, request)
        quote -= _fee_of(product, quote, 0)
        cost = 0 if product.formula else basket_cost(product)
        lots = _towards_zero(held.book.lots * quote, nav + cost)
        order = send(product, "creation", lots, request=request)
    else:
        user, units = product.users.index(request.user), steps_of(request)
        product.pledged[user] = product.pledged.get(user, 0) + units
        lots = -_towards_zero(held.book.lots * units, held.units)
        order = send(product, "redemption", lots, request=request)
    if order.arrives_ns <= market.now_ns:
        deal(product, order)
    if order.held or order.arrives_ns > market.now_ns:
        product.deals.append(order)


def basket_cost(product: Product) -> int:
    """What trading the whole present basket would cost in spread and fee, quote atoms."""
    market, contract = product.market, product.contract
    mid, half_spread = market.top()
    if half_spread < 0.0:
        half_spread = market.spec.book.half_spread_bps * 1e-4
    cash = abs(contract.trade_cash(product.holding.book.lots, mid))
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
    whole = filled == order.lots or product.formula
    if isinstance(request, CreationRequest):
        _create(product, order, nav, cost, Fraction(1) if whole else Fraction(filled, order.lots))
    else:
        _redeem(product, order, nav, cost, Fraction(1) if whole else Fraction(filled, order.lots))


def _create(product: Product, order: Order, nav: int, cost: int, share: Fraction) -> None:
    held, mark, request = product.holding, product.market.mark, order.request
    asked = quote_of(product, request)
    dealt = int(asked * share)
    fee = _fee_of(product, dealt, 0)
    paid = dealt - fee
    units = (paid - cost) * held.units // nav if nav > 0 else 0
    refusal = _size(product, units)
    if refusal:
        # The hedge is done: its cost is the requester's, as far as his money goes.
        units, paid, fee = 0, min(max(cost, 0), dealt), 0
        if not paid:
            refuse(product, request, refusal if share == 1 else order.missed or "no_depth")
            return
    coins = held.create(paid, units, mark)
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
        refund_atoms=asked - paid - fee,
        nav_atoms=held.nav(mark),
        units_total=held.units,
        user_units=product.owned[user],
        fee_atoms=fee,
        coin_atoms=coins,
    )
    traded.dealt(product)


def _fee_of(product: Product, quote: int, which: int) -> int:
    """The issuer's part of a creation (0) or a redemption (1)."""
    return math.ceil(quote * Fraction(repr(fee_rate(product, which))))


def fee_rate(product: Product, which: int) -> float:
    """What the issuer keeps of a creation (0) or a redemption (1), as a share."""
    terms = product.spec.terms
    rates = [(terms.create_fee, terms.redeem_fee)]
    rates += [each[1:] for each in terms.dealing_fees if each[0] <= product.market.now_ns]
    rate: float = rates[-1][which]
    return rate


def _redeem(product: Product, order: Order, nav: int, cost: int, share: Fraction) -> None:
    held, mark, request = product.holding, product.market.mark, order.request
    user = product.users.index(request.user)
    product.pledged[user] -= steps_of(request)
    units = int(steps_of(request) * share)
    quote = max(0, nav * units // held.units - cost) if nav > 0 else 0
    if units <= 0:
        refuse(product, request, order.missed or "no_depth")
        return
    coins = held.redeem(quote, units, mark)
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
        fee_atoms=_fee_of(product, quote, 1),
        coin_atoms=coins,
    )
    if request.level is not None:
        product.say(
            LevelDealt,
            user=request.user,
            id=request.id,
            level=request.level,
            price_per_unit=quote
            * 10**8
            / units
            / 10 ** asset_decimals(product.contract.quote_asset),
            units=units,
        )
    traded.dealt(product)


def _towards_zero(over: int, under: int) -> int:
    return int(Fraction(over, under))


# Risk limits --------------------------------------------------------------------------------------


def largest_nav(product: Product, target: float | None = None) -> Any:
    """The largest NAV whose hedge fits the tiers at its far edges, and at a target."""
    listing, contract, mark = listing_of(product), product.contract, product.market.mark
    if listing is None or product.spec.edges is None:
        return math.inf
    edges = list(product.spec.edges)
    if target is not None:
        held = abs(target - 1) if contract.inverse else abs(target)
        edges.append((held, held))
    found = [math.inf]
    for share, leverage in edges:
        most = listing.table.largest_notional(leverage)
        if most is not None and share:
            coins = contract.inverse and product.market.spec.venue.margin.caps_in != "quote"
            found.append(int((contract.to_quote(most, mark) if coins else most) / share))
    return min(found)


def over_limit(product: Product, order: Order, lots: int) -> str:
    """Why the venue would not have so large a position, or not with so little margin."""
    held = product.holding.book.lots
    if abs(held + lots) <= abs(held):
        return ""
    if product.holding.nav(product.market.mark) > largest_nav(product, order.target):
        return "risk_limit"
    listing, inverse = listing_of(product), product.contract.inverse
    if listing is not None and product.spec.edges is not None:
        most = listing.table.largest_notional(abs(order.target - (1 if inverse else 0)))
        size = listing.size(held + lots, product.market.mark)
        if most is not None and size > most:
            return "risk_limit"
    return "" if covers(product, lots) else "no_margin"


# Top-ups ------------------------------------------------------------------------------------------


def listing_of(product: Product) -> Listing | None:
    """How the venue lists what the product holds, where it asks for margin."""
    rules = product.market.spec.venue
    return Listing(product.contract, rules) if rules.margin.tiers else None


def backed(product: Product) -> bool:
    """Whether its margin may be topped up."""
    spec = product.spec
    return product.formula or (spec.kind == "fund" and spec.hedge.margin_share < 1)


def withheld(product: Product) -> int:
    """What of its collateral the venue does not count."""
    return lost(product.holding.book)


def lost(book: Any) -> int:
    """The haircut of what was paid in, and won or lost for good."""
    return max(0, math.ceil(Fraction(repr(book.spec.hedge.haircut)) * (book.cash + book.cost)))


def covers(product: Product, lots: int) -> bool:
    """Whether the margin at the venue is enough to trade; else more of it is ordered."""
    listing, mark = listing_of(product), product.market.mark
    shares = product.spec.hedge.account == "omnibus"
    sharers = [each for each in product.sharers if each.status in ("active", "closing")]
    beside = sum(each.holding.book.lots for each in sharers if each.market is product.market)
    held = beside if shares else product.holding.book.lots
    if (
        listing is None
        or not (shares or backed(product) or product.spec.hedge.haircut)
        or abs(held + lots) <= abs(held)
    ):
        return True
    margin = sum(
        each.holding.book.margin(each.market.mark) - lost(each.holding.book) for each in sharers
    )
    net = {product.market: lots}
    for each in sharers:
        net[each.market] = net.get(each.market, 0) + each.holding.book.lots
    asked = [
        Listing(market.contract, market.spec.venue).opening(more, market.mark)
        for market, more in net.items()
        if more and market.spec.venue.margin.tiers
    ]
    if margin >= sum(asked):
        return True
    top_up(product, 2 * listing.opening(product.holding.book.lots + lots, mark))
    return False


def called(product: Product, multiple: float) -> bool:
    """The margin came down to a multiple of maintenance; whether more was ordered."""
    listing, held = listing_of(product), product.holding.book
    if listing is None or not backed(product):
        return False
    needed = listing.maintenance(held.lots, held.cost, product.market.mark)
    return top_up(product, math.ceil(2 * needed * Fraction(repr(multiple))))


def top_up(product: Product, least: int) -> bool:
    """Order what brings the margin to its share of equity and to ``least``; whether any."""
    market, held = product.market, product.holding.book
    margin = held.margin(market.mark)
    share = math.ceil((margin + held.treasury) * held.share)
    kept = 1 - Fraction(repr(product.spec.hedge.haircut))
    atoms = max(share - margin, math.ceil((least - margin + lost(held)) / kept))
    if not product.formula:
        atoms = min(atoms, held.treasury)
    if product.topup is not None or atoms <= 0:
        return False
    due = market.now_ns + product.spec.hedge.topup_latency_ns
    product.topup = (atoms, due, due)
    product.say(
        TopUpOrdered,
        atoms=atoms,
        arrives_ns=due,
        margin_atoms=margin,
        treasury_atoms=held.treasury,
    )
    freeze(product)
    return True


def freeze(product: Product) -> None:
    """A top-up under way arrives when it is due, and not while withdrawals are frozen."""
    if product.topup is None:
        return
    atoms, due, arrives = product.topup
    later = max(due, product.market.frozen_ns, product.market.now_ns)
    if later > arrives:
        product.say(TopUpFrozen, atoms=atoms, until_ns=later)
    product.topup = (atoms, due, later)


def topped_up(product: Product) -> None:
    """The money is there."""
    held = product.holding.book
    own = max(0, product.topup[0] - held.treasury) if product.formula else 0
    atoms = held.deposit(product.topup[0], product.market.mark)
    product.topup = None
    if product.plan is not None and product.plan.refused:
        product.plan.refused, product.plan.arrives_ns = 0, product.market.now_ns
    product.say(
        TopUpArrived,
        atoms=atoms,
        margin_atoms=held.margin(product.market.mark),
        treasury_atoms=held.treasury,
        issuer_atoms=own,
    )
