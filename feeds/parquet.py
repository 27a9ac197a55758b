"""Reads our Parquet recording; ``parquet_schema`` says what it looks like.

Every page carries a checksum, which is verified: a damaged page is an error, not other numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import InputError
from engine.events import Malformed, Message
from engine.ticks import NOT_RECORDED_NS, TABLES, Kind, Step, Table
from feeds.bars import Bars
from feeds.formats.format import Block, Content, malformed_block
from feeds.gauge import Gauge
from feeds.parquet_schema import (
    BAR,
    BAR_COLUMNS,
    KEY,
    MALFORMED,
    MESSAGE,
    SCHEMA,
    STRANGER,
    VERSION,
    Metadata,
    SectionInfo,
    column_of,
)

__all__ = ["LevsimParquet"]

_MESSAGES: Final = msgspec.json.Decoder(Message)
_ONE_AND_STRANGER: Final = 2


class LevsimParquet:
    """The reader's side; see the module."""

    name = "levsim Parquet"

    def sniff(self, head: bytes, path: str, /) -> bool:
        """Whether it is Parquet with our metadata; a damaged footer counts as ours, to be told
        of."""
        if not head.startswith(b"PAR1"):
            return False
        try:
            return KEY in (pq.read_metadata(path).metadata or {})
        except (pa.ArrowInvalid, OSError):
            return True

    def open(self, path: str, _symbol: str | None, /) -> list[Content]:
        """One stream a section."""
        try:
            text = (pq.read_metadata(path).metadata or {})[KEY]
            metadata = msgspec.json.decode(text, type=Metadata)
        except (pa.ArrowInvalid, OSError, KeyError, msgspec.DecodeError) as error:
            raise InputError(f"{path}: damaged Parquet ({error}); import it again") from None
        if metadata.version != VERSION:
            raise InputError(
                f"{path}: a recording of version {metadata.version}, this levsim reads {VERSION}; "
                "import it again"
            )
        return [
            Content(
                path=path,
                markets=section.markets,
                first_ns=section.first_ns,
                priority=section.priority,
                synthetic=metadata.synthetic,
                detail=section,
            )
            for section in metadata.sections
        ]

    def blocks(self, chain: Sequence[Content], rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The section's rows in order."""
        (content,) = chain
        section: SectionInfo = content.detail
        groups = range(*section.row_groups)
        places = {market.symbol: place for place, market in enumerate(section.markets)}
        places[STRANGER] = -1
        try:
            with pq.ParquetFile(
                content.path,
                read_dictionary=["kind", "symbol"],
                page_checksum_verification=True,
            ) as file:
                columns = _columns_of(section.names)
                done, total = 0, sum(file.metadata.row_group(g).num_rows for g in groups)
                # A row group is small by construction; ``iter_batches`` starts a thread for each
                # core.
                for group in groups:
                    table = file.read_row_group(group, columns, use_threads=False)
                    for batch in table.to_batches(max_chunksize=rows):
                        done += len(batch)
                        gauge.reach_part(content.path, done, total)
                        yield from _decoded(batch, places)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{content.path}: damaged Parquet ({error}); import it again"
            ) from None


def _columns_of(names: Sequence[str]) -> list[str]:
    wanted = {"kind", "symbol", "ts_ns", "ingest_ns"}
    for name in names:
        if name == BAR:
            wanted |= set(BAR_COLUMNS)
        elif name in (MALFORMED, MESSAGE):
            wanted.add("detail")
        else:
            wanted |= set(column_of(Kind[name.upper()]).values())
    return [name for name in SCHEMA.names if name in wanted]


def _decoded(batch: pa.RecordBatch, places: dict[str, int]) -> Iterator[Block]:
    kinds, names = _codes(batch.column("kind"))
    symbols, known = _codes(batch.column("symbol"))
    place = np.array([places[name] for name in known] or [0], np.int32)
    count = len(batch)
    if BAR in names and (kinds == names.index(BAR)).any():
        yield from _bar_runs(batch, kinds, names, places)
        return
    tables: dict[Kind, Table] = {}
    messages: list[tuple[int, Message]] = []
    for code, name in enumerate(names):
        rows = np.flatnonzero(kinds == code)
        every = len(rows) == count
        if not len(rows):
            continue
        if name in (MALFORMED, MESSAGE):
            times, details = _raw(batch, "ts_ns"), batch.column("detail")
            for row in rows.tolist():
                detail = details[row].as_py() or ""
                bad = name == MALFORMED
                told = Malformed(ts_ns=int(times[row]), detail=detail) if bad else _message(detail)
                messages.append((row, told))
            continue
        own = place[symbols if every else symbols.take(rows)]
        one = len(places) == _ONE_AND_STRANGER and STRANGER not in known
        symbol = int(own[0]) if one else own
        kind = Kind[name.upper()]
        whole = {"ts_ns": "ts_ns", **column_of(kind)}
        columns = {ours: _raw(batch, column) for ours, column in whole.items()}
        if not every:
            columns = {ours: values.take(rows) for ours, values in columns.items()}
        tables[kind] = TABLES[kind](
            sequence=rows,
            symbol=symbol,
            ingest_ns=_ingest(batch, None if every else rows),
            **columns,
        )
    messages.sort(key=lambda pair: pair[0])
    ordered = tuple(tables[kind] for kind in sorted(tables))
    yield Step(first=0, end=count, tables=ordered, messages=tuple(messages))


def _bar_runs(
    batch: pa.RecordBatch, kinds: Any, names: list[str], places: dict[str, int]
) -> Iterator[Block]:
    """Bars stand in sections of one symbol, where only malformed rows lie between them."""
    is_bar = kinds == names.index(BAR)
    cuts = [0, *(np.flatnonzero(np.diff(is_bar)) + 1).tolist(), len(batch)]
    for start, end in pairwise(cuts):
        run = batch.slice(start, end - start)
        if is_bar[start]:
            columns = {ours: _raw(run, column) for column, ours in BAR_COLUMNS.items()}
            symbol = places[run.column("symbol")[0].as_py()]
            yield Bars(symbol=symbol, start_ns=_raw(run, "ts_ns"), **columns)
            continue
        details = run.column("detail").to_pylist()
        for ts_ns, detail in zip(_raw(run, "ts_ns").tolist(), details, strict=True):
            yield malformed_block(ts_ns, detail or "")


def _codes(array: Any) -> tuple[Any, list[str]]:
    """Code of each row, and the names that the codes stand for; null is code 0."""
    return array.indices.fill_null(0).to_numpy(zero_copy_only=False), array.dictionary.to_pylist()


def _message(detail: str) -> Message:
    try:
        message: Message = _MESSAGES.decode(detail)
    except msgspec.DecodeError as error:
        raise InputError(f"a message of the recording cannot be read: {error}") from None
    return message


def _raw(batch: pa.RecordBatch, name: str) -> Any:
    """The column's values as they lie, nulls as whatever is there: only rows of the kind are looked
    at."""
    array = batch.column(name)
    dtype = array.type.to_pandas_dtype()
    values = np.frombuffer(array.buffers()[1], dtype)
    return values[array.offset : array.offset + len(array)]


def _ingest(batch: pa.RecordBatch, rows: Any) -> Any:
    """The times of receipt of some rows, or of all; ``None`` where none of them has one."""
    array = batch.column("ingest_ns")
    values = _raw(batch, "ingest_ns")
    if array.null_count:
        known = array.is_valid().to_numpy(zero_copy_only=False)
        if not (known if rows is None else known.take(rows)).any():
            return None
        values = np.where(known, values, NOT_RECORDED_NS)
    return values if rows is None else values.take(rows)
