"""Claims that the line-up on the synthetic day shows, as ``python3 run.py`` prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine import api

FUNDS = ("BTC3L", "BTC3S", "BTC-SMART-L", "BTC-SMART-S")
MORNING, EVENING = 1_768_460_000_000_000_000, 1_768_505_000_000_000_000


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> api.RunResult:
    """The day with its crash; alice holds BTC3L through it."""
    folder: Path = tmp_path_factory.mktemp("claims")
    requests = folder / "requests.jsonl"
    requests.write_text(
        f'{{"ts": {MORNING}, "id": "a", "user": "alice", "side": "create", "quote": 1000.0, '
        '"product": "BTC3L"}\n'
        f'{{"ts": {EVENING}, "id": "b", "user": "alice", "side": "redeem", "units": 500.0, '
        '"product": "BTC3L"}\n'
    )
    return api.run(requests=requests, out=folder / "run", report=False)


def of(day: api.RunResult, name: str) -> dict[str, Any]:
    product: dict[str, Any] = day.summary["products"][name]
    return product


def test_k13_no_margin_no_loan_no_liquidation_for_the_holder(day: api.RunResult) -> None:
    """K13: she creates, holds through the crash and redeems at the NAV of that moment; no event
    asks anything of her."""
    (bought,) = day.events("units_created")
    (sold,) = day.events("units_redeemed")
    worth = sold["nav_atoms"] * sold["units"] // (sold["units_total"] + sold["units"])
    assert sold["quote_atoms"] + sold["cost_atoms"] == pytest.approx(worth, rel=1e-3)
    assert 0 < sold["quote_atoms"] < bought["quote_atoms"]
    for name in FUNDS:
        product = of(day, name)
        assert (product["liquidated"], product["actions"]) == (None, 0)
        assert product["attribution"]["interest"] == 0.0


def test_k14_no_liquidation_is_not_no_risk(day: api.RunResult) -> None:
    """K14: 3L loses more than half within hours where spot loses a fifth."""
    assert of(day, "BTC3L")["max_drawdown"] < -0.5 < -0.25 < of(day, "BTC-SPOT")["max_drawdown"]


def test_k15_a_gap_beyond_the_band_takes_the_principal(tmp_path: Path) -> None:
    """K15: one row that falls by 40 % leaves 3L nothing, whatever its controls."""
    head = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    prices = [60_000.0] * 30 + [36_000.0] * 30
    rows = [
        f"{n},{price},1,{n},{n},{1_723_100_000_000 + 1_000 * n},true"
        for n, price in enumerate(prices, 1)
    ]
    path = tmp_path / "BTCUSDT-aggTrades.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    products = api.run(path, write=False).summary["products"]
    assert products["BTC3L"]["status"] == "closed"
    assert products["BTC3L"]["nav_end"] == 0.0
    assert products["BTC-SPOT"]["nav_end"] == pytest.approx(0.6, abs=0.01)


def test_k16_futures_are_liquidated_where_margin_runs_short(day: api.RunResult) -> None:
    """K16: the first mark of a plain scan at which the equity of the opening fill no longer covers
    its maintenance is the mark of the liquidation."""
    futures = of(day, "BTC-FUT10L")
    started = next(
        e for e in day.events("liquidation_started") if e["account"] == "product:BTC-FUT10L"
    )
    assert futures["liquidated"]["mark_price"] == started["mark_price"]
    assert 0 < started["equity_atoms"] < started["maintenance_atoms"]
    before = [
        row["leverage"]
        for row in day.nav.to_pylist()
        if row["product"] == "BTC-FUT10L" and row["ts_ns"] < started["ts_ns"]
    ]
    notional = started["position_lots"] * started["mark_price"] * 1e-6 * 1e6
    assert max(before) <= notional / started["maintenance_atoms"]
    assert of(day, "BTC3L")["status"] == "active"


def test_k17_a_margin_loan_pays_interest_and_is_called(day: api.RunResult) -> None:
    """K17: hourly interest, and a warning where assets are 1.3 times the debt, 4.33x."""
    loan = of(day, "BTC-LOAN3L")
    assert len(day.events("interest_charged")) == 23
    warned = [e for e in day.events("product_warned") if e["product"] == "BTC-LOAN3L"]
    assert len(warned) == loan["actions"] == 1
    assert warned[0]["leverage"] == pytest.approx(1.3 / 0.3, rel=0.01)


def test_k18_spot_has_no_leverage(day: api.RunResult) -> None:
    """K18: spot moves as the market does, but for the fee of one purchase."""
    spot = of(day, "BTC-SPOT")
    assert spot["return"] == pytest.approx(spot["underlying_return"], abs=1e-3)
    assert (spot["rebalances"], spot["attribution"]["funding"]) == (0, 0.0)


def test_k25_funding_is_paid_inside_nav(day: api.RunResult) -> None:
    """K25 is wrong: holders of a long token pay funding, those of a short one receive it here."""
    assert of(day, "BTC3L")["attribution"]["funding"] < 0.0
    assert of(day, "BTC3S")["attribution"]["funding"] > 0.0


def test_k26_perpetual_contracts_carry_the_exposure(day: api.RunResult) -> None:
    """K26 is wrong: the first thing a token does is to buy contracts for three times its assets."""
    opening = next(
        row
        for row in day.fills.to_pylist()
        if row["product"] == "BTC3L" and row["purpose"] == "opening"
    )
    assert -opening["cash_atoms"] * 1e-6 == pytest.approx(
        3.0 * of(day, "BTC3L")["equity_start"], rel=0.01
    )


def test_k27_leverage_is_kept_at_rebalances_only(day: api.RunResult) -> None:
    """K27: between them it drifts through the band; behind one it is the target."""
    held = of(day, "BTC3L")["leverage"]
    assert held["max"] - held["min"] > 1.0
    (trade,) = [e for e in day.events("rebalanced") if e["product"] == "BTC3L" and not e["opening"]]
    assert trade["leverage_after"] == pytest.approx(3.0, abs=0.02)


def test_k30_a_holder_has_nothing_to_do_and_a_trader_has(day: api.RunResult) -> None:
    """K30: calls to answer and accounts to open again, against none; and who answers none loses
    control over the result."""
    assert [of(day, name)["actions"] for name in (*FUNDS, "BTC-SPOT")] == [0] * 5
    assert of(day, "BTC-FUT10L")["actions"] >= 1
    assert of(day, "BTC-LOAN3L")["actions"] >= 1
