"""Tests of ``engine.ticks``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.ticks import NOT_RECORDED_NS, TABLES, Funding, Kind, Marks, Step, Tick, Trades
from tests.builders import T0, a_malformed, a_row, a_tape

EXAMPLES: dict[Kind, tuple[float, ...]] = {
    Kind.TRADE: (100.5, 2.0, -1, 7),
    Kind.BBO: (99.0, 1.0, 101.0, 2.0),
    Kind.MARK: (100.0,),
    Kind.INDEX: (100.1,),
    Kind.FUNDING: (0.0001, T0),
    Kind.LEVEL: (-1, 101.0, 3.0, 1),
    Kind.HEARTBEAT: (),
}


def marks(first: int, prices: list[float], symbol: Any = 0, **columns: Any) -> Marks:
    sequence = np.arange(first, first + len(prices))
    return Marks(
        sequence=sequence, symbol=symbol, ts_ns=T0 + sequence, price=np.array(prices), **columns
    )


def a_mixed_tape() -> Step:
    """A trade, a mark, a message, a mark and a trade, numbered 0 to 4."""
    return a_tape(
        [
            a_row(Kind.TRADE, T0, 100.0, 1.0, 1, 5),
            a_row(Kind.MARK, T0 + 1, 100.5),
            a_malformed(),
            a_row(Kind.MARK, T0 + 2, 101.0, symbol=1),
            a_row(Kind.TRADE, T0 + 3, 102.0, 2.0, 0, 6),
        ]
    )


def test_tables_are_indexed_by_their_kind() -> None:
    """Catches a table out of its place: every live tick would become another kind of row."""
    assert [table.KIND for table in TABLES] == list(Kind)


def test_a_table_takes_slices_masks_and_places_alike() -> None:
    """take() keeps all columns in step, also the optional ones. Catches a column left at its old
    length."""
    table = marks(
        10, [1.0, 2.0, 3.0], np.array([0, 1, 0], np.int32), ingest_ns=np.array([7, 8, 9], np.int64)
    )
    for rows in (slice(1, 3), np.array([False, True, True]), np.array([1, 2])):
        part = table.take(rows)
        assert part.sequence.tolist() == [11, 12]
        assert part.symbols().tolist() == [1, 0]
        assert part.price.tolist() == [2.0, 3.0]
        assert part.ts_ns.tolist() == [T0 + 11, T0 + 12]
        assert part.ingest_ns is not None
        assert part.ingest_ns.tolist() == [8, 9]


def test_one_symbol_stands_for_all_rows() -> None:
    """Catches a stored symbol that is taken for an array."""
    table = marks(0, [1.0, 2.0], 3)
    assert table.symbols().tolist() == [3, 3]
    assert table.take(slice(0, 1)).symbol == 3


def test_joining_keeps_one_symbol_only_where_it_is_one() -> None:
    """Catches the first table's symbol being given to all rows, and receipts that are lost because
    other rows have none."""
    same = Marks.concatenated([marks(0, [1.0], 2), marks(1, [2.0], 2)])
    assert same.symbol == 2
    mixed = Marks.concatenated([marks(0, [1.0], 2), marks(1, [2.0, 3.0], 5)])
    assert mixed.symbols().tolist() == [2, 5, 5]
    assert mixed.price.tolist() == [1.0, 2.0, 3.0]
    stamped = marks(0, [1.0], 2, ingest_ns=np.array([4], np.int64))
    partly = Marks.concatenated([stamped, marks(1, [2.0], 2)])
    assert partly.received_ns().tolist() == [4, NOT_RECORDED_NS]
    assert Marks.concatenated([marks(0, [1.0], 2), marks(1, [2.0], 2)]).ingest_ns is None
    both = Marks.concatenated([stamped, stamped.numbered(np.array([1]))])
    assert both.ingest_ns is not None
    assert both.ingest_ns.tolist() == [4, 4]


def test_a_step_counts_its_rows_and_messages() -> None:
    """Catches a message that takes no sequence number: all later rows would be misnumbered."""
    step = a_mixed_tape()
    assert len(step) == 5
    assert sum(len(table) for table in step.tables) + len(step.messages) == 5
    assert step.table(Kind.FUNDING) is None
    table = step.table(Kind.TRADE)
    assert table is not None
    assert table.sequence.tolist() == [0, 4]


@pytest.mark.parametrize("place", range(6))
def test_a_cut_step_has_the_same_rows(place: int) -> None:
    """The two parts of a step have all its rows and messages, each once. Catches an edge that
    belongs to both parts or to none."""
    step = a_mixed_tape()
    parts = [step.between(0, place), step.between(place, 5)]
    for kind in (Kind.TRADE, Kind.MARK):
        rows = [t.sequence.tolist() for p in parts if (t := p.table(kind)) is not None]
        table = step.table(kind)
        assert table is not None
        assert [s for part in rows for s in part] == table.sequence.tolist()
    assert [m for p in parts for m in p.messages] == list(step.messages)
    assert all(len(t) for p in parts for t in p.tables), "no table of a step is empty"
    assert [(p.first, p.end) for p in parts] == [(0, place), (place, 5)]


def test_a_shifted_step_moves_rows_and_messages_together() -> None:
    """Catches messages that stay behind when the rows are renumbered."""
    moved = a_mixed_tape().shifted(100)
    assert (moved.first, moved.end) == (100, 105)
    assert [s for s, _ in moved.messages] == [102]
    assert [t.sequence.tolist() for t in moved.tables] == [[100, 104], [101, 103]]


def test_a_step_that_is_not_moved_is_not_copied() -> None:
    """A day of rows is renumbered at several places on its way, mostly by nothing."""
    step = a_mixed_tape()
    assert step.shifted(0) is step


@pytest.mark.parametrize("kind", list(Kind))
def test_a_tick_becomes_the_step_of_that_row(kind: Kind) -> None:
    """A tick's values land in the columns in declared order, in the columns' own types. Catches
    bid and ask exchanged, and a trade id that went through a float."""
    step = Tick(kind, 3, T0, EXAMPLES[kind], 42).step(9)
    assert (step.first, step.end, len(step)) == (9, 10, 1)
    table = step.tables[0]
    assert type(table) is TABLES[kind]
    assert (table.sequence.tolist(), table.symbol, table.ts_ns.tolist()) == ([9], 3, [T0])
    assert table.ingest_ns is not None
    assert table.ingest_ns.tolist() == [42]
    assert tuple(column[0].item() for _, column in table.values()) == EXAMPLES[kind]
    for name, column in table.values():
        assert column.dtype == np.dtype(TABLES[kind].VALUES[name])


def test_large_trade_ids_and_times_survive_a_tick() -> None:
    """Catches 64-bit numbers that pass through a float and lose their last digits."""
    big = 2**62 + 1
    trades = Tick(Kind.TRADE, 0, T0, (1.0, 1.0, 1, big)).step(0).tables[0]
    assert isinstance(trades, Trades)
    assert trades.trade_id[0] == big
    funding = Tick(Kind.FUNDING, 0, T0, (0.1, big)).step(0).tables[0]
    assert isinstance(funding, Funding)
    assert funding.next_ns[0] == big


def test_a_tick_with_too_few_values_says_so() -> None:
    """Catches a short row that silently loses a column."""
    with pytest.raises(ValueError, match="BBO row has 4 values, not 1"):
        Tick(Kind.BBO, 0, T0, (1.0,)).step(0)
