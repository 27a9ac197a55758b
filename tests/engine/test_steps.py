"""When a step goes: what is awaited goes at once, what nobody awaits goes later and in company."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.ports import Taken
from engine.sampler import Sampling
from engine.service import serve
from engine.steps import Observer, Pace
from engine.ticks import Marks, Step, Trades
from engine.units import HOUR_NS, SECOND_NS
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.shard import LogShard
from strategies import LeverageBand, MarginFloor
from tests import builders
from tests.engine.serving import (
    RECORDS_MAX,
    SYMBOL,
    T0,
    Audit,
    a_market,
    a_shard,
    a_spec,
    published,
    some_topics,
)
from tests.engine.test_liquidation_by_hand import a_trader, a_venue

ROWS = 2_000
NEVER_MS = 600_000.0
BAND = LeverageBand(target=3.0, low=2.9, high=3.1)
UNTOUCHED = LeverageBand(target=3.0, low=1.0, high=9.0)
LONG_AGO_MS, NOT_YET_MS = 1, 1 << 60
"""When records were written: whoever reads them is behind, or keeps up, whatever the time."""


class Wrapped:
    """A shard whose records were written then, and whose commits wait at the gate."""

    def __init__(self, shard: LogShard, written_ms: int, gate: asyncio.Event | None = None) -> None:
        self._shard = shard
        self._written_ms = written_ms
        self._gate = gate
        self.rows_read = 0

    async def open(self) -> Any:
        session = await self._shard.open()
        read, commit = session.source.read, session.sink.commit

        async def stamped(sequence: int) -> Any:
            batch = await read(sequence)
            if batch is None or not batch.ranges:
                return batch
            self.rows_read += len(batch.step)
            return replace(batch, written_ms=(self._written_ms,))

        async def gated(taken: Taken) -> None:
            if self._gate is not None:
                await self._gate.wait()
            await commit(taken)

        session.source.read, session.sink.commit = stamped, gated
        return session


class Told(Observer):
    """Keeps what was committed."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []

    def committed(self, taken: Taken, seconds: float) -> None:
        self.taken.append(taken)


async def a_run(
    pace: Pace,
    wrap: Callable[[LogShard], Any],
    band: LeverageBand = BAND,
    nav_every_ns: int = HOUR_NS,
) -> list[Taken]:
    """The steps of a market whose product trades in every third batch or so, and says no more than
    its NAV every so often."""
    log, topics, told = MemoryLog(MemoryBroker()), some_topics(), Told()
    await published(log, topics, a_market(ROWS, bad=None), "msgpack")
    spec = replace(a_spec(), sampling=Sampling(nav_every_ns=nav_every_ns), policies=((band,),))
    shard = wrap(a_shard(log, topics, spec=spec))
    _, progress = await serve(spec, shard.open, pace=pace, observer=told)
    assert (progress.mark.sequence, progress.mark.finished) == (ROWS, True)
    return told.taken


async def test_a_step_that_says_nothing_waits_for_one_that_speaks() -> None:
    """Batches without outputs go with the next one that has some; only the end of the input
    commits silence."""
    pace = Pace(step_ms=0.0, silent_ms=NEVER_MS)
    for band in (BAND, UNTOUCHED):
        taken = await a_run(pace, lambda shard: Wrapped(shard, NOT_YET_MS), band)
        spoke = [any(outputs for _, outputs in step.parts) for step in taken]
        assert all(spoke[:-1])
        assert len(spoke) == 2 if band is UNTOUCHED else len(spoke) > 2


async def test_silence_is_committed_too() -> None:
    """Rows that cause nothing do not stay uncommitted for ever: their time is up as well."""
    pace = Pace(step_ms=0.0, silent_ms=0.0)
    taken = await a_run(pace, lambda shard: Wrapped(shard, NOT_YET_MS), UNTOUCHED)
    assert any(not any(outputs for _, outputs in step.parts) for step in taken[:-1])


async def test_whoever_is_behind_takes_more_at_a_time() -> None:
    """The pause between steps is longer while rows are read long after they were written."""
    pace = Pace(step_ms=0.0, behind_ms=NEVER_MS)
    late = await a_run(pace, lambda shard: Wrapped(shard, LONG_AGO_MS))
    prompt = await a_run(pace, lambda shard: Wrapped(shard, NOT_YET_MS))
    assert len(late) == 1 < len(prompt)


async def rows_read_during_a_commit(written_ms: int) -> int:
    """Read by then, while the first commit does not end."""
    gate, wrapped = asyncio.Event(), list[Wrapped]()

    def wrap(shard: LogShard) -> Wrapped:
        wrapped.append(Wrapped(shard, written_ms, gate))
        return wrapped[0]

    pace = Pace(step_ms=0.0, behind_ms=0.0, silent_ms=0.0)
    running = asyncio.create_task(a_run(pace, wrap))
    for _ in range(2_000):
        await asyncio.sleep(0)
    rows = wrapped[0].rows_read
    gate.set()
    await running
    return rows


async def test_whoever_keeps_up_reads_nothing_during_a_commit() -> None:
    """But for the batches that were in hand when it began; whoever is behind reads on."""
    assert await rows_read_during_a_commit(NOT_YET_MS) < 8 * RECORDS_MAX
    assert await rows_read_during_a_commit(LONG_AGO_MS) == ROWS


@pytest.mark.parametrize(
    ("bound", "band", "nav_every_ns"),
    [
        ({"rows_max": 400}, UNTOUCHED, HOUR_NS),
        ({"outputs_max": 20}, BAND, HOUR_NS),
        ({"outputs_max": 20}, UNTOUCHED, SECOND_NS),
    ],
    ids=["rows", "events", "samples"],
)
async def test_a_step_is_bounded(
    bound: dict[str, int], band: LeverageBand, nav_every_ns: int
) -> None:
    """However long steps may wait, one with so many rows, or with so much to say, is committed; in
    another, that says little, all goes together."""
    pace = Pace(step_ms=NEVER_MS, behind_ms=NEVER_MS, silent_ms=NEVER_MS)
    assert len(await a_run(pace, lambda shard: shard, band, nav_every_ns)) == 1
    taken = await a_run(replace(pace, **bound), lambda shard: shard, band, nav_every_ns)
    assert 2 < len(taken) < ROWS / RECORDS_MAX / 2
    (rows,) = {len(part.step) for step in taken[:-1] for part, _ in step.parts}
    for step in taken[1:-1]:  # no clock ran before the first row
        said = [len(outputs.events) + sum(map(len, outputs.nav)) for _, outputs in step.parts]
        counts = said if "outputs_max" in bound else [rows] * len(step.parts)
        (most,) = bound.values()
        assert sum(counts) >= most > sum(counts[:-1])


async def test_a_step_keeps_the_rows_that_were_refused() -> None:
    """Of what waits for its commit, and so of what is in memory, rows are the greatest part; only a
    row that was refused is copied to the dead letters."""
    prints = a_market(ROWS, bad=None)
    trades, book = prints.tables
    assert isinstance(trades, Trades)
    price = trades.price.copy()
    price[700] = np.nan
    market = Step(first=0, end=ROWS, tables=(trades.replaced(price=price), book))
    log, topics, told = MemoryLog(MemoryBroker()), some_topics(), Told()
    await published(log, topics, market, "msgpack")
    pace = Pace(step_ms=NEVER_MS, behind_ms=NEVER_MS, silent_ms=NEVER_MS)
    await serve(a_spec(), a_shard(log, topics).open, pace=pace, observer=told)
    ((*parts, _),) = [step.parts for step in told.taken]
    kept = [batch.step for batch, _ in parts if batch.step.tables]
    assert [step.first // RECORDS_MAX for step in kept] == [1_401 // RECORDS_MAX]
    assert sum(len(batch.step) for batch, _ in parts) == ROWS


async def test_a_snapshot_comes_sooner_behind_many_rows() -> None:
    """What whoever takes a shard over has to replay is bounded in steps and in rows."""
    pace = Pace(step_ms=0.0, behind_ms=0.0, silent_ms=0.0, rows_max=1, snapshot_steps=1_000)
    taken = await a_run(pace, lambda shard: shard)
    assert all(step.snapshot is None for step in taken)
    taken = await a_run(replace(pace, snapshot_rows=500), lambda shard: shard)
    kept = [step.mark.sequence for step in taken if step.snapshot is not None]
    assert kept == [500, 1_000, 1_500, 2_000]


async def test_rows_behind_a_snapshot_count_on_in_the_next_process() -> None:
    """Processes that end again and again before they took so many rows make snapshots all the
    same; else the last of them would replay what none of them bounded."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await published(log, topics, a_market(ROWS, bad=None), "msgpack")
    pace = Pace(step_ms=0.0, behind_ms=0.0, silent_ms=0.0, rows_max=1, snapshot_steps=1_000)
    told, stops = Told(), [asyncio.Event() for _ in range(20)]

    class Ending(Told):
        def committed(self, taken: Taken, seconds: float) -> None:
            super().committed(taken, seconds)
            told.committed(taken, seconds)
            if len(self.taken) == 2:
                stop.set()

    for stop in stops:
        shard = a_shard(log, topics)
        pace = replace(pace, snapshot_rows=600)
        _, progress = await serve(a_spec(), shard.open, pace=pace, stop=stop, observer=Ending())
        if progress.mark.finished:
            break
    kept = [step.mark.sequence for step in told.taken if step.snapshot is not None]
    assert stops[2].is_set()
    assert kept == [600, 1_200, 1_800]


def a_fall() -> Step:
    """The mark goes from 100 to 85, evenly, and stays there for as long."""
    price = np.concatenate([np.linspace(100.0, 85.0, ROWS // 2), np.full(ROWS // 2, 85.0)])
    places = np.arange(ROWS)
    marks = Marks(sequence=places, symbol=0, ts_ns=T0 + places * 1_000_000, price=price)
    return Step(first=0, end=ROWS, tables=(marks,))


def fallen(*policies: Any, traders: tuple[Any, ...] = ()) -> EngineSpec:
    """Who lives through the fall: a 3x product with these policies, and these customers."""
    product = builders.a_product("BTC3L")
    spec = builders.a_spec((product, policies), markets=(a_venue(),), traders=traders)
    return replace(spec, symbols=(SYMBOL,), users=("alice", "bob"))


@pytest.mark.parametrize(
    ("spec", "cut"),
    [
        (fallen(UNTOUCHED), ""),
        (fallen(UNTOUCHED, MarginFloor(max_leverage=3.4, cut_to=3.0)), "deleveraged"),
        (
            fallen(UNTOUCHED, traders=(a_trader("long", 10_000, (0, 1_000, 100.0)),)),
            "liquidation_started",
        ),
    ],
    ids=["calm", "deleveraging", "liquidation"],
)
async def test_a_forced_cut_closes_the_step(spec: EngineSpec, cut: str) -> None:
    """However long steps may wait for company, one with a forced cut in it, ours or the venue's, is
    committed as soon as it is computed; without one all goes together."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await published(log, topics, a_fall(), "msgpack")
    pace = Pace(step_ms=NEVER_MS, behind_ms=NEVER_MS, silent_ms=NEVER_MS)
    await serve(spec, a_shard(log, topics, spec=spec).open, pace=pace)
    seen = await Audit.read(log, topics)
    told = [msgspec.json.decode(line) for line in seen.events.values()]
    cuts = [event["sequence"] for event in told if event["event"] == cut]
    assert bool(cuts) == bool(cut)
    closed = {(sequence // RECORDS_MAX + 1) * RECORDS_MAX for sequence in cuts}
    assert {step.mark.sequence for step in seen.steps} == closed | {ROWS}
