"""Bytes to structs: what is right comes back as it was, what is wrong is one refused row."""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import CreationRequest, Malformed, RedemptionRequest
from engine.ports import Batch
from engine.ticks import NOT_RECORDED_NS, TABLES, Kind, Step, Table, Tick
from feeds import codec
from feeds.blocks import decode_block, encode_block
from feeds.building import StepBuilder, Undecoded
from feeds.codec import BadRecord, SingleCodec
from feeds.log import Outgoing, Place
from feeds.memory_broker import MemoryRecord
from feeds.publishing import TickForm, tick_messages
from feeds.topics import Topics
from tests.feeds.rows import rows

SYMBOLS = ("BTCUSDT", "ETHUSDT", "XBTUSD")
FORMS: tuple[TickForm, ...] = ("block", "msgpack", "json")
T0 = 1_723_161_600_000_000_000


def a_step(rows: int = 40, first: int = 0, seed: int = 1, *, stamped: bool = True) -> Step:
    """Rows of all kinds and symbols, interleaved."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(TABLES), rows)
    tables: list[Table] = []
    for kind in sorted(set(kinds.tolist())):
        cls = TABLES[kind]
        places = np.flatnonzero(kinds == kind)
        count = len(places)
        columns: dict[str, Any] = {
            name: rng.integers(-1, 2, count).astype(dtype)
            if dtype != "f8"
            else rng.normal(60_000.0, 1.0, count)
            for name, dtype in cls.VALUES.items()
        }
        if kind == Kind.FUNDING:
            columns["next_ns"] = np.full(count, T0 + 28_800_000_000_001)
        tables.append(
            cls(
                sequence=places.astype(np.int64) + first,
                symbol=rng.integers(0, 3, count).astype(np.int32),
                ts_ns=T0 + places * 1_000_003,
                ingest_ns=T0 + places * 1_000_003 + 7 if stamped else None,
                **columns,
            )
        )
    return Step(first=first, end=first + rows, tables=tuple(tables))


def same(left: Step, right: Step) -> None:
    """Equal in every bit of every column."""
    assert (left.first, left.end) == (right.first, right.end)
    assert left.messages == right.messages
    assert [t.KIND for t in left.tables] == [t.KIND for t in right.tables]
    for a, b in zip(left.tables, right.tables, strict=True):
        assert a.symbols().tolist() == b.symbols().tolist()
        names = ["sequence", "ts_ns", "ingest_ns", *a.VALUES]
        for name in names:
            one, other = getattr(a, name), getattr(b, name)
            assert (one is None) == (other is None), name
            if one is not None:
                assert one.dtype == other.dtype, name
                assert one.tobytes() == other.tobytes(), name


def received(sent: list[Outgoing]) -> list[MemoryRecord]:
    """The records as a consumer gets them."""
    return [
        MemoryRecord(one.topic, 0, offset, 0, one.key, one.value, one.headers)
        for offset, one in enumerate(sent)
    ]


def built(sent: list[Outgoing], first: int = 0) -> tuple[Step, list[Undecoded]]:
    """What the source makes of these records."""
    builder = StepBuilder(SingleCodec(SYMBOLS), first)
    builder.take("ticks/0", received(sent))
    return builder.step(), [one for one in builder.dead_letters if isinstance(one, Undecoded)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stamped", [True, False])
def test_roundtrip(form: TickForm, stamped: bool) -> None:
    """Every kind, symbol and column survives, in order, in all three forms: a live stream replays
    as its file only if not one bit is lost, 64-bit times included."""
    step = a_step(200, first=17, stamped=stamped)
    sent = list(tick_messages(step, SYMBOLS, Topics(), form))
    assert len(sent) == (1 if form == "block" else 200)
    decoded, letters = built(sent, first=17)
    same(decoded, step)
    assert letters == []


@pytest.mark.parametrize("form", FORMS)
def test_malformed_keeps_its_place(form: TickForm) -> None:
    """A row that the publisher could not read takes its sequence on the other side too."""
    step = a_step(31)
    inner = Malformed(ts_ns=5, detail="half a line")
    tables = tuple(table.take(table.sequence != 10) for table in step.tables)
    whole = Step(first=0, end=31, tables=tables, messages=((10, inner),))
    decoded, letters = built(list(tick_messages(whole, SYMBOLS, Topics(), form)))
    same(decoded, whole)
    assert letters == []


def test_mixed_forms_keep_order() -> None:
    """Blocks and single records in one poll come out in the order in which they came."""
    steps = [a_step(20, first=n * 20, seed=n) for n in range(3)]
    sent: list[Outgoing] = []
    for step, form in zip(steps, FORMS[::-1], strict=True):
        sent += tick_messages(step, SYMBOLS, Topics(), form)
    decoded, letters = built(sent)
    assert letters == []
    for number, step in enumerate(steps):
        same(decoded.between(number * 20, number * 20 + 20), step)


def test_tick_is_the_row() -> None:
    """A single live tick carries the numbers of its row; a time as float would lose nanoseconds."""
    step = a_step(100)
    single = SingleCodec(SYMBOLS)
    for record in tick_messages(step, SYMBOLS, Topics(), "msgpack"):
        tick = single.tick(record.value or b"")
        assert isinstance(tick, Tick)
    for table in step.tables:
        ticks = [single.tick(value) for value in single.encode(table, packed=True)]
        for place, tick in enumerate(ticks):
            row = table.take(slice(place, place + 1))
            sequence = int(row.sequence[0])
            same(tick.step(sequence), Step(first=sequence, end=sequence + 1, tables=(row,)))


def test_json_form_is_plain() -> None:
    """The JSON form is what a stranger would write by hand."""
    value = b'{"kind":"trade","symbol":"BTCUSDT","ts_ns":5,"price":1.5,"size":2,"aggressor":-1,'
    value += b'"trade_id":-1,"some_new_field":true}'
    record = codec.SINGLES[codec.TICK_JSON](value)
    assert (codec.KIND_OF[type(record)], record.price, record.size, record.ingest_ns) == (
        Kind.TRADE,
        1.5,
        2.0,
        None,
    )


def test_not_finite_passes_to_the_heart() -> None:
    """NaN is a number to msgpack and blocks: refusing it is the heart's business."""
    step = a_step(20)
    for table in step.tables:
        if table.KIND is Kind.MARK:
            bad = table.replaced(price=np.full(len(table), math.nan))
            one = Step(first=0, end=len(bad), tables=(bad.numbered(np.arange(len(bad))),))
            for form in FORMS[:2]:
                decoded, letters = built(list(tick_messages(one, SYMBOLS, Topics(), form)))
                assert np.isnan(decoded.tables[0].price).all()  # type: ignore[attr-defined]
                assert letters == []


def test_requests() -> None:
    """Both sides of a request come back; they share one topic and one schema."""
    one = CreationRequest(ts_ns=T0, id="a", user="alice", product="BTC3L", quote=10.0)
    two = RedemptionRequest(ts_ns=T0, id="b", user="alice", product="BTC3L", units=1.0)
    header = codec.schema_header(codec.REQUEST)
    sent = [Outgoing("requests", codec.encode_json(r), None, header) for r in (one, two)]
    decoded, letters = built(sent)
    assert decoded.messages == ((0, one), (1, two))
    assert letters == []


def test_unknown_symbol_keeps_its_rows() -> None:
    """Rows of a symbol that we do not know stay rows (the heart refuses each), and the record is a
    dead letter once; mapping them to a known symbol would move its price."""
    step = a_step(60)
    for form in FORMS:
        sent = list(tick_messages(step, ("BTCUSDT", "ETHUSDT", "DOGEUSDT"), Topics(), form))
        decoded, letters = built(sent)
        assert len(decoded) == 60
        strange = np.concatenate([t.sequence[t.symbols() == -1] for t in decoded.tables])
        expected = np.concatenate([t.sequence[t.symbols() == 2] for t in step.tables])
        assert sorted(strange) == sorted(expected)
        assert len(letters) == (1 if form == "block" else len(expected))
        assert all(letter.reason.startswith("unknown_symbol") for letter in letters)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("every", [True, False])
def test_rows_of_no_symbol_travel(form: TickForm, every: bool) -> None:
    """Rows whose symbol the publisher did not know stay rows of no symbol and become dead letters.
    Catches a publisher that stops at them, and one that gives them another's name."""
    step = a_step(60)
    symbols = [np.where(every, -1, t.symbols() - 1).astype(np.int32) for t in step.tables]
    tables = [t.replaced(symbol=s) for t, s in zip(step.tables, symbols, strict=True)]
    given = Step(first=0, end=60, tables=tuple(tables))
    decoded, letters = built(list(tick_messages(given, SYMBOLS, Topics(), form)))
    same(decoded, given)
    strange = int(sum((each == -1).sum() for each in symbols))
    assert len(letters) == (1 if form == "block" else strange)
    assert all(letter.reason.startswith("unknown_symbol") for letter in letters)


@pytest.mark.parametrize("form", FORMS)
def test_receipts_travel_row_by_row(form: TickForm) -> None:
    """Every second row has a time of receipt: each keeps its own, and the others have none.
    Catches times that a whole table gives up, and a mark for none that is taken for a time."""
    step = a_step(60)
    tables = [
        t.replaced(ingest_ns=np.where(t.sequence % 2, t.received_ns(), NOT_RECORDED_NS))
        for t in step.tables
    ]
    given = Step(first=0, end=60, tables=tuple(tables))
    sent = list(tick_messages(given, SYMBOLS, Topics(), form))
    decoded, letters = built(sent)
    assert letters == []
    assert rows([decoded]) == rows([given])


def _tick(**changes: Any) -> bytes:
    row = {
        "kind": "trade",
        "symbol": "BTCUSDT",
        "ts_ns": 5,
        "price": 1.5,
        "size": 2.0,
        "aggressor": 1,
        "trade_id": 7,
    }
    row |= changes
    return json.dumps({key: value for key, value in row.items() if value != "gone"}).encode()


def _damaged(change: Callable[[bytearray], None], *, seal: bool = False) -> bytes:
    block = bytearray(encode_block(a_step(20), SYMBOLS))
    change(block)
    if seal:
        block[12:16] = zlib.crc32(block[16:], zlib.crc32(block[:12])).to_bytes(4, "little")
    return bytes(block)


def _set(place: int, value: bytes) -> Callable[[bytearray], None]:
    def change(block: bytearray) -> None:
        block[place : place + len(value)] = value

    return change


def _cut(block: bytearray) -> None:
    del block[-9:]


def _extend(block: bytearray) -> None:
    block.extend(bytes(8))


J, M, B, R = codec.TICK_JSON, codec.TICK_MSGPACK, codec.TICK_BLOCK, codec.REQUEST
FAULTS: dict[str, tuple[bytes, bytes | None]] = {
    "bad json": (J, b'{"kind":"trade",'),
    "json of another shape": (J, b"[1,2,3]"),
    "not utf-8": (J, b'{"kind":"trade","symbol":"\xff\xfe"}'),
    "missing column": (J, _tick(size="gone")),
    "wrong type": (J, _tick(price="12.5")),
    "null price": (J, _tick(price=None)),
    "float for an int": (J, _tick(ts_ns=5.5)),
    "int8 out of range": (J, _tick(aggressor=300)),
    "int64 out of range": (J, _tick(ts_ns=2**63)),
    "unknown kind": (J, _tick(kind="swap")),
    "nested beyond reason": (J, b'{"kind":"trade","x":' + b"[" * 30_000),
    "huge": (J, _tick(symbol="X" * 70_000)),
    "empty": (M, b""),
    "truncated msgpack": (M, msgspec.msgpack.encode([0, "BTCUSDT", 5, 1.0])),
    "unknown kind in msgpack": (M, msgspec.msgpack.encode([99, "BTCUSDT", 5])),
    "text for a number": (M, msgspec.msgpack.encode([2, "BTCUSDT", 5, "1.0"])),
    "tombstone": (J, None),
    "no schema": (b"", _tick()),
    "unknown schema": (b"tick-json/2", _tick()),
    "request without amount": (R, b'{"kind":"create","ts_ns":1,"id":"a","user":"u","product":"p"}'),
    "request not positive": (
        R,
        b'{"kind":"create","ts_ns":1,"id":"a","user":"u","product":"p","quote":-1}',
    ),
    "block too short": (B, b"LV"),
    "block of another magic": (B, _damaged(_set(0, b"XX"), seal=True)),
    "block of another version": (B, _damaged(_set(2, b"\x02"), seal=True)),
    "block damaged": (B, _damaged(_set(100, b"\xaa\xbb"))),
    "block truncated": (B, _damaged(_cut)),
    "block truncated and sealed": (B, _damaged(_cut, seal=True)),
    "block with bytes too many": (B, _damaged(_extend, seal=True)),
    "block of wrong count": (B, _damaged(_set(4, b"\x13"), seal=True)),
    "block of a huge count": (B, _damaged(_set(4, b"\xff\xff\xff\xff"), seal=True)),
    "block with long names": (B, _damaged(_set(8, b"\xff\xff\xff\x7f"), seal=True)),
    "block without tables": (B, _damaged(_set(3, b"\x00"), seal=True)),
    "block with one table too many": (B, _damaged(_set(3, b"\x08"), seal=True)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_record_is_one_row(fault: str) -> None:
    """Whatever is wrong with a record: one `Malformed` row, one dead letter with the bytes as they
    came, and the rows before and after keep their places."""
    schema, value = FAULTS[fault]
    good = list(tick_messages(a_step(10), SYMBOLS, Topics(), "json"))
    headers = codec.schema_header(schema) if schema else ()
    decoded, letters = built([*good[:5], Outgoing("ticks", value, None, headers), *good[5:]])
    assert len(decoded) == 11
    ((place, message),) = decoded.messages
    assert place == 5
    assert isinstance(message, Malformed)
    (letter,) = letters
    assert (letter.value, letter.offset, letter.sequence) == (value or b"", 5, 5)
    assert letter.reason == f"malformed: {message.detail}"
    assert 0 < len(message.detail) <= codec.DETAIL_CHARACTERS_MAX
    numbers = np.sort(np.concatenate([table.sequence for table in decoded.tables]))
    assert numbers.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_never_escape(data: st.DataObject) -> None:
    """No bytes whatever raise anything but `BadRecord`, or make rows out of nothing; a block sealed
    again with a right checksum proves that lengths and counts are checked for themselves."""
    block = bytearray(encode_block(a_step(20, seed=3), SYMBOLS))
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    block[12:16] = zlib.crc32(block[16:], zlib.crc32(block[:12])).to_bytes(4, "little")
    try:
        tables = decode_block(bytes(block), {}, 100)
    except BadRecord:
        return
    numbers = np.sort(np.concatenate([table.sequence for table in tables]))
    assert numbers.tolist() == list(range(100, 100 + len(numbers)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.sampled_from([J, M, B, R, codec.END, codec.MALFORMED]))
def test_noise_is_one_row_at_most(value: bytes, schema: bytes) -> None:
    """Noise of any schema ends as one row, or as the end marker that it happens to be."""
    decoded, letters = built([Outgoing("ticks", value, None, codec.schema_header(schema))])
    assert len(decoded) == len(letters) or not letters


def test_block_refuses_what_it_cannot_hold() -> None:
    """Messages are barriers and no rows of a block; a block without rows is nothing."""
    with pytest.raises(ValueError, match="block holds"):
        encode_block(Step(first=0, end=0), SYMBOLS)
    with pytest.raises(ValueError, match="block holds"):
        encode_block(Step(first=0, end=1, messages=((0, Malformed(ts_ns=0, detail="")),)), SYMBOLS)


def test_layout_is_pinned() -> None:
    """The bytes of a block are a contract: readers in other languages have nothing else."""
    cls = TABLES[Kind.MARK]
    marks = cls(
        sequence=np.array([4, 5]),
        symbol=np.array([2, 0], np.int32),
        ts_ns=np.array([1, 2]),
        price=np.array([1.0, 2.0]),  # type: ignore[call-arg]
    )
    block = encode_block(Step(first=4, end=6, tables=(marks,)), SYMBOLS)
    header = "4c560101020000000e000000"
    crc = zlib.crc32(block[16:], zlib.crc32(block[:12])).to_bytes(4, "little").hex()
    names = b"BTCUSDT\0XBTUSD".hex() + "0000"
    table = "0202" + "0000" + "02000000" + "0100000000000000" + "0200000000000000"
    table += "000000000000f03f" + "0000000000000040" + "01000000" + "00000000"
    assert block.hex() == header + crc + names + table


def test_counts_of_a_block_agree() -> None:
    """The header's count is checked against the tables', and each row has one table: a count taken
    on trust would number the rows after the block wrongly, for ever."""
    step = a_step(20)
    alone = step.tables[0].numbered(np.arange(len(step.tables[0])))
    block = bytearray(encode_block(Step(first=0, end=len(alone), tables=(alone,)), SYMBOLS))
    for count in (len(alone) - 1, len(alone) + 1):
        block[4] = count
        block[12:16] = zlib.crc32(block[16:], zlib.crc32(block[:12])).to_bytes(4, "little")
        with pytest.raises(BadRecord, match="in the header"):
            decode_block(bytes(block), {}, 0)
    one, other = (t.take(slice(0, 1)).numbered(np.array([0])) for t in step.tables[:2])
    with pytest.raises(BadRecord, match="two tables"):
        decode_block(encode_block(Step(first=0, end=2, tables=(one, other)), SYMBOLS), {}, 0)


@pytest.mark.parametrize("damaged", [None, 0, 1, 7, 11])
@pytest.mark.parametrize("symbols", [(0, 0), (0, 1), (1, 2), (1, 5)])
def test_blocks_read_together(damaged: int | None, symbols: tuple[int, int]) -> None:
    """Blocks that look alike are read together to the rows that each gives alone: one of another
    length, of another symbol, with strangers or with a wrong bit in the middle is met in its
    place."""
    count = 12 * 40 + 7
    cls = TABLES[Kind.MARK]
    places = np.arange(count)
    names = (*SYMBOLS, "x", "y", "STRANGER")
    table = cls(
        sequence=places,
        symbol=np.where(places % 40 < 20, *symbols).astype(np.int32),
        ts_ns=places * 7,
        price=1.0 + places,  # type: ignore[call-arg]
    )
    step = Step(first=0, end=count, tables=(table,))
    cuts = [*range(0, count, 40), count]
    values = [encode_block(step.between(a, b), names) for a, b in itertools.pairwise(cuts)]
    if damaged is not None:
        values[damaged] = values[damaged][:-3] + b"\0\1\2"
    header = codec.schema_header(codec.TICK_BLOCK)
    together, letters = built([Outgoing("ticks", value, None, header) for value in values])
    expected = StepBuilder(SingleCodec(SYMBOLS), 0)
    for number, value in enumerate(values):
        record = MemoryRecord("ticks", 0, number, 0, None, value, header)
        expected.take("ticks/0", [record])
    same(together, expected.step())
    assert [letter.offset for letter in letters] == [
        letter.offset for letter in expected.dead_letters
    ]
    assert (damaged is None) == (len(together) == count)


def test_batch_holds_letters() -> None:
    """A dead letter of the codec is a dead letter of the port, with its place added."""
    _, letters = built([Outgoing("ticks", b"x", None, codec.schema_header(J))])
    batch = Batch(step=Step(first=0, end=1), dead_letters=tuple(letters))
    assert batch.dead_letters[0].input == "ticks/0"
    assert Place("ticks", 0) < Place("ticks", 1) < Place("u", 0)
