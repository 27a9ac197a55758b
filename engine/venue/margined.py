"""What margin, liquidation and deleveraging see of an account, whoever owns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.ledger import Cause

__all__ = ["Lots", "Margined", "held_by", "lots_of"]

Lots = tuple[tuple[int, int], ...]
"""``(market, signed lots)`` of each market in which an account holds something, ascending."""


def lots_of(positions: Sequence[tuple[int, int, int]]) -> Lots:
    """What an account holds: by it what was about it, a call say, knows that it holds something
    else now."""
    return tuple(sorted((market, lots) for market, lots, _ in positions if lots))


class Margined(Protocol):
    """An account as margin, liquidation and deleveraging see it; money in settlement atoms."""

    @property
    def name(self) -> str:
        """Whose it is, for events."""

    @property
    def cash(self) -> int:
        """Cash, after what its positions cost."""

    @property
    def withheld(self) -> int:
        """What of its collateral the venue does not count as margin."""

    @property
    def max_leverage(self) -> float:
        """The leverage its owner chose; 0 where none."""

    @property
    def alone(self) -> bool:
        """Whether it stands for a user among many, beside everybody else: the venue takes it over
        at its bankruptcy price, and no fund, queue or shared loss knows of it."""

    @property
    def topups(self) -> int:
        """How often money was paid in since the start: what a margin call was about changes with
        it."""

    @property
    def call_at(self) -> float:
        """The multiple of maintenance at which its owner wants to be told, where the venue does not
        call before."""

    def called(self, multiple: float, /) -> None:
        """Its equity came down to so many times maintenance."""

    def credited(self) -> bool:
        """Take in the money that is due at this very instant; whether there was any."""

    def positions(self) -> Sequence[tuple[int, int, int]]:
        """``(market, lots, cost)`` of what it holds."""

    def cancel_orders(self, market: int, /) -> int:
        """Give up what is under way to the book; how many orders that were."""

    def move(
        self, market: int, cause: Cause, lots: int, cash: int, against: str, price: float, /
    ) -> None:
        """Lots and cash come (negative: go), ``against`` an owner of the ledger: ``book``,
        ``clearing`` or ``insurance``. ``price`` is the one at which lots changed hands; NaN where
        none did."""

    def deleveraged(
        self, market: int, lots: int, price: float, rank: int, quantile: float, /
    ) -> None:
        """Lots were taken in an auto-deleveraging: what that means is its owner's to say."""


def held_by(account: Margined) -> list[tuple[int, int, int]]:
    """``positions`` that are still open; one that cost nothing is."""
    return [position for position in account.positions() if position[1]]
