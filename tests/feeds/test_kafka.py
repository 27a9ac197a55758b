"""The log over the wire keeps the same contract, whoever the broker is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from feeds.kafka import KafkaLog
from feeds.log import Log
from tests.brokers import apache_brokers, kafka_brokers
from tests.feeds.log_contract import LogContract

__all__ = ["apache_brokers", "kafka_brokers"]

pytestmark = pytest.mark.kafka


class TestNoida(LogContract):
    """The contract, on a broker from PyPI."""

    @pytest.fixture
    async def log(self, kafka_brokers: str) -> AsyncIterator[Log]:
        log = KafkaLog(kafka_brokers)
        yield log
        await log.close()


class TestApache(LogContract):
    """The contract, on Apache Kafka."""

    @pytest.fixture
    async def log(self, apache_brokers: str) -> AsyncIterator[Log]:
        log = KafkaLog(apache_brokers)
        yield log
        await log.close()
