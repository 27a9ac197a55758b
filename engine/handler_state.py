"""What a handler remembers between steps, beside its account, its orders and its holders."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from engine.plans import Plan
from engine.units import NEVER_NS
from engine.watch import NEVER

__all__ = ["ACTIVE", "CLOSED", "CLOSING", "PENDING", "HandlerState", "Next", "Postponed"]

PENDING: Final = "pending"
ACTIVE: Final = "active"
CLOSING: Final = "closing"
CLOSED: Final = "closed"


class Postponed(Struct, frozen=True):
    """A decision that the venue would not take: it is taken anew when the product is looked at
    next, with the lots that it needs then."""

    target: float
    reason: str
    deleverages: bool
    plan: Plan | None = None


class HandlerState(Struct):
    """What a handler remembers beside its account, its orders and its holders; ``cut_due`` and
    ``safe``: a policy faulted, and the product is to be cut, and is only reduced from then on;
    ``split_ns``: when its terms are looked at next for a split, ``units_scale``: how many units of
    now one of the start is, ``unsplit``: why its rule merged nothing when it last should have."""

    policies: list[Any]
    faulted: list[bool]
    status: str = PENDING
    launched_ns: int = 0
    closed_ns: int = 0
    last_rebalance_ns: int = 0
    fee_ns: int = NEVER_NS
    high_water: float = 0.0
    rebalances: int = 0
    deleveragings: int = 0
    liquidations: int = 0
    adl_events: int = 0
    rehedge: bool = False
    bare_ns: int = 0
    unhedged_ns: int = 0
    opened: bool = False
    paused: bool = False
    gated: bool = False
    cut_due: bool = False
    safe: bool = False
    postponed: Postponed | None = None
    split_ns: int = NEVER_NS
    units_scale: float = 1.0
    unsplit: str = ""


class Next(Struct, frozen=True, gc=False):
    """When a handler must be woken: at two marks, at times of three kinds, and at two prices of the
    index where its NAV follows that."""

    low: float
    high: float
    policy_ns: int
    fill_ns: int
    fee_ns: int
    index_low: float = NEVER.low
    index_high: float = NEVER.high
