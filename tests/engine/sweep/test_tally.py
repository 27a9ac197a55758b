"""Tests of ``engine/sweep/tally.py`` and ``ranking.py``: sums that know no order."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sweep.measures import ROWS
from engine.sweep.ranking import ranked
from engine.sweep.tally import COUNTED, MONEY, NAV_STEPS, Histogram, merged, tallied
from engine.sweep.work import table_of

PRODUCTS = ("BTC3L", "BTC3S")
CENTS = {"BTC3L": 100, "BTC3S": 10**8, "A": 100}


@st.composite
def row(draw: st.DrawFn) -> dict[str, Any]:
    """One row of a sweep, some with a fault."""
    point, path = draw(st.integers(0, 2)), draw(st.integers(0, 10**6))
    if draw(st.integers(0, 9)) == 0:
        return {"point": point, "path": path, "fault": "ValueError: no"}
    money = st.floats(-1e9, 1e9)
    return {
        "point": point,
        "path": path,
        "product": draw(st.sampled_from(PRODUCTS)),
        "status": "active",
        "nav_end": draw(st.floats(0.0, 50.0)),
        "max_drawdown": -draw(st.floats(0.0, 1.0)),
        "ruined": draw(st.booleans()),
        "unhedged_seconds": draw(st.floats(0.0, 1e6)),
        **{name: draw(money) for name in MONEY},
        **{name: draw(st.integers(0, 1_000)) for name in COUNTED},
    }


@given(st.lists(row(), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_a_merge_knows_no_order(rows: list[dict[str, Any]], random: Any) -> None:
    """Rows cut into parts anywhere, tallied apart and merged in any order, add up to what they do
    at once, to the last bit of every figure."""
    whole = tallied(table_of(rows), CENTS)
    cuts = sorted({0, len(rows), *(random.randrange(len(rows)) for _ in range(4))})
    parts = [rows[a:b] for a, b in pairwise(cuts)]
    random.shuffle(parts)
    assert merged(tallied(table_of(part), CENTS) for part in parts) == whole
    assert sum(t.runs + t.faults for t in whole.values()) == len(rows)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_a_histogram_is_right_to_the_width_of_a_bin(values: list[int]) -> None:
    """Totals are exact; a quantile and the mean of a tail lie within 1.1 % of the true ones."""
    histogram = Histogram()
    histogram.add(np.array(values))
    assert sum(total for _, _, total in histogram.ascending()) == sum(values)
    ordered = sorted(values)
    for share in (0.05, 0.5, 0.95):
        true = ordered[max(0, math.ceil(share * len(values)) - 1)]
        assert histogram.quantile(share) == pytest.approx(true, rel=0.0115, abs=1.0)
    count = max(1, len(values) // 20)
    tail = sum(ordered[:count]) / count
    assert histogram.shortfall(count / len(values)) == pytest.approx(tail, rel=0.0115, abs=1.0)


def test_squares_of_a_million_paths_are_exact() -> None:
    """Sums of squares are integers of any size: a deviation needs all their digits."""
    nothing = {**dict.fromkeys(MONEY, 0.0), **dict.fromkeys(COUNTED, 0)}
    same = {"point": 0, "product": "A", "max_drawdown": 0.0, "ruined": False, **nothing}
    rows = [
        {**same, "path": n, "nav_end": 1_000.0 + (n % 2) * 1e-6, "unhedged_seconds": 0.0}
        for n in range(1_000)
    ]
    tally = tallied(table_of(rows), CENTS)[0, "A"]
    assert tally.deviation() == pytest.approx(0.5e-6 * math.sqrt(1_000 / 999), rel=1e-9)


def test_costs_in_coins_are_kept_to_the_atom() -> None:
    """A hedge that costs 0.004 BTC a run costs that on average, and not nothing: cents are of quote
    money alone."""
    nothing = {**dict.fromkeys(MONEY, 0.0), **dict.fromkeys(COUNTED, 0)}
    same = {"point": 0, "product": "BTC3S", "max_drawdown": 0.0, "ruined": False, **nothing}
    same |= {"nav_end": 1.0, "unhedged_seconds": 0.0, "hedge_cost": 0.004}
    tally = tallied(table_of([{**same, "path": n} for n in range(3)]), CENTS)[0, "BTC3S"]
    assert tally.sums["hedge_cost"] == 3 * 400_000


def column(point: int, navs: Any) -> tuple[int, str, Any]:
    return point, "A", np.floor(np.asarray(navs) * NAV_STEPS + 0.5).astype(np.int64)


def test_a_ranking_sees_what_the_means_alone_do_not() -> None:
    """A policy that is a little better on every path is told apart, however far the paths lie from
    each other; one that is better on half of them by as much is not."""
    rng = np.random.Generator(np.random.Philox(1))
    market = 1.0 + 0.3 * rng.standard_normal(400)
    noise = 0.02 * rng.standard_normal(400)
    rows = ranked([column(0, market), column(1, market + 0.002), column(2, market + 0.002 + noise)])
    by_point = {row.point: row for row in rows}
    assert by_point[0].told_apart or by_point[0].rank > 1
    close = [row for row in rows if row.point in (1, 2)]
    assert {row.rank for row in close} == {1}
    better = ranked([column(0, market), column(1, market + 0.002)])
    assert [row.point for row in better] == [1, 0]
    assert better[1].told_apart
    assert better[1].rank == 2
    assert better[1].behind == pytest.approx(0.002, abs=2e-6)
    assert better[1].ahead == 0.0


def test_a_ranking_compares_common_paths_only() -> None:
    """A path without a result in one of two policies counts for neither."""
    rows = ranked([column(0, [1.0, 2.0, 9.0]), (1, "A", np.array([500_000, 1_000_000, -1]))])
    assert rows[1].paths == 2
    assert rows[1].behind == pytest.approx(0.75)


def test_an_interval_of_few_paths_is_a_wide_one() -> None:
    """Differences of 0.01 and 0.03 have a standard error of 0.01; of two paths, Student's interval
    is 12.706 of them, of eleven 2.2281, of 31 2.0423."""
    (_, behind) = ranked([column(0, [1.01, 1.03]), column(1, [1.0, 1.0])])
    assert behind.behind == pytest.approx(0.02)
    assert behind.high - behind.behind == pytest.approx(0.12706, rel=1e-4)
    assert not behind.told_apart
    for paths, student in ((11, 2.228139), (31, 2.042272)):
        gaps = np.linspace(0.0, 0.1, paths)
        (_, row) = ranked([column(0, 1.0 + gaps), column(1, np.ones(paths))])
        error = float(gaps.std(ddof=1)) / math.sqrt(paths)
        assert row.high - row.behind == pytest.approx(student * error, rel=2e-5)


def test_the_schema_is_what_the_rows_are() -> None:
    """A row with a fault has nothing but its place and why."""
    table = table_of([{"point": 1, "path": 2, "fault": "X: y"}])
    assert table.schema == ROWS
    known = {name for name in ROWS.names if table[name].null_count == 0}
    assert known == {"point", "path", "fault"}
