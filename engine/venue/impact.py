"""Feedback: what trades at our book do to the price of a generated market.

A fill of ``Q`` that reaches ``u`` into the book moves the price by ``u``: for good a share of how
far it would have reached into a whole book, for what was withdrawn comes back while it is eaten;
the rest decays by a half-life. The permanent part moves the middle that orders meet and the index;
the rest is the book's own overlay, and moves the book's own middle. Both change at fills and at the
points of a declared grid, never because somebody looked.

The mark is the median of three legs: the index with the funding still to come, the index with the
average distance of the book from it, and the book. Where nobody traded all three say the index, but
for the funding.

Source: reference venue notes 4.6, equations 4 and 6; 4.3, that the book before an event covers what
is sold on the way to its bottom (1.47 times in the median of 169), so that thin depth is for fills
and the whole curve for the path. The permanent share (0.5 to 0.7) is assumed.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct, field

from engine.exact import exp2
from engine.units import NEVER_NS
from engine.venue.depth import DepthBook
from engine.venue.funding_rate import MarginRates
from engine.venue.survival import SurvivalSpec, SurvivalState
from engine.venue.taking import Taken, Top

__all__ = ["WAVES_MAX", "FeltBook", "ImpactSpec", "ImpactState"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

WAVES_MAX: Final = 64
"""Marks made anew at one instant, each after what the one before liquidated; what is short then
waits for the next point of the grid."""
_LOG2_E: Final = 1.4426950408889634
_GONE: Final = 1e-12
"""So small a share of the price is none."""
_FLOOR: Final = 0.01
"""The price does not fall below this share of what it were without us."""


class ImpactSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attributes:
    permanent: share of a move that stays.
    every_ns: distance of the points at which marks are made, and the rest decays.
    half_life_s: of the rest.
    mark: the median of the three legs, or the book's own middle.
    basis_s: time constant of the average distance of the book from the index.
    survival: how the depth collapses with moves; ``None``: it does not.
    margins: of the lowest tier, for caps of a funding rate that is made of premiums.
    """

    permanent: float = 0.6
    every_ns: int = 1_000_000_000
    half_life_s: float = 180.0
    mark: Literal["median", "book"] = "median"
    basis_s: float = 150.0
    survival: SurvivalSpec | None = SurvivalSpec()
    margins: MarginRates = MarginRates()

    @property
    def left(self) -> float:
        """Share of the rest that is left from one point to the next."""
        return exp2(-self.every_ns / (self.half_life_s * 1e9))

    @property
    def kept(self) -> float:
        """Weight of the average before in that of a point: ``exp(-every / basis)``."""
        return exp2(-self.every_ns / (self.basis_s * 1e9) * _LOG2_E)


class ImpactState(Struct):
    """Shares of the price, positive where it was bought up.

    Attributes:
        lasting: for good.
        passing: decaying, as of the point ``at_ns`` or the last fill after it.
        basis: average distance of the book from the index, as measured up to ``at_ns``.
        fills: how many moved it.
        base: what the input said at the last point.
        heard, heard_ns: what it said last.
        survival: of the depth.
        own: how far the input's price lay from the input's index when that was last said, as a
            factor; 1 where it never was.
        instant_ns: the next funding instant, where rates are made of premiums.
    """

    lasting: float = 0.0
    passing: float = 0.0
    basis: float = 0.0
    at_ns: int = 0
    fills: int = 0
    base: float = 0.0
    heard: float = 0.0
    heard_ns: int = -1
    survival: SurvivalState = field(default_factory=SurvivalState)
    own: float = 1.0
    instant_ns: int = NEVER_NS

    def felt(self, passing: Any) -> Any:
        """By which a price is multiplied."""
        return np.maximum(1.0 + self.lasting + passing, _FLOOR)

    @property
    def middle(self) -> float:
        """By which the middle that orders meet is multiplied, and the index."""
        return max(1.0 + self.lasting, _FLOOR)

    def settle(self, spec: ImpactSpec, ts_ns: int) -> None:
        """As of the last point up to a time."""
        if self.is_still:
            self.at_ns = ts_ns // spec.every_ns * spec.every_ns
            return
        steps = (ts_ns - self.at_ns) // spec.every_ns
        if steps > 0:
            passing, basis = self.ahead(spec, steps)
            self.passing, self.basis = passing.item(-1), basis.item(-1)
            self.at_ns += steps * spec.every_ns

    @property
    def is_still(self) -> bool:
        """Whether nothing that decays is left."""
        return not self.passing and not self.basis

    def passing_at(self, spec: ImpactSpec, times: I64) -> F64:
        """``passing`` at points from the last one on, ascending."""
        if self.is_still:
            return np.zeros(len(times))
        steps = (times - self.at_ns) // spec.every_ns
        passing, _ = self.ahead(spec, int(steps[-1]))
        found: F64 = np.concatenate(([self.passing], passing)).take(steps)
        return found

    def ahead(self, spec: ImpactSpec, count: int) -> tuple[F64, F64]:
        """``passing`` and ``basis`` at the next ``count`` points, one step after the other."""
        factors = np.full(count, spec.left)
        factors[:1] *= self.passing
        coming = np.multiply.accumulate(factors)
        coming = np.where(np.abs(coming) < _GONE, 0.0, coming)
        middle, kept = self.middle, spec.kept
        away = self.felt(coming) / middle - 1.0
        measured, basis, taken = [], self.basis, 1.0 - kept
        for distance in away.tolist():
            basis = kept * basis + taken * distance
            if abs(basis) < _GONE:
                basis = 0.0
                if not distance:
                    break
            measured.append(basis)
        found = np.zeros(count)
        found[: len(measured)] = measured
        return coming, found

    def marks(self, spec: ImpactSpec, bases: F64, carry: F64, passing: F64, basis: F64) -> F64:
        """What the legs make of what the input says at points.

        Args:
            carry: what the funding still to come is worth, a share of the index.
            passing, basis: at each point.
        """
        book: F64 = bases * self.felt(passing)
        if spec.mark == "book":
            return book
        index = bases * self.middle
        funded, distant = index * (1.0 + carry), index * (1.0 + basis)
        low, high = np.minimum(funded, distant), np.maximum(funded, distant)
        median: F64 = np.maximum(low, np.minimum(high, book))
        return median


class FeltBook:
    """A depth book whose fills move the price.

    Attributes:
        book: the model.
        impact: what is moved; kept by the market.
        seen_ns: up to when the market's points were made: one of this very instant, still to come,
            finds what a fill moves, and lets it decay.
    """

    __slots__ = ("book", "impact", "seen_ns", "spec")

    def __init__(self, book: DepthBook, spec: ImpactSpec, impact: ImpactState) -> None:
        self.book, self.spec, self.impact = book, spec, impact
        self.seen_ns = 0

    @property
    def state(self) -> Any:
        return self.book.state

    @state.setter
    def state(self, state: Any) -> None:
        self.book.state = state

    @property
    def half_spread_bps(self) -> float:
        return self.book.half_spread_bps * self.book.widened

    def best(self, side: int, top: Top) -> float | None:
        return self.book.best(side, top)

    def offer(self, side: int, lots: int, notional: float, limit: float | None, top: Top) -> Taken:
        return self.book.offer(side, lots, notional, limit, top)

    def depth(self, ts_ns: int) -> float:
        return self.book.depth(ts_ns)

    def take_limited(
        self, side: int, lots: int, notional: float, limit: float | None, top: Top
    ) -> Taken:
        """As the model fills it. Of how far a whole book would have been moved a share is now the
        price's own, and the overlay keeps the rest of how far this one was."""
        before = self.book.reach(side, top.ts_ns)
        taken = self.book.take_limited(side, lots, notional, limit, top)
        if not taken.lots:
            return taken
        moved = max(self.book.reach(side, top.ts_ns) - before, 0.0)
        lasting = moved * self.spec.permanent * self.book.refilled(side)
        rest = moved - lasting
        self.book.set_reach(side, before + rest)
        impact = self.impact
        impact.settle(self.spec, self.seen_ns)
        impact.lasting += side * lasting * 0.01
        impact.passing += side * rest * 0.01
        impact.fills += 1
        return taken
