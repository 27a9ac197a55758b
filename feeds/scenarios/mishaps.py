"""Events of feeds, venues and holders: what is no move of a price."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from engine.durations import Duration
from feeds.scenarios.event import BaseEvent, Bounds, Length
from feeds.scenarios.moves import Prices

__all__ = [
    "CreationRush",
    "Delay",
    "Duplicate",
    "Freeze",
    "FundingRate",
    "Halt",
    "Late",
    "Latency",
    "Liquidity",
    "Outage",
    "RedemptionRun",
    "Rejects",
    "Rows",
    "WithdrawalFreeze",
]

Rows = Literal["trade", "bbo", "mark", "index", "funding"]
_HOUR_MS: Final = 3_600_000


class FundingRate(BaseEvent, frozen=True, kw_only=True, tag="funding"):
    """Funding is ``rate`` (share of notional an interval) whatever was recorded."""

    BOUNDS: ClassVar[Bounds] = {"rate": (-0.5, 0.5)}

    rate: float
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{self.rate:.4%} an interval"


class Outage(BaseEvent, frozen=True, kw_only=True, tag="outage"):
    """Something does not answer: the ``venue`` refuses every order, no ``ticks`` come at all, or
    the ``index`` is silent (of one ``source`` of a venue's own index alone, where it is named)."""

    target: Literal["venue", "ticks", "index"] = "venue"
    source: str = ""
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{self.target} out{f' ({self.source})' if self.source else ''}"

    def flaws(self) -> Iterator[tuple[str, str]]:
        yield from super().flaws()
        if self.source and self.target != "index":
            yield "source", 'belongs to target = "index"'


class Freeze(BaseEvent, frozen=True, kw_only=True, tag="freeze"):
    """Rows still come and repeat the last price: stale, and it does not look so."""

    prices: tuple[Prices, ...] = ("trade", "bbo", "mark", "index")
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{'/'.join(self.prices)} repeat their last price"


class Delay(BaseEvent, frozen=True, kw_only=True, tag="delay"):
    """Rows arrive ``by`` later than they should, with their own time."""

    by: Duration
    rows: tuple[Rows, ...] = ()
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{'/'.join(self.rows) or 'all rows'} {self.by} behind"


class Late(BaseEvent, frozen=True, kw_only=True, tag="late"):
    """A ``share`` of the rows arrives ``by`` later than its neighbours, out of order."""

    BOUNDS: ClassVar[Bounds] = {"share": (0.0, 1.0)}
    NOT_ZERO = ("share",)

    share: float
    by: Duration
    rows: tuple[Rows, ...] = ()
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{self.share:.0%} of {'/'.join(self.rows) or 'all rows'} {self.by} late"


class Duplicate(BaseEvent, frozen=True, kw_only=True, tag="duplicate"):
    """A ``share`` of the rows comes twice, one directly behind the other."""

    BOUNDS: ClassVar[Bounds] = {"share": (0.0, 1.0)}
    NOT_ZERO = ("share",)

    share: float
    rows: tuple[Rows, ...] = ()
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{self.share:.0%} of {'/'.join(self.rows) or 'all rows'} twice"


class Liquidity(BaseEvent, frozen=True, kw_only=True, tag="liquidity"):
    """The book is thin: ``depth_scale`` of its depth is there (1/114 on 10 October 2025), the
    spread is ``spread_bps`` at least, and after it the depth is back by a half-life."""

    BOUNDS: ClassVar[Bounds] = {"depth_scale": (1e-6, 1_000.0), "spread_bps": (0.0, 10_000.0)}

    depth_scale: float = 1.0
    spread_bps: float = 0.0
    half_life: Duration = "3m"
    duration: Length | None = None

    @property
    def words(self) -> str:
        spread = f", spread {self.spread_bps:g} bps" if self.spread_bps else ""
        return f"depth x {self.depth_scale:g}{spread}"

    def flaws(self) -> Iterator[tuple[str, str]]:
        yield from super().flaws()
        if self.depth_scale == 1.0 and not self.spread_bps:
            yield "depth_scale", "is 1 and spread_bps is 0: the event would do nothing"


class Halt(BaseEvent, frozen=True, kw_only=True, tag="halt"):
    """The market is halted, whatever prices come."""

    duration: Length | None = None

    @property
    def words(self) -> str:
        return "the market is halted"


class Latency(BaseEvent, frozen=True, kw_only=True, tag="latency"):
    """Orders take ``latency_ms`` longer to the venue."""

    BOUNDS: ClassVar[Bounds] = {"latency_ms": (0, _HOUR_MS)}
    NOT_ZERO = ("latency_ms",)

    latency_ms: int
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"orders take {self.latency_ms} ms longer"


class Rejects(BaseEvent, frozen=True, kw_only=True, tag="rejects"):
    """The venue refuses a ``share`` of the orders, or all that do not reduce a position."""

    BOUNDS: ClassVar[Bounds] = {"share": (0.0, 1.0)}

    share: float = 0.0
    reduce_only: bool = False
    duration: Length | None = None

    @property
    def words(self) -> str:
        only = ", reduce only" if self.reduce_only else ""
        return f"{self.share:.0%} of orders refused{only}"

    def flaws(self) -> Iterator[tuple[str, str]]:
        yield from super().flaws()
        if not self.share and not self.reduce_only:
            yield "share", "is 0 and reduce_only is false: the event would do nothing"


class WithdrawalFreeze(BaseEvent, frozen=True, kw_only=True, tag="withdrawal_freeze"):
    """No top-up reaches the margin accounts at the venue until it ends."""

    duration: Length | None = None

    @property
    def words(self) -> str:
        return "no money reaches the margin accounts"


class RedemptionRun(BaseEvent, frozen=True, kw_only=True, tag="redemption_run"):
    """Holders of ``share_pct`` per cent of the units of every fund ask for their money, in
    ``parts`` equal parts. They bought at the start."""

    BOUNDS: ClassVar[Bounds] = {"share_pct": (0.001, 99.0), "parts": (1, 10_000)}

    share_pct: float
    parts: int = 10
    over: Length = "1h"

    @property
    def words(self) -> str:
        return f"{self.share_pct:g} % of all units redeemed in {self.over}"


class CreationRush(BaseEvent, frozen=True, kw_only=True, tag="creation_rush"):
    """Units of every fund are created for ``share_pct`` per cent of what was put in at the start,
    in ``parts`` equal parts."""

    BOUNDS: ClassVar[Bounds] = {"share_pct": (0.001, 100_000.0), "parts": (1, 10_000)}

    share_pct: float
    parts: int = 10
    over: Length = "1h"

    @property
    def words(self) -> str:
        return f"{self.share_pct:g} % of what was put in created in {self.over}"
