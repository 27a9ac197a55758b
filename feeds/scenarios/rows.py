"""Which rows of a table an event concerns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.ticks import Kind, Table
from feeds.chance import QUANTILES, indexes, raw_words
from feeds.scenarios.timeline import Placed

__all__ = ["KINDS", "Flags", "chosen", "concerned", "within"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

KINDS: Final = {
    "trade": Kind.TRADE,
    "bbo": Kind.BBO,
    "mark": Kind.MARK,
    "index": Kind.INDEX,
    "funding": Kind.FUNDING,
}
_WORDS: Final = 4_096


def concerned(table: Table, names: Sequence[str], symbols: Sequence[str]) -> Any:
    """Which rows of a table are of those symbols: all or none of them, or shape (n,) of flags."""
    if not names:
        return True
    places = [place for place, name in enumerate(symbols) if name in names]
    if isinstance(table.symbol, int):
        return table.symbol in places
    return np.isin(table.symbol, places)


def within(table: Table, placed: Placed, symbols: Sequence[str]) -> Flags:
    """Shape (n,): whether a row is of the event's symbols and lies in its time."""
    ts_ns = table.ts_ns
    flags: Flags = (ts_ns > placed.start_ns) & (ts_ns <= placed.end_ns)
    flags &= concerned(table, placed.event.symbols, symbols)
    return flags


def chosen(numbers: I64, share: float, seed: int, stream: int) -> Flags:
    """Shape of ``numbers``: whether each is among the share that is drawn; a function of the number
    alone."""
    limit = round(share * QUANTILES)
    drawn = np.empty(len(numbers), np.int64)
    block = numbers // _WORDS
    for place in np.unique(block).tolist():
        own = block == place
        words = raw_words(seed, stream, place, _WORDS)
        drawn[own] = indexes(words, 0)[numbers[own] % _WORDS]
    flags: Flags = drawn < limit
    return flags
