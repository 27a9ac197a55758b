"""Whatever comes in: it is in the dead letters with its reason, in the transaction of its step, and
the stream goes on."""

from __future__ import annotations

import msgspec
import pytest

from feeds import codec
from feeds.log import Log, Outgoing
from feeds.publishing import tick_messages
from feeds.topics import ensure_topics
from tests.engine.serving import SYMBOL, T0, Audit, a_market, served, some_topics
from tests.feeds.test_codec import FAULTS

ROWS = 1_200
GAP = 10
"""Good rows between two faults."""


def a_tick(at: int, **changes: object) -> bytes:
    """A trade of the market's time, as JSON, which says NaN where we say so."""
    fields = {
        "kind": "trade",
        "symbol": SYMBOL,
        "ts_ns": T0 + at * 50_000_000,
        "price": 60_000.0,
        "size": 1.0,
        "aggressor": 1,
        "trade_id": 1_000_000 + at,
    }
    return msgspec.json.encode(fields | changes)


def a_packed_tick(at: int, price: float) -> bytes:
    """The same as msgpack, which can hold what JSON cannot."""
    return msgspec.msgpack.encode([0, SYMBOL, T0 + at * 50_000_000, price, 1.0, 1, 1_000_000 + at])


def refused(at: int) -> dict[str, tuple[bytes, bytes, str]]:
    """Records that are well-formed, and refused by the heart: schema, value, reason."""
    return {
        "not a number": (codec.TICK_MSGPACK, a_packed_tick(at, float("nan")), "not_finite"),
        "infinite": (codec.TICK_MSGPACK, a_packed_tick(at, float("inf")), "not_finite"),
        "negative": (codec.TICK_JSON, a_tick(at, price=-1.0), "not_positive"),
        "zero": (codec.TICK_JSON, a_tick(at, price=0.0), "not_positive"),
        "a million times too high": (codec.TICK_JSON, a_tick(at, price=6e10), "jump"),
        "years ahead": (codec.TICK_JSON, a_tick(at, ts_ns=T0 + 10**18), "clock_jump"),
        "another symbol": (codec.TICK_JSON, a_tick(at, symbol="DOGEUSDT"), "unknown_symbol"),
    }


@pytest.mark.parametrize(
    "log", ["memory", pytest.param("apache_brokers", marks=pytest.mark.kafka)], indirect=True
)
async def test_every_fault_is_a_dead_letter(log: Log) -> None:
    """Forty faults among good rows, each once: every one of them is in the dead letters as it came,
    with a reason and its place; every one is an event; the rows around them are all counted, and
    the product goes on trading behind the last of them. A fault that raised, was skipped, or took a
    good row with it would be missing or shift the sequences."""
    topics = some_topics()
    await ensure_topics(log, topics)
    good = list(tick_messages(a_market(ROWS, bad=None), (SYMBOL,), topics, "json"))
    faults = {name: (schema, value, "malformed") for name, (schema, value) in FAULTS.items()}
    faults |= refused(ROWS)
    sent: list[Outgoing] = []
    expected: dict[int, tuple[str, bytes | None, str]] = {}
    for number, (name, (schema, value, reason)) in enumerate(faults.items()):
        sent += good[number * GAP : number * GAP + GAP]
        expected[len(sent)] = (name, value, reason)
        headers = codec.schema_header(schema) if schema else ()
        sent.append(Outgoing(topics.ticks, value, None, headers, 0))
    assert len(expected) >= 40
    sent += good[len(faults) * GAP :]
    end = codec.encode_json(codec.End(len(sent)))
    sent.append(Outgoing(topics.ticks, end, None, codec.schema_header(codec.END), 0))
    producer = await log.producer()
    for record in sent:
        await producer.send([record])
    await producer.close()
    _, progress = await served(log, topics)
    assert progress.mark.sequence == len(sent) - 1
    seen = await Audit.read(log, topics)
    letters = {int(dict(letter.headers)["sequence"]): letter for letter in seen.letters}
    assert set(letters) == set(expected)
    events = [msgspec.json.decode(line) for line in seen.events.values()]
    rejected = {e["sequence"]: e["reason"] for e in events if e["event"] == "input_rejected"}
    assert set(rejected) == set(expected)
    for sequence, (name, value, reason) in expected.items():
        headers = dict(letters[sequence].headers)
        assert headers["reason"].decode().split(":")[0] == rejected[sequence] == reason, name
        if reason in ("malformed", "unknown_symbol"):
            assert letters[sequence].value == (value or b""), name
            assert (headers["input"], int(headers["offset"])) == (b"ticks/0", sequence), name
        else:
            tick = codec.SingleCodec((SYMBOL,)).tick(letters[sequence].value or b"")
            assert tick.ts_ns >= T0, name
    last = max(expected)
    assert any(e["event"] == "rebalanced" and e["sequence"] > last for e in events)
