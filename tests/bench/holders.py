"""A million holders' NAVs, each second of event time, through Kafka: ticks in, packed blocks out,
exactly once. And two shards on two cores against one.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.errors import FeedError
from engine.sampler import Sampling
from engine.service import serve
from engine.steps import Pace
from engine.units import SECOND_NS
from engine.valuing import valuation_of
from feeds.kafka import KafkaLog
from feeds.log import Place
from feeds.shard import LogShard, ShardSettings
from feeds.topics import Topics
from tests.bench.streams import TICKS_PER_SECOND, a_spec, a_tape, published
from tests.bench.table import Row, Scale
from tests.brokers.apache import apache
from tests.brokers.distribution import MissingError

__all__ = ["holders"]

USERS: Final = 1_000_000
SAMPLES: Final = 30
USER_PARTITIONS: Final = 16
RATE: Final = 5e6
SHARD_ROWS: Final = 8_000_000
SYMBOLS: Final = {0: "AAAUSDT", 1: "BBBUSDT"}


def held(users: int) -> EngineSpec:
    """One product with so many holders, valued each second."""
    spec = a_spec(("BTCUSDT",))
    product = replace(spec.products[0], population=(users, 10**9))
    sampling = Sampling(nav_every_ns=SECOND_NS, user_nav_every_ns=SECOND_NS)
    return replace(spec, products=(product,), population=users, sampling=sampling)


async def _valued(brokers: str, users: int, samples: int) -> tuple[float, float, int]:
    """Seconds of the wall and of the process, and how many NAVs are in the topic."""
    topics, spec, log = Topics("holders."), held(users), KafkaLog(brokers)
    tape = a_tape(samples * TICKS_PER_SECOND, 1)
    await published(log, topics, tape, spec.symbols, "block", USER_PARTITIONS)
    settings = ShardSettings(config_hash=spec.config_hash, finite=True)
    # Every sample is wanted here: none may give way to a newer one.
    pace = Pace(rows_max=TICKS_PER_SECOND, user_navs_max=4 * users * samples)
    wall, cpu = time.perf_counter(), time.process_time()
    await serve(spec, LogShard(log, topics, valuation_of(spec), settings).open, pace=pace)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    there = 0
    for number in range(USER_PARTITIONS):
        _, end = await log.bounds(Place(topics.nav_users, number))
        there += end
    await log.close()
    if there < samples:
        raise FeedError(f"{there} records of users' NAVs, expected at least {samples}")
    return wall, cpu, users * samples


def _holders(brokers: str, scale: Scale) -> Row:
    users, samples = (20_000, 3) if scale.smoke else (USERS, SAMPLES)
    wall, cpu, navs = asyncio.run(_valued(brokers, users, samples))
    return Row(
        name="holders",
        work=f"{users:,} holders' NAVs each second of event time, {samples} samples, ticks in, "
        "packed blocks committed",
        target=f">= {RATE / 1e6:g}M user NAVs/s",
        figure=f"{navs / wall / 1e6:.1f}M/s by the clock, {navs / cpu / 1e6:.1f}M/s of process "
        "time",
        met=navs / wall >= RATE,
        note="with taking the shard over, launching, and hashing the names once",
        details={"wall": wall, "cpu": cpu, "navs": navs},
    )


async def _shards(brokers: str, prefix: str, rows: int, together: bool) -> float:
    """Seconds until both shards are at their end, one after the other or at once."""
    log = KafkaLog(brokers)
    for number, symbol in SYMBOLS.items():
        topics = Topics(f"{prefix}{number}.")
        await published(log, topics, a_tape(rows, 1), (symbol,), "block")
    await log.close()
    began = time.perf_counter()
    running = []
    for number in SYMBOLS:
        engine = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.holders", brokers, f"{prefix}{number}."),
            SYMBOLS[number],
            stdout=asyncio.subprocess.DEVNULL,
        )
        running.append(engine)
        if not together:
            await engine.wait()
    for engine in running:
        if await engine.wait():
            raise FeedError("a shard ended with an error")
    return time.perf_counter() - began


def _scaling(brokers: str, scale: Scale) -> Row:
    rows = scale.of(SHARD_ROWS)
    alone = asyncio.run(_shards(brokers, "alone.", rows, together=False))
    both = asyncio.run(_shards(brokers, "both.", rows, together=True))
    return Row(
        name="shards",
        work=f"two shards of {rows // 1_000:,}k ticks each, a process each: at once, against one "
        "after the other",
        target="",
        figure=f"{alone / both:.2f}x ({alone:.1f} s, {both:.1f} s)",
        note="start-up of each process included; the broker shares the two cores",
        details={"alone": alone, "both": both},
    )


def holders(scale: Scale) -> list[Row]:
    """Both, on an Apache Kafka of our own."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with apache(Path(folder)) as kafka:
                return [_holders(kafka.brokers, scale), _scaling(kafka.brokers, scale)]
        except MissingError as error:
            return [Row("holders", "the service on Apache Kafka", "", f"not measured: {error}")]


async def _serve(brokers: str, prefix: str, symbol: str) -> Any:
    log, spec = KafkaLog(brokers), a_spec((symbol,))
    settings = ShardSettings(config_hash=spec.config_hash, finite=True)
    await serve(spec, LogShard(log, Topics(prefix), valuation_of(spec), settings).open)
    await log.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(_serve(*sys.argv[1:4]))
