"""How much of a position the next order of a liquidation closes, and what the liquidator and the
fund may charge for it."""

from __future__ import annotations

from engine.units import side_of
from engine.venue.closing import (
    charged_insurance_fee,
    ramped_fee,
    shortage_lots,
    shortage_size,
)
from engine.venue.rules import LiquidationRules
from engine.venue.standing import Listing, Standing

__all__ = ["fee_rate", "liquidator_fee", "step_lots"]


def step_lots(
    listing: Listing, held: int, mark: float, stand: Standing, *, cools: bool, idle_ns: int
) -> int:
    """Signed lots to trade: at least one, at most all.

    Args:
        held: signed lots of the position.
        stand: equity and maintenance of the account.
        cools: whether the account was closed in part so lately that the rest goes at once.
        idle_ns: since the owner last acted himself.
    """
    rules, size = listing.rules.liquidation, abs(held)
    if rules.steps == "tier":
        cap = listing.table.cap_below(listing.size(held, mark))
        size -= listing.lots_within(held, cap, mark) if cap else 0
    elif rules.steps == "portion":
        size = _portion(listing, held, mark, cools=cools)
    elif rules.steps == "shortage":
        size = _shortage(listing, held, mark, stand, idle_ns)
    size = min(max(size, 1), abs(held))
    return -side_of(held) * size


def _portion(listing: Listing, held: int, mark: float, *, cools: bool) -> int:
    """A share of a large position, within the bounds of a step; all or more of a small one, and of
    one that was closed in part lately."""
    rules = listing.rules.liquidation
    quote = listing.contract.quote_notional(held, mark)
    whole = abs(held)
    if quote <= rules.portion_above or cools:
        return whole
    wanted = max(quote * rules.portion, rules.step_min)
    if rules.step_max is not None:
        wanted = min(wanted, rules.step_max)
    return int(whole * (wanted / quote))


def _shortage(listing: Listing, held: int, mark: float, stand: Standing, idle_ns: int) -> int:
    """As many lots as bring equity up to maintenance, within the largest step: closing saves their
    margin and costs the fees."""
    rules = listing.rules.liquidation
    share = shortage_size(
        _missing(stand),
        float(listing.contract.notional(held, mark)),
        margin_rate=float(listing.table.rate(listing.size(held, mark))),
        liquidator_fee=liquidator_fee(rules, idle_ns),
        insurance_fee=fee_rate(listing, held, mark, stand, idle_ns),
    )
    lots = shortage_lots(held, share * abs(held), 1.0)
    if rules.step_max is None:
        return lots
    quote = listing.contract.quote_notional(held, mark)
    return min(lots, int(abs(held) * rules.step_max / quote))


def liquidator_fee(rules: LiquidationRules, idle_ns: int) -> float:
    """Share of the notional closed that whoever takes it over is promised, from an owner who has
    done nothing for so long."""
    if rules.liquidator_fee_max is None:
        return rules.liquidator_fee
    slots = idle_ns // rules.slot_ns
    return ramped_fee(rules.liquidator_fee, rules.liquidator_fee_max, slots)


def fee_rate(listing: Listing, held: int, mark: float, stand: Standing, idle_ns: int) -> float:
    """Share of the notional closed that the fund may charge an account that stands like this, whose
    owner has done nothing for so long."""
    rules = listing.rules.liquidation
    if not rules.fee_from_freed or not held:
        return rules.fee
    return charged_insurance_fee(
        _missing(stand),
        float(listing.contract.notional(held, mark)),
        1.0,
        margin_rate=float(listing.table.rate(listing.size(held, mark))),
        liquidator_fee=liquidator_fee(rules, idle_ns),
        fee_max=rules.fee,
    )


def _missing(stand: Standing) -> float:
    return float(max(stand.maintenance - stand.margin, 0))
