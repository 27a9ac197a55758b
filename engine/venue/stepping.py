"""How much of a position the next order of a liquidation closes."""

from __future__ import annotations

from engine.venue.closing import shortage_lots, shortage_size
from engine.venue.standing import Listing, Standing

__all__ = ["step_lots"]


def step_lots(listing: Listing, held: int, mark: float, stand: Standing, steps: int) -> int:
    """Signed lots to trade: at least one, at most all.

    Args:
        held: signed lots of the position.
        stand: equity and maintenance of the account.
        steps: orders that were sent before.
    """
    rules, size = listing.rules.liquidation, abs(held)
    if rules.steps == "tier":
        cap = listing.table.cap_below(listing.size(held, mark))
        size -= listing.lots_within(held, cap, mark) if cap else 0
    elif rules.steps == "portion":
        size = _portion(listing, held, mark, steps)
    elif rules.steps == "shortage":
        size = _shortage(listing, held, mark, stand)
    size = min(max(size, 1), abs(held))
    return -size if held > 0 else size


def _portion(listing: Listing, held: int, mark: float, steps: int) -> int:
    """A share of a large position, within the bounds of a step; all of a small one, and all of
    what is left after the pause."""
    rules = listing.rules.liquidation
    quote = listing.contract.quote_notional(held, mark)
    whole = abs(held)
    if quote <= rules.portion_above or (steps and rules.whole_after):
        return whole
    wanted = max(quote * rules.portion, rules.step_min)
    if rules.step_max is not None:
        wanted = min(wanted, rules.step_max)
    return whole if wanted >= quote else int(whole * (wanted / quote))


def _shortage(listing: Listing, held: int, mark: float, stand: Standing) -> int:
    """As many lots as bring equity up to maintenance: closing saves their margin and costs the
    fee."""
    missing = float(max(stand.maintenance - stand.equity, 0))
    size = float(listing.contract.notional(held, mark))
    rate = float(listing.table.rate(listing.size(held, mark)))
    share = shortage_size(
        missing, size, margin_rate=rate, insurance_fee=listing.rules.liquidation.fee
    )
    return shortage_lots(held, share * abs(held), 1.0)
