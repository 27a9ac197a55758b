"""The page of a sweep in a browser: silent, alone, and showing the summary's numbers."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.api import load_sweep, sweep
from engine.errors import InputError
from engine.report.words import number
from engine.sweep.charts import Mark, frontier
from tests.engine.report.chromium import Chromium
from tests.engine.sweep.conftest import AXIS


@pytest.mark.browser
def test_the_page_is_silent_alone_and_says_what_the_summary_says(
    base: Path, tmp_path: Path
) -> None:
    """No request, no complaint; a row a policy with its mean, both pictures drawn within their
    frames, the worst run's command as it is typed; nothing reaches beyond the window."""
    with ThreadPoolExecutor(1) as one:
        done = sweep(base, [AXIS], paths=13, executor=one, out="a")
    assert repr(load_sweep("a")) == repr(done)
    page = Chromium(tmp_path / "profile")
    try:
        page.open(done.report)
        loud = [said for said in page.logged if said[0] in ("error", "warning")]
        asked = [url for url in page.asked if not url.startswith(("file:", "data:"))]
        shown = page.run(
            "Array.from(document.querySelectorAll('#outcome tbody tr'),"
            " (row) => Array.from(row.cells, (cell) => cell.textContent))"
        )
        points = page.run("document.querySelectorAll('#chart-frontier circle').length")
        curves = page.run("document.querySelectorAll('#chart-distributions polyline').length")
        command = page.run("document.querySelector('#worst .command').textContent")
        wide = page.run("document.documentElement.scrollWidth <= window.innerWidth")
        outside = page.run(
            "Array.from(document.querySelectorAll('.chart')).filter((chart) => {"
            " const box = chart.getBBox(), view = chart.viewBox.baseVal;"
            " return box.x < 0 || box.y < 0 || box.x + box.width > view.width"
            " || box.y + box.height > view.height }).length"
        )
    finally:
        page.close()
    assert (loud, asked, wide, outside) == ([], [], True, 0)
    # The short product has no setting of its own among the axes: it is shown once.
    rows = [row for row in done.summary["policies"] if row["point"] == row["same_as"]]
    assert len(rows) == len(shown) == points == curves == 3
    assert [row[1] for row in shown] == [number(row["nav_mean"], 4) for row in rows]
    assert command == done.summary["worst"][0]["command"]


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    """A folder of something else, or of a sweep that is not finished."""
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(InputError, match="no finished sweep"):
        load_sweep(tmp_path)


def test_names_stand_beside_their_points_and_on_no_other() -> None:
    """Each filled point of a crowd has its name, none lies over a point, and where ten lie in one
    place only so many are named as find room. Catches a name through its neighbour's point, and a
    frontier whose end nobody can tell."""
    crowd = {
        "BTC-FUT10L": (0.1594, 1.0194, True),
        "BTC-LOAN3L": (0.7201, 1.0046, False),
        "BTC-SMART-L": (0.8146, 1.0026, True),
        "BTC-SMART-S": (0.8842, 0.9939, False),
        "BTC-SPOT": (0.9070, 1.0018, True),
        "BTC3S": (0.8117, 0.9929, False),
        "BTC3L": (0.7202, 1.0047, True),
    }
    drawn = frontier([Mark(name, *rest) for name, rest in crowd.items()])
    points = [(float(x), float(y)) for x, y in re.findall(r'cx="(\S+)" cy="(\S+)"', drawn)]
    texts = re.findall(r'"point" x="(\S+)" y="(\S+)" text-anchor="(\w+)">(.*?)<', drawn)
    assert {name for name, (*_, on) in crowd.items() if on} <= {name for *_, name in texts}
    for x, y, anchor, name in texts:
        left = float(x) - 7.0 * len(name) * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        for at, height in points:
            assert not (left < at < left + 7.0 * len(name) and -10 < height - float(y) < 2), name
    heap = frontier([Mark(f"P{n}", 0.5, 1.0, on=False) for n in range(10)])
    assert heap.count('class="point"') == 4
