"""The two pictures of ``levsim paths`` in a browser, in the report of a run and on their page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.api import PathsResult, RunResult, paths
from engine.report.fans import order_of, volatility_of
from tests.engine.report.chromium import Chromium
from tests.engine.report.test_browser_cards import _contrast, _press, _rows

pytestmark = pytest.mark.browser

CARDS = ("order", "volatility")


@pytest.fixture(scope="module")
def drawn(sample_run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> PathsResult:
    """A few paths of the sample's run."""
    assert sample_run.path is not None
    folder = tmp_path_factory.mktemp("paths") / "run"
    shutil.copytree(sample_run.path, folder)
    result = paths(folder, paths=5, steps=48)
    result.keep(folder)
    result.report(folder / "paths.html")
    result.told["folder"] = folder
    return result


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, drawn: PathsResult) -> Iterator[Chromium]:
    """The report of that run, on a screen of 1,300 pixels."""
    chromium = Chromium(tmp_path_factory.mktemp("profile"), width=1300)
    chromium.prefer("light")
    chromium.open(drawn.told["folder"] / "report.html")
    yield chromium
    chromium.close()


def test_both_are_drawn_with_the_numbers_of_the_draws(page: Chromium, drawn: PathsResult) -> None:
    """A line a product in the order chart, a line or a row of dots in the other; beneath each the
    table of the draws, cell by cell. Catches a chart of another run, and a table that was cut."""
    told = {name: v for name, v in drawn.told.items() if name != "folder"}
    for card, table in (("order", order_of(told)), ("volatility", volatility_of(told))):
        found = [[cell.replace("\u00a0", " ") for cell in row] for row in _rows(page, card)]
        assert [[cell.strip() for cell in row] for row in found] == [
            [cell.strip() for cell in row] for row in table.rows
        ]
        marks = page.run(
            f"""(() => {{
                const svg = document.querySelector("#card-{card} svg.chart")
                const dots = [...svg.querySelectorAll("circle")]
                const kinds = new Set(dots.map((one) => one.getAttribute("fill")))
                const lines = svg.querySelectorAll("polyline").length
                return [lines, kinds.size, svg.getBoundingClientRect().width]
            }})()"""
        )
        lines, dotted, wide = marks
        theories = len(told["theory"]) if card == "volatility" else 0
        assert lines + dotted == len(told["order"]) + theories
        assert wide > 500
    ends = page.run(
        """[...document.querySelectorAll("#card-order svg.chart polyline")].map((one) => {
            const points = one.getAttribute("points").split(" ").map((p) => Number(p.split(",")[1]))
            return Math.max(...points) - Math.min(...points)
        })"""
    )
    spread = [float(navs.max() - navs.min()) for navs in drawn.runs.order.values()]
    scale = max(ends) / max(spread)
    assert ends == pytest.approx([scale * each for each in spread], abs=0.2)


def test_the_page_of_the_run_is_silent_and_asks_for_nothing(page: Chromium) -> None:
    """No error or warning on the console, no request but the file. Catches a picture that needs
    something that is not there."""
    assert [said for said in page.logged if said[0] in ("error", "warning", "assert")] == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_their_numbers_are_reached_by_keyboard(page: Chromium) -> None:
    """With Tab alone one comes to both tables, in the page's order, and Enter opens them."""
    page.run("document.body.focus(); document.activeElement.blur(); scrollTo(0, 0)")
    met = []
    for _ in range(80):
        _press(page, "Tab", 9)
        at = page.run(
            """(() => {
                const at = document.activeElement
                return at.tagName == "SUMMARY" ? at.closest(".card").id.slice(5) : at.tagName
            })()"""
        )
        if at == "BODY":
            break
        if at in CARDS:
            met.append(at)
            _press(page, "Enter", 13)
            table = "document.activeElement.parentElement.querySelector('table')"
            assert page.run(f"{table}.getBoundingClientRect().height") > 20
            _press(page, "Enter", 13)
    assert tuple(met) == CARDS


def test_lines_dots_and_words_stand_out_in_both_schemes(page: Chromium) -> None:
    """Every line and dot has a contrast of 3 to its card, every word 4.5, and no two lines look
    alike without their colour. Catches an amber that fades on white."""
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        for card in CARDS:
            marks, words, ground, dashes = page.run(
                f"""(() => {{
                    const style = (one) => getComputedStyle(one)
                    const svg = document.querySelector("#card-{card} svg.chart")
                    const lines = [...svg.querySelectorAll("polyline")]
                    return [
                        [...lines.map((one) => style(one).stroke),
                         ...[...svg.querySelectorAll("circle")].map((one) => style(one).fill)],
                        [...svg.querySelectorAll("text")].map((one) => style(one).fill),
                        style(document.getElementById("card-{card}")).backgroundColor,
                        lines.map((one) => [style(one).stroke, style(one).strokeDasharray].join()),
                    ]
                }})()"""
            )
            assert len(marks) >= 6
            assert min(_contrast(one, ground) for one in marks) >= 3.0, (scheme, card)
            assert min(_contrast(one, ground) for one in words) >= 4.5, (scheme, card)
            assert len(set(dashes)) == len(dashes), (scheme, card)
    page.prefer("light")


def test_no_table_that_is_open_scrolls_sideways(page: Chromium) -> None:
    """On 1,300 pixels the table of the products, with a column for who came and went, fits the
    page. Catches a column that nobody sees."""
    beyond = page.run(
        """[...document.querySelectorAll(".scroll")].filter((one) => one.checkVisibility())
            .map((one) => [one.innerText.slice(0, 40), one.scrollWidth - one.clientWidth])"""
    )
    assert len(beyond) >= 3
    assert [one for one in beyond if one[1] > 0] == []
    assert page.run("document.documentElement.scrollWidth") <= 1300


def test_the_page_of_paths_alone_shows_the_same(page: Chromium, drawn: PathsResult) -> None:
    """Both charts and open tables, in silence. Catches a page that lost its style. It comes last:
    the browser leaves the report."""
    folder: Path = drawn.told["folder"]
    page.logged.clear()
    page.open(folder / "paths.html")
    sizes = page.run(
        """[...document.querySelectorAll("svg.chart, table")].map(
            (one) => one.getBoundingClientRect().height)"""
    )
    assert len(sizes) == 4
    assert min(sizes) > 60
    assert [said for said in page.logged if said[0] in ("error", "warning")] == []
