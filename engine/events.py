"""What can arrive and what we can say: two unions, ``Message`` and ``Event``.

Facts are past tense, requests are nouns, refusals are facts with a ``reason``. Each output carries
``sequence`` (the input that caused it) and ``ordinal`` (its place among that input's outputs): the
two name it for ever, and a reader drops repeats by them. Tags are written out, so that a class can
be renamed without changing the wire.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct

from engine.commands import Command
from engine.dealing_events import (
    CancellationRefused,
    CancellationRequest,
    CreationRefused,
    CreationRequest,
    DealingEvent,
    LevelDealt,
    LevelReached,
    RedemptionRefused,
    RedemptionRequest,
    RequestCancelled,
    RequestQueued,
    SecondaryPriced,
    UnitsCreated,
    UnitsNotSplit,
    UnitsRedeemed,
    UnitsSplit,
)
from engine.fact import Output
from engine.venue_events import VenueEvent

__all__ = [
    "EVENT_ENCODER",
    "EVENT_TYPES",
    "CancellationRefused",
    "CancellationRequest",
    "CommandObeyed",
    "CommandRefused",
    "CreationRefused",
    "CreationRequest",
    "Dated",
    "DeficitPaid",
    "Deleveraged",
    "Event",
    "FundingSettled",
    "IndexStale",
    "InputRejected",
    "InterestCharged",
    "LevelDealt",
    "LevelReached",
    "Malformed",
    "ManagementFeeCharged",
    "MarkSourceChanged",
    "MarketResumed",
    "MarketStale",
    "Message",
    "OrderCancelled",
    "OrderFilled",
    "OrderHeld",
    "OrderRejected",
    "OrderRested",
    "OrderSent",
    "OrderUnfilled",
    "Output",
    "PolicyFaulted",
    "ProductClosed",
    "ProductLaunched",
    "ProductWarned",
    "Rebalanced",
    "RedemptionRefused",
    "RedemptionRequest",
    "RequestCancelled",
    "RequestQueued",
    "ScenarioMark",
    "SecondaryPriced",
    "SurplusTaken",
    "UnitsCreated",
    "UnitsNotSplit",
    "UnitsRedeemed",
    "UnitsSplit",
]


class Malformed(Struct, frozen=True, gc=False, kw_only=True, tag_field="kind", tag="malformed"):
    """A row that its feed could not read or use, of that market if it is known; it becomes an
    ``InputRejected``. ``ts_ns`` 0 where it is unknown."""

    ts_ns: int
    detail: str
    reason: Literal["malformed", "unsupported", "out_of_sync", "duplicate"] = "malformed"
    symbol: str | None = None


class InputRejected(Output, frozen=True, gc=False, kw_only=True, tag="input_rejected"):
    """A row or message that was refused; it changed nothing.

    Reasons: ``not_finite``, ``not_positive``, ``jump``, ``clock_jump``, ``late``, ``duplicate``,
    ``crossed``, ``unknown_symbol``, ``malformed``, ``unsupported``, ``out_of_sync``.
    """

    reason: str
    symbol: str | None = None
    kind: str | None = None
    detail: str = ""


class MarketStale(Output, frozen=True, gc=False, kw_only=True, tag="market_stale"):
    """A market that products depend on went silent (``gap``), repeats one price (``frozen``) or was
    stopped by the operator (``halted``)."""

    symbol: str
    reason: Literal["gap", "frozen", "halted"]
    since_ns: int


class MarketResumed(Output, frozen=True, gc=False, kw_only=True, tag="market_resumed"):
    """The first fresh price after a ``MarketStale``."""

    symbol: str
    price: float
    stale_ns: int


class MarkSourceChanged(Output, frozen=True, gc=False, kw_only=True, tag="mark_source_changed"):
    """The venue's mark is chosen from other legs than before.

    ``legs``: those that are there, joined by ``+``; ``leg``: the one that held at that point, with
    its price; ``index``: 0 where no source is fresh.
    """

    symbol: str
    legs: str
    leg: str
    price: float
    index: float


class IndexStale(Output, frozen=True, gc=False, kw_only=True, tag="index_stale"):
    """No source of an index is fresh: there is none since ``since_ns``, and no mark stands on
    it."""

    symbol: str
    since_ns: int


class ProductLaunched(Output, frozen=True, gc=False, kw_only=True, tag="product_launched"):
    """Units were issued at the first price of the market; the opening trade follows.

    ``equity_atoms`` is the quote paid in; units are in steps of 1e-8.
    """

    product: str
    symbol: str
    mark_price: float
    equity_atoms: int
    units: int


class OrderSent(Output, frozen=True, gc=False, kw_only=True, tag="order_sent"):
    """A hedge order left for the venue; it arrives at ``arrives_ns``. ``lots`` signed, buys
    positive."""

    product: str
    order: int
    lots: int
    purpose: str
    arrives_ns: int
    mark_price: float


class OrderHeld(Output, frozen=True, gc=False, kw_only=True, tag="order_held"):
    """An order that reached a stale market waits for the first fresh price."""

    product: str
    order: int
    lots: int


class OrderUnfilled(Output, frozen=True, gc=False, kw_only=True, tag="order_unfilled"):
    """What the book could not take, or not within the venue's deviation of market orders
    (``market_deviation``) or in so many ``pieces``; the plan tries again at ``retry_ns``."""

    product: str
    order: int
    lots: int
    retry_ns: int
    reason: str


class OrderRejected(
    Output, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="order_rejected"
):
    """The venue refused an order as it arrived: ``would_cross`` (post-only), ``not_whole`` (fill or
    kill), by its order rules ``too_small``, ``too_large``, ``price_step``, ``price_band``,
    ``not_a_price``, by its risk limits ``no_margin``, ``risk_limit`` (its tiers allow a NAV of
    ``nav_max_atoms``), or because it is in trouble ``refused``, ``reduce_only``. Its plan sends the
    same lots again at ``retry_ns``, or as soon as the mark has moved or margin has arrived, at
    market but in trouble; 0: it gave up."""

    product: str
    order: int
    lots: int
    retry_ns: int
    reason: str
    nav_max_atoms: int | None = None


class OrderRested(Output, frozen=True, gc=False, kw_only=True, tag="order_rested"):
    """``lots`` of an order wait at ``price``, behind ``ahead_lots`` of others (``None``: nobody
    knows how many), until ``expires_ns``."""

    product: str
    order: int
    lots: int
    price: float
    ahead_lots: float | None
    expires_ns: int


class OrderCancelled(Output, frozen=True, gc=False, kw_only=True, tag="order_cancelled"):
    """``lots`` of an order wait no more: ``expired`` (they are sent at market), ``replaced`` (by
    another plan), ``reduce_only`` (there is nothing left for them to reduce), ``not_needed`` (the
    price has done the rest of its work), ``liquidated`` (by the venue, which takes the hedge),
    ``venue_default`` (the venue is no more)."""

    product: str
    order: int
    lots: int
    reason: str


class OrderFilled(
    Output, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="order_filled"
):
    """One execution. ``lots`` signed, buys positive; amounts in atoms of the settlement asset.

    ``hedge_atoms`` is the change of the account's cash at ``mid_price`` (negative where a linear
    contract is bought), ``spread_impact_atoms`` what the fill price changed it by beyond that
    (negative is a cost), ``fee_atoms`` the fee (paid positive): the taker's, or the maker's where
    the order rested (``maker``). ``crossed``: with orders of the same omnibus account, at mid.
    """

    product: str
    symbol: str
    order: int
    purpose: str
    lots: int
    price: float
    mid_price: float
    mark_price: float
    hedge_atoms: int
    spread_impact_atoms: int
    fee_atoms: int
    maker: bool = False
    crossed: bool = False


class Rebalanced(Output, frozen=True, gc=False, kw_only=True, tag="rebalanced"):
    """A plan that returned leverage towards target is done. ``leverage_before`` at the decision,
    ``after`` at the mark of the last fill; ``cost_atoms``: spread, impact and fee, in the
    settlement asset."""

    product: str
    reason: str
    target: float
    leverage_before: float
    leverage_after: float | None
    lots: int
    position_lots: int
    mark_price: float
    nav_atoms: int
    cost_atoms: int
    decided_ns: int
    opening: bool = False


class Deleveraged(Output, frozen=True, gc=False, kw_only=True, tag="deleveraged"):
    """A forced cut of exposure is done; fields as in ``Rebalanced``."""

    product: str
    reason: str
    target: float
    leverage_before: float | None
    leverage_after: float | None
    lots: int
    position_lots: int
    mark_price: float
    nav_atoms: int
    cost_atoms: int
    decided_ns: int


class FundingSettled(
    Output, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="funding_settled"
):
    """Funding at its instant: ``paid_atoms`` left the product (negative: it received).
    ``index_price`` is there where the position was valued at it, and not at the mark."""

    product: str
    symbol: str
    rate: float
    mark_price: float
    position_lots: int
    paid_atoms: int
    index_price: float | None = None


class ManagementFeeCharged(
    Output, frozen=True, gc=False, kw_only=True, tag="management_fee_charged"
):
    """The issuer's fee at its instant, in the settlement asset."""

    product: str
    rate: float
    nav_atoms: int
    paid_atoms: int


class InterestCharged(Output, frozen=True, gc=False, kw_only=True, tag="interest_charged"):
    """An hour's interest on a margin loan: ``debt_atoms`` in quote, ``paid_atoms`` in the
    settlement asset."""

    product: str
    rate: float
    debt_atoms: int
    paid_atoms: int


class ProductWarned(Output, frozen=True, gc=False, kw_only=True, tag="product_warned"):
    """A policy has something to say and does nothing: a margin loan near its forced sale."""

    product: str
    reason: str
    leverage: float
    mark_price: float
    nav_atoms: int


class PolicyFaulted(Output, frozen=True, gc=False, kw_only=True, tag="policy_faulted"):
    """A policy raised, or answered what is no leverage; the product went to its safe mode."""

    product: str
    policy: str
    error: str
    safe_mode: str


class ProductClosed(Output, frozen=True, gc=False, kw_only=True, tag="product_closed"):
    """The product holds no contracts any more and never will. ``deficit_atoms`` > 0 where the last
    fill left less than nothing; those who pay it follow as ``DeficitPaid``."""

    product: str
    reason: str
    mark_price: float
    nav_atoms: int
    deficit_atoms: int


class TermSettled(Output, frozen=True, gc=False, kw_only=True, tag="term_settled"):
    """What a unit of a quoted product pays, quote, and why; its hedge is closed next. The reason
    speaks of units of the launch, ``nav_per_unit`` of those of now."""

    product: str
    reason: str
    nav_per_unit: float
    mark_price: float


class DecisionPostponed(Output, frozen=True, gc=False, kw_only=True, tag="decision_postponed"):
    """The venue would not take what was decided: too little to be an order (``too_small``), or
    refused until its plan gave up. Nobody waits for it; whenever the product is looked at it is
    taken anew, with the lots that it needs then, until another takes its place. Said once."""

    product: str
    target: float
    reason: str
    why: str
    lots: int
    mark_price: float


class DeficitPaid(Output, frozen=True, gc=False, kw_only=True, tag="deficit_paid"):
    """Who paid what a bankrupt product owed, in order: insurance, reserve, issuer."""

    product: str
    payer: Literal["insurance", "reserve", "issuer"]
    paid_atoms: int


class SurplusTaken(Output, frozen=True, gc=False, kw_only=True, tag="surplus_taken"):
    """What the hedge of a closed formula product left beyond what holders are owed is the
    issuer's."""

    product: str
    atoms: int


class CommandObeyed(Output, frozen=True, gc=False, kw_only=True, tag="command_obeyed"):
    """What the operator said is done; what it caused at once stands before it."""

    command: str
    id: str
    symbol: str | None
    product: str | None
    detail: str = ""


class CommandRefused(Output, frozen=True, gc=False, kw_only=True, tag="command_refused"):
    """It changed nothing. Reasons: ``duplicate``, ``clock_jump``, ``unknown_symbol``,
    ``unknown_product``, ``not_launched``, ``closed``, ``stale``, ``nav_not_positive``,
    ``out_of_limits``, ``rebalancing``, ``too_small``, and where it is so already ``halted``,
    ``not_halted``, ``paused``, ``not_paused``, ``gated``, ``not_gated``, ``degraded``,
    ``not_degraded``, ``frozen``, ``not_frozen``, ``masked``, ``not_masked``; for an index
    ``no_index``, ``unknown_source``; for a thin book ``no_depth_book``; for
    collateral ``collateral_is_the_coin``, ``no_change``; for a forced close ``nothing_held``; for a
    population ``unknown_population``, ``opened``; of a venue that failed ``defaulted``; for a split
    also ``too_large``."""

    command: str
    id: str
    symbol: str | None
    product: str | None
    reason: str
    detail: str = ""


class ScenarioMark(Output, frozen=True, gc=False, kw_only=True, tag="scenario_mark"):
    """An event of a scenario takes hold: rows later than this instant, up to ``until_ns``, are not
    as they were recorded, or the venue is not as usual. ``what`` is its kind."""

    scenario: str
    name: str
    what: str
    until_ns: int
    detail: str = ""


Dated = CreationRequest | RedemptionRequest | CancellationRequest | Command
"""What somebody sends with a time of its own, by which the engine's clock may go on."""
Message = Dated | Malformed
Event = (
    InputRejected
    | MarketStale
    | MarkSourceChanged
    | IndexStale
    | MarketResumed
    | ProductLaunched
    | OrderSent
    | OrderHeld
    | OrderUnfilled
    | OrderRejected
    | OrderRested
    | OrderCancelled
    | OrderFilled
    | Rebalanced
    | Deleveraged
    | FundingSettled
    | ManagementFeeCharged
    | InterestCharged
    | ProductWarned
    | DealingEvent
    | PolicyFaulted
    | TermSettled
    | DecisionPostponed
    | ProductClosed
    | DeficitPaid
    | SurplusTaken
    | CommandObeyed
    | CommandRefused
    | ScenarioMark
    | VenueEvent
)
EVENT_TYPES: Final[tuple[type[Output], ...]] = get_args(Event)

EVENT_ENCODER: Final = msgspec.json.Encoder()
