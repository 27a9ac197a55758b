"""Tests of ``engine/report/notebook.py``: what a notebook shows of a run is what the run says."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest

from engine.api import RunResult, shown
from engine.errors import InputError
from engine.report.notebook import curves_picture
from engine.report.waterfall import bars_of
from engine.report.words import percent

SVG = "{http://www.w3.org/2000/svg}"


def test_a_run_shows_its_verdict_and_a_row_a_product(sample_run: RunResult) -> None:
    """In per cent as on the first screen; text is escaped. Catches raw shares, and a product that
    is missing."""
    page = sample_run._repr_html_()
    assert sample_run.verdict in page
    rows = re.findall(r"<tr><td.*?</tr>", page)
    assert len(rows) == len(sample_run.summary["products"])
    for row, (name, product) in zip(rows, sample_run.summary["products"].items(), strict=True):
        assert f">{name}<" in row
        assert f">{percent(product['return'])}<" in row


def test_a_waterfall_draws_every_bar_where_the_last_one_ended(sample_run: RunResult) -> None:
    """Each bar begins at the end of the one before, and bears its number. Catches bars of lengths
    alone."""
    product = sample_run.summary["products"]["BTC3L"]
    root = ET.fromstring(sample_run.waterfall("BTC3L").svg)
    drawn = [one for one in root.iter(f"{SVG}rect") if one.get("x")]
    bars = bars_of(product)
    assert len(drawn) == len(bars)
    words = [one.text for one in root.iter(f"{SVG}text")]
    assert words == [text for bar in bars for text in (bar.name, percent(bar.amount, 2))]
    ends = [(float(one.get("x", 0)), float(one.get("width", 0))) for one in drawn]
    left = [x for x, _ in ends]
    whole = [x + width for x, width in ends]
    for place, bar in enumerate(bars[1:], start=1):
        if bar.kind == "part":
            before = bars[place - 1]
            start = left[place - 1] if before.amount < 0 else whole[place - 1]
            begin = left[place] if bar.amount > 0 else whole[place]
            if before.kind == "part":
                assert begin == pytest.approx(start, abs=1.2), bar.name


def test_pictures_stand_alone_in_both_schemes(sample_run: RunResult) -> None:
    """Every colour that is used is defined in the picture, for light and for dark; it asks for
    nothing. Catches a picture that is black outside the report."""
    for picture in (sample_run.waterfall("BTC3S"), sample_run.chart(column="leverage")):
        used = set(re.findall(r"var\((--[a-z]+)\)", picture.svg))
        for scheme in re.findall(r"\.levsim\{(--.*?)\}", picture.svg):
            assert used <= set(re.findall(r"(--[a-z]+):#", scheme))
        assert picture.svg.count("prefers-color-scheme: dark") == 1
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|href|url\(", picture.svg) == []


def test_a_merge_is_no_step_of_a_chart() -> None:
    """Ten units of 0.1 become one of 1: nobody gained, the line is flat and the words say in which
    units; other columns are as they were. Catches a merge that is drawn as a profit of 900 %."""
    columns = {"ts_ns": [0, 10, 20, 30], "product": ["P"] * 4, "units": [10.0, 10.0, 1.0, 1.0]}
    table = pa.table({**columns, "nav_per_unit": [0.1, 0.1, 1.0, 1.0]})
    splits = {"P": [(20, 1, 10)]}
    heights = {}
    for column in ("nav_per_unit", "units"):
        picture = curves_picture(table, column, splits)
        (line,) = ET.fromstring(picture.svg).iter(f"{SVG}polyline")
        heights[column] = {p.split(",")[1] for p in line.get("points", "").split()}
        assert ("nav per unit of the start" in picture.label) == (column == "nav_per_unit")
    assert (len(heights["nav_per_unit"]), len(heights["units"])) == (1, 2)


def test_a_chart_ends_where_the_samples_do(sample_run: RunResult) -> None:
    """A line a product; its highest and lowest sample are drawn. Catches thinning that loses the
    worst moment."""
    picture = sample_run.chart("BTC3L", "BTC3S")
    root = ET.fromstring(picture.svg)
    lines = list(root.iter(f"{SVG}polyline"))
    assert len(lines) == 2
    heights = [[float(p.split(",")[1]) for p in one.get("points", "").split()] for one in lines]
    navs = sample_run.nav.to_pylist()
    values = {n: [r["nav_per_unit"] for r in navs if r["product"] == n] for n in ("BTC3L", "BTC3S")}
    low = min(map(min, values.values()))
    high = max(map(max, values.values()))
    scale = (max(map(max, heights)) - min(map(min, heights))) / (high - low)
    for drawn, own in zip(heights, values.values(), strict=True):
        assert (max(drawn) - min(drawn)) / scale == pytest.approx(max(own) - min(own), abs=0.01)


def test_what_is_not_there_is_said(sample_run: RunResult) -> None:
    """A product or a column that the run has not is named with those it has. Catches a
    traceback."""
    with pytest.raises(InputError, match="no product BTC4L; it has BTC3L"):
        sample_run.waterfall("BTC4L")
    with pytest.raises(InputError, match="no column navs; it has ts_ns"):
        sample_run.chart("BTC3L", column="navs")


def test_a_table_shows_words_times_and_numbers_and_says_what_it_leaves_out() -> None:
    """Whole numbers keep every digit, what is empty throughout is left out, markup is text. Catches
    a table cut without a word."""
    table = pa.table(
        {
            "ts_ns": [1_768_485_183_000_000_000] * 3,
            "what": ["<b>", "b", "c"],
            "atoms": [-(2**60), 1, 2],
            "none": pa.array([None] * 3, pa.float64()),
        }
    )
    grid = shown(table, rows=2)
    assert list(grid.head) == ["time", "what", "atoms"]
    assert grid.rows[0] == ["15 Jan 2026 13:53:03", "<b>", "−1,152,921,504,606,846,976"]
    assert grid.rows[-1][0] == "and 1 more"
    assert "&lt;b&gt;" in grid._repr_html_()
    assert shown(table.slice(0, 0)).rows == []
