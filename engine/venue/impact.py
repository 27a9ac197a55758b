"""Feedback: what trades at our book do to the price of a generated market.

A fill of ``Q`` that reaches ``u`` into the book moves the price by ``u``: a share of it for good,
the rest decays by a half-life. The permanent part moves the middle that orders meet and the index;
the rest is the book's own overlay, and moves the mark. Both change at fills and at the points of a
declared grid, never because somebody looked.

Source: reference venue notes 4.6, equations 4 and 6; the permanent share (0.5 to 0.7) is assumed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.exact import exp2
from engine.venue.depth import DepthBook
from engine.venue.taking import Taken, Top

__all__ = ["WAVES_MAX", "FeltBook", "ImpactSpec", "ImpactState"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

WAVES_MAX: Final = 64
"""Marks made anew at one instant, each after what the one before liquidated; what is short then
waits for the next point of the grid."""
_GONE: Final = 1e-12
"""So small a share of the price is none."""
_FLOOR: Final = 0.01
"""The price does not fall below this share of what it were without us."""


class ImpactSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attributes:
    permanent: share of a move that stays.
    every_ns: distance of the points at which marks are made, and the rest decays.
    half_life_s: of the rest.
    """

    permanent: float = 0.6
    every_ns: int = 1_000_000_000
    half_life_s: float = 180.0

    @property
    def left(self) -> float:
        """Share of the rest that is left from one point to the next."""
        return exp2(-self.every_ns / (self.half_life_s * 1e9))


class ImpactState(Struct):
    """Shares of the price, positive where it was bought up.

    Attributes:
        lasting: for good.
        passing: decaying, as of the point ``at_ns`` or the last fill after it.
        fills: how many moved it.
        base: what the input said at the last point.
        heard, heard_ns: what it said last.
    """

    lasting: float = 0.0
    passing: float = 0.0
    at_ns: int = 0
    fills: int = 0
    base: float = 0.0
    heard: float = 0.0
    heard_ns: int = -1

    def felt(self, passing: Any) -> Any:
        """By which a price is multiplied."""
        return np.maximum(1.0 + self.lasting + passing, _FLOOR)

    @property
    def middle(self) -> float:
        """By which the middle that orders meet is multiplied, and the index."""
        return max(1.0 + self.lasting, _FLOOR)

    def settle(self, spec: ImpactSpec, ts_ns: int) -> None:
        """As of the last point up to a time."""
        if not self.passing:
            self.at_ns = ts_ns // spec.every_ns * spec.every_ns
            return
        steps = (ts_ns - self.at_ns) // spec.every_ns
        if steps > 0:
            self.passing = self.ahead(spec, steps).item(-1)
            self.at_ns += steps * spec.every_ns

    def ahead(self, spec: ImpactSpec, count: int) -> F64:
        """``passing`` at the next ``count`` points, one step after the other."""
        if not self.passing:
            return np.zeros(count)
        factors = np.full(count + 1, spec.left)
        factors[0] = self.passing
        coming: F64 = np.multiply.accumulate(factors)[1:]
        return np.where(np.abs(coming) < _GONE, 0.0, coming)


class FeltBook:
    """A depth book whose fills move the price.

    Attributes:
        book: the model.
        impact: what is moved; kept by the market.
    """

    __slots__ = ("book", "impact", "spec")

    def __init__(self, book: DepthBook, spec: ImpactSpec, impact: ImpactState) -> None:
        self.book, self.spec, self.impact = book, spec, impact

    @property
    def state(self) -> Any:
        return self.book.state

    @state.setter
    def state(self, state: Any) -> None:
        self.book.state = state

    @property
    def half_spread_bps(self) -> float:
        return self.book.half_spread_bps

    @half_spread_bps.setter
    def half_spread_bps(self, value: float) -> None:
        self.book.half_spread_bps = value

    def best(self, side: int, top: Top) -> float | None:
        return self.book.best(side, top)

    def offer(self, side: int, lots: int, notional: float, limit: float | None, top: Top) -> Taken:
        return self.book.offer(side, lots, notional, limit, top)

    def depth(self, ts_ns: int) -> float:
        return self.book.depth(ts_ns)

    def take_limited(
        self, side: int, lots: int, notional: float, limit: float | None, top: Top
    ) -> Taken:
        """As the model fills it. Of how far the price was moved a share is now the price's own, and
        the overlay keeps the rest."""
        before = self.book.reach(side, top.ts_ns)
        taken = self.book.take_limited(side, lots, notional, limit, top)
        if not taken.lots:
            return taken
        moved = max(self.book.reach(side, top.ts_ns) - before, 0.0)
        rest = moved * (1.0 - self.spec.permanent)
        self.book.set_reach(side, before + rest)
        impact = self.impact
        impact.settle(self.spec, top.ts_ns)
        impact.lasting += side * (moved - rest) * 0.01
        impact.passing += side * rest * 0.01
        impact.fills += 1
        return taken
