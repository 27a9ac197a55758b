"""When somebody next cares: two prices and a time, and the search for the first row that matters.

Between wakes everything a product could say is monotone in price, so it states its interest as a
``Watch``. One vectorised comparison over a block then finds the first row that matters; no other
row is visited.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.units import NEVER_NS

__all__ = [
    "ALWAYS",
    "NEVER",
    "Watch",
    "drawn_in",
    "first_breach",
    "first_breach_by_symbol",
]

_CHUNK: Final = 1_024
_DRAW_IN: Final = 1e-12
_UP, _DOWN = 1.0 + _DRAW_IN, 1.0 - _DRAW_IN


class Watch(Struct, frozen=True, gc=False):
    """When a product next needs attention, in terms of the price that its NAV follows: the market's
    mark, or its index (``terms.formula_price``).

    While ``low < price < high`` and ``ts_ns < alarm_ns`` its handler has nothing to say.
    Waking too early is harmless; waking too late is a bug.
    """

    low: float = -math.inf
    high: float = math.inf
    alarm_ns: int = NEVER_NS

    def __and__(self, other: Watch) -> Watch:
        """Wakes whenever either would."""
        return Watch(
            self.low if self.low >= other.low else other.low,
            self.high if self.high <= other.high else other.high,
            self.alarm_ns if self.alarm_ns <= other.alarm_ns else other.alarm_ns,
        )


NEVER: Final = Watch()
"""Nothing to say, whatever happens."""
ALWAYS: Final = Watch(low=math.inf, high=-math.inf)
"""The very next price matters."""


def drawn_in(low: float, high: float) -> tuple[float, float]:
    """A pair of computed edges, moved towards each other by a relative 1e-12.

    Floats at the exact edge disagree with the decision they stand for; a wake that comes a hair
    early is empty, one that comes late is wrong.
    """
    return low * _UP, high * _DOWN


def first_breach(
    prices: np.ndarray[Any, np.dtype[np.float64]], low: float, high: float, start: int, stop: int
) -> int:
    """Index of the first price in ``[start, stop)`` at or beyond an edge; ``stop`` if there is
    none.

    Searched in chunks that double from 1,024, so that a near breach costs no look at the far rows.
    """
    chunk = _CHUNK
    while start < stop:
        end = min(start + chunk, stop)
        part = prices[start:end]
        beyond = part <= low
        beyond |= part >= high
        hit = beyond.tobytes().find(1)
        if hit >= 0:
            return start + hit
        start = end
        chunk += chunk
    return stop


def first_breach_by_symbol(
    prices: np.ndarray[Any, np.dtype[np.float64]],
    symbols: np.ndarray[Any, np.dtype[np.int32]],
    lows: np.ndarray[Any, np.dtype[np.float64]],
    highs: np.ndarray[Any, np.dtype[np.float64]],
    start: int,
    stop: int,
) -> int:
    """``first_breach`` where each row has its own symbol's edges: ``lows[symbol]``,
    ``highs[symbol]``.

    The edges are gathered per row, so a hundred interleaved symbols scan as fast as one.
    """
    chunk = _CHUNK
    while start < stop:
        end = min(start + chunk, stop)
        part = prices[start:end]
        whose = symbols[start:end]
        beyond = part <= lows.take(whose)
        beyond |= part >= highs.take(whose)
        hit = beyond.tobytes().find(1)
        if hit >= 0:
            return start + hit
        start = end
        chunk += chunk
    return stop
