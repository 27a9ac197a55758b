"""What the venue says of margin accounts: called, liquidated, paid for, deleveraged.

``account`` is ``product:ID`` for a product's hedge and ``trader:ID`` for another customer. Money is
in atoms of the settlement asset, lots are signed as traded by the account: a long is closed with
negative lots.
"""

from __future__ import annotations

from typing import Literal

from engine.crowd_events import CrowdEvent
from engine.custody_events import CustodyEvent
from engine.fact import Output

__all__ = [
    "AccountCharged",
    "BackstopTakeover",
    "HedgeAutoDeleveraged",
    "HedgeLiquidated",
    "InsuranceFundChanged",
    "LiquidationEnded",
    "LiquidationFilled",
    "LiquidationStarted",
    "LossSocialised",
    "MarginCalled",
    "OmnibusShared",
    "OrdersCancelled",
    "OrdersCrossed",
    "PositionAutoDeleveraged",
    "TopUpArrived",
    "TopUpFrozen",
    "TopUpOrdered",
    "TradersFunded",
    "VenueEvent",
]


class _AccountEvent(Output, frozen=True, gc=False, kw_only=True):
    """Base of what happens to one account in one contract."""

    account: str
    symbol: str


class MarginCalled(_AccountEvent, frozen=True, gc=False, kw_only=True, tag="margin_called"):
    """Equity came near maintenance: the owner may pay in or reduce. Once, until the account
    changes."""

    mark_price: float
    equity_atoms: int
    maintenance_atoms: int


class LiquidationStarted(
    _AccountEvent, frozen=True, gc=False, kw_only=True, tag="liquidation_started"
):
    """Equity no longer covers maintenance: the venue closes the position, in steps."""

    mark_price: float
    position_lots: int
    equity_atoms: int
    maintenance_atoms: int


class OrdersCancelled(_AccountEvent, frozen=True, gc=False, kw_only=True, tag="orders_cancelled"):
    """The first step of a liquidation: what was under way to the book is given up."""

    orders: int


class LiquidationFilled(
    _AccountEvent, frozen=True, gc=False, kw_only=True, tag="liquidation_filled"
):
    """One step's order met the book.

    ``asked_lots`` is the step, ``lots`` what was filled at ``price`` on average; ``limit_price`` is
    the worst it might be (none where there is no limit, nor a bankruptcy price where none is
    positive). ``bankruptcy_atoms`` is what the account must get for ``asked_lots`` to end with
    nothing. ``fund_atoms`` went to the insurance fund (negative: it paid), the liquidation fee in
    it; of futures beside a fund, which are ``taken_over`` at the mark, to the venue itself.
    """

    step: Literal["partial", "full", "insured", "taken_over"]
    asked_lots: int
    lots: int
    price: float
    limit_price: float | None
    bankruptcy_price: float | None
    bankruptcy_atoms: int
    cash_atoms: int
    fee_atoms: int
    fund_atoms: int


class BackstopTakeover(_AccountEvent, frozen=True, gc=False, kw_only=True, tag="backstop_takeover"):
    """The backstop took the position at mark, and what equity was left with it."""

    lots: int
    mark_price: float
    equity_atoms: int


class InsuranceFundChanged(
    Output, frozen=True, gc=False, kw_only=True, tag="insurance_fund_changed"
):
    """The fund of a contract after it paid or was paid."""

    symbol: str
    delta_atoms: int
    balance_atoms: int
    cause: Literal["fill", "cover"]


class PositionAutoDeleveraged(
    _AccountEvent, frozen=True, gc=False, kw_only=True, tag="position_auto_deleveraged"
):
    """The account was closed against a bankrupt one (``against``) at ``price``.

    ``rank`` counts from 1, the first to be taken; ``quantile`` is the share of the queue that is
    not ahead of it: 1 for the first.
    """

    against: str
    lots: int
    price: float
    mark_price: float
    rank: int
    quantile: float
    cash_atoms: int


class LossSocialised(Output, frozen=True, gc=False, kw_only=True, tag="loss_socialised"):
    """What nobody else paid is shared by all open positions, by size; ``atoms_per_lot`` rounded
    up."""

    symbol: str
    loss_atoms: int
    atoms_per_lot: int
    accounts: int


class LiquidationEnded(_AccountEvent, frozen=True, gc=False, kw_only=True, tag="liquidation_ended"):
    """``restored``: margin suffices again; ``closed``: nothing is held any more; ``unfilled``:
    neither book, fund nor counterparties could take it, and it is tried again."""

    outcome: Literal["restored", "closed", "unfilled"]
    position_lots: int
    equity_atoms: int


class AccountCharged(_AccountEvent, frozen=True, gc=False, kw_only=True, tag="account_charged"):
    """Money left a margin account (came where negative) without a trade of its own.

    ``closing_fee``: of a liquidated position, where the venue takes it at the bankruptcy price;
    ``socialised``: its share of a loss that nobody else paid, or what it was let off; ``cover``:
    what the insurance fund paid of what it owed.
    """

    cause: Literal["closing_fee", "socialised", "cover"]
    atoms: int


class TradersFunded(
    Output, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag="traders_funded"
):
    """Funding of the venue's other customers, together; ``index_price`` where they were valued at
    it."""

    symbol: str
    rate: float
    mark_price: float
    accounts: int
    paid_atoms: int
    index_price: float | None = None


class HedgeLiquidated(Output, frozen=True, gc=False, kw_only=True, tag="hedge_liquidated"):
    """A product's hedge was cut by the venue. Leverage before and after; ``nav_effect_atoms`` is
    quote, negative a loss."""

    product: str
    lots: int
    position_lots: int
    mark_price: float
    leverage_before: float | None
    leverage_after: float | None
    nav_effect_atoms: int


class HedgeAutoDeleveraged(
    Output, frozen=True, gc=False, kw_only=True, tag="hedge_auto_deleveraged"
):
    """A product's hedge was auto-deleveraged: what was taken, at which price, and what it cost or
    brought against the mark. The re-hedge follows."""

    product: str
    lots: int
    price: float
    mark_price: float
    rank: int
    quantile: float
    position_lots: int
    leverage_before: float | None
    leverage_after: float | None
    nav_effect_atoms: int


class TopUpOrdered(Output, frozen=True, gc=False, kw_only=True, tag="topup_ordered"):
    """Money left a product's treasury for its margin at the venue, and is due there at
    ``arrives_ns``; until then it counts for nothing there. ``margin_atoms``: equity at the venue,
    ``treasury_atoms``: what the treasury holds, this money included."""

    product: str
    atoms: int
    arrives_ns: int
    margin_atoms: int
    treasury_atoms: int


class TopUpArrived(Output, frozen=True, gc=False, kw_only=True, tag="topup_arrived"):
    """The money is margin now; margin and treasury after it. ``atoms`` is less than ordered where
    redemptions took from the treasury meanwhile; ``issuer_atoms`` of it the issuer paid in, where
    NAV is by formula."""

    product: str
    atoms: int
    margin_atoms: int
    treasury_atoms: int
    issuer_atoms: int


class TopUpFrozen(Output, frozen=True, gc=False, kw_only=True, tag="topup_frozen"):
    """Withdrawals are frozen: the money arrives at ``until_ns``, unless that is changed again."""

    product: str
    atoms: int
    until_ns: int


class OrdersCrossed(Output, frozen=True, gc=False, kw_only=True, tag="orders_crossed"):
    """Orders of an omnibus account met each other at mid; the fills that say it stand before it.
    ``value_atoms``: what ``lots`` are worth at mid beyond the mark, settlement asset: those who
    bought paid it, those who sold received it."""

    symbol: str
    lots: int
    mid_price: float
    mark_price: float
    value_atoms: int
    orders: int


class OmnibusShared(_AccountEvent, frozen=True, gc=False, kw_only=True, tag="omnibus_shared"):
    """A product's share of what the venue took from its omnibus account, or gave."""

    product: str
    cause: str
    lots: int
    cash_atoms: int


VenueEvent = (
    MarginCalled
    | LiquidationStarted
    | OrdersCancelled
    | LiquidationFilled
    | BackstopTakeover
    | InsuranceFundChanged
    | PositionAutoDeleveraged
    | LossSocialised
    | AccountCharged
    | LiquidationEnded
    | TradersFunded
    | HedgeLiquidated
    | HedgeAutoDeleveraged
    | OrdersCrossed
    | OmnibusShared
    | TopUpOrdered
    | TopUpArrived
    | TopUpFrozen
    | CrowdEvent
    | CustodyEvent
)
