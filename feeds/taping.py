"""A shard's input as one Parquet recording, in the order of its journal.

Between topics Kafka keeps no order; the journal does. What the engine took, as it took it, becomes
one stream of rows: ticks, rows that could not be read, and requests, each in its place, so that a
replay of the file comes to the digest of the live engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from engine.errors import InputError, SnapshotError
from engine.ports import Mark, Range
from engine.ticks import Step
from feeds.formats.format import Market
from feeds.journal import Journal
from feeds.log import Log, Place
from feeds.merge import rechunked, row_times
from feeds.parquet_schema import ROW_GROUP_ROWS
from feeds.parquet_writer import Section, write_sections
from feeds.source import LogSource
from feeds.symbols import SymbolInfo
from feeds.topics import Topics

__all__ = ["Taped", "tape"]


class Taped(Struct, frozen=True):
    """What was written: rows, up to which step of the journal, and the engine there."""

    rows: int
    mark: Mark


async def tape(
    log: Log, topics: Topics, shard: int, symbols: Sequence[SymbolInfo], path: str | Path
) -> Taped:
    """Write all that a shard has taken by now; memory is bounded by a row group.

    Args:
        log: the broker.
        topics: their names.
        shard: whose journal and inputs.
        symbols: of the shard's ticks, in the engine's order.
        path: Parquet file, replaced when all is written.

    Raises:
        InputError: if there is nothing.
        SnapshotError: if the journal or an input no longer holds what was taken.
    """
    reader = _Reader(log, topics, shard, [info.symbol for info in symbols])
    steps = reader.steps()
    first = await anext(steps, None)
    if first is None:
        await reader.close()
        raise InputError(f"{reader.journal.place}: no step was taken yet, there is nothing to tape")
    loop = asyncio.get_running_loop()

    async def following() -> Step | None:
        return await anext(steps, None)

    def rows() -> Iterator[Step]:
        step: Step | None = first
        while step is not None:
            yield step.shifted(-step.first)
            step = asyncio.run_coroutine_threadsafe(following(), loop).result()

    times = row_times(first)
    section = Section(
        markets=tuple(_market(info) for info in symbols),
        first_ns=int(times[times > 0].min()) if (times > 0).any() else 0,
        priority=0,
        blocks=lambda: rechunked(rows(), ROW_GROUP_ROWS),
    )
    try:
        written = await asyncio.to_thread(partial(write_sections, path, [section], synthetic=False))
    finally:
        await reader.close()
    return Taped(written, reader.mark)


def _market(info: SymbolInfo) -> Market:
    """Ticks now, whatever they were made of."""
    named = info.symbol, info.base, info.quote, info.contract, info.contract_size
    return Market(*named, info.kinds, None, info.mark_ns)


class _Reader:
    """The rows of the journal's steps, in its order."""

    def __init__(self, log: Log, topics: Topics, shard: int, names: Sequence[str]) -> None:
        self.journal = Journal(log, Place(topics.journal, shard), shard)
        self.mark = Mark()
        self._log = log
        self._prefix = topics.prefix
        self._places = [
            Place(topic, shard) for topic in (topics.ticks, topics.requests, topics.admin)
        ]
        self._names = names
        self._source: LogSource | None = None

    async def steps(self) -> AsyncIterator[Step]:
        """Each step that holds rows."""
        starts = {place: (await self._log.bounds(place))[0] for place in self._places}
        source = LogSource(self._log, starts, self._names, prefix=self._prefix)
        self._source = source
        kept = {
            str(Place(place.topic.removeprefix(self._prefix), place.partition)): start
            for place, start in starts.items()
        }
        sequence = 0
        async for entry in self.journal.follow():
            _require_kept(entry.ranges, kept)
            async for batch in source.again(sequence, entry.ranges):
                if len(batch.step):
                    yield batch.step
                sequence = batch.step.end
            if sequence != entry.mark.sequence:
                raise SnapshotError(
                    f"{self.journal.place}: step {entry.mark.step} ends at row "
                    f"{entry.mark.sequence}, the inputs hold rows up to {sequence}: other symbols, "
                    "or another input"
                )
            self.mark = entry.mark

    async def close(self) -> None:
        """Let go of the inputs."""
        if self._source is not None:
            await self._source.close()


def _require_kept(ranges: Sequence[Range], kept: dict[str, int]) -> None:
    """The inputs still hold what the journal took first of each; later ranges follow on."""
    for run in ranges:
        start = kept.pop(run.input, run.start)
        if start > run.start:
            raise SnapshotError(
                f"{run.input} begins at offset {start}, the journal took {run.start}: retention "
                "was shorter than the tape, and it cannot be made whole"
            )
