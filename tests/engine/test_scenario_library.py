"""The library in short form, each with its verdict; and its paths beside the recordings."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine import api
from engine.config import RunConfig
from engine.config.scenarios import load_scenario, scenario_names, staging_of, under
from engine.inputs import open_market
from engine.ticks import Marks
from feeds.scenarios import Scenario

GOLDEN = Path(__file__).parents[1] / "golden" / "scenarios.json"
DATA = Path(__file__).parents[3] / "shared" / "data"
HOUR_NS = 3_600 * 10**9


def shortened(name: str) -> Scenario:
    """The scenario on rows further apart."""
    scenario = load_scenario(name).scenario
    assert scenario.base is not None
    days = scenario.base.days
    step = "5s" if days <= 0.5 else "30s" if days <= 8.0 else "1m"
    return replace(scenario, base=replace(scenario.base, step=step))


def verdict_of(name: str) -> str:
    """What the run says, after it kept to all that the scenario expects."""
    quick = ["output.nav_every=1m", "output.user_nav_every=0s"]
    done = api.run(scenarios=[shortened(name)], sets=quick, write=False)
    assert done.violated == []
    told = done.summary["scenario"]
    assert told["applied"] == told["events"]
    return done.verdict


@pytest.mark.parametrize("name", scenario_names())
def test_verdicts_are_as_they_were(name: str) -> None:
    """Each scenario comes about whole, keeps to what it expects, and ends in the same sentence."""
    assert verdict_of(name) == json.loads(GOLDEN.read_text())[name]


Bars = list[tuple[int, float]]
"""End of each bar, and its close; the first is the opening."""


def klines(file: str) -> Bars:
    """Closes of a file of Binance's candles."""
    rows = json.loads(gzip.decompress((DATA / file).read_bytes()))
    return [(int(row[6]) * 10**6 + 10**6, float(row[4])) for row in rows]


def minutes(file: str) -> Bars:
    """Closes of a file of BitMEX's one-minute bars."""
    found = []
    for line in gzip.decompress((DATA / file).read_bytes()).splitlines():
        for bar in json.loads(line):
            at = np.datetime64(bar["timestamp"].rstrip("Z"), "ns")
            found.append((int(at.astype(np.int64)), float(bar["close"])))
    return found


def figures(closes: Any) -> dict[str, float]:
    """Return, root of the realised variance, worst bar and share of the time under water."""
    moves = np.diff(np.log(closes))
    return {
        "return": float(closes[-1] / closes[0] - 1.0),
        "realised": float(np.sqrt((moves * moves).sum())),
        "worst": float(moves.min()),
        "under": float((closes < closes[0]).mean()),
        "drawdown": float((closes / np.maximum.accumulate(closes) - 1.0).min()),
    }


def path_of(scenario: Scenario, times: Any) -> Any:
    """The mark as of each of the times."""
    data = open_market(base=scenario.base)
    config = under(RunConfig(), (scenario,), scenario.base)
    tables = [
        table
        for step in staging_of(config, data).steps(data.steps())
        for table in step.tables
        if isinstance(table, Marks)
    ]
    ts_ns = np.concatenate([table.ts_ns for table in tables])
    price = np.concatenate([table.price for table in tables])
    return price[np.maximum(ts_ns.searchsorted(times, "right") - 1, 0)]


MONTH = "binance-spot-klines/BTCUSDT-1h-{}-01.json.gz"
WINDOWS = {
    "2020-03-12": (minutes, "bitmex-xbtusd-1m/2020-03.jsonl.gz", "03-12T10:00", 26.0),
    "2022-05-luna": (klines, MONTH.format("2022-05"), "05-09T00:00", 95.0),
    "2022-11-ftx": (klines, MONTH.format("2022-11"), "11-07T12:00", 58.0),
    "2024-08-05": (
        *(klines, "crash-20240805-spot-30m/BTCUSDT-30m-2024-07-29.json.gz"),
        *("08-04T12:00", 35.0),
    ),
    "2025-10-10": (
        *(klines, "crash-20251010-spot-15m/BTCUSDT-15m-2025-10-06.json.gz"),
        *("10-10T14:00", 15.5),
    ),
}
"""Where a recording holds the window: file, begin, hours."""


@pytest.mark.parametrize("name", WINDOWS)
def test_paths_are_shaped_like_the_recordings(name: str) -> None:
    """Over the recorded window, bar by bar: return and drawdown within 5 points, realised
    volatility and the worst bar within 40 % of themselves, time under water within 10 points."""
    if not DATA.exists():
        pytest.skip("the recorded markets lie beside the repository, and not here")
    read, file, begin, hours = WINDOWS[name]
    scenario = load_scenario(name).scenario
    assert scenario.base is not None
    start_ns = int(np.datetime64(f"{name[:4]}-{begin}", "ns").astype(np.int64))
    bars = [bar for bar in read(file) if start_ns <= bar[0] <= start_ns + hours * HOUR_NS]
    times = np.array([bar[0] for bar in bars])
    recorded = figures(np.array([bar[1] for bar in bars]))
    shift_ns = SHIFTS.get(name, 0)
    made = figures(path_of(scenario, times - shift_ns))
    for each in ("return", "drawdown"):
        assert made[each] == pytest.approx(recorded[each], abs=0.05), (each, made, recorded)
    for each in ("realised", "worst"):
        assert made[each] == pytest.approx(recorded[each], rel=0.4), (each, made, recorded)
    assert made["under"] == pytest.approx(recorded["under"], abs=0.10), (made, recorded)


SHIFTS = {"2025-10-10": 14 * HOUR_NS, "2024-08-05": 12 * HOUR_NS}
"""A path that begins with its base stands for a window that begins later in the day."""


def test_a_day_of_which_a_candle_is_known_is_shaped_like_it() -> None:
    """19 May 2021: from its opening to its close, to its lowest and to its highest within 5 points.
    Nobody recorded more of it here."""
    if not DATA.exists():
        pytest.skip("the recorded markets lie beside the repository, and not here")
    rows = json.loads(gzip.decompress((DATA / CANDLES).read_bytes()))
    start_ns = int(np.datetime64("2021-05-19", "ns").astype(np.int64))
    (candle,) = [row for row in rows if int(row[0]) * 10**6 == start_ns]
    opening, high, low, close = map(float, candle[1:5])
    times = start_ns + np.arange(1, 24 * 3_600 + 1) * 10**9
    path = path_of(load_scenario("2021-05-19").scenario, times)
    for made, recorded in ((path[-1], close), (path.min(), low), (path.max(), high)):
        assert made / path[0] - 1.0 == pytest.approx(recorded / opening - 1.0, abs=0.05)


CANDLES = "binance-spot-klines/BTCUSDT-1d-2020-01-01.json.gz"
