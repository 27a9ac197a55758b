"""What a leverage policy is: a frozen struct of parameters with two methods.

``watch`` says when the policy next cares, ``decide`` what it wants now. A policy reads and never
writes; what it must remember is an explicit state struct that the handler keeps for it and the
snapshot holds.
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol, final, runtime_checkable

from msgspec import Struct

from engine.plans import Plan
from engine.watch import ALWAYS, NEVER, Watch, drawn_in

__all__ = [
    "Close",
    "Decision",
    "Deleverage",
    "MarketView",
    "Nothing",
    "Policy",
    "PolicyAnswerError",
    "PositionView",
    "Quote",
    "SetLeverage",
    "View",
    "Warn",
    "is_text",
    "leverage_watch",
    "words_of",
]


_NO_LOW, _NO_HIGH = NEVER.low, NEVER.high
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
"""Where an object lies in memory differs from run to run; the output log must not."""
_WORDS_MAX: Final = 2_000
"""Characters of what is said of a fault."""


class MarketView(Struct, frozen=True, gc=False):
    """The market as of the tick that woke us. Prices quote per base; volatilities a year, as
    ratios.

    Attributes:
        ts_ns: event time.
        mark, price, index: mark price, last trade (mark where none), index (mark where none); of a
            product whose NAV follows the index, that all three.
        basis_bps: mark over index.
        funding_rate: share of notional at the next instant; positive: longs pay.
        spread_bps: ask over bid, relative to mid; 0 where no book is recorded.
        depth: quote per side within 1 % of mid; 0 where the book has no depth.
        ewma_vol, realised_vol, parkinson_vol: 0 until there are signals.
        trend: signed efficiency of recent moves in [-1, 1]: 1 is straight up.
        drawdown: of the mark from its highest, <= 0.
        stale: too many steps of the signal grid had no fresh tick.
        step_price: the mark at the last step of the signal grid.
    """

    ts_ns: int
    mark: float
    price: float
    index: float
    basis_bps: float = 0.0
    funding_rate: float = 0.0
    spread_bps: float = 0.0
    depth: float = 0.0
    ewma_vol: float = 0.0
    realised_vol: float = 0.0
    parkinson_vol: float = 0.0
    trend: float = 0.0
    drawdown: float = 0.0
    stale: bool = False
    step_price: float = 0.0


class PositionView(Struct, frozen=True, gc=False):
    """The product as of the tick that woke us; money in quote.

    Attributes:
        nav: net asset value of all units.
        exposure: quote delta, signed.
        leverage: exposure / NAV, signed; 0 where NAV <= 0.
        target: leverage last decided.
        entry_price: mark at the launch.
        high_water_mark: highest NAV per unit (quote) since the launch, as far as it was watched;
            of a unit of the launch, which was 1: splits and merges leave it.
        drawdown: of NAV per unit from its high-water mark, <= 0; 0 where nobody uses that mark.
        age_ns: since the launch.
        last_rebalance_ns: when the last plan was done; 0 before the first.
    """

    nav: float
    exposure: float
    leverage: float
    target: float
    entry_price: float = 0.0
    high_water_mark: float = 0.0
    drawdown: float = 0.0
    age_ns: int = 0
    last_rebalance_ns: int = 0


class View(Struct, frozen=True, gc=False):
    """What a policy sees. Alarms up to ``due_ns`` have rung: a timer compares with this, never with
    ``market.ts_ns``, because at one instant prices come before alarms."""

    market: MarketView
    position: PositionView
    due_ns: int


@final
class SetLeverage(Struct, frozen=True, gc=False):
    """Trade to a signed target leverage, by the product's own ``plan`` where none is named."""

    target: float
    reason: str
    plan: Plan | None = None


@final
class Deleverage(Struct, frozen=True, gc=False):
    """Cut exposure to a signed target leverage because margin is short; beats ``SetLeverage``, and
    is carried out now where no ``plan`` is named."""

    target: float
    reason: str
    plan: Plan | None = None


@final
class Quote(Struct, frozen=True, gc=False):
    """From here on a unit of the launch, which was 1, is worth ``nav_per_unit``, quote, and follows
    the mark with ``target`` times its moves; the hedge goes to that leverage, by ``plan`` or the
    product's own. Of products with ``nav = "quoted"`` alone. ``settles``: this is the last, and the
    product closes."""

    nav_per_unit: float
    target: float
    reason: str
    settles: bool = False
    plan: Plan | None = None


@final
class Close(Struct, frozen=True, gc=False):
    """Give up the position for good; beats everything."""

    reason: str


@final
class Warn(Struct, frozen=True, gc=False):
    """Say it, and do nothing: every other decision comes before it."""

    reason: str


Decision = SetLeverage | Deleverage | Quote | Close | Warn


class Nothing(Struct, frozen=True, gc=False):
    """The state of a policy that remembers nothing."""


class PolicyAnswerError(Exception):
    """A policy's answer is no leverage; the message says what it was and when."""


def is_text(text: str) -> bool:
    """Whether it can be written: a lone surrogate is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def words_of(error: BaseException) -> str:
    """What an exception says, its type before it but for a ``PolicyAnswerError``: as a text that
    can be written, the same in every run, whatever its own code does."""
    try:
        said = str.encode(str(error), errors="backslashreplace").decode()
    except BaseException as other:  # noqa: BLE001  # a user's exception may raise in its turn
        said = f"its message raised {type(other).__name__}"
    if not isinstance(error, PolicyAnswerError):
        said = f"{type(error).__name__}: {said}"
    return _ADDRESS.sub("", said)[:_WORDS_MAX]


@runtime_checkable
class Policy(Protocol):
    """A leverage policy."""

    @property
    def uses_signals(self) -> bool:
        """Whether it reads volatility, trend, drawdown or book figures."""

    @property
    def uses_high_water(self) -> bool:
        """Whether it reads the product's high-water mark."""

    @property
    def de_risking(self) -> bool:
        """Whether it is asked, and its watch armed, while a plan is under way."""

    def initial_state(self) -> Any:
        """What the policy remembers before its first look."""

    def watch(self, view: View, state: Any) -> Watch:
        """When the policy next cares, seen from now."""

    def decide(self, view: View, state: Any) -> tuple[Decision | None, Any]:
        """What the policy wants now, and what it remembers; the same state where it has nothing to
        say."""


def leverage_watch(view: View, low: float, high: float, sign: float) -> Watch:
    """The prices at which |leverage| reaches ``low`` or ``high`` on the product's present line.

    |leverage| rises with the price where the intercept is positive and falls where it is negative:
    that, not sorting, tells which edge lies where. An edge at or below zero means never; but
    leverage that lies outside already, as costs or payments may leave it, matters at the very next
    price.

    Args:
        view: the present line is ``intercept = nav - exposure``, ``slope = exposure / mark``.
        low, high: magnitudes; ``low`` 0 is where there is no exposure, ``high`` infinity never.
        sign: +1 for a long product, -1 for a short one.
    """
    position = view.position
    if not low < sign * position.leverage < high:
        return ALWAYS
    exposure = position.exposure
    slope, intercept = exposure / view.market.mark, position.nav - exposure
    if intercept == 0.0:
        return NEVER
    low, high = sign * low, sign * high
    # ``price_at_leverage``, twice. Leverage 1 is met at every price or none; of no leverage and of
    # infinite leverage the price is zero or not a number, which is no edge either.
    at_low = low * intercept / (slope * (1.0 - low)) if low and low != 1.0 else 0.0
    at_high = high * intercept / (slope * (1.0 - high)) if high != 1.0 else 0.0
    below, above = (at_high, at_low) if intercept < 0.0 else (at_low, at_high)
    return Watch(*drawn_in(below if below > 0.0 else _NO_LOW, above if above > 0.0 else _NO_HIGH))
