"""The service tells the time in a quiet market, and what it told is in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.beats import Beats
from engine.clock import LEAP_NS
from engine.commands import HaltMarket
from engine.engine import Engine
from engine.ports import CLOCK, Batch, Range, beat
from engine.replay import replay
from engine.service import serve
from engine.steps import Observer
from engine.ticks import Kind, Step, Tick
from engine.units import SECOND_NS
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.publishing import publish
from feeds.recording import open_recording
from feeds.symbols import SymbolInfo
from feeds.taping import tape
from feeds.topics import ensure_topics
from tests.engine.serving import (
    QUICK,
    SYMBOL,
    T0,
    Audit,
    Replayed,
    a_market,
    a_shard,
    a_spec,
    served,
    some_topics,
)

ROWS = 200
SAID = 5


def a_clock(start: float, step: float) -> Callable[[], Any]:
    """A clock that goes on whenever somebody looks at it."""
    now = start - step

    def look() -> Any:
        nonlocal now
        now += step
        return now

    return look


def a_batch(*, rows: bool, end: int = 7) -> Batch:
    """What a read gave: a row, or nothing but silence."""
    if not rows:
        return Batch(Step(first=end, end=end))
    return Batch(Tick(int(Kind.MARK), 0, T0, (100.0,)).step(end - 1))


class TestBeats:
    """When a beat is due."""

    def test_after_the_silence_and_again(self) -> None:
        """Looked at each second, a beat comes every three, numbered behind the batch."""
        beats = Beats(3.0, lambda: T0 + 9, a_clock(0.0, 1.0))
        said = [beats.after(a_batch(rows=False), T0) for _ in range(7)]
        assert [one is not None for one in said] == [False, False, True, False, False, True, False]
        assert said[2] is not None
        assert said[2].ranges == (Range(CLOCK, T0 + 9, T0 + 10),)
        assert (said[2].step.first, said[2].step.tables[0].KIND) == (7, Kind.HEARTBEAT)
        assert said[2].step.tables[0].ts_ns.tolist() == [T0 + 9]

    def test_a_tick_is_no_silence_but_a_request_is(self) -> None:
        """Rows of the market put it off; requests alone do not."""
        beats = Beats(3.0, lambda: T0 + 9, a_clock(0.0, 1.0))
        command = HaltMarket(ts_ns=0, id="1", symbol=SYMBOL)
        asked = Batch(Step(first=7, end=8, messages=((7, command),)))
        said = [beats.after(one, T0) for one in (a_batch(rows=True), asked, asked, asked)]
        assert [one is not None for one in said] == [False, False, False, True]

    @pytest.mark.parametrize(
        ("every", "engine_ns", "wall_ns"),
        [
            (0.0, T0, T0 + 9),
            (1.0, 0, T0),
            (1.0, T0, T0),
            (1.0, T0, T0 - 1),
            (1.0, T0, T0 + LEAP_NS + 1),
        ],
    )
    def test_never(self, every: float, engine_ns: int, wall_ns: int) -> None:
        """Not unless asked for, not before the first row, not into the past, and not further than
        a row would be believed."""
        beats = Beats(every, lambda: wall_ns, a_clock(0.0, 10.0))
        assert beats.after(a_batch(rows=False), engine_ns) is None


class StopAt(Observer):
    """Ends the service once so many beats are committed."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._said = 0

    def committed(self, taken: Any, seconds: float) -> None:
        self._said += sum(run.input == CLOCK for run in taken.ranges)
        if self._said >= SAID:
            self._stop.set()


async def test_a_silent_market_is_found_out(tmp_path: Path) -> None:
    """Without a tick the beats alone make the market stale; whoever takes over replays them from
    the journal to the same state, and goes on; all of it is what one engine says of the rows and
    the beats in the order of the journal, byte for byte. So does a tape of the day say it, in which
    the beats are rows as any other."""
    log, topics, stop = MemoryLog(MemoryBroker()), some_topics(), asyncio.Event()
    market = a_market(ROWS, bad=None)
    first, second = market.between(0, 100), market.between(100, ROWS)
    await ensure_topics(log, topics, user_partitions=2)
    producer = await log.producer()
    await publish(producer, topics, [first], (SYMBOL,), form="json", end=False)
    beats = Beats(1.0, a_clock(T0 + 20 * SECOND_NS, 20 * SECOND_NS), a_clock(0.0, 1.0))
    opened = a_shard(log, topics, finite=False).open
    await serve(a_spec(), opened, pace=QUICK, stop=stop, observer=StopAt(stop), beats=beats)
    await publish(producer, topics, [second], (SYMBOL,), form="json")
    engine, progress = await served(log, topics)
    assert progress.replayed
    seen = await Audit.read(log, topics)
    told = [run for step in seen.steps for run in step.ranges if run.input == CLOCK]
    assert len(told) >= SAID
    steps, at = [], first.end
    for run in told:
        steps.append(beat(at, run.start))
        at += 1
    expected = Replayed(first, then=[*steps, second.shifted(at - second.first)])
    assert engine.digest() == expected.digest
    seen.check(expected)
    events = [msgspec.json.decode(line) for line in expected.events]
    stale = next(event for event in events if event["event"] == "market_stale")
    assert (stale["reason"], stale["sequence"]) == ("gap", 103)
    info = SymbolInfo(SYMBOL, "BTC", "USDT", "linear", 1.0, tuple(Kind))
    taped = await tape(log, topics, 0, [info], tmp_path / "day.parquet")
    assert taped.rows == ROWS + len(told)
    again = Engine(a_spec())
    replay(again, open_recording([tmp_path / "day.parquet"]).steps(), lambda _: None)
    assert again.digest() == engine.digest()
