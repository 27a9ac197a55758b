"""Liquidation prices: the mark at which an account has no more than its maintenance margin.

One closed form serves most venues. A position of ``side`` s (+1 long, -1 short), ``size`` q and
entry EP, with collateral C, has equity ``C + X + s q (P - EP)`` at the mark P and must keep
``q P (m + f) - d``, where m and d are its tier's rate and deduction, f the fee of closing where the
venue counts it, and X what the account's other positions add (their profit less their maintenance).
Both are straight lines in P, and where they meet is the answer:

    LP = (C + X + d - s q EP) / (q (m + f) - s q)

The tier is that of the notional at LP itself, not at today's mark. A long is liquidated at LP and
below, a short at LP and above. Zero or less: no price liquidates a long, every price a short;
infinity: every price a long, no price a short.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, inf
from typing import Any, Final

import numpy as np

from engine.venue.rules import Tier

__all__ = [
    "entry_priced",
    "from_margin_available",
    "liquidation_price",
    "liquidation_prices",
    "mark_priced",
    "to_price_step",
    "what_others_add",
]

F64 = np.ndarray[Any, np.dtype[np.float64]]

_ON_STEP: Final = 1e-12
"""A price this near a step, as a share of it, is on it: the rest is the float's."""


def mark_priced(
    side: int,
    size: float,
    entry: float,
    collateral: float,
    *,
    rate: float,
    deduction: float = 0.0,
    fee: float = 0.0,
    others: float = 0.0,
) -> float:
    """Liquidation price where maintenance values the position at the mark and the tier is known.

    Long 1 at 10 with 2 of collateral, 1 % less 0.01: ``(2 + 0.01 - 10) / (0.01 - 1) = 8.0707``.

    Args:
        side: +1 long, -1 short.
        size: unsigned, in base.
        entry: average entry price.
        collateral: isolated margin, or the wallet of a cross account, in quote; signed.
        rate, deduction: maintenance is ``notional * rate - deduction``.
        fee: taker fee where it counts as maintenance (Gate, OKX); 0 elsewhere.
        others: what the account's other positions add, ``what_others_add``; 0 where isolated.

    Raises:
        ValueError: if nothing is held, or a long's maintenance takes all of its notional.

    Source: Binance FAQ b3c689c1f50a44cabb3a84e663b81d93 (fee 0), Gate and OKX
    (fee inside).
    """
    if size <= 0.0 or side * (rate + fee) >= 1.0:
        raise ValueError(f"size must be > 0 and rate + fee < 1, were {size}, {rate + fee}")
    slope = size * (rate + fee) - side * size
    return (collateral + others + deduction - side * size * entry) / slope


def liquidation_price(
    side: int,
    size: float,
    entry: float,
    collateral: float,
    tiers: Sequence[Tier],
    *,
    fee: float = 0.0,
    others: float = 0.0,
) -> float:
    """``mark_priced`` with the tier that holds its own solution.

    With tiers 1 % up to 1,000 and 2 % less 10 beyond, a long of 20 at 100 (notional 2,000: second
    tier) with 1,200 of collateral dies at 40.40 in the first tier, where it is worth 808.

    Maintenance is continuous and its rate rises with the notional, so what an account has beyond it
    crosses zero once as the mark moves against the position: it is the first tier, from the lowest
    prices on, whose solution does not lie above its cap.

    Args:
        tiers: ascending by cap, the last one for all beyond it as well; none: no maintenance, so
            the bankruptcy price.
    """
    if not tiers:
        return mark_priced(side, size, entry, collateral, rate=0.0, fee=fee, others=others)
    floor_price = -inf
    for tier in tiers:
        if side * (tier.rate + fee) >= 1.0:  # from here on no price makes up for the maintenance
            return inf
        price = mark_priced(
            side,
            size,
            entry,
            collateral,
            rate=tier.rate,
            deduction=tier.deduction,
            fee=fee,
            others=others,
        )
        cap = tier.cap / size
        if price <= cap:
            # Deductions are rounded: a solution may miss its tier's lower end by a hair.
            return max(price, floor_price)
        floor_price = cap
    return price


def liquidation_prices(
    sides: F64,
    sizes: F64,
    entries: F64,
    collateral: F64,
    tiers: Sequence[Tier],
    *,
    fee: float = 0.0,
) -> F64:
    """``liquidation_price`` of many isolated positions at once, the same bits; shapes (n,).

    Raises:
        ValueError: if a size is not positive.
    """
    if not (sizes > 0.0).all():
        raise ValueError("every size must be > 0")
    steps = tiers or (Tier(cap=inf, max_leverage=inf, rate=0.0),)
    settled = np.zeros(len(sizes), np.bool_)
    prices = np.zeros(len(sizes))
    floors = np.full(len(sizes), -inf)
    for tier in steps:
        hopeless = sides * (tier.rate + fee) >= 1.0
        slope = np.where(hopeless, 1.0, sizes * (tier.rate + fee) - sides * sizes)
        solution = (collateral + tier.deduction - sides * sizes * entries) / slope
        solution = np.where(hopeless, inf, solution)
        prices = np.where(settled, prices, solution)
        settled |= prices <= tier.cap / sizes
        floors = np.where(settled, floors, tier.cap / sizes)
    bounded: F64 = np.maximum(prices, floors)
    return bounded


def what_others_add(profits: Sequence[float], maintenance: Sequence[float]) -> float:
    """X of a cross account: unrealised profit of its other positions less their maintenance.

    109.488 BTC bought at 32,481.98 and marked 31,967.27 show -56,354.57; at 2.5 % less 16,300 they
    need 71,200.81; they take 127,555.38 away from the ETH position beside them.
    """
    added = 0.0
    for profit, needed in zip(profits, maintenance, strict=True):
        added += profit - needed
    return added


def entry_priced(
    side: int,
    size: float,
    entry: float,
    collateral: float,
    *,
    rate: float,
    deduction: float = 0.0,
    others: float = 0.0,
) -> float:
    """Liquidation price where maintenance values the position at its entry (Bybit, before UTA 2).

    ``EP - s (C + X - (q EP m - d)) / q``. Long 1 at 20,000 with 50x (400 of collateral) and 0.5 %:
    maintenance 100, so 300 may be lost: 19,700. With ``C = q EP / L`` and nothing else this is
    ``EP (1 - s (1 / L - m))``.

    Source: Bybit help centre, liquidation price of USDT contracts.
    """
    if size <= 0.0:
        raise ValueError(f"size must be > 0, was {size}")
    maintenance = size * entry * rate - deduction
    return entry - side * (collateral + others - maintenance) / size


def from_margin_available(
    side: int, size: float, mark: float, available: float, *, rate: float
) -> float:
    """Liquidation price as Hyperliquid states it: ``P - s A / q / (1 - l s)``.

    A long of 2 marked 100 with 20 beyond its maintenance and ``l = 1 / 20``: ``100 - 10 / 0.95 =
    89.47``. The same number as ``mark_priced`` gives, seen from the mark.

    Args:
        mark: P, today's.
        available: A, equity less maintenance, in quote.
        rate: l, one over the maintenance leverage.

    Source: Hyperliquid docs, liquidations.
    """
    if size <= 0.0 or side * rate >= 1.0:
        raise ValueError(f"size must be > 0 and rate < 1, were {size}, {rate}")
    return mark - side * available / size / (1.0 - rate * side)


def to_price_step(price: float, step: float, side: int) -> float:
    """The price as published: a long's rounded up to the step, a short's down, so that the venue
    acts early rather than late. 5,739.08 of a long becomes 5,739.5 at a step of 0.5."""
    steps = price / step
    nearest = floor(steps + 0.5)
    if abs(steps - nearest) <= _ON_STEP * (1.0 + abs(steps)):
        return nearest * step
    return side * ceil(side * steps) * step
