"""The book our orders meet: how much it takes, and at what price.

``flat`` fills any size at a half spread from mid. ``depth`` has a cumulative depth per side of
``D(u) = A * (u / 1 %)^beta`` quote, ``u`` in per cent from mid, ``beta`` 0.67 inside 1 % and 1.13
outside; what we took is a negative overlay that recovers by a half-life, and nothing is
extrapolated beyond the last distance: the rest is unfilled.

Source of the shape: reference venue notes, equation 1 (Binance perpetual depth 2023-2026); ``A``
per symbol in ``DEPTH_AT_1PCT``, half-life assumed.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from engine.exact import exp2, power

__all__ = ["ASSUMED_DEPTH", "DEPTH_AT_1PCT", "Book", "BookSpec", "BookState"]

DEPTH_AT_1PCT: Final[dict[str, float]] = {
    "BTC": 244.0e6,
    "ETH": 116.9e6,
    "SOL": 40.0e6,
    "XRP": 23.9e6,
    "DOGE": 15.9e6,
}
"""Quote per side within 1 % of mid on a normal day before 2025-10-10, by base asset."""
ASSUMED_DEPTH: Final = 10.0e6
"""The same for a base asset nobody measured: assumed."""

_BETA_NEAR: Final = 0.67
_BETA_FAR: Final = 1.13
_EDGE_PCT: Final = 10.0


class BookSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which book, with its parameters.

    Attributes:
        model: ``flat`` or ``depth``.
        half_spread_bps: distance of the first level from mid where no best bid and ask are
            recorded.
        depth_at_1pct: quote per side within 1 % (``depth`` only).
        half_life_s: time in which half of what we took is back (``depth`` only; assumed).
    """

    model: Literal["flat", "depth"] = "depth"
    half_spread_bps: float = 0.0
    depth_at_1pct: float = ASSUMED_DEPTH
    half_life_s: float = 180.0


class BookState(Struct):
    """Our own impact: quote taken from each side and not yet back, as of ``ts_ns``."""

    taken_bid: float = 0.0
    taken_ask: float = 0.0
    ts_ns: int = 0


class Book:
    """One symbol's book, as far as our own orders see it."""

    __slots__ = ("_edge", "_near", "spec", "state")

    def __init__(self, spec: BookSpec) -> None:
        self.spec = spec
        self.state = BookState()
        self._near = spec.depth_at_1pct
        self._edge = (
            spec.depth_at_1pct * power(_EDGE_PCT, _BETA_FAR) if spec.model == "depth" else 0.0
        )

    def take(
        self, side: int, notional: float, mid: float, half_spread: float, ts_ns: int
    ) -> tuple[float, float]:
        """Execute a market order.

        Args:
            side: +1 buys (takes asks), -1 sells.
            notional: size in quote, > 0.
            mid: quote per base.
            half_spread: recorded half spread as a share of mid; the model's own where negative.
            ts_ns: when the order meets the book.

        Returns:
            Share of the order that was filled, in [0, 1], and its average price.
        """
        spread = half_spread if half_spread >= 0.0 else self.spec.half_spread_bps * 1e-4
        if self.spec.model == "flat":
            return 1.0, mid * (1.0 + side * spread)
        state = self.state
        left = self._left(ts_ns)
        state.taken_bid *= left
        state.taken_ask *= left
        state.ts_ns = max(ts_ns, state.ts_ns)
        taken = state.taken_ask if side > 0 else state.taken_bid
        size = min(notional, self._edge - taken)
        if size <= 0.0:
            return 0.0, mid
        distance = (self._walked(taken + size) - self._walked(taken)) / size
        if side > 0:
            state.taken_ask = taken + size
        else:
            state.taken_bid = taken + size
        price = mid * (1.0 + side * (spread + distance * 0.01))
        return (1.0 if size == notional else size / notional), price

    def depth(self, ts_ns: int) -> float:
        """Quote per side within 1 % that is there now, of the thinner side; 0 where the model has
        no depth."""
        if self.spec.model == "flat":
            return 0.0
        taken = max(self.state.taken_bid, self.state.taken_ask)
        return self._near - taken * self._left(ts_ns)

    def _left(self, ts_ns: int) -> float:
        """Share of our takings that is not back yet: a closed form of the time since the last one,
        so that looking at the book never changes it."""
        state = self.state
        if ts_ns <= state.ts_ns or not (state.taken_bid or state.taken_ask):
            return 1.0
        return exp2((state.ts_ns - ts_ns) / (self.spec.half_life_s * 1e9))

    def _walked(self, size: float) -> float:
        """Integral of the distance (per cent) over the first ``size`` quote of a side."""
        near = self._near
        if size <= near:
            return size * power(size / near, 1.0 / _BETA_NEAR) * (_BETA_NEAR / (_BETA_NEAR + 1.0))
        joined = near * (_BETA_NEAR / (_BETA_NEAR + 1.0))
        far = _BETA_FAR / (_BETA_FAR + 1.0)
        return joined + far * (size * power(size / near, 1.0 / _BETA_FAR) - near)
