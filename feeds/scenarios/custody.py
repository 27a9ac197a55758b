"""Events of what lies at the venue: collateral, the venue itself, who is closed by force, and the
crowd that trades there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from engine.durations import Duration, duration_ns
from feeds.scenarios.event import BaseEvent, Bounds, Length
from feeds.scenarios.moves import Shape

__all__ = ["Adl", "Depeg", "Population", "VenueDefault"]


class Depeg(BaseEvent, frozen=True, kw_only=True, tag="depeg"):
    """The asset that margin is paid in comes to cost ``to`` quote within ``over``, told ``every``
    so often, and stays there; before the first such event it costs 1. ``share`` of what each
    account keeps at the venue, open profit apart, is that asset: funds, futures, traders and
    populations alike."""

    BOUNDS: ClassVar[Bounds] = {"to": (1e-6, 1e3), "share": (1e-6, 1.0)}

    to: float
    over: Length = "10m"
    shape: Shape = "linear"
    share: float = 1.0
    every: Duration = "10s"

    @property
    def words(self) -> str:
        part = "" if self.share == 1.0 else f" of {self.share:.0%} of it"
        return f"collateral{part} to {self.to:g} in {self.over}, {self.shape}"

    def flaws(self) -> Iterator[tuple[str, str]]:
        yield from super().flaws()
        if duration_ns(self.every) <= 0:
            yield "every", f"must be longer than nothing, was {self.every!r}"


class VenueDefault(BaseEvent, frozen=True, kw_only=True, tag="venue_default"):
    """The venue fails for good: what is on its way there is cancelled, positions end at the last
    mark, ``recovery`` of the balances is paid back, and products close with what they have."""

    BOUNDS: ClassVar[Bounds] = {"recovery": (0.0, 1.0)}

    recovery: float = 0.0

    @property
    def words(self) -> str:
        return f"the venue fails, {self.recovery:.0%} of the balances is paid back"


class Adl(BaseEvent, frozen=True, kw_only=True, tag="adl"):
    """Profits are closed against losses. ``fund`` quote is what the venue's insurance fund holds
    from the start, and ``drawdown`` the share of its peak that triggers it (1: when it is empty);
    each as configured where it is left out. ``share_pct`` per cent of every fund's hedge (of
    ``side``) is closed at the event's instant, ``price_bps`` above the mark, whoever went
    bankrupt."""

    BOUNDS: ClassVar[Bounds] = {"share_pct": (0.0, 100.0), "price_bps": (-9_000.0, 90_000.0)}

    fund: float | None = None
    drawdown: float | None = None
    share_pct: float = 0.0
    side: Literal["long", "short", "both"] = "both"
    price_bps: float = 0.0

    @property
    def words(self) -> str:
        told = []
        if self.fund is not None:
            told.append(f"insurance fund of {self.fund:,.0f}")
        if self.drawdown is not None:
            told.append(f"auto-deleveraging at {self.drawdown:.0%} lost")
        if self.share_pct:
            whose = "the hedges" if self.side == "both" else f"{self.side} hedges"
            told.append(f"{self.share_pct:g} % of {whose} closed at {self.price_bps:+g} bps")
        return ", ".join(told)

    def flaws(self) -> Iterator[tuple[str, str]]:
        yield from super().flaws()
        for name, (low, high) in (("fund", (0.0, 1e9)), ("drawdown", (0.001, 1.0))):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                yield name, f"must be from {low:g} to {high:g}, was {value!r}"
        if self.fund is None and self.drawdown is None and not self.share_pct:
            yield "share_pct", "is 0, and there is no fund and no drawdown: it would do nothing"


class Population(BaseEvent, frozen=True, kw_only=True, tag="population"):
    """A background population comes to the market and opens its positions at its price of then:
    ``count`` of them, drawn as those of ``[[populations]]``; or ``scale`` times as many as the
    population ``like`` has, with its settings."""

    BOUNDS: ClassVar[Bounds] = {
        "count": (0, 5_000_000),
        "scale": (1e-6, 1e6),
        "size": (1e-6, 1e15),
        "size_spread": (0.0, 10.0),
        "entry_spread": (0.0, 0.2),
        "long_share": (0.0, 1.0),
    }

    count: int = 0
    like: str = ""
    scale: float = 1.0
    size: float = 5_000.0
    size_spread: float = 1.5
    entry_spread: float = 0.02
    leverages: tuple[tuple[float, float], ...] = ()
    long_share: float = 0.5

    @property
    def words(self) -> str:
        if self.like:
            return f"{self.scale:g} times the population {self.like} comes"
        return f"{self.count:,} positions of {self.size:,.0f} come, {self.long_share:.0%} long"

    def flaws(self) -> Iterator[tuple[str, str]]:
        yield from super().flaws()
        if bool(self.count) is bool(self.like):
            yield "count", "must be given, or else like, the name of a population; one of both"
