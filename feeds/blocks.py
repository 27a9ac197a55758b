"""Packed blocks: thousands of rows in one record, as little-endian columns.

One tick a message costs a microsecond in any Kafka client; a row of a block costs nanoseconds. Rows
of several kinds and symbols keep their order: each table says which rows of the block are its own.

Layout, every part padded to a multiple of 8 bytes::

    header   magic u16, version u8, tables u8, rows u32, bytes of names u32, crc32 u32
    names    symbols, UTF-8, separated by NUL
    table    kind u8, flags u8, symbol u16, rows u32; then its columns, wide ones first: ts_ns i64,
             [ingest_ns i64], values of 8 bytes, [row u32], [symbol i32], values of 1 byte

``row`` is there where the block has several tables, ``symbol`` where the table has several symbols,
``ingest_ns`` where somebody noted a time of receipt (``NOT_RECORDED_NS`` in the rows without one).
An empty name is that of rows whose symbol the publisher did not know.
The CRC-32 covers everything but itself. Lengths are checked before a column is looked at, and
columns are views of the record, not copies.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from engine.ticks import TABLES, Step, Table
from feeds.codec import BadRecord

__all__ = ["BLOCK_ROWS_MAX", "decode_alike", "decode_block", "encode_block", "rows_said"]

BLOCK_ROWS_MAX: Final = 65_536
_MAGIC: Final = 0x564C
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<HBBII")
_CRC: Final = struct.Struct("<I")
_TABLE: Final = struct.Struct("<BBHI")
_HEADER_BYTES: Final = _HEADER.size + _CRC.size
_INGESTED: Final = 1
_MIXED: Final = 2
_WIDE: Final = 8


def encode_block(step: Step, symbols: Sequence[str]) -> bytes:
    """The rows of a step without messages as one record.

    Args:
        symbols: names by index; the block holds those that it needs.

    Raises:
        ValueError: if the step has messages, no rows, or too many.
    """
    if step.messages or not 0 < len(step) <= BLOCK_ROWS_MAX:
        raise ValueError(f"a block holds 1 to {BLOCK_ROWS_MAX} ticks and no messages, not {step!r}")
    used = sorted(set().union(*(np.unique(table.symbols()).tolist() for table in step.tables)))
    local = {symbol: number for number, symbol in enumerate(used)}
    names = "\0".join(symbols[symbol] if symbol >= 0 else "" for symbol in used).encode()
    parts = [names, bytes(-len(names) % _WIDE)]
    for table in step.tables:
        parts += _packed(table, step.first, local, alone=len(step.tables) == 1)
    body = b"".join(parts)
    header = _HEADER.pack(_MAGIC, _VERSION, len(step.tables), len(step), len(names))
    return b"".join((header, _CRC.pack(zlib.crc32(body, zlib.crc32(header))), body))


def _packed(table: Table, first: int, local: Mapping[int, int], *, alone: bool) -> list[bytes]:
    ids = table.symbols()
    mixed = bool((ids != ids[0]).any())
    symbol = 0 if mixed else local[int(ids[0])]
    stamped = table.ingest_ns is not None
    flags = (_INGESTED if stamped else 0) | (_MIXED if mixed else 0)
    columns: dict[str, Any] = {"ts_ns": table.ts_ns, "ingest_ns": table.ingest_ns}
    columns |= dict(table.values())
    columns["row"] = table.sequence - first
    columns["symbol"] = np.array([local[number] for number in ids.tolist()]) if mixed else None
    parts = [_TABLE.pack(table.KIND, flags, symbol, len(table))]
    for name, dtype in _columns(table.KIND, alone=alone, mixed=mixed, stamped=stamped):
        parts.append(np.ascontiguousarray(columns[name], dtype).tobytes())
    size = sum(map(len, parts))
    return [*parts, bytes(-size % _WIDE)]


@cache
def _columns(
    kind: int, *, alone: bool, mixed: bool, stamped: bool
) -> tuple[tuple[str, np.dtype[Any]], ...]:
    """Names and types of the columns of a table, in the order of the layout."""
    values = TABLES[kind].VALUES.items()
    names = [("ts_ns", "i8")] + [("ingest_ns", "i8")] * stamped
    names += [(name, dtype) for name, dtype in values if dtype != "i1"]
    names += [("row", "u4")] * (not alone) + [("symbol", "i4")] * mixed
    names += [(name, dtype) for name, dtype in values if dtype == "i1"]
    return tuple((name, np.dtype("<" + dtype)) for name, dtype in names)


def decode_block(value: bytes, index: Mapping[str, int], first: int) -> list[Table]:
    """The tables of a block.

    Args:
        value: the record.
        index: from symbols to their numbers; what is not in it gets -1.
        first: sequence of the block's first row.

    Returns:
        At most one table per kind, in the order of `Kind`; together they hold the sequences from
        ``first`` on, each once.

    Raises:
        BadRecord: if a length, a count, the checksum or a value of the layout is wrong.
    """
    count, rows, place, names = _opened(value)
    numbers = _numbers(names, index)
    tables: list[Table] = []
    for _ in range(count):
        table, place = _unpacked(value, place, numbers, first, alone=count == 1)
        if tables and table.KIND <= tables[-1].KIND:
            raise BadRecord("block: tables must be in the order of their kinds, each once")
        tables.append(table)
    if place != len(value):
        raise BadRecord(f"block: {len(value) - place} bytes too many")
    _check_rows(tables, rows, first)
    return tables


def rows_said(value: bytes | None) -> int:
    """How many rows a block says that it holds, before anything of it is checked."""
    if value is None or len(value) < _HEADER_BYTES:
        return 0
    rows: int = _HEADER.unpack_from(value)[3]
    return rows


def decode_alike(
    values: Sequence[bytes], index: Mapping[str, int], first: int
) -> tuple[int, Table] | None:
    """The blocks at the front that look like the first one, read together: a tenth of the time.

    Alike are blocks of one table that differ in their rows alone: as many rows, of the same kind,
    with the same names, all known. What is not, and what is damaged, is left to `decode_block`.

    Args:
        values: records, each of them said to be a block.
        index, first: as for `decode_block`.

    Returns:
        How many they are, at least two, and their rows; ``None`` where there are none.
    """
    try:
        count, rows, place, names = _opened(values[0])
        if count != 1 or len(values) < 2:
            return None
        numbers = _numbers(names, index)
        table, end = _unpacked(values[0], place, numbers, first, alone=True)
    except BadRecord:
        return None
    if len(table) != rows or end != len(values[0]) or numbers.min() < 0:
        return None
    alike = _alike(values, place + _TABLE.size)
    if alike < 2:
        return None
    mixed = not isinstance(table.symbol, int)
    layout = _columns(table.KIND, alone=True, mixed=mixed, stamped=table.ingest_ns is not None)
    together = np.frombuffer(b"".join(values[:alike]), np.uint8).reshape(alike, -1)
    columns: dict[str, Any] = {}
    start = place + _TABLE.size
    for name, dtype in layout:
        stop = start + rows * dtype.itemsize
        columns[name] = np.ascontiguousarray(together[:, start:stop]).reshape(-1).view(dtype)
        start = stop
    symbol: Any = table.symbol
    if mixed:
        symbol = columns.pop("symbol")
        if symbol.item(symbol.argmin()) < 0 or symbol.item(symbol.argmax()) >= len(names):
            return None
        if (numbers != np.arange(len(names))).any():  # else the block's numbers are ours
            symbol = numbers.take(symbol)
    sequence = np.arange(first, first + alike * rows)
    return alike, type(table)(sequence=sequence, symbol=symbol, **columns)


def _alike(values: Sequence[bytes], head: int) -> int:
    """How many blocks at the front have the first one's head and length, and are not damaged."""
    size, begin = len(values[0]), values[0][: _HEADER.size]
    rest = values[0][_HEADER_BYTES:head]
    crc32, stored, begun = zlib.crc32, _CRC.unpack_from, zlib.crc32(begin)
    for number, value in enumerate(values):
        if len(value) != size or value[: _HEADER.size] != begin:
            return number
        if value[_HEADER_BYTES:head] != rest:
            return number
        if crc32(memoryview(value)[_HEADER_BYTES:], begun) != stored(value, _HEADER.size)[0]:
            return number
    return len(values)


def _numbers(names: Sequence[str], index: Mapping[str, int]) -> np.ndarray[Any, Any]:
    return np.array([index.get(name, -1) for name in names], np.int32)


def _opened(value: bytes) -> tuple[int, int, int, list[str]]:
    """Tables, rows, where the first table begins, and the names."""
    if len(value) < _HEADER_BYTES:
        raise BadRecord(f"block: {len(value)} bytes, expected a header of {_HEADER_BYTES}")
    magic, version, count, rows, names_bytes = _HEADER.unpack_from(value)
    if magic != _MAGIC or version != _VERSION:
        raise BadRecord(f"block: magic {magic:#06x} version {version}, expected {_MAGIC:#06x} 1")
    start = _HEADER_BYTES + names_bytes + -names_bytes % _WIDE
    if start > len(value):
        raise BadRecord(f"block: truncated, {len(value)} bytes, names end at {start}")
    body = zlib.crc32(memoryview(value)[_HEADER_BYTES:], zlib.crc32(value[: _HEADER.size]))
    if (body,) != _CRC.unpack_from(value, _HEADER.size):
        raise BadRecord("block: checksum does not match, truncated or damaged")
    if not (0 < rows <= BLOCK_ROWS_MAX and 0 < count <= len(TABLES)):
        raise BadRecord(f"block: {rows} rows in {count} tables, expected 1 to {BLOCK_ROWS_MAX}")
    try:
        names = value[_HEADER_BYTES : _HEADER_BYTES + names_bytes].decode().split("\0")
    except UnicodeDecodeError:
        raise BadRecord("block: names are not UTF-8") from None
    return count, rows, start, names


def _unpacked(
    value: bytes, place: int, numbers: np.ndarray[Any, Any], first: int, *, alone: bool
) -> tuple[Table, int]:
    if place + _TABLE.size > len(value):
        raise BadRecord("block: truncated before a table")
    kind, flags, symbol, rows = _TABLE.unpack_from(value, place)
    if kind >= len(TABLES) or flags & ~(_INGESTED | _MIXED) or not rows:
        raise BadRecord(f"block: table of kind {kind}, flags {flags}, {rows} rows")
    table = TABLES[kind]
    stamped, mixed = bool(flags & _INGESTED), bool(flags & _MIXED)
    layout = _columns(kind, alone=alone, mixed=mixed, stamped=stamped)
    size = _TABLE.size + rows * sum(dtype.itemsize for _, dtype in layout)
    end = place + size + -size % _WIDE
    if end > len(value):
        raise BadRecord(
            f"block: truncated, {len(value)} bytes, a table of {rows} rows ends at {end}"
        )
    columns: dict[str, Any] = {}
    place += _TABLE.size
    for name, dtype in layout:
        columns[name] = np.frombuffer(value, dtype, rows, place)
        place += rows * dtype.itemsize
    local = columns.pop("symbol", None)
    low, high = (symbol, symbol) if local is None else (int(local.min()), int(local.max()))
    if low < 0 or high >= len(numbers):
        raise BadRecord(f"block: symbols {low} to {high} of {len(numbers)}")
    row = columns.pop("row", None)
    return (
        table(
            sequence=np.arange(first, first + rows)
            if row is None
            else first + row.astype(np.int64),
            symbol=int(numbers[symbol]) if local is None else numbers[local],
            **columns,
        ),
        end,
    )


def _check_rows(tables: Sequence[Table], rows: int, first: int) -> None:
    """Every row of the block belongs to exactly one table, and each table is in order."""
    if sum(map(len, tables)) != rows:
        raise BadRecord(f"block: {sum(map(len, tables))} rows in the tables, {rows} in the header")
    if len(tables) == 1:
        return
    seen = np.zeros(rows, bool)
    for table in tables:
        places = table.sequence - first
        if places[-1] >= rows or (len(places) > 1 and not (places[1:] > places[:-1]).all()):
            raise BadRecord("block: rows of a table out of order")
        seen[places] = True
    if not seen.all():
        raise BadRecord("block: a row is in two tables or in none")
