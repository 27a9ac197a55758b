"""What a service that processes every input once asks of a log beyond reading and writing.

Subclasses give the fixture ``log``. A promise that a broker does not hold is marked there as an
expected failure with its reason: the test turns red when the broker learns it.
"""

from __future__ import annotations

import asyncio

import pytest

from engine.errors import FeedError
from feeds.log import (
    Log,
    OffsetOutOfRangeError,
    Outgoing,
    Place,
    Producer,
    ProducerFencedError,
    Record,
    TopicSpec,
)
from tests.feeds.log_contract import a_topic, read_all, values

__all__ = ["ExactlyOnceContract"]

BIG_BYTES = 900_000
POLL_MS = 2_000
POLLS_MAX = 500


async def write(producer: Producer, topic: str, *words: bytes, commit: bool = True) -> list[int]:
    """One transaction of these values; returns their offsets."""
    await producer.begin()
    offsets = await producer.send([Outgoing(topic, word) for word in words])
    await (producer.commit() if commit else producer.abort())
    return offsets


class ExactlyOnceContract:
    """Tests that take the fixture ``log``."""

    @pytest.fixture
    async def topic(self, log: Log) -> str:
        """A fresh topic of one partition."""
        return await a_topic(log)

    async def test_start_anywhere(self, log: Log, topic: str) -> None:
        """A reader that starts at any offset (at a record, a marker, behind an aborted transaction)
        sees exactly the committed records from there on."""
        producer = await log.producer(f"{topic}-engine")
        committed: list[tuple[int, bytes]] = []
        for number in range(6):
            words = [b"%d-%d" % (number, place) for place in range(2)]
            keep = number not in (0, 3)
            offsets = await write(producer, topic, *words, commit=keep)
            committed += zip(offsets, words, strict=True) if keep else []
        await producer.close()
        _, end = await log.bounds(Place(topic))
        assert end == 18
        for start in range(end + 1):
            records = await read_all(log, topic, start=start)
            seen = [(record.offset, record.value) for record in records]
            assert seen == [pair for pair in committed if pair[0] >= start], start

    async def test_read_to_a_marker(self, log: Log, topic: str) -> None:
        """A recovering process writes a marker and reads until it sees it: no question about ends,
        which markers and open transactions falsify, and nothing before it can still change."""
        old = await log.producer(f"{topic}-engine")
        await write(old, topic, b"step-1")
        await old.begin()
        await old.send([Outgoing(topic, b"unfinished")])
        heir = await log.producer(f"{topic}-engine")
        (marker,) = await write(heir, topic, b"started")
        consumer = await log.consumer({Place(topic): 0})
        seen: list[Record] = []
        for _ in range(POLLS_MAX):
            seen += [r for _, part in await consumer.poll(timeout_ms=POLL_MS) for r in part]
            if seen and seen[-1].offset >= marker:
                break
        assert values(seen) == [b"step-1", b"started"]
        for client in (consumer, heir, old):
            await client.close()

    async def test_read_to_the_end(self, log: Log, topic: str) -> None:
        """A reader that stands at the end as it was told has read everything committed before it
        asked: behind markers, behind what was aborted, and before what is open. What is committed
        later lies behind that end."""
        producer = await log.producer(f"{topic}-engine")
        consumer = await log.consumer({Place(topic): 0})
        assert await consumer.ends() == {Place(topic): 0}
        seen: list[Record] = []
        for number in range(4):
            word = b"%d" % number
            await write(producer, topic, word, commit=number != 3)
            ends = await consumer.ends()
            for _ in range(POLLS_MAX):
                if await consumer.positions() == ends:
                    break
                polled = await consumer.poll(timeout_ms=POLL_MS)
                seen += [record for _, part in polled for record in part]
            assert await consumer.positions() == ends
            assert values(seen) == [b"0", b"1", b"2"][: number + 1]
        await producer.begin()
        await producer.send([Outgoing(topic, b"open")])
        assert await consumer.ends() == await consumer.positions()
        for client in (consumer, producer):
            await client.close()

    async def test_commit_of_unknown_outcome(self, log: Log, topic: str) -> None:
        """A process that ends while it commits leaves all or nothing, decided once its successor
        has started: two readers at any later time see the same, in every topic."""
        journal = await a_topic(log)
        expected: list[bytes | None] = []
        for number in range(8):
            producer = await log.producer(f"{topic}-engine")
            await producer.begin()
            word = b"%d" % number
            await producer.send([Outgoing(topic, word), Outgoing(journal, word)])
            committing = asyncio.ensure_future(producer.commit())
            for _ in range(number):
                await asyncio.sleep(0)
            committing.cancel()
            await asyncio.gather(committing, return_exceptions=True)
            heir = await log.producer(f"{topic}-engine")
            decided = values(await read_all(log, journal))
            assert decided in (expected, [*expected, word])
            await write(heir, topic, b"after")
            assert values(await read_all(log, journal)) == decided
            outputs = [v for v in values(await read_all(log, topic)) if v != b"after"]
            assert outputs == decided
            expected = decided
            for client in (heir, producer):
                await client.close()

    @pytest.mark.parametrize("call", ["send", "commit", "abort", "begin"])
    async def test_fenced_at_every_call(self, log: Log, topic: str, call: str) -> None:
        """Whatever the older of two producers of one id does next fails as fenced, and leaves
        nothing that is ever committed."""
        zombie = await log.producer(f"{topic}-engine")
        await write(zombie, topic, b"zombie-1")
        if call != "begin":
            await zombie.begin()
            await zombie.send([Outgoing(topic, b"zombie-2")])
        heir = await log.producer(f"{topic}-engine")
        next_call = {
            "begin": lambda: write(zombie, topic, b"zombie-2"),
            "send": lambda: zombie.send([Outgoing(topic, b"zombie-3")]),
            "commit": zombie.commit,
            "abort": zombie.abort,
        }[call]
        with pytest.raises(ProducerFencedError) as caught:
            await next_call()
        assert not caught.value.retriable
        await write(heir, topic, b"heir")
        assert values(await read_all(log, topic)) == [b"zombie-1", b"heir"]
        for client in (heir, zombie):
            await client.close()

    async def test_two_ids_know_nothing_of_each_other(self, log: Log, topic: str) -> None:
        """Shards have ids of their own: neither fences the other, and each decides for itself."""
        left, right = await log.producer(f"{topic}-0"), await log.producer(f"{topic}-1")
        await left.begin()
        await right.begin()
        await left.send([Outgoing(topic, b"left")])
        await right.send([Outgoing(topic, b"right")])
        await left.abort()
        await right.commit()
        assert values(await read_all(log, topic)) == [b"right"]
        for client in (left, right):
            await client.close()

    async def test_transaction_over_many_partitions(self, log: Log) -> None:
        """One commit decides for every partition of every topic it touched, and no reader ever sees
        a part of it."""
        topics = [await a_topic(log, partitions=3) for _ in range(3)]
        producer = await log.producer(f"{topics[0]}-engine")
        for end in (producer.abort, producer.commit):
            await producer.begin()
            sent = [Outgoing(t, b"x", partition=number) for t in topics for number in range(3)]
            await producer.send(sent)
            assert [values(await read_all(log, t)) for t in topics] == [[], [], []]
            await end()
        assert [values(await read_all(log, t)) for t in topics] == [[b"x"] * 3] * 3
        await producer.close()

    async def test_empty_transaction(self, log: Log, topic: str) -> None:
        """A transaction without records may be committed or aborted, and leaves no trace."""
        producer = await log.producer(f"{topic}-engine")
        for end in (producer.commit, producer.abort):
            await producer.begin()
            await end()
        await producer.close()
        assert await log.bounds(Place(topic)) == (0, 0)

    async def test_headers_and_keys(self, log: Log, topic: str) -> None:
        """Headers keep their order, may repeat and may be empty; an empty key is not no key."""
        headers = (("schema", b"tick/1"), ("trace", b""), ("schema", bytes(range(256))))
        producer = await log.producer()
        await producer.send([Outgoing(topic, b"v", b"", headers), Outgoing(topic, b"v")])
        await producer.close()
        first, second = await read_all(log, topic)
        assert [tuple(header) for header in first.headers] == list(headers)
        assert (first.key, second.key) == (b"", None)
        assert list(second.headers) == []

    async def test_big_records(self, log: Log, topic: str) -> None:
        """Records of 900 kB pass, several of them in one transaction; one that no broker would take
        is refused at once and for good, not tried for ever."""
        big = [bytes([number]) * BIG_BYTES for number in range(5)]
        producer = await log.producer(f"{topic}-engine")
        offsets = await write(producer, topic, *big)
        assert offsets == list(range(5))
        assert values(await read_all(log, topic)) == big
        await producer.begin()
        with pytest.raises(FeedError, match="bytes") as caught:
            await producer.send([Outgoing(topic, b"x" * 2_000_000)])
        assert not caught.value.retriable
        await producer.abort()
        await producer.close()

    async def test_reader_takes_no_more_than_it_asks(self, log: Log) -> None:
        """Records wait in the log, not in the reader: a poll returns at most what was asked for,
        over all partitions, and the rest comes later, complete and in order."""
        topic = await a_topic(log, partitions=2)
        producer = await log.producer()
        sent = [Outgoing(topic, b"%04d" % n, partition=n % 2) for n in range(1_000)]
        await producer.send(sent)
        await producer.close()
        consumer = await log.consumer({Place(topic, 0): 0, Place(topic, 1): 0})
        seen: dict[int, list[bytes | None]] = {0: [], 1: []}
        for _ in range(POLLS_MAX):
            polled = await consumer.poll(records_max=7, timeout_ms=POLL_MS)
            assert 1 <= sum(len(part) for _, part in polled) <= 7
            for place, part in polled:
                seen[place.partition] += values(part)
            if len(seen[0]) + len(seen[1]) == 1_000:
                break
        await consumer.close()
        assert seen == {p: [s.value for s in sent if s.partition == p] for p in (0, 1)}

    async def test_prune(self, log: Log, topic: str) -> None:
        """Decided transactions can be pruned, all of them too; offsets go on where they were, and
        what was never written cannot be pruned."""
        producer = await log.producer(f"{topic}-engine")
        for number in range(4):
            await write(producer, topic, b"%d" % number)
        await log.truncate(Place(topic), 4)
        assert await log.bounds(Place(topic)) == (4, 8)
        assert values(await read_all(log, topic, start=4)) == [b"2", b"3"]
        await log.truncate(Place(topic), 2)
        assert await log.bounds(Place(topic)) == (4, 8)
        await log.truncate(Place(topic), 8)
        assert await log.bounds(Place(topic)) == (8, 8)
        assert await write(producer, topic, b"4") == [8]
        assert values(await read_all(log, topic, start=8)) == [b"4"]
        with pytest.raises(OffsetOutOfRangeError):
            await log.truncate(Place(topic), 100)
        await producer.close()

    async def test_last_value_of_a_key_survives(self, log: Log) -> None:
        """Of a compacted topic a reader gets the last value of every key, whether or not the broker
        has dropped the older ones."""
        topic = await a_topic(log, compacted=True)
        producer = await log.producer()
        keys = [b"user-%d" % number for number in range(10)]
        for turn in range(20):
            await producer.send([Outgoing(topic, b"%d" % turn, key) for key in keys])
        await producer.close()
        last = {record.key: record.value for record in await read_all(log, topic)}
        assert last == dict.fromkeys(keys, b"19")

    async def test_topics_are_as_created(self, log: Log) -> None:
        """A log says how a topic is, so that a wrong partition count, missing compaction or a short
        retention is found before the first record, not after the first loss."""
        name = await a_topic(log, partitions=3, compacted=True)
        kept = await a_topic(log, retention_ms=86_400_000, retention_bytes=-1)
        there = await log.describe(name)
        assert (there.partitions, there.compacted, there.replication) == (3, True, 1)
        assert (await log.describe(kept)) == TopicSpec(
            kept, retention_ms=86_400_000, retention_bytes=-1
        )
        with pytest.raises(FeedError, match="does not exist"):
            await log.describe(f"{name}-absent")
