"""Summaries with valid defaults: a test states only what matters to it."""

from __future__ import annotations

from typing import Any

from engine.outputs import ATTRIBUTION

__all__ = ["a_product", "a_summary"]


def a_product(**fields: Any) -> dict[str, Any]:
    """A 3x product that lost a tenth to direction, unless told otherwise."""
    gain = fields.get("return", -0.1)
    start = 1000.0
    defaults: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "quote": "USDT",
        "follows": "mark",
        "price_start": 100.0,
        "price_end": 96.0,
        "kind": "fund",
        "status": "active",
        "target": 3.0,
        "launched_ns": 1_583_020_800_000_000_000,
        "nav_start": 1.0,
        "nav_end": 1.0 + gain,
        "equity_start": start,
        "equity_end": start * (1.0 + gain),
        "return": gain,
        "underlying_return": -0.04,
        "multiple_return": -0.12,
        "max_drawdown": -0.2,
        "rebalances": 2,
        "deleveragings": 0,
        "leverage": {"min": 2.5, "max": 3.5, "mean": 3.0, "end": 3.1, "chosen": None},
        "attribution": {**dict.fromkeys(ATTRIBUTION, 0.0), "price": start * gain},
        "price_split": {
            "direction": start * gain,
            **dict.fromkeys(("compounding", "leverage_change", "timing", "gap"), 0.0),
        },
        "liquidations": 0,
        "adl_events": 0,
        "costs": 0.0,
        "liquidated": None,
        "actions": 0,
        "splits": [],
        "policy_faults": 0,
    }
    return {**defaults, **fields}


def a_summary(**fields: Any) -> dict[str, Any]:
    """A run of one product on recorded data."""
    defaults: dict[str, Any] = {
        "synthetic": False,
        "end_ns": 1_585_612_800_000_000_000,
        "products": {"BTC3L": a_product()},
        "markets": {"BTCUSDT": {"contract": "linear"}},
        "not_launched": [],
        "issuer": {"products": {}, "by_asset": {}, "accounts": {}},
        "bars": None,
        "assumed": [],
    }
    return {**defaults, **fields}
