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

    In the coordinate ``x`` (mark, or 1 / mark where inverse) equity is ``cash + slope * x``, and
    maintenance the largest of the tiers' lines ``|slope| * x * rate - deduction``: what is left is
    the smallest of as many lines, and above zero where all of them are.
    """
    lines = _left(listing, cash, lots, cost, share, withheld)
    low, high = _NOWHERE
    for level, rises in lines:
        if rises > 0.0:
            low = max(low, -level / rises)
        elif rises < 0.0:
            high = min(high, -level / rises)
        elif level <= 0.0:
            return _ALWAYS
    if listing.contract.inverse:
        if high <= 0.0:
            return _ALWAYS
        low, high = 1.0 / high, (1.0 / low if low > 0.0 else math.inf)
    low = low * (1.0 + _DRAW_IN) if low > 0.0 else -math.inf
    return low, max(high, 0.0) * (1.0 - _DRAW_IN)


def _left(
    listing: Listing, cash: int, lots: int, cost: int, share: float, withheld: int
) -> list[tuple[float, float]]:
    """``(level, rises)`` of the lines ``level + rises * x`` of what is left, as far as they tell
    where that is zero; none where no margin is asked for."""
    contract = listing.contract
    slope = contract.settlement_slope(lots)
    if not listing.rates or slope == 0.0:
        return []
    kept, size = float(cash - withheld), abs(slope)
    if listing.fee_at_bankruptcy:  # the same at every mark
        kept = cash - withheld - share * listing.closing_fee(lots, cash)
    if listing.by_face:
        needed = listing.table.maintenance(contract.face(abs(lots))) * contract.coins_a_quote
        needed += size * listing.fee_inside
        return [(kept, slope - share * needed)]
    if listing.at_entry:
        return [(kept - share * listing.maintenance(lots, cost, math.nan), slope)]
    asked, lines = share * size, []
    # Where margin may grow faster than equity every line counts, else the one that holds at zero.
    if share * listing.rates[-1][1] >= 1.0:
        lines = [(kept + share * lower, slope - asked * rate) for _, rate, lower in listing.rates]
    else:
        for cap, rate, lower in listing.rates:
            level, rises = kept + share * lower, slope - asked * rate
            if -level / rises * size <= cap:
                return [(level, rises)]
    return lines


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
