"""The service as a process on Apache Kafka: killed, paused, doubled, and with the broker gone.

Each history is one market in topics of its own. In the end everything must be there once, byte for
byte what an uninterrupted run says; the auditor reads what is committed and what is not.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feeds.kafka import KafkaLog
from feeds.topics import Topics
from tests.brokers import ApacheKafka
from tests.crashing import POINTS
from tests.engine.serving import Audit, Replayed, a_market, published, some_topics

pytestmark = pytest.mark.kafka

ROWS = 600
KILLS = int(os.environ.get("CRASH_KILLS", "60"))
"""Kills on Apache Kafka; for the long proof ``CRASH_KILLS=1000``, with ``-s`` to see which."""
ROOT = Path(__file__).parents[2]
END_SECONDS_MAX = 600.0
"""A bound for what hangs; a machine with much else to do is slow."""


@pytest.fixture(scope="module")
def expected() -> Replayed:
    """What an uninterrupted run says."""
    return Replayed(a_market(ROWS, bad=333))


class Stage:
    """A market in topics of its own, and the processes that serve it one after the other."""

    def __init__(self, brokers: str, folder: Path) -> None:
        self.brokers = brokers
        self.topics: Topics = some_topics()
        self._told = folder / "told.json"
        self._said = folder / "said.log"

    async def set(self) -> None:
        """Publish the market."""
        log = KafkaLog(self.brokers)
        await published(log, self.topics, a_market(ROWS, bad=333), "msgpack")
        await log.close()

    def process(self, *options: str) -> subprocess.Popen[bytes]:
        """Start an engine."""
        self._told.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.serving_process", self.brokers, self.topics.prefix]
        with self._said.open("ab") as said:
            return subprocess.Popen(
                [*command, "--told", str(self._told), *options], cwd=ROOT, stdout=said, stderr=said
            )

    async def run(self, *options: str) -> tuple[int, dict[str, Any]]:
        """One engine to its end: its exit code, and what it told."""
        return await self.ended(self.process(*options))

    async def ended(self, process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
        """Wait for an engine."""
        code = await asyncio.to_thread(process.wait, END_SECONDS_MAX)
        told = json.loads(self._told.read_text()) if self._told.exists() else {}
        return code, told

    async def audited(self, expected: Replayed) -> Audit:
        """The engine runs to the end at last; everything is there once."""
        code, told = await self.run()
        assert code == 0, self._said.read_text()[-2_000:]
        assert told["digest"] == expected.digest
        return await self.read(expected)

    async def read(self, expected: Replayed) -> Audit:
        """Everything is there once."""
        log = KafkaLog(self.brokers)
        try:
            seen = await Audit.read(log, self.topics)
        finally:
            await log.close()
        seen.check(expected)
        return seen


@pytest.fixture
async def stage(apache_brokers: str, tmp_path: Path) -> Stage:
    """On the broker of the session."""
    stage = Stage(apache_brokers, tmp_path)
    await stage.set()
    return stage


@pytest.mark.parametrize("chunk", range(3))
async def test_killed_again_and_again(
    apache_brokers: str, tmp_path: Path, expected: Replayed, chunk: int
) -> None:
    """``kill -9`` at every named point of a step and of a recovery, and at any of them by chance:
    the output is that of an uninterrupted run, every input offset is journalled once, and what was
    aborted is seen by nobody who asks for committed records."""
    chance = np.random.default_rng(chunk)
    deaths: Counter[str] = Counter()
    named, aborted, stage = list(POINTS[chunk::3]), 0, Stage(apache_brokers, tmp_path)
    await stage.set()
    while deaths.total() < math.ceil(KILLS / 3) or named:
        kill = ("--at", f"{named[-1]}:1") if named else ("--after", str(chance.integers(5, 40)))
        code, told = await stage.run(*kill)
        assert code in (0, -signal.SIGKILL)
        if code:
            deaths[told["died_at"]] += 1
            named = [point for point in named if point != told["died_at"]]
            continue
        aborted += (await stage.audited(expected)).aborted
        print(f"history audited after {deaths.total()} kills", flush=True)
        stage = Stage(apache_brokers, tmp_path)
        await stage.set()
    aborted += (await stage.audited(expected)).aborted
    print(f"{deaths.total()} kills, {aborted} records aborted: {json.dumps(deaths)}", flush=True)
    assert set(POINTS[chunk::3]) <= set(deaths)
    assert aborted > 0 or not {"send.outputs.half", "send.outputs.after"} & set(deaths)


async def test_a_zombie_is_fenced(stage: Stage, expected: Replayed) -> None:
    """An engine that slept in the middle of a transaction while another one took over wakes up
    fenced: it exits and has written nothing that anybody sees."""
    zombie = stage.process("--at", "send.outputs.after:3", "--pause")
    await asyncio.to_thread(os.waitpid, zombie.pid, os.WUNTRACED)
    try:
        other = Stage(stage.brokers, Path(stage._told.parent) / "other")
        other._told.parent.mkdir()
        other.topics = stage.topics
        await other.audited(expected)
    finally:
        zombie.send_signal(signal.SIGCONT)
    code, _ = await stage.ended(zombie)
    assert code == 3
    await stage.read(expected)


@pytest.mark.parametrize("away_seconds", [2.0, 60.0])
async def test_the_broker_dies(
    apache_kafka: ApacheKafka, tmp_path: Path, expected: Replayed, away_seconds: float
) -> None:
    """The broker is killed in the middle of a transaction and comes back: the engine recovers by
    itself or is started again, as a supervisor does, and nothing is lost or said twice."""
    stage = Stage(apache_kafka.brokers, tmp_path)
    await stage.set()
    engine = stage.process("--at", "send.outputs.after:3", "--pause")
    await asyncio.to_thread(os.waitpid, engine.pid, os.WUNTRACED)
    apache_kafka.kill()
    engine.send_signal(signal.SIGCONT)
    await asyncio.sleep(away_seconds)
    await asyncio.to_thread(apache_kafka.start)
    code, _ = await stage.ended(engine)
    assert code in (0, 1, 70)
    await stage.audited(expected)
