"""The drawings in a browser: their ends, their colours, and their numbers by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.api import RunResult
from engine.report.words import number
from tests.engine.report.chromium import Chromium

pytestmark = pytest.mark.browser

CARDS = ("holding", "eaten", "met", "together", "desk")
ALL = (
    "value",
    "waterfall",
    "holding",
    "eaten",
    "met",
    "leverage",
    "underwater",
    "together",
    "desk",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, report: Path) -> Iterator[Chromium]:
    """The report, opened from its file in one Chromium."""
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    chromium.prefer("light")
    chromium.open(report)
    yield chromium
    chromium.close()


def _rows(page: Chromium, card: str, table: int = 0) -> list[list[str]]:
    """A table of the card as it stands in the page."""
    rows: list[list[str]] = page.run(
        f"""(() => {{
            const all = [...document.querySelectorAll("#card-{card} details")]
            const tables = all.find((one) => !one.hidden).querySelectorAll("table")
            const rows = tables[{table}].querySelectorAll("tbody tr")
            return [...rows].map((row) => [...row.cells].map((cell) => cell.textContent))
        }})()"""
    )
    return rows


def test_every_card_is_drawn_with_its_claim_and_its_numbers(page: Chromium) -> None:
    """Each has a title, a picture named for who cannot see it, and numbers; no line is level."""
    found: list[dict[str, Any]] = page.run(
        f"""{list(CARDS)!r}.map((name) => {{
            const card = document.getElementById(`card-${{name}}`)
            const svg = [...card.querySelectorAll("svg.chart")].find((one) => one.checkVisibility())
            const box = svg.getBoundingClientRect()
            const lines = [...svg.querySelectorAll("polyline, polygon")]
            return {{
                width: box.width, height: box.height, label: svg.getAttribute("aria-label"),
                title: card.querySelector("h2").textContent,
                heights: lines.map((one) => one.getBBox().height),
                marks: svg.querySelectorAll("polyline, polygon, rect").length,
                numbers: card.querySelectorAll("details table").length,
            }}
        }})"""
    )
    for name, one in zip(CARDS, found, strict=True):
        assert one["width"] > 400, name
        assert one["height"] > 200, name
        assert "numbers are beneath" in one["label"], name
        assert len(one["title"]) > 20, name
        assert one["marks"] >= 2, name
        assert one["numbers"] >= 1, name
        assert all(height > 1.0 for height in one["heights"][-2:]), name


def test_what_stands_in_the_page_ends_where_the_summary_does(
    page: Chromium, sample_run: RunResult
) -> None:
    """The last numbers of each table are the summary's, for every product that is chosen."""
    for name, product in sample_run.summary["products"].items():
        page.run(f"levsim.show({name!r})")
        whole = 100.0 * (product["return"] - product["multiple_return"])
        assert _rows(page, "holding")[0][-1] == number(whole, 2, signed=True)
        start, flows = product["equity_start"], product["attribution"]["flows"]
        change = 100.0 * ((product["equity_end"] - flows) / start - 1.0)
        assert _rows(page, "eaten")[-1][-1] == number(change, 2, signed=True)
        if product["kind"] != "spot":
            held = [product["leverage"][end] for end in ("min", "max", "mean")]
            told = _rows(page, "met")[0]
            assert [told[0], told[-2], told[-1]] == [number(each, 3) for each in held]
    worst = {row[0]: row[1] for row in _rows(page, "together")}
    funds = {n: p for n, p in sample_run.summary["products"].items() if p["kind"] == "fund"}
    for name, product in sample_run.summary["products"].items():
        told = worst[name].replace("\u00a0", " ")
        assert told == f"{number(100.0 * product['max_drawdown'], 2)} %"
    net = sum(p["leverage"]["end"] * p["equity_end"] for p in funds.values())
    assert _rows(page, "desk", 2)[-1][1] == number(net, 2)
    page.run("levsim.show(levsim.ids[0])")


def test_numbers_are_reached_by_keyboard(page: Chromium) -> None:
    """Walking with Tab one comes to the numbers of every picture, in the page's order; Enter opens
    them, Enter closes them."""
    page.run("document.body.focus(); document.activeElement.blur(); scrollTo(0, 0)")
    met: list[str] = []
    for _ in range(60):
        _press(page, "Tab", 9)
        card = page.run(
            """(() => {
                const at = document.activeElement
                if (at.tagName != "SUMMARY") return at.tagName == "BODY" ? "end" : ""
                return at.closest(".card").id.slice(5)
            })()"""
        )
        if card == "end":
            break
        if card and card not in met:
            met.append(card)
            opened = "document.activeElement.parentElement.open"
            assert page.run(opened) is False
            _press(page, "Enter", 13)
            assert page.run(opened) is True
            table = "document.activeElement.parentElement.querySelector('table')"
            assert page.run(f"{table}.getBoundingClientRect().height") > 20
            _press(page, "Enter", 13)
            assert page.run(opened) is False
    assert tuple(met) == ALL


def _press(page: Chromium, name: str, code: int) -> None:
    told = {"key": name, "code": name, "windowsVirtualKeyCode": code}
    text = {"text": "\r"} if name == "Enter" else {}
    page.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
    page.call("Input.dispatchKeyEvent", type="keyUp", **told)


def test_drawings_take_the_colours_of_either_scheme(page: Chromium) -> None:
    """Lines and words of both schemes stand out from their card: a contrast of 3 and of 4.5."""
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        lines, words, card = page.run(
            """(() => {
                const style = (one) => getComputedStyle(one)
                const svg = document.querySelector("#card-together svg.chart")
                return [
                    [...svg.querySelectorAll("polyline")].map((one) => style(one).stroke),
                    [...svg.querySelectorAll("text")].map((one) => style(one).fill),
                    style(document.getElementById("card-together")).backgroundColor,
                ]
            })()"""
        )
        assert len(lines) == 7
        assert min(_contrast(one, card) for one in words) >= 4.5, scheme
        assert min(_contrast(one, card) for one in lines) >= 3.0, scheme
    page.prefer("light")


def test_paper_shows_every_picture_and_no_buttons(page: Chromium) -> None:
    """Printed, the pictures of the product that was chosen stand there; tabs and closed numbers do
    not."""
    page.call("Emulation.setEmulatedMedia", media="print")
    shown = page.run(
        f"""{list(CARDS)!r}.map((name) => [...document.querySelectorAll(
            `#card-${{name}} svg.chart`)].filter((one) => one.checkVisibility()).length)"""
    )
    assert shown == [1] * len(CARDS)
    hidden = "[...document.querySelectorAll('.tabs, details')].filter((e) => e.checkVisibility())"
    assert page.run(f"{hidden}.length") == 0
    page.call("Emulation.setEmulatedMedia", media="")


def test_opened_numbers_fit_the_page(page: Chromium) -> None:
    """At a desk no table of any product scrolls sideways once it is open. Catches eleven columns
    in half a page."""
    every = "document.querySelectorAll('details').forEach((one) => { one.open = %s })"
    page.run(every % "true")
    for name in page.run("levsim.ids"):
        page.run(f"levsim.show({name!r})")
        widths = page.run(
            """[...document.querySelectorAll(".scroll")].filter((one) => one.checkVisibility())
                .map((one) => [one.closest(".card").id, one.scrollWidth - one.clientWidth])"""
        )
        assert len(widths) > 10
        assert [one for one in widths if one[1] > 0] == [], name
    page.run(every % "false")
    page.run("levsim.show(levsim.ids[0])")


def _contrast(one: str, other: str) -> float:
    """As WCAG defines it, of two ``rgb(...)``."""
    lights = sorted(_light(each) for each in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(color: str) -> float:
    parts = [int(each) / 255.0 for each in color[4:-1].split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
