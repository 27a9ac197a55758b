"""Tests of ``engine.rows``."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.groups import Groups
from engine.rows import Column
from engine.ticks import Marks


def interleaved(symbols: list[int]) -> Column:
    """A column whose rows belong to these symbols."""
    count = len(symbols)
    table = Marks(
        sequence=np.arange(count),
        symbol=np.array(symbols, np.int32),
        ts_ns=np.arange(count),
        price=np.ones(count),
    )
    return Column(table, table.ts_ns, table.price, 1.0, 1.0)


def test_more_symbols_than_16_bits_count() -> None:
    """40,000 interleaved symbols are told apart as two are. Catches numbers that wrap where they
    are sorted: the last row of a symbol was another's."""
    symbols = np.array([39_999, 5, 32_768, 5, 39_999])
    groups = Groups(symbols)
    assert groups.order.tolist() == [1, 3, 2, 0, 4]
    assert groups.tails == {5: 3, 32_768: 2, 39_999: 4}


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_rows_looked_up_together_are_those_looked_up_alone(symbols: list[int]) -> None:
    """The last row of every symbol below every index, for symbols without a row, too, and none
    takes a row of its neighbour. Catches a row below the first one and one at the index itself."""
    column, count = interleaved(symbols), len(symbols)
    wanted, stops = np.arange(5), np.arange(count + 1)
    together = column.groups.lasts(wanted, stops).tolist()
    for symbol in range(5):
        slow = [
            max((row for row in range(stop) if symbols[row] == symbol), default=-1)
            for stop in range(count + 1)
        ]
        assert together[symbol] == slow
        assert [column.last_above(symbol, stop) for stop in range(count + 1)] == slow
