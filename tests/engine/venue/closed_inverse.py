"""Liquidation prices of inverse contracts, whose collateral falls with the price.

A position of ``face`` N in quote, bought or sold at EP with C coins, has ``C + s N (1 / EP - 1 /
P)`` coins at the mark P. A long is liquidated at LP and below, a short at LP and above; infinity:
every price a long, no price a short.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from engine.venue.rules import Tier
from tests.engine.venue.closed_forms import liquidation_price


def entry_priced_inverse(
    side: int, face: float, entry: float, collateral: float, *, rate: float, fee: float = 0.0
) -> float:
    """Liquidation price of an inverse position whose maintenance is taken at entry (Bybit).

    ``1 / LP = 1 / EP + s (C - MM - F) / N`` with ``MM = N / EP * m`` and the fee of closing at the
    bankruptcy price, ``F = N f / BP``. Long 10,000 USD at 8,000 with 0.5 BTC, 0.5 % and a fee of
    0.075 %: BP 5,718.57, LP 5,739.08, published as 5,739.50.

    Args:
        face: unsigned notional N in quote.
        collateral: in coin.

    Source: Bybit help centre, liquidation price of inverse contracts.
    """
    if face <= 0.0:
        raise ValueError(f"face must be > 0, was {face}")
    value = face / entry
    # What closing at the bankruptcy price costs: the share f of what is left then.
    worth = value + side * collateral
    closing = worth * fee / (1.0 + side * fee)
    inverse = 1.0 / entry + side * (collateral - value * rate - closing) / face
    return 1.0 / inverse if inverse > 0.0 else inf


def mark_priced_inverse(
    side: int,
    face: float,
    entry: float,
    collateral: float,
    *,
    rate: float,
    deduction: float = 0.0,
    fee: float = 0.0,
) -> float:
    """Liquidation price of an inverse position whose maintenance is taken at the mark (BitMEX).

    Equity ``C + s N (1 / EP - 1 / P)`` meets ``(N (m + f) - d) / P``: ``P = (N (m + f) - d + s N) /
    (C + s N / EP)``. The notional in quote is N at every price, and so is the tier. Long 10,000 USD
    at 10,000 with 0.1 BTC and 1 %: ``10,100 / 1.1 = 9,181.82``. A short whose coins cover its face
    (``C >= N / EP``) cannot be liquidated: infinity.

    Args:
        face: unsigned notional N in quote.
        collateral: in coin.
        rate, deduction, fee: as in ``margin.mark_priced``, the deduction in quote.
    """
    if face <= 0.0:
        raise ValueError(f"face must be > 0, was {face}")
    coins = collateral + side * face / entry
    if side * coins <= 0.0:
        return inf
    return (face * (rate + fee) - deduction + side * face) / coins


def liquidation_price_inverse(
    side: int,
    face: float,
    entry: float,
    collateral: float,
    tiers: Sequence[Tier],
    *,
    fee: float = 0.0,
) -> float:
    """``mark_priced_inverse`` with tiers whose caps are in coin (BitMEX's risk limits), so that the
    tier is that of ``N / LP``.

    The coins n that the face is worth play the mark's part: equity is ``C + s N / EP - s n``, and
    maintenance ``n (m + f) - d``. That is a linear position of size 1 on the other side.

    Args:
        tiers: caps and deductions in coin.
    """
    if face <= 0.0:
        raise ValueError(f"face must be > 0, was {face}")
    coins = liquidation_price(-side, 1.0, 0.0, collateral + side * face / entry, tiers, fee=fee)
    return face / coins if coins > 0.0 else inf


def inverse_bankruptcy_price(
    side: int, face: float, entry: float, collateral: float, fee: float = 0.0
) -> float:
    """Mark at which an isolated inverse position has no coins left after paying ``fee`` to close.

    ``N (1 + s f) / (N / EP + s C)``. Long 10,000 USD at 8,000 with 0.5 BTC: ``10,000 / 1.75 =
    5,714.29``, with a fee of 0.075 % 5,718.57. A short whose coins cover its face has none:
    infinity.

    Args:
        face: unsigned notional in quote.
        collateral: in coin.

    Source: Bybit help centre, inverse contracts.
    """
    if face <= 0.0:
        raise ValueError(f"face must be > 0, was {face}")
    coins = face / entry + side * collateral
    return face * (1.0 + side * fee) / coins if coins > 0.0 else inf
