"""`nav.latest` holds the newest NAV of each user and product, whatever happens to who writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from engine.errors import FeedError
from engine.outputs import UserNavBlock
from engine.shares import value_users
from engine.users import Users
from feeds import codec
from feeds.fanout import FANOUT_POSITION, FanOut
from feeds.latest import USER_LATEST, UserLatest
from feeds.log import Log, Outgoing, Place, TopicSpec, partition_of
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import Killed, MemoryLog
from feeds.topics import Topics
from feeds.user_navs import UserNav, UserNavs, UserShards
from tests.engine.serving import some_topics
from tests.feeds.log_contract import read_all
from tests.feeds.user_records import unpacked

PARTITIONS = 3
PRODUCTS = ("BTC3L", "ETH3L")


def samples(count: int, *, first: int = 0) -> list[Outgoing]:
    """NAVs of two products in turn, as blocks and as records, from two engines."""
    users = Users(30, ["alice", "bob"])
    chance = np.random.default_rng(3)
    made: list[Outgoing] = []
    for number in range(count):
        product = number % 2
        units = chance.integers(1, 1_000, len(users))
        listed = np.array([number % 32, 31]) if number % 5 == 4 else None
        held = units if listed is None else units[np.unique(listed)]
        listed = None if listed is None else np.unique(listed)
        sample = UserNavBlock(
            number, 0, 10 * number, product, "cadence", listed, held, 10**9 + number, 50_000
        )
        shards = UserShards(PARTITIONS, users.population)
        above = 5 if number % 3 else 1_000
        recorder = UserNavs(
            "nav.users", PRODUCTS, value_users, shards, shard=product, blocks_above=above
        )
        if number >= first:
            made += recorder.records(sample, users.name)
    return made


def newest(sent: Sequence[Outgoing]) -> dict[str, tuple[UserNav, ...]]:
    """What each user must be told, by name: the newest NAV of each product."""
    found: dict[tuple[str, str], UserNav] = {}
    for record in sent:
        for nav in unpacked(record):
            known = found.get((nav.user, nav.product))
            if known is None or (nav.sequence, nav.ordinal) > (known.sequence, known.ordinal):
                found[nav.user, nav.product] = nav
    names = {user for user, _ in found}
    return {
        user: tuple(found[user, product] for product in PRODUCTS if (user, product) in found)
        for user in names
    }


async def begin(log: Log, topics: Topics) -> None:
    """The topics are there."""
    await log.create(topics.specs(user_partitions=PARTITIONS))


async def write(log: Log, topics: Topics, sent: Sequence[Outgoing], *, commit: bool = True) -> None:
    """The engine's side: a transaction."""
    producer = await log.producer(f"{topics.prefix}engine")
    await producer.begin()
    await producer.send(
        [msgspec.structs.replace(record, topic=topics.nav_users) for record in sent]
    )
    await (producer.commit() if commit else producer.abort())
    await producer.close()


async def told(log: Log, topics: Topics) -> dict[str, tuple[UserNav, ...]]:
    """The last record of each key, which lies in the partition of the user."""
    last: dict[bytes, UserLatest] = {}
    for record in await read_all(log, topics.nav_latest):
        schema = codec.schema_of(record.headers)
        if schema == FANOUT_POSITION:
            continue
        assert schema == USER_LATEST
        key = record.key or b""
        assert record.partition == partition_of(key, PARTITIONS)
        last[key] = msgspec.json.decode(record.value or b"", type=UserLatest)
        assert last[key].user == key.decode()
    return {latest.user: latest.navs for latest in last.values()}


async def fanned_out(log: Log, topics: Topics, users: Sequence[int] | None = None) -> FanOut:
    """A process took all that is there now."""
    fan_out = FanOut(log, topics, users, flush_seconds=0.0)
    await fan_out.run(asyncio.Event(), once=True)
    return fan_out


async def test_the_newest_of_each(log: Log) -> None:
    """Records and blocks of two engines come to the newest NAV of each user and product; what was
    never committed is not told."""
    topics = some_topics()
    await begin(log, topics)
    sent = samples(12)
    await write(log, topics, sent)
    await write(log, topics, samples(40, first=39), commit=False)
    done = (await fanned_out(log, topics)).done
    assert await told(log, topics) == newest(sent)
    assert (done.read, done.refused) == (len(sent), 0)


async def test_again_and_again() -> None:
    """Restarted, it goes on where it was and knows what other products a user has; what comes twice
    or late changes nothing and is not told again."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await begin(log, topics)
    sent = samples(30)
    await write(log, topics, sent[: len(sent) // 2])
    await fanned_out(log, topics)
    assert await told(log, topics) == newest(sent[: len(sent) // 2])
    await write(log, topics, sent[len(sent) // 2 :])
    second = await fanned_out(log, topics)
    assert second.done.read == len(sent) - len(sent) // 2
    assert await told(log, topics) == newest(sent)
    await write(log, topics, sent)
    third = await fanned_out(log, topics)
    assert (third.done.read, third.done.written) == (len(sent), 0)
    fourth = await fanned_out(log, topics)
    assert (fourth.done.read, fourth.done.written) == (0, 0)


@pytest.mark.parametrize("point", ["send.before", "send.half", "send.after", "poll.after"])
@pytest.mark.parametrize("passes", [1, 2, 5, 8])
async def test_killed_anywhere(point: str, passes: int) -> None:
    """Killed while it reads, while it writes and between news and position, the next process comes
    to the same."""
    broker, topics = MemoryBroker(), some_topics()
    log = MemoryLog(broker)
    await begin(log, topics)
    sent = samples(30)
    third = len(sent) // 3
    for start in range(0, len(sent), third):
        await write(log, topics, sent[start : start + third])
        doomed = MemoryLog(broker)
        doomed.kill_at(point, passes)
        try:
            await fanned_out(doomed, topics)
        except Killed:
            assert doomed.reached[point] == passes
    await fanned_out(log, topics)
    assert await told(log, topics) == newest(sent)


async def test_shared_by_processes() -> None:
    """Two processes with disjoint user shards do together what one does, each its part."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await begin(log, topics)
    sent = samples(12)
    await write(log, topics, sent)
    await fanned_out(log, topics, (0, 1))
    some = await told(log, topics)
    assert {partition_of(user.encode(), PARTITIONS) for user in some} == {0, 1}
    await fanned_out(log, topics, (2,))
    assert await told(log, topics) == newest(sent)


async def test_a_burst_is_told_once() -> None:
    """News of one user within a while are told once: many samples, one record each."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await begin(log, topics)
    sent = samples(40)
    await write(log, topics, sent)
    fan_out = FanOut(log, topics, flush_seconds=3_600.0)
    done = await fan_out.run(asyncio.Event(), once=True)
    assert await told(log, topics) == newest(sent)
    assert done.written < 3 * 32


async def test_foreign_records_are_skipped_and_counted() -> None:
    """What is no NAV of a user is left out, counted, and holds nothing up."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await begin(log, topics)
    sent = samples(6)
    schemas = (b"user-nav/1", b"user-nav-block/1", b"user-nav-block/2", b"")
    junk = [Outgoing("nav.users", b"junk", b"k", codec.schema_header(name)) for name in schemas]
    await write(log, topics, [*junk, *sent])
    assert (await fanned_out(log, topics)).done.refused == len(junk)
    assert await told(log, topics) == newest(sent)


async def test_topics_that_do_not_fit_are_refused() -> None:
    """Another number of partitions, or a topic that was created anew, ends in a sentence."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await log.create([TopicSpec(topics.nav_users, 2), TopicSpec(topics.nav_latest, 3)])
    with pytest.raises(FeedError, match="3 partitions, expected 2"):
        await fanned_out(log, topics)
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await begin(log, topics)
    await write(log, topics, samples(6))
    await fanned_out(log, topics)
    for number in range(PARTITIONS):
        partition = log.broker.partition(Place(topics.nav_users, number))
        partition.entries.clear()
    with pytest.raises(FeedError, match="another topic"):
        await fanned_out(log, topics)
