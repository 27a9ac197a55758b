"""The page as a file: self-contained, small, the same bytes for the same run."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from engine.api import RunResult
from engine.errors import InputError
from engine.report import page as page_module
from engine.report import render
from engine.report.packing import opened
from engine.report.page import SIZE_MAX, page_of
from engine.report.reading import CHARTED, Run, read_run


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    """The page's text, with that of its packed parts."""
    return opened(report.read_text(encoding="utf-8"))


def test_nothing_is_fetched(text: str) -> None:
    """No address of any host stands where a browser would follow it, and the policy forbids all."""
    assert not re.search(r"""(?:src|href|action)\s*=\s*[\\"'`]*\s*(?:https?:)?//""", text)
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", text)
    assert "default-src 'none'" in text


def test_the_page_is_small(report: Path) -> None:
    """Two megabytes, Bokeh included."""
    assert report.stat().st_size <= SIZE_MAX == 2_000_000


def test_a_page_of_much_is_small_too(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where thinner curves are not enough, the last products go without drawings and the first one
    keeps its own. Catches a bound that a run of two symbols passed."""
    monkeypatch.setattr(page_module, "SIZE_MAX", 760_000)
    run = read_run(report.parent)
    text = page_of(run)
    assert 650_000 < len(text.encode()) <= 760_000
    assert text.count('class="chart map"') == 1
    charts = {one.split()[1] for one in _drawn(text)["charts"]}
    first, *others = run.curves
    assert first not in charts
    assert charts == set(others[: len(charts)]) != set(others)


def test_curves_have_the_points_of_a_wide_screen(text: str, sample_run: RunResult) -> None:
    """The sample's page keeps every one of 960 columns: two points of each and more. Catches a page
    that grew, and was thinned without a word."""
    curves = read_run(Path(sample_run.path or "")).curves
    drawn = json.loads(text.partition('id="packed-data">')[2].partition("</script>")[0])
    for name, own in drawn["pictures"]["products"].items():
        for kind in ("value", "leverage", "underwater"):
            assert len(own[kind]["t"]["steps"]) == len(curves[name][kind])
        assert len(own["value"]["t"]["steps"]) >= 2 * 900


def test_synthetic_data_are_labelled(text: str) -> None:
    """In the title, beside it and in the verdict."""
    assert "SYNTHETIC DATA" in text
    assert re.search(r"<title>.*synthetic.*</title>", text)
    assert "Synthetic data: BTC ended" in unescape(text).replace("\u00a0", " ")


def test_the_footer_tells_how_to_do_it_again(text: str, sample_run: RunResult) -> None:
    """Digest, seed, configuration, inputs with their hashes, and the command."""
    for told in (sample_run.summary["digest"], sample_run.summary["config_hash"], "levsim verify"):
        assert told in text
    assert "levsim run sample -c run.toml --requests requests.jsonl" in text
    for assumed in sample_run.summary["assumed"]:
        said = assumed.partition(": ")[2]
        assert said in unescape(text).replace("\u00a0", " ")


def test_no_path_of_this_machine_is_told(text: str, report: Path) -> None:
    """Names of files, never where they lie."""
    assert str(report.parent) not in text
    assert report.parent.parent.name not in text


def test_the_same_run_gives_the_same_bytes(
    report: Path, sample_run: RunResult, tmp_path: Path
) -> None:
    """In this process again, in a directory of another name, and in a process with another hash
    seed."""
    kept = report.read_bytes()
    elsewhere = tmp_path / "another name"
    shutil.copytree(report.parent, elsewhere)
    (elsewhere / "report.html").unlink()
    assert render(elsewhere).read_bytes() == kept
    program = (
        "import sys, pathlib; from engine.report import render; render(pathlib.Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", program, str(elsewhere)]
    subprocess.run(command, check=True, env=environment, cwd=root)
    assert (elsewhere / "report.html").read_bytes() == kept


def _drawn(page: str) -> dict[str, Any]:
    """What the page's script draws."""
    data = re.search(r'id="packed-data">([^<]*)</script>', page)
    assert data is not None
    drawn: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(data[1])))
    return drawn


def test_another_machines_packing_is_the_same_page(report: Path) -> None:
    """What another zlib packed otherwise is opened to the same text; a picture that was changed, or
    that cannot be unpacked, is not."""
    page = report.read_text()
    data = re.search(r'id="packed-data">([^<]*)</script>', page)
    assert data is not None
    held = gzip.decompress(base64.b64decode(data[1]))
    other = base64.b64encode(gzip.compress(held, 1, mtime=0)).decode()
    assert opened(page.replace(data[1], other)) == opened(page)
    changed = base64.b64encode(gzip.compress(held.replace(b"BTC3S", b"BTC3X"), 9)).decode()
    assert opened(page.replace(data[1], changed)) != opened(page)
    assert opened(page.replace(data[1], other[:-9])) != opened(page)


def test_a_hundred_products_fit(report: Path) -> None:
    """Many products: the pictures of the first, fewer points, all rows in the table."""
    run = read_run(report.parent)
    name = next(iter(run.summary["products"]))
    names = [f"C{i}3L" for i in range(100)]
    product, events = run.summary["products"][name], run.events[name]
    books = dict.fromkeys(names, run.summary["issuer"]["products"][name])
    issuer = {**run.summary["issuer"], "products": books}
    summary = {**run.summary, "products": dict.fromkeys(names, product), "issuer": issuer}
    curves = dict.fromkeys(names[:CHARTED], run.curves[name])
    many = Run(
        summary,
        run.config,
        run.provenance,
        {one: [{**e, "product": one} for e in events * 40] for one in names},
        run.markets,
        curves,
        moments=dict.fromkeys(names[:CHARTED], run.moments[name]),
        turns=dict.fromkeys(names[:CHARTED], run.turns[name]),
    )
    page = page_of(many)
    assert len(page.encode()) <= SIZE_MAX
    drawn = _drawn(page)
    assert {one.split()[1] for one in drawn["charts"]} == set(names[1:CHARTED])
    for one in names[:CHARTED]:  # two points a column at least: its lowest and its highest
        assert len(drawn["pictures"]["products"][one]["value"]["t"]["steps"]) >= 2 * 240
    assert all(f"<td>{one}</td>" in page for one in names)
    assert '<select id="choose"' in page


def test_names_cannot_break_the_page(report: Path) -> None:
    """A product called like markup stays a name."""
    run = read_run(report.parent)
    name = next(iter(run.summary["products"]))
    evil = "</script><b>x"
    only = {
        **run.summary,
        "products": {evil: run.summary["products"][name]},
        "not_launched": ["<i>y"],
    }
    page = page_of(Run(only, {}, {}, {evil: run.events[name]}, [], {evil: run.curves[name]}))
    assert "</script><b>" not in page
    assert "<i>y" not in page
    assert list(_drawn(page)["pictures"]["products"]) == [evil]


def test_a_run_without_products_has_a_page(report: Path) -> None:
    """Nothing launched: the verdict, what it leans on, no empty pictures."""
    run = read_run(report.parent)
    summary = {**run.summary, "products": {}, "not_launched": ["BTC3L"]}
    page = page_of(Run(summary, run.config, run.provenance, {}, [], {}))
    assert "Nothing was launched" in page
    assert "Bokeh" not in page


def test_only_run_directories_have_reports(tmp_path: Path) -> None:
    """Anything else is refused with a sentence."""
    with pytest.raises(InputError, match=r"no run directory: it has no summary\.json"):
        render(tmp_path)


def test_words_need_no_drawing_library() -> None:
    """The verdict and the help of the command load neither Bokeh nor Jinja."""
    program = (
        "import sys, engine.report; "
        "assert not {'bokeh', 'jinja2', 'pyarrow'} & set(sys.modules), 'loaded'"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
