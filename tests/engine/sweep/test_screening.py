"""Tests of ``engine/sweep/screening.py``: fixed multiples on many paths at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engine.api import sweep
from engine.errors import ConfigError
from engine.sweep.screening import band_edges, banded
from tests.engine.sweep.conftest import AXIS, BASE

FREE = """
[[markets]]
symbol = "BTCUSDT"
contract = { taker_fee = 0.0, maker_fee = 0.0, lot_size = 0.00000001 }
book = { model = "flat", half_spread_bps = 0.0 }
funding = { source = "none" }
"""


def test_edges_of_a_band_are_those_of_the_rule() -> None:
    """Gate's bands: -12 % and +20 % for 3x, -20 % and +12 % for -3x; none for what is never met."""
    assert band_edges(3.0, 2.25, 4.125) == pytest.approx((0.88, 1.2))
    assert band_edges(-3.0, 1.5, 5.25) == pytest.approx((0.8, 1.12))
    assert band_edges(3.0, 1.0, 4.125)[1] == np.inf
    assert band_edges(1.0, 0.0, np.inf) == (0.0, np.inf)


def test_a_band_is_struck_at_the_first_row_beyond_it() -> None:
    """Twice within one block, each time at that row's own price; a jump beyond ruin is the end."""
    price = np.array([[100.0, 95.0, 87.0, 80.0, 77.0, 77.0], [100.0, 90.0, 60.0, 90.0, 200.0, 1.0]])
    done = banded(price, 3.0, 2.25, 4.125)
    first = 1.0 + 3.0 * (87.0 / 100.0 - 1.0)
    second = first * (1.0 + 3.0 * (77.0 / 87.0 - 1.0))
    assert done.nav[0] == pytest.approx(first * (1.0 + 3.0 * (77.0 / 87.0 - 1.0)))
    assert done.nav[0] == pytest.approx(second)
    assert done.nav[1] == 0.0
    assert done.trades.tolist() == [2 if 77.0 / 87.0 <= 0.88 else 1, 1]
    assert done.drawdown[1] == -1.0


def test_without_frictions_the_engine_says_the_same(base: Path) -> None:
    """Where fees, spread and funding are nothing, screening agrees with the full engine on every
    path to what lots and price steps leave, and counts the same trades."""
    base.write_text(BASE + FREE)
    with ThreadPoolExecutor(1) as one:
        screened = sweep(base, [AXIS], paths=12, screen=True, executor=one, out="s")
        full = sweep(base, [AXIS], paths=12, executor=one, out="f")
    assert full.summary["faulty"] == screened.summary["faulty"] == 0
    ours, theirs = screened.table.to_pylist(), full.table.to_pylist()
    assert [row["path"] for row in ours] == [row["path"] for row in theirs]
    assert sum(row["rebalances"] for row in ours) > 60
    for own, true in zip(ours, theirs, strict=True):
        assert own["product"] == true["product"]
        assert own["nav_end"] == pytest.approx(true["nav_end"], abs=2e-6)
        assert own["rebalances"] == true["rebalances"]
    for row in screened.summary["screening"]:
        assert row["paths"] == 12
        assert row["error_max"] < 2e-6


def test_the_error_of_screening_is_stated(base: Path) -> None:
    """With fees and a book, the difference on the judged paths is that of the two tables, and the
    verdict says it; the same command finds it all finished."""
    with ThreadPoolExecutor(1) as one:
        screened = sweep(base, paths=12, screen=True, executor=one, out="s")
        again = sweep(base, paths=12, screen=True, executor=None, out="s")
        full = sweep(base, paths=12, executor=one, out="f")
    gaps = [
        own["nav_end"] - true["nav_end"]
        for own, true in zip(screened.table.to_pylist(), full.table.to_pylist(), strict=True)
        if own["product"] == "BTC3L"
    ]
    (row,) = [r for r in screened.summary["screening"] if r["product"] == "BTC3L"]
    assert row["error_max"] == pytest.approx(max(map(abs, gaps)))
    assert row["bias"] == pytest.approx(sum(gaps) / 12)
    assert row["bias"] > 1e-4
    assert "Screened without frictions: on 12 paths" in screened.verdict
    assert again.summary == screened.summary
    assert "<h2>Screened without frictions" in screened.report.read_text()


def test_what_cannot_be_screened_is_refused(base: Path) -> None:
    """With the product's name."""
    text = base.read_text()
    base.write_text(text.replace('type = "constant", target = -3.0,', 'type = "vol_target",'))
    with pytest.raises(ConfigError, match="BTC3S cannot be screened"):
        sweep(base, paths=2, screen=True, workers=1, out="a")
