"""The page in a browser: drawn, silent, and showing the summary's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.api import RunResult
from tests.engine.report.chromium import Chromium

pytestmark = pytest.mark.browser

FIGURES = ("value", "waterfall", "leverage", "underwater")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One Chromium for the tests of this module."""
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Chromium, report: Path) -> Chromium:
    """The report, opened from its file."""
    browser.logged.clear()
    browser.asked.clear()
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.prefer("light")
    browser.open(report)
    return browser


def _columns(page: Chromium, product: str, source: str) -> dict[str, list[Any]]:
    """What Bokeh holds of a source while a product is shown."""
    page.run(f"levsim.show({product!r})")
    columns: dict[str, list[Any]] = page.run(
        f"""(() => {{
            const found = {{}}, data = levsim.columns({source!r})
            for (const name of Object.keys(data)) found[name] = Array.from(data[name])
            return found
        }})()"""
    )
    return columns


def test_the_page_is_silent_and_alone(page: Chromium, sample_run: RunResult) -> None:
    """No error or warning on the console, and not one request to anything but the file itself,
    whatever product is looked at."""
    for product in sample_run.summary["products"]:
        page.run(f"levsim.show({product!r})")
    page.run("new Promise((done) => setTimeout(done, 500))")
    loud = [said for said in page.logged if said[0] in ("error", "warning", "assert")]
    assert loud == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert sum(url.startswith("file:") for url in page.asked) == 1


def test_every_figure_moves_and_ends_where_the_summary_does(
    page: Chromium, sample_run: RunResult
) -> None:
    """End points are the summary's to 1e-9, for every product; no figure draws a constant. Who was
    closed holds nothing at the end."""
    for name, product in sample_run.summary["products"].items():
        value = _columns(page, name, "value")
        assert value["got"][0] == value["myth"][0] == 0.0
        assert value["got"][-1] == pytest.approx(product["return"], abs=1e-9)
        assert value["myth"][-1] == pytest.approx(product["multiple_return"], abs=1e-9)
        assert value["t"][0] == pytest.approx(product["launched_ns"] / 1e6, abs=1e-3)
        assert value["t"][-1] == pytest.approx(sample_run.summary["end_ns"] / 1e6, abs=1e-3)
        leverage = _columns(page, name, "leverage")
        if product["status"] == "active":
            assert leverage["leverage"][-1] == pytest.approx(product["leverage"]["end"], abs=1e-9)
        trades = _columns(page, name, "trades")
        traded = [each for each in (*trades["before"], *trades["after"]) if each]
        held = [each for each in leverage["leverage"][:-1] if each]
        drawn_leverage = [*held, *traded]
        for edge, find in (("min", min), ("max", max)):
            assert find(drawn_leverage) == pytest.approx(product["leverage"][edge], abs=1e-9)
        under = _columns(page, name, "underwater")
        assert min(under["product"]) == pytest.approx(product["max_drawdown"], abs=1e-9)
        falls = _columns(page, name, "waterfall")
        start = product["equity_start"]
        assert falls["right"][-1] == pytest.approx(product["equity_end"] / start - 1.0, abs=1e-9)
        price = falls["right"][falls["name"].index("Price moves")]
        assert price == pytest.approx(product["attribution"]["price"] / start, abs=1e-9)
        for drawn in (value["got"], value["myth"], leverage["leverage"], under["product"]):
            assert len(set(drawn)) > 100
        assert len(set(falls["right"])) > 2


def test_every_rebalance_is_marked_with_its_reason(page: Chromium, sample_run: RunResult) -> None:
    """What moved the leverage stands in the picture, in order, with before and after."""
    for name, product in sample_run.summary["products"].items():
        trades = _columns(page, name, "trades")
        events = [
            event
            for event in sample_run.events()
            if event["event"] in ("rebalanced", "deleveraged", "product_closed")
            and event["product"] == name
            and not event.get("opening")
        ]
        closed = product["status"] == "closed"
        assert len(events) == product["rebalances"] + product["deleveragings"] + closed
        assert trades["reason"] == [event["reason"] for event in events]
        assert trades["after"] == [event.get("leverage_after", 0.0) for event in events]


def test_all_four_pictures_are_drawn_in_light_and_in_dark(page: Chromium, tmp_path: Path) -> None:
    """Each figure has a canvas with ink on it, and the dark page is dark."""
    pages = []
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        page.run("new Promise((done) => setTimeout(done, 800))")
        sizes = page.run(
            f"""{list(FIGURES)!r}.map((name) => {{
                const box = document.getElementById(`figure-${{name}}`).getBoundingClientRect()
                return [box.width, box.height]
            }})"""
        )
        assert all(width > 300 and height >= 300 for width, height in sizes)
        page.picture(tmp_path / f"{scheme}.png")
        pages.append((tmp_path / f"{scheme}.png").read_bytes())
        assert page.run("getComputedStyle(document.body).backgroundColor") == (
            "rgb(245, 246, 248)" if scheme == "light" else "rgb(15, 20, 26)"
        )
    assert pages[0] != pages[1]
    assert [said for said in page.logged if said[0] == "error"] == []


def test_who_runs_no_scripts_reads_every_number(browser: Chromium, report: Path) -> None:
    """Without JavaScript a sentence says so, tables and texts of all products are there, and no
    empty frames. Catches numbers behind tabs that do not work."""
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.call("Page.navigate", url=report.resolve().as_uri())
        browser.until("document.readyState == 'complete' && !window.levsim", settled=False)
        seen = "[...document.querySelectorAll({!r})].map((one) => one.checkVisibility())"
        said = "document.querySelector('noscript p')"
        told = browser.run(f"{said}.checkVisibility() && {said}.textContent", settled=False)
        assert told == "The pictures need JavaScript; every number is in the tables."
        details = browser.run(seen.format("details[data-product]"), settled=False)
        assert len(details) > 40
        assert set(details) == {True}
        for empty in (".figure", ".tabs", ".axis", "#no-pictures"):
            assert True not in browser.run(seen.format(empty), settled=False)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_an_old_browser_is_told(browser: Chromium, report: Path) -> None:
    """Where nothing can be unpacked, a sentence says which browser can; tabs and numbers work, and
    no error is logged."""
    browser.logged.clear()
    script = browser.call(
        "Page.addScriptToEvaluateOnNewDocument", source="delete window.DecompressionStream"
    )
    try:
        browser.open(report)
        said = browser.run("document.getElementById('no-pictures').textContent")
        assert said.startswith("This browser is too old")
        assert said.endswith("Every number is in the tables.")
        browser.run("document.querySelector('[data-show=BTC3S]').click()")
        tables = "[...document.querySelectorAll('details[data-product=BTC3S]')]"
        assert browser.run(f"{tables}.every((one) => one.checkVisibility())")
        assert [one for one in browser.logged if one[0] in ("error", "warning")] == []
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_tabs_change_everything_that_belongs_to_a_product(page: Chromium) -> None:
    """Titles, legends and numbers are those of the product that was chosen."""
    page.run("document.querySelector('[data-show=BTC3S]').click()")
    title = page.run("document.querySelector('#card-value header:not([hidden]) h2').textContent")
    assert title.startswith("BTC3S ")
    label = page.run("document.getElementById('figure-value').getAttribute('aria-label')")
    assert label == title
    shown = "[...document.querySelectorAll('details[data-product]')].filter((one) => !one.hidden)"
    assert page.run(f"{shown}.map((one) => one.dataset.product)") == ["BTC3S"] * 7


def test_the_verdict_and_both_first_pictures_stand_on_the_first_screen(page: Chromium) -> None:
    """A reader sees the answer before he scrolls."""
    bottoms = page.run(
        """["h1", "#figure-value", "#figure-waterfall"].map(
            (one) => document.querySelector(one).getBoundingClientRect().bottom)"""
    )
    assert max(bottoms) <= 900


@pytest.mark.parametrize("width", [1360, 1000, 390])
def test_what_the_waterfall_is_measured_by_can_be_read(page: Chromium, width: int) -> None:
    """However wide the page is, also when that changes, any two words beneath the waterfall stand
    apart; on a desk there are two at least. On a telephone the numbers at the bars must do, where
    zero lies in the middle and two more words find no room."""
    size = {"height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.call("Emulation.setDeviceMetricsOverride", width=width, **size)
    for name in page.run("levsim.ids"):
        page.run(f"levsim.show({name!r})")
        page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        gaps = page.run(
            """(() => {
                const plot = [...Bokeh.index.roots].find((one) => one.model.name == "waterfall")
                const axis = plot.views.find_one(plot.model.below[0])
                const [ticks] = axis.tick_coords.major
                const places = plot.frame.x_scale.v_compute(ticks)
                const drawn = document.createElement("canvas").getContext("2d")
                const {major_label_text_font_size: size, major_label_text_font: font} = axis.model
                drawn.font = `${size} ${font}`
                const words = axis.model.formatter.doFormat(ticks, {loc: 0})
                const widths = words.map((word) => drawn.measureText(word).width)
                return words.slice(1).map((_, i) =>
                    places[i + 1] - places[i] - (widths[i] + widths[i + 1]) / 2)
            })()"""
        )
        assert gaps or width < 500, name
        assert min(gaps, default=6) >= 6, (name, gaps)
