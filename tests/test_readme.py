"""What ``README.md`` and the pages of ``docs/`` tell a reader to type is there, and what needs no
broker works."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from cyclopts import CycloptsError

import engine.api
from engine.cli import _application, main
from strategies import BuiltIn

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXT = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
MARKET = """
seed = 7
[generator]
model = "gbm"
days = 0.6
step = "1m"
rows = "marks"
"""
CONFIG = """
[[products]]
id = "BTC3L"
symbol = "BTCUSDT"
policies = [{ type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 }]
[[products]]
id = "BTC-SMART-L"
symbol = "BTCUSDT"
policies = [{ type = "trend_vol" }]
[[users]]
id = "alice"
holdings = { BTC3L = 1000.0 }
"""
SLOW = (
    "2025-10-10",
    "adl-waves",
    "crash-facts",
    "crash.toml",
    "conform",
    "--screen",
    "gap-through",
)
"""What takes long, or needs recorded facts: other tests run it."""


def commands() -> list[list[str]]:
    """The words after ``levsim`` of every line that calls it, without what follows a hash."""
    found = []
    for _, block in BLOCKS:
        for line in block.splitlines():
            match = re.match(r"(?:levsim|python3 run\.py) (\S.*)", line)
            words = shlex.split(re.split(" [#>]", match[1])[0]) if match else []
            if words and words[0] not in ("test", "bench", "#"):
                found.append([word for word in words if word != "..."])
    return found


def test_every_command_is_one() -> None:
    """Its name, its options and their values are known. Catches a command that was renamed, and an
    option that is gone."""
    found = commands()
    assert len(found) >= 40
    for words in found:
        try:
            _application().parse_args(words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            pytest.fail(f"levsim {shlex.join(words)}: {error}")


def test_every_test_that_is_named_is_there() -> None:
    """Files and folders after ``run.py test`` exist. Catches a claim whose test moved."""
    named = re.findall(r"(tests/[\w/]+(?:\.py|\.json)?)", TEXT)
    assert len(named) >= 20
    assert [one for one in named if not (ROOT / one).exists()] == []


def test_every_choice_of_tests_chooses_some() -> None:
    """What stands after ``-k`` is in the name of a test of the folder or file before it, each of
    several. Catches a claim whose test was renamed."""
    chosen = re.findall(r"run\.py test (?:-s )?(\S*) ?-k (\w+|\"[^\"]+\")", TEXT)
    assert len(chosen) >= 15
    for place, words in chosen:
        root = ROOT / (place or "tests")
        files = sorted(root.rglob("test_*.py")) if root.is_dir() else [root]
        names = re.findall(r"def (test_\w+)", "".join(file.read_text() for file in files))
        for word in words.strip('"').split(" or "):
            assert any(word in name for name in names), (place, word)


def test_every_other_name_is_there() -> None:
    """Modules that are pointed to exist, what is imported can be, tables are TOML. Catches a path
    that was renamed."""
    paths = re.findall(r"`((?:engine|feeds|strategies|docker)/[\w/]*(?:\.\w+)?)`", TEXT)
    assert [one for one in paths if not (ROOT / one).exists()] == []
    for page in PAGES:
        links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text())
        assert [one for one in links if not (page.parent / one).exists()] == [], page.name
    for kind, block in BLOCKS:
        if kind == "toml":
            tomllib.loads(block)
        for names in re.findall(r"from engine\.api import (.*)", block):
            assert set(names.split(", ")) <= set(engine.api.__all__)


def test_every_page_is_found_from_the_readme() -> None:
    """Each page of ``docs/`` is linked from ``README.md``. Catches a page that nobody finds."""
    first = PAGES[0].read_text()
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in first] == []


def test_every_policy_is_listed() -> None:
    """Each built-in policy has its place in the table of ``README.md`` and in the changelog.
    Catches one that was added, or left out, without a word."""
    table = PAGES[0].read_text().partition("### Built in")[2].partition("\n## ")[0]
    known = {str(kind.__struct_config__.tag) for kind in get_args(BuiltIn)}
    listed = {
        n for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for n in row.split("`")
    }
    assert known <= listed
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert [name for name in sorted(known) if f"`{name}`" not in changes] == []


def test_what_needs_no_broker_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, in an empty folder with the files that are named: each ends well.
    Catches a command that is known and does not work, and an order that cannot be followed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "market.toml").write_text(MARKET)
    (tmp_path / "config.toml").write_text(CONFIG)
    assert main(["data", "sample", "-c", "market.toml", "--out", "DATA"]) == 0
    asked = {"ts": "2026-01-15T06:00:00Z", "id": "a", "user": "alice", "product": "BTC3L"}
    for name in ("requests.jsonl", "asked.jsonl"):
        (tmp_path / name).write_text(json.dumps({**asked, "side": "create", "quote": 10.0}))
    for words in commands():
        line = shlex.join(words)
        if "--kafka" in words or words[0] in ("topics", "record") or any(s in line for s in SLOW):
            continue
        if words[0] == "reconcile":
            written(tmp_path / "PROD.csv", tmp_path / "FILLS.csv")
        known = "other" if "runs/other" in line else ""
        if known and not (tmp_path / "runs" / known).exists():
            assert main(["run", "DATA", "--out", f"runs/{known}", "-q"]) == 0
        few = shlex.split(re.sub(r"--paths \d+", "--paths 2", line))
        more = ["--paths", "2", "--steps", "24"] if words[0] == "paths" else []
        if words[0] == "sweep" and "--paths" not in words:
            more = ["--paths", "2"]
        judged = "--scenario" in words  # a scenario is a test, which a market may fail
        assert main([*few, *more]) in ((0, 1) if judged else (0,)), line


def written(nav: Path, fills: Path) -> None:
    """A desk that has the NAVs of the run, and a fill of its own."""
    rows = engine.api.load("runs/mine").nav.to_pylist()
    own = [row for row in rows if row["product"] == "BTC3L"][::6]
    lines = [f"{r['ts_ns']},BTC3L,{r['nav_per_unit']},{r['units']}" for r in own]
    nav.write_text("\n".join(["ts,product,nav_per_unit,units", *lines]))
    fill = f"{own[1]['ts_ns']},BTC3L,0.01,{own[1]['mark_price']},0.1"
    fills.write_text(f"ts,product,quantity,price,fee\n{fill}\n")
