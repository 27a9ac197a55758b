"""``python -m tests.serving_process BROKERS PREFIX``: the service of the tests as a process of its
own, which may be told where to die by its own SIGKILL.

What it reached is in the file named by ``--told`` when it ends, whichever way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

from engine.errors import LevsimError
from engine.steps import Pace
from feeds.kafka import KafkaLog
from feeds.topics import Topics
from tests.crashing import CrashingLog
from tests.engine.serving import served

PACE = Pace(step_ms=1.0, rows_max=1, snapshot_steps=4, retry_seconds=0.1, commit_seconds_max=20.0)


def die(told: Path, log: CrashingLog) -> None:
    """End at once, as a power cut would, but for a note of how far it came."""
    told.write_text(json.dumps({"died_at": log.died_at, "reached": log.reached}))
    os.kill(os.getpid(), signal.SIGKILL)


def pause(log: CrashingLog) -> None:
    """Stop here until somebody says SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


async def run(asked: argparse.Namespace) -> None:
    """Serve to the end of the recording, or to the point of death."""
    topics = Topics(asked.prefix)
    log = CrashingLog(KafkaLog(asked.brokers), topics, lambda: None)
    log.dies = partial(pause if asked.pause else partial(die, asked.told), log)
    if asked.at:
        point, _, passes = asked.at.partition(":")
        log.crash_at(point, int(passes))
    if asked.after:
        log.crash_after(asked.after)
    try:
        engine, progress = await served(log, topics, pace=PACE, hung=partial(os._exit, 70))
    finally:
        await log.close()
    done = {"digest": engine.digest(), "replayed": progress.replayed, "reached": log.reached}
    asked.told.write_text(json.dumps(done))


def main() -> int:
    """Its exit code: 0 at the end, 3 where a newer engine took over, 1 for every other error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("brokers")
    parser.add_argument("prefix")
    parser.add_argument("--told", type=Path, required=True)
    parser.add_argument("--at", help="POINT:PASSES")
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--pause", action="store_true")
    asked = parser.parse_args()
    try:
        asyncio.run(run(asked))
    except LevsimError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 3 if type(error).__name__ == "ProducerFencedError" else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
