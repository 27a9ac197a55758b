"""The least that can be done to say something exactly once: aiokafka, and nothing else.

It consumes the ticks that the service consumes, in the same way, says a word about as often as the
service cuts, and commits each word alone. What the service takes beyond this is its own; the rest
is the client's, the broker's and the machine's.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Final

import aiokafka  # type: ignore[import-untyped]
from msgspec import json, msgpack

from feeds import codec
from feeds.topics import Topics

__all__: list[str] = []

LEVELS: Final = (94.4, 89.1)
"""Where 3x bought at 100 has come to 3.4x, and 3x bought there once more."""


async def _say(producer: aiokafka.AIOKafkaProducer, topic: str, value: bytes) -> None:
    async with producer.transaction():
        await producer.send_and_wait(topic, value, partition=0)


async def _serve(brokers: str, prefix: str) -> None:
    """A word each time that the price falls through a level, until the tape ends."""
    topics = Topics(prefix)
    end = list(codec.schema_header(codec.END))
    place = aiokafka.TopicPartition(topics.ticks, 0)
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=brokers, enable_auto_commit=False, isolation_level="read_committed"
    )
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=brokers, transactional_id=f"{prefix}floor"
    )
    await consumer.start()
    await producer.start()
    consumer.assign([place])
    consumer.seek(place, 0)
    await _say(producer, topics.journal, b"ready")
    gc.collect()
    gc.freeze()  # as the service does
    passed, running = len(LEVELS), True
    while running:
        polled = await consumer.getmany(max_records=500, timeout_ms=200)
        for record in polled.get(place, ()):
            if list(record.headers) == end:
                running = False
                continue
            price = msgpack.decode(record.value)[3]
            before, passed = passed, sum(price <= level for level in LEVELS)
            if passed > before:
                said = {"event": "deleveraged", "sequence": record.offset}
                await _say(producer, topics.events, json.encode(said))
    await producer.stop()
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:3]))
