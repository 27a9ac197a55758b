"""The broker does what tests of crashes ask: it dies, comes back with its data, and pauses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from engine.errors import FeedError
from feeds.kafka import KafkaLog
from feeds.log import Outgoing, ProducerFencedError, TopicSpec
from tests.brokers import ApacheKafka
from tests.brokers.apache import REQUIRE_VARIABLE, apache, programs
from tests.brokers.distribution import CACHE_VARIABLE
from tests.brokers.ports import listens
from tests.feeds.log_contract import read_all, values


@pytest.mark.kafka
def test_broker_is_gone_afterwards(tmp_path: Path) -> None:
    """The process ends with the fixture, paused or not."""
    with apache(tmp_path) as broker:
        port, pid = broker.port, broker.pid
        assert listens(port)
        broker.pause()
    assert not listens(port)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.kafka
@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_was_committed_survives(apache_kafka: ApacheKafka, end: str) -> None:
    """After a stop or a kill the broker comes back at its address with what it acknowledged; the
    transaction that was open is still its owner's, and its successor's to abort."""
    log = KafkaLog(apache_kafka.brokers)
    await log.create([TopicSpec("t")])
    producer = await log.producer("engine-0")
    await producer.begin()
    await producer.send([Outgoing("t", b"committed")])
    await producer.commit()
    await producer.begin()
    await producer.send([Outgoing("t", b"open")])
    first = apache_kafka.pid
    getattr(apache_kafka, end)()
    apache_kafka.start()
    assert apache_kafka.pid != first
    heir = await log.producer("engine-0")
    with pytest.raises(ProducerFencedError):
        await producer.commit()
    await heir.begin()
    await heir.send([Outgoing("t", b"heir")])
    await heir.commit()
    assert values(await read_all(log, "t")) == [b"committed", b"heir"]
    assert values(await read_all(log, "t", committed=False)) == [b"committed", b"open", b"heir"]
    for client in (producer, heir, log):
        await client.close()


@pytest.mark.kafka
async def test_broker_dies_while_it_commits(apache_kafka: ApacheKafka) -> None:
    """Whatever a commit had reached when the broker was killed, once it is back a successor finds
    all of the transaction or nothing, alike in both topics, and it stays so."""
    log = KafkaLog(apache_kafka.brokers)
    await log.create([TopicSpec("events"), TopicSpec("journal")])
    before: list[bytes | None] = []
    for number in range(3):
        producer = await log.producer("engine-0")
        await producer.begin()
        word = b"%d" % number
        await producer.send([Outgoing("events", word), Outgoing("journal", word)])
        committing = asyncio.ensure_future(producer.commit())
        for _ in range(number * 4):
            await asyncio.sleep(0)
        apache_kafka.kill()
        apache_kafka.start()
        heir = await log.producer("engine-0")
        decided = values(await read_all(log, "journal"))
        assert decided in (before, [*before, word])
        assert values(await read_all(log, "events")) == decided
        await asyncio.gather(committing, return_exceptions=True)
        assert values(await read_all(log, "journal")) == decided
        before = decided
        await heir.close()
    await log.close()


@pytest.mark.kafka
async def test_paused_broker_answers_later(apache_kafka: ApacheKafka) -> None:
    """A paused broker says nothing; when it goes on, what waited is done, once."""
    log = KafkaLog(apache_kafka.brokers)
    await log.create([TopicSpec("t")])
    producer = await log.producer()
    apache_kafka.pause()
    sending = asyncio.ensure_future(producer.send([Outgoing("t", b"late")]))
    done, _ = await asyncio.wait([sending], timeout=0.5)
    assert not done
    apache_kafka.resume()
    assert await sending == [0]
    assert values(await read_all(log, "t")) == [b"late"]
    await producer.close()
    await log.close()


@pytest.mark.kafka
async def test_broker_away_is_retriable(apache_kafka: ApacheKafka) -> None:
    """Clients that start while the broker is away learn it at once, and may try again."""
    apache_kafka.stop()
    log = KafkaLog(apache_kafka.brokers)
    with pytest.raises(FeedError) as caught:
        await log.create([TopicSpec("t")])
    assert caught.value.retriable
    apache_kafka.start()
    await log.create([TopicSpec("t")])
    assert await log.partitions("t") == 1
    await log.close()


def test_absence_is_a_skip_unless_it_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Java or Maven tests of Apache Kafka skip with the reason; where it is required, as in
    CI, they fail: a proof that was not made must not look made."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(REQUIRE_VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no java on the path"):
        programs()
    monkeypatch.setenv(REQUIRE_VARIABLE, "apache-kafka")
    with pytest.raises(pytest.fail.Exception, match=r"no java on the path.*asks for it"):
        programs()
