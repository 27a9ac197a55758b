"""A leveraged position as a lender sees it, in whole numbers of 18 decimals, each division rounded
down: collateral, debt, the ratio of leverage, and how much may be traded at a time.

The arithmetic of ``flexible_leverage``. Source: the formulas of ``products.md`` 4.1.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

__all__ = ["ONE", "Collateral", "fixed", "recentred"]

ONE: Final = 10**18
"""1 in 18 decimals."""


def fixed(number: float) -> int:
    """A float in 18 decimals, rounded towards zero."""
    return int(number * 1e18)


def _times(a: int, b: int) -> int:
    return a * b // ONE


def _over(a: int, b: int) -> int:
    return a * ONE // b


class Collateral(Struct, frozen=True):
    """``collateral`` base at ``price`` quote against a ``debt`` of quote, all in 18 decimals.

    Two coins at 1,010 against 1,000 are a leverage of 2,020 / 1,020 = 1.9804.
    """

    price: int
    collateral: int
    debt: int

    @property
    def value(self) -> int:
        """Of the collateral, quote."""
        return _times(self.price, self.collateral)

    @property
    def leverage(self) -> int:
        """Value over what is left of it after the debt."""
        return _over(self.value, self.value - self.debt)

    def total(self, leverage: int) -> int:
        """What has to be traded, base, for another leverage: ``|new - l| / l`` of the collateral,
        which is exact for a NAV that stays as it is."""
        now = self.leverage
        return _times(_over(abs(leverage - now), now), self.collateral)

    def limit(self, factor: int, unutilised: int, *, lever: bool) -> int:
        """What the lender lets be traded at a time, base.

        He lends ``factor`` of the collateral's value, of which ``unutilised`` is left aside. Buying
        ends where all is lent; selling releases as much collateral as the debt does not bind. Below
        zero there is nothing that he would let go.
        """
        lent = _times(_times(self.value, factor), ONE - unutilised)
        free = lent - self.debt
        if free <= 0:
            return 0
        return _over(free, self.price) if lever else _over(_times(self.collateral, free), lent)

    def chunk(self, leverage: int, most: int | None, factor: int, unutilised: int) -> int:
        """What is traded now on the way to a leverage: all of it, up to ``most`` base and the
        lender's limit; ``factor`` 0 is no lender."""
        found = self.total(leverage)
        if factor:
            lever = leverage > self.leverage
            found = min(found, self.limit(factor, unutilised, lever=lever))
        return found if most is None else min(found, most)


def recentred(current: int, target: int, speed: int, low: int, high: int) -> int:
    """A share ``speed`` of the way from ``current`` to ``target``, kept in ``[low, high]``.

    From 2.25 towards 2 at 5 % an epoch it is 2.2375; after ``k`` epochs ``0.95**k`` of the distance
    is left, half after 13.5.
    """
    moved = _times(target, speed) + _times(ONE - speed, current)
    return max(low, min(high, moved))
