"""``publish``, and what all commands that speak to Kafka share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from engine.cli.logs import log_to_stderr
from engine.cli.running import DataFiles, Json, Quiet, SymbolName

if TYPE_CHECKING:
    from engine.provenance import Data
    from feeds.kafka import KafkaLog
    from feeds.log import Log
    from feeds.pacing import Pacer
    from feeds.publishing import TickForm
    from feeds.topics import Topics

__all__ = ["PARTITIONS_MAX", "AccessFile", "Brokers", "Prefix"]
__all__ += ["ensured_shards", "publish", "reached", "require_count"]

PARTITIONS_MAX: int = 10_000
"""As many as Apache Kafka makes at one request."""

Brokers = Annotated[str, Parameter(name="--kafka", help="host:port, several separated by commas.")]
Prefix = Annotated[str, Parameter(help="Of the topics' names.")]
AccessFile = Annotated[
    Path | None,
    Parameter(name=["--config", "-c"], help="TOML whose [kafka] says how brokers are reached."),
]


def reached(brokers: str, config: Path | None) -> KafkaLog:
    """The brokers, as the configuration says that they are reached."""
    from engine.config import load_config
    from feeds.kafka import KafkaLog

    log_to_stderr()
    return KafkaLog(brokers, security=None if config is None else load_config(config).kafka)


def require_count(option: str, given: int | None, most: int) -> None:
    """Refuse a count that is none.

    Raises:
        ConfigError: naming the option.
    """
    from engine.errors import ConfigError

    if given is not None and not 1 <= given <= most:
        raise ConfigError(f"--{option} must be from 1 to {most:,}, was {given:,}")


def publish(
    *data: DataFiles,
    kafka: Brokers = "localhost:9092",
    prefix: Prefix = "",
    form: Annotated[
        Literal["block", "msgpack", "json"], Parameter(help="Blocks of rows, or a record a row.")
    ] = "block",
    speed: Annotated[
        str, Parameter(help="recorded, xN (N seconds a second), or max: as fast as possible.")
    ] = "max",
    symbol: SymbolName = None,
    config: AccessFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write market data to the topic of ticks, each symbol to the partition of its name.

    The partition is crc32(symbol) modulo partitions; topics that are missing are created with one.
    """
    import asyncio

    from engine import api
    from engine.cli import showing
    from feeds.topics import Topics

    pacer = _pacer(speed)
    opened = api.open_data(list(data), symbol)
    topics = Topics(prefix)
    if not quiet:
        showing.note(f"publishing to {topics.ticks} at {kafka}")
    rows = asyncio.run(_publish(opened, topics, reached(kafka, config), form, pacer))
    if json:
        showing.emit_json({"topic": topics.ticks, "rows": rows})
    else:
        showing.emit(f"published {rows:,} rows of {len(opened.symbols)} symbols to {topics.ticks}")
    return 0


def _pacer(speed: str) -> Pacer | None:
    from engine.errors import ConfigError
    from feeds.pacing import RECORDED, Pacer

    if speed == "max":
        return None
    if speed == "recorded":
        return Pacer(RECORDED)
    try:
        return Pacer(float(speed.removeprefix("x")) if speed[:1] == "x" else 0.0)
    except ValueError:
        raise ConfigError(
            f"--speed must be recorded, xN such as x60, or max, was {speed}"
        ) from None


async def _publish(
    opened: Data, topics: Topics, log: KafkaLog, form: TickForm, pacer: Pacer | None
) -> int:
    from feeds.log import TopicMissingError
    from feeds.publishing import publish as published

    try:
        try:
            # Who only writes ticks need not see the other topics.
            partitions = await log.partitions(topics.ticks)
        except TopicMissingError:
            partitions = await ensured_shards(log, topics, None)
        producer = await log.producer()
        try:
            names = [info.symbol for info in opened.symbols]
            return await published(
                producer,
                topics,
                opened.steps(),
                names,
                form=form,
                partitions=partitions,
                pacer=pacer,
            )
        finally:
            await producer.close()
    finally:
        await log.close()


async def ensured_shards(log: Log, topics: Topics, wanted: int | None) -> int:
    """Partitions of the topic of ticks, each a shard's; topics that are missing are created."""
    from engine.errors import ConfigError
    from feeds.log import TopicMissingError
    from feeds.topics import ensure_topics

    require_count("shards", wanted, PARTITIONS_MAX)
    try:
        there = await log.partitions(topics.ticks)
    except TopicMissingError:
        there = wanted or 1
    if wanted not in (None, there):
        raise ConfigError(
            f"topic {topics.ticks} has {there} partitions, --shards says {wanted}: the count is "
            "for ever, since the symbols would move"
        )
    try:
        users = await log.partitions(topics.nav_users)
    except TopicMissingError:
        users = 1
    await ensure_topics(log, topics, shards=there, user_partitions=users)
    return there
