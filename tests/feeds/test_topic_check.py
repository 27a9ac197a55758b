"""Topics that are not as they must be are told of, each with what to do."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.errors import ConfigError, SnapshotError
from feeds.log import Outgoing, TopicMissingError, TopicSpec
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.topic_check import TopicState, create_topics, look_at
from feeds.topics import Topics, ensure_topics


async def test_created_as_wanted() -> None:
    """What was created is as it must be; creating again changes nothing."""
    log, specs = MemoryLog(MemoryBroker()), Topics("a.").specs(shards=2, user_partitions=4)
    assert all(state.found is None for state in await look_at(log, specs))
    for _ in range(2):
        states = await create_topics(log, specs)
        assert [state.faults for state in states] == [[]] * len(specs)
    assert await log.partitions("a.ticks") == 2
    assert await log.partitions("a.nav.users") == 4


async def test_a_partition_count_is_for_ever() -> None:
    """Another count is refused before anything is created."""
    log = MemoryLog(MemoryBroker())
    await log.create([TopicSpec("requests", 2)])
    with pytest.raises(ConfigError, match="requests has 2 partitions, expected 1"):
        await create_topics(log, Topics().specs())
    with pytest.raises(TopicMissingError):
        await log.partitions("ticks")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"partitions": 3}, "has 3 partitions, expected 1"),
        ({"compacted": False}, "cleanup.policy=compact,delete"),
        ({"retention_ms": 604_800_000}, "retention.ms=-1"),
        ({"retention_bytes": 1_000_000}, "retention.bytes=-1"),
        ({"replication": 1}, "has 1 replicas, expected 2"),
    ],
)
def test_each_fault_is_told(change: dict[str, int], said: str) -> None:
    """Partitions, compaction, retention and replication: a sentence each."""
    wanted = TopicSpec(
        "snapshots", compacted=True, retention_ms=-1, retention_bytes=-1, replication=2
    )
    assert TopicState(wanted, wanted).faults == []
    (fault,) = TopicState(wanted, replace(wanted, **change)).faults
    assert said in fault
    assert "snapshots" in fault


async def test_a_journal_that_is_missing_beside_events() -> None:
    """It is not made anew: an engine would begin from the first row and say everything twice.
    Without anything said it is made."""
    log, topics = MemoryLog(MemoryBroker()), Topics("p.")
    await log.create([TopicSpec(topics.events)])
    await ensure_topics(log, topics)
    assert await log.partitions(topics.journal) == 1
    other = Topics("q.")
    await log.create([TopicSpec(other.events)])
    await (await log.producer()).send([Outgoing(other.events, b"said")])
    with pytest.raises(SnapshotError, match=r"q\.journal is missing, and q\.events holds records"):
        await ensure_topics(log, other)


def test_what_is_left_to_the_broker() -> None:
    """Where no retention is asked for, any is right."""
    wanted = TopicSpec("events")
    assert TopicState(wanted, replace(wanted, retention_ms=5)).faults == []
