"""Users' NAVs on the log: packed where there are many, the newest where there is no room."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.service import serve
from feeds.codec import schema_of
from feeds.kafka import KafkaLog
from feeds.log import Log
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.topics import Topics
from feeds.user_blocks import USER_NAV_BLOCK
from tests.brokers import apache_brokers, apache_quick, kafka_brokers
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

__all__ = ["apache_brokers", "apache_quick", "kafka_brokers"]


@pytest.fixture(
    params=[
        "memory",
        pytest.param("kafka_brokers", marks=pytest.mark.kafka),
        pytest.param("apache_brokers", marks=pytest.mark.kafka),
    ]
)
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """A broker as one process sees it."""
    if request.param == "memory":
        yield MemoryLog(MemoryBroker())
        return
    log = KafkaLog(request.getfixturevalue(request.param))
    yield log
    await log.close()


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
