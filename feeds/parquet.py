"""Our own recording: Parquet with zstd, one row an input row, in input order.

Each kind fills the columns it has and leaves the others null, so the file reads well in any other tool. Bars stay bars
(``ts_ns`` is their start), so that both orders of their extremes remain possible. The metadata key ``levsim`` holds
the symbols and the sections: a recording of ticks is one section, already merged; one that holds bars has a section an
input, which the reader merges as it would the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from engine.errors import InputError
from engine.events import Malformed
from engine.ticks import TABLES, Kind, Step, Table
from feeds.bars import Bars
from feeds.formats.format import Block, Content, Market, malformed_block

__all__ = ["LevsimParquet", "Section", "write_sections"]

ROW_GROUP_ROWS: Final = 131_072
_KEY: Final = b"levsim"
_VERSION: Final = 1
_BAR: Final = "bar"
_MALFORMED: Final = "malformed"
_NAMES: Final = (*(kind.name.lower() for kind in Kind), _BAR, _MALFORMED)
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_BAR_COLUMNS: Final = {
    "end_ns": "end_ns",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "size": "volume",
    "trades": "trades",
}
_SCHEMA: Final = pa.schema(
    [
        pa.field("kind", _TEXT, nullable=False),
        pa.field("symbol", _TEXT),
        pa.field("ts_ns", pa.int64(), nullable=False),
        pa.field("ingest_ns", pa.int64()),
        *((name, pa.float64()) for name in ("price", "size", "bid", "bid_size", "ask", "ask_size")),
        *((name, pa.int8()) for name in ("side", "snapshot")),
        *((name, pa.int64()) for name in ("trade_id", "next_ns")),
        *((name, pa.float64()) for name in ("rate", "open", "high", "low", "close")),
        *((name, pa.int64()) for name in ("end_ns", "trades")),
        ("detail", pa.string()),
    ]
)


class Section(Struct, frozen=True, kw_only=True):
    """One stream of rows to be written; fields as in ``Content``."""

    markets: tuple[Market, ...]
    first_ns: int
    priority: int
    stamped: bool
    blocks: Callable[[], Iterator[Block]]


class SectionInfo(Struct, frozen=True, kw_only=True):
    markets: tuple[Market, ...]
    first_ns: int
    priority: int
    stamped: bool
    row_groups: tuple[int, int]
    names: tuple[str, ...]


class Metadata(Struct, frozen=True, kw_only=True):
    version: int
    synthetic: bool
    sections: tuple[SectionInfo, ...]


def _column_of(kind: Kind) -> dict[str, str]:
    """The file's column of each of the kind's own columns."""
    return {name: "side" if name == "aggressor" else name for name in TABLES[kind].VALUES}


def write_sections(path: str | Path, sections: Sequence[Section], *, synthetic: bool) -> int:
    """Write a recording, block by block; returns the number of rows.

    An existing file is replaced only when all is written.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    infos = []
    rows = groups = 0
    try:
        with pq.ParquetWriter(partial, _SCHEMA, compression="zstd", use_dictionary=True) as writer:
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
                        stamped=section.stamped,
                        row_groups=(first, groups),
                        names=tuple(sorted(names)),
                    )
                )
            metadata = Metadata(version=_VERSION, synthetic=synthetic, sections=tuple(infos))
            writer.add_key_value_metadata({_KEY: msgspec.json.encode(metadata)})
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
        sheet.name(rows, _BAR, block.symbol)
        sheet.put("ts_ns", rows, block.start_ns)
        for column, name in _BAR_COLUMNS.items():
            sheet.put(column, rows, getattr(block, name))
    else:
        for table in block.tables:
            rows = table.sequence - block.first
            sheet.name(rows, table.KIND.name.lower(), table.symbol)
            sheet.put("ts_ns", rows, table.ts_ns)
            if table.ingest_ns is not None:
                sheet.put("ingest_ns", rows, table.ingest_ns)
            for name, column in _column_of(table.KIND).items():
                sheet.put(column, rows, getattr(table, name))
        for sequence, message in block.messages:
            if not isinstance(message, Malformed):
                raise TypeError(f"a recording holds no {type(message).__name__}")
            row = np.array([sequence - block.first])
            sheet.name(row, _MALFORMED, -1)
            sheet.put("ts_ns", row, message.ts_ns)
            sheet.details[int(row[0])] = message.detail
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
        self._kind[rows] = _NAMES.index(name)
        self._symbol[rows] = symbol

    def put(self, column: str, rows: Any, values: Any) -> None:
        if column not in self._columns:
            dtype = _SCHEMA.field(column).type.to_pandas_dtype()
            self._columns[column] = (np.zeros(self.rows, dtype), np.ones(self.rows, bool))
        held, null = self._columns[column]
        held[rows] = values
        null[rows] = False

    def table(self, symbols: Sequence[str]) -> pa.Table:
        arrays = []
        for field in _SCHEMA:
            if field.name == "kind":
                array = _dictionary(self._kind, None, _NAMES)
            elif field.name == "symbol":
                array = _dictionary(np.maximum(self._symbol, 0), self._symbol < 0, symbols)
            elif field.name == "detail":
                texts = [self.details.get(i) for i in range(self.rows)] if self.details else None
                array = pa.array(texts, field.type) if texts else pa.nulls(self.rows, field.type)
            elif field.name in self._columns:
                values, null = self._columns[field.name]
                array = pa.array(values, field.type, mask=null if null.any() else None)
            else:
                array = pa.nulls(self.rows, field.type)
            arrays.append(array)
        return pa.table(arrays, schema=_SCHEMA)


def _dictionary(codes: Any, null: Any, names: Sequence[str]) -> pa.Array:
    mask = null if null is not None and null.any() else None
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, pa.int32(), mask=mask), pa.array(list(names), pa.string())
    )


class LevsimParquet:
    """The reader's side; see the module."""

    name = "levsim Parquet"

    def sniff(self, head: bytes, name: str) -> bool:
        """Whether it is Parquet with our metadata; a damaged footer counts as ours, to be told of."""
        if not head.startswith(b"PAR1"):
            return False
        try:
            return _KEY in (pq.read_metadata(name).metadata or {})
        except (pa.ArrowInvalid, OSError):
            return True

    def open(self, path: str, symbol: str | None) -> list[Content]:
        """One stream a section."""
        try:
            text = (pq.read_metadata(path).metadata or {})[_KEY]
            metadata = msgspec.json.decode(text, type=Metadata)
        except (pa.ArrowInvalid, OSError, KeyError, msgspec.DecodeError) as error:
            raise InputError(f"{path}: damaged Parquet ({error}); import it again") from None
        if metadata.version != _VERSION:
            raise InputError(
                f"{path}: a recording of version {metadata.version}, this levsim reads {_VERSION}; "
                "import it again"
            )
        return [
            Content(
                path=path,
                markets=section.markets,
                first_ns=section.first_ns,
                priority=section.priority,
                stamped=section.stamped,
                synthetic=metadata.synthetic,
                detail=section,
            )
            for section in metadata.sections
        ]

    def blocks(self, chain: Sequence[Content], rows: int) -> Iterator[Block]:
        """The section's rows in order."""
        (content,) = chain
        section: SectionInfo = content.detail
        places = {market.symbol: place for place, market in enumerate(section.markets)}
        try:
            with pq.ParquetFile(content.path, read_dictionary=["kind", "symbol"]) as file:
                columns = _columns_of(section.names)
                # A row group is small by construction; ``iter_batches`` starts a thread for each core.
                for group in range(*section.row_groups):
                    table = file.read_row_group(group, columns, use_threads=False)
                    for batch in table.to_batches(max_chunksize=rows):
                        yield from _decoded(batch, places)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{content.path}: damaged Parquet ({error}); import it again") from None


def _columns_of(names: Sequence[str]) -> list[str]:
    wanted = {"kind", "symbol", "ts_ns", "ingest_ns"}
    for name in names:
        if name == _BAR:
            wanted |= set(_BAR_COLUMNS)
        elif name == _MALFORMED:
            wanted.add("detail")
        else:
            wanted |= set(_column_of(Kind[name.upper()]).values())
    return [name for name in _SCHEMA.names if name in wanted]


def _decoded(batch: pa.RecordBatch, places: dict[str, int]) -> Iterator[Block]:
    kinds, names = _codes(batch.column("kind"))
    symbols, known = _codes(batch.column("symbol"))
    place = np.array([places[name] for name in known] or [0], np.int32)
    count = len(batch)
    if _BAR in names and (kinds == names.index(_BAR)).any():
        yield from _bar_runs(batch, kinds, names, places)
        return
    tables: dict[Kind, Table] = {}
    messages: list[tuple[int, Malformed]] = []
    for code, name in enumerate(names):
        every = bool((kinds == code).all())
        rows: Any = slice(None) if every else np.flatnonzero(kinds == code)
        if not every and not len(rows):
            continue
        if name == _MALFORMED:
            times, details = _raw(batch, "ts_ns"), batch.column("detail")
            for row in range(count) if every else rows.tolist():
                detail = details[row].as_py() or ""
                messages.append((row, Malformed(ts_ns=int(times[row]), detail=detail)))
            continue
        own = place[symbols[rows]]
        symbol = int(own[0]) if len(places) == 1 else own
        kind = Kind[name.upper()]
        values = {ours: _raw(batch, column)[rows] for ours, column in _column_of(kind).items()}
        tables[kind] = TABLES[kind](
            sequence=np.arange(count, dtype=np.int64)[rows],
            symbol=symbol,
            ts_ns=_raw(batch, "ts_ns")[rows],
            ingest_ns=_ingest(batch.column("ingest_ns"), rows),
            **values,
        )
    ordered = tuple(tables[kind] for kind in sorted(tables))
    yield Step(first=0, end=count, tables=ordered, messages=tuple(messages))


def _bar_runs(
    batch: pa.RecordBatch, kinds: Any, names: list[str], places: dict[str, int]
) -> Iterator[Block]:
    """Bars stand in sections of one symbol, where only malformed rows lie between them."""
    is_bar = kinds == names.index(_BAR)
    cuts = [0, *(np.flatnonzero(np.diff(is_bar)) + 1).tolist(), len(batch)]
    for start, end in zip(cuts, cuts[1:], strict=False):
        run = batch.slice(start, end - start)
        if is_bar[start]:
            columns = {ours: _raw(run, column) for column, ours in _BAR_COLUMNS.items()}
            symbol = places[run.column("symbol")[0].as_py()]
            yield Bars(symbol=symbol, start_ns=_raw(run, "ts_ns"), **columns)
            continue
        details = run.column("detail").to_pylist()
        for ts_ns, detail in zip(_raw(run, "ts_ns").tolist(), details, strict=True):
            yield malformed_block(ts_ns, detail or "")


def _codes(array: Any) -> tuple[Any, list[str]]:
    """Code of each row, and the names that the codes stand for; null is code 0."""
    return array.indices.fill_null(0).to_numpy(zero_copy_only=False), array.dictionary.to_pylist()


def _raw(batch: pa.RecordBatch, name: str) -> Any:
    """The column's values as they lie, nulls as whatever is there: only rows of the kind are looked at."""
    array = batch.column(name)
    dtype = array.type.to_pandas_dtype()
    values = np.frombuffer(array.buffers()[1], dtype)
    return values[array.offset : array.offset + len(array)]


def _ingest(array: Any, rows: Any) -> Any:
    if array.null_count == len(array):
        return None
    if array.null_count and not array.is_valid().to_numpy(zero_copy_only=False)[rows][0]:
        return None
    return np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array)][rows]
