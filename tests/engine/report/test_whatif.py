"""Tests of ``engine/whatif.py`` and ``engine/report/whatif.py``: two runs, one difference."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from engine.api import load, run
from engine.errors import ConfigError, InputError
from engine.report.whatif import changed_of, lines_of_difference, rows_of, sentence_of
from engine.verify import verify
from engine.whatif import whatif

CONFIG = """
[[markets]]
symbol = "BTCUSDT"
book = { model = "flat", half_spread_bps = 1.0 }
[[products]]
id = "BTC3L"
symbol = "BTCUSDT"
policies = [{ type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 }]
[[products]]
id = "CALM"
symbol = "BTCUSDT"
policies = [{ type = "leverage_band", target = 1.0, low = 0.5, high = 1.5 }]
"""
CHANGE = "products.0.policies.0.high=3.3"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sample with a band, and with a narrower one."""
    folder = tmp_path_factory.mktemp("whatif")
    config = folder / "c.toml"
    config.write_text(CONFIG)
    found = whatif((), [CHANGE], config=config, out=folder / "run")
    return found.base, found.other, found.told


def test_a_difference_sums_by_cause(both: Any) -> None:
    """For each product the causes' differences sum to that of the end, and they are those of the
    two summaries. Catches a cause that one of the runs has not."""
    base, other, found = both
    for name, one in found["products"].items():
        *causes, end = rows_of(one)
        assert sum(after - before for _, before, after in causes) == end[2] - end[1]
        ends = [run.summary["products"][name]["equity_end"] for run in (base, other)]
        assert [round(value * 1e6) for value in ends] == [end[1], end[2]]
    assert found["same_ticks"]


def test_only_what_changed_is_shown(both: Any) -> None:
    """The other product comes to the same and is said to. Catches a table of nothing."""
    _, _, found = both
    assert changed_of(found) == ["BTC3L"]
    text = "\n".join(lines_of_difference(found))
    assert CHANGE in text
    assert "CALM would have come to the same" in text
    assert re.search(r"worth at the end +[\d,.]+ +[\d,.]+ +[+−][\d,.]+", text)


def test_the_other_run_is_a_run_of_its_own(both: Any) -> None:
    """It can be loaded, and has the change; both verify, and a changed difference is found."""
    base, other, found = both
    assert other.path == base.path / "whatif"
    assert load(other.path).summary["digest"] == found["digests"][1] != found["digests"][0]
    assert "high = 3.3" in (other.path / "run.toml").read_text()
    assert verify(base.path) == []
    file = base.path / "whatif.json"
    kept = file.read_bytes()
    file.write_bytes(json.dumps({**json.loads(kept), "verdict": "all is well"}).encode())
    assert verify(base.path) == ["report.html: differs", "whatif.json: differs"]
    file.write_bytes(kept)


def test_the_report_shows_the_difference(both: Any) -> None:
    """The page says what changed, draws its causes and has the numbers; a run without a change has
    no such part."""
    base, other, found = both
    page = (base.path / "report.html").read_text()
    assert f"What if {CHANGE}" in page
    assert sentence_of("BTC3L", found["products"]["BTC3L"]).split(":")[0].split(" %")[0] in page
    assert '<svg viewBox="0 0 720' in page
    assert 'id="whatif"' not in (other.path / "report.html").read_text()


def test_a_folder_that_is_not_ours_runs_nothing(tmp_path: Path) -> None:
    """Where the other run would write lies somebody's file, or folder: it is told before the first
    run. Catches a run of ten minutes that ends so, with the earlier one overwritten."""
    for made in ("file", "folder"):
        out = tmp_path / made
        out.mkdir()
        (out / "run.toml").write_text("mine")
        if made == "file":
            (out / "whatif").write_text("mine")
        else:
            (out / "whatif").mkdir()
            (out / "whatif" / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match=r"whatif is (a file|not empty)"):
            whatif((), [CHANGE], out=out)
        assert (out / "run.toml").read_text() == "mine"
        assert sorted(each.name for each in out.iterdir()) == ["run.toml", "whatif"]


def test_a_configuration_that_would_be_written_over_runs_nothing(both: Any) -> None:
    """The second run would read what the first one wrote. Catches scenarios laid over it twice."""
    base, other, _ = both
    for path in (base.path, other.path):
        before = (path / "run.toml").read_bytes()
        with pytest.raises(ConfigError, match="lies where the two runs write"):
            whatif((), [CHANGE], config=path / "run.toml", out=base.path)
        assert (path / "run.toml").read_bytes() == before


def test_a_later_run_leaves_no_difference_of_an_earlier_one(tmp_path: Path) -> None:
    """A run into the folder of an earlier one, which had a change, has none beside it. Catches a
    difference of two runs that are not there any more."""
    config, out = tmp_path / "c.toml", tmp_path / "run"
    config.write_text(CONFIG)
    whatif((), [CHANGE], config=config, out=out, report=False)
    assert (out / "whatif" / "summary.json").exists()
    run((), config=config, out=out, report=False)
    assert not (out / "whatif").exists()
    assert not (out / "whatif.json").exists()


def test_a_change_that_is_no_setting_runs_nothing(tmp_path: Path) -> None:
    """It is found before the first run. Catches a directory with half of the answer."""
    with pytest.raises(ConfigError, match="lw"):
        whatif((), ["products.0.policies.0.lw=2.0"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
