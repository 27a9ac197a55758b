"""Apache Kafka, one node, as a process that a test may stop, kill, pause and start again.

`ApacheKafka` keeps its ports and its data folder over restarts, so that clients find it again and
it finds what it had acknowledged.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.brokers.distribution import (
    JAVA_OPTIONS_SHIPPED,
    Distribution,
    MissingError,
    distribution,
)
from tests.brokers.ports import free_ports, wait_until_it_listens
from tests.brokers.settings import properties_of, scram_arguments

__all__ = [
    "REQUIRE_VARIABLE",
    "ApacheKafka",
    "apache",
    "apache_brokers",
    "apache_kafka",
    "apache_quick",
    "programs",
]

REQUIRE_VARIABLE = "LEVSIM_REQUIRE"
"""Words in it name what must be there: with ``apache-kafka`` its absence fails, and skips not."""
BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP"
"""``host:port`` of an Apache Kafka that is running already."""
STEADY = "broker.session.timeout.ms=60000\n"
"""For a broker that nobody kills: where much else goes on its heartbeats may be late, and a broker
whose session ends leads nothing until it is heard again."""
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0


class ApacheKafka:
    """A broker in a folder.

    Args:
        folder: holds its settings, its data and what it said (``broker.log``).
        kafka: the programs.
        settings: further ones; of two of one name the last holds.
        users: names and passwords for SCRAM.
    """

    def __init__(
        self,
        folder: Path,
        kafka: Distribution,
        settings: str = "",
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._kafka = kafka
        self.port, self.controller = free_ports(2)
        self._properties = folder / "server.properties"
        self.settings = settings
        self._users = dict(users or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def brokers(self) -> str:
        """``host:port``, the same after each start."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def start(self) -> None:
        """Start, for the first time or again; returns when it accepts connections."""
        assert self._process is None, "the broker is running"
        if not self._properties.exists():
            text = properties_of(self.folder / "data", self.port, self.controller)
            self._properties.write_text(text + self.settings)
            self._kafka.format(self._properties, *scram_arguments(self._users))
        command = self._kafka.command("kafka.Kafka", str(self._properties))
        said = self.folder / "broker.log"
        with said.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until_it_listens(self._process, self.port, said, START_SECONDS_MAX)

    def stop(self) -> None:
        """End it in order (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), running or paused."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hold its connections and say nothing (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_SECONDS_MAX)
            self._process = None


def programs() -> Distribution:
    """Apache Kafka's programs; skips where they cannot be had, or fails where they are required."""
    try:
        return distribution()
    except MissingError as error:
        reason = f"no Apache Kafka: {error}"
    if "apache-kafka" in os.environ.get(REQUIRE_VARIABLE, "").split():
        pytest.fail(f"{reason} ({REQUIRE_VARIABLE} asks for it)")
    pytest.skip(reason)


@contextmanager
def apache(folder: Path, settings: str = STEADY, *, shipped: bool = False) -> Iterator[ApacheKafka]:
    """A broker of one's own in the folder, started; killed in the end.

    Args:
        folder: holds its data.
        settings: further ones; as they are, nobody kills it before the end.
        shipped: with the options for Java that Kafka ships with, for measurements.
    """
    kafka = programs()
    options = replace(kafka, options=JAVA_OPTIONS_SHIPPED) if shipped else kafka
    broker = ApacheKafka(folder, options, settings)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def apache_kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    """A broker of the test's own, which it may stop, kill, pause and start again."""
    with apache(tmp_path, settings="") as broker:
        yield broker


@pytest.fixture(scope="session")
def apache_quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of an Apache Kafka of ours for the whole session, which compacts, expires and
    aborts within a second; topics and ids have names of their own."""
    with apache(tmp_path_factory.mktemp("apache-kafka")) as broker:
        yield broker.brokers


@pytest.fixture(scope="session")
def apache_brokers(request: pytest.FixtureRequest) -> str:
    """``host:port`` of any Apache Kafka: the one that the environment names, else the quick one."""
    there = os.environ.get(BOOTSTRAP_VARIABLE)
    return there or str(request.getfixturevalue("apache_quick"))
