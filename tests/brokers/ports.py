"""Ports of 127.0.0.1: free ones, and waiting until a process listens on one."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest

__all__ = ["free_ports", "listens", "wait_until_it_listens"]

LOOK_SECONDS = 0.02
PROBE_SECONDS_MAX = 0.2


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(PROBE_SECONDS_MAX)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_it_listens(
    process: subprocess.Popen[bytes], port: int, log: Path, seconds_max: float
) -> None:
    """Return once the port is open; fail the test, with the process's last words, if it ends."""
    deadline = time.monotonic() + seconds_max
    while not listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace")
            pytest.fail(f"{process.args[0]} does not listen on {port}: {words[-2_000:]}")
        time.sleep(LOOK_SECONDS)
