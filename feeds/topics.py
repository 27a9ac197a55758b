"""The topics of an engine: their names, how they must be, their creation."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from engine.errors import SnapshotError
from feeds.log import Log, Place, TopicMissingError, TopicSpec

__all__ = ["Topics", "ensure_topics", "require_journal"]

ALL: Final = -1
"""Retention, in time and in size, of what cannot be done without: the journal and the snapshots by
who recovers, the events by who values users and takes all their unit changes from there."""


class Topics(Struct, frozen=True):
    """Names of the topics: the prefix and the contract's own words."""

    prefix: str = ""

    @property
    def ticks(self) -> str:
        """In: market rows."""
        return f"{self.prefix}ticks"

    @property
    def requests(self) -> str:
        """In: creations and redemptions."""
        return f"{self.prefix}requests"

    @property
    def admin(self) -> str:
        """In: what the operator says."""
        return f"{self.prefix}admin"

    @property
    def events(self) -> str:
        """Out: every event, keyed by shard, so that a shard's events are in order."""
        return f"{self.prefix}events"

    @property
    def nav(self) -> str:
        """Out: product NAVs, keyed by product."""
        return f"{self.prefix}nav"

    @property
    def nav_users(self) -> str:
        """Out: user NAVs, keyed by user."""
        return f"{self.prefix}nav.users"

    @property
    def nav_latest(self) -> str:
        """Out: the newest NAVs of each user, keyed by user, compacted; a partition for each of
        ``nav.users``."""
        return f"{self.prefix}nav.latest"

    @property
    def nav_totals(self) -> str:
        """Out: each user's total, keyed by user; a partition for each of ``nav.users``."""
        return f"{self.prefix}nav.totals"

    @property
    def dead_letters(self) -> str:
        """Out: what was refused, as it came, keyed by shard."""
        return f"{self.prefix}dead-letters"

    @property
    def journal(self) -> str:
        """The order of the inputs, a partition a shard."""
        return f"{self.prefix}journal"

    @property
    def snapshots(self) -> str:
        """The state of each shard, compacted, a partition a shard."""
        return f"{self.prefix}snapshots"

    def specs(self, *, shards: int = 1, user_partitions: int = 1) -> list[TopicSpec]:
        """All of them, as they are to be created. What belongs to a shard has a partition each; of
        users' NAVs choose many partitions once, keys move with them."""
        names = (self.ticks, self.requests, self.admin)
        return [
            *(TopicSpec(name, shards) for name in names),
            TopicSpec(self.journal, shards, retention_ms=ALL, retention_bytes=ALL),
            TopicSpec(self.events, retention_ms=ALL, retention_bytes=ALL),
            *(TopicSpec(name) for name in (self.nav, self.dead_letters)),
            TopicSpec(
                self.snapshots,
                shards,
                compacted=True,
                retention_ms=ALL,
                retention_bytes=ALL,
                # Old snapshots are deleted by us, which a topic that is only compacted refuses.
                settings=(("cleanup.policy", "compact,delete"),),
            ),
            TopicSpec(self.nav_users, user_partitions),
            *self.stage_specs(user_partitions),
        ]

    def stage_specs(self, user_partitions: int) -> list[TopicSpec]:
        """Those that the engine neither reads nor writes: it may do without them, and without the
        right to see them."""
        return [
            TopicSpec(self.nav_latest, user_partitions, compacted=True),
            TopicSpec(self.nav_totals, user_partitions),
        ]


async def ensure_topics(
    log: Log, topics: Topics, *, shards: int = 1, user_partitions: int = 1
) -> None:
    """Create the topics of an engine that are missing.

    Raises:
        FeedError: if one exists with another number of partitions.
        SnapshotError: if the journal is missing, and something was said already.
    """
    await require_journal(log, topics)
    others = topics.stage_specs(user_partitions)
    specs = topics.specs(shards=shards, user_partitions=user_partitions)
    await log.create([spec for spec in specs if spec not in others])


async def require_journal(log: Log, topics: Topics) -> None:
    """Let nobody make a journal anew where something was said already.

    Raises:
        SnapshotError: if the journal is missing, and the events are not empty.
    """
    if await _missing(log, topics.journal) and await _written(log, topics.events):
        raise SnapshotError(
            f"topic {topics.journal} is missing, and {topics.events} holds records: it was "
            "deleted, and an engine without it says all twice. Begin anew with another --prefix"
        )


async def _missing(log: Log, topic: str) -> bool:
    try:
        await log.partitions(topic)
    except TopicMissingError:
        return True
    return False


async def _written(log: Log, topic: str) -> bool:
    """Whether anything was ever written there."""
    try:
        places = [Place(topic, number) for number in range(await log.partitions(topic))]
        return any([(await log.bounds(place))[1] > 0 for place in places])
    except TopicMissingError:
        return False
