"""Margin accounts: who has what at stake at the venue.

An account has cash in one settlement asset and positions, cross-margined: its equity is the cash
(after what its positions cost) and their value. An isolated position is an account of its own. A
product's hedge is an account like any other; so are the venue's other customers, the *traders*,
who hold what they hold until the venue closes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from engine.errors import ConfigError, InvariantError
from engine.ledger import Cause, Ledger
from engine.venue.contract import Contract

__all__ = [
    "Holding",
    "PositionSpec",
    "Trader",
    "TraderAccount",
    "TraderSpec",
    "Traders",
    "cost_after",
]


class PositionSpec(Struct, frozen=True, kw_only=True):
    """A position at the start: ``lots`` signed, long positive, bought or sold at ``entry``."""

    market: int
    lots: int
    entry: float


class TraderSpec(Struct, frozen=True, kw_only=True):
    """Another customer of the venue.

    Attributes:
        id: its name.
        wallet_atoms: what it paid in, settlement atoms: its equity while every mark is at its
            entry.
        positions: at most one a market, all of one settlement asset.
        max_leverage: what it chose; 0 where it chose none.
    """

    id: str
    wallet_atoms: int
    positions: tuple[PositionSpec, ...]
    max_leverage: float = 0.0


class Holding(Struct):
    """A position: signed lots, and what they cost in settlement atoms (a short's cost is
    negative, as it was paid for)."""

    market: int
    lots: int
    cost: int


class Trader(Struct):
    """A customer's account: ``cash`` in settlement atoms, after what its positions cost."""

    id: str
    cash: int
    holdings: list[Holding]
    max_leverage: float = 0.0

    def holding(self, market: int) -> Holding | None:
        """Its position in a market, if it has one."""
        for held in self.holdings:
            if held.market == market:
                return held
        return None


def cost_after(held: int, cost: int, lots: int, cash: int) -> int:
    """What a position cost after ``lots`` more moved ``cash`` (negative where they were paid for).

    Adding adds what was paid; closing takes the closed share of the cost with it, rounded down;
    what turns the position round cost its own share of the trade.
    """
    after = held + lots
    if held == 0 or (held > 0) == (lots > 0):
        return cost - cash
    if (after > 0) == (held > 0):
        return cost * after // held
    return -cash * after // lots


class TraderAccount:
    """A trader's account as ``Margined``."""

    __slots__ = ("_traders", "name", "trader")
    alone = False
    withheld = 0
    topups = 0
    call_at = 0.0

    def __init__(self, traders: Traders, trader: Trader) -> None:
        self._traders = traders
        self.trader = trader
        self.name = f"trader:{trader.id}"

    @property
    def cash(self) -> int:
        return self.trader.cash

    @property
    def max_leverage(self) -> float:
        return self.trader.max_leverage

    def positions(self) -> list[tuple[int, int, int]]:
        return [(held.market, held.lots, held.cost) for held in self.trader.holdings]

    def called(self, _multiple: float) -> None:
        """He has no more."""

    def credited(self) -> bool:
        return False

    def cancel_orders(self, _market: int) -> int:
        return 0

    def move(
        self, market: int, cause: Cause, lots: int, cash: int, against: str, _price: float
    ) -> None:
        self._traders.move(self.trader, market, cause, lots, cash, against)

    def deleveraged(self, *_: float) -> None:
        """He holds what he holds."""


class Traders:
    """The venue's other customers. In the ledger they are one owner; each one's share is here."""

    __slots__ = ("_cash", "_counter", "_ledger", "_lots", "accounts", "contracts")

    def __init__(
        self, specs: Sequence[TraderSpec], contracts: Sequence[Contract], ledger: Ledger
    ) -> None:
        self.contracts = contracts
        self.accounts: list[Trader] = []
        self._ledger = ledger
        self._cash: dict[str, int] = {}
        self._lots: dict[int, int] = {}
        self._counter: dict[tuple[str, str], int] = {}
        for spec in specs:
            self._admit(spec)

    def __len__(self) -> int:
        return len(self.accounts)

    def _admit(self, spec: TraderSpec) -> None:
        assets = {self.contracts[p.market].settlement_asset for p in spec.positions}
        markets = {p.market for p in spec.positions}
        if len(assets) != 1 or len(markets) != len(spec.positions):
            raise ConfigError(
                f"trader {spec.id}: needs one position or more, one a market, and all of one "
                f"settlement asset; was {sorted(assets)}"
            )
        fault = _fault(spec)
        if fault:
            raise ConfigError(f"trader {spec.id}: {fault}")
        trader = Trader(spec.id, 0, [], spec.max_leverage)
        self.accounts.append(trader)
        asset = assets.pop()
        self._post(trader, asset, Cause.CREATION, spec.wallet_atoms, "clearing")
        for position in spec.positions:
            cash = self.contracts[position.market].trade_cash(position.lots, position.entry)
            self.move(trader, position.market, Cause.HEDGE, position.lots, cash, "book")

    def move(
        self, trader: Trader, market: int, cause: Cause, lots: int, cash: int, against: str
    ) -> None:
        """Lots and cash come (negative: go), against ``book``, ``clearing`` or ``insurance``."""
        contract = self.contracts[market]
        self._post(trader, contract.settlement_asset, cause, cash, _owner(against, contract))
        if lots:
            mine = self._lots.get(market)
            asset = f"{contract.spec.symbol}:lots"
            if mine is None:
                mine = self._lots[market] = self._ledger.open("traders", asset)
            self._ledger.post(cause, self._other(_owner(against, contract), asset), mine, lots)
            _hold(trader, market, lots, cash)

    def _post(self, trader: Trader, asset: str, cause: Cause, cash: int, owner: str) -> None:
        mine = self._cash.get(asset)
        if mine is None:
            mine = self._cash[asset] = self._ledger.open("traders", asset)
        self._ledger.post(cause, self._other(owner, asset), mine, cash)
        trader.cash += cash

    def _other(self, owner: str, asset: str) -> int:
        number = self._counter.get((owner, asset))
        if number is None:
            number = self._counter[owner, asset] = self._ledger.open(owner, asset)
        return number

    def pay_funding(self, market: int, paid: Sequence[tuple[Trader, int]]) -> None:
        """Funding at its instant: each pays his amount (negative: receives)."""
        contract = self.contracts[market]
        owner = f"funding:{contract.spec.symbol}"
        for trader, atoms in paid:
            self._post(trader, contract.settlement_asset, Cause.FUNDING, -atoms, owner)

    def check(self) -> None:
        """Each one's share adds up to what the ledger says they have.

        Raises:
            InvariantError: naming the asset and both sums.
        """
        cash = dict.fromkeys(self._cash, 0)
        lots = dict.fromkeys(self._lots, 0)
        for trader in self.accounts:
            asset = None
            for held in trader.holdings:
                asset = self.contracts[held.market].settlement_asset
                lots[held.market] += held.lots
            if asset is not None:
                cash[asset] += trader.cash
        for asset, total in cash.items():
            kept = self._ledger.balances[self._cash[asset]]
            if kept != total:
                raise InvariantError(f"traders have {total} {asset}, the ledger {kept}")
        for market, total in lots.items():
            kept = self._ledger.balances[self._lots[market]]
            if kept != total:
                symbol = self.contracts[market].spec.symbol
                raise InvariantError(f"traders have {total} lots of {symbol}, the ledger {kept}")


def _fault(spec: TraderSpec) -> str | None:
    """What cannot be about a trader's numbers; NaN is no number."""
    if type(spec.wallet_atoms) is not int or spec.wallet_atoms <= 0:
        return f"wallet_atoms must be a whole number > 0, was {spec.wallet_atoms}"
    if not 0.0 <= spec.max_leverage < math.inf:
        return f"max_leverage must be finite and >= 0, was {spec.max_leverage}"
    for position in spec.positions:
        if type(position.lots) is not int or position.lots == 0:
            return f"lots must be a whole number and not 0, were {position.lots}"
        if not 0.0 < position.entry < math.inf:
            return f"entry must be finite and > 0, was {position.entry}"
    return None


def _owner(against: str, contract: Contract) -> str:
    return f"book:{contract.spec.symbol}" if against == "book" else against


def _hold(trader: Trader, market: int, lots: int, cash: int) -> None:
    held = trader.holding(market)
    if held is None:
        held = Holding(market, 0, 0)
        trader.holdings.append(held)
    held.cost = cost_after(held.lots, held.cost, lots, cash)
    held.lots += lots
