"""Interleaved rows by symbol, against a search row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.groups import Groups

FEW, MANY = 3, 100_000
"""Symbols below each: with many, a symbol and a row no longer fit 32 bits together."""


@pytest.mark.parametrize("below", [FEW, MANY])
@given(data=st.data())
def test_rows_are_found_as_by_looking_at_each(below: int, data: st.DataObject) -> None:
    """Catches an unstable order, a row of a neighbour, a symbol without rows, a stop one off, and
    numbers cut to 32 bits."""
    # Row numbers that differ in more bits than 31 less those of a symbol.
    some = data.draw(st.lists(st.integers(0, below - 1), min_size=1, max_size=9))
    repeats = 1 + 40_000 * (below == MANY) // len(some)
    symbols = some * repeats
    groups = Groups(np.array(symbols, np.int32))
    rows: dict[int, list[int]] = {}
    for row, symbol in enumerate(symbols):
        rows.setdefault(symbol, []).append(row)
    assert groups.known.tolist() == sorted(rows)
    assert groups.order.tolist() == [row for symbol in sorted(rows) for row in rows[symbol]]
    assert groups.whose.tolist() == sorted(symbols)
    assert groups.tails == {symbol: own[-1] for symbol, own in rows.items()}
    for symbol, (first, end) in groups.bounds.items():
        assert groups.order[first:end].tolist() == rows[symbol]
    asked = [*sorted(rows), below]
    stops = sorted(data.draw(st.lists(st.integers(0, len(symbols)), min_size=1, max_size=3)))
    wanted = [
        [max((row for row in rows.get(symbol, ()) if row < stop), default=-1) for stop in stops]
        for symbol in asked
    ]
    assert groups.lasts(np.array(asked), np.array(stops)).tolist() == wanted
