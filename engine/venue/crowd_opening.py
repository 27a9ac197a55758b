"""How a crowd comes to its positions: as given, or as drawn around a market's first mark."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from engine.venue.crowd import Crowd
from engine.venue.crowd_columns import edges_of, notionals
from engine.venue.exact_columns import F64, I64

__all__ = ["LOTS_MAX", "WORTH_MAX", "open_crowd"]

LOTS_MAX: Final = 2**52
"""Of a position: beyond these floats miss lots."""
WORTH_MAX: Final = 2**56
"""Atoms that a position is worth at its entry, in quote and in what it settles in: 64 bits hold it
where marks move a hundredfold."""
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def open_crowd(crowd: Crowd, mark: float) -> None:
    """Open all its positions.

    Drawn ones are cut to what the venue lets somebody have: in size to the last tier (not where its
    caps are in coin) and to what whole numbers hold, in leverage to that of the tier. One that
    would be short at once was opened at the mark instead: who entered worse is not there any more.
    Who drew less than a lot holds nothing, and is not among them.
    """
    spec = crowd.spec
    leverage = np.frombuffer(spec.leverages)
    if spec.absolute:
        lots, wallets = np.frombuffer(spec.sizes, np.int64), np.frombuffer(spec.wallets, np.int64)
        crowd.open(lots.copy(), wallets.copy(), leverage.copy(), np.frombuffer(spec.entries))
        return
    entries = np.frombuffer(spec.entries) * mark
    lots = _lots(crowd, np.frombuffer(spec.sizes), entries)
    held = lots != 0
    lots, entries, leverage = lots[held], entries[held], leverage[held]
    leverage = np.minimum(leverage, _allowed(crowd, lots, mark))
    entries = np.where(_stands(crowd, lots, entries, leverage, mark), entries, mark)
    crowd.open(lots, _wallets(crowd, lots, entries, leverage), leverage, entries)


def _lots(crowd: Crowd, sizes: F64, entries: F64) -> I64:
    """Whole lots of so much quote, no more than the last tier takes."""
    contract = crowd.listing.contract
    one = contract.quote_notional(10**6, 1.0) * 1e-6
    lots = np.trunc(sizes / (one if contract.inverse else one * entries))
    most = _largest(crowd, entries, one)
    return np.clip(lots, -most, most).astype(np.int64)


def _largest(crowd: Crowd, entries: F64, one: float) -> float:
    """Lots of the largest position there may be; ``one``: what a lot is at a price of 1, quote."""
    listing = crowd.listing
    contract, last = listing.contract, listing.table.largest_notional(1.0)
    over, under = contract.lot_scale
    dearest = 1.0 / float(np.min(entries)) if contract.inverse else float(np.max(entries))
    unit, atoms = one if contract.inverse else one * dearest, contract.quote_atoms
    most = min(LOTS_MAX, WORTH_MAX / (over / under * dearest), WORTH_MAX / atoms / unit)
    if last is not None and (listing.by_face or not contract.inverse):
        # A hair below: entries and the mark round differently.
        most = min(most, last / atoms / unit * 0.999)
    return float(math.floor(most))


def _allowed(crowd: Crowd, lots: I64, mark: float) -> F64:
    """The leverage that the tier of each position allows, at most."""
    listing = crowd.listing
    if listing.by_face:
        sizes = np.array([listing.contract.face(abs(n)) for n in lots.tolist()], np.int64)
    else:
        sizes = notionals(listing, lots, mark)
    return listing.table.leverages(sizes)


def _wallets(crowd: Crowd, lots: I64, entries: F64, leverage: F64) -> I64:
    """What each paid in: its size at the entry over its leverage, a little more than asked."""
    over, under = crowd.listing.contract.lot_scale
    size = np.abs(lots) * (over / under)
    worth = size / entries if crowd.listing.contract.inverse else size * entries
    wallets: I64 = np.ceil(worth / leverage).astype(np.int64) + 1
    return wallets


def _stands(crowd: Crowd, lots: I64, entries: F64, leverage: F64, mark: float) -> Mask:
    """Which are not short at the mark with those entries."""
    contract = crowd.listing.contract
    over, under = contract.lot_scale
    slope = (-lots if contract.inverse else lots) * (over / under)
    at_entry = slope / entries if contract.inverse else slope * entries
    cost = np.round(at_entry).astype(np.int64)
    cash = _wallets(crowd, lots, entries, leverage) - cost
    edges = edges_of(crowd.listing, lots, cash, cost)
    return np.where(lots > 0, mark > edges, mark < edges)
