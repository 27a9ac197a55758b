"""A wire broker from PyPI, which starts in a tenth of a second on any machine.

Its faults are its own (a reader that starts behind an abort marker loses records, idle consumers
spin): tests read transactional topics from offset 0 and keep their consumers short.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from tests.brokers.ports import free_ports, wait_until_it_listens

__all__ = ["kafka_brokers", "noida_db"]

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0


def _program() -> Path | None:
    """The broker itself: the command of its package is a wrapper, and would leave it running."""
    try:
        program = Path(str(files("noida_db").joinpath("noida-db")))
    except ModuleNotFoundError:
        return None
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


@contextmanager
def noida_db(folder: Path) -> Iterator[str]:
    """Run the broker on a free port of 127.0.0.1; yields ``host:port``."""
    program = _program()
    if program is None:
        pytest.skip("noida-db is not installed: install the test extra")
    (port,) = free_ports(1)
    command = [str(program), "start", "--only", "kafka", "--kafka-port", str(port)]
    command += ["--host", "127.0.0.1", "--data-dir", str(folder)]
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_it_listens(process, port, folder / "broker.log", START_SECONDS_MAX)
        yield f"127.0.0.1:{port}"
    finally:
        # SIGTERM would wait until everything is on disk, which nobody reads again.
        process.kill()
        process.wait(STOP_SECONDS_MAX)


@pytest.fixture(scope="session")
def kafka_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for the whole session; tests choose topic names of their own."""
    with noida_db(tmp_path_factory.mktemp("noida-db")) as brokers:
        yield brokers
