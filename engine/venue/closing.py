"""How much of a position one step of a liquidation closes, and what the liquidator may charge.

Venues that do not close all at once size the step by what restores the margin: Drift and Mango by
the shortage, Gate and Binance by the cap of the tier below. Lots are integers and are rounded up:
closing a lot less would leave the account where it was, short.
"""

from __future__ import annotations

from math import ceil, floor, inf
from typing import Final

__all__ = [
    "GRACE_SLOTS",
    "charged_insurance_fee",
    "health",
    "health_lots",
    "ramped_fee",
    "shortage_lots",
    "shortage_size",
    "tier_step_lots",
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


def health(spot: float, base: float, quote: float, weight: float, price: float = 1.0) -> float:
    """Mango's health of an account with one perp: ``spot + base p w + quote`` where it is long,
    ``spot + base p (2 - w) + quote`` where short. Below zero it is liquidated.

    5 of spot and a short of 4 with a weight of 0.5: ``5 - 4 * 1.5 = -1``.
    """
    return spot + price * (base - (1.0 - weight) * abs(base)) + quote


def health_lots(
    spot: float,
    base: int,
    quote: float,
    *,
    weight: float,
    lots_max: int,
    price: float = 1.0,
    fee: float = 0.0,
) -> int:
    """Base lots to close until health is no longer negative, unsigned; ``lots_max`` (its sign does
    not matter) and the position at most.

    Each lot closed at the price ``p (1 -+ fee)`` adds ``p (1 - w - fee)``. 20 long, -20 of quote,
    5 of spot, weight 0.5: health ``5 + 10 - 20 = -5``, so 10 are sold; a short of 4 with 5 of spot:
    2.

    Source: Mango v4, perp_liq_base_or_positive_pnl.
    """
    short_of = -health(spot, base, quote, weight, price)
    most = min(abs(base), abs(lots_max))
    gained = price * (1.0 - weight - fee)
    if gained <= 0.0:
        return most if short_of > 0.0 else 0
    return max(min(ceil(short_of / gained), most), 0)


def tier_step_lots(lots: int, lot_value: float, cap: float) -> int:
    """Lots to close so that what is left fits the cap of the tier below; all where there is none.

    30 lots of 50 each (1,500), the tier below up to 1,000: 20 lots fit, close 10.

    Args:
        lots: signed position.
        lot_value: notional of one lot at the mark, > 0, in the cap's money.
        cap: of the tier below, ``TierTable.cap_below``, which still belongs to it; 0 in the lowest.

    Source: Gate help 22159 ("step the risk limit down by one, close the excess"); Binance.
    """
    if lot_value <= 0.0:
        raise ValueError(f"a lot must be worth something, was {lot_value}")
    held, kept = abs(lots), floor(cap / lot_value)
    # The quotient is rounded: hold the rule itself, not its division.
    if (kept + 1) * lot_value <= cap:
        kept += 1
    elif kept * lot_value > cap:
        kept -= 1
    return max(held - kept, 0)
