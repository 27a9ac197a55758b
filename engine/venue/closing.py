"""How much of a position one step of a liquidation closes, and what the liquidator may charge.

Venues that do not close all at once size the step by what restores the margin: Drift and Mango by
the shortage, Gate and Binance by the cap of the tier below. Lots are integers and are rounded up:
closing a lot less would leave the account where it was, short.
"""

from __future__ import annotations

from math import ceil, inf
from typing import Final

__all__ = [
    "GRACE_SLOTS",
    "charged_insurance_fee",
    "ramped_fee",
    "shortage_lots",
    "shortage_size",
]

GRACE_SLOTS: Final = 1_500
"""Slots (of about 0.4 s) after the user's last action in which Drift's fee does not rise."""
_RISE_SLOTS: Final = 1_000_000
"""Slots in which it rises by the whole notional."""
_CHARGED: Final = 0.95
"""Share of the margin freed that Drift's insurance fee may take."""


def shortage_size(
    shortage: float,
    price: float,
    *,
    margin_rate: float,
    liquidator_fee: float = 0.0,
    insurance_fee: float = 0.0,
    quote_price: float = 1.0,
) -> float:
    """Base amount whose closing frees the margin that is short.

    ``shortage / (p p_q (mr - fee) - p if)``: each unit closed frees its margin less what closing
    it costs. 10 short at a price of 100, 10 % margin, 1 % to the liquidator and 1 % to the fund:
    ``10 / (9 - 1) = 1.25``. Infinity where no size restores it: the fees eat all that is freed.

    Args:
        shortage: maintenance less equity, quote; 0 or less needs nothing.
        price: oracle price, > 0.
        margin_rate: requirement as a share of notional.
        quote_price: oracle price of the quote asset.

    Source: Drift protocol-v2, math/liquidation.rs.
    """
    freed = price * quote_price * (margin_rate - liquidator_fee) - price * insurance_fee
    if freed <= 0.0:
        return inf if shortage > 0.0 else 0.0
    return max(shortage / freed, 0.0)


def shortage_lots(lots: int, size: float, lot_size: float) -> int:
    """Lots to close for a ``shortage_size``: rounded up, all of them at most, unsigned."""
    held = abs(lots)
    if size == inf:
        return held
    return min(ceil(size / lot_size), held)


def charged_insurance_fee(
    shortage: float,
    size: float,
    price: float,
    *,
    margin_rate: float,
    liquidator_fee: float,
    fee_max: float,
) -> float:
    """Share of notional that the insurance fund charges: what closing leaves beyond the shortage.

    ``min(max, 0.95 (mr - fee - shortage / (q p)))``, never below 0. 20 short, 10 at 100, 5 %
    margin, 1 % fee: ``0.95 (0.05 - 0.01 - 0.02) = 1.9 %``.

    Source: Drift protocol-v2, calculate_perp_if_fee.
    """
    if size <= 0.0 or price <= 0.0:
        raise ValueError(f"size and price must be > 0, were {size}, {price}")
    freed = _CHARGED * (margin_rate - liquidator_fee - shortage / (size * price))
    return max(min(freed, fee_max), 0.0)


def ramped_fee(base: float, most: float, slots: int) -> float:
    """Fee of the liquidator, share of notional: a millionth more with every slot since the user
    last acted, once the grace is over, up to ``most``.

    2 % after 10 slots; ``2 % + 0.2 % = 2.2 %`` after 2,000; 5 %, the most, after 100,000.

    Source: Drift protocol-v2, get_liquidation_fee.
    """
    if slots < GRACE_SLOTS:
        return base
    return min(base + slots / _RISE_SLOTS, most)
