"""``doctor``: what an engine needs, checked one by one, each with what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from cyclopts import Parameter

from engine.cli.kafka import AccessFile, Prefix, reached
from engine.cli.running import Json

if TYPE_CHECKING:
    from feeds.log import Log

__all__ = ["Finding", "doctor", "here"]

PYTHON_MIN: Final = (3, 11)
DISK_BYTES_MIN: Final = 1_000_000_000
"""A day of ticks and the report of a run."""
_EPOCH_MIN_S: Final = 1_767_225_600
"""The beginning of 2026: no clock that goes is before it."""
_EPOCH_MAX_S: Final = 4_102_444_800
_TICK_SECONDS_MAX: Final = 0.001
_EXTRA: Final = "extra =="


class Finding(NamedTuple):
    """One check: ``said`` is what was found, or what to do."""

    check: str
    ok: bool
    said: str


def doctor(
    *,
    kafka: Annotated[
        str | None, Parameter(name="--kafka", help="host:port; without it no broker is asked.")
    ] = None,
    prefix: Prefix = "",
    config: AccessFile = None,
    json: Json = False,
) -> int:
    """Check what an engine needs: Python, packages, clock, disk, and with --kafka the broker.

    Exit code 1 where something is not as it must be.
    """
    import asyncio

    from engine.cli import showing

    findings = list(here(Path.cwd()))
    if kafka is not None:
        findings += asyncio.run(_there(reached(kafka, config), kafka, prefix))
    healthy = all(finding.ok for finding in findings)
    if json:
        showing.emit_json({"ok": healthy, "checks": [f._asdict() for f in findings]})
    else:
        for finding in findings:
            showing.emit(f"{'ok  ' if finding.ok else 'FAIL'} {finding.check:12} {finding.said}")
    return 0 if healthy else 1


def here(folder: Path) -> Iterator[Finding]:
    """What this machine has."""
    import sys

    version = ".".join(map(str, sys.version_info[:3]))
    enough = sys.version_info[:2] >= PYTHON_MIN
    yield Finding("python", enough, version if enough else f"{version}: install 3.11 or newer")
    yield _packages()
    yield _clock()
    yield _disk(folder)


def _packages() -> Finding:
    """Those that levsim itself asks for are there; versions are pip's affair."""
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        wanted = [line for line in requires("levsim") or () if _EXTRA not in line]
    except PackageNotFoundError:
        return Finding("packages", ok=True, said="not looked at: levsim runs uninstalled")
    found, missing = [], []
    for line in wanted:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", ok=False, said=f"pip install {' '.join(missing)}")
    return Finding("packages", ok=True, said=", ".join(found))


def _clock() -> Finding:
    import time
    from datetime import UTC, datetime

    now = time.time()
    shown = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%SZ}"
    if not _EPOCH_MIN_S < now < _EPOCH_MAX_S:
        return Finding("clock", ok=False, said=f"{shown} cannot be: set it, or start NTP")
    if time.get_clock_info("monotonic").resolution > _TICK_SECONDS_MAX:
        return Finding("clock", ok=False, said="ticks too coarsely to pace anything")
    return Finding("clock", ok=True, said=shown)


def _disk(folder: Path) -> Finding:
    import os
    import shutil

    free = shutil.disk_usage(folder).free
    shown = f"{free / 1e9:.1f} GB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Finding("disk", ok=False, said=f"{folder} cannot be written: run elsewhere")
    if free < DISK_BYTES_MIN:
        return Finding("disk", ok=False, said=f"{shown}: make room for 1 GB")
    return Finding("disk", ok=True, said=shown)


async def _there(log: Log, brokers: str, prefix: str) -> list[Finding]:
    """What the broker has; once one check fails, the later ones could only repeat it."""
    from engine.errors import LevsimError

    checks: tuple[tuple[str, Callable[[Log, str], Awaitable[str]]], ...] = (
        ("broker", _broker),
        ("topics", _topics),
        ("transactions", _transactions),
    )
    findings = []
    try:
        for name, check in checks:
            try:
                findings.append(Finding(name, ok=True, said=await check(log, prefix)))
            except LevsimError as error:
                said = f"{error} ({brokers})" if name == "broker" else str(error)
                findings.append(Finding(name, ok=False, said=said))
                if name == "broker":
                    break
    finally:
        await log.close()
    return findings


async def _broker(log: Log, prefix: str) -> str:
    from feeds.log import TopicMissingError
    from feeds.topics import Topics

    try:
        await log.partitions(Topics(prefix).ticks)
    except TopicMissingError:
        return "answers"
    return "answers, and knows the topic of ticks"


async def _topics(log: Log, prefix: str) -> str:
    from engine.cli.topics import faults_of, wanted
    from engine.errors import ConfigError
    from feeds.topic_check import look_at

    states = await look_at(log, await wanted(log, prefix))
    faults = faults_of(states)
    if faults:
        more = f" (and {len(faults) - 1} more: levsim topics check)" if len(faults) > 1 else ""
        raise ConfigError(f"{faults[0]}{more}")
    return f"{len(states)} as they must be"


async def _transactions(log: Log, prefix: str) -> str:
    """By a transactional id of our own: the engine's own would throw the engine out."""
    name = f"{prefix}levsim-doctor"
    producer = await log.producer(name)
    try:
        await producer.begin()
        await producer.abort()
    finally:
        await producer.close()
    return f"opened and aborted as {name}"
