"""``fanout`` and ``nav``: what stands beside the engine and reads what it says of users."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from engine.cli.kafka import AccessFile, Brokers, Prefix, reached
from engine.cli.running import Json

if TYPE_CHECKING:
    from feeds.fanout import FannedOut
    from feeds.log import Log
    from feeds.topics import Topics

__all__ = ["fanout"]

UserShards = Annotated[
    str | None,
    Parameter(
        name="--users",
        help="User shards A..B, both included: partitions of nav.users; all without it. A user's "
        "is crc32(name) modulo partitions.",
    ),
]
Once = Annotated[bool, Parameter(negative=(), help="Stop when all that is there now was taken.")]


def fanout(
    *,
    kafka: Brokers = "localhost:9092",
    prefix: Prefix = "",
    users: UserShards = None,
    once: Once = False,
    config: AccessFile = None,
    json: Json = False,
) -> int:
    """Keep the newest NAVs of each user in the compacted topic nav.latest.

    Run one process for each user shard, or range of them. It may be killed at any moment and goes
    on where it was. Ends at SIGINT or SIGTERM.
    """
    import asyncio

    from engine.cli import showing
    from feeds.topics import Topics

    topics = Topics(prefix)
    log = reached(kafka, config)
    with redirect_stdout(sys.stderr):
        done = asyncio.run(_fan_out(log, topics, users, once=once))
    if json:
        showing.emit_json({"read": done.read, "written": done.written, "refused": done.refused})
    else:
        showing.emit(
            f"{done.written:,} records of users in {topics.nav_latest} from {done.read:,} in "
            f"{topics.nav_users}, {done.refused:,} could not be read"
        )
    return 0


async def _fan_out(log: Log, topics: Topics, users: str | None, *, once: bool) -> FannedOut:
    import asyncio

    from engine.service import stop_on_signals
    from feeds.fanout import FanOut

    try:
        shards = await _user_shards(log, topics, users)
        stop = asyncio.Event()
        with stop_on_signals(stop):
            return await FanOut(log, topics, shards).run(stop, once=once)
    finally:
        await log.close()


async def _user_shards(log: Log, topics: Topics, users: str | None) -> Sequence[int]:
    """The user shards that were asked for, of those that there are."""
    from engine.errors import ConfigError

    count = await log.partitions(topics.nav_users)
    if users is None:
        return range(count)
    first, dots, last = users.partition("..")
    texts = (first, last if dots else first)
    if not all(text.isascii() and text.isdigit() for text in texts):
        raise ConfigError(f"--users must be user shards such as 0..3, was {users}")
    low, high = (int(text) for text in texts)
    if not low <= high < count:
        raise ConfigError(
            f"--users {users}: {topics.nav_users} has the user shards 0 to {count - 1}"
        )
    return range(low, high + 1)
