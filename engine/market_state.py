"""One symbol as the heart needs it, and what is remembered of it between steps."""

from __future__ import annotations

import math
from typing import Final, Literal

from msgspec import Struct, field

from engine.points import PricingSpec
from engine.signals import SignalSpec
from engine.units import MINUTE_NS, NEVER_NS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from engine.venue.impact import ImpactSpec, ImpactState
from engine.venue.rules import VenueRules

__all__ = ["AS_USUAL", "Degraded", "MarketSpec", "MarketState"]

MarkSource = Literal["mark", "venue", "mid", "last"]


Staleness = Literal["", "gap", "frozen", "halted"]
"""Why a market is not fresh; empty where it is."""


class MarketSpec(Struct, frozen=True, kw_only=True):
    """One symbol as the heart needs it.

    Attributes:
        symbol: index of the symbol in the input.
        mark_source: which price values positions: recorded mark, the venue's own of several legs,
            mid or last trade.
        pricing: what the venue makes of its own, where it does: mark, funding rate or both.
        impact: how it feels what is traded in it, where it is generated and does.
        venue: its rules; without tiers there is no margin and no liquidation.
        insurance_atoms: what the venue's insurance fund begins with, quote atoms.
        stale_after_ns: silence of the mark source after which the market is stale.
        frozen_after_ns: repetition of one price after which it is.
    """

    symbol: int
    contract: ContractSpec
    book: BookSpec = BookSpec(model="flat")
    funding: FundingSpec = FundingSpec()
    signals: SignalSpec = SignalSpec()
    mark_source: MarkSource = "mid"
    venue: VenueRules = VenueRules()
    pricing: PricingSpec | None = None
    impact: ImpactSpec | None = None
    insurance_atoms: int = 0
    stale_after_ns: int = MINUTE_NS
    frozen_after_ns: int = 10 * MINUTE_NS


class Degraded(Struct, frozen=True):
    """How the venue is worse than usual.

    Attributes:
        delay_ns: what orders that are sent meanwhile take longer.
        refuse: share of the attempts that it refuses.
        reduce_only: takes nothing that opens or adds.
        until_ns: from when on it is as usual again.
    """

    delay_ns: int = 0
    refuse: float = 0.0
    reduce_only: bool = False
    until_ns: int = NEVER_NS


AS_USUAL: Final = Degraded()


class MarketState(Struct):
    """What is remembered between steps: last values, staleness, funding, the grid's open cell.

    ``index_ns`` is when the index was last said, kept where somebody follows it;
    ``previous`` is the mark before ``mark``, kept where the venue deleverages at it; ``frozen_ns``
    until when no top-up of margin arrives; ``collateral``: the price of the asset that margin is
    paid in, quote; ``defaulted``: its venue is no more.
    """

    mark: float = 0.0
    previous: float = 0.0
    seen_ns: int = 0
    changed_ns: int = 0
    bid: float = 0.0
    ask: float = 0.0
    last: float = 0.0
    index: float = 0.0
    index_ns: int = 0
    rate: float = 0.0
    funding_ns: int = NEVER_NS
    funded_ns: int = 0
    funded_rate: float = 0.0
    stale: Staleness = ""
    stale_since_ns: int = 0
    grid_ns: int = NEVER_NS
    floor_ns: int = 0
    cell_low: float = math.inf
    cell_high: float = -math.inf
    cell_fresh: bool = False
    extremes: list[tuple[float, float]] = []
    degraded: Degraded = AS_USUAL
    frozen_ns: int = 0
    collateral: float = 1.0
    defaulted: bool = False
    impact: ImpactState = field(default_factory=ImpactState)
