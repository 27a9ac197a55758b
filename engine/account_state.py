"""What an account remembers beside its balances, and what one fill moved."""

from __future__ import annotations

from msgspec import Struct, field

from engine.price_split import PriceSplit

__all__ = ["AccountState", "Execution", "Paper"]


class Paper(Struct, frozen=True):
    """What holders of a formula product were promised last: ``nav`` quote atoms at ``price``, and
    ``leverage`` times its moves since."""

    nav: int = 0
    price: float = 1.0
    leverage: float = 0.0


class AccountState(Struct):
    """What the account must remember beside its balances.

    ``attribution``: quote atoms by cause up to the running segment, in the order of
    ``outputs.ATTRIBUTION``; ``roundings``: how many atoms its rounding may be off by.
    ``equity_start``: quote atoms paid in at the launch, at ``first_mark``. ``first_target``,
    ``target``: signed leverage that was wanted first, and now.
    ``since_mark`` and ``since_nav``: where the running segment began, and the equity there.
    ``split``: why the price part is what it is, quote atoms. ``cost``: what the position cost in
    settlement atoms, kept where the venue asks for margin. ``topups``: how many arrived.
    ``dealing_fees``: what users paid the issuer for their requests, quote atoms.
    ``paper`` and ``hedge``, of a formula product: its promise, and this of the account behind it.
    """

    since_mark: float = 0.0
    since_nav: int = 0
    attribution: list[int] = []
    roundings: int = 0
    equity_start: int = 0
    first_mark: float = 0.0
    first_target: float = 0.0
    target: float = 0.0
    split: PriceSplit = field(default_factory=PriceSplit)
    cost: int = 0
    topups: int = 0
    dealing_fees: int = 0
    paper: Paper | None = None
    hedge: AccountState | None = None


class Execution(Struct, frozen=True, gc=False):
    """What one fill moved, in settlement atoms (signed cash, fee positive)."""

    hedge: int
    spread_impact: int
    fee: int
