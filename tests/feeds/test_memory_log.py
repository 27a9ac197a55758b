"""The log in memory keeps the contract, and dies where a test tells it to."""

from __future__ import annotations

import asyncio

import pytest

from engine.errors import FeedError
from feeds.log import Log, Outgoing, Place, ProducerFencedError, TopicSpec
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import KILL_POINTS, Killed, MemoryLog
from tests.feeds.exactly_once_contract import ExactlyOnceContract
from tests.feeds.log_contract import LogContract, read_all, values


class TestContract(LogContract, ExactlyOnceContract):
    """The contract, in memory."""

    @pytest.fixture
    def log(self) -> Log:
        return MemoryLog(MemoryBroker())


async def _step(log: MemoryLog, number: int) -> None:
    """One step of an engine that holds its outputs and its journal in one transaction."""
    producer = await log.producer("engine-0")
    await producer.begin()
    await producer.send([Outgoing("events", b"%d" % number), Outgoing("journal", b"%d" % number)])
    await producer.commit()


@pytest.mark.parametrize(
    "point", [p for p in KILL_POINTS if p.split(".")[0] not in ("abort", "poll")]
)
async def test_killed_anywhere(point: str) -> None:
    """Wherever the process dies, output and journal agree once a successor has started: a broker
    that showed half a transaction, or lost a commit nobody heard of, would break it."""
    broker = MemoryBroker()
    setup = MemoryLog(broker)
    await setup.create([TopicSpec("events"), TopicSpec("journal")])
    await _step(setup, 0)
    process = MemoryLog(broker)
    process.kill_at(point)
    with pytest.raises(Killed):
        await _step(process, 1)
    assert process.reached[point] == 1
    with pytest.raises(Killed):
        await process.producer("engine-0")
    heir = MemoryLog(broker)
    await heir.producer("engine-0")
    events = values(await read_all(heir, "events"))
    assert events == values(await read_all(heir, "journal"))
    assert events == ([b"0", b"1"] if point in ("commit.unknown", "commit.after") else [b"0"])


async def test_half_sent_is_in_the_log() -> None:
    """A kill in the middle of sending leaves unacknowledged records behind: a log that dropped them
    would never show a reader that trusts uncommitted data."""
    broker = MemoryBroker()
    log = MemoryLog(broker)
    await log.create([TopicSpec("t")])
    log.kill_at("send.half")
    producer = await log.producer()
    with pytest.raises(Killed):
        await producer.send([Outgoing("t", b"%d" % number) for number in range(4)])
    assert values(await read_all(MemoryLog(broker), "t")) == [b"0", b"1"]


async def test_killed_escapes_handlers() -> None:
    """``except Exception`` cannot survive a kill."""
    assert not issubclass(Killed, Exception)
    with pytest.raises(ValueError, match="kill point"):
        MemoryLog(MemoryBroker()).kill_at("nowhere")


async def test_broker_away_and_back() -> None:
    """A broker that is away is a retriable error, and nothing it held is gone."""
    broker = MemoryBroker()
    log = MemoryLog(broker)
    await log.create([TopicSpec("t")])
    producer = await log.producer()
    await producer.send([Outgoing("t", b"before")])
    broker.available = False
    with pytest.raises(FeedError) as caught:
        await producer.send([Outgoing("t", b"during")])
    assert caught.value.retriable
    broker.available = True
    await producer.send([Outgoing("t", b"after")])
    assert values(await read_all(log, "t")) == [b"before", b"after"]


async def test_expired_transaction() -> None:
    """The broker's time-out aborts a hung transaction, and its owner learns that it is fenced."""
    broker = MemoryBroker()
    log = MemoryLog(broker)
    await log.create([TopicSpec("t")])
    producer = await log.producer("engine-0")
    await producer.begin()
    await producer.send([Outgoing("t", b"hung")])
    broker.expire("engine-0")
    with pytest.raises(ProducerFencedError):
        await producer.commit()
    assert values(await read_all(log, "t")) == []


async def test_full_partition_starves_nobody() -> None:
    """A request is read although ticks never end."""
    log = MemoryLog(MemoryBroker())
    await log.create([TopicSpec("requests"), TopicSpec("ticks")])
    producer = await log.producer()
    await producer.send([Outgoing("ticks", b"t") for _ in range(100)])
    await producer.send([Outgoing("requests", b"r")])
    consumer = await log.consumer({Place("ticks"): 0, Place("requests"): 0})
    seen = [place.topic for _ in range(2) for place, _ in await consumer.poll(records_max=10)]
    assert "requests" in seen


async def test_poll_wakes_on_write() -> None:
    """A waiting reader returns when something is written, not when its time is over."""
    log = MemoryLog(MemoryBroker())
    await log.create([TopicSpec("t")])
    consumer = await log.consumer({Place("t"): 0})
    waiting = asyncio.create_task(consumer.poll(timeout_ms=60_000))
    await asyncio.sleep(0)
    producer = await log.producer()
    await producer.send([Outgoing("t", b"x")])
    ((_, records),) = await asyncio.wait_for(waiting, 5)
    assert values(records) == [b"x"]
