"""One run of the sample with a user who comes and goes, shared by the tests of its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.api import RunResult, run

MORNING, EVENING = 1_768_460_000_000_000_000, 1_768_505_000_000_000_000


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The synthetic day: alice buys in the morning, sells half in the evening, and asks for too
    much once."""
    folder = tmp_path_factory.mktemp("sample")
    asked: list[dict[str, Any]] = [
        {"ts": MORNING, "id": "a", "user": "alice", "side": "create", "quote": 1000.0},
        {"ts": EVENING, "id": "b", "user": "alice", "side": "redeem", "units": 500.0},
        {"ts": EVENING, "id": "c", "user": "alice", "side": "redeem", "units": 1e6},
    ]
    lines = [json.dumps({"product": "BTC3L", **one}) for one in asked]
    requests = folder / "requests.jsonl"
    requests.write_text("\n".join(lines) + "\n")
    return run("sample", requests=requests, out=folder / "run")


@pytest.fixture(scope="session")
def report(sample_run: RunResult) -> Path:
    """The page of that run."""
    assert sample_run.path is not None
    return sample_run.path / "report.html"
