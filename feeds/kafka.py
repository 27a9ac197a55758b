"""The log over the wire: aiokafka behind `feeds.log`, and nothing of ours in between.

aiokafka is imported when a broker is first spoken to, so that importing this module stays cheap.
Its traps are met here, once: no consumer group, no reset of positions, records sent in batches of
our own making, and a commit that no cancellation can interrupt half-way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from engine.errors import FeedError
from feeds.kafka_clients import KafkaConsumer, KafkaProducer
from feeds.log import BATCH_BYTES_MAX, Place, TopicMissingError, TopicSpec
from feeds.security import Security
from feeds.wire import aiokafka, checked_brokers, explain, topic_partition, translated

__all__ = ["KafkaLog"]

REQUEST_TIMEOUT_MS: Final = 15_000
VISIBLE_TRIES_MAX: Final = 200
VISIBLE_WAIT_SECONDS: Final = 0.05
DESCRIBED_SECONDS: Final = 2.0
"""How long a description of the topics is believed."""
COMPACTION: Final = "cleanup.policy"
RETENTION: Final = "retention.ms"
SIZE: Final = "retention.bytes"
FETCH_BYTES_MAX: Final = 8_388_608
"""Of one partition, and so what a consumer holds of it: as many blocks as one poll takes, so that
whoever is behind takes them in large portions. An answer waits for no more than there is."""
QUIET_FETCH_MS: Final = 50
"""How long the broker holds back an answer that is empty. While a backlog of ticks is taken in,
the quiet partitions beside it are asked for alone, and more ticks only after that answer."""
TRANSACTION_TIMEOUT_MS: Final = 15_000
"""An open transaction of a dead engine hides its topics from readers for this long at most."""


class KafkaLog:
    """A Kafka cluster; keeps the contract of `feeds.log.Log`.

    Args:
        brokers: ``host:port``, several separated by commas.
        security: who we are and whom we trust.
        request_timeout_ms: how long an answer may take.
        transaction_timeout_ms: when the broker aborts what a producer leaves open, and fences it.
        check_crcs: verify each record batch on reading. Half the cost of reading blocks, which
            carry a checksum of their own; the only check that single records have.
    """

    def __init__(
        self,
        brokers: str,
        *,
        security: Security | None = None,
        request_timeout_ms: int = REQUEST_TIMEOUT_MS,
        transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS,
        check_crcs: bool = True,
    ) -> None:
        self._brokers = checked_brokers(brokers)
        self._security = security or Security()
        self._request_timeout_ms = request_timeout_ms
        self._transaction_timeout_ms = transaction_timeout_ms
        self._check_crcs = check_crcs
        self._admin: Any = None
        self._asked: Any = None
        self._asking = asyncio.Lock()
        self._described: dict[str, list[Any]] = {}
        self._described_at = 0.0
        self._open: set[KafkaProducer | KafkaConsumer] = set()

    def _options(self) -> dict[str, Any]:
        """What every client gets; made anew for each, since it holds the password."""
        return {
            "bootstrap_servers": self._brokers,
            "request_timeout_ms": self._request_timeout_ms,
            **self._security.options(),
        }

    async def _started(
        self, what: str, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        """A client that fails to start, or is cancelled while it does, lets go of its connections.

        aiokafka says that it found no broker, and keeps to itself why not.
        """
        started = False
        try:
            with translated(what):
                await start()
            started = True
        except FeedError:
            await explain(what, self._options())
            raise
        finally:
            if not started:
                await stop()

    async def _client(self) -> Any:
        if self._admin is None:
            admin = aiokafka().admin.AIOKafkaAdminClient(**self._options())
            await self._started("connect", admin.start, admin.close)
            self._admin = admin
        return self._admin

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create what is missing."""
        admin = await self._client()
        with translated("create topics"):
            known = set(await admin.list_topics())
            missing = [
                aiokafka().admin.NewTopic(
                    spec.name,
                    spec.partitions,
                    spec.replication,
                    topic_configs=_settings(spec),
                )
                for spec in topics
                if spec.name not in known
            ]
            if missing:
                _check_created(await admin.create_topics(missing))
        for spec in topics:
            there = await self._visible(spec.name)
            if there != spec.partitions:
                raise FeedError(
                    f"topic {spec.name} has {there} partitions, expected {spec.partitions}",
                    retriable=False,
                )

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        return len(await self._partitions(topic))

    async def _partitions(self, topic: str) -> list[Any]:
        """All topics are asked for: a question about one creates it on many brokers. Whoever takes
        a shard over wants to know of six, one after the other."""
        now = time.monotonic()
        if topic not in self._described or now > self._described_at + DESCRIBED_SECONDS:
            admin = await self._client()
            with translated(f"describe {topic}"):
                topics = await admin.describe_topics()
            self._described = {told["topic"]: told["partitions"] for told in topics}
            self._described_at = now
        partitions = self._described.get(topic)
        if not partitions:
            raise TopicMissingError(topic)
        return list(partitions)

    async def _visible(self, topic: str) -> int:
        """Partitions of a topic just created: a broker hears of it a little later than the
        controller that created it."""
        for _ in range(VISIBLE_TRIES_MAX):
            try:
                return await self.partitions(topic)
            except FeedError as error:
                if error.retriable:
                    raise
            await asyncio.sleep(VISIBLE_WAIT_SECONDS)
        return await self.partitions(topic)

    async def describe(self, topic: str) -> TopicSpec:
        """How the topic is."""
        partitions = await self._partitions(topic)
        admin = await self._client()
        wanted = dict.fromkeys((COMPACTION, RETENTION, SIZE))
        resources = aiokafka().admin.config_resource
        with translated(f"describe {topic}"):
            asked = resources.ConfigResource(resources.ConfigResourceType.TOPIC, topic, wanted)
            ((response,),) = [answer.resources for answer in await admin.describe_configs([asked])]
            if response[0]:
                raise aiokafka().errors.for_code(response[0])(topic)
        told = {name: value for name, value, *_ in response[4]}
        return TopicSpec(
            topic,
            partitions=len(partitions),
            compacted="compact" in told[COMPACTION],
            retention_ms=int(told[RETENTION]),
            retention_bytes=int(told[SIZE]),
            replication=len(partitions[0]["replicas"]),
        )

    async def bounds(self, place: Place) -> tuple[int, int]:
        """First offset kept, and the one that comes next.

        aiokafka asks at once where the partition lives only for what is assigned; for anything else
        it fails first and tries again after 100 ms. Paused, it reads nothing. Whoever asks once
        asks again soon, so a client that answered is kept.
        """
        async with self._asking:
            consumer, self._asked = self._asked or await self._consumer(committed=False), None
            try:
                with translated(f"bounds of {place}"):
                    where = topic_partition(place)
                    consumer.assign([where])
                    consumer.seek(where, 0)
                    consumer.pause(where)
                    first = await consumer.beginning_offsets([where])
                    end = await consumer.end_offsets([where])
                self._asked = consumer
            finally:
                if self._asked is None:
                    await consumer.stop()
        return first[where], end[where]

    async def truncate(self, place: Place, before: int) -> None:
        """Drop what lies below ``before``."""
        admin = await self._client()
        with translated(f"truncate {place}"):
            await admin.delete_records(
                {topic_partition(place): aiokafka().admin.RecordsToDelete(before)}
            )

    async def producer(self, transactional_id: str | None = None) -> KafkaProducer:
        """An idempotent producer; one with an id fences its predecessors."""
        producer = aiokafka().AIOKafkaProducer(
            **self._options(),
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES_MAX,
            transactional_id=transactional_id,
            transaction_timeout_ms=self._transaction_timeout_ms,
        )
        await self._started("start the producer", producer.start, producer.stop)
        return KafkaProducer(producer, self._open)

    async def _consumer(self, *, committed: bool) -> Any:
        consumer = aiokafka().AIOKafkaConsumer(
            **self._options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed" if committed else "read_uncommitted",
            check_crcs=self._check_crcs,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=QUIET_FETCH_MS,
        )
        await self._started("start the consumer", consumer.start, consumer.stop)
        return consumer

    async def consumer(
        self, positions: Mapping[Place, int], *, committed: bool = True
    ) -> KafkaConsumer:
        """A reader of these partitions from these offsets.

        aiokafka would wait for a topic that does not exist, or may not be seen, and say nothing.
        """
        for topic in sorted({place.topic for place in positions}):
            there = await self.partitions(topic)
            missing = [p for p in positions if p.topic == topic and p.partition >= there]
            if missing:
                raise FeedError(
                    f"topic {topic} has {there} partitions, not {missing[0]}", retriable=False
                )
        consumer = await self._consumer(committed=committed)
        consumer.assign([topic_partition(place) for place in sorted(positions)])
        reader = KafkaConsumer(consumer, self._open)
        for place, offset in positions.items():
            reader.seek(place, offset)
        return reader

    async def close(self) -> None:
        """Close the connection used for questions, and every client that is still open."""
        for client in list(self._open):
            await client.close()
        if self._asked is not None:
            await self._asked.stop()
            self._asked = None
        if self._admin is not None:
            await self._admin.close()
            self._admin = None


def _settings(spec: TopicSpec) -> dict[str, str]:
    settings = {COMPACTION: "compact"} if spec.compacted else {}
    for name, limit in ((RETENTION, spec.retention_ms), (SIZE, spec.retention_bytes)):
        if limit is not None:
            settings[name] = str(limit)
    return settings | dict(spec.settings)


def _check_created(response: Any) -> None:
    errors = aiokafka().errors
    for topic, code, *_ in response.topic_errors:
        if code and errors.for_code(code) is not errors.TopicAlreadyExistsError:
            raise errors.for_code(code)(topic)
