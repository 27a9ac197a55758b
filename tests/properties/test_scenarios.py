"""The four properties under scenarios: the slow engine says the same, cuts and restarts change
nothing, money is conserved after every step."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from engine.config import load_config, spec_of
from engine.config.scenarios import staging_of, under
from engine.config.scened import scened
from engine.engine import Engine, EngineSpec
from engine.inputs import open_market
from engine.snapshot import restore, snapshot
from engine.ticks import Step
from feeds.generators.gbm import Gbm
from feeds.merge import concatenated
from feeds.scenarios import Scenario
from tests.builders import Run, cut
from tests.properties.agreement import agree
from tests.properties.test_partition import assert_same

BASE = Gbm(volatility=0.8, days=0.07, step="20s")
QUICK = ["output.nav_every=1m", "output.user_nav_every=5m"]
CRASH: list[dict[str, Any]] = [
    {"kind": "redemption_run", "share_pct": 40, "parts": 4, "at": "30m", "over": "40m"},
    {"kind": "creation_rush", "share_pct": 30, "parts": 3, "at": "10m", "over": "20m"},
    {"kind": "shock", "at": "40m", "depth_pct": -38, "over": "6m", "shape": "exp"},
    {"kind": "rebound", "after": "shock", "at": "1m", "over": "20m"},
    {"kind": "vol_regime", "scale": 2.0, "vol": 1.5, "at": "30m", "pinned": "10m"},
    {"kind": "liquidity", "depth_scale": 0.001, "spread_bps": 50, "at": "35m", "duration": "15m"},
    {"kind": "withdrawal_freeze", "at": "40m", "duration": "20m"},
    {"kind": "adl", "fund": 10_000, "drawdown": 0.3},
    {"kind": "depeg", "to": 0.8, "at": "38m", "over": "5m", "every": "1m", "name": "lost"},
    {"kind": "depeg", "to": 0.99, "after": "lost", "over": "10m", "every": "1m", "shape": "exp"},
    {"kind": "adl", "share_pct": 30, "side": "short", "price_bps": -80, "at": "55m", "name": "by"},
    {"kind": "venue_default", "recovery": 0.3, "at": "90m"},
]
FAULTS: list[dict[str, Any]] = [
    {"kind": "gap", "at": "50m", "depth_pct": -31},
    {"kind": "freeze", "at": "20m", "duration": "12m", "prices": ["mark", "bbo"]},
    {"kind": "outage", "target": "ticks", "at": "60m", "duration": "4m"},
    {"kind": "outage", "target": "venue", "at": "50m", "duration": "3m"},
    {"kind": "delay", "by": "50s", "rows": ["bbo"], "at": "5m", "duration": "30m"},
    {"kind": "late", "by": "45s", "share": 0.3, "at": "15m", "duration": "50m"},
    {"kind": "duplicate", "share": 0.3, "at": "5m", "duration": "40m"},
    {"kind": "latency", "latency_ms": 40_000, "at": "45m", "duration": "20m"},
    {"kind": "rejects", "share": 0.5, "reduce_only": True, "at": "70m", "duration": "10m"},
    {"kind": "funding", "rate": 0.01},
    {"kind": "halt", "at": "80m", "duration": "5m"},
    {"kind": "chop", "swing_pct": 9, "period": "20m", "at": "30m"},
]


def staged_tape(events: list[dict[str, Any]]) -> tuple[EngineSpec, Step]:
    """The line-up's spec and all rows and messages of a scenario on the small market."""
    scenario = msgspec.convert({"name": "test", "events": events}, Scenario)
    data = open_market(base=BASE)
    config = under(load_config(None, QUICK, symbols=data.symbols), (scenario,), BASE)
    staging = staging_of(config, data)
    steps = [step.shifted(-step.first) for step in staging.steps(data.steps())]
    return spec_of(scened(config, staging.events), data.symbols), concatenated(steps)


@pytest.mark.parametrize("events", [CRASH, FAULTS], ids=["crash", "faults"])
def test_the_four_properties_hold(events: list[dict[str, Any]]) -> None:
    """Reference, partition, restart and conservation, with every kind of event at work."""
    spec, tape = staged_tape(events)
    random = Random(len(events))
    whole = agree(spec, tape, [random.randrange(tape.end) for _ in range(5)], check=True)
    assert len(whole.named("scenario_mark")) == len(events)
    engine = Engine(spec)
    said = Run(engine)
    for number, step in enumerate(cut(tape, range(0, tape.end, 13))):
        said.take(engine.process(step))
        if number % 9 == 0:
            engine = restore(spec, snapshot(engine))
    said.engine = engine
    said.take(engine.finish())
    assert_same(said, whole)
