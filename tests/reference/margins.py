"""The venue's risk desk, asked at every price: it knows no edges, it looks at everybody.

The rules (steps, fund, ranking) are the venue's own modules; who is looked at, and when, is said
here a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.events import OrderFilled
from engine.ledger import Cause, Ledger
from engine.units import MINUTE_NS, NEVER_NS
from engine.venue.accounts import TraderAccount, Traders, cost_after
from engine.venue.adl_queue import holders
from engine.venue.deleveraging import Deleverager
from engine.venue.desk import Venue
from engine.venue.funding import funding_payment
from engine.venue.held import Held, candidates
from engine.venue.insurance import fund_of
from engine.venue.liquidation import Liquidator
from engine.venue.ranking import scores
from engine.venue.standing import Listing, standing_of
from engine.venue.taking import Top
from engine.venue_events import HedgeAutoDeleveraged, HedgeLiquidated, TradersFunded
from tests.reference import desk
from tests.reference.crowd import Crowd, Pool
from tests.reference.netting import Omnibus, nets

if TYPE_CHECKING:
    from engine.engine import EngineSpec
    from tests.reference.market import Market
    from tests.reference.product import Product

PARTS = {
    Cause.LIQUIDATION: "liquidation",
    Cause.LIQUIDATION_FEE: "liquidation",
    Cause.INSURANCE: "insurance",
    Cause.ADL: "adl",
    Cause.SOCIALISED: "adl",
    Cause.REVALUATION: "collateral",
    Cause.DEFAULT: "collateral",
}


class Floor:
    """A market of the reference as the venue's rules see it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.tape, self.book = market.log, market.book

    @property
    def ts_ns(self) -> int:
        return self.market.now_ns

    @property
    def mark(self) -> float:
        return self.market.mark

    @property
    def stale(self) -> bool:
        return bool(self.market.stale)

    def top(self) -> Top:
        return Top(*self.market.top(), self.ts_ns)

    def previous_mark(self) -> float:
        return self.market.previous


class Fund:
    """The insurance fund of a settlement asset; that of quote money is shared with the products'
    deficits."""

    def __init__(self, funds: dict[str, int], asset: str, state: Any) -> None:
        self.funds, self.asset, self.state = funds, asset, state

    @property
    def balance(self) -> int:
        return self.funds.get(self.asset, 0)

    def available(self, ts_ns: int) -> int:
        return int(self.state.available(self.balance, ts_ns))

    def changed(self, delta: int, ts_ns: int) -> None:
        before = self.balance
        self.funds[self.asset] = before + delta
        self.state.changed(before, ts_ns)


class Hedge:
    """A product's hedge as a margin account."""

    max_leverage = 0.0

    def __init__(self, number: int, product: Product) -> None:
        self.number, self.product = number, product
        self.name = f"product:{product.spec.id}"
        self.alone = product.spec.kind == "futures"
        self.touched = False
        self.seized = 0  # lots that the venue moved
        self.before: float | None = None
        self.effect = 0  # of what was moved last, on NAV

    @property
    def cash(self) -> int:
        return self.product.holding.book.cash

    @property
    def withheld(self) -> int:
        return desk.withheld(self.product)

    def positions(self) -> list[tuple[int, int, int]]:
        held, alive = self.product.holding.book, self.product.status in ("active", "closing")
        return [(self.number, held.lots, held.cost)] if alive and held.lots else []

    @property
    def topups(self) -> int:
        return self.product.holding.book.topups

    @property
    def call_at(self) -> float:
        return self.product.spec.hedge.topup_at if desk.backed(self.product) else 0.0

    def called(self, multiple: float) -> None:
        ordered = desk.called(self.product, multiple)
        self.touched = self.touched or ordered

    def credited(self) -> bool:
        product = self.product
        if product.topup is None or product.topup[2] > product.market.now_ns:
            return False
        product.watch_high_water()
        desk.topped_up(product)
        product.traded = self.touched = True
        return True

    def cancel_orders(self, _market: int, reason: str = "liquidated") -> int:
        product = self.product
        orders = len(product.deals) + (product.plan is not None)
        if product.plan is not None:
            desk.cancel(product, product.plan, reason)
        product.plan = None
        for deal in product.deals:
            if deal.purpose == "redemption":
                user = product.users.index(deal.request.user)
                product.pledged[user] -= desk.steps_of(deal.request)
            desk.refuse(product, deal.request, reason)
        product.deals = []
        self.touched = self.touched or orders > 0
        return orders

    def _leverage(self) -> float | None:
        intercept, slope = self.product.holding.book.line()
        exposure = slope * self.product.market.mark
        nav = intercept + exposure
        return exposure / nav if nav > 0.0 else None

    def move(
        self, _market: int, cause: Cause, lots: int, cash: int, against: str, price: float
    ) -> None:
        product, held = self.product, self.product.holding.book
        market, contract = product.market, product.contract
        mark = market.mark
        product.watch_high_water()
        self.before = self._leverage()
        held.close_segment(mark)
        nav = held.nav(mark)
        held.cost = cost_after(held.lots, held.cost, lots, cash) if lots else held.cost
        held.lots += lots
        self.seized += lots
        held.cash += cash
        effect = self.effect = held.nav(mark) - nav
        held.parts[PARTS[cause]] += effect
        product.traded = self.touched = True
        if not lots:
            return
        mid = market.top()[0] if against == "book" else mark
        at_mid = contract.trade_cash(lots, mid)
        product.say(
            OrderFilled,
            symbol=contract.spec.symbol,
            order=product.sent,
            purpose=cause.name.lower(),
            lots=lots,
            price=price,
            mid_price=mid,
            mark_price=mark,
            hedge_atoms=at_mid,
            spread_impact_atoms=cash - at_mid,
            fee_atoms=0,
        )
        product.sent += 1
        if cause is Cause.LIQUIDATION:
            product.rehedge |= product.formula and product.status == "active"
            product.say(
                HedgeLiquidated,
                lots=lots,
                position_lots=held.lots,
                mark_price=mark,
                leverage_before=self.before,
                leverage_after=self._leverage(),
                nav_effect_atoms=effect,
            )

    def deleveraged(
        self, _market: int, lots: int, price: float, rank: int, quantile: float
    ) -> None:
        product = self.product
        product.rehedge = product.status == "active"
        product.say(
            HedgeAutoDeleveraged,
            lots=lots,
            price=price,
            mark_price=product.market.mark,
            rank=rank,
            quantile=quantile,
            position_lots=product.holding.book.lots,
            leverage_before=self.before,
            leverage_after=self._leverage(),
            nav_effect_atoms=self.effect,
        )


def _account_name(hedge: Hedge) -> str:
    """Of the omnibus account that it is behind, else empty."""
    product = hedge.product
    return (
        (product.spec.hedge.account_name or product.contract.spec.symbol) if nets(product) else ""
    )


class Margins:
    """Everybody's margin."""

    def __init__(self, spec: EngineSpec, markets: list[Market], funds: dict[str, int]) -> None:
        self.markets, self.funds = markets, funds
        self.on = any(market.spec.venue.margin.tiers for market in markets)
        contracts = [market.contract for market in markets]
        self.ledger = Ledger()
        self.traders = Traders(spec.traders, contracts, self.ledger)
        kept: dict[str, Fund] = {}
        venues: list[Any] = []
        for market in markets:
            asset, rules = market.contract.settlement_asset, market.spec.venue
            if asset not in kept:
                kept[asset] = Fund(funds, asset, fund_of(rules.insurance, 0))
            fund: Any = kept[asset]
            floor: Any = Floor(market)
            venues.append(Venue(Listing(market.contract, rules), fund, floor))
        self.desk = Liquidator(venues, {}, {})
        self.hedges: list[Hedge] = []
        self.others = [TraderAccount(self.traders, each) for each in self.traders.accounts]
        self.crowds = [Crowd(each, self.desk) for each in spec.crowds]
        self.seed = spec.seed
        self.look_ns = NEVER_NS
        self.launched: set[int] = set()
        self.own: dict[str, Any] = {}  # what each did itself: lots by market, top-ups

    def admit(self, products: list[Product]) -> None:
        """The products' hedges, in the order of their markets."""
        for number, market in enumerate(self.markets):
            for product in products:
                kind = product.spec.kind
                if (
                    product.market is market
                    and market.spec.venue.margin.tiers
                    and kind not in ("spot", "margin_loan")
                ):
                    self.hedges.append(Hedge(number, product))
        accounts: list[Any] = []
        for hedge in self.hedges:
            name = _account_name(hedge)
            shared = [each for each in self.hedges if _account_name(each) == name]
            if not name:
                accounts.append(hedge)
            elif hedge is shared[0]:
                accounts.append(Omnibus(name, shared))
        self.accounts = accounts
        pools = [pool for crowd in self.crowds for pool in crowd.pools.values()]
        self.everybody: list[Any] = [*accounts, *self.others, *pools]
        crowds: Any = self.crowds
        self.deleverager = Deleverager(self.desk, self.everybody, self.seed, crowds)

    def launch(self, number: int) -> None:
        """The first price: an inverse market's fund becomes coins."""
        if number in self.launched:
            return
        self.launched.add(number)
        market = self.markets[number]
        contract, quote = market.contract, market.spec.insurance_atoms
        if contract.inverse and quote and market.spec.venue.margin.tiers:
            coin = contract.settlement_asset
            self.funds[contract.quote_asset] -= quote
            coins = contract.to_settlement(quote, market.mark)
            self.funds[coin] = self.funds.get(coin, 0) + coins
        for crowd in self.crowds:
            if crowd.spec.market == number and not crowd.waits:
                crowd.open()
        for other in self.others:
            if other.trader.holding(number) is not None:
                self._acts(other.name, market)
        self._look_if_short(self.others)
        self._look_at_crowds()

    def revalued(self, number: int) -> None:
        """What the other customers of a market have there is worth more or less."""
        own = [each for each in self.others if each.trader.holding(number) is not None]
        self._look_if_short(own)
        self._look_at_crowds()

    def gathered(self, number: int, crowd: Crowd) -> None:
        """A population opened later than at the first price."""
        self._acts(crowd.name, self.markets[number])
        self._look_at_crowds()

    def _acts(self, name: str, market: Market) -> None:
        """An owner did something himself."""
        self.desk.acting.known[name] = (market.log.ts_ns, (), 0)

    def account_of(self, product: Product) -> Any:
        """Behind a product; none where the venue asks for no margin."""
        for account in self.accounts:
            if any(hedge.product is product for hedge in getattr(account, "hedges", [account])):
                return account
        return None

    def queue(self, number: int, side: int) -> list[str]:
        """Who holds a side (+1 long), accounts first, then a population's rows; the first is closed
        first."""
        desk = self.desk
        found: list[Any] = [
            each for each, _, _ in holders(desk, self.deleverager.accounts, number, side)
        ]
        crowds = [crowd for crowd in self.crowds if crowd.spec.market == number]
        found += [each for crowd in crowds for each in crowd.positions if each.lots * side > 0]
        ranked = candidates(
            desk.listings, number, Held.of(found, number), dict(enumerate(desk.marks()))
        )
        scored = scores(desk.listings[number].rules.adl.ranking, ranked).tolist()
        places = sorted(range(len(found)), key=lambda place: -scored[place])
        return [found[place].name for place in places]

    def standing(self) -> tuple[Any, ...]:
        """What everybody has, and who is in liquidation."""
        rows = [each for crowd in self.crowds for each in crowd.positions]
        accounts = [(each.cash, tuple(each.positions())) for each in [*self.everybody, *rows]]
        return tuple(accounts), tuple(self.desk.stages)

    def next_ns(self) -> int:
        """When to look again, whatever the prices do."""
        steps = [stage.resumes_ns for stage in self.desk.stages.values() if stage.resumes_ns]
        return min([self.look_ns, *steps])

    def changed(self, product: Product) -> None:
        """A product's account changed by its own doing; where it holds other lots of a market than
        before, but for what the venue took, or has more top-ups, its owner did that."""
        account = self.account_of(product)
        if account is not None:
            hedges = getattr(account, "hedges", [account])
            lots = {hedge.number: 0 for hedge in hedges}
            for market, held, _ in account.positions():
                lots[market] += held
            for hedge in hedges:
                lots[hedge.number] -= hedge.seized
            own = lots, account.topups
            if self.own.get(account.name) != own:
                self.own[account.name] = own
                self._acts(account.name, product.market)
        self._look_if_short(
            [
                each
                for each in self.accounts
                if any(hedge.product is product for hedge in getattr(each, "hedges", [each]))
            ]
        )

    def _look_if_short(self, accounts: list[Any]) -> None:
        """Short accounts are looked at still at this instant."""
        marks = self.desk.marks()
        for account in accounts:
            held = [position for position in account.positions() if position[1]]
            stage = self.desk.stages.get(account.name)
            if not held or not all(marks[m] > 0.0 for m, _, _ in held):
                continue
            if stage is not None and stage.resumes_ns:
                continue
            stand = standing_of(account, self.desk.listings, marks)
            near = stage is None and self.desk.is_near(account, stand)
            if near or any(self.desk.is_short(stand, m) for m, _, _ in held):
                self.look_ns = self.markets[held[0][0]].log.ts_ns

    def _look_at_crowds(self) -> None:
        for crowd in self.crowds:
            if crowd.short():
                self.look_ns = self.markets[crowd.spec.market].log.ts_ns

    def at_price(self, number: int, sequence: int) -> list[Product]:
        """A price of a market: everybody who holds something there, but for those whose next step
        is an alarm."""
        stages = self.desk.stages
        if number not in self.launched:
            return []
        return self._review(
            [
                account
                for account in self.everybody
                if any(m == number and lots for m, lots, _ in account.positions())
                and not (account.name in stages and stages[account.name].resumes_ns)
            ],
            sequence,
        )

    def at_alarm(self, sequence: int) -> list[Product]:
        """A step that is due, or an account that became short without a price."""
        self.look_ns = NEVER_NS
        return self._review(self.everybody, sequence)

    def _review(self, accounts: list[Any], sequence: int) -> list[Product]:
        if not self.on:
            return []
        self.desk.moved.clear()
        unpaid = self.desk.review([each for each in accounts if not isinstance(each, Pool)])
        swept = [each for crowd in self.crowds for each in crowd.sweep()]
        filled = [each.account for each in swept]
        pools = [each for each in accounts if isinstance(each, Pool) and each not in filled]
        unpaid += [*swept, *self.desk.review(pools)]
        called_on = {each.market for each in unpaid}
        late = [
            account
            for account in self.everybody
            if account not in accounts
            and account not in filled
            and any(m in called_on and lots for m, lots, _ in account.positions())
        ]
        self.deleverager.settle([*unpaid, *self.desk.review(late)], sequence)
        for crowd in self.crowds:
            ts_ns = crowd.venue.floor.ts_ns
            if crowd.swept_ns == ts_ns and ts_ns // MINUTE_NS > crowd.told_ns // MINUTE_NS:
                crowd.ratio()
        self._look_if_short(list(self.desk.moved.values()))
        self._look_at_crowds()
        touched = [hedge.product for hedge in self.hedges if hedge.touched]
        for hedge in self.hedges:
            hedge.touched = False
        return touched

    def fund(self, number: int, rate: float) -> None:
        """Funding of the other customers."""
        market = self.markets[number]
        contract, paid, index = market.contract, [], market.funding_index()
        if number not in self.launched:
            return
        for crowd in self.crowds:
            if crowd.spec.market == number:
                crowd.fund(rate, index)
        for trader in self.traders.accounts:
            held = trader.holding(number)
            if held is not None and held.lots:
                size = contract.notional(held.lots, index or market.mark)
                paid.append((trader, funding_payment(size, 1 if held.lots > 0 else -1, rate)))
        if paid:
            self.traders.pay_funding(number, paid)
            market.log.say(
                TradersFunded,
                symbol=contract.spec.symbol,
                rate=rate,
                mark_price=market.mark,
                accounts=len(paid),
                paid_atoms=sum(atoms for _, atoms in paid),
                index_price=index,
            )
            self._look_if_short([a for a in self.others if a.trader.holding(number) is not None])
        self._look_at_crowds()
