"""The venue's risk desk within the engine: it is woken like a product, reviews the accounts that
may be short, and hands what it did to the products it did it to.

All liquidations of an instant come before its deleveragings, and both before any policy is asked.
A price liquidates at its row. Where that calls on counterparties, whoever else is due at that very
instant (a pause or a retry that is over) is liquidated first, on the prices of that row; where it
does not, he waits for the last row of the instant. A price of a later row of the same instant is
an input of its own: what it liquidates comes after what the rows before it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.errors import ConfigError, InvariantError
from engine.hedge_account import HedgeAccount
from engine.ledger import Cause, Ledger
from engine.margin_watch import MarginWatch
from engine.margins_state import MarginsState
from engine.market import Market
from engine.omnibus import accounts_behind
from engine.units import total
from engine.venue.accounts import TraderAccount, Traders, TraderSpec
from engine.venue.contract import Contract
from engine.venue.crowd import CrowdSpec, CrowdState, Pool
from engine.venue.crowds import Crowds
from engine.venue.deleveraging import Deleverager
from engine.venue.desk import Fund, Venue
from engine.venue.funding import funding_payment
from engine.venue.insurance import fund_of
from engine.venue.liquidation import Liquidator
from engine.venue.margined import Margined
from engine.venue.standing import Listing, opening_fault
from engine.venue_events import TradersFunded

__all__ = ["Margins"]


class Margins:
    """All margin accounts of one engine."""

    def __init__(
        self,
        markets: Sequence[Market],
        traders: Sequence[TraderSpec],
        ledger: Ledger,
        seed: int,
        crowds: Sequence[CrowdSpec] = (),
    ) -> None:
        self.markets = markets
        contracts = [market.contract for market in markets]
        self.traders = Traders(traders, contracts, ledger)
        self.state = MarginsState(traders=self.traders.accounts)
        self._ledger = ledger
        self._funds: dict[str, Fund] = {}
        venues = [self._venue(market) for market in markets]
        self.desk = Liquidator(venues, self.state.stages, self.state.called)
        self.desk.acting.known = self.state.acted
        self.desk.parted = self.state.parted
        for spec in traders:
            fault = opening_fault(spec, self.desk.listings)
            if fault:
                raise ConfigError(f"trader {spec.id}: {fault[1]}")
        self.hedges = {
            (number, place): HedgeAccount(number, place, handler, market)
            for number, market in enumerate(markets)
            if market.spec.venue.margin.tiers
            for place, handler in enumerate(market.handlers)
            if handler.spec.kind not in ("spot", "margin_loan")
        }
        for hedge in self.hedges.values():
            hedge.account.margined = True
        others = [TraderAccount(self.traders, trader) for trader in self.traders.accounts]
        self._by_market = [
            [other for other in others if other.trader.holding(number) is not None]
            for number in range(len(markets))
        ]
        self.behind = accounts_behind(self.hedges)
        accounts: list[tuple[Margined, Sequence[int]]] = [
            (account, account.markets) for account in dict.fromkeys(self.behind.values())
        ]
        accounts += [(each, [held.market for held in each.trader.holdings]) for each in others]
        self.crowds = Crowds(crowds, self.desk, ledger)
        accounts += [(pool, (pool.market,)) for pool in self.crowds.pools()]
        self.joint = any(len(account.markets) > 1 for account in self.behind.values())
        self.crosses = any(len(of) > 1 for _, of in accounts)
        """Whether a hedge account, and whether any, depends on the prices of several markets."""
        self.watch = MarginWatch(self.desk, accounts)
        self.deleverager = Deleverager(self.desk, self.watch.accounts, seed, self.crowds.all)
        self._queue()

    def _queue(self) -> None:
        """Each hedge's place in its market's queue is followed."""
        for number, market in enumerate(self.markets):
            own = [self.behind.get((number, place)) for place in range(len(market.handlers))]
            market.places = self.watch.queue(number, own, self.crowds.of(number))

    def _venue(self, market: Market) -> Venue:
        contract, rules = market.contract, market.spec.venue
        asset = contract.settlement_asset
        fund = self._funds.get(asset)
        if fund is None:
            state = self.state.funds[asset] = fund_of(rules.insurance, 0)
            fund = self._funds[asset] = Fund(self._ledger, asset, state)
        return Venue(Listing(contract, rules), fund, market)

    # The first price --------------------------------------------------------------------------

    def launch(self, number: int) -> bool:
        """A market has its first price: a fund that was paid in as quote becomes coins, and its
        traders are watched. Whether the venue must look at any of them."""
        if number in self.state.launched:
            return False
        self.state.launched.append(number)
        market = self.markets[number]
        contract, quote = market.contract, market.spec.insurance_atoms
        if contract.inverse and quote and market.spec.venue.margin.tiers:
            coins = contract.to_settlement(quote, market.mark)
            asset = contract.quote_asset
            self._exchange(asset, quote, contract.settlement_asset, coins)
        if market.places is not None:
            market.places.start()
        due = [self.watch.arm(other) for other in self._by_market[number]]
        self.crowds.open(number)
        self.watch.follow_crowds()
        crowds = self.crowds.of(number)
        names = [each.name for each in self._by_market[number]] + [each.name for each in crowds]
        self.desk.acting.opened(names, market.tape.ts_ns)
        self.guard(number)
        return any(due) or self.crowds.are_short()

    def _exchange(self, quote: str, paid: int, coin: str, got: int) -> None:
        ledger = self._ledger
        fund, clearing = ledger.open("insurance", quote), ledger.open("clearing", quote)
        ledger.post(Cause.INSURANCE, fund, clearing, paid)
        fund, clearing = ledger.open("insurance", coin), ledger.open("clearing", coin)
        ledger.post(Cause.INSURANCE, clearing, fund, got)

    # Watching ---------------------------------------------------------------------------------

    def traded(self, number: int, place: int) -> bool:
        """A product's account changed; whether the venue must look at it now."""
        account = self.behind.get((number, place))
        if account is None:
            return False
        self.desk.acting.changed(account, self.markets[number].tape.ts_ns)
        due = self.watch.arm(account)
        self.guard(number)
        return due

    def guard(self, number: int) -> None:
        """Tell a market between which marks nobody is short there; every market, where accounts
        depend on several."""
        for each in range(len(self.markets)) if self.crosses else (number,):
            self.markets[each].guard = self.crowds.within(each, *self.watch.bounds(each))

    def breached(self, number: int, price: float) -> list[Margined] | None:
        """Who may be short at a price of a market, rows of crowds apart; ``None``: nobody."""
        low, high = self.markets[number].guard
        return None if low < price < high else self.watch.breached(number, price)

    def review(
        self, accounts: Iterable[Margined], sequence: int
    ) -> tuple[list[tuple[int, int]], int]:
        """Look at accounts and do what is to be done.

        Returns:
            The products that were touched, ``(market, place)`` in declared order, and when the
            desk must look again: 0 for at once.
        """
        desk, seen = self.desk, list(accounts)
        desk.moved.clear()
        pools = [account for account in seen if isinstance(account, Pool)]
        unpaid = desk.review([account for account in seen if not isinstance(account, Pool)])
        swept = self.crowds.sweep()
        filled = [each.account for each in swept]
        unpaid += swept + desk.review([pool for pool in pools if pool not in filled])
        if unpaid:
            beside = self.watch.due_beside(seen, unpaid)
            seen += beside
            unpaid += desk.review(beside)
        self.deleverager.settle(unpaid, sequence)
        self.crowds.tell_ratios()
        self.watch.follow_crowds()
        at_once = False
        for account in seen:
            self.watch.arm(account)
        desk.acting.seized(desk.moved.values())
        for account in desk.moved.values():
            at_once = self.watch.arm(account) or at_once
        at_once = at_once or self.crowds.are_short()
        for number in range(len(self.markets)):
            self.guard(number)
        touched = []
        for place, hedge in self.hedges.items():
            if hedge.touched:
                hedge.touched = False
                touched.append(place)
        return touched, 0 if at_once else self.watch.next_step_ns()

    # Funding ----------------------------------------------------------------------------------

    def others(self, number: int) -> list[TraderAccount]:
        """The other customers who have held something in a market."""
        return self._by_market[number]

    def fund_traders(self, number: int, rate: float) -> bool:
        """Funding of the other customers at its instant, once there is a price; whether the venue
        must look at any."""
        if number not in self.state.launched:
            return False
        market = self.markets[number]
        contract: Contract = market.contract
        paid, index = [], market.funding_index()
        for other in self._by_market[number]:
            held = other.trader.holding(number)
            assert held is not None
            if held.lots:
                side = 1 if held.lots > 0 else -1
                size = contract.notional(held.lots, index or market.mark)
                paid.append((other.trader, funding_payment(size, side, rate)))
        funded = self.crowds.fund(number, rate, index)
        self.watch.follow_crowds()
        if not paid and not funded:
            return False
        if paid:
            self.traders.pay_funding(number, paid)
            market.tape.say(
                TradersFunded,
                symbol=contract.spec.symbol,
                rate=rate,
                mark_price=market.mark,
                accounts=len(paid),
                paid_atoms=total(atoms for _, atoms in paid),
                index_price=index,
            )
        due = [self.watch.arm(other) for other in self._by_market[number]]
        self.guard(number)
        return any(due) or self.crowds.are_short()

    def check(self) -> None:
        """Traders' shares are what the ledger says; a position's cost is none where none is held.

        Raises:
            InvariantError: naming the account.
        """
        self.traders.check()
        self.crowds.check()
        for hedge in self.hedges.values():
            if not hedge.account.lots and hedge.account.state.cost:
                raise InvariantError(f"{hedge.name}: a cost of {hedge.account.state.cost}, no lots")

    # Snapshot ---------------------------------------------------------------------------------

    def resume(self, state: MarginsState) -> None:
        """Go on where a snapshot was taken."""
        self.desk.stages.update(state.stages)
        self.desk.called.update(state.called)
        self.desk.acting.known.update(state.acted)
        self.desk.parted.update(state.parted)
        self.state.launched = state.launched
        for trader, known in zip(self.traders.accounts, state.traders, strict=True):
            trader.cash, trader.holdings = known.cash, known.holdings
        for asset, fund in state.funds.items():
            self._funds[asset].state = self.state.funds[asset] = fund
        for account in self.watch.accounts:
            self.watch.arm(account)
        for number in range(len(self.markets)):
            self.guard(number)

    def resume_crowds(self, states: Sequence[CrowdState]) -> None:
        """Populations go on where a snapshot was taken."""
        self.crowds.resume(states)
        self.watch.follow_crowds()
