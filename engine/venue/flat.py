"""A book that fills any size at one price."""

from __future__ import annotations

from engine.venue.depth_state import DepthState
from engine.venue.taking import Taken, Top

__all__ = ["FlatBook"]


class FlatBook:
    """Fills any size at ``half_spread_bps`` from mid, or at the recorded half spread."""

    __slots__ = ("half_spread_bps", "state")

    def __init__(self, half_spread_bps: float) -> None:
        self.half_spread_bps = half_spread_bps
        self.state = DepthState()

    def best(self, side: int, top: Top) -> float:
        """The price of every lot that an order of that side would take."""
        spread = top.half_spread
        if spread < 0.0:
            spread = self.half_spread_bps * 1e-4
        return top.mid * (1.0 + side * spread)

    def offer(self, side: int, lots: int, notional: float, limit: float | None, top: Top) -> Taken:
        """What ``take_limited`` would fill; nothing is taken."""
        return self.take_limited(side, lots, notional, limit, top)

    def take_limited(
        self, side: int, lots: int, _notional: float, limit: float | None, top: Top, /
    ) -> Taken:
        """Execute an order up to a limit; see ``DepthBook.take_limited``."""
        price = self.best(side, top)
        if limit is None or side * (limit - price) >= 0.0:
            return Taken(lots, price)
        return Taken(0, price, reason="limit")

    def depth(self, _ts_ns: int, /) -> float:
        """The model has none: 0."""
        return 0.0
