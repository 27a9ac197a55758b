"""``python -m tests.soak [--minutes 30] [--rate 50000]``: does the service grow, or fall behind?

An Apache Kafka of its own, the service as a process, and blocks of ticks sent by the clock. Every
ten seconds the service's memory and its lag are noted. Exit code 1 where, after a tenth of the
time, memory grows by a mebibyte a minute or more, or the lag in the end is above a second's ticks.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from engine.errors import FeedError
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from feeds import codec
from feeds.blocks import encode_block
from feeds.journal import StepCommitted
from feeds.kafka import KafkaLog
from feeds.log import Outgoing, Place
from feeds.topics import Topics, ensure_topics
from tests.bench.latency import SYMBOL
from tests.brokers.apache import apache

BLOCK_ROWS = 500
SAMPLE_SECONDS = 10.0
SLOPE_MAX = 1.0
"""MiB a minute."""
T0 = 1_700_000_000 * SECOND_NS


def a_block(
    first: int, rate: int, price: float, chance: np.random.Generator
) -> tuple[bytes, float]:
    """The next ticks of a walk, and its last price."""
    places = np.arange(first, first + BLOCK_ROWS)
    prices = price * np.cumprod(1.0 + chance.normal(0.0, 2e-5, BLOCK_ROWS))
    table = Marks(sequence=places, symbol=0, ts_ns=T0 + places * (SECOND_NS // rate), price=prices)
    step = Step(first=first, end=first + BLOCK_ROWS, tables=(table,))
    return encode_block(step, (SYMBOL,)), float(prices[-1])


async def send(log: KafkaLog, topics: Topics, rate: int, seconds: float, sent: list[int]) -> None:
    """Each block when its last tick is due; ``sent[0]`` says how many ticks are out."""
    producer, header = await log.producer(), codec.schema_header(codec.TICK_BLOCK)
    chance, price, began = np.random.default_rng(3), 100.0, time.perf_counter()
    while sent[0] < rate * seconds:
        await asyncio.sleep(max(0.0, began + sent[0] / rate - time.perf_counter()))
        block, price = a_block(sent[0], rate, price, chance)
        await producer.send([Outgoing(topics.ticks, block, None, header, 0)])
        sent[0] += BLOCK_ROWS
    await producer.close()


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1_024
    raise ProcessLookupError(pid)


async def processed(log: KafkaLog, topics: Topics) -> int:
    """Rows in committed steps; raises `FeedError` where none was heard of in time."""
    _, end = await log.bounds(Place(topics.journal))
    consumer = await log.consumer({Place(topics.journal): max(0, end - 50)})
    done = 0
    for _, records in await consumer.poll(timeout_ms=1_000):
        for record in records:
            if b"step" in (record.value or b"")[:8]:
                entry = msgspec.msgpack.decode(record.value or b"", type=StepCommitted)
                done = max(done, entry.mark.sequence)
    await consumer.close()
    if not done:
        raise FeedError("no step came in time")
    return done


async def soak(brokers: str, minutes: float, rate: int) -> bool:
    """Whether memory and lag stay where they are."""
    topics, log = Topics("soak."), KafkaLog(brokers)
    await ensure_topics(log, topics)
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.latency", brokers, topics.prefix),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    sent, noted = [0], list[tuple[float, float, int]]()
    sending = asyncio.create_task(send(log, topics, rate, minutes * 60.0, sent))
    began = time.perf_counter()
    try:
        while not sending.done():
            await asyncio.wait({sending}, timeout=SAMPLE_SECONDS)
            try:
                done = await processed(log, topics)
            except FeedError as error:
                print(f"not looked: {error}", flush=True)
                continue
            minute = (time.perf_counter() - began) / 60.0
            noted.append((minute, memory_mib(engine.pid), max(0, sent[0] - done)))
            print("minute {:.1f}: {:.1f} MiB, {:,} ticks behind".format(*noted[-1]), flush=True)
        await sending
    finally:
        engine.terminate()
        await engine.wait()
        await log.close()
    warm = [note for note in noted if note[0] > minutes / 10.0]
    slope = float(np.polyfit([n[0] for n in warm], [n[1] for n in warm], 1)[0])
    rate_kept = sent[0] / (noted[-1][0] * 60.0)
    print(f"{sent[0]:,} ticks, {rate_kept:,.0f} a second")
    print(f"memory grows {slope:+.2f} MiB a minute; {noted[-1][2]:,} behind")
    return slope < SLOPE_MAX and noted[-1][2] <= rate


def main() -> int:
    """Exit code 0 where nothing grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=50_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, apache(Path(folder)) as kafka:
        return 0 if asyncio.run(soak(kafka.brokers, asked.minutes, asked.rate)) else 1


if __name__ == "__main__":
    sys.exit(main())
