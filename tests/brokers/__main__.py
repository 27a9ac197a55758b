"""``python -m tests.brokers``: fetch Apache Kafka's programs, and say where they lie."""

from __future__ import annotations

import sys

from tests.brokers.distribution import MissingError, distribution, kafka_version

try:
    there = distribution()
except MissingError as error:
    sys.exit(f"Apache Kafka cannot be had: {error}")
print(f"Apache Kafka {kafka_version()} lies in {there.folder}")
