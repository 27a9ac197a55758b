"""What a partitioned log offers: records, producers, consumers, transactions.

`memory_log` keeps this contract in memory and `kafka` over the wire; one suite of tests holds both
to it. Offsets have holes (a commit or abort marker takes one), an open transaction hides what
follows it from readers of committed records, and the newer of two producers of one name fences the
older.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from engine.errors import FeedError

__all__ = [
    "BATCH_BYTES_MAX",
    "RECORDS_MAX",
    "Consumer",
    "Headers",
    "Log",
    "OffsetOutOfRangeError",
    "Outgoing",
    "Place",
    "Polled",
    "Producer",
    "ProducerFencedError",
    "Record",
    "TopicMissingError",
    "TopicSpec",
    "partition_of",
]

Headers = tuple[tuple[str, bytes], ...]

BATCH_BYTES_MAX: Final = 1_000_000
"""Bytes of one record with what surrounds it; brokers take 1 MiB where nobody set another limit."""
RECORDS_MAX: Final = 500
"""Records of one poll. More of them cost more each: the garbage collector walks the long lists."""


class OffsetOutOfRangeError(FeedError):
    """The position is no longer, or not yet, in the log; going on elsewhere would lose input."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retriable=False)


class TopicMissingError(FeedError):
    """There is no such topic, or we may not see it."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic {topic} does not exist, or may not be seen", retriable=False)


class ProducerFencedError(FeedError):
    """A newer producer of the same transactional id exists; this one must stop for good."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retriable=False)


class Place(Struct, frozen=True, order=True, gc=False):
    """One partition of one topic."""

    topic: str
    partition: int = 0

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class TopicSpec(Struct, frozen=True):
    """How a topic is created; a partition count is for ever, since keys would move.

    Attributes:
        compacted: whether the broker may drop every record of a key but the last.
        retention_ms: how long records are kept, -1 for ever; ``None`` is the broker's default.
        retention_bytes: how much of each partition is kept, -1 all; ``None`` likewise.
        replication: copies on different brokers.
        settings: further ones by Kafka's names.
    """

    name: str
    partitions: int = 1
    compacted: bool = False
    retention_ms: int | None = None
    retention_bytes: int | None = None
    replication: int = 1
    settings: tuple[tuple[str, str], ...] = ()


class Record(Protocol):
    """What a consumer reads; aiokafka's own records already look so and need no copy."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, as the writer or the broker stamped it."""

    @property
    def key(self) -> bytes | None:
        """``None`` where the writer gave none."""

    @property
    def value(self) -> bytes | None:
        """``None`` in a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Names may repeat."""


Polled = list[tuple[Place, Sequence[Record]]]
"""Records by partition, partitions in sorted order, offsets rising within each."""


class Outgoing(Struct, frozen=True, gc=False):
    """What a producer sends. Without ``partition`` the key decides, without a key it is 0."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None
    timestamp_ms: int | None = None


class Producer(Protocol):
    """Writes records; with a transactional id only inside a transaction.

    Every method raises `FeedError`, and `ProducerFencedError` once a newer producer of its id
    exists. After an error of a transactional producer only ``close`` is allowed: what it was about
    to commit is in the log or not, and the next producer of its id finds that decided.
    """

    async def send(self, records: Sequence[Outgoing]) -> list[int]:
        """Write, in order within each partition; returns the offsets when all are acknowledged."""

    async def begin(self) -> None:
        """Open a transaction."""

    async def commit(self) -> None:
        """Make everything since ``begin`` visible at once."""

    async def abort(self) -> None:
        """Make everything since ``begin`` never visible to readers of committed records."""

    async def close(self) -> None:
        """Let go; an open transaction stays open until the broker or a successor ends it."""


class Consumer(Protocol):
    """Reads fixed partitions from given positions; belongs to no group and commits nothing."""

    async def poll(self, *, records_max: int = RECORDS_MAX, timeout_ms: int = 0) -> Polled:
        """Up to ``records_max`` records, no partition empty.

        Waits up to ``timeout_ms`` for the first.

        Raises:
            OffsetOutOfRangeError: if a position is not in the log.
            FeedError: if the broker is away.
        """

    async def positions(self) -> dict[Place, int]:
        """Where reading goes on in each partition: behind all that was returned, and behind the
        markers that the last polls passed over."""

    async def ends(self) -> dict[Place, int]:
        """Where each partition ends now for this reader: whoever reads committed records only
        knows of none beyond it. Once all ``positions`` are there, what there was was read.

        Raises:
            FeedError: if the broker is away.
        """

    def seek(self, place: Place, offset: int) -> None:
        """The next record read from there is the first at ``offset`` or later."""

    def pause(self, places: Iterable[Place]) -> None:
        """Return nothing of these until ``resume``."""

    def resume(self, places: Iterable[Place]) -> None:
        """Undo ``pause``."""

    async def close(self) -> None:
        """Let go."""


class Log(Protocol):
    """A broker as one process sees it."""

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create what is missing.

        Raises:
            FeedError: if a topic exists with another number of partitions.
        """

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""

    async def describe(self, topic: str) -> TopicSpec:
        """How the topic is, ``settings`` left out; raises `TopicMissingError` where there is
        none."""

    async def bounds(self, place: Place) -> tuple[int, int]:
        """First offset kept, and the offset that the next record will get at the earliest."""

    async def truncate(self, place: Place, before: int) -> None:
        """Drop the records below that offset, as retention does.

        Raises:
            OffsetOutOfRangeError: if the log ends before it.
        """

    async def producer(self, transactional_id: str | None = None) -> Producer:
        """A producer, ready to send.

        With an id, every older producer of that id is fenced, and its open transaction aborted,
        before this returns.
        """

    async def consumer(self, positions: Mapping[Place, int], *, committed: bool = True) -> Consumer:
        """A reader of these partitions from these offsets.

        Args:
            positions: where to start; nothing is ever started elsewhere.
            committed: hide records of open and aborted transactions, and what follows an open one.
        """

    async def close(self) -> None:
        """Let go of the broker, and of every producer and consumer that is still open."""


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of a key: CRC-32 of its bytes, so that every language can compute it.

    It is not the default of Java's clients, which costs microseconds a key in pure Python.
    Readers that look up one key need this rule; readers of whole topics need none.
    """
    return 0 if key is None or partitions == 1 else zlib.crc32(key) % partitions
