"""``fanout`` and ``nav``: what stands beside the engine and reads what it says of users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from engine.cli.kafka import AccessFile, Brokers, Prefix, reached
from engine.cli.logs import log_to_stderr
from engine.cli.markets import Like, live_markets
from engine.cli.running import ConfigFile, Json, PolicyName, Sets

if TYPE_CHECKING:
    from feeds.fanout import FannedOut
    from feeds.log import Log
    from feeds.topics import Topics
    from feeds.totalling import Told
    from feeds.totals import FirstUnits

__all__ = ["fanout", "nav"]

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
        shards = await _user_shards(log, topics, topics.nav_latest, users)
        stop = asyncio.Event()
        with stop_on_signals(stop):
            return await FanOut(log, topics, shards).run(stop, once=once)
    finally:
        await log.close()


async def _user_shards(log: Log, topics: Topics, target: str, users: str | None) -> Sequence[int]:
    """The user shards that were asked for, of those that there are; the topic that is written is
    created where it is missing."""
    from engine.errors import ConfigError

    count = await log.partitions(topics.nav_users)
    await log.create([spec for spec in topics.stage_specs(count) if spec.name == target])
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


def nav(
    *,
    kafka: Brokers = "localhost:9092",
    prefix: Prefix = "",
    config: ConfigFile = None,
    like: Like = None,
    sets: Sets = None,
    policy: PolicyName = None,
    users: UserShards = None,
    every: Annotated[str, Parameter(help="Of event time between two totals of a user.")] = "1m",
    once: Once = False,
    json: Json = False,
) -> int:
    """Keep each user's total over all products and shards in the topic nav.totals.

    Reads product NAVs and events from their beginning, never ticks; what users held at the start
    is in the configuration that the engines serve. Run as many processes as you like, each with
    its own range of user shards. Ends at SIGINT or SIGTERM.
    """
    import asyncio

    from engine.cli import showing
    from engine.valuing import first_units
    from feeds.kafka import KafkaLog
    from feeds.topics import Topics

    topics = Topics(prefix)
    every_ns = _duration_ns(every)
    live = live_markets(config, like, sets, policy)
    log_to_stderr()
    log = KafkaLog(kafka, security=live.settings.kafka)
    first = first_units(live.whole)
    told = asyncio.run(_total(log, topics, first, users, every_ns, once=once))
    if json:
        showing.emit_json({"read": told.read, "written": told.written})
    else:
        showing.emit(
            f"{told.written:,} totals of users in {topics.nav_totals} from {told.read:,} product "
            f"NAVs in {topics.nav}"
        )
    return 0


def _duration_ns(text: str) -> int:
    from engine.config import duration_ns
    from engine.errors import ConfigError

    try:
        return duration_ns(text)
    except (ValueError, KeyError):
        raise ConfigError(f"--every must be a duration such as 1m or 500ms, was {text}") from None


async def _total(
    log: Log,
    topics: Topics,
    first: Sequence[FirstUnits],
    users: str | None,
    every_ns: int,
    *,
    once: bool,
) -> Told:
    import asyncio

    from engine.service import stop_on_signals
    from engine.shares import value_users
    from feeds.totalling import Totalling
    from feeds.totals import Totals

    try:
        shards = await _user_shards(log, topics, topics.nav_totals, users)
        count = await log.partitions(topics.nav_totals)
        totals = Totals(topics.nav_totals, count, shards, first, value_users)
        stop = asyncio.Event()
        with stop_on_signals(stop):
            return await Totalling(log, topics, totals, every_ns).run(stop, once=once)
    finally:
        await log.close()
