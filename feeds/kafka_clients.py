"""One producer and one consumer over the wire, as `feeds.log` wants them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from engine.errors import FeedError
from feeds.log import BATCH_BYTES_MAX, RECORDS_MAX, Outgoing, Place, Polled, Record, partition_of
from feeds.wire import topic_partition, translated

__all__ = ["KafkaConsumer", "KafkaProducer"]

CLOSE_SECONDS_MAX: Final = 10.0
"""A client whose broker is away would wait to flush; whoever closes it has given that up."""

MARKERS_SECONDS: Final = 0.002
"""From the answer to a commit until its markers are in the log, on one loaded node. Back to back, a
transaction takes 8 ms with this pause and 29 ms without it."""


class KafkaProducer:
    """Keeps `feeds.log.Producer`.

    Args:
        producer: aiokafka's, started.
        clients: those still open; this one is among them until it is closed.
    """

    def __init__(self, producer: Any, clients: set[Any]) -> None:
        self._producer = producer
        self._clients = clients
        clients.add(self)
        self._partitions: dict[str, int] = {}
        self._ended = 0.0

    async def send(self, records: Sequence[Outgoing]) -> list[int]:
        """One batch a partition at a time: ``send`` of single records costs 17 times as much."""
        with translated("send"):
            for topic in {record.topic for record in records} - self._partitions.keys():
                self._partitions[topic] = len(await self._producer.partitions_for(topic))
            places: dict[tuple[str, int], list[int]] = {}
            for number, record in enumerate(records):
                partition = record.partition
                if partition is None:
                    partition = partition_of(record.key, self._partitions[record.topic])
                places.setdefault((record.topic, partition), []).append(number)
            sent = []
            for (topic, partition), numbers in places.items():
                for batch, members in self._batches(records, numbers):
                    future = await self._producer.send_batch(batch, topic, partition=partition)
                    future.add_done_callback(_seen)
                    sent.append((future, members))
            offsets = [-1] * len(records)
            for future, members in sent:
                first = (await future).offset
                for place, number in enumerate(members):
                    offsets[number] = first + place
            return offsets

    def _batches(
        self, records: Sequence[Outgoing], numbers: Sequence[int]
    ) -> Iterator[tuple[Any, list[int]]]:
        batch, members = self._producer.create_batch(), list[int]()
        for number in numbers:
            if not _appended(batch, records[number]):
                yield batch, members
                batch, members = self._producer.create_batch(), []
                _appended(batch, records[number])
            if not members and (size := _size(records[number])) > BATCH_BYTES_MAX:
                raise FeedError(f"a record of {size} bytes fits no batch", retriable=False)
            members.append(number)
        if members:
            yield batch, members

    async def begin(self) -> None:
        """Not before the markers of the transaction before it are written: a producer that sends
        too early is turned away, and tries again after 20 ms."""
        written = self._ended + MARKERS_SECONDS - time.monotonic()
        if written > 0.0:
            await asyncio.sleep(written)
        with translated("begin"):
            await self._producer.begin_transaction()

    async def commit(self) -> None:
        """A cancelled commit still happens, so whoever waits may go, but the commit goes on."""
        with translated("commit"):
            await asyncio.shield(asyncio.ensure_future(self._producer.commit_transaction()))
        self._ended = time.monotonic()

    async def abort(self) -> None:
        with translated("abort"):
            await asyncio.shield(asyncio.ensure_future(self._producer.abort_transaction()))
        self._ended = time.monotonic()

    async def close(self) -> None:
        """Give up what is not sent; the broker, or a successor, ends what is open."""
        self._clients.discard(self)
        with translated("close"):
            await asyncio.wait_for(self._producer.stop(), CLOSE_SECONDS_MAX)


class KafkaConsumer:
    """Keeps `feeds.log.Consumer`.

    Args:
        consumer: aiokafka's, started and assigned.
        clients: those still open; this one is among them until it is closed.
    """

    def __init__(self, consumer: Any, clients: set[Any]) -> None:
        self._consumer = consumer
        self._clients = clients
        clients.add(self)

    async def poll(self, *, records_max: int = RECORDS_MAX, timeout_ms: int = 0) -> Polled:
        with translated("poll"):
            polled = await self._consumer.getmany(max_records=records_max, timeout_ms=timeout_ms)
        return [
            (_place(where), cast("Sequence[Record]", records))
            for where, records in sorted(polled.items())
        ]

    async def positions(self) -> dict[Place, int]:
        with translated("positions"):
            assigned = self._consumer.assignment()
            return {_place(where): await self._consumer.position(where) for where in assigned}

    async def ends(self) -> dict[Place, int]:
        with translated("ends"):
            ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        return {_place(where): end for where, end in ends.items()}

    def seek(self, place: Place, offset: int) -> None:
        with translated(f"seek {place}"):
            self._consumer.seek(topic_partition(place), offset)

    def pause(self, places: Iterable[Place]) -> None:
        self._consumer.pause(*map(topic_partition, places))

    def resume(self, places: Iterable[Place]) -> None:
        self._consumer.resume(*map(topic_partition, places))

    async def close(self) -> None:
        self._clients.discard(self)
        with translated("close"):
            await self._consumer.stop()


def _place(where: Any) -> Place:
    return Place(where.topic, where.partition)


def _seen(future: asyncio.Future[Any]) -> None:
    """Of several batches that fail the first is raised; the others must not be complained of."""
    if not future.cancelled():
        future.exception()


def _size(sent: Outgoing) -> int:
    return len(sent.value or b"") + len(sent.key or b"")


def _appended(batch: Any, sent: Outgoing) -> bool:
    """Whether it still fits; the first record of a batch is taken whatever its size."""
    headers, timestamp = list(sent.headers), sent.timestamp_ms
    taken = batch.append(key=sent.key, value=sent.value, timestamp=timestamp, headers=headers)
    return taken is not None
