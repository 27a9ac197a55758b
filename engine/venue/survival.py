"""How much of a book survives a move: depth collapses with the size of the last five minutes' move
and comes back by a half-life.

At the points of a grid, for each side: ``ln S = -(slope |z| + sigma(z) eps)`` where ``|z| > 4``,
``z`` the move of the last five minutes in deviations of a calm one; never above what is left of an
earlier collapse, which is halved (in the logarithm) in each half-life. ``eps`` is one normal draw a
side for as long as ``|z|`` stays above 4. The spread widens as ``1 / S`` of the thinner side.

Source: reference venue notes 4.3 and 4.6, equations 2 and 3: 0.055 and the deviations by ``|z|``
are fitted to 1.79 million five-minute bars; nobody measured less than 1 / 561. Half-life assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from engine.exact import exp2, log2, normal_cdf
from engine.philox import word
from engine.units import MINUTE_NS, NEVER_NS, SECOND_NS

__all__ = ["LEAST", "Survival", "SurvivalSpec", "SurvivalState", "spread_of", "standard_normal"]

CALM: Final = 4.0
"""Deviations up to which nobody leaves."""
SPREADS: Final = ((20.0, 1.35), (12.0, 0.94), (8.0, 0.85), (6.0, 0.6), (CALM, 0.35))
"""Of the logarithm, from so many deviations on; the largest first."""
LEAST: Final = 1.0 / 561.0
"""Of the depth: the smallest share that was measured (SOL, 2025-10-10)."""
MINUTES_MAX: Final = 2_880
"""That are remembered for who looks at a crisis afterwards: two days."""
_LOG2_E: Final = 1.4426950408889634
_WHOLE: Final = -1e-9
"""A logarithm that near to zero is zero."""
_STREAM: Final = 1 << 63
"""Where the draws of books begin among those of a venue."""


class SurvivalSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attributes:
    deviation: of a five-minute move on a calm day, a share of the price (assumed).
    slope: of ``-ln S`` in ``|z|``.
    half_life_s: in which half of a collapse, as a logarithm, is gone (2 to 5 minutes, assumed).
    every_ns: distance of the points of its grid.
    steps: points that a move looks back over: five minutes.
    """

    deviation: float = 0.0015
    slope: float = 0.055
    half_life_s: float = 180.0
    every_ns: int = 10 * SECOND_NS
    steps: int = 30


class SurvivalState(Struct):
    """Attributes:
    next_ns: the next point of the grid.
    prices: marks of the last points, oldest first.
    bid, ask: binary logarithm of the share of each side that is left.
    since_ns: when ``|z|`` rose above 4; -1 where it is below.
    minutes: the smallest ``bid`` and ``ask`` of each minute in which something was missing, with
        its beginning; of the first ``MINUTES_MAX``.
    """

    next_ns: int = NEVER_NS
    prices: list[float] = []
    bid: float = 0.0
    ask: float = 0.0
    since_ns: int = -1
    minutes: list[tuple[int, float, float]] = []


class Survival:
    """One market's book, point by point of the grid.

    Args:
        place: of the market among those of the run: none draws what another does.
    """

    __slots__ = ("_kept", "_place", "_seed", "spec", "state")

    def __init__(self, spec: SurvivalSpec, state: SurvivalState, seed: int, place: int) -> None:
        self.spec, self.state = spec, state
        self._seed, self._place = seed, place
        self._kept = exp2(-spec.every_ns / (spec.half_life_s * 1e9))

    def begin(self, first_ns: int) -> None:
        """The first mark was made then."""
        every = self.spec.every_ns
        self.state.next_ns = -(-first_ns // every) * every

    def pass_points(self, marks: Iterable[float]) -> bool:
        """The marks of the next points, one after the other; whether any share changed."""
        before = self.state.bid, self.state.ask
        for mark in marks:
            self._pass(mark)
        return before != (self.state.bid, self.state.ask)

    def _pass(self, mark: float) -> None:
        state, spec = self.state, self.spec
        ts_ns, prices = state.next_ns, state.prices
        state.next_ns += spec.every_ns
        oldest = prices[0] if prices else mark
        prices.append(mark)
        if len(prices) > spec.steps:
            del prices[0]
        if state.bid or state.ask:
            state.bid, state.ask = state.bid * self._kept, state.ask * self._kept
            if min(state.bid, state.ask) > _WHOLE:
                state.bid = state.ask = 0.0
        size = abs(mark / oldest - 1.0) / spec.deviation
        if size <= CALM:
            state.since_ns = -1
        else:
            if state.since_ns < 0:
                state.since_ns = ts_ns
            state.bid = min(state.bid, self._collapsed(size, 0))
            state.ask = min(state.ask, self._collapsed(size, 1))
        if state.bid or state.ask:
            self._note(ts_ns // MINUTE_NS * MINUTE_NS)

    def _note(self, minute_ns: int) -> None:
        state = self.state
        bid, ask = state.bid, state.ask
        if state.minutes and state.minutes[-1][0] == minute_ns:
            _, least_bid, least_ask = state.minutes.pop()
            bid, ask = min(bid, least_bid), min(ask, least_ask)
        if len(state.minutes) < MINUTES_MAX:
            state.minutes.append((minute_ns, bid, ask))

    def _collapsed(self, size: float, side: int) -> float:
        path = _STREAM | self._place << 1 | side
        drawn = standard_normal(word(self._seed, path, self.state.since_ns))
        lost = self.spec.slope * size + spread_of(size) * drawn
        return max(-lost * _LOG2_E, log2(LEAST))

    @property
    def shares(self) -> tuple[float, float]:
        """What is left of the bids and of the asks."""
        state = self.state
        return (exp2(state.bid), exp2(state.ask)) if state.bid or state.ask else (1.0, 1.0)


def spread_of(size: float) -> float:
    """Deviation of ``ln S`` after a move of ``size`` deviations."""
    return next((sigma for least, sigma in SPREADS if size >= least), 0.0)


@lru_cache(maxsize=1024)
def standard_normal(drawn: int) -> float:
    """A normal number of 64 uniform bits: where its distribution reaches their share."""
    share, low, high = (drawn + 0.5) / 2**64, -8.0, 8.0
    for _ in range(48):
        middle = (low + high) * 0.5
        if normal_cdf(middle) < share:
            low = middle
        else:
            high = middle
    return low
