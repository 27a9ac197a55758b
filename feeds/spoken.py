"""Whether an engine said anything before: what a journal that was made anew no longer tells."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from feeds.fanout import held
from feeds.log import Log, Place
from feeds.topics import Topics

__all__ = ["has_spoken"]

_EVENTS_MAX: Final = 100_000
"""Events of all shards that are looked through; those that began together are among the first."""


async def has_spoken(log: Log, topics: Topics, shard: int) -> bool:
    """Whether events of a shard are in the log.

    Raises:
        FeedError: if the broker is away.
    """
    key, looked = b"%d" % shard, 0
    places = [Place(topics.events, n) for n in range(await log.partitions(topics.events))]
    async with aclosing(held(log, places)) as found:
        async for records in found:
            if any(record.key == key for record in records):
                return True
            looked += len(records)
            if looked >= _EVENTS_MAX:
                break
    return False
