"""Liquidation prices in closed form, as venues publish them: the engine is held to these.

The mark at which an account has no more than its maintenance margin.

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
from math import ceil, inf

from engine.units import Rounding, decimal, mul_div
from engine.venue.rules import Tier


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


def bankruptcy_price(side: int, size: float, entry: float, collateral: float) -> float:
    """Mark at which an isolated linear position has no equity: ``EP - s C / q``.

    Long 1 at 1 with 2 of collateral: -1 (no price does); short 4 at 1 with 8 / 3: 1.6667.

    Args:
        side: +1 long, -1 short.
        size: unsigned, in base.
        collateral: in quote.

    Source: definition; BitMEX, Bybit, Chitra et al.
    """
    if size <= 0.0:
        raise ValueError(f"size must be > 0, was {size}")
    return entry - side * collateral / size


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
    lost = 1 - decimal(weight)
    short_of = -(decimal(spot) + decimal(price) * (base - lost * abs(base)) + decimal(quote))
    most = min(abs(base), abs(lots_max))
    gained = decimal(price) * (lost - decimal(fee))
    if gained <= 0:
        return most if short_of > 0 else 0
    return max(min(ceil(short_of / gained), most), 0)


def socialised_share(rate: int, lots: int, unit_lots: int) -> int:
    """What a position of signed ``lots`` pays at a ``socialised_rate``, atoms, rounded up; the sum
    over all is the loss or a little more, which is dust."""
    return mul_div(rate, abs(lots), unit_lots, Rounding.UP)
