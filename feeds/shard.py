"""A shard on a log: taken over by the newest engine, each step of it one transaction.

Opening fences whoever had it before, then commits a marker to the journal: what lies before the
marker is all that will ever be of the past. From there the journal tells the last snapshot, the
steps behind it, and where every input goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain
from typing import Final

from msgspec import Struct

from engine.errors import SnapshotError
from engine.ports import JournalledStep, Mark, Recovered, Taken
from feeds.journal import Journal, SessionBegan, SnapshotPlace, StepCommitted
from feeds.log import RECORDS_MAX, Log, Outgoing, Place, Producer
from feeds.records import Recorder, Valuation
from feeds.snapshots import Kept, Snapshots
from feeds.source import POLLS_MAX, LogSource
from feeds.spoken import has_spoken
from feeds.topics import Topics
from feeds.user_navs import USER_BLOCKS_ABOVE

__all__ = ["LogShard", "ShardSettings"]

SEND_RECORDS_MAX: Final = 50_000
SEND_BYTES_MAX: Final = 16_000_000
"""Records, and bytes, handed to the client at once; bound what a million users cost in memory."""


class ShardSettings(Struct, frozen=True, kw_only=True):
    """Which shard, and how it is served.

    Attributes:
        shard: its number; it owns the partitions of that number of ``ticks``, ``requests`` and
            ``admin``, of the journal and of the snapshots.
        config_hash: another configuration must not go on with the state of this one.
        version: of the code, for whoever reads the journal.
        finite: end where the publisher ended.
        records_max, polls_max: records of one poll, and polls of one batch.
        user_blocks_above: users of a product beyond whom their NAVs are packed.
    """

    shard: int = 0
    config_hash: str = ""
    version: str = ""
    finite: bool = False
    records_max: int = RECORDS_MAX
    polls_max: int = POLLS_MAX
    user_blocks_above: int = USER_BLOCKS_ABOVE


class LogShard:
    """Opens sessions of one shard.

    Args:
        log: the broker.
        topics: their names.
        valuation: how blocks become records.
        settings: which shard.
    """

    def __init__(
        self, log: Log, topics: Topics, valuation: Valuation, settings: ShardSettings
    ) -> None:
        self._log = log
        self._topics = topics
        self._valuation = valuation
        self._settings = settings
        shard = settings.shard
        self._journal = Journal(log, Place(topics.journal, shard), shard)
        self._snapshots = Snapshots(log, Place(topics.snapshots, shard), shard)

    async def open(self) -> LogSession:
        """Take the shard over; whoever had it finds itself fenced.

        Raises:
            FeedError: if the broker is away.
            SnapshotError: if the past cannot be read, or belongs to another configuration.
        """
        # Whoever comes with another configuration shall not end the engine that runs.
        users = await self._log.partitions(self._topics.nav_users)
        self._require_same(await self._journal.glimpse(), users)
        producer = await self._log.producer(f"{self._topics.prefix}levsim-{self._settings.shard}")
        try:
            marker = await self._mark(producer)
            return await self._session(producer, marker, users)
        except BaseException:
            await producer.close()
            raise

    async def _mark(self, producer: Producer) -> int:
        settings = self._settings
        began = SessionBegan(settings.shard, settings.config_hash, settings.version)
        await producer.begin()
        (offset,) = await producer.send([self._journal.record(began)])
        await producer.commit()
        return offset

    async def _session(self, producer: Producer, marker: int, users: int) -> LogSession:
        settings = self._settings
        last = await self._journal.last(marker)
        recovered, kept = Recovered(), None
        if last is None:
            await self._require_unwritten()
        else:
            self._require_same(last, users)
            there = last.snapshot
            kept = None if there is None else await self._snapshots.read(there)
            base = Mark() if kept is None else kept.mark
            first = None if there is None else there.journal
            steps = await self._journal.steps(first, base, marker)
            recovered = Recovered(None if kept is None else kept.state, base, tuple(steps))
        source = await self._source(kept, recovered.steps)
        past = _Past(marker, users)
        if last is not None:
            past.ended, past.snapshot = set(last.ended), last.snapshot
        past.positions = {} if kept is None else dict(kept.positions)
        for step in recovered.steps:
            past.positions.update({run.input: run.end for run in step.ranges})
        recorder = Recorder(
            self._topics,
            self._valuation,
            shard=settings.shard,
            user_partitions=users,
            user_blocks_above=settings.user_blocks_above,
        )
        sink = LogSink(producer, recorder, self._journal, self._snapshots, settings, past)
        return LogSession(recovered, source, sink)

    def _require_same(self, step: StepCommitted | None, users: int) -> None:
        settings = self._settings
        if step is None:
            return
        if step.config_hash != settings.config_hash:
            raise SnapshotError(
                f"shard {settings.shard} was begun under another configuration: go on with "
                "that one, or begin anew with another --prefix"
            )
        if step.user_partitions not in (0, users):
            raise SnapshotError(
                f"topic {self._topics.nav_users} has {users} partitions, expected "
                f"{step.user_partitions}: the count is for ever, since users would move. Begin "
                "anew with another --prefix"
            )

    async def _require_unwritten(self) -> None:
        """A journal without steps is a new one: to begin anew behind one that was deleted would say
        everything twice."""
        (begins, _), place = await self._log.bounds(self._journal.place), self._journal.place
        if begins:
            why = f"it holds no step and begins at offset {begins}"
        elif await self._snapshots.any():
            why = "it holds no step, and there are snapshots of this shard"
        elif await has_spoken(self._log, self._topics, self._settings.shard):
            why = f"it holds no step, and {self._topics.events} has events of this shard"
        else:
            return
        raise SnapshotError(
            f"{place}: the journal was deleted ({why}). Begin anew with another --prefix"
        )

    async def _source(self, kept: Kept | None, steps: Sequence[JournalledStep]) -> LogSource:
        """Where the snapshot was taken, or the journal begins, or what the topics hold."""
        topics, shard = self._topics, self._settings.shard
        known: dict[str, int] = {} if kept is None else dict(kept.positions)
        for run in (run for step in steps for run in step.ranges):
            known.setdefault(run.input, run.start)
        positions = {}
        for topic in (topics.ticks, topics.requests, topics.admin):
            place = Place(topic, shard)
            name = str(Place(topic.removeprefix(topics.prefix), shard))
            start, end = await self._log.bounds(place)
            positions[place] = known.get(name, start)
            if not start <= positions[place] <= end:
                raise SnapshotError(
                    f"{place} holds offsets {start} to {end}, and the journal goes on at "
                    f"{positions[place]}: the input was deleted before it was taken for good"
                )
        return LogSource(
            self._log,
            positions,
            self._valuation.symbols,
            prefix=topics.prefix,
            finite=self._settings.finite,
            ended=() if kept is None else kept.ended,
            records_max=self._settings.records_max,
            polls_max=self._settings.polls_max,
        )


class _Past:
    """What the sink goes on from.

    Attributes:
        journal: offset of the last entry that we wrote.
        positions: next offset of each input.
        ended: inputs that brought their last record.
        snapshot: the last one.
        users: partitions of the users' NAVs.
    """

    def __init__(self, journal: int, users: int) -> None:
        self.journal = journal
        self.users = users
        self.positions: dict[str, int] = {}
        self.ended: set[str] = set()
        self.snapshot: SnapshotPlace | None = None


class LogSink:
    """Commits steps; keeps `engine.ports.Sink`."""

    def __init__(
        self,
        producer: Producer,
        recorder: Recorder,
        journal: Journal,
        snapshots: Snapshots,
        settings: ShardSettings,
        past: _Past,
    ) -> None:
        self._producer = producer
        self._recorder = recorder
        self._journal = journal
        self._snapshots = snapshots
        self._settings = settings
        self._past = past

    async def commit(self, taken: Taken) -> None:
        """Outputs, dead letters, a snapshot where there is one, and the journal: all or nothing,
        and nothing to a journal that is another topic by now."""
        past, before = self._past, self._past.journal
        past.positions.update({run.input: run.end for run in taken.ranges})
        past.ended.update(name for batch, _ in taken.parts for name in batch.ended)
        ended = tuple(sorted(past.ended))
        await self._producer.begin()
        snapshot = past.snapshot
        if taken.snapshot is not None:
            snapshot = await self._keep(taken.mark, taken.snapshot, ended)
        entry = StepCommitted(
            *(taken.mark, taken.ranges, self._settings.config_hash, ended, snapshot),
            *(taken.endings, past.users),
        )
        # The entry goes with the last of the outputs: each send waits for the broker once more.
        records = chain(self._recorder.records(taken), [self._journal.record(entry)])
        for portion in _portions(records):
            *_, past.journal = await self._producer.send(portion)
        if past.journal <= before:
            raise SnapshotError(
                f"{self._journal.place}: an entry lies at offset {past.journal}, and there was one "
                f"at {before}: the journal was made anew. Begin anew with another --prefix"
            )
        await self._producer.commit()
        if taken.snapshot is not None and past.snapshot is not None:
            await self._snapshots.prune(past.snapshot.first)
        past.snapshot = snapshot

    async def _keep(self, mark: Mark, state: bytes, ended: tuple[str, ...]) -> SnapshotPlace:
        past = self._past
        number = 1 if past.snapshot is None else past.snapshot.number + 1
        kept = Kept(mark, past.positions, ended, state, sha256(state).hexdigest())
        offsets = await self._producer.send(self._snapshots.records(number, kept))
        return SnapshotPlace(number, mark.step, offsets[0], offsets[-1], len(offsets), past.journal)

    async def close(self) -> None:
        """Let go of the producer; what is open is ended by the next session."""
        await self._producer.close()


class LogSession:
    """One engine's hold on a shard; keeps `engine.ports.Session`."""

    def __init__(self, recovered: Recovered, source: LogSource, sink: LogSink) -> None:
        self.recovered = recovered
        self.source = source
        self.sink = sink

    async def close(self) -> None:
        """Let go of both."""
        try:
            await self.source.close()
        finally:
            await self.sink.close()


def _portions(records: Iterator[Outgoing]) -> Iterator[list[Outgoing]]:
    portion, size = list[Outgoing](), 0
    for record in records:
        portion.append(record)
        size += len(record.value or b"")
        if len(portion) >= SEND_RECORDS_MAX or size >= SEND_BYTES_MAX:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
