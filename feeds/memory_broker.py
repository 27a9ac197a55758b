"""The broker behind the log in memory: topics, partitions, transactions, and who owns their names.

It survives every process. Nothing here takes time or fails by itself: a `memory_log.MemoryLog` is a
process that uses it, and may die while it does.
"""

from __future__ import annotations

import asyncio
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import FeedError
from feeds.log import (
    BATCH_BYTES_MAX,
    Headers,
    OffsetOutOfRangeError,
    Outgoing,
    Place,
    TopicMissingError,
    TopicSpec,
    partition_of,
)

__all__ = ["Entry", "MemoryBroker", "MemoryRecord", "Owner", "Partition", "State", "Transaction"]


class State(Enum):
    """What became of a transaction."""

    OPEN = 0
    COMMITTED = 1
    ABORTED = 2


class Transaction:
    """Records of one transaction point here, so that its end decides for all of them at once."""

    def __init__(self) -> None:
        self.state = State.OPEN
        self.first: dict[Place, int] = {}


class MemoryRecord(Struct, frozen=True, gc=False):
    """Keeps `feeds.log.Record`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Entry(Struct, frozen=True):
    """One offset: a record, or a marker (``record`` is ``None``)."""

    record: MemoryRecord | None
    transaction: Transaction | None


class Partition:
    """Entries from offset ``start`` on, without gaps: what readers see as a hole is a marker."""

    def __init__(self) -> None:
        self.start = 0
        self.entries: list[Entry] = []
        self.open: dict[int, Transaction] = {}

    @property
    def end(self) -> int:
        """The offset that comes next."""
        return self.start + len(self.entries)

    def stable_end(self) -> int:
        """The last stable offset: everything before it is decided."""
        return min(self.open, default=self.end)


class Owner:
    """A transactional id: who holds it, and what is open in its name."""

    def __init__(self) -> None:
        self.epoch = 0
        self.transaction: Transaction | None = None


class MemoryBroker:
    """Topics, partitions and transactional ids; survives every process.

    Attributes:
        available: set to ``False`` to be away: every call then raises a retriable `FeedError`.
    """

    def __init__(self) -> None:
        self.available = True
        self._topics: dict[str, list[Partition]] = {}
        self._specs: dict[str, TopicSpec] = {}
        self._owners: dict[str, Owner] = {}
        self._changed = asyncio.Event()

    def topic(self, name: str) -> list[Partition]:
        """Its partitions; raises `TopicMissingError` where there is none."""
        try:
            return self._topics[name]
        except KeyError:
            raise TopicMissingError(name) from None

    def partition(self, place: Place) -> Partition:
        """The partition there; raises `FeedError` where there is none."""
        partitions = self.topic(place.topic)
        if not 0 <= place.partition < len(partitions):
            raise FeedError(
                f"topic {place.topic} has no partition {place.partition}", retriable=False
            )
        return partitions[place.partition]

    def create(self, spec: TopicSpec) -> None:
        """Create the topic, or find it with as many partitions."""
        there = self._topics.setdefault(spec.name, [Partition() for _ in range(spec.partitions)])
        self._specs.setdefault(spec.name, spec)
        if len(there) != spec.partitions:
            raise FeedError(
                f"topic {spec.name} has {len(there)} partitions, expected {spec.partitions}",
                retriable=False,
            )

    def describe(self, name: str) -> TopicSpec:
        """How the topic was created; what was left to the broker is kept for ever."""
        self.topic(name)
        spec = self._specs[name]
        limits = (spec.retention_ms, spec.retention_bytes)
        kept_ms, kept_bytes = (-1 if limit is None else limit for limit in limits)
        return replace(spec, retention_ms=kept_ms, retention_bytes=kept_bytes, settings=())

    def append(self, sent: Outgoing, transaction: Transaction | None) -> int:
        """Write at the end of the partition; returns the offset."""
        partitions = self.topic(sent.topic)
        if (size := len(sent.value or b"") + len(sent.key or b"")) > BATCH_BYTES_MAX:
            raise FeedError(f"a record of {size} bytes fits no batch", retriable=False)
        number = sent.partition
        if number is None:
            number = partition_of(sent.key, len(partitions))
        place = Place(sent.topic, number)
        partition = self.partition(place)
        offset = partition.end
        record = MemoryRecord(
            sent.topic,
            number,
            offset,
            sent.timestamp_ms or 0,
            sent.key,
            sent.value,
            tuple(sent.headers),
        )
        if transaction is not None and place not in transaction.first:
            transaction.first[place] = offset
            partition.open[offset] = transaction
        partition.entries.append(Entry(record, transaction))
        self.wake()
        return offset

    def end(self, transaction: Transaction, state: State) -> None:
        """Write a marker into every partition that the transaction touched."""
        transaction.state = state
        for place, first in transaction.first.items():
            partition = self.partition(place)
            del partition.open[first]
            partition.entries.append(Entry(None, transaction))
        self.wake()

    def expire(self, transactional_id: str) -> None:
        """What the transaction time-out does: abort what is open, and fence who holds it."""
        owner = self.owner(transactional_id)
        owner.epoch += 1
        self.finish(owner, State.ABORTED)

    def finish(self, owner: Owner, state: State) -> None:
        """End the owner's open transaction, if there is one."""
        if owner.transaction is not None:
            self.end(owner.transaction, state)
            owner.transaction = None

    def owner(self, transactional_id: str) -> Owner:
        """Who holds the id, now or from now on."""
        return self._owners.setdefault(transactional_id, Owner())

    def truncate(self, place: Place, before: int) -> None:
        """Forget what lies below ``before`` and is decided."""
        partition = self.partition(place)
        if before > partition.end:
            raise OffsetOutOfRangeError(
                f"{place}: cannot drop to {before}, it ends {partition.end}"
            )
        keep = min(max(before, partition.start), partition.stable_end())
        del partition.entries[: keep - partition.start]
        partition.start = keep

    def wake(self) -> None:
        """Something was written: whoever waits may look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, timeout_ms: int) -> None:
        """Return when something was written, or after the time."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_ms / 1000)
        except TimeoutError:
            return
