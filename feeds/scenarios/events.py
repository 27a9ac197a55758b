"""A scenario, and the union of all that may happen in one: a class a kind of event."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from feeds.generators import Generator
from feeds.scenarios.custody import Adl, Depeg, Population, VenueDefault
from feeds.scenarios.mishaps import (
    CreationRush,
    Delay,
    Duplicate,
    Freeze,
    FundingRate,
    Halt,
    Late,
    Latency,
    Liquidity,
    Outage,
    RedemptionRun,
    Rejects,
    WithdrawalFreeze,
)
from feeds.scenarios.moves import (
    BadPrint,
    Basis,
    Chop,
    FrontRun,
    Gap,
    Rebound,
    Shock,
    Trend,
    VolRegime,
)

__all__ = ["Event", "Move", "Scenario"]

Move = Shock | Rebound | Gap | Chop | Trend | VolRegime | Basis | BadPrint | FrontRun
"""What moves prices."""
Feed = FundingRate | Freeze | Delay | Late | Duplicate
Venue = Liquidity | Outage | Halt | Latency | Rejects | WithdrawalFreeze | Adl
Custody = Depeg | VenueDefault | Population
Holders = RedemptionRun | CreationRush
Event = Move | Feed | Venue | Custody | Holders


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A black swan.

    Attributes:
        name, description: in a word, and in a sentence.
        sources: where the numbers come from.
        known, assumed: what of them is published, and what is not.
        seed: of its noise; the run's without.
        base: the market it stands on where no data are given; the sample without.
        events: what happens; order matters only for who is meant by ``after`` and ``of``.
        expect: by name, a condition on the run's figures, such as ``"products.*3L.nav_end > 0"``.
    """

    name: str
    description: str = ""
    sources: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    base: Generator | None = None
    events: tuple[Event, ...] = ()
    expect: dict[str, str] = {}
