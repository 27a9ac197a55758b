"""Killed anywhere, any number of times, the service says what an uninterrupted run says, once.

The log in memory keeps what a broker would keep; each process that dies leaves an open transaction,
records that nobody acknowledged, or a commit that nobody heard of.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace

from feeds.memory_broker import MemoryBroker
from feeds.memory_log import Killed, MemoryLog
from feeds.topics import Topics
from tests.crashing import POINTS, CrashingLog
from tests.engine.serving import QUICK, Audit, Replayed, a_market, published, served, some_topics

Kill = Callable[[CrashingLog], None]
ROWS = 600
KILLS = 30
"""Kills of one history, after each of which another process goes on."""
HISTORIES = int(os.environ.get("CRASH_HISTORIES", "36"))
PACE = replace(QUICK, snapshot_steps=2)


def _die() -> None:
    raise Killed


async def until_killed(broker: MemoryBroker, topics: Topics, kill: Kill) -> str:
    """One process; the point at which it died, or nothing if it came to the end."""
    log = CrashingLog(MemoryLog(broker), topics, _die)
    kill(log)
    with suppress(Killed):
        await served(log, topics, pace=PACE)
    return log.died_at


@pytest.fixture(scope="module")
def expected() -> Replayed:
    """What an uninterrupted run says."""
    return Replayed(a_market(ROWS, bad=333))


async def a_broker(topics: Topics) -> MemoryBroker:
    """With the market in its topic of ticks."""
    broker = MemoryBroker()
    await published(MemoryLog(broker), topics, a_market(ROWS, bad=333), "msgpack")
    return broker


async def audited(broker: MemoryBroker, topics: Topics, expected: Replayed) -> Audit:
    """What is in the log after one more process, which nobody kills."""
    engine, _ = await served(MemoryLog(broker), topics, pace=PACE)
    assert engine.digest() == expected.digest
    seen = await Audit.read(MemoryLog(broker), topics)
    seen.check(expected)
    return seen


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_every_point(point: str, expected: Replayed) -> None:
    """Killed at a point on its first and on later passes, in one process after the other: a
    transaction trusted before its commit was heard of, or a position kept outside of it, would
    lose or double a step."""
    topics = some_topics()
    broker = await a_broker(topics)
    deaths = [
        await until_killed(
            broker, topics, partial(CrashingLog.crash_at, point=point, passes=passes)
        )
        for passes in (1, 1, 2, 1, 3)
    ]
    assert deaths.count(point) >= 2
    aborted = (await audited(broker, topics, expected)).aborted
    assert aborted > 0 or not point.startswith(("send.outputs.half", "send.outputs.after"))


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_killed_over_and_over(seed: int, expected: Replayed) -> None:
    """Many kills at any point of one history: what one recovery leaves is what the next one starts
    from."""
    chance = np.random.default_rng(seed)
    topics = some_topics()
    broker = await a_broker(topics)
    deaths = Counter[str]()
    for _ in range(KILLS):
        passes = int(chance.integers(1, 60))
        deaths[
            await until_killed(broker, topics, partial(CrashingLog.crash_after, passes=passes))
        ] += 1
    assert deaths.total() - deaths[""] > KILLS / 6
    assert len(deaths) > 5
    await audited(broker, topics, expected)
