"""Orders of an omnibus account that reach the book in the same instant meet each other first.

What is bought and sold is crossed at mid, without spread or fee: the smaller side whole, the larger
in proportion to its orders, by largest remainder. The net rest goes to the book as one order; each
fill is shared in proportion to what each order still wants, by largest remainder, all at one price,
and each pays the fee on its own lots. In a market without fresh prices nothing is crossed, and
hedges of users' requests, which deal at their own fills, stand aside, as do orders with a limit and
those that are carried out in turns.
"""

from __future__ import annotations

from engine.admission import meet_venue
from engine.execution import Desk
from engine.handler import Handler
from engine.market import Market
from engine.orders import Order
from engine.units import split, total
from engine.venue.sharing import integer_shares
from engine.venue_events import OrdersCrossed

__all__ = ["net"]


class _Wish:
    """One order that takes part: signed lots that it still wants."""

    def __init__(self, place: int, handler: Handler, order: Order, lots: int) -> None:
        self.place = place
        self.handler = handler
        self.order = order
        self.left = lots

    @property
    def desk(self) -> Desk:
        return self.handler.desk


def net(market: Market, account: str) -> list[int]:
    """Let the due orders of an omnibus account meet in a market, then the book; the places of the
    products that took part, none where no two were due.

    Args:
        account: its name; empty for that of the market.
    """
    own = [each for each in market.handlers if each.spec.hedge.shares(account)]
    wishes = [] if market.stale else _due(market, own)
    if len(wishes) < 2:
        return []
    for wish in wishes:
        wish.handler.keep_high_water(market)
    _cross(market, wishes)
    reason = _meet(market, wishes, total(handler.account.lots for handler in own))
    for wish in wishes:
        wish.order.left = wish.left
        if wish.left:
            wish.desk.retry(market, wish.order, reason)
        wish.handler.netted(market, wish.order)
    return [wish.place for wish in wishes]


def _due(market: Market, own: list[Handler]) -> list[_Wish]:
    found = []
    for handler in own:
        order = handler.desk.state.plan
        if order is None or order.kind != "market" or order.course:
            continue
        if order.arrives_ns > market.ts_ns:
            continue
        desk, held = handler.desk, handler.account.lots
        if order.limited:
            desk.resize(market, order)
        lots = desk.bounded(order, held, market.mark)
        if lots and not desk.over_limit(market, order, lots, held):
            found.append(_Wish(desk.place, handler, order, lots))
    return found


def _cross(market: Market, wishes: list[_Wish]) -> None:
    bought = total(max(wish.left, 0) for wish in wishes)
    crossed = min(bought, bought - total(wish.left for wish in wishes))
    if not crossed:
        return
    contract, mid, mark = market.contract, market.top().mid, market.mark
    parts = {wish.place: 0 for wish in wishes}
    money = dict(parts)
    for side in (1, -1):
        own = [wish for wish in wishes if wish.left * side > 0]
        shares = integer_shares([abs(wish.left) for wish in own], crossed)
        cash = side * contract.trade_cash(crossed, mid)
        for wish, lots, part in zip(own, shares, split(cash, shares), strict=True):
            parts[wish.place], money[wish.place] = side * lots, part
    for wish in wishes:
        if parts[wish.place]:
            wish.left -= parts[wish.place]
            wish.desk.cross(market, wish.order, parts[wish.place], money[wish.place], mid)
    market.tape.say(
        OrdersCrossed,
        symbol=contract.spec.symbol,
        lots=crossed,
        mid_price=mid,
        mark_price=mark,
        value_atoms=contract.exposure_value(crossed, mid) - contract.exposure_value(crossed, mark),
        orders=total(1 for lots in parts.values() if lots),
    )


def _meet(market: Market, wishes: list[_Wish], held: int) -> str:
    """The net rest meets the book, of an account that holds so many lots; why there is a rest of
    it."""
    lots = total(wish.left for wish in wishes)
    if not lots:
        return ""
    wanting = [wish for wish in wishes if wish.left]
    closes = all(wish.order.purpose == "close" for wish in wanting)
    # The account's order is known by the first of those that it stands for.
    number, place, ts_ns = wanting[0].order.number, wanting[0].place, market.ts_ns
    order = Order(number, "close" if closes else "rebalance", lots, lots, ts_ns, ts_ns)
    top = market.top()
    fills, reason = meet_venue(market, market.contract, order, lots, held, top, place)
    for part, price in fills:
        shares = integer_shares([abs(wish.left) for wish in wanting], abs(part))
        for wish, share in zip(wanting, shares, strict=True):
            if share:
                own = share if part > 0 else -share
                wish.left -= own
                wish.desk.book(market, wish.order, own, price, top.mid)
    return reason
