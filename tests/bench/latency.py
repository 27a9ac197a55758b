"""From a tick to what follows from it: how long until a reader of committed records has it.

Ticks are sent by the clock, each at its own instant, whatever comes back (no coordinated omission):
an answer that is late makes the next ones no earlier. The service is a process of its own, and the
broker another; all of them share the machine. A latency runs from the instant at which the tick was
to be sent to the instant at which the reader held the record.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from msgspec import Struct

from engine.engine import EngineSpec
from engine.errors import FeedError
from engine.market import MarketSpec
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.service import serve
from engine.units import SECOND_NS
from engine.valuing import valuation_of
from engine.venue.contract_spec import ContractSpec
from feeds import codec
from feeds.kafka import KafkaLog
from feeds.log import BATCH_BYTES_MAX, Log, Place
from feeds.shard import LogShard, ShardSettings
from feeds.topics import Topics, ensure_topics
from strategies import LeverageBand, MarginFloor
from tests.bench.table import Row, Scale
from tests.brokers.apache import apache
from tests.brokers.distribution import MissingError

__all__ = ["latency"]

RATES: Final = (1_000, 10_000, 50_000)
SECONDS: Final = 12
JUDGED: Final = (10_000, 20.0)
"""DESIGN 9: at 10,000 ticks a second, 99 % of the deleveragings committed within 20 ms."""
JUDGED_SECONDS: Final = 30
"""Of a few hundred, 1 % are not yet many."""
TOOTH_SECONDS: Final = 0.1
"""The price saws down 12 % and up again: one or two deleveragings a tooth, some 20 ms apart."""
SLICE_SECONDS: Final = 0.002
SLICE_ROWS_MAX: Final = 5_000
"""Of one batch, where the sender was held up."""
WARM_SECONDS: Final = 2.0
BROKER_WARM: Final = (10_000, 45.0)
"""Ticks a second, and for how long: Java compiles what it runs often, and brokers run for weeks."""
SERVICE: Final = "tests.bench.latency"
FLOOR: Final = "tests.bench.floor"
SYMBOL: Final = "SAWUSDT"
NAV_NS: Final = SECOND_NS // 20


def a_spec() -> EngineSpec:
    """A 3x product that is cut at 3.4x and brought back at 2.8x."""
    return EngineSpec(
        symbols=(SYMBOL,),
        markets=(
            MarketSpec(
                symbol=0,
                contract=ContractSpec(symbol=SYMBOL, base="SAW", quote="USDT"),
                mark_source="mark",
            ),
        ),
        products=(ProductSpec(id="SAW3L", market=0, seed_atoms=10**12),),
        policies=(
            (
                LeverageBand(target=3.0, low=2.8, high=9.0),
                MarginFloor(max_leverage=3.4, cut_to=3.0),
            ),
        ),
        sampling=Sampling(nav_every_ns=NAV_NS),
        config_hash="latency",
    )


class Sent(Struct):
    """When each row was to be sent, by the monotonic clock, and how late the sender itself was."""

    began: float
    rate: int
    late_ms_max: float = 0.0

    def at(self, sequence: int) -> float:
        """The instant of a row."""
        return self.began + sequence / self.rate

    def due(self, now: float) -> int:
        """The first row that is to be sent later than that."""
        return int((now - self.began) * self.rate) + 1


def _ticks(rate: int, seconds: float) -> list[bytes]:
    """Marks of a sawtooth, as msgpack."""
    rows = int(rate * seconds)
    phase = (np.arange(rows) / (rate * TOOTH_SECONDS)) % 1.0
    price = 100.0 - 12.0 * (1.0 - np.abs(2.0 * phase - 1.0))
    t0 = 1_700_000_000 * SECOND_NS
    encode = msgspec.msgpack.Encoder().encode
    gap_ns = SECOND_NS // rate
    return [encode([2, SYMBOL, t0 + n * gap_ns, p]) for n, p in enumerate(price.tolist())]


async def _send(brokers: str, topics: Topics, rate: int, seconds: float) -> Sent:
    """The ticks that are due, a slice of them at least, whatever the broker answered to those
    before: whoever waits for its answer sends no faster than it answers. A slice is one batch,
    since tick by tick the client takes a third of a core that the broker needs."""
    import aiokafka  # type: ignore[import-untyped]

    headers = list(codec.schema_header(codec.TICK_MSGPACK))
    ticks = _ticks(rate, seconds)
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=brokers, enable_idempotence=True, max_batch_size=BATCH_BYTES_MAX
    )
    await producer.start()
    # The first one finds out where the partition lives; the clock starts with the second.
    await producer.send_and_wait(topics.ticks, ticks[0], partition=0, headers=headers)
    sent = Sent(time.perf_counter(), rate)
    size = max(1, int(rate * SLICE_SECONDS))
    done = 1
    while done < len(ticks):
        due = sent.at(min(done + size, len(ticks)) - 1)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        end = min(sent.due(time.perf_counter()), len(ticks), done + SLICE_ROWS_MAX)
        batch = producer.create_batch()
        for tick in ticks[done:end]:
            batch.append(key=None, value=tick, timestamp=None, headers=headers)
        await producer.send_batch(batch, topics.ticks, partition=0)
        sent.late_ms_max = max(sent.late_ms_max, (time.perf_counter() - due) * 1e3)
        done = end
    end_header = list(codec.schema_header(codec.END))
    value = codec.encode_json(codec.End(len(ticks)))
    await producer.send_and_wait(topics.ticks, value, partition=0, headers=end_header)
    await producer.stop()
    return sent


async def _receive(log: Log, topics: Topics, done: asyncio.Event) -> dict[str, list[Any]]:
    """Committed records with the instant at which they were held, until nothing more comes."""
    consumer = await log.consumer({Place(topics.events): 0, Place(topics.nav): 0})
    held: dict[str, list[Any]] = {"events": [], "nav": []}
    quiet = 0
    while quiet < 10:
        polled = await consumer.poll(timeout_ms=100)
        now = time.perf_counter()
        for place, records in polled:
            name = place.topic.removeprefix(topics.prefix)
            held[name] += [(record.value, now) for record in records]
        quiet = quiet + 1 if done.is_set() and not polled else 0
    await consumer.close()
    return held


async def _measure(brokers: str, rate: int, seconds: float, module: str) -> dict[str, Any]:
    """What a process of that module says to ticks, and when."""
    topics = Topics(f"{module.rpartition('.')[2]}-{rate}-{seconds}.")
    log = KafkaLog(brokers)
    await ensure_topics(log, topics)
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, brokers, topics.prefix),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # The session's own marker is the first thing in the journal: then whoever writes is there.
        journal = await log.consumer({Place(topics.journal): 0})
        began = await journal.poll(timeout_ms=30_000)
        await journal.close()
        if not began:
            raise FeedError("the service did not start")
        await asyncio.sleep(1.0)
        done = asyncio.Event()
        gc.freeze()  # a sender that collects what it has imported keeps no schedule
        receiving = asyncio.create_task(_receive(log, topics, done))
        sent = await _send(brokers, topics, rate, seconds)
        await asyncio.wait_for(engine.wait(), 120)
        done.set()
        held = await receiving
        gc.unfreeze()
    finally:
        if engine.returncode is None:
            engine.kill()
        await log.close()
    waits: dict[str, list[float]] = {"deleveraged": [], "nav": []}
    first = rate * WARM_SECONDS
    for name, records in held.items():
        for value, now in records:
            said = msgspec.json.decode(value)
            kind = "nav" if name == "nav" else said["event"]
            if kind in waits and said["sequence"] >= first:
                waits[kind].append((now - sent.at(said["sequence"])) * 1e3)
    return {"waits": waits, "late_ms_max": sent.late_ms_max}


def _quantiles(waits: list[float]) -> str:
    p50, p99, p999 = np.percentile(waits, [50.0, 99.0, 99.9])
    return f"p50 {p50:.1f}, p99 {p99:.1f}, p99.9 {p999:.1f} ms ({len(waits):,})"


def latency(scale: Scale) -> list[Row]:
    """At three rates, one after the other; at each the floor first, then the service."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            with apache(Path(folder), shipped=True) as kafka:
                measure = partial(_measured, kafka.brokers)
                if not scale.smoke:
                    measure(*BROKER_WARM, SERVICE)
                for rate in RATES[: 1 if scale.smoke else None]:
                    seconds = JUDGED_SECONDS if rate == JUDGED[0] else SECONDS
                    seconds = 3 if scale.smoke else seconds
                    floor, found = (measure(rate, seconds, which) for which in (FLOOR, SERVICE))
                    rows.append(_row(rate, seconds, floor, found))
        except MissingError as error:
            return [Row("latency", "the service on Apache Kafka", "", f"not measured: {error}")]
    return rows


def _measured(brokers: str, rate: int, seconds: float, module: str) -> dict[str, Any]:
    return asyncio.run(_measure(brokers, rate, seconds, module))


def _row(rate: int, seconds: float, floor: dict[str, Any], found: dict[str, Any]) -> Row:
    judged, limit_ms = JUDGED
    waits = found["waits"]["deleveraged"]
    met = float(np.percentile(waits, 99.0)) <= limit_ms if rate == judged else None
    late_ms = max(floor["late_ms_max"], found["late_ms_max"])
    return Row(
        name="latency",
        work=f"{rate:,} single ticks/s for {seconds} s; tick to committed Deleveraged, to "
        "committed NAV; bare aiokafka: to one committed record",
        target=f"p99 <= {limit_ms:g} ms" if rate == judged else "",
        figure=f"Deleveraged {_quantiles(waits)}\nNAV {_quantiles(found['waits']['nav'])}\n"
        f"bare aiokafka {_quantiles(floor['waits']['deleveraged'])}",
        met=met,
        note=f"by the sender's schedule, which it kept within {late_ms:.0f} ms; "
        "broker, consumer, sender and reader on the same cores",
        details={"service": found, "floor": floor},
    )


async def _serve(brokers: str, prefix: str) -> None:
    log, spec = KafkaLog(brokers), a_spec()
    await log.partitions(Topics(prefix).ticks)  # imports the client
    gc.collect()
    gc.freeze()  # as the command does
    settings = ShardSettings(config_hash=spec.config_hash, finite=True)
    await serve(spec, LogShard(log, Topics(prefix), valuation_of(spec), settings).open)
    await log.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(_serve(*sys.argv[1:3]))
