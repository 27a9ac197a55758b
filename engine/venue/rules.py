"""What a venue publishes about margin, liquidation, its insurance fund and auto-deleveraging.

Parameters only: a preset is one ``VenueRules``, and the modules beside this one carry them out.
Money is in quote, rates are shares of notional, times in ns.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.units import HOUR_NS
from engine.venue.price_rules import FundingRules, MarkRules

__all__ = [
    "AdlPrice",
    "AdlRules",
    "FeeTier",
    "InsuranceRules",
    "LiquidationRules",
    "MarginRules",
    "OrderRules",
    "Ranking",
    "Tier",
    "VenueRules",
]

Ranking = Literal[
    "bitmex",
    "binance",
    "okx",
    "bybit",
    "gate",
    "hyperliquid",
    "dydx",
    "drift",
    "pro_rata",
    "risk_aware",
]
"""Who is closed first, or how a loss is shared; see ``engine.venue.ranking``."""
AdlPrice = Literal["bankruptcy", "mark", "previous_mark"]


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all rules: unknown keys are errors."""


class Tier(Rules, frozen=True, kw_only=True):
    """One risk limit.

    Attributes:
        cap: largest notional that belongs to it, in the table's asset; the cap itself included.
        max_leverage: with which a position of this size may be opened.
        rate: maintenance margin as a share of notional.
        deduction: what makes maintenance continuous: ``notional * rate - deduction``.
        initial_rate: initial margin as a share of notional, where the venue publishes it beside a
            rounded leverage; else ``1 / max_leverage``.
    """

    cap: float
    max_leverage: float
    rate: float
    deduction: float = 0.0
    initial_rate: float | None = None


class MarginRules(Rules, frozen=True, kw_only=True):
    """What equity a position needs.

    Attributes:
        tiers: ascending by cap; with none the venue asks for no margin, and liquidates nobody.
        caps_in: asset of caps and deductions; ``settlement`` is the coin where inverse.
        priced_at: the price at which maintenance values a position.
        taker_fee_inside: whether the fee of closing counts as maintenance.
        fee_at: what that fee is a share of: the position as ``priced_at`` values it, or what
            closing at the bankruptcy price moves (Bybit). The bankruptcy price then leaves nothing
            after the fee, and who is closed pays it.
        call_at: multiple of maintenance at which the owner is called; 0: never.
        strict: liquidated only below maintenance; else already at it.
        open_interest: quote between which initial margin grows to the whole notional; none if
            ``None``.
        of_initial: maintenance is a share of the initial margin as that was rounded up (dYdX),
            rather than of the notional.
    """

    tiers: tuple[Tier, ...] = ()
    caps_in: Literal["quote", "settlement"] = "quote"
    priced_at: Literal["mark", "entry"] = "mark"
    taker_fee_inside: bool = False
    fee_at: Literal["position", "bankruptcy"] = "position"
    call_at: float = 0.0
    strict: bool = False
    open_interest: tuple[float, float] | None = None
    of_initial: bool = False


class OrderRules(Rules, frozen=True, kw_only=True):
    """Which orders the venue takes. Sizes are in the unit of the contract's ``lot_size``; ``None``
    sets no bound.

    Attributes:
        band_up: share of the mark by which a limit order may buy above it.
        band_down: share by which one may sell below it.
        market_deviation: share of the mark beyond which a market order does not fill.
        size_min: smallest order.
        limit_size_max, market_size_max: largest single order.
        notional_min: smallest order in quote; those that only reduce are free of it.
        significant_figures: of a price, at most; whole numbers are always allowed.
        price_decimals: of a price, at most.
    """

    band_up: float | None = None
    band_down: float | None = None
    market_deviation: float | None = None
    size_min: float = 0.0
    limit_size_max: float | None = None
    market_size_max: float | None = None
    notional_min: float = 0.0
    significant_figures: int | None = None
    price_decimals: int | None = None


class FeeTier(Rules, frozen=True, kw_only=True):
    """Fees as shares of notional from a trading volume on; a negative ``maker`` is a rebate.

    Attributes:
        volume: quote within 30 days.
    """

    volume: float
    maker: float
    taker: float


class LiquidationRules(Rules, frozen=True, kw_only=True):
    """How the venue closes a position that is short of margin.

    Attributes:
        steps: ``full`` closes all at once; ``tier`` the excess over the tier below, tested again
            after each step; ``portion`` a share, then waits ``pause_ns``; ``shortage`` as much as
            restores the margin.
        portion: share closed by one step of ``portion``.
        portion_above: notional (quote) above which ``portion`` holds; smaller positions are closed
            whole.
        step_min, step_max: bounds of one step's notional, in quote.
        pause_ns: from a step of ``portion`` to the next: a block.
        cooldown_ns: for so long after an account was closed in part by a step of ``portion`` its
            orders are for the whole of what is left (Hyperliquid); 0: they never are. It goes on
            where the margin was restored meanwhile.
        first: which position of a cross account is closed first: the one that needs the most
            margin, or the account's first.
        limit: worst price of the liquidation order: none, the bankruptcy price of what is closed,
            or dYdX's fillable price.
        bankruptcy_adjustment, spread_to_maintenance: of the fillable price.
        surplus: whose is what a fill brings beyond the bankruptcy price, the fee apart.
        fee: share of the liquidated notional, taken from that surplus.
        fee_from_freed: the fee is at most 95 % of the margin that closing frees beyond what is
            short (Drift).
        liquidator_fee: share of notional by which whoever takes a position over has it below the
            mark; a step of ``shortage`` counts with it.
        liquidator_fee_max: what that rises to while the owner does nothing, by a millionth with
            every slot since his last trade or payment, once 1,500 slots have passed (Drift);
            ``None``: it does not rise.
        slot_ns: how long a slot is.
        backstop_below: share of maintenance margin; equity below it goes to the backstop with the
            position, and maintenance is not given back. 0: there is none.
    """

    steps: Literal["full", "tier", "portion", "shortage"] = "full"
    portion: float = 1.0
    portion_above: float = 0.0
    step_min: float = 0.0
    step_max: float | None = None
    pause_ns: int = 0
    cooldown_ns: int = 0
    first: Literal["heaviest", "listed"] = "heaviest"
    limit: Literal["none", "bankruptcy", "fillable"] = "bankruptcy"
    bankruptcy_adjustment: float = 1.0
    spread_to_maintenance: float = 0.1
    surplus: Literal["account", "fund"] = "fund"
    fee: float = 0.0
    fee_from_freed: bool = False
    liquidator_fee: float = 0.0
    liquidator_fee_max: float | None = None
    slot_ns: int = 400_000_000
    backstop_below: float = 0.0


class InsuranceRules(Rules, frozen=True, kw_only=True):
    """The fund that pays losses beyond the bankruptcy price.

    Attributes:
        balance: at the start, quote.
        drawdown: share of its peak within ``window_ns`` that may be lost before it stops paying and
            ADL begins; 1: until it is empty.
        window_ns: over which the peak is taken.
    """

    balance: float = 0.0
    drawdown: float = 1.0
    window_ns: int = 8 * HOUR_NS


class AdlRules(Rules, frozen=True, kw_only=True):
    """Who is closed against a position that nobody can pay for, and at what price.

    Attributes:
        ranking: order, or sharing rule.
        price: bankruptcy price of the liquidated account, the mark, or the mark before this one.
        mark_beyond: distance of the bankruptcy price from the mark, as a share, beyond which the
            mark is taken (Bybit: 0.05); 0: never.
        rest: what becomes of what finds no counterparty: its loss is socialised, or it stays open.
    """

    ranking: Ranking = "binance"
    price: AdlPrice = "bankruptcy"
    mark_beyond: float = 0.0
    rest: Literal["socialise", "stay_open"] = "socialise"


class VenueRules(Rules, frozen=True, kw_only=True):
    """All of one venue, for one contract; ``fees`` ascend by volume."""

    name: str = "none"
    fees: tuple[FeeTier, ...] = ()
    orders: OrderRules = OrderRules()
    margin: MarginRules = MarginRules()
    liquidation: LiquidationRules = LiquidationRules()
    insurance: InsuranceRules = InsuranceRules()
    adl: AdlRules = AdlRules()
    mark: MarkRules = MarkRules()
    funding: FundingRules = FundingRules()
