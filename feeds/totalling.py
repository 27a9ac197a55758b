"""The stage that keeps users' totals: product NAVs and events in, `nav.totals` out, no ticks.

It reads both topics from their beginning, since units are what all changes made of them; a total is
a sample and is told again by the next process. Several processes share the work by user shards;
each reads the same product NAVs, which are few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Final

import structlog
from msgspec import Struct

from engine.errors import FeedError
from feeds.fanout import reached
from feeds.log import Consumer, Log, Outgoing, Place, Producer
from feeds.topics import Topics
from feeds.totals import Totals

__all__ = ["Told", "Totalling"]

POLL_TIMEOUT_MS: Final = 100
SEND_RECORDS_MAX: Final = 20_000
EMPTY_POLLS_MAX: Final = 300
"""Half a minute without a step towards an end that is known to be there."""

log_lines = structlog.get_logger("levsim.totals")


class Told(Struct):
    """How far it came: product NAVs read, user totals written."""

    read: int = 0
    written: int = 0


class Totalling:
    """One process.

    Args:
        log: the broker.
        topics: their names.
        totals: of our users.
        every_ns: totals are told once in so much of a shard's event time; 0 whenever newer ones are
            known.
    """

    def __init__(self, log: Log, topics: Topics, totals: Totals, every_ns: int) -> None:
        self._log = log
        self._topics = topics
        self._totals = totals
        self._every_ns = max(every_ns, 1)
        self._told: dict[int, int] = {}
        self.done = Told()

    async def run(self, stop: asyncio.Event, *, once: bool = False) -> Told:
        """Go on until ``stop`` is set, or with ``once`` until all that there is now was taken.

        Raises:
            FeedError: if the broker is away, or events were deleted.
            BadRecord: if a record is not what the engine writes.
        """
        events = await self._log.consumer(await self._starts(self._topics.events, whole=True))
        navs = await self._log.consumer(await self._starts(self._topics.nav, whole=False))
        producer = await self._log.producer()
        try:
            ends = await navs.ends() if once else None
            while not stop.is_set():
                polled = await navs.poll(timeout_ms=POLL_TIMEOUT_MS)
                for _, records in polled:
                    self._totals.take_navs(records)
                    self.done.read += len(records)
                if polled:
                    await self._catch_up(events)
                    await self._tell(producer, last=False)
                if ends is not None and reached(await navs.positions(), ends):
                    await self._tell(producer, last=True)
                    break
        finally:
            for client in (events, navs, producer):
                await client.close()
        return self.done

    async def _starts(self, topic: str, *, whole: bool) -> dict[Place, int]:
        starts = {}
        for number in range(await self._log.partitions(topic)):
            place = Place(topic, number)
            starts[place], _ = await self._log.bounds(place)
            if whole and starts[place] > 0:
                raise FeedError(
                    f"{place} begins at offset {starts[place]}: unit changes were deleted, without "
                    "which nobody knows who holds what; keep it without a time limit",
                    retriable=False,
                )
        return starts

    async def _catch_up(self, events: Consumer) -> None:
        """Take the events up to where they end now. What was written with a sample that we have is
        among them, since both became visible at once."""
        ends, empty = await events.ends(), 0
        while not reached(await events.positions(), ends):
            polled = await events.poll(timeout_ms=POLL_TIMEOUT_MS)
            for _, records in polled:
                self._totals.take_events(records)
            empty = 0 if polled else empty + 1
            if empty > EMPTY_POLLS_MAX:
                raise FeedError(f"{self._topics.events}: nothing comes up to the end of it")

    async def _tell(self, producer: Producer, *, last: bool) -> None:
        """Write the totals where it is time for new ones, the last ones of a run in any case."""
        known, told, every = self._totals.settle(), self._told, self._every_ns
        due = any(ts_ns // every > told.get(shard, -1) // every for shard, ts_ns in known.items())
        if not (due or (last and known != told)):
            return
        self._told = known
        for portion in _portions(self._totals.records()):
            await producer.send(portion)
            self.done.written += len(portion)
        log_lines.debug("totals.told", instants=known, users=len(self._totals))


def _portions(records: Iterator[Outgoing]) -> Iterator[list[Outgoing]]:
    while portion := list(islice(records, SEND_RECORDS_MAX)):
        yield portion
