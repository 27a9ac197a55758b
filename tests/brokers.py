"""Brokers that tests start themselves: a wire broker from PyPI, one a session, ended by its pid.

Its faults are its own (a reader that starts behind an abort marker loses records, idle consumers
spin): tests read transactional topics from offset 0 and keep their consumers short.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

__all__ = ["kafka_brokers", "noida_db"]

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _program() -> Path | None:
    """The broker itself: the command of its package is a wrapper, and would leave it running."""
    try:
        program = Path(str(files("noida_db").joinpath("noida-db")))
    except ModuleNotFoundError:
        return None
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def noida_db(folder: Path) -> Iterator[str]:
    """Run the broker on a free port of 127.0.0.1; yields ``host:port``."""
    program = _program()
    if program is None:
        pytest.skip("noida-db is not installed: install the test extra")
    port = _free_port()
    command = [str(program), "start", "--only", "kafka", "--kafka-port", str(port)]
    command += ["--host", "127.0.0.1", "--data-dir", str(folder)]
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                words = (folder / "broker.log").read_text(errors="replace")
                pytest.fail(f"noida-db did not start: {words[-500:]}")
            time.sleep(0.02)
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
