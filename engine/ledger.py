"""One double-entry ledger in integers: everything owned is a balance, everything that happens a
balanced transfer.

An account is ``(owner, asset)``. Money, perp lots and product units are all assets, so a hedge is
an exchange of cash against lots and a creation one of cash against units. A transfer moves one
amount of one asset between two accounts and bears its cause; the sum over all accounts of an asset
is zero after every transfer, because there is no other way to change a balance. ``check`` proves it
by a full scan at snapshots.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from engine.errors import InvariantError

__all__ = ["CAUSES", "Cause", "Ledger", "TradeWay"]


class Cause(IntEnum):
    """Why a balance changed."""

    HEDGE = 0
    SPREAD_IMPACT = 1
    TAKER_FEE = 2
    MAKER_FEE = 3
    FUNDING = 4
    MANAGEMENT_FEE = 5
    CREATION = 6
    REDEMPTION = 7
    CREATE_FEE = 8
    REDEEM_FEE = 9
    LIQUIDATION = 10
    LIQUIDATION_FEE = 11
    ADL = 12
    SOCIALISED = 13
    INSURANCE = 14
    ISSUER = 15
    INTEREST = 16
    SPLIT = 17
    ROUNDING = 18
    MARGIN = 19
    REVALUATION = 20
    DEFAULT = 21


CAUSES: Final = len(Cause)

Way = tuple[int, int]
"""The accounts of one side of a trade: lots, cash."""
TradeWay = tuple[int, int, int, int, int]
"""The other side's lots and cash, our own, and who has the fee."""


class Ledger:
    """Balances of all owners, in the smallest unit of each asset."""

    __slots__ = ("_assets", "_ids", "_made", "_posted", "_taken", "asset_of", "balances")

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._assets: dict[str, int] = {}
        self.balances: list[int] = []
        self.asset_of: list[int] = []
        self._posted = [0] * CAUSES
        self._taken = self._made = 0

    def open(self, owner: str, asset: str) -> int:
        """The number of the account ``(owner, asset)``, opened empty if it is new."""
        number = self._ids.get((owner, asset))
        if number is None:
            number = self._ids[owner, asset] = len(self.balances)
            self.balances.append(0)
            self.asset_of.append(self._assets.setdefault(asset, len(self._assets)))
        return number

    def post(self, cause: Cause, source: int, target: int, amount: int) -> None:
        """Move ``amount`` from one account to another of the same asset; negative moves it back.

        Raises:
            InvariantError: if the accounts are of different assets: money would appear from
                nowhere.
        """
        self._check_assets(cause, source, target)
        balances = self.balances
        balances[source] -= amount
        balances[target] += amount
        self._posted[cause] += 1

    @property
    def transfers(self) -> list[int]:
        """How many transfers each cause made."""
        transfers, taken, made = list(self._posted), self._taken, self._made
        transfers[Cause.HEDGE] += 2 * (taken + made)
        transfers[Cause.SPREAD_IMPACT] += taken + made
        transfers[Cause.TAKER_FEE] += taken
        transfers[Cause.MAKER_FEE] += made
        return transfers

    def trade_way(self, seller: Way, account: Way, fees: int) -> TradeWay:
        """Between whom ``trade`` will move what: ``(lots, cash)`` of the other side and of our own.

        Raises:
            InvariantError: if their assets differ, as in ``post``.
        """
        self._check_assets(Cause.HEDGE, seller[0], account[0])
        self._check_assets(Cause.HEDGE, seller[1], account[1])
        self._check_assets(Cause.TAKER_FEE, account[1], fees)
        return (*seller, *account, fees)

    def trade(
        self,
        way: TradeWay,
        lots: int,
        cash: int,
        fee: int,
        *,
        maker: bool = False,
    ) -> None:
        """The four transfers of a fill at once: ``lots`` and ``cash`` (at mid as hedge, the rest as
        impact) to our own side, and the ``fee``, a taker's or a maker's, paid from it."""
        balances = self.balances
        book_lots, book_cash, own_lots, own_cash, fees = way
        balances[book_lots] -= lots
        balances[own_lots] += lots
        balances[book_cash] -= cash
        balances[own_cash] += cash - fee
        balances[fees] += fee
        if maker:
            self._made += 1
        else:
            self._taken += 1

    def _check_assets(self, cause: Cause, source: int, target: int) -> None:
        if self.asset_of[source] != self.asset_of[target]:
            raise InvariantError(
                f"{cause.name}: account {source} and account {target} are not of one asset"
            )

    def balance(self, owner: str, asset: str) -> int:
        """What an owner has of an asset; 0 where there is no account."""
        number = self._ids.get((owner, asset))
        return 0 if number is None else self.balances[number]

    def accounts(self) -> list[tuple[str, str, int]]:
        """``(owner, asset, balance)`` of every account, in the order of opening."""
        return [(o, a, self.balances[n]) for (o, a), n in self._ids.items()]

    def check(self) -> None:
        """Full scan: every asset sums to zero.

        Raises:
            InvariantError: naming the asset and its sum.
        """
        sums = [0] * len(self._assets)
        for asset, balance in zip(self.asset_of, self.balances, strict=True):
            sums[asset] += balance
        for name, number in self._assets.items():
            if sums[number]:
                raise InvariantError(f"ledger: {name} sums to {sums[number]}, not to zero")

    def load(self, accounts: list[tuple[str, str, int]], transfers: list[int]) -> None:
        """Take over the balances of a snapshot; accounts it does not know are opened."""
        for owner, asset, balance in accounts:
            self.balances[self.open(owner, asset)] = balance
        self._posted, self._taken, self._made = list(transfers), 0, 0
        self.check()
