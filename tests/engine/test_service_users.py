"""Users' NAVs on the log: packed where there are many, the newest where there is no room."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.conflation import count_user_navs
from engine.engine import EngineSpec
from engine.outputs import Outputs
from engine.ports import Batch, Taken
from engine.service import serve
from engine.steps import Observer
from feeds.codec import schema_of
from feeds.log import Log
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.shard import LogShard
from feeds.topics import Topics
from feeds.user_blocks import USER_NAV_BLOCK
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
from tests.feeds.log_contract import read_all


def many_users() -> EngineSpec:
    """Forty numbered users besides the named ones."""
    spec = a_spec()
    product = replace(
        spec.products[0], population=(40, 10**8), holdings=((40, 10**9), (41, 3 * 10**9 + 1))
    )
    return replace(spec, products=(product,), population=40)


async def test_packed_on_the_log(log: Log) -> None:
    """Where a product has more users than configured their NAVs go out in blocks, at the cadence
    and at once when it traded: the same names, units and values as one record a user."""
    market, spec = a_market(600, bad=333), many_users()
    single, packed = some_topics(), some_topics()
    for topics, above in ((single, 42), (packed, 41)):
        await published(log, topics, market)
        shard = a_shard(log, topics, spec=spec, user_blocks_above=above)
        await serve(spec, shard.open, pace=QUICK)
    one, other = await Audit.read(log, single), await Audit.read(log, packed)
    other.check(Replayed(market, spec))
    assert other.users == one.users
    schemas = [await schemas_of(log, topics) for topics in (single, packed)]
    assert schemas == [{b"user-nav/1"}, {USER_NAV_BLOCK}]
    navs = [msgspec.json.decode(value) for value in other.users.values()]
    assert {nav["user"] for nav in navs} == {"alice", "bob", *(f"u{n}" for n in range(1, 41))}
    traded = [
        event["ts_ns"]
        for event in map(msgspec.json.decode, other.events.values())
        if event["event"] == "rebalanced"
    ]
    assert traded
    assert set(traded) <= {nav["ts_ns"] for nav in navs}


async def schemas_of(log: Log, topics: Topics) -> set[bytes]:
    """The forms that users' NAVs have."""
    return {schema_of(record.headers) for record in await read_all(log, topics.nav_users)}


QUIET_TURNS = 1_000


class Watcher(Observer):
    """Notes what a step holds when it is committed, and what gave way."""

    def __init__(self) -> None:
        self.committed_user_navs: list[int] = []
        self.gave_way = 0
        self.rows = 0

    def processed(self, batch: Batch, outputs: Outputs, seconds: float) -> None:
        self.rows += len(batch.step)

    def conflated(self, user_navs: int) -> None:
        self.gave_way += user_navs

    def committed(self, taken: Taken, seconds: float) -> None:
        self.committed_user_navs.append(sum(count_user_navs(part) for _, part in taken.parts))


class SlowShard:
    """A shard on a broker whose commits wait at the gate."""

    def __init__(self, shard: LogShard, gate: asyncio.Event) -> None:
        self._shard = shard
        self._gate = gate

    async def open(self) -> Any:
        session = await self._shard.open()
        commit = session.sink.commit

        async def slow(taken: Taken) -> None:
            await self._gate.wait()
            await commit(taken)

        session.sink.commit = slow
        return session


async def stood_still(watcher: Watcher) -> int:
    """Rows, once there were some and no more came for a thousand turns of the loop: how many turns
    the rest of the service needs, only a clock would say."""
    quiet, seen = 0, 0
    while quiet < QUIET_TURNS:
        await asyncio.sleep(0)
        quiet = quiet + 1 if seen == watcher.rows > 0 else 0
        seen = watcher.rows
    return seen


async def test_user_navs_give_way_on_a_slow_broker() -> None:
    """While a commit hangs the heart goes on up to a full step, whose user NAVs stay bounded; then
    it waits. Every event and every NAV of a product is there in the end, and of users' NAVs the
    newest of each."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    market, spec = a_market(3_000, bad=333), many_users()
    spec = replace(spec, sampling=replace(spec.sampling, user_nav_every_ns=200_000_000))
    expected = Replayed(market, spec)
    await published(log, topics, market, "msgpack")
    watcher, gate = Watcher(), asyncio.Event()
    shard = SlowShard(a_shard(log, topics, spec=spec), gate)
    pace = replace(QUICK, rows_max=1_000, user_navs_max=1_000, step_ms=1.0)
    running = asyncio.create_task(serve(spec, shard.open, pace=pace, observer=watcher))
    stalled = await stood_still(watcher)
    assert 1_000 < stalled < 2_000
    assert await stood_still(watcher) == stalled
    gate.set()
    await running
    seen = await Audit.read(log, topics)
    assert [seen.events[name] for name in sorted(seen.events)] == expected.events
    assert set(seen.navs) == expected.navs
    assert max(watcher.committed_user_navs) <= 1_000
    assert watcher.gave_way > 1_000
    assert len(seen.users) == len(expected.users) - watcher.gave_way
    assert set(seen.users) < expected.users
    newest = max(sequence for sequence, _ in expected.users)
    assert {name for name in expected.users if name[0] == newest} <= set(seen.users)
