"""The proof by killing: workers and drivers of a sweep are killed a hundred times, and the result
has the bytes of one that was left alone.

``python -m tests.engine.sweep.kills [KILLS] [PATHS]`` prints what was killed and the hashes; exit
code 1 where they differ. It kills descendants of the commands that it started, and nobody else.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.engine.sweep.conftest import AXIS, BASE
from tests.engine.sweep.test_sweep import hashes
from tests.imported import IMPORTED_FROM

DRIVERS_EVERY = 10
"""Every so many kills it is the driver's turn."""
PAUSE_S = 0.4


def main(kills: int, paths: int) -> int:
    """Kill until so many have died, and as many sweeps as that takes."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("base.toml").write_text(BASE)
        calm = _command(paths, "calm")
        assert calm.wait() == 0
        kept, chance = hashes(Path("calm")), random.Random(7)
        chunks = len(list(Path("calm/chunks").iterdir()))
        print(f"{chunks} chunks; left alone: {kept['sweep.parquet']}", flush=True)
        killed = {"worker": 0, "driver": 0}
        sweeps = 0
        while sum(killed.values()) < kills:
            sweeps += 1
            _harass(paths, f"killed-{sweeps}", kills, killed, chance)
            found = hashes(Path(f"killed-{sweeps}"))
            print(f"sweep {sweeps}: {killed}, {found['sweep.parquet']}", flush=True)
            if found != kept:
                return 1
    return 0


def _harass(
    paths: int, out: str, kills: int, killed: dict[str, int], chance: random.Random
) -> None:
    """One sweep to its end, typed again whenever its driver was killed."""
    while True:
        driver = _command(paths, out)
        while driver.poll() is None:
            time.sleep(chance.uniform(0.5, 1.5) * PAUSE_S)
            workers = [] if sum(killed.values()) >= kills else _workers(driver.pid)
            if not workers:
                continue
            turn = sum(killed.values()) % DRIVERS_EVERY == DRIVERS_EVERY - 1
            victim = driver.pid if turn else chance.choice(workers)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                killed["driver" if turn else "worker"] += 1
        code = driver.wait()
        if code >= 0:
            assert code == 0, f"the sweep ended with exit code {code}"
            return


def _command(paths: int, out: str) -> subprocess.Popen[bytes]:
    arguments = ["base.toml", "--set", AXIS, "--paths", str(paths), "--workers", "2", "--out", out]
    return subprocess.Popen(
        [sys.executable, "-m", "engine", "sweep", *arguments, "--quiet"],
        env={**os.environ, "PYTHONPATH": IMPORTED_FROM},
        stdout=subprocess.DEVNULL,
    )


def _workers(driver: int) -> list[int]:
    """Grandchildren: children of the server that the driver forks its workers from."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    return [worker for child in parents.get(driver, ()) for worker in parents.get(child, ())]


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(given + [100, 2_000][len(given) :])))
