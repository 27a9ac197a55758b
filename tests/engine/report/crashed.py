"""A crash of a market that feels, with a crowd in it, as a run directory."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine import api
from engine.crash_facts import calibrated_text
from feeds.scenarios import Scenario

__all__ = ["crashed_run"]

_GENERATED = """
[generator]
model = "gbm"
volatility = 0.5
days = 0.025
step = "1s"
prices = { BTCUSDT = 120_000.0 }
"""
CRASH = msgspec.convert(
    {
        "name": "crash",
        "events": [
            {"kind": "shock", "name": "fall", "at": "8m", "depth_pct": -11, "over": "5m"},
            {"kind": "shock", "name": "back", "at": "20m", "depth_pct": 5, "over": "5m"},
        ],
    },
    Scenario,
)


def crashed_run(folder: Path) -> api.RunResult:
    """The calibrated market under a crash of 36 minutes, in ``folder / "crash"``."""
    path = folder / "run.toml"
    path.write_text(calibrated_text().replace("count = 1_000", "count = 300") + _GENERATED)
    return api.run(config=path, scenarios=[CRASH], out=folder / "crash")
