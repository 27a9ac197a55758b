"""Process time and wall time of pieces of work, in this process and in others."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import Struct, json

__all__ = ["Process", "Spent", "medians", "once", "spent"]

ROOT = Path(__file__).parents[2]


class Spent(Struct, frozen=True):
    """Seconds."""

    cpu: float
    wall: float


class Process(Struct, frozen=True):
    """A whole process: seconds, peak resident bytes, and the JSON that it printed."""

    cpu: float
    wall: float
    rss: int
    answer: Any


def spent(work: Callable[[], object]) -> Spent:
    """What one call costs."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def medians(work: Callable[[], object], rounds: int) -> Spent:
    """Medians over rounds."""
    runs = [spent(work) for _ in range(rounds)]
    return Spent(median(r.cpu for r in runs), median(r.wall for r in runs))


def once(*arguments: object, address_space: int | None = None) -> Process:
    """Run ``python -m tests.bench.once`` with these arguments as a process of its own.

    Args:
        address_space: its ``RLIMIT_AS`` in bytes.

    Raises:
        RuntimeError: if it failed, with what it said.
    """
    command = [sys.executable, "-m", "tests.bench.once", *map(str, arguments)]

    def limit() -> None:
        if address_space is not None:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=limit,  # noqa: PLW1509  # one thread here
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said, told = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{told.decode()[-2_000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    found = json.decode(said)
    return Process(cpu, wall, found["rss"], found["answer"])
