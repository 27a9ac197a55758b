"""Tests of a sweep as a whole: the same bytes whoever worked it, and whoever died of it."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.api import run, sweep
from engine.errors import ConfigError, InputError, LevsimError
from engine.sweep import driver, sweeping
from engine.sweep.measures import ROWS
from engine.sweep.planning import planned
from engine.sweep.pool import LocalPool
from engine.sweep.store import Store
from tests.engine.sweep import deadly
from tests.engine.sweep.conftest import AXIS
from tests.imported import IMPORTED_FROM

PATHS = 13
ENDLESS = """
from pathlib import Path

class Endless:
    def target(self, market, position):
        Path("asked").touch()
        while True:
            pass
"""
RESULTS = ("sweep.parquet", "summary.json", "report.html")


def hashes(directory: Path) -> dict[str, str]:
    """What a sweep came to, file by file."""
    return {name: sha256((directory / name).read_bytes()).hexdigest() for name in RESULTS}


class Backwards(Executor):
    """Works what it was given in the wrong order, when somebody asks for a result."""

    def __init__(self, most: int) -> None:
        self._most, self._waiting = most, []  # type: ignore[var-annotated]

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, fn, args))
        if len(self._waiting) == self._most:
            while self._waiting:
                last, function, given = self._waiting.pop()
                last.set_result(function(*given))
        return future


def test_the_same_bytes_for_any_number_of_workers(base: Path) -> None:
    """In this process, in threads, in 2 and in 16 processes, and worked in the reverse order."""
    found = []
    with ThreadPoolExecutor(1) as one:
        done = sweep(base, [AXIS], paths=PATHS, executor=one, out="one")
        found.append(hashes(done.path))
        chunks = done.summary["chunks"]
    assert chunks >= 20
    assert done.summary["faulty"] == 0
    for workers in (2, 16):
        done = sweep(base, [AXIS], paths=PATHS, workers=workers, out=f"w{workers}")
        found.append(hashes(done.path))
    done = sweep(base, [AXIS], paths=PATHS, executor=Backwards(chunks), out="back")
    found.append(hashes(done.path))
    assert all(each == found[0] for each in found[1:])


def test_a_finished_chunk_is_not_worked_again(base: Path) -> None:
    """The same command finds all; a chunk that is missing or damaged is worked again, and the
    results are the same bytes."""
    with ThreadPoolExecutor(1) as one:
        first = sweep(base, [AXIS], paths=PATHS, executor=one, out="a")
        kept = hashes(first.path)
        files = sorted((first.path / "chunks").iterdir())
        written = {file.name: file.stat().st_mtime_ns for file in files}
        files[3].unlink()
        files[7].write_bytes(files[7].read_bytes()[:-1] + b"?")
        (first.path / "chunks" / ".chunk-0000009.tmp").write_bytes(b"half")
        told: list[driver.Progress] = []
        again = sweep(base, [AXIS], paths=PATHS, executor=one, out="a", progress=told.append)
    assert hashes(again.path) == kept
    now = {file.name: file.stat().st_mtime_ns for file in (again.path / "chunks").iterdir()}
    assert {name for name in now if now[name] != written.get(name)} == {
        files[3].name,
        files[7].name,
    }
    assert told[0].found == told[0].runs - 2
    assert told[0].damaged == 1


def test_another_sweep_is_refused_its_directory(base: Path) -> None:
    """With what differs; so is a folder of something else, and a file."""
    with ThreadPoolExecutor(1) as one:
        sweep(base, paths=2, executor=one, out="a")
        with pytest.raises(InputError, match=r"holds another sweep \(its paths was 2, not 3\)"):
            sweep(base, paths=3, executor=one, out="a")
        with pytest.raises(InputError, match="its axes was"):
            sweep(base, [AXIS], paths=2, executor=one, out="a")
        base.write_text(base.read_text().replace("seed = 11", "seed = 12"))
        with pytest.raises(InputError, match="another configuration"):
            sweep(base, paths=2, executor=one, out="a")
        Path("full").mkdir()
        Path("full/mine.txt").write_text("mine")
        with pytest.raises(InputError, match="no sweep's"):
            sweep(base, paths=2, executor=one, out="full")
        with pytest.raises(InputError, match="is a file"):
            sweep(base, paths=2, executor=one, out="full/mine.txt")


def test_two_drivers_do_not_share_a_directory(base: Path) -> None:
    """The second one is told so."""
    plan = planned(base, paths=2)
    with (
        Store(Path("a"), plan).opened({}),
        pytest.raises(InputError, match="another sweep is writing there"),
        Store(Path("a"), plan).opened({}),
    ):
        pass


def test_a_disk_that_is_full_is_said_and_loses_nothing(base: Path) -> None:
    """Half a chunk is none: what was finished is there, and the chunk is put again."""
    plan = planned(base, paths=40)
    store, (_, hard) = Store(Path("a"), plan), resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.opened({}):
        kept = store.put(plan.chunks[0], bytes(10))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
        try:
            with pytest.raises(
                LevsimError, match=r"a/chunks cannot be written: .*finished is kept"
            ):
                store.put(plan.chunks[1], bytes(10_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    again = Store(Path("a"), plan)
    with again.opened({}):
        assert again.finished == {0: kept}
        assert not list(Path("a/chunks").glob(".*"))
        again.put(plan.chunks[1], bytes(10_000))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_ends_at_once_and_says_so(base: Path, number: signal.Signals) -> None:
    """Whatever its workers are at, a policy that never answers included."""
    Path("endless.py").write_text(ENDLESS)
    policy = 'products.BTC3L.policies=[{type="user",path="endless.py:Endless"}]'
    process = _command(
        *("sweep", str(base), "--set", policy, "--paths", "40", "--workers", "1", "--out", "a"),
    )
    until = time.monotonic() + 60.0
    while not Path("asked").exists():
        assert time.monotonic() < until
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "interrupted; what is finished is kept, the same command goes on from there" in said
    assert "Traceback" not in said


def test_killed_workers_change_nothing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chunk's first try dies with its worker: the results are the same bytes."""
    with ThreadPoolExecutor(1) as one:
        kept = hashes(sweep(base, [AXIS], paths=PATHS, executor=one, out="calm").path)
    plan = planned(base, sets=[AXIS], paths=PATHS)
    store = Store(Path("killed"), plan)
    told: list[driver.Progress] = []
    with store.opened({}), LocalPool(2) as pool:
        driver.drive(plan, store, pool, 4, told.append, deadly.die_once)
    assert told[-1].deaths == len(plan.chunks)
    calm = sorted(file.name for file in Path("calm/chunks").iterdir())
    assert sorted(file.name for file in Path("killed/chunks").iterdir()) == calm
    assert hashes(Path("calm")) == kept


def test_a_poison_path_is_found_and_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run kills its worker each time: all others come to their results, and this one is a row
    that says why, with the command that runs it."""
    with ThreadPoolExecutor(1) as one:
        calm = sweep(base, [AXIS], paths=60, executor=one, out="calm").table.to_pylist()
    plan = planned(base, sets=[AXIS], paths=60)
    assert max(chunk.runs for chunk in plan.chunks) >= 4
    store, told = Store(Path("poison"), plan), []
    origin = sweeping.Origin("base.toml", (), None, (), None)
    with store.opened({}), LocalPool(2) as pool:
        driver.drive(plan, store, pool, 4, told.append, deadly.poisonous)
        summary = sweeping.finished(plan, store, origin)
    assert summary["faulty"] == 1
    (fault,) = summary["faults"]
    assert (fault["point"], fault["path"]) == deadly.POISON
    assert fault["fault"] == driver.DIED
    assert fault["command"].startswith("levsim run -c base.toml --set products.BTC3L.policies.0.")
    assert fault["command"].endswith(" --set generator.path=5")
    rows = pq.read_table("poison/sweep.parquet").to_pylist()
    place = [n for n, r in enumerate(calm) if (r["point"], r["path"]) == deadly.POISON]
    known = [row for row in rows if row["fault"] is None]
    assert known == [row for n, row in enumerate(calm) if n not in place]
    assert "1 run came to no result" in summary["verdict"]


@pytest.mark.parametrize("executor", [LocalPool, ThreadPoolExecutor])
def test_a_path_whose_error_cannot_be_sent_is_named(base: Path, executor: Any) -> None:
    """One run raises what no pipe can carry: it is bisected to and named with what it said, and all
    others come to their results. Catches a sweep that one odd exception ends."""
    with ThreadPoolExecutor(1) as one:
        calm = sweep(base, [AXIS], paths=60, executor=one, out="calm").table.to_pylist()
    plan = planned(base, sets=[AXIS], paths=60)
    store, told = Store(Path("odd"), plan), []
    origin = sweeping.Origin("base.toml", (), None, (), None)
    with store.opened({}), executor(2) as pool:
        driver.drive(plan, store, pool, 4, told.append, deadly.stubborn)
        summary = sweeping.finished(plan, store, origin)
    (fault,) = summary["faults"]
    assert (fault["point"], fault["path"]) == deadly.POISON
    assert fault["fault"] == "StubbornError: a path of thorns at noon"
    assert fault["command"].endswith(" --set generator.path=5")
    assert told[-1].deaths == 0
    assert "StubbornError: a path of thorns" in Path("odd/report.html").read_text()
    rows = pq.read_table("odd/sweep.parquet").to_pylist()
    known = [row for row in rows if row["fault"] is None]
    assert known == [row for row in calm if (row["point"], row["path"]) != deadly.POISON]


def test_work_that_always_fails_ends_the_sweep(base: Path) -> None:
    """Where every run raises it is no path that is at fault; the last one's words are said."""
    plan = planned(base, sets=[AXIS], paths=60)
    store, said = Store(Path("none"), plan), "51 runs came to nothing, the last one: StubbornError"
    with store.opened({}), ThreadPoolExecutor(2) as pool, pytest.raises(LevsimError, match=said):
        driver.drive(plan, store, pool, 4, None, deadly.worthless)


def test_a_pool_that_lets_work_go_is_said_to(base: Path) -> None:
    """As a cluster does whose scheduler is gone. Catches a traceback of a cancelled future."""

    class Forgetful(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    plan = planned(base, paths=4)
    store = Store(Path("gone"), plan)
    with store.opened({}), pytest.raises(LevsimError, match="let go of work that it had"):
        driver.drive(plan, store, Forgetful(), 4)


def test_a_policy_that_breaks_the_engine_is_a_row_with_its_words(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the engine is found without a death, and the exit code says so."""
    real = sweeping.drive.__globals__["work"].__globals__

    def steps_of(config: Any, setup: Any, path: int) -> Any:
        if path == 2:
            raise LevsimError("a product outgrew\n64 bits")
        return real_steps(config, setup, path)

    real_steps = real["steps_of"]
    monkeypatch.setitem(real, "steps_of", steps_of)
    with ThreadPoolExecutor(1) as one:
        done = sweep(base, paths=4, executor=one, out="a")
    assert done.exit_code == 1
    faults = [row for row in done.table.to_pylist() if row["fault"]]
    assert [(row["path"], row["fault"]) for row in faults] == [
        (2, "LevsimError: a product outgrew")
    ]
    assert done.summary["policies"][0]["runs"] == 3


def test_a_killed_driver_goes_on_where_it_was(base: Path) -> None:
    """The command, killed twice in its midst and typed again, comes to the bytes of one that was
    left alone, and says which chunks a bad disk took; its workers do not outlive it."""
    arguments = ["sweep", str(base), "--set", AXIS, "--paths", "200", "--workers", "2"]
    with ThreadPoolExecutor(1) as one:
        kept = hashes(sweep(base, [AXIS], paths=200, executor=one, out="calm").path)
    chunks = Path("killed/chunks")
    for least in (2, 9):
        process = _command(*arguments, "--out", "killed")
        until = time.monotonic() + 60.0
        while not (chunks.is_dir() and len(list(chunks.glob("chunk-*"))) >= least):
            assert time.monotonic() < until
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    finished = min(chunks.glob("chunk-*"))
    finished.write_bytes(finished.read_bytes()[:-1])
    process = _command(*arguments, "--out", "killed")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "runs were finished before" in said
    assert "finished chunks damaged, worked again: 1\n" in said
    assert hashes(Path("killed")) == kept


def _command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "engine", *arguments],
        env={**os.environ, "PYTHONPATH": IMPORTED_FROM},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_row_is_what_a_run_of_its_path_gives(base: Path) -> None:
    """The command of a row gives its digest, and its figures to the last digit that both print."""
    with ThreadPoolExecutor(1) as one:
        done = sweep(base, [AXIS], paths=3, executor=one, out="a")
    row = next(r for r in done.table.to_pylist() if (r["point"], r["path"]) == (1, 2))
    again = run(config=base, sets=["products.BTC3L.policies.0.target=3.0", "generator.path=2"],
                write=False)  # fmt: skip
    summary = again.summary
    assert row["digest"].hex() == summary["digest"]
    rows = [r for r in done.table.to_pylist() if (r["point"], r["path"]) == (1, 2)]
    for row in rows:
        product, issuer = summary["products"][row["product"]], summary["issuer"]["products"]
        for name in ("nav_end", "return", "underlying_return", "equity_end", "rebalances"):
            assert row[name] == product[name]
        assert row["max_drawdown"] == pytest.approx(product["max_drawdown"], abs=1e-12)
        assert row["leverage_end"] == product["leverage"]["end"]
        assert row["holding_cost"] == product["costs"]
        assert row["funding"] == product["attribution"]["funding"]
        assert row["issuer_profit"] == pytest.approx(issuer[row["product"]]["profit"], abs=1e-6)
        assert row["issuer_loss"] == issuer[row["product"]]["deficits_paid"]


def test_a_scenario_lies_over_every_path(base: Path) -> None:
    """What the worst row's command says is typed: its digest is that of the row, and not that of
    the path without the scenario."""
    Path("fall.toml").write_text(
        """
name = "fall"
[[events]]
kind = "gap"
at = "10m"
depth_pct = -30.0
"""
    )
    with ThreadPoolExecutor(1) as one:
        done = sweep(base, paths=3, scenarios=["fall.toml"], executor=one, out="a")
        calm = sweep(base, paths=3, executor=one, out="b")
    assert done.summary["faulty"] == 0
    (worst, *_) = done.worst.to_pylist()
    assert worst["nav_end"] < 0.2
    words = shlex.split(worst["command"])
    assert words[:4] == ["levsim", "run", "-c", str(base)]
    assert words[4:6] == ["--scenario", "fall.toml"]
    again = run(config=base, scenarios=["fall.toml"], sets=[words[-1]], write=False)
    rows = [r for r in done.table.to_pylist() if r["path"] == worst["path"]]
    assert {row["digest"].hex() for row in rows} == {again.summary["digest"]}
    assert not {r["digest"] for r in calm.table.to_pylist()} & {row["digest"] for row in rows}
    with pytest.raises(ConfigError, match=r'no scenario "fell"'):
        planned(base, paths=3, scenarios=["fell"])


def test_the_table_is_what_it_says(base: Path) -> None:
    """A row a run and product, in the order of points and paths, with a column an axis."""
    with ThreadPoolExecutor(1) as one:
        done = sweep(base, [AXIS], paths=PATHS, executor=one, out="a")
    table = done.table
    assert table.schema.names == [*ROWS.names, AXIS.partition("=")[0]]
    assert len(table) == 2 * PATHS * 2
    keys = list(zip(table["point"].to_pylist(), table["path"].to_pylist(), strict=True))
    assert sorted(keys) == sorted((p, q) for p in (0, 1) for q in range(PATHS) for _ in range(2))
    target = dict(
        zip(table["point"].to_pylist(), table[AXIS.partition("=")[0]].to_pylist(), strict=True)
    )
    assert target == {0: 2.95, 1: 3.0}
    assert {row["runs"] for row in done.policies.to_pylist()} == {PATHS}
    ordered = sorted(table["nav_end"].to_pylist())
    assert done.worst.to_pylist()[0]["nav_end"] == ordered[0]
    assert len(done.worst) == 10
    assert done.ranking.to_pylist()[0]["rank"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"paths": 0}, "--paths must be 1 or more, was 0"),
        ({"paths": -3}, "--paths must be 1 or more, was -3"),
        ({"paths": 20_000_000}, "20,000,000 runs"),
        ({"workers": 0}, "--workers must be from 1 to 256, was 0"),
        ({"workers": -2}, "was -2"),
        ({"sets": ["products.BTC3L.policies.0.tarket=1,2"]}, 'did you mean "target"'),
        ({"sets": ["products.BTC9L.limit=1,2"]}, "known are BTC3L, BTC3S"),
        ({"sets": ["products.BTC3L.policies.0.target=3.0,5.0"]}, "high"),
        ({"sets": ["generator.volatility=0.5,-1"]}, "volatility"),
        (
            {"sets": [AXIS, "products.0.policies.0.target=2.96,3.01"]},
            "target=2.95 and products.BTC3L.policies.0.target=3.0 come to the same configuration",
        ),
        ({"sets": ["generator.volatility=1,1.0"]}, "volatility=1 and generator.volatility=1.0"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    base: Path, change: dict[str, Any], said: str
) -> None:
    """With a sentence; and nothing is written."""
    given = {"paths": 2, "out": "a", **change}
    with pytest.raises(LevsimError) as refused:
        sweep(base, **given)
    assert said in str(refused.value)
    assert not Path("a/chunks").exists() or not any(Path("a/chunks").iterdir())


def test_a_recorded_market_is_one_path(base: Path) -> None:
    """More are refused; a grid over the sample has one run a point."""
    text = base.read_text()
    base.write_text(text[: text.index("[generator]")] + text[text.index("[[products]]") :])
    with pytest.raises(ConfigError, match="a recorded market is one path"):
        planned(base, paths=2)
    plan = planned(base, sets=[AXIS])
    assert (plan.paths, plan.runs, plan.generated) == (1, 2, False)
