"""Events that move prices, as factors: each a function of a row's own time and of nothing else.

Only ``VolRegime.scale`` needs to know the market's own path (``Scaled``): it takes the moves of one
reference price a certain number of times, and all prices of the market follow that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from zlib import crc32

import numpy as np

from engine.durations import duration_ns
from engine.exact import log2
from engine.ticks import Kind
from engine.units import NEVER_NS, SECOND_NS
from feeds.elementary import exps
from feeds.scenarios.curves import F64, noise, pinned, shaped, swings
from feeds.scenarios.moves import (
    BadPrint,
    Basis,
    Chop,
    FrontRun,
    Gap,
    Rebound,
    Shock,
    Trend,
    VolRegime,
)
from feeds.scenarios.rows import KINDS
from feeds.scenarios.timeline import Placed, Span

__all__ = ["MOVED", "PERPETUAL", "Mover", "movers_of"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
Curve = Callable[[I64], F64]

MOVED: Final = frozenset({Kind.TRADE, Kind.BBO, Kind.MARK, Kind.INDEX})
PERPETUAL: Final = frozenset({Kind.TRADE, Kind.BBO, Kind.MARK})

_LN2: Final = 0.6931471805599453
_YEAR_S: Final = 31_557_600.0
_CELLS_MAX: Final = 1 << 20
"""Of one event's noise: a second each for twelve days, longer ones beyond."""


class Mover:
    """What one event does to prices.

    Attributes:
        symbols: names of those concerned; all where empty.
        kinds: of rows.
        start_ns: rows up to here are as they were.
        of: shape (n,) times to shape (n,) factors.
    """

    __slots__ = ("kinds", "of", "start_ns", "symbols")

    def __init__(self, placed: Placed, kinds: frozenset[Kind], of: Curve) -> None:
        self.symbols = placed.event.symbols
        self.kinds = kinds
        self.start_ns = placed.start_ns
        self.of = of


def movers_of(events: Sequence[Placed], span: Span, seeds: Sequence[int]) -> Iterator[Mover]:
    """The movers of all events that have one; ``seeds`` by scenario."""
    for each in events:
        event, kinds = each.event, MOVED
        of: Curve | None = None
        if isinstance(event, Gap):
            of = _step(each, 1.0 + event.depth_pct / 100.0)
        elif isinstance(event, Shock):
            of = _ramp(each, event.depth_pct / 100.0, event.shape)
        elif isinstance(event, Rebound):
            whole = 1.0 + each.of
            of = _ramp(each, -each.of * event.retrace_pct / 100.0 / whole, event.shape)
        elif isinstance(event, Trend):
            of = _growth(each, event.change_pct / 100.0)
        elif isinstance(event, Chop):
            of = _chop(each, event, span)
        elif isinstance(event, VolRegime):
            of = _noise(each, event, span, seeds[each.scenario]) if event.vol else None
        elif isinstance(event, Basis):
            of, kinds = _within(each, 1.0 + event.bps / 1e4), PERPETUAL
        elif isinstance(event, BadPrint):
            of = _within(each, 1.0 + event.depth_pct / 100.0)
            kinds = frozenset(KINDS[name] for name in event.prices)
        elif isinstance(event, FrontRun):
            of = _pushes(each, event)
        if of is not None:
            yield Mover(each, kinds, of)


def _share(placed: Placed, end_ns: int) -> Curve:
    start_ns, took_ns = placed.start_ns, end_ns - placed.start_ns

    def share(ts_ns: I64) -> F64:
        passed: F64 = np.clip(ts_ns - start_ns, 0, took_ns) / took_ns
        return passed

    return share


def _step(placed: Placed, factor: float) -> Curve:
    return lambda ts_ns: np.where(ts_ns > placed.start_ns, factor, 1.0)


def _within(placed: Placed, factor: float) -> Curve:
    start_ns, end_ns = placed.start_ns, placed.end_ns
    return lambda ts_ns: np.where((ts_ns > start_ns) & (ts_ns <= end_ns), factor, 1.0)


def _ramp(placed: Placed, move: float, shape: Any) -> Curve:
    share = _share(placed, placed.end_ns)
    return lambda ts_ns: 1.0 + move * shaped(share(ts_ns), shape)


def _growth(placed: Placed, change: float) -> Curve:
    share, whole = _share(placed, placed.end_ns), log2(1.0 + change) * _LN2
    return lambda ts_ns: exps(whole * share(ts_ns))


def _end(placed: Placed, span: Span) -> int:
    """Its end, or that of the data."""
    return max(span.last_ns, placed.start_ns + 1) if placed.end_ns == NEVER_NS else placed.end_ns


def _chop(placed: Placed, event: Chop, span: Span) -> Curve:
    end_ns = _end(placed, span)
    share, move = _share(placed, end_ns), event.swing_pct / 100.0
    count = max(1, round((end_ns - placed.start_ns) / duration_ns(event.period)))
    return lambda ts_ns: 1.0 + move * swings(share(ts_ns), count)


def _noise(placed: Placed, event: VolRegime, span: Span, seed: int) -> Curve:
    end_ns = _end(placed, span)
    cell_ns = max(SECOND_NS, -(-(end_ns - placed.start_ns) // _CELLS_MAX))
    cells = -(-(end_ns - placed.start_ns) // cell_ns)
    stream = crc32(f"{placed.scenario}/{placed.number}/{event.called}".encode())
    deviation = event.vol * np.sqrt(cell_ns / 1e9 / _YEAR_S)
    path = noise(seed, stream, cells, deviation)
    if event.pinned:
        path = pinned(path, max(1, duration_ns(event.pinned) // cell_ns))

    def factor(ts_ns: I64) -> F64:
        cell = -((placed.start_ns - ts_ns) // cell_ns)
        found: F64 = path[np.clip(cell, 0, cells)]
        return found

    return factor


def _pushes(placed: Placed, event: FrontRun) -> Curve:
    """A straight way up and down around each instant; they lie ``every`` apart."""
    every, lead, push = duration_ns(event.every), duration_ns(event.lead), event.push_bps / 1e4
    start_ns, end_ns = placed.start_ns, placed.end_ns

    def factor(ts_ns: I64) -> F64:
        since = (ts_ns - start_ns - lead) % every
        away = np.minimum(since, every - since)
        near = np.clip(1.0 - away / lead, 0.0, 1.0)
        held = (ts_ns > start_ns) & (ts_ns <= end_ns)
        found: F64 = np.where(held, 1.0 + push * near, 1.0)
        return found

    return factor
