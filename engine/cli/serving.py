"""``serve``: the engine on Kafka."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from engine.cli.kafka import Brokers, Prefix, ensured_shards
from engine.cli.logs import Level, log_to_stderr
from engine.cli.markets import Like, Live, live_markets
from engine.cli.running import ConfigFile, Isolate, Json, PolicyName, Sets

if TYPE_CHECKING:
    from engine.beats import Beats
    from engine.engine import Engine
    from engine.service import Progress
    from engine.steps import Observer
    from engine.web.metrics import Metrics
    from feeds.kafka import KafkaLog
    from feeds.log import Log
    from feeds.shard import ShardSettings
    from feeds.topics import Topics

__all__ = ["Shard", "serve"]

LAG_SECONDS: Final = 2.0
"""Between two looks at where the inputs end."""

Shard = Annotated[int, Parameter(help="Number of this engine; part of every output's name.")]


def serve(
    *,
    kafka: Brokers = "localhost:9092",
    shard: Shard = 0,
    shards: Annotated[
        int | None, Parameter(help="Partitions of the ticks; checked, where it is given.")
    ] = None,
    config: ConfigFile = None,
    like: Like = None,
    sets: Sets = None,
    policy: PolicyName = None,
    isolate: Isolate = False,
    prefix: Prefix = "",
    user_blocks_above: Annotated[
        int | None,
        Parameter(help="Users of a product beyond whom their NAVs are packed into blocks."),
    ] = None,
    beat: Annotated[
        str | None,
        Parameter(help="Tell the time when no tick came for so long, such as 1s; never without."),
    ] = None,
    once: Annotated[bool, Parameter(negative=(), help="Stop where the publisher ended.")] = False,
    metrics: Annotated[
        int | None,
        Parameter(help="Port of /metrics, /healthz and /readyz on 127.0.0.1; 0 takes a free one."),
    ] = None,
    log_level: Level = "info",
    json: Json = False,
) -> int:
    """The engine on Kafka: ticks and requests in, events and NAVs out, exactly once.

    With several partitions of ticks a shard serves the markets whose symbols fall to its own.
    Outputs carry (shard, sequence, ordinal). Ends at SIGINT or SIGTERM, after the step in hand.
    """
    import asyncio

    from engine.beats import Beats
    from feeds.kafka import KafkaLog
    from feeds.shard import ShardSettings
    from feeds.topics import Topics
    from feeds.user_navs import USER_BLOCKS_ABOVE

    live = live_markets(config, like, sets, policy, isolate=isolate)
    access = live.settings.kafka
    above = user_blocks_above
    if above is None:
        above = access.user_blocks_above if access else USER_BLOCKS_ABOVE
    beats = Beats(0.0 if beat is None else _seconds(beat))
    own = ShardSettings(shard=shard, finite=once, user_blocks_above=above)
    log_to_stderr(log_level)
    log = KafkaLog(kafka, security=access)
    engine, done = asyncio.run(_serve(log, Topics(prefix), live, own, shards, beats, metrics))
    _tell(shard, engine, done, json=json)
    return 0


def _seconds(text: str) -> float:
    import re

    from engine.durations import DURATION_PATTERN, duration_ns
    from engine.errors import ConfigError
    from engine.units import SECOND_NS

    if not re.fullmatch(DURATION_PATTERN, text) or not duration_ns(text):
        raise ConfigError(f"--beat must be a duration such as 1s, was {text!r}")
    return duration_ns(text) / SECOND_NS


def _tell(shard: int, engine: Engine, done: Progress, *, json: bool) -> None:
    from engine.cli import showing

    told = {
        "shard": shard,
        "symbols": list(engine.spec.symbols),
        "steps": done.mark.step,
        "sequence": done.mark.sequence,
        "events": done.events,
        "replayed": done.replayed,
        "finished": done.mark.finished,
        "digest": engine.digest(),
    }
    if json:
        showing.emit_json(told)
    else:
        showing.emit(
            f"shard {shard}: {done.mark.sequence:,} rows in {done.mark.step:,} steps, "
            f"{done.events:,} events, digest {told['digest']}"
        )


async def _serve(
    log: KafkaLog,
    topics: Topics,
    live: Live,
    settings: ShardSettings,
    wanted: int | None,
    beats: Beats,
    port: int | None,
) -> tuple[Engine, Progress]:
    import asyncio
    import gc

    import structlog
    from msgspec.structs import replace

    from engine.endings import asked
    from engine.service import serve as served
    from engine.service import stop_on_signals
    from engine.valuing import valuation_of
    from feeds.shard import LogShard

    try:
        shards = await ensured_shards(log, topics, wanted)
        spec, _ = live.share(settings.shard, shards)
        names = list(spec.symbols)
        structlog.get_logger("levsim").info(
            "shard.serves", shard=settings.shard, shards=shards, symbols=names
        )
        own = replace(settings, config_hash=spec.config_hash)
        stop = asyncio.Event()
        opened = LogShard(log, topics, valuation_of(spec), own).open
        # What is imported lasts: a collector that walks it holds a commit up for 40 ms.
        gc.collect()
        gc.freeze()
        with stop_on_signals(stop), asked(spec.policies):
            async with _watched(log, topics, settings.shard, port) as observer:
                return await served(
                    spec, opened, stop=stop, hung=_end_hung, observer=observer, beats=beats
                )
    finally:
        await log.close()


def _end_hung() -> None:
    """End the process, without closing what cannot be closed; the next one recovers."""
    import os

    from engine.cli import showing

    showing.note("error: the broker answers no more: start again, to go on from the journal")
    sys.stderr.flush()
    os._exit(1)


@asynccontextmanager
async def _watched(
    log: Log, topics: Topics, shard: int, port: int | None
) -> AsyncIterator[Observer | None]:
    """An observer with its pages, told now and then where the inputs end."""
    import asyncio

    import structlog

    from engine.errors import ConfigError
    from engine.web.metrics import Metrics
    from engine.web.probes import LOOPBACK, probes
    from feeds.log import ProducerFencedError

    if port is None:
        yield None
        return
    metrics = Metrics(shard, fenced=ProducerFencedError)
    with ExitStack() as stack:
        try:
            found = stack.enter_context(probes(metrics, port))
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or error
            raise ConfigError(f"--metrics {port}: {said}; 0 takes a free one") from None
        pages = f"http://{LOOPBACK}:{found}"
        structlog.get_logger("levsim").info("metrics.served", port=found, metrics=pages)
        watching = asyncio.create_task(_watch_ends(log, topics, shard, metrics))
        try:
            yield metrics
        finally:
            watching.cancel()
            await asyncio.wait({watching})


async def _watch_ends(log: Log, topics: Topics, shard: int, metrics: Metrics) -> None:
    """A broker that is away is the service's affair; the lag is told again when it is back."""
    import asyncio

    from engine.errors import FeedError
    from feeds.log import Place

    places = [Place(topic, shard) for topic in (topics.ticks, topics.requests, topics.admin)]
    names = {place: str(place).removeprefix(topics.prefix) for place in places}
    while True:
        try:
            starts = {place: (await log.bounds(place))[0] for place in places}
            consumer = await log.consumer(starts)
            try:
                consumer.pause(places)
                while True:
                    ends = await consumer.ends()
                    metrics.ends({names[place]: end for place, end in ends.items()})
                    await asyncio.sleep(LAG_SECONDS)
            finally:
                await consumer.close()
        except FeedError:
            await asyncio.sleep(LAG_SECONDS)
