"""How many single positions stand at once: what ``engine.venue.standing`` says of one account, for
columns of them, to the last unit. Edges are floats and wake a little early, as there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.units import decimal
from engine.venue.exact_columns import F64, I64, ceil_products, floor_products
from engine.venue.standing import Listing

__all__ = ["edges_of", "maintenances", "notionals", "standings", "values"]

_DRAW_IN: Final = 1e-9
"""As that of single accounts: wake this share of the price early."""


def values(listing: Listing, lots: I64, price: float) -> I64:
    """``Contract.exposure_value`` of each."""
    return floor_products(lots, *listing.contract.value_ratio(price))


def notionals(listing: Listing, lots: I64, price: float) -> I64:
    """``Contract.notional`` of each."""
    size = np.abs(lots)
    return values(listing, -size if listing.contract.inverse else size, price)


def maintenances(listing: Listing, lots: I64, cost: I64, mark: float) -> I64:
    """``Listing.maintenance`` of each."""
    if listing.by_face:
        pairs = zip(lots.tolist(), cost.tolist(), strict=True)
        return np.array([listing.maintenance(n, c, mark) for n, c in pairs], np.int64)
    by_entry = listing.rules.margin.priced_at == "entry"
    size = np.abs(cost) if by_entry else notionals(listing, lots, mark)
    needed = listing.table.exact_maintenances(size)
    if not listing.fee_inside:
        return needed
    fee = decimal(listing.fee_inside)
    return needed + ceil_products(size, fee.numerator, fee.denominator)


def closing_fees(listing: Listing, lots: I64, cash: I64) -> I64:
    """``Listing.closing_fee`` of each."""
    if not listing.fee_at_bankruptcy:
        return np.zeros(len(lots), np.int64)
    pairs = zip(lots.tolist(), cash.tolist(), strict=True)
    return np.array([listing.closing_fee(n, c) for n, c in pairs], np.int64)


def standings(listing: Listing, lots: I64, cash: I64, cost: I64, mark: float) -> tuple[I64, I64]:
    """Equity and maintenance of each."""
    equity = cash + values(listing, lots, mark)
    needed = maintenances(listing, lots, cost, mark) + closing_fees(listing, lots, cash)
    return equity, needed


def edges_of(listing: Listing, lots: I64, cash: I64, cost: I64) -> F64:
    """The mark at or beyond which each is looked at: below it where long, above where short; one
    that no price reaches where there is none.

    In the coordinate ``x`` (mark, or 1 / mark where inverse) equity is ``cash + slope * x`` and a
    tier's maintenance ``|slope| * x * rate - deduction``; they meet once.
    """
    contract = listing.contract
    over, under = contract.lot_scale
    # Rows that hold nothing have no edge; any will do.
    sides = np.where(lots == 0, 1, -lots if contract.inverse else lots)
    slope = sides * (over / under)
    size = np.abs(slope)
    kept = cash - closing_fees(listing, lots, cash)
    if listing.by_face or listing.rules.margin.priced_at == "entry":
        meet = _meets_fixed(listing, lots, cost, slope, kept)
    else:
        meet = np.full(len(lots), np.nan)
        for cap, rate, deduction in listing.rates:
            here = -(kept + deduction) / (slope - size * rate)
            meet = np.where(np.isnan(meet) & (here * size <= cap), here, meet)
    long, reachable = lots > 0, meet > 0.0
    drawn = np.where(long, 1.0 + _DRAW_IN, 1.0 - _DRAW_IN)
    if not contract.inverse:
        return np.where(reachable, meet * drawn, np.where(long, -np.inf, 0.0))
    with np.errstate(divide="ignore"):
        price = 1.0 / meet
    # No price saves a long of these, and none reaches a short.
    return np.where(reachable, price * drawn, np.inf)


def _meets_fixed(listing: Listing, lots: I64, cost: I64, slope: F64, kept: I64) -> F64:
    """Where maintenance does not depend on the mark, or is a fixed number of quote."""
    if not listing.by_face:
        found: F64 = (maintenances(listing, lots, cost, np.nan) - kept) / slope
        return found
    contract = listing.contract
    quote = [listing.table.maintenance(contract.face(abs(n))) for n in lots.tolist()]
    needed = np.array(quote) * contract.coins_a_quote + np.abs(slope) * listing.fee_inside
    return np.asarray(-kept / (slope - needed))
