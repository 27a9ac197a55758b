"""Steps from a log: records are read, decoded and numbered, in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.errors import FeedError
from engine.events import Malformed
from engine.ports import Batch, DeadLetter, Range
from engine.ticks import TABLES, Kind, Step, Table
from feeds import codec
from feeds.blocks import BLOCK_ROWS_MAX, decode_block
from feeds.codec import BadRecord, SingleCodec
from feeds.log import RECORDS_MAX, Consumer, Log, Place, Record

__all__ = ["LogSource", "StepBuilder", "Undecoded", "starts"]

POLL_TIMEOUT_MS: Final = 200
"""How long a poll waits for the first record; then it looks again."""
STEP_ROWS_MAX: Final = BLOCK_ROWS_MAX
"""A step is closed once it has this many rows; the last block may carry it beyond, once."""

_TICKS: Final = frozenset({codec.TICK_JSON, codec.TICK_MSGPACK, codec.TICK_BLOCK})


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
        self._singles: list[list[tuple[int, Any]]] = [[] for _ in TABLES]
        self._decode: dict[bytes, Callable[[str, bytes], None]] = {
            codec.TICK_MSGPACK: lambda _, value: self._single(value, packed=True),
            codec.TICK_JSON: lambda _, value: self._single(value, packed=False),
            codec.TICK_BLOCK: lambda _, value: self._block(value),
            codec.MALFORMED: lambda _, value: self._message(codec.decode_malformed(value)),
            codec.REQUEST: lambda _, value: self._message(codec.decode_request(value)),
            codec.END: self._ended,
        }

    def add(self, name: str, record: Record) -> None:
        """Take one record of the input ``name``; never raises, whatever it holds."""
        schema = codec.schema_of(record.headers)
        try:
            decode = self._decode.get(schema)
            if decode is None:
                raise BadRecord(_unknown(schema))  # noqa: TRY301 - one way to refuse a record
            if record.value is None:
                raise BadRecord("tombstone, expected a value")  # noqa: TRY301
            decode(name, record.value)
        except BadRecord as error:
            self._letter(name, record, schema, f"malformed: {error}")
            self._message(Malformed(ts_ns=0, detail=str(error)))
        except _StrangersError as error:
            self._letter(name, record, schema, f"unknown_symbol: {error}", error.sequence)

    def _letter(
        self, name: str, record: Record, schema: bytes, reason: str, sequence: int | None = None
    ) -> None:
        row = self.end if sequence is None else sequence
        value = record.value or b""
        letter = Undecoded(name, record.offset, value, reason, sequence=row, schema=schema)
        self.dead_letters.append(letter)

    def _message(self, message: Any) -> None:
        self._messages.append((self.end, message))
        self.end += 1

    def _single(self, value: bytes, *, packed: bool) -> None:
        kind, record = self._codec.decode(value, packed=packed)
        self._singles[kind].append((self.end, record))
        self.end += 1
        if record.symbol not in self._codec.index:
            raise _StrangersError(repr(record.symbol[:40]), self.end - 1)

    def _block(self, value: bytes) -> None:
        tables = decode_block(value, self._codec.index, self.end)
        for kind in Kind:
            self._flush(kind)
        first = self.end
        for table in tables:
            self._tables[table.KIND].append(table)
            self.end += len(table)
        if any(np.min(table.symbol) < 0 for table in tables):
            raise _StrangersError("some rows of the block", first)

    def _ended(self, name: str, value: bytes) -> None:
        codec.decode_end(value)
        self.ended.add(name)

    def _flush(self, kind: Kind) -> None:
        """Make a table of the single rows collected so far, so that order is kept."""
        singles = self._singles[kind]
        if singles:
            self._tables[kind].append(_table(TABLES[kind], singles, self._codec.index))
            self._singles[kind] = []

    def step(self) -> Step:
        """What was collected."""
        for kind in Kind:
            self._flush(kind)
        tables = [_joined(part) for part in self._tables if part]
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


def _unknown(schema: bytes) -> str:
    known = ", ".join(name.decode() for name in sorted(_TICKS | {codec.REQUEST}))
    return f"unknown schema {schema[:40]!r}, expected one of {known}" if schema else "no schema"


def _joined(parts: list[Table]) -> Table:
    if len({part.symbol if isinstance(part.symbol, int) else None for part in parts}) > 1:
        parts = [part.replaced(symbol=part.symbols()) for part in parts]
    return type(parts[0]).concatenated(parts)


def _table(cls: type[Table], singles: Sequence[tuple[int, Any]], index: Mapping[str, int]) -> Table:
    records = [record for _, record in singles]
    ids = [index.get(record.symbol, -1) for record in records]
    one = ids.count(ids[0]) == len(ids)
    stamped = all(record.ingest_ns is not None for record in records)
    return cls(
        sequence=np.array([sequence for sequence, _ in singles], np.int64),
        symbol=ids[0] if one else np.array(ids, np.int32),
        ts_ns=np.array([record.ts_ns for record in records], np.int64),
        ingest_ns=np.array([r.ingest_ns for r in records], np.int64) if stamped else None,
        **{
            name: np.array([getattr(record, name) for record in records], dtype)
            for name, dtype in cls.VALUES.items()
        },
    )


def starts(positions: Mapping[str, int], prefix: str = "") -> dict[Place, int]:
    """Where to read on, from positions by the names of the inputs (``ticks/0``).

    Raises:
        ValueError: if a name is not ``topic/partition``.
    """
    places = {}
    for name, offset in positions.items():
        topic, _, partition = name.rpartition("/")
        places[Place(prefix + topic, int(partition))] = offset
    return places


class LogSource:
    """Reads the partitions of a shard from given positions, belongs to no group, commits nothing.

    Args:
        log: the broker.
        positions: next offset to read of each partition; nothing is started anywhere else.
        symbols: names by index; records name their symbols.
        prefix: of the topics; inputs are named without it (``ticks/0``).
        finite: stop when every partition of ticks has said that there is no more.
    """

    def __init__(
        self,
        log: Log,
        positions: Mapping[Place, int],
        symbols: Sequence[str],
        *,
        prefix: str = "",
        finite: bool = False,
    ) -> None:
        self._log = log
        self._positions = dict(positions)
        self._codec = SingleCodec(symbols)
        self._names = {
            place: str(Place(place.topic.removeprefix(prefix), place.partition))
            for place in positions
        }
        self._running = {name for name in self._names.values() if name.startswith("ticks/")}
        self._finite = finite
        self._consumer: Consumer | None = None
        self._pending: deque[tuple[Place, Record]] = deque()

    async def read(self, sequence: int) -> Batch | None:
        """The next rows, numbered from ``sequence``.

        Raises:
            FeedError: if the broker is away; the next call goes on where this one was.
        """
        while self._running or not self._finite:
            if not self._pending:
                await self._poll()
            batch = self._build(sequence)
            if batch is not None:
                return batch
        return None

    async def _poll(self) -> None:
        try:
            if self._consumer is None:
                self._consumer = await self._log.consumer(self._positions)
            polled = await self._consumer.poll(records_max=RECORDS_MAX, timeout_ms=POLL_TIMEOUT_MS)
        except FeedError:
            await self.close()
            raise
        for place, records in polled:
            self._pending.extend((place, record) for record in records)

    def _build(self, sequence: int) -> Batch | None:
        builder = StepBuilder(self._codec, sequence)
        taken: dict[Place, tuple[int, int]] = {}
        while self._pending and builder.end - sequence < STEP_ROWS_MAX:
            place, record = self._pending.popleft()
            builder.add(self._names[place], record)
            start = taken.get(place, (record.offset, 0))[0]
            taken[place] = (start, record.offset + 1)
            self._positions[place] = record.offset + 1
        self._running -= builder.ended
        if builder.end == sequence:
            return None
        ranges = [Range(self._names[place], *span) for place, span in taken.items()]
        return Batch(
            step=builder.step(), ranges=tuple(ranges), dead_letters=tuple(builder.dead_letters)
        )

    async def close(self) -> None:
        """Let go of the consumer; a later read opens another one where this one was."""
        self._pending.clear()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.close()
