"""What became of the money at a venue: its asset's own price, and the venue's failure.

Money is in atoms of the settlement asset.
"""

from __future__ import annotations

from engine.fact import Output

__all__ = ["BalanceLost", "CollateralRevalued", "CustodyEvent", "TradersRevalued"]


class CollateralRevalued(Output, frozen=True, gc=False, kw_only=True, tag="collateral_revalued"):
    """The asset that a product's margin is paid in costs ``price`` quote now, and cost
    ``price_before``: what lay at the venue as ``collateral_atoms`` is ``change_atoms`` more, or
    less where negative."""

    product: str
    symbol: str
    price_before: float
    price: float
    mark_price: float
    collateral_atoms: int
    change_atoms: int


class TradersRevalued(Output, frozen=True, gc=False, kw_only=True, tag="traders_revalued"):
    """The same of the venue's other customers who hold anything, each in the market of his first
    position, together."""

    symbol: str
    price_before: float
    price: float
    mark_price: float
    accounts: int
    collateral_atoms: int
    change_atoms: int


class BalanceLost(Output, frozen=True, gc=False, kw_only=True, tag="balance_lost"):
    """A venue failed: a product's position of ``position_lots`` ended at the mark, of its balance
    of then it gets back all but ``lost_atoms``. What a balance below zero owed is still owed."""

    product: str
    symbol: str
    mark_price: float
    position_lots: int
    balance_atoms: int
    lost_atoms: int


CustodyEvent = CollateralRevalued | TradersRevalued | BalanceLost
