"""Products that share a margin account: their orders meet each other before the book, and what the
venue takes from the account is theirs in shares."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.events import OrderFilled
from engine.venue.taking import Top
from engine.venue_events import OmnibusShared, OrdersCrossed
from tests.reference import desk

if TYPE_CHECKING:
    from tests.reference.market import Market
    from tests.reference.product import Product


def shares(wanted: list[int], amount: int) -> list[int]:
    """``amount`` in proportion, by largest remainder; ties by place."""
    exact = [Fraction(each * amount, sum(wanted)) for each in wanted]
    found = [int(each) for each in exact]
    places = sorted(range(len(wanted)), key=lambda place: found[place] - exact[place])
    for place in places[: amount - sum(found)]:
        found[place] += 1
    return found


def parts(amount: int, weights: list[int]) -> list[int]:
    """``amount`` in proportion, rounded one after the other."""
    ends = [amount * sum(weights[: n + 1]) // sum(weights) for n in range(len(weights))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def nets(product: Product) -> bool:
    return product.spec.hedge.account == "omnibus"


def share(one: Product, other: Product) -> bool:
    """Whether two products, or a product and itself, are behind one margin account."""
    if one is other or not nets(one) or not nets(other):
        return one is other
    name = one.spec.hedge.account_name
    same = name == other.spec.hedge.account_name
    return same and bool(name or one.market is other.market)


def of_account(market: Market, name: str) -> list[Product]:
    """The products of a market behind the omnibus account of a name; empty: the market's own."""
    own = [product for product in market.products if nets(product)]
    return [product for product in own if product.spec.hedge.account_name == name]


def net(market: Market, name: str) -> list[Product]:
    """Orders at market of one account that are due meet; who took part."""
    left: dict[Any, int] = {}
    for product in market.products:
        plan = product.plan
        due = plan is not None and plan.limit is None and plan.arrives_ns <= market.now_ns
        if (
            product in of_account(market, name)
            and due
            and not market.stale
            and not desk.takes_turns(plan)
        ):
            desk.resize(product, plan)
            lots = desk._bounded(product, plan)
            if lots and not desk.over_limit(product, plan, lots):
                left[product] = lots
    if len(left) < 2:
        return []
    for product in left:
        product.watch_high_water()
    _cross(market, left)
    reason = _meet_book(market, left, name)
    for product, lots in left.items():
        plan = product.plan
        plan.left = lots
        if lots:
            desk._try_again(product, plan, reason)
        product._filled(plan)
        product.look_again(plan)
    return list(left)


def _cross(market: Market, left: dict[Any, int]) -> None:
    bought = sum(lots for lots in left.values() if lots > 0)
    sold = -sum(lots for lots in left.values() if lots < 0)
    crossed, contract, mid = min(bought, sold), market.contract, market.top()[0]
    if not crossed:
        return
    legs: dict[Any, tuple[int, int]] = {}
    for side in (1, -1):
        own = [product for product, lots in left.items() if lots * side > 0]
        lots = shares([abs(left[product]) for product in own], crossed)
        cash = parts(side * contract.trade_cash(crossed, mid), lots)
        legs |= {p: (side * n, c) for p, n, c in zip(own, lots, cash, strict=True) if n}
    for product in left:
        if product in legs:
            lots, cash = legs[product]
            left[product] -= lots
            desk.note_trade(product)
            product.holding.book.cross(lots, cash, market.mark)
            product.say(
                OrderFilled,
                symbol=contract.spec.symbol,
                order=product.plan.number,
                purpose=product.plan.purpose,
                lots=lots,
                price=mid,
                mid_price=mid,
                mark_price=market.mark,
                hedge_atoms=cash,
                spread_impact_atoms=0,
                fee_atoms=0,
                crossed=True,
            )
    worth = [contract.exposure_value(crossed, price) for price in (mid, market.mark)]
    market.log.say(
        OrdersCrossed,
        symbol=contract.spec.symbol,
        lots=crossed,
        mid_price=mid,
        mark_price=market.mark,
        value_atoms=worth[0] - worth[1],
        orders=len(legs),
    )


def _meet_book(market: Market, left: dict[Any, int], name: str) -> str:
    """The rest goes to the book as one order of the account."""
    wanting = [product for product in left if left[product]]
    lots, reason = sum(left.values()), ""
    if not lots:
        return ""
    some = wanting[0]
    closes = all(product.plan.purpose == "close" for product in wanting)
    order = desk.Order(-1, "close" if closes else "rebalance", lots, lots, 0, 0)
    held = sum(product.holding.book.lots for product in of_account(market, name))
    mid, half_spread = market.top()
    filled: list[tuple[int, float]] = []
    refused = market.refuses(some, some.plan, lots, held)
    if refused:
        return refused
    for piece in desk._pieces(some, lots, None):
        reason = desk._refusal_of(some, order, piece, lots, held)
        if reason:
            break
        top = Top(mid, half_spread, market.now_ns)
        size, side = market.contract.quote_notional(piece, mid), 1 if piece > 0 else -1
        taken = desk._take(some, order, side, abs(piece), size, top)
        if taken.lots:
            filled.append((side * taken.lots, taken.price))
        reason = "market_deviation" if taken.reason == "limit" else taken.reason
        if reason:
            break
    for part, price in filled:
        own = shares([abs(left[product]) for product in wanting], abs(part))
        for product, share in zip(wanting, own, strict=True):
            if share:
                signed = share if part > 0 else -share
                left[product] -= signed
                desk._fill(product, product.plan, signed, price, mid)
    return reason or "pieces"


class Omnibus:
    """The margin account of all products of a market, or of several, that share one."""

    max_leverage, alone = 0.0, False

    def __init__(self, name: str, hedges: list[Any]) -> None:
        self.hedges = hedges
        self.name = f"omnibus:{name}"
        self.numbers = sorted({each.number for each in hedges})
        self.gave: list[tuple[Any, int]] = []

    def alive(self) -> list[Any]:
        return [each for each in self.hedges if each.product.status in ("active", "closing")]

    @property
    def cash(self) -> int:
        return sum(each.cash for each in self.alive())

    @property
    def withheld(self) -> int:
        return sum(each.withheld for each in self.alive())

    @property
    def topups(self) -> int:
        return sum(each.topups for each in self.hedges)

    @property
    def call_at(self) -> float:
        return max(each.call_at for each in self.hedges)

    def called(self, multiple: float) -> None:
        for each in self.alive():
            each.called(multiple)

    def credited(self) -> bool:
        return sum(each.credited() for each in self.alive()) > 0

    def positions(self) -> list[tuple[int, int, int]]:
        found = []
        for number in self.numbers:
            held = [e.product.holding.book for e in self.alive() if e.number == number]
            lots = sum(each.lots for each in held)
            if lots:
                found.append((number, lots, sum(each.cost for each in held)))
        return found

    def cancel_orders(self, _market: int) -> int:
        return sum(each.cancel_orders(each.number) for each in self.alive())

    def _lacking(self) -> list[int]:
        worth = [e.product.holding.book.margin(e.product.market.mark) for e in self.alive()]
        return [max(0, -each) for each in worth]

    def move(
        self, market: int, cause: Any, lots: int, cash: int, against: str, price: float
    ) -> None:
        own = [each for each in self.alive() if each.number == market]
        held = [each.product.holding.book.lots for each in own]
        net_side = -lots or sum(held)
        heavy = [abs(each) if each * net_side > 0 else 0 for each in held]
        owed = [max(0, -each.cash) for each in own]
        rules = [heavy, [abs(each) for each in held], owed]
        given = cash > 0 and not lots and not self.positions()
        if given and len(self.numbers) > 1:
            own, rules = self.alive(), [self._lacking()]
        weights = next((each for each in rules if any(each)), [1] * len(own))
        taken = shares(weights, abs(lots)) if lots else [0] * len(own)
        money = parts(cash, taken if lots else weights)
        side = 1 if lots > 0 else -1
        self.gave = [(each, side * part) for each, part in zip(own, taken, strict=True)]
        for (each, part), atoms in zip(self.gave, money, strict=True):
            if part or atoms:
                each.product.market.log.say(
                    OmnibusShared,
                    account=self.name,
                    symbol=each.product.contract.spec.symbol,
                    product=each.product.spec.id,
                    cause=cause.name.lower(),
                    lots=part,
                    cash_atoms=atoms,
                )
                each.move(each.number, cause, part, atoms, against, price)

    def deleveraged(
        self, market: int, _lots: int, price: float, rank: int, quantile: float
    ) -> None:
        for each, part in self.gave:
            if part:
                each.deleveraged(market, part, price, rank, quantile)
