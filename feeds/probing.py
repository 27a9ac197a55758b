"""Of what magnitude a recording's prices are, from a look at its first rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, Final, Protocol

import numpy as np
from msgspec import structs

from engine.errors import InputError
from engine.ticks import Bbo, Marks, Step, Table, Trades
from feeds.gauge import Gauge
from feeds.symbols import SymbolInfo

__all__ = ["with_decades"]

_PROBED: Final = 100
"""Prices of a symbol whose middle one is believed: a bad first price is not."""
_ROWS_MAX: Final = 1_000
"""Rows of an input that are looked at."""


class Probed(Protocol):
    """An input that can be looked into."""

    @property
    def places(self) -> tuple[int, ...]:
        """Of its symbols in the recording."""

    def gauge(self) -> Gauge:
        """A new gauge of the files."""

    def ticks(self, rows: int, gauge: Gauge, order: str, inspector: None) -> Iterator[Step]:
        """Its rows."""


def with_decades(symbols: Sequence[SymbolInfo], inputs: Sequence[Probed]) -> tuple[SymbolInfo, ...]:
    """The symbols with the power of ten at or below their first prices, where there are any."""
    found: list[list[float]] = [[] for _ in symbols]
    for one in inputs:
        if any(len(found[place]) < _PROBED for place in one.places):
            with suppress(InputError):  # of a broken file the replay tells
                _look_into(one, found)
    return tuple(
        structs.replace(info, decade=_decade(sorted(prices)[len(prices) // 2])) if prices else info
        for info, prices in zip(symbols, found, strict=True)
    )


def _look_into(one: Probed, found: list[list[float]]) -> None:
    rows = 0
    ticks: Any = one.ticks(_ROWS_MAX, one.gauge(), "ohlc", None)
    with closing(ticks) as steps:
        for step in steps:
            for table in step.tables:
                prices = _prices(table)
                own = zip(table.symbols().tolist(), prices.tolist(), strict=False)
                for place, price in own:
                    if place < 0:
                        continue  # of an unknown symbol: it tells nothing of any other
                    if len(found[place]) < _PROBED and 0.0 < price < math.inf:
                        found[place].append(price)
            rows += len(step)
            if rows >= _ROWS_MAX:
                return


def _prices(table: Table) -> Any:
    if isinstance(table, Bbo):
        return table.bid
    return table.price if isinstance(table, Trades | Marks) else np.empty(0)


def _decade(price: float) -> float:
    """The power of ten at or below, as text has it: ``10.0 ** -5`` is another float."""
    return float(f"1e{f'{price:e}'.partition('e')[2]}")
