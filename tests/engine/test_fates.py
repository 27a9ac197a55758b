"""Tests of ``engine/fates.py``, and of what summary and tables make of it: futures and a loan
beside a fund through a crash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import api
from engine.cli import main
from engine.events import ProductClosed, ProductWarned, Rebalanced
from engine.fates import Fates
from engine.report.comparison import comparison_rows
from engine.summary import costs_of
from engine.venue_events import (
    LiquidationEnded,
    LiquidationStarted,
    MarginCalled,
    OmnibusShared,
)

PLACE = {"sequence": 1, "ordinal": 0}


def fates() -> Fates:
    return Fates({"FUND": "fund", "FUT": "futures", "LOAN": "margin_loan", "SPOT": "spot"})


def started(name: str, ts_ns: int = 7, mark: float = 90.0) -> LiquidationStarted:
    return LiquidationStarted(
        **PLACE,
        ts_ns=ts_ns,
        account=name,
        symbol="S",
        mark_price=mark,
        position_lots=1,
        equity_atoms=0,
        maintenance_atoms=1,
    )


def ended(name: str, outcome: Any) -> LiquidationEnded:
    return LiquidationEnded(
        **PLACE, ts_ns=8, account=name, symbol="S", outcome=outcome, position_lots=0, equity_atoms=0
    )


def called(name: str) -> MarginCalled:
    return MarginCalled(
        **PLACE,
        ts_ns=6,
        account=name,
        symbol="S",
        mark_price=91.0,
        equity_atoms=2,
        maintenance_atoms=1,
    )


def closed(name: str, ts_ns: int = 9) -> ProductClosed:
    return ProductClosed(
        **PLACE,
        ts_ns=ts_ns,
        product=name,
        reason="x",
        mark_price=80.0,
        nav_atoms=0,
        deficit_atoms=0,
    )


def warned(name: str) -> ProductWarned:
    return ProductWarned(
        **PLACE, ts_ns=5, product=name, reason="x", leverage=4.4, mark_price=92.0, nav_atoms=1
    )


def test_a_liquidation_counts_from_where_it_began() -> None:
    """Not where its last step ended; one that was survived is forgotten, and so is a trader's."""
    known = fates()
    for event in (started("product:FUT", 3, 95.0), ended("product:FUT", "restored")):
        known.note(event)
    known.note(started("trader:FUT", 4, 94.0))
    assert known.liquidated == {}
    for event in (started("product:FUT"), ended("product:FUT", "unfilled")):
        known.note(event)
    known.note(started("product:FUT", 8, 85.0))
    known.note(closed("FUT"))
    assert known.liquidated == {"FUT": (7, 90.0)}


def rebalanced(name: str) -> Rebalanced:
    known = {"target": 3.0, "leverage_before": 0.0, "leverage_after": 3.0, "lots": 1}
    known |= {"position_lots": 1, "mark_price": 88.0, "nav_atoms": 1, "cost_atoms": 0}
    return Rebalanced(**PLACE, ts_ns=9, product=name, reason="x", decided_ns=9, **known)


def share(name: str, cause: str = "liquidation", lots: int = -1) -> OmnibusShared:
    known = {"account": "omnibus:S", "symbol": "S", "cash_atoms": 1}
    return OmnibusShared(**PLACE, ts_ns=7, product=name, cause=cause, lots=lots, **known)


def test_a_fund_that_opens_again_is_forgotten() -> None:
    """Its hedge was sold, money was left, and it was hedged anew; when it closes at last, that is
    another matter. A rebalance while the venue is at it changes nothing."""
    known = fates()
    for event in (started("product:FUND"), ended("product:FUND", "closed"), rebalanced("FUND")):
        known.note(event)
    known.note(closed("FUND"))
    assert known.liquidated == {}
    known = fates()
    for event in (started("product:FUND"), rebalanced("FUND"), ended("product:FUND", "closed")):
        known.note(event)
    known.note(closed("FUND"))
    assert known.liquidated == {"FUND": (7, 90.0)}


def test_a_fund_behind_an_omnibus_account_is_liquidated_with_it() -> None:
    """Of those behind it who gave lots to the liquidation, when it began; not who gave money alone,
    nor who gave lots to an auto-deleveraging, nor where margin was restored."""
    for outcome, expected in (("closed", {"A": (7, 90.0)}), ("restored", {})):
        known = Fates(dict.fromkeys("ABC", "fund"))
        for event in (
            *(started("omnibus:S"), share("A"), share("B", lots=0), share("C", "adl")),
            *(ended("omnibus:S", outcome), closed("A"), closed("B"), closed("C")),
        ):
            known.note(event)
        assert known.liquidated == expected


def test_a_loan_is_sold_where_it_closes_and_a_fund_that_closes_itself_is_not_liquidated() -> None:
    """A lender's sale has no venue's steps; a fund is liquidated by the venue only."""
    known = fates()
    known.note(closed("LOAN"))
    known.note(closed("FUND"))
    assert known.liquidated == {"LOAN": (9, 80.0)}
    known.note(started("product:FUND"))
    known.note(closed("FUND"))
    assert known.liquidated["FUND"] == (7, 90.0)


def test_actions_are_calls_and_opening_again() -> None:
    """Of who has an account of his own; a fund's margin call is its issuer's affair."""
    known = fates()
    for event in (called("product:FUT"), called("product:FUT"), warned("LOAN"), closed("FUT")):
        known.note(event)
    known.note(called("product:FUND"))
    assert {name: known.actions(name) for name in ("FUND", "FUT", "LOAN", "SPOT")} == {
        "FUND": 0,
        "FUT": 3,
        "LOAN": 1,
        "SPOT": 0,
    }


def test_costs_are_what_holding_took() -> None:
    """Neither price nor impact; what the fund took is a cost, what it paid is none."""
    names = ("price", "spread_impact", "fees", "management_fee", "funding", "interest")
    parts = {**dict.fromkeys(names, -7), "liquidation": -5, "insurance": -3}
    assert costs_of(parts) == 4 * 7 + 5 + 3
    assert costs_of({**parts, "insurance": 4}) == 4 * 7 + 5


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> api.RunResult:
    """The line-up on the synthetic day, whose crash ends 10x futures."""
    return api.run(out=tmp_path_factory.mktemp("fates") / "run", report=False)


def test_the_summary_says_who_was_liquidated_when_and_where(sample: api.RunResult) -> None:
    """The first mark at or below which equity no longer covers maintenance is the one that a plain
    scan of the samples brackets; the fund beside it lives, and nobody had anything to do for it."""
    products = sample.summary["products"]
    futures, fund = products["BTC-FUT10L"], products["BTC3L"]
    assert futures["liquidated"]["mark_price"] < 0.96 * 94_000
    assert futures["closed_ns"] >= futures["liquidated"]["ts_ns"] > futures["launched_ns"]
    assert futures["liquidations"] >= 1
    assert futures["actions"] >= 1
    assert (fund["liquidated"], fund["actions"], fund["liquidations"]) == (None, 0, 0)
    assert futures["leverage"]["chosen"] == 10.0
    assert fund["leverage"]["chosen"] is None
    loan = products["BTC-LOAN3L"]
    assert loan["attribution"]["interest"] < 0.0 == loan["attribution"]["funding"]
    assert loan["costs"] == pytest.approx(
        -loan["attribution"]["fees"] - loan["attribution"]["interest"], abs=1e-6
    )


def test_compare_is_one_table_of_several_runs(
    sample: api.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run's rows, with final value, drawdown, liquidation, costs, actions; runs that saw
    other ticks are told apart."""
    assert sample.path is not None
    run = str(sample.path)
    assert main(["compare", run, run]) == 0
    table = capsys.readouterr().out
    assert table.count("BTC-FUT10L") == 2
    assert "did not see" not in table
    assert main(["compare", run, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["same_ticks"] is True
    (one,) = told["runs"]
    assert one["products"] == comparison_rows(sample.summary)
    other = tmp_path / "other"
    other.mkdir()
    (other / "summary.json").write_text(json.dumps({**sample.summary, "ticks": 1}))
    assert main(["compare", run, str(other)]) == 0
    assert "did not see the same ticks" in capsys.readouterr().out
