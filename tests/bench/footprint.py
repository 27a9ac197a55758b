"""Memory: of a tick in flight, and of a day of them; and how long the command takes to start."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import structs

from tests.bench.clock import ROOT, Spent, once
from tests.bench.table import Row, Scale

__all__ = ["memory", "memory50m", "start"]

BASE_MB: Final = 60.0
PER_TICK: Final = 16.0
START_S: Final = 0.3
GIGABYTE: Final = 1 << 30


def memory(scale: Scale) -> list[Row]:
    """Peak resident memory of a process that replays W1 in steps of ever more ticks."""
    sizes = (1_000, 65_536, scale.of(1_000_000, 100_000))
    peaks = {ticks: once("flight", ticks).rss for ticks in sizes}
    run = once("shipped", scale.of(1_000_000))
    each = (peaks[sizes[2]] - peaks[sizes[1]]) / (sizes[2] - sizes[1])
    within = all(rss <= BASE_MB * 2**20 + PER_TICK * ticks for ticks, rss in peaks.items())
    figures = ", ".join(f"{rss / 2**20:.0f} MB with {ticks:,}" for ticks, rss in peaks.items())
    return [
        Row(
            name="memory",
            work="peak resident memory of the heart, W1, by the ticks in one step",
            target=f"<= {BASE_MB:g} MB + {PER_TICK:g} bytes a tick",
            figure=f"{figures}; {each:.0f} bytes a further tick\n"
            f"standard line-up with its files (pyarrow): {run.rss / 2**20:.0f} MB",
            met=within,
            note="sequence, time and price of a tick are 24 bytes as they come in",
            details={"flight": {str(k): v for k, v in peaks.items()}, "shipped": run.rss},
        )
    ]


def memory50m(scale: Scale) -> list[Row]:
    """50M generated rows through the standard line-up, where the process may have 1 GB in all."""
    rows = scale.of(50_000_000, 200_000)
    process = once("shipped", rows, address_space=GIGABYTE)
    answer = process.answer
    return [
        Row(
            name="memory50m",
            work=f"{rows // 1_000:,}k generated rows, standard line-up, files written, "
            "RLIMIT_AS 1 GB",
            target="ends",
            figure=f"{process.rss / 2**20:.0f} MB at most, {process.wall:.0f} s, "
            f"engine {answer['engine'] + answer['navs']:.1f} s",
            met=answer["rows"] == rows,
            details=structs.asdict(process),
        )
    ]


def start(scale: Scale) -> list[Row]:
    """``levsim --help``, from nothing to its last line."""
    script = Path(sys.executable).parent / "levsim"
    command = [str(script)] if script.exists() else [sys.executable, "-m", "engine"]

    rounds = 1 if scale.smoke else 5
    try:
        runs = [_started([*command, "--help"]) for _ in range(rounds)]
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode().strip().splitlines()[-1:]
        figure = f"fails: {' '.join(said)}"
        return [Row("start", "levsim --help", f"< {START_S:g} s", figure, met=False)]
    bare = [_started([sys.executable, "-c", ""]) for _ in range(rounds)]
    wall, cpu = median(run.wall for run in runs), median(run.cpu for run in runs)
    return [
        Row(
            name="start",
            work="levsim --help, median of 5",
            target=f"< {START_S:g} s",
            figure=f"{wall:.2f} s, of which {cpu:.2f} s at work "
            f"(Python alone {median(run.wall for run in bare):.2f} s)",
            met=wall < START_S,
            note="wall time",
            details={"runs": [structs.asdict(run) for run in runs]},
        )
    ]


def _started(command: list[str]) -> Spent:
    """What one start takes."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)
