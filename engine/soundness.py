"""What a row's own numbers must be: finite, positive, a book that is not crossed.

Tables are looked at whole; only a row of a doubtful table is asked by itself what is wrong with it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.ticks import Bbo, Funding, Kind, Levels, Table, Trades

__all__ = [
    "CONFIRMATIONS",
    "PRICED",
    "detail",
    "flaw",
    "highest",
    "is_ascending",
    "is_sound",
    "lowest",
    "prices_of",
]

F64 = np.ndarray[Any, np.dtype[np.float64]]

CONFIRMATIONS: Final = 3
"""So many doubtful rows in a row are believed, where they agree."""
_MARK, _INDEX = Kind.MARK, Kind.INDEX  # looked up once; see ``folding``
PRICED: Final = (Kind.TRADE, Kind.BBO, _MARK, _INDEX)
"""Kinds whose rows move a price."""


def lowest(values: np.ndarray[Any, Any]) -> Any:
    """The least of the values, or a NaN among them; on short arrays five times as fast as
    ``min``."""
    return values.item(values.argmin())


def highest(values: np.ndarray[Any, Any]) -> Any:
    """The greatest of the values, or a NaN among them; on short arrays five times as fast as
    ``max``."""
    return values.item(values.argmax())


def is_ascending(values: np.ndarray[Any, Any]) -> bool:
    """Whether none of the values is less than the one before it."""
    if len(values) == 1:
        return True
    falls = values[1:] < values[:-1]
    return not falls.item(falls.argmax())


def prices_of(table: Table) -> tuple[F64 | None, float, float]:
    """Prices of the rows with their extremes; the low is -1 where a row of a book is crossed or has
    a bad size. ``None`` for kinds without prices."""
    kind = table.KIND
    if kind is _MARK or kind is _INDEX:
        price: F64 = table.price  # type: ignore[attr-defined]  # as these kinds have
        return price, price.item(price.argmin()), price.item(price.argmax())
    if isinstance(table, Bbo):
        with np.errstate(invalid="ignore", over="ignore"):
            prices = (table.bid + table.ask) * 0.5
        sound = bool((table.bid < table.ask).all()) and lowest(table.bid) > 0.0
        sound = sound and _are_sizes(table.bid_size) and _are_sizes(table.ask_size)
    elif isinstance(table, Trades):
        prices = table.price
        sound = _are_sizes(table.size)
    else:
        return None, 0.0, 0.0
    return prices, lowest(prices) if sound else -1.0, highest(prices)


def is_sound(table: Table) -> bool:
    """Whether the numbers of a kind without prices can be used."""
    if isinstance(table, Levels):
        priced = lowest(table.price) > 0.0 and highest(table.price) < np.inf
        return bool(priced and _are_sizes(table.size))
    if isinstance(table, Funding):
        return bool(highest(np.abs(table.rate)) < 1.0)
    return True


def flaw(table: Table, row: int) -> str | None:
    """Why a row's own numbers cannot be used."""
    if isinstance(table, Funding):
        return None if abs(float(table.rate[row])) < 1.0 else "not_finite"
    if isinstance(table, Bbo):
        bid, ask = float(table.bid[row]), float(table.ask[row])
        if not (np.isfinite(bid) and np.isfinite(ask) and np.isfinite(bid + ask)):
            return "not_finite"
        if bid <= 0.0 or ask <= 0.0:
            return "not_positive"
        sizes = _is_size(table.bid_size[row]) and _is_size(table.ask_size[row])
        return ("crossed" if bid >= ask else None) if sizes else "not_finite"
    if table.KIND in PRICED or isinstance(table, Levels):
        price = float(table.price[row])  # type: ignore[attr-defined]  # as these kinds have
        if not np.isfinite(price):
            return "not_finite"
        if price <= 0.0:
            return "not_positive"
        if isinstance(table, Trades | Levels) and not _is_size(table.size[row]):
            return "not_finite"
    return None


def _are_sizes(sizes: F64) -> bool:
    return bool(lowest(sizes) >= 0.0 and highest(sizes) < np.inf)


def _is_size(size: Any) -> bool:
    return bool(0.0 <= size < np.inf)


def detail(table: Table, row: int) -> str:
    """The row's numbers, for the rejection."""
    return " ".join(f"{name}={column[row].item()!r}" for name, column in table.values())
