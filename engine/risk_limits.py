"""How large a product may be at its venue.

A tier allows a leverage up to some notional. A product that trades to a leverage, and then drifts
to the far edge of its band, must fit there too: its order is refused where it would not, with the
largest NAV that does.
"""

from __future__ import annotations

from engine.product import ProductSpec
from engine.venue.standing import Listing

__all__ = ["nav_max", "too_large"]


def nav_max(
    spec: ProductSpec, listing: Listing | None, mark: float, target: float | None = None
) -> int | None:
    """The largest NAV, quote atoms, of a product that trades to ``target`` and may drift to the far
    edges of its bands (none: to these alone); ``None`` where every NAV fits.

    The least that any of them leaves room for: where the tiers allow 3x up to a notional of
    3,000,000, and less leverage up to more, a product that trades to 3x (3 times its NAV) fits with
    a NAV of 1,000,000, though the far edge, 2.25 times its NAV, would leave room for more.
    """
    if listing is None or spec.edges is None:
        return None
    contract, found = listing.contract, None
    edges = spec.edges
    if target is not None:
        held = abs(target - 1.0) if contract.inverse else abs(target)
        edges = ((held, held), *edges)
    for share, leverage in edges:
        most = listing.largest(leverage)
        if most is None or share == 0.0:
            continue
        in_quote = listing.by_face or not contract.inverse
        fits = int((most if in_quote else contract.to_quote(most, mark)) / share)
        found = fits if found is None or fits < found else found
    return found


def too_large(
    spec: ProductSpec, listing: Listing | None, lots: int, mark: float, target: float
) -> bool:
    """Whether a position of ``lots``, on the way to ``target``, is more than its tier allows."""
    if listing is None or spec.edges is None:
        return False
    most = listing.largest(abs(target - 1.0) if listing.contract.inverse else abs(target))
    return most is not None and listing.size(lots, mark) > most
