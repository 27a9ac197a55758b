"""One piece of work as a process of its own, for its whole time and its memory: ``python -m
tests.bench.once ...``."""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import json

__all__ = ["main"]


def race(who: str, work: str, ticks: str, block: str) -> object:
    """One contestant, one run."""
    from tests.bench.contest import play
    from tests.bench.races import CONTESTANTS
    from tests.bench.tapes import WORK, mixed_tape, tape

    lineup = WORK[work]
    replayed = mixed_tape(int(ticks)) if lineup.mixed else tape(int(ticks))
    return play(CONTESTANTS[who](lineup), lineup, replayed, int(block))


def shipped(rows: str) -> object:
    """The standard line-up with all its files."""
    from tests.bench.replays import write_shipped

    return write_shipped(int(rows))


def flight(ticks: str) -> object:
    """W1 on a step of that many ticks; imports the heart and nothing else."""
    import numpy as np

    from engine.engine import Engine
    from engine.ticks import Marks, Step
    from tests.bench.tapes import WORK, heart_spec

    count = int(ticks)
    engine = Engine(heart_spec(WORK["w1"]))
    ts_ns = np.arange(count)
    ts_ns *= 1_000_000
    ts_ns += 1_700_000_000_000_000_000
    price = np.full(count, 60_000.0)
    price[::2] += 0.5
    marks = Marks(sequence=np.arange(count), symbol=0, ts_ns=ts_ns, price=price)
    engine.process(Step(first=0, end=count, tables=(marks,)))
    return engine.digest()


WORKS = {"race": race, "shipped": shipped, "flight": flight}


def peak_bytes() -> int:
    """The most memory that was resident. Not of ``getrusage``: that counts the parent's, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(arguments: list[str]) -> None:
    """Do the named work; its answer goes out as JSON."""
    answer = WORKS[arguments[0]](*arguments[1:])
    sys.stdout.buffer.write(json.encode({"rss": peak_bytes(), "answer": answer}))


if __name__ == "__main__":
    main(sys.argv[1:])
