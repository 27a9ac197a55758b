"""Tests of ``engine/sweep/measures.py``: what a sweep keeps of a run is what a run says."""

from __future__ import annotations

import pytest

from engine.config import RunConfig
from engine.outputs import Outputs
from engine.rundir import RunWriter
from engine.summary import summarise
from engine.sweep.expected import violated
from engine.sweep.measures import Measures
from feeds.scenarios import Scenario
from strategies import LeverageBand
from tests.builders import a_product, a_spec, a_tape, run
from tests.engine.test_splits import split, told


@pytest.mark.parametrize("nav", ["basket", "formula"])
def test_what_a_hedge_cost_is_told_whoever_bears_it(nav: str) -> None:
    """3,000,000 at 4 bp of fee and 1 bp of half spread: 1,200 and 300, of a formula product, too,
    whose holders pay nothing of it. Catches a formula that is hedged for nothing."""
    product = a_product("P", nav=nav)
    said = run(a_spec((product, (LeverageBand(target=3.0, low=2.4, high=3.6),))), a_tape([100.0]))
    measures = Measures(said.engine)
    measures.collect(Outputs(said.events, [], said.blocks, []))
    (row,) = measures.rows(0, 0)
    assert row["hedge_cost"] == pytest.approx(1_500.0, rel=1e-3)
    assert row["return"] == pytest.approx(0.0 if nav == "formula" else -0.0015, rel=1e-3)


def test_a_merge_and_a_split_are_neither_profit_nor_loss() -> None:
    """Units merged ten to one at half the price and split two to one later: return and drawdown are
    those of the run's summary, what is ranked is NAV per unit of the start, and an expectation of
    ``nav_end`` is judged on that of the summary. Catches a unit of now taken for one of the
    start."""
    halves = {0: 100.0, 1: 50.0, 2: 40.0, 3: 60.0}
    said = told(split(5.5, 1, 10), split(15.5, 2, 1), marks=lambda hour: halves[min(hour // 4, 3)])
    outputs = Outputs(said.events, [], said.blocks, [])
    writer, measures = RunWriter(None, said.engine), Measures(said.engine)
    writer.collect(outputs)
    writer.close()
    measures.collect(outputs)
    (row,) = rows = measures.rows(0, 0)
    summary = summarise(said.engine, writer)["products"]["BTC3L"]
    for name in ("return", "max_drawdown", "underlying_return", "unhedged_seconds"):
        assert row[name] == pytest.approx(summary[name], abs=1e-12), name
    assert summary["max_drawdown"] == pytest.approx(-0.6, abs=0.01)
    assert row["nav_end"] == pytest.approx(1.0 + row["return"])
    assert summary["nav_end"] == pytest.approx(5.0 * row["nav_end"])
    expected = {"kept": "products.BTC3L.nav_end > 1"}
    config = RunConfig(scenarios=(Scenario(name="mine", expect=expected),))
    assert violated(config, rows, {}, {}) is None
