"""The issuer's book in the summary, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from engine.issuer import issuer_book
from engine.outputs import Outputs
from engine.report.issuing import issuer_rows
from engine.rundir import RunWriter
from engine.summary import summarise
from engine.ticks import Kind
from engine.turnover import Turnover
from engine.units import HOUR_NS
from engine.venue.book import BookSpec
from strategies import LeverageBand
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec, a_tape, cut, run

USDT = 10**6
WIDE = LeverageBand(target=3.0, low=0.1, high=9.0)
SHORT = LeverageBand(target=-3.0, low=0.1, high=9.0)


def books(*products: Any, trades: bool = False, **market: Any) -> tuple[dict[str, Any], Any]:
    """The book after five hours at a mark of 100, and the whole summary; with trades, 60 coins an
    hour."""
    rows = [a_row(Kind.MARK, T0 + hour * HOUR_NS, 100.0) for hour in range(6)]
    if trades:
        for hour in range(5):
            rows.insert(2 * hour + 1, a_row(Kind.TRADE, T0 + hour * HOUR_NS, 100.0, 60.0, 1, hour))
    contract = a_contract(taker_fee=0.0004, lot_size=0.01)
    market = {"contract": contract, "book": BookSpec(model="flat"), **market}
    spec = a_spec(*products, markets=[a_market(stale_after_ns=10 * HOUR_NS, **market)])
    tape = a_tape(rows)
    said = run(spec, tape)
    writer = RunWriter(None, said.engine)
    writer.collect(Outputs(said.events, [], said.blocks, []))
    turnover = Turnover()
    for step in cut(tape, (2, 3, 7)):
        turnover.step(step)
    return issuer_book(said.engine, writer, turnover), summarise(said.engine, writer, turnover)


def test_fees_stand_against_what_hedging_cost() -> None:
    """Opening 3,000,000 costs 1,200 of fees; an hour's fee of 0.1 % of a million, five times. Of a
    formula product the 1,200 are the issuer's, who got 4,990.01; of a basket they are holders'."""
    terms = {"management_fee": 0.001, "fee_every_ns": HOUR_NS}
    for nav, bearer in (("formula", "issuer"), ("basket", "holders")):
        found, _ = books((a_product("P", **terms, nav=nav), (WIDE,)))
        book = found["products"]["P"]
        assert book["costs_borne_by"] == bearer
        assert book["hedge_costs"]["fees"] == pytest.approx(1_200.0)
        fees = book["management_fees"]
        assert fees == pytest.approx(4_990.01 if nav == "formula" else 4_984.02, abs=0.01)
        assert book["fees_less_costs"] == pytest.approx(fees - 1_200.0)
        owed = 1_000_000 - fees if nav == "formula" else 1_000_000 - fees - 1_200
        assert book["liability"] == pytest.approx(owed)
        assert book["hedge_equity"] == pytest.approx(1_000_000 - fees - 1_200)


def test_how_large_a_product_may_be() -> None:
    """A 3x long trades 0.6 of its NAV on a move of 10 %, a 3x short 1.2: a depth of 6,000,000 and a
    tenth of 6,000 an hour. Catches a long and a short that need the same."""
    depth = BookSpec(model="depth", depth_at_1pct=6e6, half_life_s=1.0)
    found, _ = books((a_product("L"), (WIDE,)), (a_product("S"), (SHORT,)), book=depth, trades=True)
    long, short = (found["products"][name]["largest_aum"] for name in "LS")
    assert long["depth"] == pytest.approx(1e7)
    assert short["depth"] == pytest.approx(5e6)
    assert long["participation"] == pytest.approx(1_000.0)
    assert short["participation"] == pytest.approx(500.0)
    assert long["tier"] is None
    flat, _ = books((a_product("L"), (WIDE,)))
    assert flat["products"]["L"]["largest_aum"]["depth"] is None


def test_orders_that_met_each_other_saved_both_fees() -> None:
    """Long and short of a million each open 3,000,000 against each other: 2,400 of fees saved."""
    found, _ = books(
        (a_product("L", account="omnibus"), (WIDE,)), (a_product("S", account="omnibus"), (SHORT,))
    )
    (netting,) = found["netting"].values()
    assert netting["crosses"] == 1
    assert netting["crossed"] == pytest.approx(3_000_000)
    assert netting["fees_saved"] == pytest.approx(2_400)


def test_time_unhedged_counts_what_is_still_under_way() -> None:
    """An opening that takes seven hours is under way for all five."""
    found, summary = books((a_product("P", latency_ns=7 * HOUR_NS), (WIDE,)))
    assert found["products"]["P"]["unhedged_seconds"] == 5 * 3600.0
    assert summary["products"]["P"]["unhedged_seconds"] == 5 * 3600.0


def test_the_table_has_a_row_a_fund() -> None:
    """Nobody issues futures."""
    product = a_product("F", kind="futures", leverage=3.0)
    _, summary = books((a_product("P"), (WIDE,)), (product, ()))
    assert [row[0] for row in issuer_rows(summary)] == ["P"]
