"""Topics as they are against topics as they must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from engine.errors import ConfigError
from feeds.log import Log, TopicMissingError, TopicSpec

__all__ = ["TopicState", "create_topics", "look_at"]


class TopicState(Struct, frozen=True):
    """One topic.

    Attributes:
        wanted: how it must be; what is ``None`` there is left to the broker.
        found: how it is, ``None`` where there is none.
    """

    wanted: TopicSpec
    found: TopicSpec | None

    @property
    def faults(self) -> list[str]:
        """What is wrong, a sentence each, with what to do."""
        return list(self._faults())

    def _faults(self) -> Iterator[str]:
        wanted, found = self.wanted, self.found
        if found is None:
            yield f"topic {wanted.name} does not exist: levsim topics create"
            return
        if found.partitions != wanted.partitions:
            yield (
                f"topic {wanted.name} has {found.partitions} partitions, expected "
                f"{wanted.partitions}: the count is for ever, since keys and shards would move. "
                f"Go on with {found.partitions}, or begin anew with another --prefix"
            )
        if found.compacted != wanted.compacted:
            policy = "compact,delete" if wanted.compacted else "delete"
            yield f"topic {wanted.name}: set cleanup.policy={policy}"
        if wanted.retention_ms not in (None, found.retention_ms):
            yield (
                f"topic {wanted.name} keeps records for {found.retention_ms} ms, expected "
                f"{wanted.retention_ms}: set retention.ms={wanted.retention_ms}"
            )
        if wanted.retention_bytes not in (None, found.retention_bytes):
            yield (
                f"topic {wanted.name} keeps {found.retention_bytes} bytes of a partition, expected "
                f"{wanted.retention_bytes}: set retention.bytes={wanted.retention_bytes}"
            )
        if found.replication < wanted.replication:
            yield (
                f"topic {wanted.name} has {found.replication} replicas, expected "
                f"{wanted.replication}: reassign its partitions"
            )


async def look_at(log: Log, specs: Sequence[TopicSpec]) -> list[TopicState]:
    """Each topic as it is and as it must be.

    Raises:
        FeedError: if the broker is away.
    """
    states = []
    for spec in specs:
        try:
            states.append(TopicState(spec, await log.describe(spec.name)))
        except TopicMissingError:
            states.append(TopicState(spec, None))
    return states


async def create_topics(log: Log, specs: Sequence[TopicSpec]) -> list[TopicState]:
    """Create what is missing; how all of them are then.

    Raises:
        ConfigError: if a topic has another number of partitions; none is created then.
        FeedError: if the broker is away.
    """
    before = await look_at(log, specs)
    for state in before:
        if state.found is not None and state.found.partitions != state.wanted.partitions:
            raise ConfigError(state.faults[0])
    await log.create([state.wanted for state in before if state.found is None])
    return await look_at(log, specs)
