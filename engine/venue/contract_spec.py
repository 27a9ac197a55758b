"""What the venue publishes about a contract."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["ContractSpec"]


class ContractSpec(Struct, frozen=True, kw_only=True):
    """What the venue publishes about a contract.

    Attributes:
        symbol: the venue's name.
        kind: ``linear`` or ``inverse``; ``spot`` counts as linear.
        base, quote: assets; the settlement asset is ``quote`` where linear, ``base`` where inverse.
        price_step: minimum price increment, in quote.
        lot_size: smallest order, in base where linear, in contracts where inverse.
        contract_size: quote face of one contract where inverse; 1 where linear.
        taker_fee, maker_fee: share of notional.
    """

    symbol: str
    kind: Literal["linear", "inverse"] = "linear"
    base: str
    quote: str
    price_step: float = 0.1
    lot_size: float = 1e-6
    contract_size: float = 1.0
    taker_fee: float = 0.0
    maker_fee: float = 0.0
