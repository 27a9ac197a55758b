"""Tests of ``engine/conform_*.py``: other vectors of the venue's groups than the published ones,
worked out by the engine's accounts and by the formulas of ``tests/engine/venue/known.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.conform import GROUPS, conform
from tests.engine.venue.known import DRIVERS, agrees

NEAR = {"rel": 1e-6, "abs": 1e-9}
A_LONG = {"side": "long", "leverage": 5, "entry": 10, "qty": 1.0, "mmr": 0.01}
CROSS = {
    "mode": "cross",
    "wallet_balance": 50_000.0,
    "target": "B",
    "positions": [
        {
            "sym": "A",
            "side": "short",
            "q": 3.0,
            "ep": 30_000,
            "mark": 31_000,
            "mmr": 0.01,
            "cum": 0,
        },
        {
            "sym": "B",
            "side": "long",
            "q": 90.5,
            "ep": 1_500,
            "mark": 1_400,
            "mmr": 0.05,
            "cum": 900,
        },
        {"sym": "C", "side": "long", "q": 7.0, "ep": 20, "mark": 25, "mmr": 0.1, "cum": 0},
    ],
}
TWO = [
    {"market": "BTC", "base_quantums": 400_000},
    {"market": "ETH", "base_quantums": 100_000_000},
]
DYDX = {"usdc_quantums": -490_000_000, "positions": TWO, "bankruptcy_adjustment": 1.5}
DAVES = [
    {"id": "a", "usdc": 50_000, "btc": -0.25},
    {"id": "b", "usdc": -45_100, "btc": 1},
    {"id": "c", "usdc": -20_000, "btc": 0.75},
    {"id": "d", "usdc": -30_000, "btc": 2},
]
ORACLE = {"oracle": {"BTC": 50_000, "ETH": 3_000}}
LONGS = [{"account": n, "qty": 2 * n + 1, "rank_score": n * 7 % 5 - 1} for n in range(1, 6)]
HELD = [
    {"id": "x", "entry": 90.0, "qty": 3, "wallet": 70.0},
    {"id": "y", "entry": 120.0, "qty": 4, "wallet": 300.0},
    {"id": "z", "entry": 99.0, "qty": 12.5, "wallet": 500.0},
]
BLOCK = [
    {"position": 40.0, "entry": 1.1, "equity": 90.0},
    {"position": 25.5, "entry": 1.3, "equity": 44.0},
    {"position": 60.0, "entry": 1.2, "equity": 31.0},
]
DRIFT = {"margin_ratio": 0.2, "liquidator_fee": 0.02, "oracle": 31.5}

OTHERS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("A1", {**A_LONG, "side": side, "wallet_balance": wallet, "maintenance_amount": less})
        for side in ("long", "short")
        for wallet, less in ((0.7, 0.0), (3.0, 0.02))
    ),
    *(("A2", {**A_LONG, "side": side, "taker_fee": 0.002}) for side in ("long", "short")),
    *(("A3", {**A_LONG, "side": side, "leverage": 25}) for side in ("long", "short")),
    ("A4", CROSS),
    ("A4", {**CROSS, "target": "A"}),
    *(
        ("D1", {**DYDX, "close_market": name, "delta_base_quantums": delta})
        for name, delta in (("BTC", -400_000), ("BTC", -123_457), ("ETH", -99_999_999))
    ),
    *(("D2", {**DYDX, "close_market": name, "spread_to_mmr": 0.3}) for name in ("BTC", "ETH")),
    *(
        (
            "D3",
            {
                "side": side,
                "usdc": usdc,
                "base_qty": 0.2,
                "fill_price": price,
                "max_liq_fee_ppm": 3_000,
            },
        )
        for side, usdc in (("long", -9_500.0), ("short", 10_500.5))
        for price in (47_000.0, 47_501.0, 52_400.5, 53_000.0)
    ),
    ("D5", {"liquidated": {"usdc": 54_000, "btc": -1}, "offset_accounts": DAVES, **ORACLE}),
    ("D5", {"liquidated": {"usdc": 45_000, "btc": -1}, "offset_accounts": DAVES, **ORACLE}),
    ("E1", {**DRIFT, "margin_shortage_usd": 7.7, "insurance_fee": 0.015, "quote_oracle": 0.98}),
    ("E2", {**DRIFT, "shortage": 4.0, "base": 3.0, "max_if_fee": 0.5}),
    ("E2", {**DRIFT, "shortage": 16.0, "base": 3.0, "max_if_fee": 0.5}),
    ("E3", {"base_fee_ppm": 1_000, "max_fee_ppm": 9_000, "slots_elapsed": 2_500}),
    (
        "E4",
        {
            "loss_usd": 33.3,
            "oi_long": 2.5,
            "oi_short": 0.5,
            "long_user_base": 1.5,
            "insurance": 3.3,
        },
    ),
    (
        "F1",
        {
            "longs": LONGS,
            "liquidated_side": "short",
            "liquidated_qty": 20,
            "bankruptcy_price": 650,
        },
    ),
    (
        "F1",
        {
            "shorts": LONGS,
            "liquidated_side": "long",
            "liquidated_qty": 4,
            "bankruptcy_price": 12.5,
        },
    ),
    *(
        ("F2", {"side": side, "mark": 101.0, "mmr": 0.02, "positions": HELD})
        for side in ("long", "short")
    ),
    *(
        ("F5", {"entry": 3, "qty": 2, "collateral": "5/4", "side": side})
        for side in ("long", "short")
    ),
    (
        "H1",
        {
            "counterparties": BLOCK,
            "liquidated_total": 50.0,
            "adl_price": 1.5,
            "markPx_minus_price_abs": 0.02,
        },
    ),
    *(
        ("K1", {"base_weight": 0.8, "spot": spot, "base": base, "quote": quote, "max_base": 100})
        for spot, base, quote in ((5, 50, -48), (8, 50, -48), (5, -50, 44), (9, 50, 0))
    ),
    ("K1", {"base_weight": 0.8, "spot": 5, "base": 50, "quote": -48, "max_base": 7}),
]

LOST = {"base_weight": 0.8, "spot": 0}
EDGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # Three with less than an opening asks for: LP = (C - s q EP) / (q (m - s)).
    (
        "A1",
        {"side": "long", "entry": 10, "qty": 1.0, "mmr": 0.05, "wallet_balance": 0.1},
        {"liq_price": 9.9 / 0.95},
    ),
    (
        "A2",
        {"side": "short", "leverage": 125, "entry": 10, "qty": 2.0, "mmr": 0.02, "taker_fee": 5e-4},
        {"liq_price": 10.08 / 1.0205},
    ),
    (
        "A4",
        {
            "mode": "cross",
            "wallet_balance": 10.0,
            "target": "A",
            "positions": [
                {"sym": "A", "q": 3.0, "ep": 100.0, "mark": 150.0, "mmr": 0.1, "cum": 0},
                {"sym": "B", "q": -1.0, "ep": 50.0, "mark": 50.0, "mmr": 0.1, "cum": 0},
            ],
        },
        {"liq_price": (10.0 - 5.0 - 300.0) / (0.3 - 3.0)},
    ),
    ("B1", {"caps": [None], "mmr": [0.02], "notional": 5e7}, {"maintenance_margin": 1e6}),
    ("B1", {"caps": [None], "max_leverage": [40]}, {"mmr": [0.0125], "deductions": [0]}),
    (
        "C6",
        {"interval_h": 1, "premium_minutes": "p_i=i**2*1e-6 for i=1..3"},
        {"avg_premium": 36e-6 / 6},
    ),
    (
        "D3",  # enough is left that a venue with the usual maintenance would not have touched it
        {
            "side": "long",
            "usdc": -4_000,
            "base_qty": 0.1,
            "fill_price": 50_500,
            "max_liq_fee_ppm": 5_000,
        },
        {"insurance_fund_delta_quantums": 25_250_000},
    ),
    (
        "D4",
        {
            "price": 3,
            "exponent": 0,
            "atomic_resolution": -6,
            "base_quantums": 7,
            "initial_margin_ppm": 1_000_000,
            "maintenance_fraction_ppm": 200_000,
            "open_interest": None,
            "oi_lower_cap": 0,
            "oi_upper_cap": 0,
        },
        {"imr": 21, "mmr": 5},
    ),
    (
        "E3",
        {"base_fee_ppm": 10, "max_fee_ppm": 400_000, "slots_elapsed": 900_000},
        {"fee_ppm": 400_000},
    ),
    (
        "E4",  # 8.888 exactly: no atom of a hundredth may be added
        {"loss_usd": 33.33, "oi_long": 1.5, "oi_short": 2.25},
        {"cumulative_funding_delta_1e9": 8_888_000_000},
    ),
    (
        "E4",  # whole atoms a unit: 100 / 2.2 rounded up, not 100 / 22 ten times
        {"loss_usd": 100, "oi_long": 1.8, "oi_short": 0.4},
        {"cumulative_funding_delta_1e9": 45_454_546_000},
    ),
    (
        "F2",
        {
            "side": "long",
            "mark": 0.5,
            "mmr": 0.005,
            "positions": [
                {"id": "a", "entry": 0.4, "qty": 0.25, "wallet": 0.0250001},
                {"id": "b", "entry": 0.625, "qty": 0.25, "wallet": 0.1562502},
            ],
        },
        {
            "scores": {
                "a": {"gate_2022": 0.25 * 0.125 / 0.0500001},
                "b": {"bitmex": -0.2 / (0.125 / 0.1250002)},
            }
        },
    ),
    (
        "H1",
        {
            "counterparties": [{"position": -3.5, "entry": 0.00213, "equity": 0.0041}],
            "liquidated_total": 1.7,
            "adl_price": 0.0015838,
            "markPx_minus_price_abs": 3e-6,
        },
        {"fills": [1.7], "sum": 1.7, "partial_fills": 1},
    ),
    ("K1", {**LOST, "base": -4, "quote": -20, "max_base": -20}, {"base_after": 0}),
    ("K1", {**LOST, "base": 20, "quote": -20, "max_base": 0}, {"base_after": 20}),
    ("K1", {**LOST, "base": 0, "quote": -20, "max_base": 9}, {"base_after": 0, "quote_after": -20}),
    (
        "K1",  # 0.2 is short, each unit brings 0.1: two, whatever 1 - 0.9 is among floats
        {"base_weight": 0.9, "spot": 0.3, "base": 20, "quote": -18.5, "max_base": 100},
        {"base_after": 18, "quote_after": -16.5},
    ),
]


@pytest.mark.parametrize(("group", "inputs"), OTHERS, ids=[group for group, _ in OTHERS])
def test_the_engine_agrees_with_the_formula(group: str, inputs: dict[str, Any]) -> None:
    """What an account of the engine meets is what the group's formula says, on both sides, for
    other sizes, prices and orders than the published ones."""
    wanted = DRIVERS[group](inputs)
    found = GROUPS[group](inputs)
    assert agrees(found, wanted, NEAR), (found, wanted)


@pytest.mark.parametrize(("group", "inputs", "wanted"), EDGES, ids=[each[0] for each in EDGES])
def test_accounts_that_nobody_could_open(
    group: str, inputs: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """Accounts that have lost more than an opening allows, amounts of few atoms, tables of one
    tier: the formula has an answer, and so has the engine."""
    found = GROUPS[group](inputs)
    assert agrees(found, wanted, {"rel": 1e-9, "abs": 1e-12}), (found, wanted)


@pytest.mark.parametrize("target", ["A", "B"])
def test_a_short_of_a_cross_account_may_be_signed(target: str) -> None:
    """A size below zero is a short's, as the convention of sides has it: the answer is that of the
    same account with its sides named. Catches a price of zero, for a short looked for below."""
    short, *longs = CROSS["positions"]
    signed = {name: value for name, value in short.items() if name != "side"} | {"q": -3.0}
    inputs = {**CROSS, "positions": [signed, *longs], "target": target}
    found = GROUPS["A4"](inputs)
    assert found["liq_price"] > 0.0
    assert found == GROUPS["A4"]({**CROSS, "target": target})


def test_a_wrong_nest_is_named(tmp_path: Path) -> None:
    """One wrong number deep in a nest, a list that is too short and a text fail, each by its
    place."""
    inputs = {"equity": [10, 5, 1], "caps": [0.2, 1, 1], "budget": 5}
    for expected, detail in (
        ({"haircut": [0.2, 0.5, 0.6]}, "haircut[2]: 0.5, expected 0.6 to 1e-09"),
        ({"haircut": [0.2, 0.5]}, "haircut: [0.2, 0.5, 0.5], expected [0.2, 0.5]"),
        ({"loss": 1}, "loss: nothing was worked out"),
    ):
        vector = {"id": "X", "inputs": inputs, "expected": expected}
        path = tmp_path / "vectors.json"
        path.write_text(json.dumps({"groups": [{"id": "F4", "vectors": [vector]}]}))
        (answer,) = conform(path)
        assert (answer.status, answer.detail) == ("failed", detail)


def test_a_bare_answer(tmp_path: Path) -> None:
    """A price is taken or not: the answer has no name, and false is one."""
    vectors = [
        {"id": "1", "inputs": {"px": "1234.56"}, "expected": False},
        {"id": "2", "inputs": {"px": "0.0012345", "szDecimals": 0}, "expected": True},
        {"id": "3", "inputs": {"sz": "1.0001", "szDecimals": 3}},
    ]
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps({"groups": [{"id": "J1", "vectors": vectors}]}))
    answers = conform(path)
    assert [answer.status for answer in answers] == ["passed", "failed", "computed"]
    assert answers[2].values is False
