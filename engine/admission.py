"""An order at the venue: what is not taken, how it is cut to allowed sizes, and how far it walks.

The venue refuses by its order rules; a product sends what is too large in pieces, all at the same
instant, each an order of its own to the book. A market order fills no worse than the venue's
deviation from the mark. What is refused or left is for the plan to send again.
"""

from __future__ import annotations

from math import inf
from typing import Final

from engine.orders import Order, Scene
from engine.units import Rounding
from engine.venue.book import Book, meet
from engine.venue.contract import Contract
from engine.venue.order_rules import OrderBounds
from engine.venue.taking import TakingTerms, Top

__all__ = ["PIECES_MAX", "REFUSALS", "TROUBLE", "is_too_small", "limit_price", "meet_venue"]

PIECES_MAX: Final = 100
"""Pieces of one order that are sent at once; what is left then is sent after the pause."""
REFUSALS: Final = (
    *("would_cross", "not_whole", "too_small", "too_large"),
    *("not_a_price", "price_step", "price_band"),
    *("no_margin", "risk_limit"),
    *("refused", "reduce_only"),
)
"""Reasons for which the venue takes nothing of an order, whatever the book holds."""


TROUBLE: Final = ("refused", "reduce_only")
"""Those of a venue in trouble: nothing is wrong with the order."""


def is_too_small(scene: Scene, lots: int, held: int) -> bool:
    """Whether the venue takes no market order of so few lots; a whole position may be closed."""
    bounds = scene.order_bounds
    if bounds is None or lots == -held or bounds.surely_takes(abs(lots), scene.mark):
        return False
    reduces = held * lots < 0 and abs(lots) <= abs(held)
    refusal = bounds.refusal(
        _first_piece(bounds, lots), scene.mark, position=held, reduce_only=reduces
    )
    return refusal == "too_small"


def _first_piece(bounds: OrderBounds, lots: int) -> int:
    most = bounds.lots_max(market=True)
    return lots if most is None else max(-most, min(lots, most))


def limit_price(scene: Scene, contract: Contract, price: float, side: int) -> float:
    """The price that an order of ours may name, on our own side of ``price``."""
    limit, bounds = contract.on_step(price, side), scene.order_bounds
    if bounds is None or bounds.is_price(limit):
        return limit
    return bounds.rounded(price, Rounding.DOWN if side > 0 else Rounding.UP)


def meet_venue(
    scene: Scene, contract: Contract, order: Order, lots: int, held: int, top: Top, place: int
) -> tuple[list[tuple[int, float]], str]:
    """Let an order meet rules and book, at a venue that may be in trouble.

    Args:
        scene: the market as of now.
        contract: what is traded.
        order: its kind and its limit.
        lots: signed, not zero: as many as it may trade.
        held: signed lots of the account before.
        top: the market around the book.
        place: of its product in the market.

    Returns:
        ``(signed lots, average price)`` of every fill, and why there is a rest; empty without one.
    """
    if reason := scene.refuses(place, order.number, lots, held):
        return [], reason
    book, bounds, market = scene.book, scene.order_bounds, order.kind == "market"
    side, size = 1 if lots > 0 else -1, abs(lots)
    if market and (bounds is None or bounds.surely_takes(size, scene.mark)):
        worst = None if bounds is None else _worst(bounds, side, scene.mark)
        taken = book.take_limited(side, size, contract.quote_notional(size, top.mid), worst, top)
        fills = [(side * taken.lots, taken.price)] if taken.lots else []
        return fills, "market_deviation" if taken.reason == "limit" else taken.reason
    if bounds is None:
        return _meet(book, contract, lots, top, order.terms)
    terms = TakingTerms(limit=_worst(bounds, side, scene.mark)) if market else order.terms
    limit = None if market else terms.limit
    left, most = size, bounds.lots_max(market=True) if market else None
    reduces = held * lots < 0 and size <= abs(held)
    whole = order.purpose == "close" or lots == -held
    found: list[tuple[int, float]] = []
    for _ in range(PIECES_MAX):
        piece = left if most is None else min(left, most)
        refusal = bounds.refusal(
            side * piece, scene.mark, limit, position=held, reduce_only=reduces
        )
        # A whole position may be closed, however small it is.
        if refusal is not None and not (refusal == "too_small" and whole and piece):
            return found, refusal
        fills, reason = _meet(book, contract, side * piece, top, terms)
        found += fills
        if reason:
            return found, "market_deviation" if market and reason == "limit" else reason
        left -= piece
        if not left:
            return found, ""
    return found, "pieces"


def _worst(bounds: OrderBounds, side: int, mark: float) -> float | None:
    """Up to which price a market order may fill; ``None``: any."""
    limit = bounds.market_limit(side, mark)
    return limit if 0.0 < limit < inf else None


def _meet(
    book: Book, contract: Contract, lots: int, top: Top, terms: TakingTerms
) -> tuple[list[tuple[int, float]], str]:
    """What any order gets by its terms."""
    side = 1 if lots > 0 else -1
    size = contract.quote_notional(lots, top.mid)
    taken = meet(book, terms, side, side * lots, size, top)
    return ([(side * taken.lots, taken.price)] if taken.lots else []), taken.reason
