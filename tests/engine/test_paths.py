"""Tests of ``engine/paths.py``: what the order of returns and their volatility are worth."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.api import paths, run
from engine.cli import main
from engine.errors import ConfigError, InputError
from engine.path_prices import prices_of
from engine.report import render
from engine.ticks import Kind
from engine.units import MINUTE_NS
from engine.verify import verify
from tests.builders import T0, a_market, a_row, a_tape

EVERY, SHORT = "3x, every step", "-3x, every step"


@pytest.fixture(scope="module")
def drawn() -> Any:
    """A few short paths of the sample."""
    return paths(paths=8, steps=96, vols=(0.3, 1.2))


def test_a_multiple_struck_at_every_step_does_not_mind_the_order(drawn: Any) -> None:
    """One result for all orders, that of the order that was, and it is the product of ``1 + L r``.
    Smart Leverage has a fan. Catches shuffles that lose a return."""
    for name in (EVERY, SHORT):
        navs = drawn.runs.order[name]
        assert np.ptp(navs) < 1e-6
        assert navs[0] == pytest.approx(drawn.told["as_it_was"][name], abs=1e-6)
    assert np.ptp(drawn.runs.order["BTC-SMART-L"]) > 0.01
    assert np.ptp(drawn.runs.order["BTC3L"]) > 0.01


def test_the_medians_lie_by_the_theory(drawn: Any) -> None:
    """The median of paths that end where they began is ``exp(-L (L - 1) sigma^2 T / 2)``, within a
    tenth of the loss, and higher orders of the step; short loses twice as fast. Catches a
    volatility of another length of the year."""
    for name, times in ((EVERY, 3.0), (SHORT, -3.0)):
        for place, vol in enumerate((0.3, 1.2)):
            theory = math.exp(-times * (times - 1.0) / 2.0 * vol * vol * 30.0 / 365.0)
            assert drawn.runs.theory(name)[place] == pytest.approx(theory)
            median = float(np.median(drawn.runs.volatility[name][place]))
            assert math.log(median) == pytest.approx(math.log(theory), rel=0.1)


def test_the_same_seed_draws_the_same_paths(drawn: Any) -> None:
    """Again the same tables, another seed other ones. Catches draws from a clock."""
    again = paths(paths=8, steps=96, vols=(0.3, 1.2))
    assert again.order == drawn.order
    assert again.volatility == drawn.volatility
    assert paths(paths=1, steps=96, vols=(0.3,), seed=8).order != drawn.order
    assert drawn.order.column_names == ["product", "path", "nav"]
    assert drawn.volatility.column_names == ["product", "volatility", "path", "nav"]


def test_the_page_shows_both_and_asks_for_nothing(drawn: Any, tmp_path: Path) -> None:
    """Two pictures, their numbers, the theory, and no address. Catches a page that loads."""
    page = drawn.report(tmp_path / "p.html").read_text()
    assert page.count("<svg") == 2
    assert "theory" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert f"{drawn.told['as_it_was'][EVERY]:.4f}" in page


def test_a_run_lends_its_data_and_products(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``paths RUN`` takes both from the directory; faults are sentences."""
    config = tmp_path / "c.toml"
    config.write_text(
        '[[products]]\nid = "MINE"\nsymbol = "BTCUSDT"\n'
        'policies = [{ type = "leverage_band", target = 2.0, low = 1.9, high = 2.1 }]\n'
    )
    result = run((), config=config, out=tmp_path / "run", report=False)
    assert result.path is not None
    out = tmp_path / "p.html"
    asked = ["paths", str(result.path), "--paths", "2", "--steps", "24", "--vols", "0.6"]
    assert main([*asked, "--out", str(out), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["order"]) == {EVERY, SHORT, "MINE"}
    assert out.exists()
    assert_kept(result.path)
    assert main(["paths", "--vols", "a,b"]) == 3
    assert "--vols a,b: write volatilities" in capsys.readouterr().err


def assert_kept(directory: Path) -> None:
    """The run's report shows both pictures with their numbers; ``verify`` draws them again, and
    finds a number that was changed, and a file that was cut."""
    report = (directory / "report.html").read_text()
    told = json.loads((directory / "paths.json").read_text())
    for card in ("order", "volatility"):
        assert f'id="card-{card}"' in report
    assert report.count(f"{told['as_it_was'][EVERY]:.4f}") >= 1
    assert verify(directory) == []
    kept = (directory / "paths.json").read_text()
    told["order"]["MINE"][0] += 1e-9
    (directory / "paths.json").write_text(json.dumps(told))
    assert verify(directory) == ["paths.json: differs"]
    (directory / "paths.json").write_text("{}")
    with pytest.raises(InputError, match=r"paths\.json lacks"):
        render(directory)
    (directory / "paths.json").write_text(kept)


def test_what_cannot_be_drawn_is_said() -> None:
    """More steps than seconds, no volatility, no path."""
    with pytest.raises(InputError, match="give fewer --steps"):
        paths(steps=1_000_000)
    with pytest.raises(ConfigError, match="volatilities"):
        paths(vols=(0.0,))
    with pytest.raises(ConfigError, match="at least one path"):
        paths(paths=0)
    with pytest.raises(ConfigError, match="at least one volatility"):
        paths(vols=())


def test_a_row_that_comes_late_moves_no_price() -> None:
    """Ten minutes at 100, 101, ... with a row of the first minute among the last, in the same table
    or in the next: the prices are those without it. Catches a search in times that fall."""
    plain = [(n * MINUTE_NS, 100.0 + n) for n in range(11)]
    late = [*plain[:9], (MINUTE_NS // 2, 50.0), *plain[9:]]
    expected = prices_of(recorded(plain), a_market(), 10)
    assert (expected[0].tolist(), expected[1]) == ([100.0 + n for n in range(11)], 60)
    for data in (recorded(late), recorded(late, 9), recorded(late, 10)):
        found, step_s = prices_of(data, a_market(), 10)
        assert (found.tolist(), step_s) == (expected[0].tolist(), expected[1])


def recorded(rows: list[tuple[int, float]], cut: int = 0) -> Any:
    """Marks as data, cut in two before a row."""
    tape = a_tape([a_row(Kind.MARK, T0 + ts_ns, price) for ts_ns, price in rows])
    cuts = [(0, cut), (cut, len(rows))] if cut else [(0, len(rows))]
    return SimpleNamespace(steps=lambda: iter([tape.between(*each) for each in cuts]))
