"""Snapshots in the log: in chunks that a broker takes, the last two kept, never read by halves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.errors import SnapshotError
from engine.ports import Taken
from engine.sampler import Sampling
from engine.service import serve
from engine.units import SECOND_NS
from feeds.journal import SnapshotPlace
from feeds.log import Place
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.snapshots import CHUNK_BYTES
from feeds.topics import Topics
from tests.engine.serving import (
    QUICK,
    Audit,
    Replayed,
    a_market,
    a_shard,
    a_spec,
    published,
    some_topics,
)
from tests.engine.test_service import Faulty
from tests.feeds.log_contract import read_all

HOLDERS = 150_000
"""Their units alone are more than a broker takes in one record."""
CHUNKS = 3
ROWS = 2_000
PACE = replace(QUICK, snapshot_steps=2)


def crowded() -> EngineSpec:
    """A product with so many holders, valued at the end of nothing."""
    spec = a_spec()
    product = replace(
        spec.products[0],
        population=(HOLDERS, 10**8),
        holdings=((HOLDERS, 10**9), (HOLDERS + 1, 3 * 10**9 + 1)),
    )
    sampling = Sampling(nav_every_ns=SECOND_NS)
    return replace(spec, products=(product,), population=HOLDERS, sampling=sampling)


class Stopping(Faulty):
    """A shard whose service is told to stop once a step is committed."""

    def __init__(self, shard: Any, stop: asyncio.Event, step: int) -> None:
        super().__init__(shard, lambda _: None)
        self._stop, self._step = stop, step

    async def open(self) -> Any:
        session = await super().open()
        commit = session.sink.commit

        async def counted(taken: Taken) -> None:
            await commit(taken)
            if taken.mark.step == self._step:
                self._stop.set()

        session.sink.commit = counted
        return session


async def stopped(log: MemoryLog, topics: Topics) -> SnapshotPlace:
    """A service ended in the middle of a market; where its last snapshot lies."""
    await published(log, topics, a_market(ROWS, bad=None), "msgpack")
    stop = asyncio.Event()
    shard = Stopping(a_shard(log, topics, spec=crowded()), stop, 5)
    _, progress = await serve(crowded(), shard.open, pace=PACE, stop=stop)
    assert not progress.mark.finished
    there = (await Audit.read(log, topics)).steps[-1].snapshot
    assert there is not None
    return there


async def test_a_snapshot_of_many_chunks() -> None:
    """A state larger than a record lies in several; the next process goes on from all of them, and
    says what an uninterrupted run says."""
    log, topics, spec = MemoryLog(MemoryBroker()), some_topics(), crowded()
    there = await stopped(log, topics)
    chunks = await read_all(log, topics.snapshots, start=there.first)
    assert len(chunks) == there.chunks == CHUNKS
    assert {dict(chunk.headers)["step"] for chunk in chunks} == {b"%d" % there.step}
    sizes = [len(chunk.value or b"") for chunk in chunks]
    assert sizes[:-1] == [CHUNK_BYTES] * (CHUNKS - 1)
    engine, rest = await serve(spec, a_shard(log, topics, spec=spec).open, pace=PACE)
    assert rest.replayed <= PACE.snapshot_steps
    expected = Replayed(a_market(ROWS, bad=None), spec)
    assert engine.digest() == expected.digest
    (await Audit.read(log, topics)).check(expected)


async def test_the_last_two_are_kept() -> None:
    """Older ones are let go as new ones are committed, and compaction leaves the last two whole:
    no chunk of one has the key of a chunk of the other."""
    log, topics, spec = MemoryLog(MemoryBroker()), some_topics(), crowded()
    await published(log, topics, a_market(ROWS, bad=None), "msgpack")
    await serve(spec, a_shard(log, topics, spec=spec).open, pace=PACE)
    journal = (await Audit.read(log, topics)).steps
    places = [step.snapshot for step in journal if step.snapshot is not None]
    last, before = places[-1], next(each for each in reversed(places) if each != places[-1])
    assert last.number == before.number + 1 > 3
    assert (await log.bounds(Place(topics.snapshots)))[0] == before.first
    chunks = await read_all(log, topics.snapshots, start=before.first)
    keys = [chunk.key for chunk in chunks]
    assert len(keys) == len(set(keys)) == 2 * CHUNKS
    steps = {dict(chunk.headers)["step"] for chunk in chunks}
    assert steps == {b"%d" % last.step, b"%d" % before.step}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing", r"2 chunks of the snapshot of step \d+, expected 3"),
        ("cut", r"snapshots/0 offset \d+: not a snapshot"),
        ("changed", r"snapshots/0 offset \d+: the snapshot is damaged"),
    ],
)
async def test_a_damaged_snapshot_is_refused(fault: str, said: str) -> None:
    """Whoever takes the shard over says where it lies and what is wrong, and writes nothing."""
    log, topics, spec = MemoryLog(MemoryBroker()), some_topics(), crowded()
    await stopped(log, topics)
    before = await Audit.read(log, topics)
    entries = log.broker.partition(Place(topics.snapshots)).entries
    (*_, middle, _) = [n for n, entry in enumerate(entries) if entry.record is not None]
    record = entries[middle].record
    assert record is not None
    value = record.value or b""
    damaged: dict[str, Any] = {
        "missing": {"headers": ()},
        "cut": {"value": value[:-1]},
        "changed": {"value": value[:-1] + bytes([value[-1] ^ 1])},
    }
    entries[middle] = replace(entries[middle], record=replace(record, **damaged[fault]))
    with pytest.raises(SnapshotError, match=said):
        await serve(spec, a_shard(log, topics, spec=spec).open, pace=PACE)
    after = await Audit.read(log, topics)
    assert (after.events, after.steps) == (before.events, before.steps)
