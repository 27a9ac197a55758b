"""What a book that is a formula remembers between orders."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["DepthState"]


class DepthState(Struct, tag="depth"):
    """Our own impact: quote taken from each side and not yet back, as of ``ts_ns``; and how thin
    the book is: ``scale`` of its depth until ``thin_until_ns``, then back by ``thin_half_ns``."""

    taken_bid: float = 0.0
    taken_ask: float = 0.0
    ts_ns: int = 0
    scale: float = 1.0
    thin_until_ns: int = 0
    thin_half_ns: int = 0
