"""The marks between which an account's equity stays above its maintenance margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from engine.venue.margined import Margined
from engine.venue.standing import Listing, standing_of

__all__ = ["box", "edges", "rounded"]

_NOWHERE: Final = (-math.inf, math.inf)
_ALWAYS: Final = (math.inf, -math.inf)
_DRAW_IN: Final = 1e-9
"""Edges are floats, the decision is in whole atoms: wake this share of the price early."""


def box(
    account: Margined, listings: Sequence[Listing], marks: Sequence[float], share: float = 1.0
) -> dict[int, tuple[float, float]]:
    """By market ``(low, high)``: between these marks equity stays above ``share`` times
    maintenance, whichever of them move.

    Each position has its part of the slack, which even the worst corner leaves uneaten.
    """
    positions = account.positions()
    stand = standing_of(account, listings, marks)
    slack = (stand.margin - share * stand.maintenance) / max(len(positions), 1) - rounded(share)
    fees = _fees_of_others(listings, positions)
    return {
        market: _side(listings[market], lots, marks[market], slack, share, fees)
        for market, lots, _ in positions
    }


def rounded(share: float) -> int:
    """By how many atoms less than in floats a position may cover ``share`` times maintenance: all
    is rounded against it. Of a small position in coins that is far more than ``_DRAW_IN``."""
    return 2 + math.ceil(3.0 * share)


def _fees_of_others(
    listings: Sequence[Listing], positions: Sequence[tuple[int, int, int]]
) -> float:
    """By how much, at most, what one position loses raises the fees of closing the others."""
    most = 0.0
    for market, _, _ in positions:
        if listings[market].fee_at_bankruptcy:
            fee = listings[market].contract.spec.taker_fee
            most = max(most, fee / (1.0 - fee))
    return most * max(len(positions) - 1, 0)


def edges(
    listing: Listing, cash: int, lots: int, cost: int, share: float = 1.0, withheld: int = 0
) -> tuple[float, float]:
    """``(low, high)``: between these marks the equity of an account with one position, but for what
    is ``withheld``, stays above ``share`` times maintenance.

    In the coordinate ``x`` (mark, or 1 / mark where inverse) equity is ``cash + slope * x`` and
    a tier's maintenance ``|slope| * x * rate - deduction``; they meet once."""
    contract = listing.contract
    slope = contract.settlement_slope(lots)
    if not listing.rates or slope == 0.0:
        return _NOWHERE
    kept, meet, size = float(cash - withheld), 0.0, abs(slope)
    if listing.fee_at_bankruptcy:  # the same at every mark
        kept = cash - withheld - share * listing.closing_fee(lots, cash)
    if listing.by_face:
        needed = listing.table.maintenance(contract.face(abs(lots))) * contract.coins_a_quote
        needed += size * listing.fee_inside
        meet = -kept / (slope - share * needed)
    elif listing.at_entry:
        meet = (share * listing.maintenance(lots, cost, 1.0) - kept) / slope
    else:
        for cap, rate, deduction in listing.rates:
            meet = -(kept + share * deduction) / (slope - share * size * rate)
            if meet * size <= cap:
                break
    falls = slope > 0.0
    if contract.inverse:
        if meet <= 0.0:
            return _NOWHERE if falls else _ALWAYS
        meet, falls = 1.0 / meet, not falls
    if falls:
        return (meet * (1.0 + _DRAW_IN), math.inf) if meet > 0.0 else _NOWHERE
    return -math.inf, max(meet, 0.0) * (1.0 - _DRAW_IN)


def _side(
    listing: Listing, lots: int, mark: float, slack: float, share: float, fees: float
) -> tuple[float, float]:
    """How far one market may move against a position before it has eaten ``slack``."""
    contract = listing.contract
    slope = contract.settlement_slope(lots)
    if not listing.rates or slope == 0.0:
        return _NOWHERE
    eaten = abs(slope) * (1.0 + share * (max(rate for _, rate, _ in listing.rates) + fees))
    here = 1.0 / mark if contract.inverse else mark
    away = max(slack, 0.0) / eaten
    low, high = here - away, here + away
    if contract.inverse:
        low, high = 1.0 / high, (1.0 / low if low > 0.0 else math.inf)
    return low * (1.0 + _DRAW_IN), high * (1.0 - _DRAW_IN)
