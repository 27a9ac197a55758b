"""Steps from a log: records are read, decoded and numbered, in the order in which they came."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from operator import attrgetter
from time import perf_counter
from typing import Final

from msgspec.structs import replace

from engine.errors import FeedError, SnapshotError
from engine.ports import CLOCK, Batch, Range, beat
from feeds.building import StepBuilder
from feeds.codec import SingleCodec
from feeds.log import RECORDS_MAX, Consumer, Log, Place, Polled, Record

__all__ = ["POLLS_MAX", "LogSource"]

POLL_TIMEOUT_MS: Final = 200
"""How long a poll waits for the first record; then it looks again."""
POLLS_MAX: Final = 8
"""Polls that make one batch where each of them brings as many records as it may: of single ticks a
batch of one poll costs as much as its rows. Who keeps up with the market polls once."""
WAITING_RECORDS_MAX: Final = 4 * RECORDS_MAX
"""Records of one partition that may wait while the journal wants those of another."""
EMPTY_POLLS_MAX: Final = 150
"""Half a minute without a record that is known to be there."""


class LogSource:
    """Reads the partitions of a shard from given positions, belongs to no group, commits nothing.

    Args:
        log: the broker.
        positions: next offset to read of each partition; nothing is started anywhere else.
        symbols: names by index; records name their symbols.
        prefix: of the topics; inputs are named without it (``ticks/0``).
        finite: stop when every partition of ticks has said that there is no more.
        ended: those that had said so before ``positions``.
        records_max: of one poll.
        polls_max: of one batch.
    """

    def __init__(
        self,
        log: Log,
        positions: Mapping[Place, int],
        symbols: Sequence[str],
        *,
        prefix: str = "",
        finite: bool = False,
        ended: Collection[str] = (),
        records_max: int = RECORDS_MAX,
        polls_max: int = POLLS_MAX,
    ) -> None:
        self._log = log
        self._positions = dict(positions)
        self._codec = SingleCodec(symbols)
        self._names = {
            place: str(Place(place.topic.removeprefix(prefix), place.partition))
            for place in positions
        }
        self._places = {name: place for place, name in self._names.items()}
        self._running = {name for name in self._places if name.startswith("ticks/")} - set(ended)
        self._finite = finite
        self._records_max = records_max
        self._polls_max = polls_max
        self._consumer: Consumer | None = None
        self._pending: deque[tuple[Place, Sequence[Record]]] = deque()
        self._paused: set[Place] = set()

    async def read(self, sequence: int) -> Batch | None:
        """The next rows, numbered from ``sequence``; none where nothing came for a while.

        Raises:
            FeedError: if the broker is away.
        """
        if not self._running and self._finite:
            return None
        builder = StepBuilder(self._codec, sequence)
        ranges, written_ms, seconds = list[Range](), list[int](), 0.0
        timeout_ms = POLL_TIMEOUT_MS
        for _ in range(self._polls_max):
            try:
                if not self._pending:
                    self._pending.extend(await self._poll(timeout_ms))
            except FeedError:
                if not ranges:
                    raise
                break  # what was taken goes first; whoever reads on meets it again
            timeout_ms = 0
            full = sum(len(records) for _, records in self._pending) >= self._records_max
            began = perf_counter()
            self._build(builder, ranges, written_ms)
            seconds += perf_counter() - began
            if self._pending or not full:
                break
        batch = self._batch(builder, tuple(ranges))
        return replace(batch, written_ms=tuple(written_ms), decode_seconds=seconds)

    def _build(self, builder: StepBuilder, ranges: list[Range], written_ms: list[int]) -> None:
        """Take what was polled until the step is full."""
        while self._pending:
            place, records = self._pending.popleft()
            taken = builder.take(self._names[place], records)
            if taken:
                end = records[taken - 1].offset + 1
                ranges.append(Range(self._names[place], records[0].offset, end))
                written_ms.append(records[taken - 1].timestamp)
                self._positions[place] = end
            if taken < len(records):
                self._pending.appendleft((place, records[taken:]))
                break

    async def again(self, sequence: int, ranges: Sequence[Range]) -> AsyncIterator[Batch]:
        """The rows of journalled ranges once more, in bounded batches without ranges.

        Raises:
            FeedError: if the broker is away, or a record of a range is in the log no more.
        """
        builder = StepBuilder(self._codec, sequence)
        for run in ranges:
            if run.input == CLOCK:
                yield self._batch(builder, ())
                sequence = builder.end
                for number, ts_ns in enumerate(range(run.start, run.end)):
                    yield Batch(beat(sequence + number, ts_ns))
                builder = StepBuilder(self._codec, sequence + run.end - run.start)
                continue
            async for records in self._between(run):
                rest = records
                while rest:
                    taken = builder.take(run.input, rest)
                    rest = rest[taken:]
                    if rest:
                        yield self._batch(builder, ())
                        builder = StepBuilder(self._codec, builder.end)
        yield self._batch(builder, ())

    async def _between(self, run: Range) -> AsyncIterator[Sequence[Record]]:
        """The records of one range; of those that come with them from elsewhere, the order is not
        ours to choose, so they wait."""
        place = self._places.get(run.input)
        if place is None:
            raise SnapshotError(f"the journal names the input {run.input}, which is not ours")
        empty = 0
        while self._positions[place] < run.end:
            found = next((part for part in self._pending if part[0] == place), None)
            if found is None:
                polled = await self._poll(POLL_TIMEOUT_MS)
                self._pending.extend(polled)
                empty = 0 if polled else empty + 1
                if empty > EMPTY_POLLS_MAX:
                    raise FeedError(
                        f"{place}: nothing comes up to offset {run.end}", retriable=True
                    )
                continue
            self._pending.remove(found)
            records = found[1]
            within = bisect_left(records, run.end, key=attrgetter("offset"))
            if within < len(records):
                self._pending.appendleft((place, records[within:]))
            if within == 0:
                raise SnapshotError(
                    f"{place}: the next record is {records[0].offset}, the journal took one below "
                    f"{run.end}; it is no longer there"
                )
            self._positions[place] = records[within - 1].offset + 1
            yield records[:within]

    def _batch(self, builder: StepBuilder, ranges: tuple[Range, ...]) -> Batch:
        self._running -= builder.ended
        return Batch(
            step=builder.step(),
            ranges=ranges,
            dead_letters=tuple(builder.dead_letters),
            ended=tuple(sorted(builder.ended)),
        )

    async def _poll(self, timeout_ms: int) -> Polled:
        if self._consumer is None:
            self._consumer = await self._log.consumer(self._positions)
        self._balance(self._consumer)
        return await self._consumer.poll(records_max=self._records_max, timeout_ms=timeout_ms)

    def _balance(self, consumer: Consumer) -> None:
        """Read no further where enough records wait already, which happens in a replay only."""
        waiting = Counter[Place]()
        for place, records in self._pending:
            waiting[place] += len(records)
        full = {place for place, count in waiting.items() if count >= WAITING_RECORDS_MAX}
        consumer.pause(full - self._paused)
        consumer.resume(self._paused - full)
        self._paused = full

    async def close(self) -> None:
        """Let go of the consumer."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.close()
