"""The log over the wire: aiokafka behind `feeds.log`, and nothing of ours in between.

aiokafka is imported when a broker is first spoken to, so that importing this module stays cheap.
Its traps are met here, once: no consumer group, no reset of positions, records sent in batches of
our own making, and a commit that no cancellation can interrupt half-way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from engine.errors import FeedError
from feeds.log import (
    RECORDS_MAX,
    OffsetOutOfRangeError,
    Outgoing,
    Place,
    Polled,
    ProducerFencedError,
    Record,
    TopicSpec,
    partition_of,
)

__all__ = ["KafkaLog"]

BATCH_BYTES: Final = 1_000_000
"""Bytes of one record batch; the broker's default limit is 1 MiB a request."""
REQUEST_TIMEOUT_MS: Final = 15_000
TRANSACTION_TIMEOUT_MS: Final = 15_000
"""An open transaction of a dead engine hides its topics from readers for this long at most."""


class KafkaLog:
    """A Kafka cluster; keeps the contract of `feeds.log.Log`.

    Args:
        brokers: ``host:port``, several separated by commas.
        options: what every client gets (security), by aiokafka's names.
        check_crcs: verify each record batch on reading. Half the cost of reading blocks, which
            carry a checksum of their own; the only check that single records have.
    """

    def __init__(
        self,
        brokers: str,
        *,
        options: Mapping[str, Any] | None = None,
        check_crcs: bool = True,
    ) -> None:
        self._options = {
            "bootstrap_servers": brokers,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            **(options or {}),
        }
        self._check_crcs = check_crcs
        self._admin: Any = None

    async def _client(self) -> Any:

        if self._admin is None:
            admin = _aiokafka().admin.AIOKafkaAdminClient(**self._options)
            with _translated("connect"):
                await admin.start()
            self._admin = admin
        return self._admin

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create what is missing; replication is the broker's default."""
        admin = await self._client()
        with _translated("create topics"):
            known = set(await admin.list_topics())
            missing = [
                _aiokafka().admin.NewTopic(
                    spec.name,
                    spec.partitions,
                    1,
                    topic_configs={"cleanup.policy": "compact"} if spec.compacted else {},
                )
                for spec in topics
                if spec.name not in known
            ]
            if missing:
                _check_created(await admin.create_topics(missing))
        for spec in topics:
            there = await self.partitions(spec.name)
            if there != spec.partitions:
                raise FeedError(
                    f"topic {spec.name} has {there} partitions, expected {spec.partitions}",
                    retriable=False,
                )

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        admin = await self._client()
        with _translated(f"describe {topic}"):
            described = await admin.describe_topics([topic])
        if not described or described[0]["error_code"] or not described[0]["partitions"]:
            raise FeedError(f"topic {topic} does not exist", retriable=False)
        return len(described[0]["partitions"])

    async def bounds(self, place: Place) -> tuple[int, int]:
        """First offset kept, and the one that comes next."""
        consumer = await self._consumer(committed=False)
        try:
            with _translated(f"bounds of {place}"):
                where = _topic_partition(place)
                first = await consumer.beginning_offsets([where])
                end = await consumer.end_offsets([where])
        finally:
            await consumer.stop()
        return first[where], end[where]

    async def truncate(self, place: Place, before: int) -> None:
        """Drop what lies below ``before``."""
        admin = await self._client()
        with _translated(f"truncate {place}"):
            await admin.delete_records(
                {_topic_partition(place): _aiokafka().admin.RecordsToDelete(before)}
            )

    async def producer(self, transactional_id: str | None = None) -> _Producer:
        """An idempotent producer; one with an id fences its predecessors."""
        producer = _aiokafka().AIOKafkaProducer(
            **self._options,
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        )
        with _translated("start the producer"):
            await producer.start()
        return _Producer(producer)

    async def _consumer(self, *, committed: bool) -> Any:

        consumer = _aiokafka().AIOKafkaConsumer(
            **self._options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed" if committed else "read_uncommitted",
            check_crcs=self._check_crcs,
        )
        with _translated("start the consumer"):
            await consumer.start()
        return consumer

    async def consumer(
        self, positions: Mapping[Place, int], *, committed: bool = True
    ) -> _Consumer:
        """A reader of these partitions from these offsets."""
        consumer = await self._consumer(committed=committed)
        consumer.assign([_topic_partition(place) for place in sorted(positions)])
        reader = _Consumer(consumer)
        for place, offset in positions.items():
            reader.seek(place, offset)
        return reader

    async def close(self) -> None:
        """Close the connection used for questions; producers and consumers have their own."""
        if self._admin is not None:
            await self._admin.close()
            self._admin = None


class _Producer:
    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._partitions: dict[str, int] = {}

    async def send(self, records: Sequence[Outgoing]) -> list[int]:
        """One batch a partition at a time: ``send`` of single records costs 17 times as much."""
        with _translated("send"):
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
            while not _appended(batch, records[number]):
                if not members:
                    raise FeedError(
                        f"a record of {len(records[number].value or b'')} bytes fits no batch",
                        retriable=False,
                    )
                yield batch, members
                batch, members = self._producer.create_batch(), []
            members.append(number)
        if members:
            yield batch, members

    async def begin(self) -> None:
        with _translated("begin"):
            await self._producer.begin_transaction()

    async def commit(self) -> None:
        """A cancelled commit still happens, so whoever waits may go, but the commit goes on."""
        with _translated("commit"):
            await asyncio.shield(asyncio.ensure_future(self._producer.commit_transaction()))

    async def abort(self) -> None:
        with _translated("abort"):
            await asyncio.shield(asyncio.ensure_future(self._producer.abort_transaction()))

    async def close(self) -> None:
        with _translated("close"):
            await self._producer.stop()


class _Consumer:
    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    async def poll(self, *, records_max: int = RECORDS_MAX, timeout_ms: int = 0) -> Polled:
        with _translated("poll"):
            polled = await self._consumer.getmany(max_records=records_max, timeout_ms=timeout_ms)
        return [
            (Place(where.topic, where.partition), cast("Sequence[Record]", records))
            for where, records in sorted(polled.items())
        ]

    def seek(self, place: Place, offset: int) -> None:
        with _translated(f"seek {place}"):
            self._consumer.seek(_topic_partition(place), offset)

    def pause(self, places: Iterable[Place]) -> None:
        self._consumer.pause(*map(_topic_partition, places))

    def resume(self, places: Iterable[Place]) -> None:
        self._consumer.resume(*map(_topic_partition, places))

    async def close(self) -> None:
        with _translated("close"):
            await self._consumer.stop()


def _aiokafka() -> Any:
    import aiokafka.admin  # type: ignore[import-untyped]  # the package ships no types
    import aiokafka.errors  # type: ignore[import-untyped]

    return aiokafka


def _topic_partition(place: Place) -> Any:
    return _aiokafka().TopicPartition(place.topic, place.partition)


def _appended(batch: Any, sent: Outgoing) -> bool:
    fields = {"key": sent.key, "value": sent.value, "timestamp": sent.timestamp_ms}
    return batch.append(**fields, headers=list(sent.headers)) is not None


def _check_created(response: Any) -> None:
    errors = _aiokafka().errors
    for topic, code, *_ in response.topic_errors:
        if code and errors.for_code(code) is not errors.TopicAlreadyExistsError:
            raise errors.for_code(code)(topic)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Whatever the client raises is ours from here on."""
    errors = _aiokafka().errors
    try:
        yield
    except (errors.ProducerFenced, errors.InvalidProducerEpoch) as error:
        raise ProducerFencedError(f"kafka {what}: a newer producer took over ({error})") from error
    except errors.OffsetOutOfRangeError as error:
        raise OffsetOutOfRangeError(f"kafka {what}: position not in the log ({error})") from error
    except (errors.KafkaError, OSError, TimeoutError) as error:
        retriable = getattr(error, "retriable", False) or not isinstance(error, errors.KafkaError)
        retriable = retriable or isinstance(error, errors.KafkaTimeoutError)
        raise FeedError(
            f"kafka {what}: {type(error).__name__}: {error}", retriable=retriable
        ) from error
    except (errors.IllegalOperation, errors.IllegalStateError, AssertionError) as error:
        raise FeedError(f"kafka {what}: {error}", retriable=False) from error
