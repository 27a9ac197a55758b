"""Who holds how many units of one product."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.account import Account
from engine.errors import InvariantError

if TYPE_CHECKING:
    from engine.users import Users

__all__ = ["Holders"]


class Holders:
    """One product's holders.

    Attributes:
        units: shape (users,), each user's units; grows when somebody new arrives.
        changed: whose units changed since somebody emptied it.
    """

    __slots__ = ("_digest", "_shared", "account", "changed", "units", "users")

    def __init__(self, account: Account, users: Users) -> None:
        self.account = account
        self.users = users
        self.units: np.ndarray[Any, np.dtype[np.int64]] = np.zeros(len(users), np.int64)
        self.changed: list[int] = []
        self._shared = False
        self._digest = b""

    def check(self) -> None:
        """Users' units are what the ledger says users have.

        Raises:
            InvariantError: naming the product and both sums.
        """
        product = self.account.spec.id
        kept = self.account.ledger.balance("user", f"{product}:units")
        own = int(np.add.reduce(self.units))
        if kept != own or (len(self.units) and int(self.units.min()) < 0):
            raise InvariantError(f"{product}: users hold {own} units, the ledger has {kept}")

    def shared_units(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """All users' units, for a record that keeps them: the next change makes a copy first."""
        self._shared = True
        return self.units

    def units_digest(self) -> bytes:
        """Hash of all users' units, worked out again only where they changed."""
        if not self._digest:
            self._digest = sha256(self.units.tobytes()).digest()
        return self._digest

    def _held(self, user: int) -> int:
        return int(self.units[user]) if user < len(self.units) else 0

    def _change(self, user: int, units: int) -> None:
        self._digest = b""
        if self._shared:
            self.units = self.units.copy()
            self._shared = False
        self.units[user] += units
        self.changed.append(user)

    def regroup(self, units: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Units were counted anew: these are everybody's now."""
        self.changed += np.flatnonzero(self.units).tolist()
        self.units, self._shared, self._digest = units, False, b""

    def _grow(self) -> None:
        missing = len(self.users) - len(self.units)
        if missing > 0:
            self._digest = b""
            self.units = np.concatenate([self.units, np.zeros(missing, np.int64)])
