"""Tests of ``engine/streaming.py``: what a reader of live engines gets, and what never."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from engine.errors import InputError
from engine.streaming import Part, stream
from feeds import codec
from feeds.log import Log, Outgoing, Producer
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.records import EVENT, PRODUCT_NAV
from feeds.topics import Topics, ensure_topics
from tests.engine.serving import Audit, Replayed, a_market, published, served, some_topics

NAV = {
    "product": "BTC3L",
    "ts_ns": 1,
    "nav_per_unit": 1.0,
    "units": 1,
    "leverage": None,
    "mark_price": 60_000.0,
    "nav_atoms": 1,
    "shard": 0,
}


@pytest.fixture
def topics() -> Topics:
    """Topics of this test's own."""
    return some_topics()


async def all_of(log: Log, topics: Topics, **how: Any) -> list[Part]:
    """What there is now."""
    return [part async for part in stream(log, prefix=topics.prefix, once=True, **how)]


def rows(parts: list[Part], which: str) -> list[dict[str, Any]]:
    """The rows of all parts, one after the other."""
    return [row for part in parts for row in getattr(part, which).to_pylist()]


async def write(
    producer: Producer, topics: Topics, *names: int, commit: bool = True, **fields: Any
) -> None:
    """A transaction with an event and a NAV of each sequence."""
    await producer.begin()
    for number in names:
        said = {"event": "rebalanced", "sequence": number, "ordinal": 0, "ts_ns": number}
        nav = {**NAV, "sequence": number, "ordinal": 1, **fields}
        named = {**said, "product": nav["product"]}
        headers = ((codec.SCHEMA, EVENT), ("shard", b"0"))
        await producer.send(
            [
                Outgoing(topics.events, msgspec.json.encode(named), b"0", headers),
                Outgoing(
                    topics.nav, msgspec.json.encode(nav), b"p", codec.schema_header(PRODUCT_NAV)
                ),
            ]
        )
    await (producer.commit() if commit else producer.abort())


async def test_a_served_market_is_streamed_as_it_was_replayed(log: Log, topics: Topics) -> None:
    """Every line that a direct replay says and every NAV it samples comes, once, in order, and
    nothing else. Catches a poll whose records are dropped, doubled or mixed."""
    market = a_market()
    expected = Replayed(market)
    await published(log, topics, market)
    await served(log, topics)
    parts = await all_of(log, topics)
    assert [row["json"].encode() for row in rows(parts, "events")] == expected.events
    navs = rows(parts, "nav")
    named = [(row["sequence"], row["ordinal"]) for row in navs]
    assert named == sorted(expected.navs)
    raw = await Audit.read(log, topics)
    for row in navs:
        told = msgspec.json.decode(raw.navs[row["sequence"], row["ordinal"]])
        assert {name: row[name] for name in told} == told
        assert row["ts"].timestamp() == row["ts_ns"] // 1_000 / 1e6
    assert all(part.nav.num_rows + part.events.num_rows for part in parts)


async def test_only_what_is_committed_comes(log: Log, topics: Topics) -> None:
    """Of an aborted transaction nothing comes, of an open one nothing before its commit. Catches a
    reader of all records."""
    await ensure_topics(log, topics)
    producer = await log.producer(f"{topics.prefix}engine")
    await write(producer, topics, 1, 2)
    await write(producer, topics, 3, commit=False)
    await producer.begin()
    headers = codec.schema_header(PRODUCT_NAV)
    late = msgspec.json.encode({**NAV, "sequence": 4, "ordinal": 1})
    await producer.send([Outgoing(topics.nav, late, b"p", headers)])
    seen = await all_of(log, topics)
    assert [row["sequence"] for row in rows(seen, "nav")] == [1, 2]
    assert [row["sequence"] for row in rows(seen, "events")] == [1, 2]
    await producer.commit()
    assert [row["sequence"] for row in rows(await all_of(log, topics), "nav")] == [1, 2, 4]
    await producer.close()


async def test_it_goes_on_where_a_part_ended(topics: Topics) -> None:
    """Behind the positions of any part comes exactly the rest; from now on, what comes later.
    Catches an offset that is one too many or one too few, at a marker most of all."""
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, topics)
    producer = await log.producer("engine")
    for number in range(6):
        await write(producer, topics, 2 * number, 2 * number + 1)
    whole = [(row["sequence"]) for row in rows(await all_of(log, topics), "nav")]
    assert whole == list(range(12))
    now = await after(log, topics, "now")
    assert rows(now, "nav") == []
    places: list[Mapping[str, int]] = [
        {f"{topics.nav}/0": 3 * number, f"{topics.events}/0": 3 * number} for number in range(7)
    ]
    for number, since in enumerate(places):
        rest = rows(await after(log, topics, since), "nav")
        assert [row["sequence"] for row in rest] == whole[2 * number :]


async def after(log: Log, topics: Topics, since: Any) -> list[Part]:
    """What there is behind some place, and behind all of it nothing more."""
    parts = await all_of(log, topics, since=since)
    for one, other in pairwise(parts):
        assert all(one.positions[place] <= at for place, at in other.positions.items())
    if parts:
        assert await all_of(log, topics, since=parts[-1].positions) == []
    return parts


async def test_what_the_log_holds_twice_comes_once(topics: Topics) -> None:
    """A record that a broker took twice is told once, per product and shard. Catches a reader who
    trusts every broker."""
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, topics)
    producer = await log.producer("engine")
    await write(producer, topics, 1, 2)
    await write(producer, topics, 2, 1, 3)
    await write(producer, topics, 4, shard=1)
    seen = await all_of(log, topics)
    names = [(row["shard"], row["sequence"]) for row in rows(seen, "nav")]
    assert names == [(0, 1), (0, 2), (0, 3), (1, 4)]
    assert [row["sequence"] for row in rows(seen, "events")] == [1, 2, 3, 4]


async def test_only_the_products_that_were_asked_for(topics: Topics) -> None:
    """Their NAVs and the events that name them; who wants all names none. Catches a filter that
    looks at one of the two topics."""
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, topics)
    producer = await log.producer("engine")
    await write(producer, topics, 1)
    await write(producer, topics, 2, product="BTC3S")
    for asked, found in (("BTC3S", [2]), (["BTC3S", "BTC3L"], [1, 2]), (None, [1, 2]), ("X", [])):
        seen = await all_of(log, topics, product=asked)
        assert [row["sequence"] for row in rows(seen, "nav")] == found
        assert [row["sequence"] for row in rows(seen, "events")] == found


async def test_leaving_the_loop_lets_go(log: Log, topics: Topics) -> None:
    """It waits for more, and who leaves it leaves no reader at the broker behind. Catches a stream
    that ends by itself, and one that stays open."""
    await ensure_topics(log, topics)
    producer = await log.producer(f"{topics.prefix}engine")
    await write(producer, topics, 1)
    seen = []
    async with aclosing(stream(log, prefix=topics.prefix)) as parts:
        while len(seen) < 2:
            seen += rows([await anext(parts)], "nav")
            if len(seen) == 1:
                await write(producer, topics, 2)
    assert [row["sequence"] for row in seen] == [1, 2]
    with pytest.raises(StopAsyncIteration):
        await anext(parts)
    await producer.close()
    assert getattr(log, "_open", set()) == set()


async def test_what_no_engine_wrote_is_told_with_its_place(topics: Topics) -> None:
    """Another schema, bytes that are none of it and a shard that is no number end the stream with
    topic and offset. Catches a traceback, and a row of nothing."""
    event = b'{"event": "rebalanced", "sequence": 1, "ordinal": 0, "ts_ns": 1}'
    unsharded = ((codec.SCHEMA, EVENT), ("shard", b"one"))
    for topic, headers, value, said in (
        (topics.nav, codec.schema_header(EVENT), b"{}", r"nav/0 offset 0: schema must be product"),
        (topics.nav, codec.schema_header(PRODUCT_NAV), b"{}", r"nav/0 offset 0: .*product"),
        (topics.events, unsharded, event, r"events/0 offset 0: shard: .*one"),
    ):
        log = MemoryLog(MemoryBroker())
        await ensure_topics(log, topics)
        producer = await log.producer()
        await producer.send([Outgoing(topic, value, b"p", headers)])
        with pytest.raises(InputError, match=said):
            await all_of(log, topics)


def test_batches_are_what_they_are_said_to_be() -> None:
    """The columns of a part stand in its docstring, each, in order. Catches a column that was added
    and not told."""
    from engine.streaming import _EVENTS, _NAV

    text = " ".join((Part.__doc__ or "").split())
    for schema in (_NAV, _EVENTS):
        assert f"``{', '.join(schema.names)}``" in text
        assert schema.field("ts_ns").type == pa.int64()
