"""What the operator may say to a running engine, and the time of it.

A command is obeyed at its time, or at once where it is dated earlier than the engine's clock (0
means at once). Its id names it: a second one of the same id is refused.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, structs

__all__ = [
    "AutoDeleverage",
    "Command",
    "CustodyCommand",
    "DefaultVenue",
    "DegradeMarket",
    "ForceTarget",
    "FreezeWithdrawals",
    "GateCreations",
    "HaltMarket",
    "MarkScenario",
    "MarketCommand",
    "MaskIndex",
    "OpenPopulation",
    "PauseProduct",
    "PriceCollateral",
    "ProductCommand",
    "ResumeMarket",
    "ResumeProduct",
    "SplitUnits",
    "ThinBook",
]

HOUR_MS: Final = 3_600_000
MONTH_MS: Final = 30 * 24 * HOUR_MS


class Instruction(Struct, frozen=True, gc=False, kw_only=True, tag_field="kind"):
    """Base of what the operator says.

    Attributes:
        ts_ns: exchange time of the command; one of the past is obeyed at once.
        id: names the command.
    """

    ts_ns: Annotated[int, Meta(ge=0, lt=2**63 - 1)]
    id: str

    @property
    def detail(self) -> str:
        """What the command says beside whom it is for."""
        return ""


class HaltMarket(Instruction, frozen=True, gc=False, kw_only=True, tag="halt"):
    """Take a market for stale until it is resumed, whatever prices come."""

    symbol: str
    reason: str = ""

    @property
    def detail(self) -> str:
        return self.reason


class ResumeMarket(Instruction, frozen=True, gc=False, kw_only=True, tag="resume"):
    """The next fresh price of a halted market resumes it."""

    symbol: str


class DegradeMarket(Instruction, frozen=True, gc=False, kw_only=True, tag="degrade"):
    """A market's venue is in trouble from now on; with nothing of it, it is as usual again.

    Attributes:
        latency_ms: orders that are sent meanwhile take so much longer to its book; those on their
            way arrive as they were to.
        refuse: share of the attempts to trade that it refuses, 1 for all.
        reduce_only: it takes no order but what reduces a position.
        for_ms: for how long; 0: until it is told otherwise.
    """

    symbol: str
    latency_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 0
    refuse: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    reduce_only: bool = False
    for_ms: Annotated[int, Meta(ge=0, le=2_592_000_000)] = 0

    def __post_init__(self) -> None:
        structs.force_setattr(self, "refuse", float(self.refuse))
        if not 0 <= self.latency_ms <= HOUR_MS:
            raise ValueError(f"latency_ms must be in [0, {HOUR_MS}], was {self.latency_ms}")
        if not 0.0 <= self.refuse <= 1.0:
            raise ValueError(f"refuse must be in [0, 1], was {self.refuse}")
        if not 0 <= self.for_ms <= MONTH_MS:
            raise ValueError(f"for_ms must be in [0, {MONTH_MS}], was {self.for_ms}")

    @property
    def worse(self) -> bool:
        """Whether anything of it is worse than usual."""
        return bool(self.latency_ms or self.refuse or self.reduce_only)

    @property
    def detail(self) -> str:
        said = [f"{self.latency_ms} ms"]
        if self.refuse:
            said.append(f"refuses {self.refuse!r} of orders")
        if self.reduce_only:
            said.append("reduce only")
        if self.for_ms:
            said.append(f"for {self.for_ms} ms")
        return ", ".join(said)


class FreezeWithdrawals(Instruction, frozen=True, gc=False, kw_only=True, tag="freeze"):
    """Until ``until_ns`` no top-up reaches the margin accounts of a market; those under way arrive
    then. A time that has passed (0) ends it."""

    symbol: str
    until_ns: Annotated[int, Meta(ge=0, lt=2**63 - 1)]

    @property
    def detail(self) -> str:
        return f"until {self.until_ns}"


class MaskIndex(Instruction, frozen=True, gc=False, kw_only=True, tag="mask"):
    """A source of a market's own index is out of order from now on, whatever it says, or counts
    again.

    Attributes:
        source: symbol of the source; all of them where empty.
        masked: whether it is out of order.
        for_ms: for how long; 0: until it is told otherwise.
    """

    symbol: str
    source: str = ""
    masked: bool = True
    for_ms: Annotated[int, Meta(ge=0, le=2_592_000_000)] = 0

    def __post_init__(self) -> None:
        if not 0 <= self.for_ms <= MONTH_MS:
            raise ValueError(f"for_ms must be in [0, {MONTH_MS}], was {self.for_ms}")

    @property
    def detail(self) -> str:
        said = f"{self.source or 'all sources'} {'masked' if self.masked else 'counted'}"
        return f"{said} for {self.for_ms} ms" if self.masked and self.for_ms else said


class ThinBook(Instruction, frozen=True, gc=False, kw_only=True, tag="thin"):
    """Of a market's depth ``scale`` is there from now on until ``until_ns``; what is missing then
    comes back by half in each ``half_life_ms``. Books of a formula alone can be told so.

    Attributes:
        scale: 1 as usual, 0.01 a hundredth.
        until_ns: from when on it comes back.
        half_life_ms: 0: at once.
    """

    symbol: str
    scale: Annotated[float, Meta(ge=1e-6, le=1e3)]
    until_ns: Annotated[int, Meta(ge=0, lt=2**63 - 1)]
    half_life_ms: Annotated[int, Meta(ge=0, le=2_592_000_000)] = 180_000

    def __post_init__(self) -> None:
        structs.force_setattr(self, "scale", float(self.scale))
        if not 1e-6 <= self.scale <= 1e3:
            raise ValueError(f"scale must be in [1e-6, 1000], was {self.scale}")
        if not 0 <= self.half_life_ms <= MONTH_MS:
            raise ValueError(f"half_life_ms must be in [0, {MONTH_MS}], was {self.half_life_ms}")

    @property
    def detail(self) -> str:
        return f"depth x {self.scale!r} until {self.until_ns}"


class OpenPopulation(Instruction, frozen=True, gc=False, kw_only=True, tag="populate"):
    """A background population that waited to be called opens its positions, at the market's price
    of now; at its first price where it has none yet."""

    symbol: str
    population: str

    @property
    def detail(self) -> str:
        return self.population


class PriceCollateral(Instruction, frozen=True, gc=False, kw_only=True, tag="collateral"):
    """What lies at a market's venue as margin of products, traders and populations, open profit
    apart, is an asset of its own, or ``share`` of each one's is: from now on that is worth
    ``price`` quote, where it was worth that of the command before, or 1. Money that comes in later
    buys the asset at its price of then."""

    symbol: str
    price: Annotated[float, Meta(ge=1e-9, le=1e3)]
    share: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0

    def __post_init__(self) -> None:
        structs.force_setattr(self, "price", float(self.price))
        structs.force_setattr(self, "share", float(self.share))
        if not 1e-9 <= self.price <= 1e3:
            raise ValueError(f"price must be in [1e-9, 1000], was {self.price}")
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share must be in [0, 1], was {self.share}")

    @property
    def detail(self) -> str:
        return f"{self.price!r} quote, {self.share!r} of the margin"


class DefaultVenue(Instruction, frozen=True, gc=False, kw_only=True, tag="default"):
    """A market's venue fails for good: what is on its way to it is cancelled, positions end at the
    last mark, ``recovery`` of the balances is paid back, products close with what they have. The
    market stays halted."""

    symbol: str
    recovery: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0

    def __post_init__(self) -> None:
        structs.force_setattr(self, "recovery", float(self.recovery))
        if not 0.0 <= self.recovery <= 1.0:
            raise ValueError(f"recovery must be in [0, 1], was {self.recovery}")

    @property
    def detail(self) -> str:
        return f"{self.recovery!r} of the balances is paid back"


class AutoDeleverage(Instruction, frozen=True, gc=False, kw_only=True, tag="deleverage"):
    """The venue closes ``share`` of each fund's hedge in a market, of longs, shorts or both, at
    ``price_bps`` above its mark, against customers who are bankrupt."""

    symbol: str
    share: Annotated[float, Meta(ge=0.0, le=1.0)]
    side: Literal["long", "short", "both"] = "both"
    price_bps: Annotated[float, Meta(ge=-9_000.0, le=90_000.0)] = 0.0

    def __post_init__(self) -> None:
        structs.force_setattr(self, "share", float(self.share))
        structs.force_setattr(self, "price_bps", float(self.price_bps))
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share must be in [0, 1], was {self.share}")
        if not -9_000.0 <= self.price_bps <= 90_000.0:
            raise ValueError(f"price_bps must be in [-9000, 90000], was {self.price_bps}")

    @property
    def detail(self) -> str:
        sides = "hedges" if self.side == "both" else f"{self.side} hedges"
        return f"{self.share!r} of {sides} at {self.price_bps:+g} bps"


class MarkScenario(Instruction, frozen=True, gc=False, kw_only=True, tag="scenario"):
    """An event of a scenario takes hold now; answered by a ``ScenarioMark``. It changes nothing.

    Attributes:
        scenario: its name.
        name, what: the event's own name, and its kind.
        until_ns: when it ends; the same instant where it is over at once.
        words: what it does.
    """

    scenario: str
    name: str
    what: str
    until_ns: Annotated[int, Meta(ge=0, lt=2**63 - 1)]
    words: str = ""


class PauseProduct(Instruction, frozen=True, gc=False, kw_only=True, tag="pause"):
    """Ask a product's policies no more and deal no requests; bankruptcy still closes it."""

    product: str


class ResumeProduct(Instruction, frozen=True, gc=False, kw_only=True, tag="unpause"):
    """Ask a paused product's policies again, at once."""

    product: str


class ForceTarget(Instruction, frozen=True, gc=False, kw_only=True, tag="target"):
    """Trade to a signed target leverage now, paused or not."""

    product: str
    target: float

    def __post_init__(self) -> None:
        structs.force_setattr(self, "target", float(self.target))
        if not math.isfinite(self.target):
            raise ValueError(f"target must be finite, was {self.target}")

    @property
    def detail(self) -> str:
        return f"target {self.target!r}"


class GateCreations(Instruction, frozen=True, gc=False, kw_only=True, tag="gate"):
    """Refuse creations while ``closed``; redemptions go on."""

    product: str
    closed: bool

    @property
    def detail(self) -> str:
        return "closed" if self.closed else "open"


class SplitUnits(Instruction, frozen=True, gc=False, kw_only=True, tag="split"):
    """Every ``old`` units of a product become ``new``, one of which is 1: 1 for 100 merges."""

    product: str
    new: Annotated[int, Meta(ge=1, le=1_000_000)]
    old: Annotated[int, Meta(ge=1, le=1_000_000)]

    def __post_init__(self) -> None:
        most = 1_000_000
        if min(self.new, self.old) != 1 or not 1 < max(self.new, self.old) <= most:
            said = f"{self.new} for {self.old}"
            raise ValueError(f"new and old must be 1 and from 2 to {most}, was {said}")

    @property
    def detail(self) -> str:
        return f"{self.new} for {self.old}"


ProductCommand = PauseProduct | ResumeProduct | ForceTarget | GateCreations | SplitUnits
CustodyCommand = PriceCollateral | DefaultVenue | AutoDeleverage | OpenPopulation
"""What befalls the accounts at a market's venue."""
MarketCommand = (
    HaltMarket
    | ResumeMarket
    | DegradeMarket
    | FreezeWithdrawals
    | MaskIndex
    | ThinBook
    | CustodyCommand
)
Command = MarketCommand | ProductCommand | MarkScenario
