"""The best prices of an L2 stream, and when they change."""

from __future__ import annotations

from feeds.formats.gathering import Pairs

__all__ = ["TopOfBook"]


class TopOfBook:
    """The best bid and ask of an L2 stream; needed only where nobody recorded them."""

    def __init__(self) -> None:
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._best: tuple[float, float, float, float] | None = None

    def clear(self) -> None:
        """Forget all levels: a new image follows."""
        self._bids.clear()
        self._asks.clear()

    def clear_side(self, side: int) -> None:
        """Forget the levels of a side: +1 bids, -1 asks."""
        (self._bids if side > 0 else self._asks).clear()

    def apply(self, bids: Pairs, asks: Pairs) -> tuple[float, float, float, float] | None:
        """``(bid, bid size, ask, ask size)`` after these changes; ``None`` if the same as before or
        a side is empty."""
        for side, pairs in ((self._bids, bids), (self._asks, asks)):
            for price, size in pairs:
                if size > 0:
                    side[price] = size
                else:
                    side.pop(price, None)
        if not self._bids or not self._asks:
            return None
        bid, ask = max(self._bids), min(self._asks)
        best = (bid, self._bids[bid], ask, self._asks[ask])
        if best == self._best:
            return None
        self._best = best
        return best
