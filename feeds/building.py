"""Records into steps: each becomes rows in the order in which it came, or one refused row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from engine.events import Malformed
from engine.ports import DeadLetter
from engine.ticks import NOT_RECORDED_NS, TABLES, Step, Table
from feeds import codec
from feeds.blocks import BLOCK_ROWS_MAX, decode_alike, decode_block, rows_said
from feeds.codec import BadRecord, SingleCodec
from feeds.log import Record

__all__ = ["STEP_ROWS_MAX", "StepBuilder", "Undecoded"]

STEP_ROWS_MAX: Final = 2 * BLOCK_ROWS_MAX
"""A step is closed once it has this many rows; the last block may carry it beyond, once."""


OPERATOR: Final = "admin/"
"""Inputs whose names begin so are the operator's."""


class Undecoded(DeadLetter, frozen=True, gc=False):
    """A dead letter with the ``sequence`` of its first row and the ``schema`` of its header."""

    sequence: int
    schema: bytes


class StepBuilder:
    """Collects decoded records into one step.

    A record that cannot be decoded becomes one `Malformed` row; one with symbols that we do not
    know keeps its rows, which the heart refuses. Both are kept as dead letters.

    Attributes:
        end: sequence of the next row.
        ended: names of the inputs whose publisher said that there is no more.
    """

    def __init__(self, symbols: SingleCodec, sequence: int) -> None:
        self.end = sequence
        self.ended: set[str] = set()
        self.dead_letters: list[DeadLetter] = []
        self._first = sequence
        self._codec = symbols
        self._messages: list[tuple[int, Any]] = []
        self._tables: list[list[Table]] = [[] for _ in TABLES]
        self._singles = [_Singles() for _ in TABLES]
        self._decode: dict[bytes, Callable[[str, bytes], None]] = {
            codec.TICK_BLOCK: lambda _, value: self._block(value),
            codec.MALFORMED: lambda _, value: self._message(codec.decode_malformed(value)),
            codec.COMMAND: self._command,
            codec.REQUEST: lambda _, value: self._message(codec.decode_request(value)),
            codec.END: self._ended,
        }

    def take(self, name: str, records: Sequence[Record]) -> int:
        """Take records of the input ``name`` until the step is full; returns how many.

        Never raises, whatever they hold.
        """
        headers: Any = None
        schema, decode, is_block = b"", None, False
        done, index, kind_of, singles = 0, self._codec.index, codec.KIND_OF, self._singles
        for number, record in enumerate(records):
            if number < done:
                continue
            if self.end - self._first >= STEP_ROWS_MAX:
                return number
            if record.headers != headers:
                headers = record.headers
                schema = codec.schema_of(headers)
                decode, is_block = codec.SINGLES.get(schema), schema == codec.TICK_BLOCK
            value = record.value
            if is_block and (alike := self._alike(records, number)):
                done = number + alike
                continue
            if decode is None or value is None or len(value) > codec.RECORD_BYTES_MAX:
                self._other(name, record, schema)
                continue
            try:
                row = decode(value)
            except codec.UNDECODABLE as error:
                self._refuse(name, record, schema, str(error) or type(error).__name__)
                continue
            symbol = index.get(row.symbol, -1)
            singles[kind_of[type(row)]].take(self.end, symbol, row)
            if symbol < 0:
                reason = f"unknown_symbol: {row.symbol[:40]!r}"
                self._letter(name, record, schema, reason, self.end)
            self.end += 1
        return len(records)

    def _other(self, name: str, record: Record, schema: bytes) -> None:
        """A record that is no single tick."""
        decode = self._decode.get(schema)
        try:
            if record.value is None:
                raise BadRecord("tombstone, expected a value")  # noqa: TRY301 - one way to refuse
            if decode is None:
                raise BadRecord(_unusable(schema, record.value))  # noqa: TRY301 - as above
            decode(name, record.value)
        except BadRecord as error:
            self._refuse(name, record, schema, str(error))
        except _StrangersError as error:
            self._letter(name, record, schema, f"unknown_symbol: {error}", error.sequence)

    def _refuse(self, name: str, record: Record, schema: bytes, reason: str) -> None:
        detail = reason[: codec.DETAIL_CHARACTERS_MAX]
        self._letter(name, record, schema, f"malformed: {detail}", self.end)
        self._message(Malformed(ts_ns=0, detail=detail))

    def _letter(self, name: str, record: Record, schema: bytes, reason: str, sequence: int) -> None:
        value = record.value or b""
        letter = Undecoded(name, record.offset, value, reason, sequence=sequence, schema=schema)
        self.dead_letters.append(letter)

    def _command(self, name: str, value: bytes) -> None:
        # Whoever may write requests must not thereby be the operator.
        if not name.startswith(OPERATOR):
            raise BadRecord(f"a command on {name}, expected on {OPERATOR}")
        self._message(codec.decode_command(value))

    def _message(self, message: Any) -> None:
        self._messages.append((self.end, message))
        self.end += 1

    def _alike(self, records: Sequence[Record], start: int) -> int:
        """Take the blocks that can be read together; how many there were."""
        headers, size = records[start].headers, len(records[start].value or b"")
        room = STEP_ROWS_MAX - (self.end - self._first)
        fits = -(-room // max(rows_said(records[start].value), 1))
        values: list[bytes] = []
        for record in records[start : start + fits]:
            if record.value is None or len(record.value) != size or record.headers != headers:
                break
            values.append(record.value)
        found = decode_alike(values, self._codec.index, self.end) if len(values) > 1 else None
        if found is None:
            return 0
        alike, table = found
        self._flush()
        self._tables[table.KIND].append(table)
        self.end += len(table)
        return alike

    def _block(self, value: bytes) -> None:
        tables = decode_block(value, self._codec.index, self.end)
        self._flush()
        first = self.end
        for table in tables:
            self._tables[table.KIND].append(table)
            self.end += len(table)
        if any(np.min(table.symbol) < 0 for table in tables):
            raise _StrangersError("some rows of the block", first)

    def _ended(self, name: str, value: bytes) -> None:
        codec.decode_end(value)
        self.ended.add(name)

    def _flush(self) -> None:
        """Make tables of the single rows collected so far, so that order is kept."""
        for kind, singles in enumerate(self._singles):
            if singles.rows:
                self._tables[kind].append(singles.table(TABLES[kind]))
                singles.clear()

    def step(self) -> Step:
        """What was collected."""
        self._flush()
        tables = [type(part[0]).concatenated(part) for part in self._tables if part]
        return Step(
            first=self._first,
            end=self.end,
            tables=tuple(tables),
            messages=tuple(self._messages),
        )


class _StrangersError(Exception):
    """The rows are in the step, with symbols that we do not know."""

    def __init__(self, symbols: str, sequence: int) -> None:
        super().__init__(symbols)
        self.sequence = sequence


def _unusable(schema: bytes, value: bytes) -> str:
    if schema in codec.SINGLES:
        return f"record has {len(value)} bytes, expected at most {codec.RECORD_BYTES_MAX}"
    known = ", ".join(
        name.decode() for name in (*codec.SINGLES, codec.TICK_BLOCK, codec.REQUEST, codec.COMMAND)
    )
    return f"unknown schema {schema[:40]!r}, expected one of {known}" if schema else "no schema"


class _Singles:
    """Single rows of one kind, in their order."""

    __slots__ = ("rows", "sequence", "symbols")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """They are in a table."""
        self.sequence: list[int] = []
        self.symbols: list[int] = []
        self.rows: list[Any] = []

    def take(self, sequence: int, symbol: int, row: Any) -> None:
        """One more."""
        self.sequence.append(sequence)
        self.symbols.append(symbol)
        self.rows.append(row)

    def table(self, cls: type[Table]) -> Table:
        """All of them; not empty."""
        rows, ids = self.rows, self.symbols
        received = [row.ingest_ns for row in rows]
        stamped = received.count(None) < len(rows)
        told = [NOT_RECORDED_NS if ns is None else ns for ns in received] if stamped else []
        return cls(
            sequence=np.array(self.sequence, np.int64),
            symbol=ids[0] if ids.count(ids[0]) == len(ids) else np.array(ids, np.int32),
            ts_ns=np.array([row.ts_ns for row in rows], np.int64),
            ingest_ns=np.array(told, np.int64) if stamped else None,
            **{
                name: np.array([getattr(row, name) for row in rows], dtype)
                for name, dtype in cls.VALUES.items()
            },
        )
