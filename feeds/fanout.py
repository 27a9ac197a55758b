"""From `nav.users` to `nav.latest`: a record a user for those who look users up one by one.

It stands beside the engine, not in its transaction, and reads committed records only. Its state is
what it wrote: at the start it reads its own topic, in which each partition also holds how far
`nav.users` was read when all before it was written. What was read further than that is read again
and changes nothing, so it may be killed at any moment. Both topics have as many partitions, and a
user is in the same one of both: several processes share the work by user shards, one process each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from engine.errors import FeedError
from feeds import codec
from feeds.latest import USER_LATEST, Latest
from feeds.log import Consumer, Log, Outgoing, Place, Producer, Record
from feeds.topics import Topics

__all__ = ["FANOUT_POSITION", "POSITION_KEY", "FanOut", "FannedOut", "Position", "held", "reached"]

FANOUT_POSITION: Final = b"fanout-position/1"
POSITION_KEY: Final = b"\xffposition"
"""No user's: names are UTF-8, in which this byte does not occur."""
FLUSH_SECONDS: Final = 0.2
"""News of one user within this time are told once while there is more to read."""
POLL_TIMEOUT_MS: Final = 100
SEND_RECORDS_MAX: Final = 20_000
EMPTY_POLLS_MAX: Final = 300
"""Half a minute without a step towards an end that is known to be there."""

log_lines = structlog.get_logger("levsim.fanout")


class Position(Struct, frozen=True):
    """How far a partition of `nav.users` was read when all that followed from it was written."""

    offset: int


class FannedOut(Struct):
    """How far it came: records read, user records written, records that could not be read."""

    read: int = 0
    written: int = 0
    refused: int = 0


class FanOut:
    """One process.

    Args:
        log: the broker.
        topics: their names.
        users: user shards, as partitions of `nav.users`; ``None`` for all.
        flush_seconds: how long news may wait while there is more to read.
    """

    def __init__(
        self,
        log: Log,
        topics: Topics,
        users: Sequence[int] | None = None,
        *,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._log = log
        self._topics = topics
        self._users = users
        self._flush_seconds = flush_seconds
        self.done = FannedOut()

    async def run(self, stop: asyncio.Event, *, once: bool = False) -> FannedOut:
        """Go on until ``stop`` is set, or with ``once`` until all that there is now was taken.

        Raises:
            FeedError: if the broker is away, or the topics do not fit.
        """
        latest, positions = await self._begun()
        producer = await self._log.producer()
        consumer = await self._log.consumer(positions)
        try:
            ends = await consumer.ends() if once else None
            due = 0.0
            while not stop.is_set():
                polled = await consumer.poll(timeout_ms=POLL_TIMEOUT_MS)
                for _, records in polled:
                    self._take(latest, records)
                clock = asyncio.get_running_loop().time()
                if not polled or clock >= due:
                    await self._flush(latest, producer, consumer, positions)
                    due = clock + self._flush_seconds
                if ends is not None and reached(await consumer.positions(), ends):
                    break
            await self._flush(latest, producer, consumer, positions)
        finally:
            await consumer.close()
            await producer.close()
        return self.done

    async def _begun(self) -> tuple[Latest, dict[Place, int]]:
        """The state that earlier processes left, and where to go on."""
        source, target = self._topics.nav_users, self._topics.nav_latest
        count, there = await self._log.partitions(source), await self._log.partitions(target)
        if count != there:
            raise FeedError(
                f"topic {target} has {there} partitions, expected {count} as {source} has",
                retriable=False,
            )
        users = range(count) if self._users is None else self._users
        latest = Latest(target, count)
        known: dict[int, int] = {}
        async for records in held(self._log, [Place(target, user) for user in users]):
            self._restore(records, latest, known)
        positions = {}
        for user in users:
            place = Place(source, user)
            start, end = await self._log.bounds(place)
            positions[place] = max(start, known.get(user, start))
            if positions[place] > end:
                raise FeedError(
                    f"{place} ends at {end}, {target} goes on at {positions[place]}: it is another "
                    "topic by now; begin anew with another --prefix",
                    retriable=False,
                )
        log_lines.info("fanout.started", users=len(latest), partitions=len(positions))
        return latest, positions

    def _restore(self, records: Sequence[Record], latest: Latest, known: dict[int, int]) -> None:
        users = []
        for record in records:
            schema = codec.schema_of(record.headers)
            if schema == FANOUT_POSITION:
                position = msgspec.json.decode(record.value or b"", type=Position)
                known[record.partition] = position.offset
            elif schema == USER_LATEST:
                users.append(record)
        latest.restore(users)

    def _take(self, latest: Latest, records: Sequence[Record]) -> None:
        self.done.read += len(records)
        for fault in latest.take(records):
            self.done.refused += 1
            log_lines.warning("fanout.refused", record=fault)

    async def _flush(
        self, latest: Latest, producer: Producer, consumer: Consumer, told: dict[Place, int]
    ) -> None:
        """Write the news, and only then how far they reach."""
        positions = await consumer.positions()
        for portion in _portions(latest.news()):
            await producer.send(portion)
            self.done.written += len(portion)
        moved = {place: at for place, at in positions.items() if at != told.get(place)}
        headers = codec.schema_header(FANOUT_POSITION)
        records = [
            Outgoing(
                self._topics.nav_latest,
                msgspec.json.encode(Position(at)),
                POSITION_KEY,
                headers,
                place.partition,
            )
            for place, at in moved.items()
        ]
        if records:
            await producer.send(records)
            told.update(moved)


async def held(log: Log, places: Sequence[Place]) -> AsyncGenerator[Sequence[Record], None]:
    """What partitions hold now, part by part.

    Raises:
        FeedError: if the broker is away, or what is known to be there does not come.
    """
    starts = {place: (await log.bounds(place))[0] for place in places}
    consumer = await log.consumer(starts)
    try:
        ends, empty = await consumer.ends(), 0
        while not reached(await consumer.positions(), ends):
            polled = await consumer.poll(timeout_ms=POLL_TIMEOUT_MS)
            for _, records in polled:
                yield records
            empty = 0 if polled else empty + 1
            if empty > EMPTY_POLLS_MAX:
                raise FeedError(f"{places[0].topic}: nothing comes up to the end of what it holds")
    finally:
        await consumer.close()


def reached(positions: dict[Place, int], ends: dict[Place, int]) -> bool:
    """Whether reading stands at these ends, or behind them."""
    return all(positions[place] >= end for place, end in ends.items())


def _portions(records: Iterator[Outgoing]) -> Iterator[list[Outgoing]]:
    while portion := list(islice(records, SEND_RECORDS_MAX)):
        yield portion
