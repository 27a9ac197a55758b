"""What may happen in a scenario: a class a kind of event, and the scenario that lists them.

``at`` is a time after the first row (``"2h"``, ``"+2h"``), a share of the data's span (``"50%"``)
or a date (``"2020-03-12T10:45:00Z"``, UTC without a zone); with ``after``, a time after that
event's end. Lengths (``over``, ``duration``) are times or shares of the span; a ``duration`` left
out lasts to the end of the data. ``symbols`` are those concerned, all where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from engine.durations import Duration
from feeds.generators import Generator

__all__ = [
    "LENGTH_PATTERN",
    "WHEN_PATTERN",
    "BadPrint",
    "Basis",
    "Chop",
    "Event",
    "FrontRun",
    "FundingRate",
    "Gap",
    "Rebound",
    "Scenario",
    "Shape",
    "Shock",
    "Trend",
    "VolRegime",
]

_NUMBER: Final = r"[0-9]+(\.[0-9]+)?"
LENGTH_PATTERN: Final = rf"^{_NUMBER}(%|ns|us|ms|s|m|h|d)$"
WHEN_PATTERN: Final = rf"^(\+?{_NUMBER}(%|ns|us|ms|s|m|h|d)|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}.*)$"
Length = Annotated[str, Meta(pattern=LENGTH_PATTERN)]
When = Annotated[str, Meta(pattern=WHEN_PATTERN)]
Shape = Literal["linear", "exp", "staircase"]
Prices = Literal["trade", "bbo", "mark", "index"]

Bounds = dict[str, tuple[float, float]]
DEPTH: Final = (-99.9, 10_000.0)


class _Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of all events.

    Attributes:
        name: for ``after`` and ``of``; the kind where it is left out.
        at, after: when it begins.
        symbols: whom it concerns; all where empty.
    """

    BOUNDS: ClassVar[Bounds] = {}
    NOT_ZERO: ClassVar[tuple[str, ...]] = ()

    name: str = ""
    at: When | None = None
    after: str = ""
    symbols: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The name of its class in a file."""
        return str(self.__struct_config__.tag)

    @property
    def called(self) -> str:
        """The name under which others speak of it."""
        return self.name or self.kind

    @property
    def length(self) -> str | None:
        """How long it takes or lasts; nothing where it is an instant, ``None`` to the end."""
        return getattr(self, "over", getattr(self, "duration", ""))

    @property
    def words(self) -> str:
        """What it does, in a few words."""
        return ""

    def flaws(self) -> Iterator[tuple[str, str]]:
        """``(field, what is wrong)`` of what the types let pass."""
        for name, (low, high) in self.BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                yield name, f"must be from {low:g} to {high:g}, was {value!r}"
        for name in self.NOT_ZERO:
            if not getattr(self, name):
                yield name, "is 0: the event would do nothing"


class Shock(_Event, frozen=True, kw_only=True, tag="shock"):
    """The price goes ``depth_pct`` per cent down (negative) or up within ``over``, and stays."""

    BOUNDS = {"depth_pct": DEPTH}
    NOT_ZERO = ("depth_pct",)

    depth_pct: float
    over: Length = "10m"
    shape: Shape = "linear"

    @property
    def words(self) -> str:
        return f"{self.depth_pct:+g} % in {self.over}, {self.shape}"


class Rebound(_Event, frozen=True, kw_only=True, tag="rebound"):
    """``retrace_pct`` per cent of a shock or gap is taken back: of the last one above, or the one
    named ``of``."""

    BOUNDS = {"retrace_pct": (-1_000.0, 1_000.0)}
    NOT_ZERO = ("retrace_pct",)

    retrace_pct: float = 50.0
    of: str = ""
    over: Length = "30m"
    shape: Shape = "linear"

    @property
    def words(self) -> str:
        return f"{self.retrace_pct:g} % of {self.of or 'the move'} back in {self.over}"


class Gap(_Event, frozen=True, kw_only=True, tag="gap"):
    """The next price is ``depth_pct`` per cent away; nothing is dealt between."""

    BOUNDS = {"depth_pct": DEPTH}
    NOT_ZERO = ("depth_pct",)

    depth_pct: float

    @property
    def words(self) -> str:
        return f"{self.depth_pct:+g} % at once"


class Chop(_Event, frozen=True, kw_only=True, tag="chop"):
    """The price goes ``swing_pct`` up and as far down in turn, in straight lines, each ``period``
    back where it began; as many whole swings as fit best."""

    BOUNDS = {"swing_pct": (-99.0, 99.0)}
    NOT_ZERO = ("swing_pct",)

    swing_pct: float
    period: Duration = "1h"
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"±{abs(self.swing_pct):g} % every {self.period}"


class Trend(_Event, frozen=True, kw_only=True, tag="trend"):
    """The price grows by the same share each hour, ``change_pct`` in all."""

    BOUNDS = {"change_pct": DEPTH}
    NOT_ZERO = ("change_pct",)

    change_pct: float
    over: Length = "100%"

    @property
    def words(self) -> str:
        return f"{self.change_pct:+g} % over {self.over}"


class VolRegime(_Event, frozen=True, kw_only=True, tag="vol_regime"):
    """The market's own moves are taken ``scale`` times (0 holds the price), and noise of ``vol`` a
    year is laid over them."""

    BOUNDS = {"scale": (0.0, 20.0), "vol": (0.0, 50.0)}

    scale: float = 1.0
    vol: float = 0.0
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


class Basis(_Event, frozen=True, kw_only=True, tag="basis"):
    """The perpetual trades ``bps`` away from where it was against its index: trades, quotes and
    marks move, the index does not."""

    BOUNDS = {"bps": (-9_000.0, 90_000.0)}
    NOT_ZERO = ("bps",)

    bps: float
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{self.bps:+g} bps against the index"


class BadPrint(_Event, frozen=True, kw_only=True, tag="bad_print"):
    """For a moment some prices are ``depth_pct`` per cent away: a single venue's print."""

    BOUNDS = {"depth_pct": DEPTH}
    NOT_ZERO = ("depth_pct",)

    depth_pct: float
    duration: Length = "1s"
    prices: tuple[Prices, ...] = ("trade",)

    @property
    def words(self) -> str:
        return f"{self.depth_pct:+g} % in {'/'.join(self.prices)} for {self.duration}"


class FrontRun(_Event, frozen=True, kw_only=True, tag="front_run"):
    """Others trade ahead of a rebalance that everybody knows of: the price is pushed by
    ``push_bps`` within ``lead`` before its instant, and is back as long after it. The first such
    instant is ``lead`` after ``at``, the others follow ``every`` so often."""

    BOUNDS = {"push_bps": (-5_000.0, 5_000.0)}
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


class FundingRate(_Event, frozen=True, kw_only=True, tag="funding"):
    """Funding is ``rate`` (share of notional an interval) whatever was recorded."""

    BOUNDS = {"rate": (-0.5, 0.5)}

    rate: float
    duration: Length | None = None

    @property
    def words(self) -> str:
        return f"{self.rate:.4%} an interval"


Event = Shock | Rebound | Gap | Chop | Trend | VolRegime | Basis | BadPrint | FrontRun | FundingRate


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A black swan.

    Attributes:
        name, description: in a word, and in a sentence.
        sources: where the numbers come from.
        known, assumed: what of them is published, and what is not.
        seed: of its noise; the run's without.
        base: the market it stands on where no data are given; the sample without.
        events: what happens; order matters only for who is meant by ``after`` and ``of``.
        expect: by name, a condition on the run's figures, such as ``"products.*3L.nav_end > 0"``.
    """

    name: str
    description: str = ""
    sources: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    base: Generator | None = None
    events: tuple[Event, ...] = ()
    expect: dict[str, str] = {}
