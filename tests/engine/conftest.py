"""What tests of the engine share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from feeds.kafka import KafkaLog
from feeds.log import Log
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog


@pytest.fixture(
    params=[
        "memory",
        pytest.param("kafka_brokers", marks=pytest.mark.kafka),
        pytest.param("apache_brokers", marks=pytest.mark.kafka),
    ]
)
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """A broker as one process sees it: in memory, and each of those over the wire."""
    if request.param == "memory":
        yield MemoryLog(MemoryBroker())
        return
    log = KafkaLog(request.getfixturevalue(request.param))
    yield log
    await log.close()
