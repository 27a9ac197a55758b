"""Tests of ``levsim policy`` and of policies in a run: written, checked, listed, faulted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from strategies.user import BUILT_IN
from tests.engine.test_cli import KLINES, Typed
from tests.imported import IMPORTED_FROM

DATA = "BTCUSDT-1m-um.csv"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two hours of bars."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / DATA).write_text(KLINES)
    return tmp_path


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda *arguments: Typed(capsys, *arguments)


def summary_of(out: str) -> Any:
    return json.loads(Path(out, "summary.json").read_text())


# New, check, list ---------------------------------------------------------------------------------


def test_a_new_policy_passes_its_check_and_runs(folder: Path, typed: Any) -> None:
    """``policy new`` writes some fifteen lines that keep every promise and run with their settings;
    what is there is left alone. Catches a template that has grown stale."""
    done = typed("policy", "new", "vol_cap.py")
    assert done.code == 0
    assert "levsim policy check vol_cap.py:VolCap" in done.out
    text = (folder / "vol_cap.py").read_text()
    assert 12 <= sum(bool(line.strip()) for line in text.splitlines()) <= 18
    checked = typed("policy", "check", "vol_cap.py:VolCap", "--set", "policy.target_vol=0.4")
    assert checked.code == 0
    assert "keeps its promises" in checked.out
    run = ("run", DATA, "--policy", "vol_cap.py:VolCap", "--set", "policy.target_vol=0.4")
    assert typed(*run, "--no-report", "--out", "one").code == 0
    again = typed("policy", "new", "vol_cap.py")
    assert again.code == 3
    assert "is there already" in again.err
    assert (folder / "vol_cap.py").read_text() == text


@pytest.mark.parametrize("name", ["none/there.py", "words.txt", "class.py".replace("c", "1c")])
def test_a_file_that_cannot_be_is_refused(name: str, folder: Path, typed: Any) -> None:
    """A folder that is not there, another ending, a name that no class can have. Catches a
    traceback."""
    done = typed("policy", "new", name)
    assert done.code == 3
    assert done.err.startswith("error: ")
    assert name in done.err


FAULTY = {
    "Careless": ("2.0 / market.ewma_vol", r"raised ZeroDivisionError", "odd view 0"),
    "Nothing": ("None", "returned NoneType None", "odd view 0"),
    "Greedy": ("50.0", "outside the product's limits", "odd view 0"),
    "Moody": ("next(dice)", "asked twice it answers", "tick 1 of Moody"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_check_says_what_failed_and_where(name: str, folder: Path, typed: Any) -> None:
    """Exit code 3, with the promise, the tick and how things stood. Catches a check that says no
    and not why."""
    answer, what, where = FAULTY[name]
    (folder / "p.py").write_text(
        "import itertools\ndice = itertools.cycle([1.0, 2.0, 3.0])\n"
        f"class {name}:\n    def target(self, market, position):\n        return {answer}\n"
    )
    done = typed("policy", "check", f"p.py:{name}")
    assert done.code == 3
    assert what in done.err
    assert where in done.err
    assert "price " in done.err


def test_built_in_policies_are_checked_by_name(typed: Any) -> None:
    """With their settings, and as JSON. Catches a check for users' own alone."""
    done = typed("policy", "check", "vol-target", "--set", "policy.high=2", "--json")
    assert done.code == 0
    assert done.json["passed"] is True
    assert done.json["ticks"] > 1_000
    wrong = typed("policy", "check", "vol-target", "--set", "policy.hgih=2")
    assert wrong.code == 3
    assert 'did you mean "high"?' in wrong.err
    assert typed("policy", "check", "vol-target", "--set", "high=2").code == 3


def test_the_list_has_a_line_for_each(typed: Any) -> None:
    """What each does in one sentence. Catches a policy without one."""
    listed = typed("policy", "list", "--json").json
    assert [policy["name"] for policy in listed["built_in"]] == list(BUILT_IN)
    for policy in listed["built_in"]:
        assert policy["does"].endswith(".")
        assert f"{policy['name']}: {policy['does']}" in typed("policy", "list").out


# In a run -----------------------------------------------------------------------------------------

LATE = """
class Late:
    review = "10m"
    def __init__(self):
        self.calls = 0
    def target(self, market, position):
        self.calls += 1
        if self.calls == 4:
            {fault}
        return 3.0
    def explain(self):
        return f"call {{self.calls}} of many"
"""


@pytest.mark.parametrize(
    ("mode", "last"),
    [
        ((), 3.0),
        (("--set", "products.2.safe_mode=cut", "--set", "products.2.safe_leverage=0.5"), 0.5),
    ],
    ids=["hold", "cut"],
)
def test_a_fault_in_mid_run_is_safe_mode(
    mode: tuple[str, ...], last: float, folder: Path, typed: Any
) -> None:
    """The run goes on, the product holds or is cut, exit code, summary, screen and ``explain`` say
    so, with the line of the user's file. Catches a product that stays at 3x where it was to be
    cut."""
    (folder / "late.py").write_text(LATE.format(fault="raise KeyError(market.mark > 0)"))
    done = typed("run", DATA, "-p", "late.py:Late", *mode, "--no-report", "--out", "one")
    assert done.code == 1
    product = summary_of("one")["products"]["BTC-SMART-L"]
    assert product["policy_faults"] == 1
    assert product["deleveragings"] == (1 if mode else 0)
    assert product["leverage"]["end"] == pytest.approx(last, rel=0.1)
    assert "faulted 1 time; safe mode took over" in done.out
    told = typed("explain", "one", "--product", "BTC-SMART-L").out
    assert "Late.target raised KeyError: True at 2023-11-14T" in told
    assert "(at late.py:9)" in told
    assert ("safe mode cut" if mode else "safe mode hold") in told
    assert "call 1 of many" in told
    if mode:
        assert "safe mode: a policy faulted" in told
    assert typed("verify", "one").code == 0


def test_answers_beyond_the_limit_are_faults_or_are_clamped(folder: Path, typed: Any) -> None:
    """``on_out_of_range``: refused as it is, brought back to the limit where it says so. Catches a
    clamp that nobody asked for."""
    (folder / "late.py").write_text(LATE.format(fault="return 40.0"))
    run = ("run", DATA, "-p", "late.py:Late", "--no-report", "--out")
    assert typed(*run, "one").code == 1
    clamp = ("--set", "policy.on_out_of_range=clamp", "--set", "products.2.limit=4")
    assert typed(*run, "two", *clamp).code == 0
    events = [json.loads(line) for line in Path("two/events.jsonl").read_text().splitlines()]
    assert max(e.get("target", 0.0) for e in events if e.get("product") == "BTC-SMART-L") == 4.0


def test_a_policy_that_takes_most_of_the_run_is_named(folder: Path, typed: Any) -> None:
    """Its answers' time and share stand in the summary and in a warning. Catches a slow run with
    nobody to blame."""
    body = "        return sum(i * 0.0 for i in range(200_000)) + 2.0\n"
    (folder / "slow.py").write_text(f"class Slow:\n    def target(self, m, p):\n{body}")
    done = typed("run", DATA, "-p", "slow.py:Slow", "--no-report", "--out", "one")
    assert done.code == 0
    row = summary_of("one")["policy_times"]["Slow"]
    assert row["asked"] > 100
    assert 0.25 < row["share"] <= 1.0
    assert "warning: Slow took" in done.err
    assert "% of the run" in done.err


@pytest.mark.parametrize("name", ["vol-target", "cppi", "drawdown-control", "flexible_leverage"])
def test_a_built_in_policy_takes_the_dynamic_ones_place(
    name: str, folder: Path, typed: Any
) -> None:
    """By name. Catches one that does not decode from a configuration."""
    done = typed("run", DATA, "--policy", name, "--no-report", "--out", "one")
    assert done.code == 0
    config = Path("one/run.toml").read_text()
    assert f'type = "{name.replace("-", "_")}"' in config
    assert "trend_vol" not in config
    assert summary_of("one")["products"]["BTC-SMART-L"]["policy_faults"] == 0


def test_the_command_is_known() -> None:
    """Catches a command that the overview has and nobody can call."""
    assert main(["policy", "check"]) == 2


# What it prints -----------------------------------------------------------------------------------

TALKS = """class Talks:
    review = "10m"
    def target(self, market, position):
        print("a word")
        return 2.0
"""
MARKET = """seed = 7
[generator]
model = "gbm"
days = 0.02
step = "10s"
[[markets]]
symbol = "BTCUSDT"
[[products]]
id = "X"
symbol = "BTCUSDT"
policies = [ { type = "user", path = "talks.py:Talks" } ]
"""
SPOKEN = {
    "run": ("run", "-c", "m.toml", "--no-report", "--json"),
    "run -q": ("run", "-c", "m.toml", "--no-report", "--json", "-q"),
    "breakpoint": ("breakpoint", "--policy", "talks.py:Talks", "--json"),
    "capacity": ("capacity", "--policy", "talks.py:Talks", "--gap", "0.2", "--json"),
}


@pytest.mark.parametrize("command", SPOKEN)
def test_what_a_policy_prints_is_no_result(command: str, folder: Path, typed: Any) -> None:
    """Whatever asks it, ``--json`` is one object and what it says stands on stderr. Catches a pipe
    that breaks at a word of a policy."""
    (folder / "talks.py").write_text(TALKS)
    (folder / "m.toml").write_text(MARKET)
    done = typed(*SPOKEN[command])
    assert done.code == 0, done.err
    assert isinstance(json.loads(done.out), dict)
    assert "a word\n" in done.err


def test_a_check_prints_its_verdict_alone(folder: Path, typed: Any) -> None:
    """Of ten thousand answers, each with a word. Catches a verdict that nobody finds."""
    (folder / "talks.py").write_text(TALKS)
    done = typed("policy", "check", "talks.py:Talks")
    assert done.out.startswith("talks.py:Talks keeps its promises")
    assert len(done.out.splitlines()) == 1


def test_workers_of_a_sweep_say_nothing_on_stdout(folder: Path) -> None:
    """They are processes of their own, and stdout is the driver's. Catches a table between whose
    lines a policy speaks."""
    (folder / "talks.py").write_text(TALKS)
    (folder / "m.toml").write_text(MARKET)
    command = [sys.executable, "-m", "engine", "sweep", "m.toml", "--paths", "2", "--workers", "2"]
    there = {**os.environ, "PYTHONPATH": IMPORTED_FROM}
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=True, env=there, timeout=120
    )
    assert isinstance(json.loads(done.stdout), dict)
    assert "a word\n" in done.stderr
