"""A log in memory that behaves as a broker does: the contract that real brokers must meet too.

A ``MemoryLog`` is the view of one process; at a kill point that process dies with everything it
opened. The ``MemoryBroker`` stays, with what a broker would keep: records that nobody acknowledged,
open transactions, commits that nobody heard of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.errors import FeedError
from feeds.log import (
    RECORDS_MAX,
    OffsetOutOfRangeError,
    Outgoing,
    Place,
    Polled,
    ProducerFencedError,
    TopicSpec,
)
from feeds.memory_broker import Entry, MemoryBroker, MemoryRecord, Owner, State, Transaction

__all__ = ["KILL_POINTS", "Killed", "MemoryBroker", "MemoryLog"]

KILL_POINTS: Final = (
    "init.before",
    "init.after",
    "begin.before",
    "begin.after",
    "send.before",
    "send.half",
    "send.after",
    "commit.before",
    "commit.unknown",
    "commit.after",
    "abort.before",
    "abort.after",
    "poll.before",
    "poll.after",
)
"""Places at which a process can die. ``send.half``: some records are in the log, none acknowledged.
``commit.unknown``: the transaction is committed, and the process never learns it."""


class Killed(BaseException):
    """The process is dead. No handler of errors may see it, as none sees ``kill -9``."""


class MemoryLog:
    """One process's view of the broker; keeps the contract of `feeds.log.Log`.

    Attributes:
        reached: how often each kill point was passed, so that a test can show that it hit what it
            meant.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.reached: Counter[str] = Counter()
        self._kill_at: dict[str, int] = {}
        self._dead = False

    def kill_at(self, point: str, passes: int = 1) -> None:
        """Die when ``point`` is passed for the ``passes``-th time from now."""
        if point not in KILL_POINTS:
            raise ValueError(f"unknown kill point {point!r}, known: {', '.join(KILL_POINTS)}")
        self._kill_at[point] = self.reached[point] + passes

    def pass_by(self, point: str) -> None:
        """Count the point, and die there if so told; a dead process gets no further."""
        self.check()
        self.reached[point] += 1
        if self._kill_at.get(point) == self.reached[point]:
            self._dead = True
        self.check()
        if not self.broker.available:
            raise FeedError(f"broker is away ({point})")

    def check(self) -> None:
        """Raise if the process is dead."""
        if self._dead:
            raise Killed

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create what is missing."""
        self.check()
        for spec in topics:
            self.broker.create(spec)

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        self.check()
        return len(self.broker.topic(topic))

    async def describe(self, topic: str) -> TopicSpec:
        """How the topic is."""
        self.check()
        return self.broker.describe(topic)

    async def bounds(self, place: Place) -> tuple[int, int]:
        """First offset kept, and the one that comes next."""
        self.check()
        partition = self.broker.partition(place)
        return partition.start, partition.end

    async def truncate(self, place: Place, before: int) -> None:
        """Drop what lies below ``before``."""
        self.check()
        self.broker.truncate(place, before)

    async def producer(self, transactional_id: str | None = None) -> _Producer:
        """A producer; one with an id fences its predecessors."""
        self.pass_by("init.before")
        producer = _Producer(self, transactional_id)
        self.pass_by("init.after")
        return producer

    async def consumer(
        self, positions: Mapping[Place, int], *, committed: bool = True
    ) -> _Consumer:
        """A reader of these partitions from these offsets."""
        self.check()
        return _Consumer(self, positions, committed)

    async def close(self) -> None:
        """Nothing to let go of."""


class _Producer:
    def __init__(self, log: MemoryLog, transactional_id: str | None) -> None:
        self._log = log
        self._id = transactional_id
        self._owner = None if transactional_id is None else log.broker.owner(transactional_id)
        if self._owner is not None:
            self._owner.epoch += 1
            log.broker.finish(self._owner, State.ABORTED)
            self._epoch = self._owner.epoch

    def _held(self) -> Owner:
        """The id's state, if it is still ours."""
        owner = self._owner
        if owner is None:
            raise FeedError(
                "a producer without transactional id has no transactions", retriable=False
            )
        if owner.epoch != self._epoch:
            raise ProducerFencedError(f"transactional id {self._id}: a newer producer took over")
        return owner

    def _opened(self) -> Transaction:
        transaction = self._held().transaction
        if transaction is None:
            raise FeedError(f"transactional id {self._id}: no open transaction", retriable=False)
        return transaction

    async def send(self, records: Sequence[Outgoing]) -> list[int]:
        self._log.pass_by("send.before")
        transaction = None if self._owner is None else self._opened()
        offsets = []
        for number, record in enumerate(records):
            if number == len(records) // 2:
                self._log.pass_by("send.half")
            offsets.append(self._log.broker.append(record, transaction))
        self._log.pass_by("send.after")
        return offsets

    async def begin(self) -> None:
        self._log.pass_by("begin.before")
        owner = self._held()
        if owner.transaction is not None:
            raise FeedError(f"transactional id {self._id}: a transaction is open", retriable=False)
        owner.transaction = Transaction()
        self._log.pass_by("begin.after")

    async def commit(self) -> None:
        self._log.pass_by("commit.before")
        self._opened()
        self._log.broker.finish(self._held(), State.COMMITTED)
        self._log.pass_by("commit.unknown")
        self._log.pass_by("commit.after")

    async def abort(self) -> None:
        self._log.pass_by("abort.before")
        self._opened()
        self._log.broker.finish(self._held(), State.ABORTED)
        self._log.pass_by("abort.after")

    async def close(self) -> None:
        """An open transaction stays open."""


class _Consumer:
    def __init__(self, log: MemoryLog, positions: Mapping[Place, int], committed: bool) -> None:
        self._log = log
        self._committed = committed
        self._positions = dict(sorted(positions.items()))
        self._paused: set[Place] = set()
        self._turn = 0

    async def poll(self, *, records_max: int = RECORDS_MAX, timeout_ms: int = 0) -> Polled:
        self._log.pass_by("poll.before")
        polled = self._take(records_max)
        if not polled and timeout_ms:
            await self._log.broker.change(timeout_ms)
            polled = self._take(records_max)
        self._log.pass_by("poll.after")
        return polled

    def _take(self, records_max: int) -> Polled:
        places = [place for place in self._positions if place not in self._paused]
        if not places:
            return []
        # A full partition must not starve the others: another one comes first each time.
        self._turn = (self._turn + 1) % len(places)
        polled: Polled = []
        for place in places[self._turn :] + places[: self._turn]:
            records = self._read(place, records_max)
            records_max -= len(records)
            if records:
                polled.append((place, records))
        return sorted(polled, key=lambda part: part[0])

    def _read(self, place: Place, records_max: int) -> list[MemoryRecord]:
        partition = self._log.broker.partition(place)
        position = self._positions[place]
        if not partition.start <= position <= partition.end:
            raise OffsetOutOfRangeError(
                f"{place}: position {position} is not in [{partition.start}, {partition.end}]"
            )
        end = partition.stable_end() if self._committed else partition.end
        records: list[MemoryRecord] = []
        while position < end and len(records) < records_max:
            entry = partition.entries[position - partition.start]
            position += 1
            if entry.record is not None and not (self._committed and _aborted(entry)):
                records.append(entry.record)
        self._positions[place] = position
        return records

    async def positions(self) -> dict[Place, int]:
        return dict(self._positions)

    async def ends(self) -> dict[Place, int]:
        self._log.check()
        partitions = {place: self._log.broker.partition(place) for place in self._positions}
        return {
            place: partition.stable_end() if self._committed else partition.end
            for place, partition in partitions.items()
        }

    def seek(self, place: Place, offset: int) -> None:
        if place not in self._positions:
            raise FeedError(f"{place} is not assigned", retriable=False)
        self._positions[place] = offset

    def pause(self, places: Iterable[Place]) -> None:
        self._paused.update(places)

    def resume(self, places: Iterable[Place]) -> None:
        self._paused.difference_update(places)

    async def close(self) -> None:
        """Nothing to let go of."""


def _aborted(entry: Entry) -> bool:
    return entry.transaction is not None and entry.transaction.state is State.ABORTED
