"""What every log must do, whether in memory or over the wire; subclasses give the log.

Transactional topics are read from offset 0 and consumers are short-lived: the wire broker of the
tests needs both, and no promise of the contract is weaker for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from engine.errors import FeedError
from feeds.log import (
    Log,
    OffsetOutOfRangeError,
    Outgoing,
    Place,
    ProducerFencedError,
    Record,
    TopicSpec,
)
from feeds.wire import topic_partition

__all__ = ["LogContract", "a_topic", "read_all", "values"]

POLL_MS = 100
POLLS_MAX = 500
_names = (f"contract-{uuid4().hex[:8]}-{number}" for number in itertools.count())
"""Topics of tests: a broker that was there before may know those of earlier sessions."""


async def a_topic(log: Log, *, partitions: int = 1, **settings: Any) -> str:
    """A fresh topic; settings are those of `TopicSpec`."""
    name = next(_names)
    await log.create([TopicSpec(name, partitions=partitions, **settings)])
    return name


async def read_all(
    log: Log, topic: str, *, committed: bool = True, start: int = 0, records_max: int = 500
) -> list[Record]:
    """Everything a fresh reader sees from ``start`` on, up to where the log is decided now."""
    places = {Place(topic, number): start for number in range(await log.partitions(topic))}
    consumer = await log.consumer(places, committed=committed)
    patience_ms = POLL_MS if hasattr(consumer, "_consumer") else 0
    records: list[Record] = []
    try:
        for _ in range(POLLS_MAX):
            polled = await consumer.poll(records_max=records_max, timeout_ms=patience_ms)
            for _, part in polled:
                records += part
            if not polled and await _is_at_the_end(consumer, places, committed=committed):
                break
    finally:
        await consumer.close()
    return records


async def _is_at_the_end(consumer: Any, places: Iterable[Place], *, committed: bool) -> bool:
    """Whether nothing is left: in memory where nothing came, over the wire where the client stands
    at the end that the broker told with the last answer. Silence alone proves nothing there."""
    client = getattr(consumer, "_consumer", None)
    if client is None:
        return True
    for place in places:
        where = topic_partition(place)
        end = client.last_stable_offset(where) if committed else client.highwater(where)
        if end is None or await client.position(where) < end:
            return False
    return True


def values(records: Sequence[Record]) -> list[bytes | None]:
    """The values alone."""
    return [record.value for record in records]


class LogContract:
    """Tests that take the fixture ``log``."""

    @pytest.fixture
    async def topic(self, log: Log) -> str:
        """A fresh topic of one partition."""
        return await a_topic(log)

    async def test_roundtrip(self, log: Log, topic: str) -> None:
        """Key, value, headers and time come back; a tombstone is no empty value."""
        producer = await log.producer()
        sent = [
            Outgoing(topic, b"v", b"k", (("schema", b"tick/1"),), timestamp_ms=1_700_000_000_123),
            Outgoing(topic, None, b"k"),
            Outgoing(topic, b"", None),
        ]
        assert await producer.send(sent) == [0, 1, 2]
        await producer.close()
        first, gone, empty = await read_all(log, topic)
        assert (first.key, first.value, first.timestamp) == (b"k", b"v", 1_700_000_000_123)
        assert [tuple(header) for header in first.headers] == [("schema", b"tick/1")]
        assert (gone.value, empty.value, empty.key) == (None, b"", None)
        assert [record.offset for record in (first, gone, empty)] == [0, 1, 2]

    async def test_order_and_many(self, log: Log, topic: str) -> None:
        """Order within a partition survives batches of the client and small polls of the reader."""
        producer = await log.producer()
        sent = [Outgoing(topic, b"%06d" % number * 50) for number in range(5_000)]
        offsets = await producer.send(sent)
        await producer.close()
        assert offsets == list(range(5_000))
        records = await read_all(log, topic, records_max=777)
        assert values(records) == [record.value for record in sent]

    async def test_keys_stay_together(self, log: Log) -> None:
        """A key is always in one partition, and it is the one that the rule says."""
        name = await a_topic(log, partitions=3)
        producer = await log.producer()
        keys = [b"user-%d" % (number % 40) for number in range(200)]
        await producer.send([Outgoing(name, b"%d" % i, key) for i, key in enumerate(keys)])
        await producer.send([Outgoing(name, b"here", b"user-1", partition=2)])
        await producer.close()
        records = await read_all(log, name)
        homes: dict[bytes | None, set[int]] = {}
        for record in records:
            if record.value != b"here":
                homes.setdefault(record.key, set()).add(record.partition)
        assert len(records) == 201
        assert len(homes) == 40
        assert all(len(home) == 1 for home in homes.values())
        assert len(set().union(*homes.values())) == 3
        assert [r.partition for r in records if r.value == b"here"] == [2]

    async def test_partition_count_is_for_ever(self, log: Log, topic: str) -> None:
        """Creating again is harmless; another partition count would move keys and is refused."""
        await log.create([TopicSpec(topic)])
        with pytest.raises(FeedError, match="partitions"):
            await log.create([TopicSpec(topic, partitions=2)])

    async def test_commit_is_atomic(self, log: Log, topic: str) -> None:
        """Nothing of an open transaction is seen, all of a committed one is, in its place."""
        producer = await log.producer(f"{topic}-writer")
        await producer.begin()
        await producer.send([Outgoing(topic, b"a"), Outgoing(topic, b"b")])
        assert values(await read_all(log, topic)) == []
        assert values(await read_all(log, topic, committed=False)) == [b"a", b"b"]
        await producer.commit()
        assert values(await read_all(log, topic)) == [b"a", b"b"]
        await producer.close()

    async def test_abort_is_invisible(self, log: Log, topic: str) -> None:
        """Aborted records are never seen by a reader of committed ones, later ones are."""
        producer = await log.producer(f"{topic}-writer")
        await producer.begin()
        await producer.send([Outgoing(topic, b"bad")])
        await producer.abort()
        await producer.begin()
        await producer.send([Outgoing(topic, b"good")])
        await producer.commit()
        await producer.close()
        assert values(await read_all(log, topic)) == [b"good"]
        assert values(await read_all(log, topic, committed=False)) == [b"bad", b"good"]

    async def test_markers_take_offsets(self, log: Log, topic: str) -> None:
        """Offsets have holes: whoever counts records by subtracting offsets is wrong."""
        producer = await log.producer(f"{topic}-writer")
        offsets = []
        for number in range(3):
            await producer.begin()
            offsets += await producer.send([Outgoing(topic, b"%d" % number)])
            await producer.commit()
        await producer.close()
        assert offsets == [0, 2, 4]
        assert [record.offset for record in await read_all(log, topic)] == [0, 2, 4]
        assert await log.bounds(Place(topic)) == (0, 6)

    async def test_open_transaction_holds_readers(self, log: Log, topic: str) -> None:
        """Records of others behind an open transaction wait for its end (last stable offset)."""
        slow = await log.producer(f"{topic}-slow")
        other = await log.producer()
        await slow.begin()
        await slow.send([Outgoing(topic, b"slow")])
        await other.send([Outgoing(topic, b"other")])
        assert values(await read_all(log, topic)) == []
        await slow.abort()
        assert values(await read_all(log, topic)) == [b"other"]
        await slow.close()
        await other.close()

    async def test_transaction_spans_topics(self, log: Log, topic: str) -> None:
        """Output and journal are decided together, whatever topics they are in."""
        second = await a_topic(log)
        producer = await log.producer(f"{topic}-writer")
        for end in (producer.abort, producer.commit):
            await producer.begin()
            await producer.send([Outgoing(topic, b"event"), Outgoing(second, b"journal")])
            await end()
        await producer.close()
        assert values(await read_all(log, topic)) == [b"event"]
        assert values(await read_all(log, second)) == [b"journal"]

    async def test_fencing(self, log: Log, topic: str) -> None:
        """A successor aborts what was open; the zombie can neither send nor commit."""
        zombie = await log.producer(f"{topic}-engine")
        await zombie.begin()
        await zombie.send([Outgoing(topic, b"zombie")])
        heir = await log.producer(f"{topic}-engine")
        with pytest.raises(ProducerFencedError):
            await zombie.commit()
        await heir.begin()
        await heir.send([Outgoing(topic, b"heir")])
        await heir.commit()
        assert values(await read_all(log, topic)) == [b"heir"]
        await heir.close()
        await zombie.close()

    async def test_closing_commits_nothing(self, log: Log, topic: str) -> None:
        """What a process leaves open when it ends, its successor aborts."""
        producer = await log.producer(f"{topic}-engine")
        await producer.begin()
        await producer.send([Outgoing(topic, b"unfinished")])
        await producer.close()
        heir = await log.producer(f"{topic}-engine")
        await heir.close()
        assert values(await read_all(log, topic)) == []

    async def test_no_sends_outside_transactions(self, log: Log, topic: str) -> None:
        """A transactional producer refuses to write what no commit would cover."""
        producer = await log.producer(f"{topic}-writer")
        with pytest.raises(FeedError):
            await producer.send([Outgoing(topic, b"x")])
        await producer.close()

    async def test_seek_and_positions(self, log: Log, topic: str) -> None:
        """A reader starts exactly where it is told, and can be sent back."""
        producer = await log.producer()
        await producer.send([Outgoing(topic, b"%d" % number) for number in range(10)])
        await producer.close()
        assert values(await read_all(log, topic, start=7)) == [b"7", b"8", b"9"]
        consumer = await log.consumer({Place(topic): 9})
        assert [values(part) for _, part in await consumer.poll(timeout_ms=2_000)] == [[b"9"]]
        consumer.seek(Place(topic), 8)
        assert [values(part) for _, part in await consumer.poll(timeout_ms=2_000)] == [[b"8", b"9"]]
        await consumer.close()

    async def test_lost_position_is_an_error(self, log: Log, topic: str) -> None:
        """A position outside the log raises: starting elsewhere would lose or repeat input."""
        producer = await log.producer()
        await producer.send([Outgoing(topic, b"%d" % number) for number in range(10)])
        await producer.close()
        await log.truncate(Place(topic), 4)
        assert await log.bounds(Place(topic)) == (4, 10)
        assert values(await read_all(log, topic, start=4))[0] == b"4"
        for position in (2, 11):
            consumer = await log.consumer({Place(topic): position})
            with pytest.raises(OffsetOutOfRangeError):
                await consumer.poll(timeout_ms=2_000)
            await consumer.close()

    async def test_pause(self, log: Log) -> None:
        """A paused partition says nothing and loses nothing."""
        name = await a_topic(log, partitions=2)
        left, right = Place(name, 0), Place(name, 1)
        producer = await log.producer()
        await producer.send([Outgoing(name, b"%d" % n, partition=n) for n in (0, 1)])
        await producer.close()
        consumer = await log.consumer({left: 0, right: 0})
        consumer.pause([left])
        seen = [place for place, _ in await consumer.poll(timeout_ms=2_000)]
        assert seen == [right]
        consumer.pause([right])
        consumer.resume([left])
        seen = [place for place, _ in await consumer.poll(timeout_ms=2_000)]
        assert seen == [left]
        await consumer.close()
