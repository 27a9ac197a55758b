"""A live day, taped, replays to the digest of the live engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.commands import GateCreations
from engine.engine import Engine
from engine.errors import InputError, SnapshotError
from engine.events import CreationRequest, RedemptionRequest
from engine.replay import replay
from engine.ticks import Kind
from feeds import codec
from feeds.log import Log, Outgoing, Place
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.publishing import message_record, publish
from feeds.recording import open_recording
from feeds.symbols import SymbolInfo
from feeds.taping import tape
from feeds.topics import Topics, ensure_topics
from tests.engine.serving import SYMBOL, T0, a_market, a_spec, published, served, some_topics

ROWS = 600
INFO = SymbolInfo(SYMBOL, "BTC", "USDT", "linear", 1.0, tuple(Kind))
STRANGER = b'{"kind":"mark","symbol":"NOBODY","ts_ns":%d,"price":5.0}' % (T0 + 10)


async def a_day(log: Log, topics: Topics) -> Engine:
    """Ticks with a malformed row, a record that is no JSON and one of an unknown symbol, and
    requests and a command between them; served a poll at a time, from topics whose order only the
    journal knows."""
    await ensure_topics(log, topics, user_partitions=2)
    producer = await log.producer()
    market = a_market(ROWS, bad=77)
    first, second = market.between(0, 300), market.between(300, ROWS)
    await publish(producer, topics, [first], (SYMBOL,), form="msgpack", end=False)
    header = codec.schema_header(codec.TICK_JSON)
    await producer.send(
        [Outgoing(topics.ticks, value, None, header) for value in (b'{"kind":', STRANGER)]
    )
    requests = [
        CreationRequest(ts_ns=T0 + 5, id="1", user="alice", product="BTC3L", quote=500.0),
        RedemptionRequest(ts_ns=T0 + 6, id="2", user="bob", product="BTC3L", units=1.0),
        CreationRequest(ts_ns=T0 + 7, id="2", user="bob", product="OTHER", quote=1.0),
    ]
    asked = codec.schema_header(codec.REQUEST)
    await producer.send(
        [Outgoing(topics.requests, codec.encode_json(one), None, asked) for one in requests]
    )
    gate = GateCreations(ts_ns=0, id="1", product="BTC3L", closed=True)
    await producer.send([message_record(gate, topics)])
    await publish(producer, topics, [second], (SYMBOL,), form="block")
    await producer.close()
    engine, _ = await served(log, topics)
    return engine


async def test_replays_to_the_same_digest(tmp_path: Path) -> None:
    """Everything that the engine took is in the file, in the order in which it took it: refused
    rows, unknown symbols and requests included."""
    log, topics, path = MemoryLog(MemoryBroker()), some_topics(), tmp_path / "day.parquet"
    live = await a_day(log, topics)
    taped = await tape(log, topics, 0, [INFO], path)
    assert (taped.rows, taped.mark.sequence) == (ROWS + 6, ROWS + 6)
    assert taped.mark.finished
    again, events = Engine(a_spec()), []
    recording = open_recording([path])
    replay(again, recording.steps(), lambda outputs: events.extend(outputs.events))
    assert again.digest() == live.digest()
    said = [type(event).__name__ for event in events]
    assert said.count("InputRejected") == 3
    assert said.count("CommandObeyed") == 1
    assert said.count("UnitsCreated") + said.count("CreationRefused") >= 2
    assert recording.inspect().rows == ROWS + 6


async def test_a_day_that_goes_on(tmp_path: Path) -> None:
    """What was taken so far is whole: a tape of a running engine is the beginning of the later
    one."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await ensure_topics(log, topics, user_partitions=2)
    with pytest.raises(InputError, match="nothing to tape"):
        await tape(log, topics, 0, [INFO], tmp_path / "none.parquet")


async def test_what_was_deleted(tmp_path: Path) -> None:
    """Input that is no longer in the log is told of; a tape with a hole is not written."""
    log, topics, path = MemoryLog(MemoryBroker()), some_topics(), tmp_path / "day.parquet"
    await published(log, topics, a_market(ROWS), "msgpack")
    await served(log, topics)
    await log.truncate(Place(topics.ticks), 100)
    with pytest.raises(SnapshotError, match="begins at offset 100, the journal took 0"):
        await tape(log, topics, 0, [INFO], path)
    assert not path.exists()
