"""What one call of the heart gives back: events, product NAVs, user NAVs.

Product NAVs between two wakes lie on known lines, so they leave the heart as *lines and sample
times* (``NavBlock``) and become rows where somebody wants rows. Events come with their canonical
bytes, encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from msgspec import Struct

from engine.events import EVENT_ENCODER, Output

__all__ = [
    "ATTRIBUTION",
    "LineChanges",
    "Milestone",
    "NavBlock",
    "Outputs",
    "Queued",
    "Tape",
    "UserNavBlock",
]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

ATTRIBUTION: Final = (
    "price",
    "spread_impact",
    "basis",
    "fees",
    "funding",
    "management_fee",
    "liquidation",
    "adl",
    "interest",
    "issuer",
    "insurance",
    "collateral",
    "rounding",
    "flows",
)
"""Where an equity change came from, in quote atoms; the sum is the equity change. ``price`` comes
first."""


class LineChanges(Struct, frozen=True, eq=False, gc=False):
    """From each ``sample`` on the product at ``place`` of a block is on another line: shape (k,),
    in order; ``line`` and ``parts`` as in ``NavBlock``."""

    sample: I64
    place: I64
    line: F64
    parts: I64

    def stretches(self, samples: int, products: int) -> tuple[I64, I64]:
        """Which lines hold from change to change, shape (k + 1, products): a block's own, counted
        on by those of its changes; and for how many samples, shape (k + 1,), none of them where
        another change comes before the same one."""
        version = np.zeros((len(self.sample) + 1, products), np.int64)
        version[0] = np.arange(products)
        version[np.arange(1, len(version)), self.place] = products + np.arange(len(self.sample))
        lasting = np.append(self.sample, samples)
        lasting[1:] -= self.sample
        return np.maximum.accumulate(version, axis=0, out=version), lasting


class Queued(Protocol):
    """A market's margin accounts as they stand from one instant to another."""

    @property
    def markets(self) -> list[int]:
        """On whose marks places depend."""

    def quantiles(self, ts_ns: I64, marks: Mapping[int, F64], /) -> F64:
        """Shape (n, m): share of its side's queue that is not ahead of each product's hedge, at
        instants and the marks of then; nan for who is in no queue."""


class NavBlock(Struct, frozen=True, eq=False, gc=False):
    """Samples of one market's products: every line at every sample time.

    Attributes:
        market: index of the market.
        sequence: shape (n,) the input that let each sample time pass.
        base, stride, offset: where the ordinals start, see ``ordinals``.
        ts_ns: shape (n,) sample times.
        mark: shape (n,) the last mark price at or before them.
        products: indices of the market's launched products, in declared order.
        line: shape (m, 3): intercept and slope (``NAV(mark) = intercept + slope * mark``, quote
            atoms), and the mark at which the running segment began.
        parts: shape (m, 15): units outstanding, then the closed amounts in ``ATTRIBUTION`` order,
            quote atoms; ``price`` without the running segment.
        changes: where a product's line becomes another one within the block, if any does.
        plans: lots that each product's plan has still to trade, signed; none has any where empty.
        plan_changes: ``(sample, place, lots)`` where that changes.
        queues: the venue's queue, with the sample from which it holds.
        marks: shape (n,) each, of the markets on which the queues depend.
        index: shape (n,) the last index price at or before them, where products follow it.
        followers: places of those; their lines are in the index.
    """

    market: int
    sequence: I64
    base: int
    stride: int
    offset: int
    ts_ns: I64
    mark: F64
    products: tuple[int, ...]
    line: F64
    parts: I64
    changes: LineChanges | None = None
    plans: tuple[int, ...] = ()
    plan_changes: tuple[tuple[int, int, int], ...] = ()
    queues: tuple[tuple[int, Queued], ...] = ()
    marks: Mapping[int, F64] = {}
    index: F64 | None = None
    followers: tuple[int, ...] = ()

    def prices(self) -> F64:
        """At which price each line is read: shape (n, m)."""
        prices = self.mark[:, None].repeat(len(self.products), axis=1)
        if self.index is not None:
            prices[:, self.followers] = self.index[:, None]
        return prices

    def __len__(self) -> int:
        return len(self.ts_ns) * len(self.products)

    def ordinals(self) -> I64:
        """Shape (n,): place of each sample's first line among the NAVs of its input; line ``i`` is
        ``+ i``.

        The samples that one input let pass count on; the first input of the block may have had some
        before.
        """
        sequence = self.sequence
        rank = np.arange(len(sequence)) - np.searchsorted(sequence, sequence)
        return rank * self.stride + self.offset + np.where(sequence == sequence[:1], self.base, 0)


class UserNavBlock(Struct, frozen=True, eq=False, gc=False):
    """Holders of one product at one instant, valued exactly: ``nav_atoms = floor(units * nav /
    units_total)``.

    Attributes:
        reason: ``cadence``, ``holders`` (their units changed) or ``traded`` (the product did).
        users: shape (n,) indices of the users; ``None`` for all holders in order.
        units: shape (n,).
        product_nav_atoms, units_total: what the division used.
    """

    sequence: int
    ordinal: int
    ts_ns: int
    product: int
    reason: str
    users: I64 | None
    units: I64
    product_nav_atoms: int
    units_total: int


class Milestone(Struct, frozen=True, gc=False, kw_only=True):
    """Where the parts of a product's price profit turn (``engine/price_split.py``): a decision, or
    one before and one after holders came or went. Events and NAVs follow from other things: it is
    in no digest.

    Attributes:
        ordinal: of the event that came next.
        mark: the price that NAV follows: the mark, or the index by a formula's terms.
        nav: quote atoms at ``mark``; ``units`` in steps; ``slope``: quote atoms that one unit of
            that price is worth to what is held.
        target: the leverage decided; ``None`` where nothing was decided.
        edge: the mark that should have woken who decided, where a jump led beyond it.
        causes: in ``ATTRIBUTION`` order, quote atoms since the launch; of no decision.
    """

    sequence: int
    ordinal: int
    ts_ns: int
    product: str
    mark: float
    nav: int
    units: int
    slope: float
    target: float | None = None
    edge: float | None = None
    causes: tuple[int, ...] | None = None


class Outputs(Struct, eq=False, gc=False):
    """Everything one call said, in order; ``text``: the canonical form of its events, each ended by
    a line end."""

    events: Sequence[Output] = ()
    text: bytes = b""
    nav: Sequence[NavBlock] = ()
    user_nav: Sequence[UserNavBlock] = ()
    milestones: Sequence[Milestone] = ()

    def __bool__(self) -> bool:
        return bool(self.events or self.nav or self.user_nav)

    @property
    def lines(self) -> list[bytes]:
        """``lines[i]`` is the canonical form of ``events[i]``."""
        # A line end within a string is escaped, so lines part at events.
        return self.text.split(b"\n")[:-1]


class Tape:
    """Where everybody who handles one input writes what happened.

    ``sequence`` and ``ts_ns`` are set by the engine before it hands control to a handler; ordinals
    count up within a sequence. The canonical bytes are made once, when what was said is taken.
    """

    __slots__ = ("events", "milestones", "ordinal", "sequence", "ts_ns")

    def __init__(self) -> None:
        self.events: list[Output] = []
        self.milestones: list[Milestone] = []
        self.sequence = -1
        self.ordinal = 0
        self.ts_ns = 0

    def at(self, sequence: int, ts_ns: int) -> None:
        """From here on, what is said was caused by ``sequence`` and was at ``ts_ns``."""
        if sequence != self.sequence:
            self.sequence = sequence
            self.ordinal = 0
        self.ts_ns = ts_ns

    def say(self, kind: Callable[..., Output], /, **fields: Any) -> None:
        """State a fact; ``fields`` are those of the event beyond its place and time."""
        self.add(kind(sequence=self.sequence, ordinal=self.ordinal, ts_ns=self.ts_ns, **fields))

    def add(self, event: Output) -> None:
        """State a fact that bears this tape's present place and time. For what every rebalance
        says: fields that pass through ``say`` cost four times as much."""
        self.ordinal += 1
        self.events.append(event)

    def take(self) -> tuple[Sequence[Output], bytes, Sequence[Milestone]]:
        """What was said since the last call, its canonical form, and the milestones."""
        events, milestones = self.events, self.milestones
        if not events and not milestones:
            return (), b"", ()
        self.events, self.milestones = [], []
        return events, EVENT_ENCODER.encode_lines(events), milestones
