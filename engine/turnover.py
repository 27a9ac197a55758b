"""How much was traded, by symbol: what a participation is a share of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from engine.ticks import NOT_MARKET, Step, Trades

__all__ = ["Turnover"]


class Turnover:
    """Recorded trades, counted in whole units, so that it is the same however a run was cut. A
    trade that came late was one; a row that was refused, or is no market trade, was none.

    Attributes:
        worth: price times size, by symbol.
        size: size, by symbol.
    """

    def __init__(self) -> None:
        self.worth: dict[int, int] = {}
        self.size: dict[int, int] = {}

    def step(self, step: Step, refused: Collection[int] = ()) -> None:
        """Take down the trades of a step; ``refused``: sequences of rows that were."""
        for table in step.tables:
            if isinstance(table, Trades):
                counts = table.aggressor != NOT_MARKET
                if refused:
                    counts &= ~np.isin(table.sequence, list(refused))
                for symbol in np.unique(table.symbols()).tolist():
                    own = counts & (table.symbols() == symbol)
                    self._add(self.worth, symbol, table.price[own] * table.size[own])
                    self._add(self.size, symbol, table.size[own])

    def _add(self, known: dict[int, int], symbol: int, amounts: Any) -> None:
        whole = amounts[np.isfinite(amounts) & (amounts < 2.0**40)]
        known[symbol] = known.get(symbol, 0) + int(whole.astype(np.int64).sum())
