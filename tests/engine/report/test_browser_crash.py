"""The pictures of a crisis, in a browser: what they show is what the run wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.api import RunResult
from engine.report.words import number, percent
from tests.engine.report.chromium import Chromium
from tests.engine.report.crashed import crashed_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    folder = tmp_path_factory.mktemp("crashed")
    return crashed_run(folder), folder / "crash"


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory, crashed: tuple[RunResult, Path]
) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    chromium.prefer("light")
    chromium.open(crashed[1] / "report.html")
    yield chromium
    chromium.close()


def _events(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def _rows(page: Chromium, card: str, table: int) -> list[list[str]]:
    rows: list[list[str]] = page.run(
        f"""[...document.querySelectorAll("#card-{card} details table")][{table}]
            .querySelectorAll("tbody tr").values().map(
                (row) => [...row.cells].map((cell) => cell.textContent.replaceAll("\\u00a0", " "))
            ).toArray()"""
    )
    return rows


def test_the_price_ends_where_the_run_did(page: Chromium, crashed: tuple[RunResult, Path]) -> None:
    """The drawn line has the lowest mark of the samples, as low in the picture as its scale says;
    each event of the scenario is an upright line and a row with the mark of its time."""
    run, folder = crashed
    samples = pq.read_table(folder / "nav.parquet", columns=["ts_ns", "mark_price"])
    marks = samples["mark_price"].to_numpy()
    end = run.summary["markets"]["BTCUSDT"]["mark_end"]
    found: dict[str, Any] = page.run(
        """(() => {
            const svg = document.querySelector("#card-market svg.chart")
            const line = svg.querySelector("polyline").getAttribute("points").split(" ")
            const points = line.map((pair) => pair.split(",").map(Number))
            return {
                points,
                lines: svg.querySelectorAll("line[stroke-dasharray]").length,
                circles: svg.querySelectorAll("circle").length,
            }
        })()"""
    )
    drawn = np.array(found["points"])
    low, high = float(marks.min()), float(marks.max())
    share = (drawn[:, 1].max() - drawn[-1, 1]) / np.ptp(drawn[:, 1])
    assert share == pytest.approx((end - low) / (high - low), abs=0.01)
    times = samples["ts_ns"].to_numpy()
    whole = run.summary["end_ns"] - run.summary["products"]["BTC3L"]["launched_ns"]
    lowest = 1.0 - (run.summary["end_ns"] - times[marks.argmin()]) / whole
    span = np.ptp(drawn[:, 0])
    assert (drawn[drawn[:, 1].argmax(), 0] - drawn[0, 0]) / span == pytest.approx(lowest, abs=0.01)
    assert found["lines"] == len(_events(folder, "scenario_mark")) == 2
    told = _rows(page, "market", 0)
    assert [row[2] for row in told if row[2] in ("fall", "back")] == ["fall", "back"]
    minutes = {
        event["ts_ns"] // 60_000_000_000 for event in _events(folder, "population_liquidated")
    }
    assert found["circles"] == len(minutes)


def test_depth_is_the_summary_s(page: Chromium, crashed: tuple[RunResult, Path]) -> None:
    """Every minute in which something was missing has its row, with the summary's shares, and the
    title has the least of them."""
    run, _ = crashed
    left = run.summary["markets"]["BTCUSDT"]["depth_left"]
    assert min(bids for _, bids, _ in left) < 0.5
    rows = _rows(page, "market", 1)
    assert [row[1:3] for row in rows] == [
        [percent(bids, 2, signed=False), percent(asks, 2, signed=False)] for _, bids, asks in left
    ]
    moved = run.summary["feedback"]["with_the_move"]
    told = {row[0]: row[2:] for row in _rows(page, "market", 2)}
    assert told == {name: [str(one["with"]), str(one["against"])] for name, one in moved.items()}
    assert all(one["with"] > one["against"] for one in moved.values())
    assert set(moved) == {"BTC3L", "BTC3S"}
    least = min(min(bids, asks) for _, bids, asks in left)
    title = page.run('document.querySelector("#card-market h2").textContent')
    assert f"at worst {percent(least, signed=False)} of its" in title.replace("\u00a0", " ")


def test_the_cascade_adds_up_to_the_events(page: Chromium, crashed: tuple[RunResult, Path]) -> None:
    """Liquidated notional, what was left to counterparties and the fund's part are those of the
    events; each told cascade ratio is a pair of rows."""
    run, folder = crashed
    waves = _events(folder, "population_liquidated")
    together = _rows(page, "cascade", 0)[-1]
    longs = sum(event["notional_atoms"] for event in waves if event["side"] == "long") / 1e6
    unpaid = sum(event["notional_atoms"] * event["unpaid_lots"] / event["lots"] for event in waves)
    assert unpaid > 0.0
    assert together[1] == f"{sum(event['positions'] for event in waves):,}"
    assert together[2] == str(len({event["ts_ns"] for event in waves}))
    assert together[4] == number(longs, 2)
    assert together[6] == number(unpaid / 1e6, 2)
    fund = sum(event["fund_atoms"] - event["fund_paid_atoms"] for event in waves) / 1e6
    assert together[8] == number(fund, 2, signed=True)
    sums = run.summary["feedback"]["populations"]["crowd"]
    assert sums["positions"] == sum(event["positions"] for event in waves)
    told = _rows(page, "cascade", 1)
    ratios = _events(folder, "cascade_ratio")
    assert len(told) == 2 * len(ratios)
    assert told[0][2:] == [number(each, 3) for each in ratios[0]["down"]]
    bars = page.run('document.querySelectorAll("#card-cascade svg.chart rect").length')
    assert bars >= len({event["ts_ns"] // 60_000_000_000 for event in waves})


def test_nothing_is_asked_and_nothing_fails(
    page: Chromium, crashed: tuple[RunResult, Path]
) -> None:
    """No error in the console, no request but the page itself, in both schemes; both pictures are
    drawn, named, and have the colours of the scheme."""
    _, folder = crashed
    for scheme in ("dark", "light"):
        page.prefer(scheme)
        page.open(folder / "report.html")
        for card in ("market", "cascade"):
            box = page.run(
                f"""(() => {{
                    const svg = document.querySelector("#card-{card} svg.chart")
                    const box = svg.getBoundingClientRect()
                    const line = getComputedStyle(svg.querySelector("polyline")).stroke
                    return [box.width, box.height, svg.getAttribute("aria-label"), line]
                }})()"""
            )
            assert box[0] > 400
            assert box[1] > 200
            assert "numbers are beneath" in box[2]
            assert box[3] == ("rgb(34, 87, 197)" if scheme == "light" else "rgb(130, 174, 255)")
    assert not [said for said in page.logged if said[0] in ("error", "exception", "warning")]
    assert all(one.startswith("file://") for one in page.asked)
