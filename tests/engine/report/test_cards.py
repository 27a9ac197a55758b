"""The drawings of ``engine/report/cards.py``: their numbers against the summary and the samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.api import RunResult
from engine.outputs import ATTRIBUTION
from engine.report.cards import cards_of, common_cards
from engine.report.eaten import causes_over_time
from engine.report.hedge_desk import exposures_of
from engine.report.history import read_history
from engine.report.holding_map import gaps_of
from engine.report.met import quantiles_of, shares_of
from engine.report.moments import PARTS, STRIDE
from engine.report.reading import Run, read_run
from engine.report.words import number

NAMES = ("BTC3L", "BTC3S", "BTC-SMART-L", "BTC-SMART-S", "BTC-SPOT", "BTC-FUT10L", "BTC-LOAN3L")


@pytest.fixture(scope="module")
def read(report: Path) -> Run:
    """The run of the sample as a report reads it."""
    return read_run(report.parent)


@pytest.mark.parametrize("name", NAMES)
def test_who_held_for_the_whole_run_got_what_the_summary_says(read: Run, name: str) -> None:
    """The longest holding's gap is return less multiple return; shorter ones differ, and after a
    liquidation nobody can come any more."""
    product, moments = read.summary["products"][name], read.moments[name]
    gaps = gaps_of(product, moments)
    whole = product["return"] - product["multiple_return"]
    assert gaps[-1] == [pytest.approx(whole, abs=1e-12)]
    assert [len(row) for row in gaps] == list(range(PARTS // STRIDE, 0, -1))
    known = {round(gap, 9) for row in gaps for gap in row if gap == gap}
    assert len(known) > 10
    closed = [n for n, ts in enumerate(moments.ts_ns[::STRIDE]) if product["closed_ns"]]
    closed = [n for n in closed if moments.ts_ns[n * STRIDE] > product["closed_ns"]]
    assert [n for n in range(PARTS // STRIDE) if gaps[0][n] != gaps[0][n]] == closed[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_any_holding_is_made_of_two_samples(read: Run, report: Path, name: str) -> None:
    """Each cell, found anew from the samples at or before both times."""
    product, moments = read.summary["products"][name], read.moments[name]
    table = pq.read_table(report.parent / "nav.parquet", filters=[("product", "=", name)])
    ts = table["ts_ns"].to_numpy()
    gaps = gaps_of(product, moments)
    for length, entry in ((1, 3), (4, 2), (6, 5), (2, 9)):
        times = moments.ts_ns[[entry * STRIDE, (entry + length) * STRIDE]]
        rows = [int(np.flatnonzero(ts <= at)[-1]) for at in times]
        (nav, later), (mark, after) = (
            [table[column][row].as_py() for row in rows]
            for column in ("nav_per_unit", "mark_price")
        )
        if nav <= 0.0:
            assert gaps[length - 1][entry] != gaps[length - 1][entry]
            continue
        gap = later / nav - 1.0 - product["target"] * (after / mark - 1.0)
        if entry + length < PARTS // STRIDE:
            assert gaps[length - 1][entry] == pytest.approx(gap, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_causes_over_time_end_at_the_summary(read: Run, name: str) -> None:
    """The last of each group, and their sum: the change of equity less what came and went."""
    product = read.summary["products"][name]
    groups = causes_over_time(product, read.moments[name], read.turns[name], read.scale(name))
    start, causes = product["equity_start"], product["attribution"]
    total = product["equity_end"] - start - causes["flows"]
    assert sum(each[-1] for each in groups.values()) == pytest.approx(total / start, abs=1e-9)
    assert groups["direction"][-1] == pytest.approx(product["price_split"]["direction"] / start)
    costs = causes["spread_impact"] + causes["basis"] + causes["fees"]
    assert groups["trading costs"][-1] == pytest.approx(costs / start, abs=1e-12)
    assert len({round(each, 9) for each in groups["direction"].tolist()}) > 100


def test_causes_at_any_moment_are_those_that_explain_tells(
    read: Run, sample_run: RunResult
) -> None:
    """One course followed through the run splits as each interval's own statement does, to the
    atom, also where somebody came and went in between."""
    assert sample_run.path is not None
    history = read_history(sample_run.path)
    for name in ("BTC3L", "BTC-SMART-L"):
        product, moments = read.summary["products"][name], read.moments[name]
        scale = read.scale(name)
        groups = causes_over_time(product, moments, read.turns[name], scale)
        for place in (40, 100, 120, 160, PARTS):
            said = history.statement(name, None, int(moments.ts_ns[place]))
            atoms = product["equity_start"] / scale
            for words, parts in (
                ("direction", ("direction",)),
                ("compounding", ("compounding", "timing", "gap")),
                ("leverage change", ("leverage_change",)),
            ):
                told = sum(said.split[part] for part in parts)
                assert groups[words][place] * atoms == pytest.approx(told, abs=4.0), (name, place)
            assert groups["funding"][place] * atoms == pytest.approx(said.causes["funding"], abs=1)


def test_leverage_that_was_met_lies_within_the_summary(read: Run) -> None:
    """Shares sum to one, quantiles rise from the lowest to the highest, the mean of the bars is the
    summary's mean."""
    for name in ("BTC3L", "BTC3S", "BTC-SMART-L", "BTC-LOAN3L"):
        held, moments = read.summary["products"][name]["leverage"], read.moments[name]
        low, high = held["min"], held["max"]
        shares = shares_of(held, moments, low, high)
        assert sum(shares) == pytest.approx(1.0)
        assert len({round(share, 6) for share in shares}) > 3
        quantiles = quantiles_of(held, moments)
        assert quantiles == sorted(quantiles)
        assert low <= quantiles[0] < quantiles[-1] <= high
        width = (high - low) / len(shares)
        mean = sum(share * (low + (n + 0.5) * width) for n, share in enumerate(shares))
        assert mean == pytest.approx(held["mean"], abs=width)


def test_the_desk_holds_what_the_summary_says(read: Run, report: Path) -> None:
    """Exposure at the end is leverage of the end times equity; what was traded of its own accord is
    a part of all that was."""
    for name in NAMES[:4]:
        product, trading = read.summary["products"][name], read.trading[name]
        held, wanted = exposures_of(read, name)
        end = product["leverage"]["end"] * product["equity_end"]
        assert held[-1] == pytest.approx(end, rel=1e-9)
        assert np.sign(wanted[-1]) == np.sign(end)
        lone = sum(trading.minutes.values())
        assert 0.0 < lone < trading.traded or product["rebalances"] == 0
    events = [e for e in read.events["BTC-SMART-L"] if e["event"] in ("rebalanced", "deleveraged")]
    asked = {e["ts_ns"] // 60_000_000_000 for e in events if not e.get("opening")}
    assert set(read.trading["BTC-SMART-L"].minutes) == asked


def test_titles_are_claims_with_the_numbers_beneath(read: Run) -> None:
    """What a title says stands in a table of its card."""
    cards = cards_of(read)
    map_ = cards["BTC3L"]["holding"]
    gaps = [float(c.replace("−", "-")) for row in map_.tables[0].rows for c in row[1:] if c]
    for edge in (min(gaps), max(gaps)):
        assert number(edge, 1, signed=True) in map_.title
    met = cards["BTC-SMART-L"]["met"]
    told = dict(zip(met.tables[0].head, met.tables[0].rows[0], strict=True))
    assert told["5 % of the time below"][:4] in met.title
    assert "met" not in cards["BTC-SPOT"]
    together = common_cards(read)["together"]
    assert "10x futures was liquidated" in together.title
    worst = {row[0]: row[1] for row in together.tables[0].rows}
    assert worst["BTC3L"] == "−53.80 %"
    assert "BTC3L was down 53.8 %" in together.title


def test_a_run_without_funds_has_no_desk(read: Run) -> None:
    """A lone product is compared with nobody; comparators have no desk."""
    spot = {"BTC-SPOT": read.summary["products"]["BTC-SPOT"]}
    alone = Run(
        {**read.summary, "products": spot},
        read.config,
        read.provenance,
        {"BTC-SPOT": []},
        [],
        {"BTC-SPOT": read.curves["BTC-SPOT"]},
        moments={"BTC-SPOT": read.moments["BTC-SPOT"]},
    )
    assert common_cards(alone) == {}


def test_moments_know_every_cause(read: Run) -> None:
    """The last moment is the summary's attribution, the first is nothing."""
    for name, moments in read.moments.items():
        causes = read.summary["products"][name]["attribution"]
        assert moments.causes[-1].tolist() == [causes[each] for each in ATTRIBUTION]
        assert not moments.causes[0].any()
        assert len(moments.ts_ns) == PARTS + 1
