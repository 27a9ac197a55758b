"""Events that move prices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from engine.durations import Duration
from feeds.scenarios.event import BaseEvent, Bounds, Length

__all__ = [
    "BadPrint",
    "Basis",
    "Chop",
    "FrontRun",
    "Gap",
    "Prices",
    "Rebound",
    "Shape",
    "Shock",
    "Trend",
    "VolRegime",
]

Shape = Literal["linear", "exp", "staircase"]
Prices = Literal["trade", "bbo", "mark", "index"]
DEPTH: Final = (-99.9, 10_000.0)


class Shock(BaseEvent, frozen=True, kw_only=True, tag="shock"):
    """The price goes ``depth_pct`` per cent down (negative) or up within ``over``, and stays."""

    BOUNDS: ClassVar[Bounds] = {"depth_pct": DEPTH}
    NOT_ZERO = ("depth_pct",)

    depth_pct: float
    over: Length = "10m"
    shape: Shape = "linear"

    @property
    def words(self) -> str:
        return f"{self.depth_pct:+g} % in {self.over}, {self.shape}"


class Rebound(BaseEvent, frozen=True, kw_only=True, tag="rebound"):
    """``retrace_pct`` per cent of a shock or gap is taken back: of the last one above, or the one
    named ``of``."""

    BOUNDS: ClassVar[Bounds] = {"retrace_pct": (-1_000.0, 1_000.0)}
    NOT_ZERO = ("retrace_pct",)

    retrace_pct: float = 50.0
    of: str = ""
    over: Length = "30m"
    shape: Shape = "linear"

    @property
    def words(self) -> str:
        return f"{self.retrace_pct:g} % of {self.of or 'the move'} back in {self.over}"


class Gap(BaseEvent, frozen=True, kw_only=True, tag="gap"):
    """The next price is ``depth_pct`` per cent away; nothing is dealt between."""

    BOUNDS: ClassVar[Bounds] = {"depth_pct": DEPTH}
    NOT_ZERO = ("depth_pct",)

    depth_pct: float

    @property
    def words(self) -> str:
        return f"{self.depth_pct:+g} % at once"


class Chop(BaseEvent, frozen=True, kw_only=True, tag="chop"):
    """The price goes ``swing_pct`` up and as far down in turn, in straight lines, each ``period``
    back where it began; as many whole swings as fit best."""

    BOUNDS: ClassVar[Bounds] = {"swing_pct": (-99.0, 99.0)}
    NOT_ZERO = ("swing_pct",)

    swing_pct: float
    period: Duration = "1h"
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"±{abs(self.swing_pct):g} % every {self.period}"


class Trend(BaseEvent, frozen=True, kw_only=True, tag="trend"):
    """The price grows by the same share each hour, ``change_pct`` in all."""

    BOUNDS: ClassVar[Bounds] = {"change_pct": DEPTH}
    NOT_ZERO = ("change_pct",)

    change_pct: float
    over: Length = "100%"

    @property
    def words(self) -> str:
        return f"{self.change_pct:+g} % over {self.over}"


class VolRegime(BaseEvent, frozen=True, kw_only=True, tag="vol_regime"):
    """The market's own moves are taken ``scale`` times (0 holds the price), and noise of ``vol`` a
    year is laid over them; with ``pinned`` it is back at nothing so often, and at its end."""

    BOUNDS: ClassVar[Bounds] = {"scale": (0.0, 20.0), "vol": (0.0, 50.0)}

    scale: float = 1.0
    vol: float = 0.0
    pinned: Duration | None = None
    duration: Length | None = None

    @property
    def words(self) -> str:
        own = f"own moves x {self.scale:g}" if self.scale != 1.0 else ""
        noise = f"noise of {self.vol:.0%} a year" if self.vol else ""
        return ", ".join(filter(None, (own, noise)))

    def flaws(self) -> Iterator[tuple[str, str]]:
        yield from super().flaws()
        if self.scale == 1.0 and not self.vol:
            yield "scale", "is 1 and vol is 0: the event would do nothing"


class Basis(BaseEvent, frozen=True, kw_only=True, tag="basis"):
    """The perpetual trades ``bps`` away from where it was against its index: trades, quotes and
    marks move, the index does not."""

    BOUNDS: ClassVar[Bounds] = {"bps": (-9_000.0, 90_000.0)}
    NOT_ZERO = ("bps",)

    bps: float
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{self.bps:+g} bps against the index"


class BadPrint(BaseEvent, frozen=True, kw_only=True, tag="bad_print"):
    """For a moment some prices are ``depth_pct`` per cent away: a single venue's print."""

    BOUNDS: ClassVar[Bounds] = {"depth_pct": DEPTH}
    NOT_ZERO = ("depth_pct",)

    depth_pct: float
    duration: Length = "1s"
    prices: tuple[Prices, ...] = ("trade",)

    @property
    def words(self) -> str:
        return f"{self.depth_pct:+g} % in {'/'.join(self.prices)} for {self.duration}"


class FrontRun(BaseEvent, frozen=True, kw_only=True, tag="front_run"):
    """Others trade ahead of a rebalance that everybody knows of: the price is pushed by
    ``push_bps`` within ``lead`` before its instant, and is back as long after it. The first such
    instant is ``lead`` after ``at``, the others follow ``every`` so often."""

    BOUNDS: ClassVar[Bounds] = {"push_bps": (-5_000.0, 5_000.0)}
    NOT_ZERO = ("push_bps",)

    push_bps: float
    lead: Duration = "10m"
    every: Duration = "1d"
    duration: Length | None = None

    @property
    def words(self) -> str:
        return (
            f"{self.push_bps:+g} bps within {self.lead} before each rebalance, every {self.every}"
        )
