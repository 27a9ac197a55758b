"""The journal of a shard: which inputs each step took, in which order, and the engine after it.

It is written in the transaction of the step, so what it tells is in the log with everything that
followed from it, or not at all. A session begins with a marker of its own; reading ends there, and
needs neither end offsets nor a belief about which offsets hold records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec
from msgspec import Struct

from engine.endings import Ending
from engine.errors import FeedError, SnapshotError
from engine.ports import JournalledStep, Mark, Range
from feeds.codec import SCHEMA, schema_of
from feeds.log import Headers, Log, Outgoing, Place, Record

__all__ = [
    "JOURNAL",
    "Entry",
    "Journal",
    "SessionBegan",
    "SnapshotPlace",
    "StepCommitted",
    "read_until",
]

JOURNAL: Final = b"journal/1"
_LOOK_BACK: Final = 64
_POLL_MS: Final = 200
_GLIMPSES_MAX: Final = 5
_EMPTY_POLLS_MAX: Final = 150
"""A marker that is committed arrives; half a minute without a record means that it does not."""


class SnapshotPlace(Struct, frozen=True, array_like=True):
    """Where the snapshot of a step lies, and from where on to look for the steps behind it.

    Attributes:
        number: how many snapshots there were, this one included.
        step: of the mark that it holds.
        first, last: offsets of its first and its last chunk.
        chunks: how many there are.
        journal: an offset of the journal before the entry of the next step.
    """

    number: int
    step: int
    first: int
    last: int
    chunks: int
    journal: int


class SessionBegan(Struct, frozen=True, array_like=True, tag="session"):
    """An engine took the shard over."""

    shard: int
    config_hash: str
    version: str


class StepCommitted(Struct, frozen=True, array_like=True, tag="step"):
    """A step is in the log.

    Attributes:
        mark, ranges: the engine after it, and what it took.
        config_hash: another configuration must not go on from here.
        ended: inputs that had brought their last record.
        snapshot: the last one, in this step or before it.
        endings: how isolated policies came to their end in it.
        user_partitions: of the users' NAVs; 0 where nobody wrote it down.
    """

    mark: Mark
    ranges: tuple[Range, ...]
    config_hash: str
    ended: tuple[str, ...] = ()
    snapshot: SnapshotPlace | None = None
    endings: tuple[Ending, ...] = ()
    user_partitions: int = 0


Entry = SessionBegan | StepCommitted
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Entry)


class Journal:
    """The journal of one shard.

    Args:
        log: the broker.
        place: one partition a shard.
        shard: whose it is.
    """

    def __init__(self, log: Log, place: Place, shard: int) -> None:
        self.place = place
        self.shard = shard
        self._log = log
        self._headers: Headers = ((SCHEMA, JOURNAL), ("shard", b"%d" % shard))

    def record(self, entry: Entry) -> Outgoing:
        """An entry as it is sent."""
        key, place = b"%d" % self.shard, self.place
        return Outgoing(place.topic, _ENCODER.encode(entry), key, self._headers, place.partition)

    async def glimpse(self) -> StepCommitted | None:
        """One of the last steps, for who has no marker yet; none where it is not found at once.

        Raises:
            SnapshotError: if an entry cannot be read.
        """
        start, end = await self._log.bounds(self.place)
        if start == end:
            return None
        found, empty = None, 0
        consumer = await self._log.consumer({self.place: max(start, end - _LOOK_BACK)})
        try:
            stable = (await consumer.ends())[self.place]
            while (await consumer.positions())[self.place] < stable and empty < _GLIMPSES_MAX:
                polled = await consumer.poll(timeout_ms=_POLL_MS)
                empty = 0 if polled else empty + 1
                for record in (record for _, records in polled for record in records):
                    entry = self._decoded(record)
                    found = entry if isinstance(entry, StepCommitted) else found
        finally:
            await consumer.close()
        return found

    async def last(self, marker: int) -> StepCommitted | None:
        """The last step before the session's own marker."""
        start, _ = await self._log.bounds(self.place)
        back = _LOOK_BACK
        while True:
            first = max(start, marker - back)
            for entry, _ in reversed(await self.entries(first, marker)):
                if isinstance(entry, StepCommitted):
                    return entry
            if first == start:
                return None
            back *= 8

    async def steps(self, first: int | None, after: Mark, marker: int) -> list[JournalledStep]:
        """The steps behind a mark, from an offset at or before the first of them.

        Raises:
            SnapshotError: if one is missing: the journal was cut, and nothing can replace it.
        """
        if first is None:
            first, _ = await self._log.bounds(self.place)
        found: list[JournalledStep] = []
        for entry, offset in await self.entries(first, marker):
            if not isinstance(entry, StepCommitted) or entry.mark.step <= after.step:
                continue
            expected = after.step + len(found) + 1
            if entry.mark.step != expected:
                raise SnapshotError(
                    f"{self.place} offset {offset}: step {entry.mark.step}, expected {expected}; "
                    "the journal was cut. Keep it without a time limit"
                )
            found.append(JournalledStep(entry.mark, entry.ranges, entry.endings))
        return found

    async def entries(self, first: int, marker: int) -> list[tuple[Entry, int]]:
        """The entries of this shard in ``[first, marker)``, with their offsets.

        Raises:
            SnapshotError: if one cannot be read.
        """
        return [
            (self._decoded(record), record.offset)
            for record in await read_until(self._log, self.place, first, marker)
            if record.offset < marker
        ]

    async def follow(self) -> AsyncIterator[StepCommitted]:
        """All steps that are in the log by now, from the first one.

        Raises:
            SnapshotError: if one is missing or cannot be read.
        """
        start, _ = await self._log.bounds(self.place)
        consumer = await self._log.consumer({self.place: start})
        try:
            end, empty, step = (await consumer.ends())[self.place], 0, 0
            while (await consumer.positions())[self.place] < end:
                polled = await consumer.poll(timeout_ms=_POLL_MS)
                empty = 0 if polled else empty + 1
                if empty > _EMPTY_POLLS_MAX:
                    raise FeedError(f"{self.place}: nothing comes up to its end, offset {end}")
                for record in (record for _, records in polled for record in records):
                    entry, offset = self._decoded(record), record.offset
                    if isinstance(entry, StepCommitted):
                        step += 1
                        if entry.mark.step != step:
                            raise SnapshotError(
                                f"{self.place} offset {offset}: step {entry.mark.step}, expected "
                                f"{step}; the journal was cut. Keep it without a time limit"
                            )
                        yield entry
        finally:
            await consumer.close()

    def _decoded(self, record: Record) -> Entry:
        where, value = f"{self.place} offset {record.offset}", record.value or b""
        schema = schema_of(record.headers)
        if schema != JOURNAL:
            raise SnapshotError(f"{where}: schema {schema!r}, this code reads {JOURNAL!r}")
        try:
            entry: Entry = _DECODER.decode(value)
        except msgspec.MsgspecError as error:
            raise SnapshotError(f"{where}: not an entry of the journal: {error}") from error
        return entry


async def read_until(log: Log, place: Place, first: int, last: int) -> list[Record]:
    """The committed records of ``[first, last]``; ``last`` is known to be one of them.

    Raises:
        FeedError: if it does not come.
    """
    found: list[Record] = []
    consumer = await log.consumer({place: first})
    try:
        empty = 0
        while not found or found[-1].offset < last:
            polled = await consumer.poll(timeout_ms=_POLL_MS)
            for _, records in polled:
                found += records
            empty = 0 if polled else empty + 1
            if empty > _EMPTY_POLLS_MAX:
                raise FeedError(f"{place}: nothing comes up to offset {last}, which was written")
    finally:
        await consumer.close()
    return [record for record in found if record.offset <= last]
