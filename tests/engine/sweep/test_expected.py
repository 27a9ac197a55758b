"""Tests of what is expected of every run of a sweep, what is asked on every path, and how long a
run may take."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.api import run
from engine.errors import ConfigError, OverTimeError
from engine.sweep import sweep
from engine.sweep.limiting import within

PATHS = 6
NEVER_ENDS = """
class Stuck:
    review = "1m"

    def target(self, market, position):
        while market.ewma_vol > 0.0:
            pass
        return 1.0
"""


def a_sweep(base: Path | None, **given: Any) -> Any:
    with ThreadPoolExecutor(1) as one:
        return sweep(base, paths=PATHS, executor=one, **given)


def a_scenario(condition: str) -> str:
    Path("mine.toml").write_text(f'name = "mine"\n[expect]\nkept = "{condition}"\n')
    return "mine.toml"


def test_an_expectation_is_judged_on_every_path(base: Path) -> None:
    """The paths that are told are those whose figure says so, each with its command; the exit code
    is 1. The same expectation turned round is violated by the others. Catches one that is judged of
    the first path alone, or never."""
    below = a_sweep(base, scenarios=[a_scenario("products.BTC3L.nav_end < 1.0")], out="a")
    above = a_sweep(base, scenarios=[a_scenario("products.BTC3L.nav_end >= 1.0")], out="b")
    told = [{row["path"] for row in done.summary["violations"]} for done in (below, above)]
    rows = below.table.to_pylist()
    won = {r["path"] for r in rows if r["product"] == "BTC3L" and r["nav_end"] >= 1.0}
    assert told == [won, set(range(PATHS)) - won]
    assert 0 < len(won) < PATHS
    assert (below.exit_code, below.summary["violating"]) == (1, len(won))
    assert "did not keep to what the scenario expects" in below.verdict
    assert "violations" in below.report.read_text()
    first = below.summary["violations"][0]
    assert "nav_end was" in first["violated"]
    assert f"generator.path={first['path']}" in first["command"]
    kept = a_sweep(base, scenarios=[a_scenario("products.*.nav_end > 0")], out="c")
    assert (kept.exit_code, kept.summary["violations"]) == (0, [])


def test_events_are_counted_for_expectations(base: Path) -> None:
    """Also those that never came. Catches a count that is missing instead of 0."""
    done = a_sweep(base, scenarios=[a_scenario("events.rebalanced > 1000000")], out="a")
    assert done.summary["violating"] == PATHS
    done = a_sweep(base, scenarios=[a_scenario("events.hedge_auto_deleveraged == 0")], out="b")
    assert done.summary["violating"] == 0


@pytest.mark.parametrize("figure", ["issuer.by_asset", "products.BTC3L.attribution.price"])
def test_what_a_sweep_does_not_keep_cannot_be_expected(base: Path, figure: str) -> None:
    """Refused beforehand, with what there is. Catches an expectation that every path violates."""
    with pytest.raises(ConfigError, match=r"of each path of a sweep there are events\.KIND"):
        a_sweep(base, scenarios=[a_scenario(f"{figure} > 0")])


def test_requests_come_on_every_path(base: Path) -> None:
    """Each run is that of ``run`` with the same file. Catches requests that only the first path of
    a worker gets."""
    asked = '{"ts": "2026-01-15T00:10:00Z", "id": "a", "kind": "target", '
    Path("asked.jsonl").write_text(asked + '"product": "BTC3L", "target": 0.5}\n')
    plain, done = a_sweep(base, out="a"), a_sweep(base, requests="asked.jsonl", out="b")
    for path in (0, PATHS - 1):
        sets = [f"generator.path={path}"]
        alone = run(config=base, sets=sets, requests="asked.jsonl", write=False)
        rows = [row for row in done.table.to_pylist() if row["path"] == path]
        before = [row for row in plain.table.to_pylist() if row["path"] == path]
        assert {row["digest"].hex() for row in rows} == {alone.summary["digest"]}
        assert {row["digest"] for row in rows} != {row["digest"] for row in before}
    assert "--requests asked.jsonl" in done.summary["worst"][0]["command"]


def test_a_run_that_never_ends_is_given_up_and_named(base: Path) -> None:
    """It has a row that says so and its command; the sweep comes to an end. Catches a limit that a
    policy may catch, or that stops at the first."""
    Path("stuck.py").write_text(NEVER_ENDS)
    old = '{ type = "constant", target = -3.0, review_s = 300.0 }'
    base.write_text(base.read_text().replace(old, '{ type = "vol_target", direction = -1 }'))
    with ThreadPoolExecutor(1) as one:
        policies = ["stuck.py:Stuck"]
        done = sweep(base, paths=2, executor=one, policies=policies, seconds=0.5, out="a")
    assert [row["fault"] for row in done.summary["faults"]] == ["it took longer than 0.5 s"] * 2
    assert "generator.path=1" in done.summary["faults"][1]["command"]
    assert done.exit_code == 1


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_a_limit_is_a_time(base: Path, seconds: float) -> None:
    """Others are refused. Catches NaN, which every comparison lets pass."""
    with pytest.raises(ConfigError, match="--path-seconds must be 0 or more"):
        a_sweep(base, seconds=seconds)


def test_an_alarm_ends_a_sleep_and_leaves_nothing_behind() -> None:
    """In the main thread the time is up also while nothing runs; what was in time hears nothing of
    it. Catches a timer that rings in the next run."""
    assert threading.current_thread() is threading.main_thread()
    began = time.monotonic()
    with pytest.raises(OverTimeError), within(0.05):
        time.sleep(60.0)
    assert time.monotonic() - began < 30.0
    with within(0.05):
        pass
    time.sleep(0.1)
