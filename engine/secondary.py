"""What units are traded at beside the primary market: NAV and a premium.

While units are created at NAV nobody pays more for one than that and the costs of creating it, and
while they are redeemed nobody takes less than NAV without the costs of redeeming it: arbitrage
holds the premium within these. A side that is shut holds nothing. Whoever is turned away there buys
or sells units instead, and moves the premium by a per cent for each ``depth_atoms``; half of it is
gone after each ``half_life_ns``. 5,000,000 turned away where 200,000 move it by a per cent are a
premium of 25 %, of 12.5 % a half-life later, and of the band's edge once creations are open again.

What arbitrage does itself is not counted among the units, and the traded price moves nothing but
itself. Source: ``products.md`` 2; depth and half-life are unpublished.
"""

from __future__ import annotations

from msgspec import Struct

from engine.exact import exp2

__all__ = ["SecondaryState", "SecondaryTerms"]


class SecondaryTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a product's units trade.

    Attributes:
        depth_atoms: quote atoms whose purchase moves the premium by a per cent of NAV.
        half_life_ns: in which half of a premium is gone.
        limit: orders farther from NAV than this share are not taken (Binance: 0.9).
    """

    depth_atoms: int
    half_life_ns: int
    limit: float = 0.9

    def moves(self, atoms: int) -> float:
        """By how much buying for so many quote atoms (selling, where negative) lifts the premium, a
        share of NAV."""
        return atoms / (100.0 * self.depth_atoms)

    def faded(self, premium: float, elapsed_ns: int) -> float:
        """What is left of a premium after some time."""
        return premium * exp2(-elapsed_ns / self.half_life_ns) if premium else 0.0


class SecondaryState(Struct):
    """Where a product's units trade: ``premium`` as of ``ts_ns``; why creations and redemptions are
    ``shut`` by the state of the product, ``capped`` by what they leave room for, as last looked at
    and on the day that began at ``day_ns``; what was ``said`` of both last."""

    premium: float = 0.0
    ts_ns: int = 0
    shut: tuple[str, str] = ("", "")
    capped: tuple[str, str] = ("", "")
    said: tuple[str, str] = ("", "")
    day_ns: int = -1
