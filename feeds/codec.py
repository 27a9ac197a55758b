"""Bytes to structs and back: what travels in the topics that the engine reads.

A record's header ``schema=<name>/<version>`` says how to read it. Ticks come as JSON objects,
msgpack arrays or packed blocks (`feeds.blocks`), with symbols by name; requests and commands as
JSON objects. Decoding is strict: whatever is not exactly right raises `BadRecord`, and the caller
makes one refused row of it. The record structs are made from the tables of `engine.ticks`, so that
they cannot disagree.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from engine.commands import Command
from engine.errors import InputError
from engine.events import CancellationRequest, CreationRequest, Malformed, RedemptionRequest
from engine.ticks import NOT_RECORDED_NS, TABLES, Kind, Table, Tick
from feeds.log import Headers

__all__ = [
    "COMMAND",
    "DETAIL_CHARACTERS_MAX",
    "END",
    "KIND_OF",
    "MALFORMED",
    "RECORD_BYTES_MAX",
    "REQUEST",
    "SCHEMA",
    "SINGLES",
    "TICK_BLOCK",
    "TICK_JSON",
    "TICK_MSGPACK",
    "UNDECODABLE",
    "BadRecord",
    "SingleCodec",
    "decode_command",
    "decode_end",
    "decode_malformed",
    "decode_request",
    "encode_json",
    "schema_header",
    "schema_of",
    "tick_records",
]

SCHEMA: Final = "schema"
TICK_JSON: Final = b"tick-json/1"
TICK_MSGPACK: Final = b"tick-msgpack/1"
TICK_BLOCK: Final = b"tick-block/1"
REQUEST: Final = b"request/1"
COMMAND: Final = b"command/1"
"""What the operator says; on the topic `admin` only."""
MALFORMED: Final = b"malformed/1"
"""A row that the publisher itself could not read: it keeps its place among the ticks."""
END: Final = b"end/1"
"""The end of a published recording; it is no row."""

RECORD_BYTES_MAX: Final = 65_536
"""A single tick or request is a few hundred bytes; what is larger than this is not one."""
DETAIL_CHARACTERS_MAX: Final = 200

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Int8 = Annotated[int, Meta(ge=-128, le=127)]
_TYPES: Final[dict[str, Any]] = {"f8": float, "i8": Int64, "i1": Int8}


class BadRecord(InputError):  # noqa: N818 - the row is bad, the stream is well
    """A record that is not what its schema says; the message is the reason, without its bytes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason[:DETAIL_CHARACTERS_MAX])


class End(Struct, frozen=True, gc=False):
    """The publisher has no more; ``rows`` is how many it published to this partition."""

    rows: int


def _record_type(table: type[Table], *, packed: bool) -> type[Any]:
    """The wire form of one row of a table: a JSON object, or a msgpack array led by the kind.

    ``symbol``, ``ts_ns``, the columns of the table in its order, and ``ingest_ns`` where somebody
    noted the time of receipt.
    """
    return msgspec.defstruct(
        f"{table.KIND.name.title()}{'Row' if packed else 'Record'}",
        [
            ("symbol", str),
            ("ts_ns", Int64),
            *((name, _TYPES[dtype]) for name, dtype in table.VALUES.items()),
            ("ingest_ns", Int64 | None, None),
        ],
        tag_field="kind",
        tag=int(table.KIND) if packed else table.KIND.name.lower(),
        array_like=packed,
        frozen=True,
        gc=False,
    )


def tick_records(*, packed: bool) -> tuple[type[Any], ...]:
    """The record types indexed by `Kind`: of msgpack arrays if ``packed``, else of JSON objects."""
    return _ROWS if packed else _RECORDS


_ROWS: Final = tuple(_record_type(table, packed=True) for table in TABLES)
_RECORDS: Final = tuple(_record_type(table, packed=False) for table in TABLES)
KIND_OF: Final = {record: Kind(kind) for t in (_ROWS, _RECORDS) for kind, record in enumerate(t)}
"""What kind of row a record of one of the `tick_records` is."""


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


_VALUES: Final = {
    record: (int(kind), _getter(tuple(TABLES[kind].VALUES))) for record, kind in KIND_OF.items()
}

Asked = CreationRequest | RedemptionRequest | CancellationRequest
_json: Final = msgspec.json.Decoder(reduce(operator.or_, _RECORDS))
_msgpack: Final = msgspec.msgpack.Decoder(reduce(operator.or_, _ROWS))
_request: Final = msgspec.json.Decoder(Asked)
_command: Final = msgspec.json.Decoder(Command)
_malformed: Final = msgspec.json.Decoder(Malformed)
_end: Final = msgspec.json.Decoder(End)
_json_encoder: Final = msgspec.json.Encoder()
_msgpack_encoder: Final = msgspec.msgpack.Encoder()

encode_json: Final = _json_encoder.encode

SINGLES: Final[dict[bytes, Callable[[bytes], Any]]] = {
    TICK_JSON: _json.decode,
    TICK_MSGPACK: _msgpack.decode,
}
"""Decoders of single ticks: to one of `tick_records`, or one of ``UNDECODABLE`` is raised."""
UNDECODABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


def _strictly(decode: Callable[[bytes], Any], value: bytes) -> Any:
    if len(value) > RECORD_BYTES_MAX:
        raise BadRecord(f"record has {len(value)} bytes, expected at most {RECORD_BYTES_MAX}")
    try:
        return decode(value)
    except UNDECODABLE as error:
        raise BadRecord(str(error) or type(error).__name__) from None


def decode_request(value: bytes) -> Asked:
    """A request from its JSON object; raises `BadRecord`."""
    request: Asked = _strictly(_request.decode, value)
    return request


def decode_command(value: bytes) -> Command:
    """What the operator says, from its JSON object; raises `BadRecord`."""
    command: Command = _strictly(_command.decode, value)
    return command


def decode_malformed(value: bytes) -> Malformed:
    """A row that its publisher could not read; raises `BadRecord`."""
    malformed: Malformed = _strictly(_malformed.decode, value)
    return malformed


def decode_end(value: bytes) -> End:
    """The end of a recording; raises `BadRecord`."""
    end: End = _strictly(_end.decode, value)
    return end


def schema_header(schema: bytes) -> Headers:
    """The headers of a record of that schema."""
    return ((SCHEMA, schema),)


def schema_of(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """What the header says; empty where there is none. The last one counts."""
    found = b""
    for name, value in headers:
        if name == SCHEMA:
            found = value
    return found


class SingleCodec:
    """Single ticks of known symbols, as JSON objects or msgpack arrays.

    Args:
        symbols: by index; what is not among them gets -1, which the heart refuses.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self.index = {symbol: number for number, symbol in enumerate(self.symbols)}

    def tick(self, value: bytes) -> Tick:
        """The tick in a msgpack array, for `Engine.process_tick`; raises `BadRecord`."""
        try:
            record = _msgpack.decode(value)
        except UNDECODABLE as error:
            raise BadRecord(str(error) or type(error).__name__) from None
        kind, values = _VALUES[type(record)]
        symbol = self.index.get(record.symbol, -1)
        return Tick(kind, symbol, record.ts_ns, values(record), record.ingest_ns)

    def encode(self, table: Table, *, packed: bool) -> list[bytes]:
        """Each row of a table as a record.

        NaN and infinities pass through msgpack; JSON has no word for them and writes ``null``,
        which no reader takes for a number.
        """
        record = tick_records(packed=packed)[table.KIND]
        encode = (_msgpack_encoder if packed else _json_encoder).encode
        names = [self.symbols[symbol] if symbol >= 0 else "" for symbol in table.symbols()]
        received = table.received_ns().tolist()
        ingest = [None if each == NOT_RECORDED_NS else each for each in received]
        columns = [column.tolist() for _, column in table.values()]
        rows = zip(names, table.ts_ns.tolist(), *columns, ingest, strict=True)
        return [encode(record(*row)) for row in rows]
