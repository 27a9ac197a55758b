"""The attribution as steps from nothing to the result, each beginning where the last one ended."""

from __future__ import annotations

import math
from typing import Any, Final

from msgspec import Struct

from engine.report.table import CAUSES, SPLIT, split_of

__all__ = ["Bar", "bars_of"]

_SHOWN: Final = 0.00005
"""Shares of the equity at the start below which causes are drawn together."""


class Bar(Struct, frozen=True):
    """One step, in shares of the equity at the start.

    Attributes:
        name: in words.
        kind: ``part``, ``subtotal`` or ``total``; the last two begin at nothing.
        left, right: where it begins and ends.
    """

    name: str
    kind: str
    left: float
    right: float

    @property
    def amount(self) -> float:
        """Plus what it added, minus what it took."""
        return self.right - self.left


def bars_of(product: dict[str, Any]) -> list[Bar]:
    """The split of the price part where it is known, its sum, the other causes, and the result.

    The last bar ends at ``(equity_end - equity_start) / equity_start``.
    """
    start = product["equity_start"]
    causes = product["attribution"]
    total = (product["equity_end"] - start) / start
    split = split_of(product)
    bars = _steps(0.0, {SPLIT[name]: amount / start for name, amount in split.items()})
    price = causes["price"] / start
    bars.append(Bar("price moves", "subtotal", 0.0, price))
    others = {words: causes[name] / start for name, words in CAUSES.items()}
    shown = {words: share for words, share in others.items() if abs(share) >= _SHOWN}
    rest = math.fsum(share for words, share in others.items() if words not in shown)
    if abs(rest) >= _SHOWN:
        shown["other causes"] = rest
    bars += _steps(price, shown)
    result = "change of equity" if causes["flows"] else "you got"
    bars.append(Bar(result, "total", 0.0, total))
    return bars


def _steps(level: float, parts: dict[str, float]) -> list[Bar]:
    bars = []
    for words, share in parts.items():
        bars.append(Bar(words, "part", level, level + share))
        level += share
    return bars
