"""A log whose process dies at a named point: before, in the middle of and after every call that
changes something, and while it reads.

The points are the same on every broker; only how the process dies differs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from feeds.log import Consumer, Log, Outgoing, Place, Polled, Producer, TopicSpec
from feeds.topics import Topics

__all__ = ["POINTS", "CrashingLog"]

_KINDS: Final = ("outputs", "snapshot", "journal")
POINTS: Final = (
    *(f"{call}.{when}" for call in ("init", "begin") for when in ("before", "after")),
    *(f"send.{kind}.{when}" for kind in _KINDS for when in ("before", "half", "after")),
    *(f"commit.{when}" for when in ("before", "during", "after")),
    *(f"prune.{when}" for when in ("before", "after")),
    *(f"poll.{phase}" for phase in ("recovery", "live")),
)
"""``send.outputs.half``: half of the records are in the log. ``commit.during``: the request is on
its way and nobody hears the answer."""


class CrashingLog:
    """Passes everything on to a log; keeps `feeds.log.Log`.

    Args:
        log: the broker.
        topics: by which it tells snapshots and journal from outputs.
        dies: ends the process; does not return.

    Attributes:
        reached: how often each point was passed.
        live: whether recovery is done.
        died_at: the point of its death.
    """

    def __init__(self, log: Log, topics: Topics, dies: Callable[[], None]) -> None:
        self.log = log
        self.topics = topics
        self.reached: Counter[str] = Counter()
        self.live = False
        self.died_at = ""
        self.dies = dies
        self._at: tuple[str, int] = ("", 0)
        self._after = 0

    def crash_at(self, point: str, passes: int) -> None:
        """Die when ``point`` is passed for the ``passes``-th time."""
        if point not in POINTS:
            raise ValueError(f"unknown point {point!r}, known: {', '.join(POINTS)}")
        self._at = (point, passes)

    def crash_after(self, passes: int) -> None:
        """Die at the ``passes``-th point, whichever it is."""
        self._after = passes

    def pass_by(self, point: str) -> None:
        """Count the point, and die there if so told."""
        self.reached[point] += 1
        if self._at == (point, self.reached[point]) or self.reached.total() == self._after:
            self.died_at = point
            self.dies()

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        await self.log.create(topics)

    async def partitions(self, topic: str) -> int:
        return await self.log.partitions(topic)

    async def bounds(self, place: Place) -> tuple[int, int]:
        return await self.log.bounds(place)

    async def truncate(self, place: Place, before: int) -> None:
        self.pass_by("prune.before")
        await self.log.truncate(place, before)
        self.pass_by("prune.after")

    async def producer(self, transactional_id: str | None = None) -> Producer:
        self.live = False
        self.pass_by("init.before")
        producer = await self.log.producer(transactional_id)
        self.pass_by("init.after")
        return _Producer(self, producer)

    async def consumer(self, positions: Mapping[Place, int], *, committed: bool = True) -> Consumer:
        return _Consumer(self, await self.log.consumer(positions, committed=committed))

    async def close(self) -> None:
        await self.log.close()

    def kind(self, records: Sequence[Outgoing]) -> str:
        """What is sent: outputs with their entry of the journal, the chunks of a snapshot, or a
        marker of the journal alone."""
        topics = {record.topic for record in records}
        if topics == {self.topics.snapshots}:
            return "snapshot"
        return "journal" if topics == {self.topics.journal} else "outputs"


class _Producer:
    def __init__(self, log: CrashingLog, producer: Producer) -> None:
        self._log = log
        self._producer = producer
        self._begun = 0

    async def send(self, records: Sequence[Outgoing]) -> list[int]:
        kind, half = self._log.kind(records), len(records) // 2
        self._log.pass_by(f"send.{kind}.before")
        offsets = await self._producer.send(records[:half]) if half else []
        self._log.pass_by(f"send.{kind}.half")
        offsets += await self._producer.send(records[half:])
        self._log.pass_by(f"send.{kind}.after")
        return offsets

    async def begin(self) -> None:
        self._begun += 1
        # The first transaction of a session is its marker; the second is a step, so it is live.
        self._log.live = self._begun > 1
        self._log.pass_by("begin.before")
        await self._producer.begin()
        self._log.pass_by("begin.after")

    async def commit(self) -> None:
        self._log.pass_by("commit.before")
        commit = asyncio.ensure_future(self._producer.commit())
        await asyncio.sleep(0)
        self._log.pass_by("commit.during")
        await commit
        self._log.pass_by("commit.after")

    async def abort(self) -> None:
        await self._producer.abort()

    async def close(self) -> None:
        await self._producer.close()


class _Consumer:
    def __init__(self, log: CrashingLog, consumer: Consumer) -> None:
        self._log = log
        self._consumer = consumer

    async def poll(self, **options: Any) -> Polled:
        self._log.pass_by("poll.live" if self._log.live else "poll.recovery")
        return await self._consumer.poll(**options)

    def seek(self, place: Place, offset: int) -> None:
        self._consumer.seek(place, offset)

    def pause(self, places: Iterable[Place]) -> None:
        self._consumer.pause(places)

    def resume(self, places: Iterable[Place]) -> None:
        self._consumer.resume(places)

    async def positions(self) -> dict[Place, int]:
        return await self._consumer.positions()

    async def ends(self) -> dict[Place, int]:
        return await self._consumer.ends()

    async def close(self) -> None:
        await self._consumer.close()
