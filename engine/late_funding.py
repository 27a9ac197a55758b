"""Funding rows that come late: one that names an instant already settled counts nowhere.

Its time is as good as that of any row; the rate and the instant that it names are those that the
row before it named, for whoever looks at the column.
"""

from __future__ import annotations

from engine.rows import Column
from engine.soundness import detail
from engine.ticks import Funding

__all__ = ["open_to_lateness", "unsay"]


def open_to_lateness(column: Column) -> None:
    """Rows of this column may be unsaid: it gets numbers of its own, the input keeps its."""
    table = column.table
    assert isinstance(table, Funding)
    column.table = table.replaced(rate=table.rate.copy(), next_ns=table.next_ns.copy())


def unsay(column: Column, symbol: int, sequence: int, known: tuple[float, int]) -> str:
    """The symbol's row at that place is late: it says again what the symbol's last one before it
    said.

    Args:
        column: one that was opened to it.
        known: rate and instant said last before this column.

    Returns:
        The row's own numbers, for the rejection.
    """
    table = column.table
    assert isinstance(table, Funding)
    row, before = column.row_at(sequence), column.last(symbol, sequence)
    said = detail(table, row)
    if before >= 0:
        known = table.rate.item(before), table.next_ns.item(before)
    table.rate[row], table.next_ns[row] = known
    return said
