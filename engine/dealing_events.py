"""What users may ask of a product, and what becomes of it."""

from __future__ import annotations

import math
from typing import Final

from msgspec import UNSET, Struct, UnsetType, structs

from engine.fact import Output

__all__ = [
    "REFUSALS",
    "CancellationRefused",
    "CancellationRequest",
    "CreationRefused",
    "CreationRequest",
    "DealingEvent",
    "LevelDealt",
    "LevelReached",
    "RedemptionRefused",
    "RedemptionRequest",
    "RequestCancelled",
    "RequestQueued",
    "SecondaryPriced",
    "UnitsCreated",
    "UnitsNotSplit",
    "UnitsRedeemed",
    "UnitsSplit",
]


class Request(Struct, frozen=True, gc=False, kw_only=True, tag_field="kind"):
    """Base of what a user asks for; numbers of numpy become plain ones.

    Attributes:
        ts_ns: exchange time of the request.
        id: names the request; a second one of the same id is refused.
        user: who asks.
        product: of which product.
    """

    ts_ns: int
    id: str
    user: str
    product: str


class CreationRequest(Request, frozen=True, gc=False, kw_only=True, tag="create"):
    """Pay ``quote`` of quote money for units, at the product's own hedge fills."""

    quote: float

    def __post_init__(self) -> None:
        structs.force_setattr(self, "ts_ns", int(self.ts_ns))
        structs.force_setattr(self, "quote", float(self.quote))
        if not (math.isfinite(self.quote) and self.quote > 0):
            raise ValueError(f"quote must be finite and > 0, was {self.quote}")


class RedemptionRequest(
    Request, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="redeem"
):
    """Give ``units`` back for quote money, at the product's own hedge fills.

    With a level, NAV per unit in quote, it waits until NAV is ``at_or_below`` it (a stop-loss) or
    ``at_or_above`` (a take-profit); what it is dealt at is known after its hedge was filled.
    """

    units: float
    at_or_below: float | None = None
    at_or_above: float | None = None

    def __post_init__(self) -> None:
        structs.force_setattr(self, "ts_ns", int(self.ts_ns))
        structs.force_setattr(self, "units", float(self.units))
        for name in ("units", "at_or_below", "at_or_above"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be finite and > 0, was {value}")
        if self.at_or_below is not None and self.at_or_above is not None:
            raise ValueError("a request waits for one level: at_or_below or at_or_above")

    @property
    def level(self) -> float | None:
        """What it waits for, if for anything."""
        return self.at_or_above if self.at_or_below is None else self.at_or_below


class CancellationRequest(Request, frozen=True, gc=False, kw_only=True, tag="cancel"):
    """Take back one's own ``request``, by its id, while it waits for its time or its level."""

    request: str


class UnitsCreated(Output, frozen=True, gc=False, kw_only=True, tag="units_created"):
    """A creation at its own hedge fills; 0 units where these left nothing of the money to buy any
    with. ``quote_atoms`` went into the pool, of which ``cost_atoms`` for spread, impact and fee;
    ``fee_atoms`` beside it to the issuer; ``refund_atoms`` came back where the book took only a
    part; ``coin_atoms`` is what ``quote_atoms`` became where the contract is settled in coins."""

    product: str
    user: str
    id: str
    units: int
    quote_atoms: int
    cost_atoms: int
    refund_atoms: int
    nav_atoms: int
    units_total: int
    user_units: int
    fee_atoms: int = 0
    coin_atoms: int | UnsetType = UNSET


class UnitsRedeemed(Output, frozen=True, gc=False, kw_only=True, tag="units_redeemed"):
    """A redemption at its own hedge fills. ``quote_atoms`` left the pool, after ``cost_atoms``; of
    them ``fee_atoms`` went to the issuer; ``coin_atoms`` were sold for it where the contract is
    settled in coins, and the product has not sold them all yet."""

    product: str
    user: str
    id: str
    units: int
    quote_atoms: int
    cost_atoms: int
    nav_atoms: int
    units_total: int
    user_units: int
    fee_atoms: int = 0
    coin_atoms: int | UnsetType = UNSET


class LevelReached(Output, frozen=True, gc=False, kw_only=True, tag="level_reached"):
    """NAV per unit reached the level that a redemption waited for, or was beyond it already when
    somebody could look: it is dealt now, as any other."""

    product: str
    user: str
    id: str
    level: float
    nav_per_unit: float
    mark_price: float


class LevelDealt(Output, frozen=True, gc=False, kw_only=True, tag="level_dealt"):
    """What a redemption that had waited for ``level`` got, quote per unit, before the issuer's fee:
    less by its hedge's spread and impact, and by what the price did meanwhile."""

    product: str
    user: str
    id: str
    level: float
    price_per_unit: float
    units: int


class UnitsSplit(Output, frozen=True, gc=False, kw_only=True, tag="units_split"):
    """Every ``old`` units became ``new``: ``announced``, since NAV per unit was low (``low_nav``),
    or by the ``operator``. Each holder's units are whole in the product's decimals; ``paid_atoms``
    left the pool for what was left over, as ``coin_atoms`` where it is one of coins, and NAV is
    ``nav_atoms`` afterwards."""

    product: str
    reason: str
    new: int
    old: int
    units_before: int
    units_total: int
    paid_atoms: int
    nav_atoms: int
    mark_price: float
    coin_atoms: int | UnsetType = UNSET


class UnitsNotSplit(Output, frozen=True, gc=False, kw_only=True, tag="units_not_split"):
    """What was to split or merge units, ``announced`` or ``low_nav``, could not, and why:
    ``too_small`` (nobody would have kept one), ``too_large`` (more than can be counted),
    ``nav_not_positive``. A rule that fails day after day of one reason says so once."""

    product: str
    reason: str
    why: str
    new: int
    old: int
    units_total: int
    nav_atoms: int
    mark_price: float


class RequestQueued(Output, frozen=True, gc=False, kw_only=True, tag="request_queued"):
    """A request waits, as the terms say, for ``reason`` to pass: ``rebalancing``, the next
    ``batch``, the opening of the ``window``, its ``level``."""

    product: str
    user: str
    id: str
    reason: str


class RequestCancelled(Output, frozen=True, gc=False, kw_only=True, tag="request_cancelled"):
    """The request ``id`` waits no more: whoever made it took it back, by the request
    ``cancellation``. What a day's caps have counted of it stays counted."""

    product: str
    user: str
    id: str
    cancellation: str


class SecondaryPriced(Output, frozen=True, gc=False, kw_only=True, tag="secondary_priced"):
    """A side of the primary market was shut or opened, or somebody who was turned away there traded
    units instead: for ``flow_atoms`` of quote, bought positive. ``creations`` and ``redemptions``
    are ``open`` or say why not; ``premium`` is a share of NAV, and fades from here on."""

    product: str
    flow_atoms: int
    premium: float
    creations: str
    redemptions: str
    nav_per_unit: float
    price_per_unit: float
    mark_price: float


class CreationRefused(
    Output, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="creation_refused"
):
    """Reasons: ``unknown_product``, ``duplicate``, ``not_launched``, ``closed``, ``stale``,
    ``halted``, ``paused``, ``gated``, ``rebalancing``, ``nav_not_positive``, ``too_small``,
    ``too_large`` (more units or money than can be counted), ``no_depth`` or why else the venue took
    nothing of its hedge (as in ``OrderRejected`` and ``OrderUnfilled``), ``not_offered`` (futures
    and loans are opened once), ``risk_limit`` (the venue's tiers allow no larger product),
    ``liquidated`` (its hedge was cancelled by the venue), ``venue_default`` (the venue is no more),
    ``clock_jump`` (dated too far ahead), ``split`` (units are counted anew: ask once more); by the
    terms ``outside_window``, ``request_cap``, ``user_cap``, ``day_cap``, ``nav_cap``,
    ``units_cap``. ``detail`` names the times where the reason is one of time, the largest NAV where
    it is one of size, what is left of a cap."""

    product: str
    user: str
    id: str
    reason: str
    detail: str = ""


class RedemptionRefused(
    Output, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="redemption_refused"
):
    """Reasons as in ``CreationRefused``, and ``insufficient_units``, ``unknown_user``."""

    product: str
    user: str
    id: str
    reason: str
    detail: str = ""


class CancellationRefused(
    Output, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="cancellation_refused"
):
    """Reasons: ``unknown_product``, ``duplicate``, ``clock_jump``; ``not_waiting`` (there is none
    of that id, it was dealt, or its hedge is under way), ``not_yours``. ``detail`` names the times,
    or the request."""

    product: str
    user: str
    id: str
    reason: str
    detail: str = ""


REFUSALS: Final = {
    CreationRequest: CreationRefused,
    RedemptionRequest: RedemptionRefused,
    CancellationRequest: CancellationRefused,
}
"""What is said where a request is refused."""

DealingEvent = (
    UnitsCreated
    | UnitsRedeemed
    | UnitsSplit
    | UnitsNotSplit
    | LevelReached
    | LevelDealt
    | RequestQueued
    | RequestCancelled
    | SecondaryPriced
    | CreationRefused
    | RedemptionRefused
    | CancellationRefused
)
