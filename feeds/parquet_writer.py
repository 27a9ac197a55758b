"""Writes our Parquet recording; ``parquet_schema`` says what it looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from engine.events import Malformed
from engine.ticks import NOT_RECORDED_NS
from feeds.bars import Bars
from feeds.formats.format import Block, Market
from feeds.parquet_schema import (
    BAR,
    BAR_COLUMNS,
    KEY,
    MALFORMED,
    MESSAGE,
    NAMES,
    ROW_GROUP_ROWS,
    SCHEMA,
    STRANGER,
    VERSION,
    Metadata,
    SectionInfo,
    column_of,
)

__all__ = ["Section", "write_sections"]

CODEC: Final = "lz4"
"""A recording is written once and read again and again: zstd makes it a fifth smaller, and takes
half as long again to read."""


class Section(Struct, frozen=True, kw_only=True):
    """One stream of rows to be written; fields as in ``Content``."""

    markets: tuple[Market, ...]
    first_ns: int
    priority: int
    blocks: Callable[[], Iterator[Block]]


def write_sections(path: str | Path, sections: Sequence[Section], *, synthetic: bool) -> int:
    """Write a recording, block by block; returns the number of rows.

    An existing file is replaced only when all is written.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    infos = []
    rows = groups = 0
    try:
        with pq.ParquetWriter(
            partial, SCHEMA, compression=CODEC, use_dictionary=True, write_page_checksum=True
        ) as writer:
            for section in sections:
                first, names = groups, set[str]()
                for table, present in _row_groups(section):
                    writer.write_table(table, ROW_GROUP_ROWS)
                    names |= present
                    groups += 1
                    rows += len(table)
                infos.append(
                    SectionInfo(
                        markets=section.markets,
                        first_ns=section.first_ns,
                        priority=section.priority,
                        row_groups=(first, groups),
                        names=tuple(sorted(names)),
                    )
                )
            metadata = Metadata(version=VERSION, synthetic=synthetic, sections=tuple(infos))
            writer.add_key_value_metadata({KEY: msgspec.json.encode(metadata)})
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _row_groups(section: Section) -> Iterator[tuple[pa.Table, set[str]]]:
    """The section's rows in tables of ``ROW_GROUP_ROWS``, with the names of the kinds in each."""
    symbols = [market.symbol for market in section.markets]
    held: list[pa.Table] = []
    names: set[str] = set()
    count = 0
    for block in section.blocks():
        table, present = _encoded(block, symbols)
        held.append(table)
        names |= present
        count += len(table)
        if count >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(held)
            cut = count - count % ROW_GROUP_ROWS
            for start in range(0, cut, ROW_GROUP_ROWS):
                yield whole.slice(start, ROW_GROUP_ROWS), names
            held, count = [whole.slice(cut)], count - cut
    if count:
        yield pa.concat_tables(held), names


def _encoded(block: Block, symbols: Sequence[str]) -> tuple[pa.Table, set[str]]:
    sheet = _Sheet(len(block))
    if isinstance(block, Bars):
        rows = np.arange(len(block))
        sheet.name(rows, BAR, block.symbol)
        sheet.put("ts_ns", rows, block.start_ns)
        for column, name in BAR_COLUMNS.items():
            sheet.put(column, rows, getattr(block, name))
    else:
        for table in block.tables:
            rows = table.sequence - block.first
            sheet.name(rows, table.KIND.name.lower(), table.symbol)
            sheet.put("ts_ns", rows, table.ts_ns)
            if table.ingest_ns is not None:
                known = table.ingest_ns != NOT_RECORDED_NS
                sheet.put("ingest_ns", rows[known], table.ingest_ns[known])
            for name, column in column_of(table.KIND).items():
                sheet.put(column, rows, getattr(table, name))
        for sequence, message in block.messages:
            row = np.array([sequence - block.first])
            bad = isinstance(message, Malformed) and message.symbol is None
            bad = bad and message.reason == "malformed"
            sheet.name(row, MALFORMED if bad else MESSAGE, -1)
            sheet.put("ts_ns", row, message.ts_ns)
            detail = message.detail if bad else msgspec.json.encode(message).decode()
            sheet.details[int(row[0])] = detail
    return sheet.table(symbols), sheet.present


class _Sheet:
    """Columns of one row group while they are filled; what nobody fills stays null."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.present: set[str] = set()
        self.details: dict[int, str] = {}
        self._kind = np.zeros(rows, np.int32)
        self._symbol = np.full(rows, -1, np.int32)
        self._columns: dict[str, tuple[Any, Any]] = {}

    def name(self, rows: Any, name: str, symbol: Any) -> None:
        self.present.add(name)
        self._kind[rows] = NAMES.index(name)
        self._symbol[rows] = symbol

    def put(self, column: str, rows: Any, values: Any) -> None:
        if column not in self._columns:
            dtype = SCHEMA.field(column).type.to_pandas_dtype()
            self._columns[column] = (np.zeros(self.rows, dtype), np.ones(self.rows, bool))
        held, null = self._columns[column]
        held[rows] = values
        null[rows] = False

    def _symbols(self, symbols: Sequence[str]) -> pa.Array:
        """Rows of tables have a symbol, known or not; the others have none."""
        without = np.isin(self._kind, (NAMES.index(MALFORMED), NAMES.index(MESSAGE)))
        unknown = (self._symbol < 0) & ~without
        if not unknown.any():
            return _dictionary(np.maximum(self._symbol, 0), self._symbol < 0, symbols)
        codes = np.where(unknown, len(symbols), np.maximum(self._symbol, 0))
        return _dictionary(codes, without, [*symbols, STRANGER])

    def table(self, symbols: Sequence[str]) -> pa.Table:
        arrays = []
        for field in SCHEMA:
            if field.name == "kind":
                array = _dictionary(self._kind, None, NAMES)
            elif field.name == "symbol":
                array = self._symbols(symbols)
            elif field.name == "detail":
                texts = [self.details.get(i) for i in range(self.rows)] if self.details else None
                array = pa.array(texts, field.type) if texts else pa.nulls(self.rows, field.type)
            elif field.name in self._columns:
                values, null = self._columns[field.name]
                array = pa.array(values, field.type, mask=null if null.any() else None)
            else:
                array = pa.nulls(self.rows, field.type)
            arrays.append(array)
        return pa.table(arrays, schema=SCHEMA)


def _dictionary(codes: Any, null: Any, names: Sequence[str]) -> pa.Array:
    mask = null if null is not None and null.any() else None
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, pa.int32(), mask=mask), pa.array(list(names), pa.string())
    )
