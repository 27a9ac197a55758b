"""The price that a promise follows where that is not the mark: the market's index as it is now."""

from __future__ import annotations

__all__ = ["Reference"]


class Reference:
    """One market's index, written by the market alone, read by the accounts that follow it.

    Attributes:
        price: 0 before the first.
        seen_ns: when it was last said.
        stale: whether that is too long ago.
    """

    __slots__ = ("price", "seen_ns", "stale")

    def __init__(self) -> None:
        self.price = 0.0
        self.seen_ns = 0
        self.stale = False
