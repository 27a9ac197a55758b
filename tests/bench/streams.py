"""The service on Apache Kafka against consumers that do nothing: what exactly once costs.

The bare consumers read the same topic on the same broker and decode the same columns, turn and turn
about with the service, which computes, publishes events and NAVs, and commits. The broker shares
the machine with all of them.
"""

from __future__ import annotations

import asyncio
import struct
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.engine import EngineSpec
from engine.errors import InvariantError
from engine.market import MarketSpec
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.service import Progress, serve
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.valuing import valuation_of
from engine.venue.contract_spec import ContractSpec
from feeds import codec
from feeds.blocks import encode_block
from feeds.kafka import KafkaLog
from feeds.log import Outgoing
from feeds.publishing import tick_messages
from feeds.shard import LogShard, ShardSettings
from feeds.topics import Topics, ensure_topics
from strategies import LeverageBand
from tests.bench.table import Row, Scale
from tests.brokers.apache import apache
from tests.brokers.distribution import MissingError

__all__ = ["streams"]

BLOCK_ROWS: Final = 500
T0: Final = 1_700_000_000 * SECOND_NS
TICKS_PER_SECOND: Final = 1_000
"""Of event time and symbol; a product's NAV is published each second."""
HEADER: Final = struct.Struct("<HBBII")
BLOCK_TICKS: Final = 8_000_000
"""A stream's rate is asked for: of half as many, a tenth of the time goes for taking the shard
over."""
TARGETS: Final = {("block", 1): 0.60, ("block", 20): 0.45, ("single", 1): 0.50}
END_BYTES_MAX: Final = 18
"""The record that ends the tape is no longer than this, and every tick is."""
POLL: Final = {"max_records": 500, "timeout_ms": 200}


def a_spec(symbols: tuple[str, ...]) -> EngineSpec:
    """One 3x product a symbol, its NAV each second."""
    return EngineSpec(
        symbols=symbols,
        markets=tuple(
            MarketSpec(
                symbol=n,
                contract=ContractSpec(symbol=name, base=name[:3], quote="USDT"),
                mark_source="mark",
            )
            for n, name in enumerate(symbols)
        ),
        products=tuple(
            ProductSpec(id=f"{name}3L", market=n, seed_atoms=10**12)
            for n, name in enumerate(symbols)
        ),
        policies=((LeverageBand(target=3.0, low=2.7, high=3.3),),) * len(symbols),
        sampling=Sampling(nav_every_ns=SECOND_NS),
        config_hash="bench",
    )


def a_tape(rows: int, symbols: int) -> Step:
    """Marks of symbols in turn, each a walk of half a basis point a tick."""
    chance = np.random.default_rng(11)
    moves = chance.normal(0.0, 0.5e-4, (-(-rows // symbols), symbols))
    price = (100.0 * np.exp(np.cumsum(moves, axis=0))).reshape(-1)[:rows]
    places = np.arange(rows)
    return Step(
        first=0,
        end=rows,
        tables=(
            Marks(
                sequence=places,
                symbol=0 if symbols == 1 else (places % symbols).astype(np.int32),
                ts_ns=T0 + places * (SECOND_NS // (TICKS_PER_SECOND * symbols)),
                price=price,
            ),
        ),
    )


async def published(
    log: KafkaLog, topics: Topics, step: Step, names: Any, form: str, user_partitions: int = 1
) -> None:
    """The tape is in the topic of ticks, blocks of 500 or a record a row."""
    await ensure_topics(log, topics, user_partitions=user_partitions)
    producer = await log.producer()
    if form == "block":
        header = codec.schema_header(codec.TICK_BLOCK)
        cuts = range(0, step.end, BLOCK_ROWS)
        sent = [
            Outgoing(
                topics.ticks,
                encode_block(step.between(first, min(first + BLOCK_ROWS, step.end)), names),
                None,
                header,
                0,
            )
            for first in cuts
        ]
    else:
        sent = list(tick_messages(step, names, topics, "msgpack"))
    sent.append(
        Outgoing(
            topics.ticks,
            codec.encode_json(codec.End(step.end)),
            None,
            codec.schema_header(codec.END),
            0,
        )
    )
    for first in range(0, len(sent), 5_000):
        await producer.send(sent[first : first + 5_000])
    await producer.close()


def _columns(value: bytes) -> None:
    """Five views of a block's columns, as a consumer that knows the format would take them."""
    rows = HEADER.unpack_from(value)[3]
    for number in range(5):
        np.frombuffer(value, np.int64, min(rows, (len(value) - 64) // 8), 8 * number)


DECODE: Final[dict[str, Any]] = {
    "block": _columns,
    "single": codec.SINGLES[codec.TICK_MSGPACK],
}


async def bare_aiokafka(brokers: str, topics: Topics, records: int, form: str) -> None:
    """Read and decode everything, and do nothing with it."""
    import aiokafka  # type: ignore[import-untyped]

    decode = DECODE[form]
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=brokers, group_id=None, enable_auto_commit=False
    )
    await consumer.start()
    place = aiokafka.TopicPartition(topics.ticks, 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    seen = 0
    while seen < records:
        for found in (await consumer.getmany(**POLL)).values():
            seen += len(found)
            for record in found:
                if len(record.value) > END_BYTES_MAX:
                    decode(record.value)
    await consumer.stop()


async def bare_confluent(brokers: str, topics: Topics, records: int, form: str) -> None:
    """The same by librdkafka."""
    from confluent_kafka import Consumer, TopicPartition

    decode = DECODE[form]
    settings = {"bootstrap.servers": brokers, "group.id": "bench", "enable.auto.commit": False}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topics.ticks, 0, 0)])
    seen = 0
    while seen < records:
        found = consumer.consume(min(500, records - seen), 1.0)
        seen += len(found)
        for message in found:
            if len(message.value()) > END_BYTES_MAX:
                decode(message.value())
    consumer.close()


async def served(brokers: str, topics: Topics, spec: EngineSpec) -> Progress:
    """The service from the first row to the last."""
    log = KafkaLog(brokers)
    valuation = valuation_of(spec)
    settings = ShardSettings(config_hash=spec.config_hash, finite=True)
    _, progress = await serve(spec, LogShard(log, topics, valuation, settings).open)
    await log.close()
    return progress


class Spent(Struct):
    """Seconds of one reader, round by round: of the wall, and of this process."""

    wall: list[float] = []
    cpu: list[float] = []

    async def measure(self, reads: Awaitable[Any]) -> Any:
        """Wait for a reader and note what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = await reads
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        return result


async def _contest(brokers: str, rows: int, symbols: int, form: str, rounds: int) -> Row:
    names = tuple(f"S{number:02}USDT" for number in range(symbols))
    spec, step = a_spec(names), a_tape(rows, symbols)
    records = (-(-rows // BLOCK_ROWS) if form == "block" else rows) + 1
    ours, bare, other = Spent([], []), Spent([], []), Spent([], [])
    done = Progress()
    for turn in range(rounds):
        topics = Topics(f"bench-{form}-{symbols}-{turn}.")
        log = KafkaLog(brokers)
        await published(log, topics, step, names, form)
        await log.close()
        await bare.measure(bare_aiokafka(brokers, topics, records, form))
        done = await ours.measure(served(brokers, topics, spec))
        if done.mark.sequence != rows or done.events < 2 * symbols:
            raise InvariantError(f"an engine that does nothing proves nothing: {done}")
        await other.measure(bare_confluent(brokers, topics, records, form))
    target = TARGETS[form, symbols]
    share = median(bare.cpu) / median(ours.cpu)
    wall = median(bare.wall) / median(ours.wall)
    what = f"blocks of {BLOCK_ROWS}" if form == "block" else "single msgpack records"
    return Row(
        name="kafka",
        work=f"{rows // 1_000:,}k ticks of {symbols} symbols in {what}, exactly once "
        f"({done.mark.step} steps), {done.events:,} events and NAVs out",
        target=f">= {target:.0%} of bare aiokafka",
        figure=f"{wall:.0%} by the clock, {share:.0%} by process time\n"
        f"ours {rows / median(ours.wall) / 1e6:.2f}M/s, aiokafka "
        f"{rows / median(bare.wall) / 1e6:.2f}M/s, confluent-kafka "
        f"{rows / median(other.wall) / 1e6:.2f}M/s",
        met=share >= target,
        note="judged by process time: the broker runs on the same cores; the bare consumers decode "
        "and do nothing",
        details={"ours": ours, "aiokafka": bare, "confluent": other},
    )


def streams(scale: Scale) -> list[Row]:
    """All three inputs, on an Apache Kafka of our own."""
    rounds = 1 if scale.smoke else 3
    with tempfile.TemporaryDirectory() as folder:
        try:
            broker = apache(Path(folder))
            with broker as kafka:
                return [
                    asyncio.run(_contest(kafka.brokers, scale.of(rows), symbols, form, rounds))
                    for form, symbols, rows in (
                        ("block", 1, BLOCK_TICKS),
                        ("block", 20, BLOCK_TICKS),
                        ("single", 1, 300_000),
                    )
                ]
        except MissingError as error:
            return [Row("kafka", "the service on Apache Kafka", "", f"not measured: {error}")]
