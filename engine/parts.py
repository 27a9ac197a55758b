"""What an engine is made of: ledger, agenda of alarms, markets, products, users, and their wiring.

Built from the specification alone; what changes later is the parts' own state.
"""

from __future__ import annotations

from functools import partial

from engine.account import Account
from engine.agenda import Agenda, Priority
from engine.dealing import Dealing
from engine.errors import ConfigError
from engine.execution import Desk
from engine.felt_market import FeltMarket
from engine.formula import FormulaAccount
from engine.handler import Handler
from engine.handler_state import ACTIVE, CLOSING
from engine.ledger import Cause, Ledger
from engine.margins import Margins
from engine.market import Market, MarketSpec
from engine.orders import Scene
from engine.outputs import Tape
from engine.priced_market import PricedMarket
from engine.router import Router
from engine.sampler import Sampler
from engine.spec import EngineSpec, EngineState
from engine.users import Users
from engine.venue.contract import Contract

__all__ = ["Parts"]


class Parts:
    """Everything that one engine holds, wired together."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.state = EngineState(rejected={}, requests={}, commands={})
        self.ledger = Ledger()
        self.users = Users(spec.population, spec.users)
        self.tape = Tape()
        self.agenda = Agenda()
        self.markets: list[Market] = []
        self.handlers: list[Handler] = []
        self.by_id: dict[str, tuple[int, int]] = {}
        for number, market in enumerate(spec.markets):
            self.markets.append(self._market(number, market))
        self._share()
        # Markets in which orders may rest, found anew at each step.
        self.restless: list[int] = []
        self.priced = [market for market in self.markets if isinstance(market, PricedMarket)]
        """Those whose venue makes prices of its own."""
        self._alarms = [
            [
                ((Priority.FILL, n, p), (Priority.FEE, n, p), (Priority.POLICY, n, p))
                for p in range(len(market.handlers))
            ]
            for n, market in enumerate(self.markets)
        ]
        margined = any(market.venue.margin.tiers for market in spec.markets)
        self.margins: Margins | None = None
        """The venue's risk desk; none where no market asks for margin."""
        if margined:
            self.margins = Margins(self.markets, spec.traders, self.ledger, spec.seed, spec.crowds)
        elif spec.traders or spec.crowds:
            raise ConfigError(
                "traders and populations need a market that asks for margin: it has no tiers"
            )
        self.router = Router(self.markets, len(spec.symbols), self.agenda)
        self.sampler = Sampler(spec.sampling, self.markets)
        if self.margins is not None:
            self.margins.watch.sample = self._sample

    def _share(self) -> None:
        """Products behind one omnibus account know of each other."""
        shared: dict[tuple[str, int], list[tuple[Market, list[Handler]]]] = {}
        for number, market in enumerate(self.markets):
            for name in dict.fromkeys(h.spec.hedge.account_name for h in market.handlers if h.nets):
                own = [handler for handler in market.handlers if handler.spec.hedge.shares(name)]
                shared.setdefault((name, -1 if name else number), []).append((market, own))
        for account in shared.values():
            for _, own in account:
                for handler in own:
                    handler.desk.treasury.peers = partial(_books, account)

    def _sample(self) -> int:
        """From which sample on what changes now holds."""
        return self.sampler.sample_at(self.tape.ts_ns)

    def _market(self, number: int, spec: MarketSpec) -> Market:
        contract, ledger = Contract(spec.contract), self.ledger
        fund = ledger.open("insurance", spec.contract.quote)
        payer = ledger.open("clearing", spec.contract.quote)
        if spec.insurance_atoms:
            ledger.post(Cause.INSURANCE, payer, fund, spec.insurance_atoms)
        handlers: list[Handler] = []
        products = [n for n, p in enumerate(self.spec.products) if p.market == number]
        for place, product in enumerate(products):
            terms = self.spec.products[product]
            if terms.id in self.by_id:
                raise ConfigError(f"product {terms.id} is configured twice")
            kind = FormulaAccount if terms.terms.promised else Account
            account = kind(terms, contract, ledger)
            dealing = Dealing(account, Desk(account, place), self.users)
            handlers.append(Handler(place, account, self.spec.policies[product], dealing))
            self.by_id[terms.id] = (number, place)
        self.handlers.extend(handlers)
        of_kind = PricedMarket if spec.pricing is not None and handlers else Market
        of_kind = FeltMarket if spec.impact is not None and handlers else of_kind
        return of_kind(spec, handlers, products, self.tape, self.spec.seed)


def _books(shared: list[tuple[Market, list[Handler]]]) -> list[tuple[Scene, list[Account]]]:
    """Of the products behind an omnibus account, by market; one that is closed has its money
    back."""
    return [
        (market, [each.account.book for each in own if each.state.status in (ACTIVE, CLOSING)])
        for market, own in shared
    ]
