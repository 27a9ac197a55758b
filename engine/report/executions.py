"""The fills and fundings of a run as a desk would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow.parquet as pq

from engine.report.desk import DeskFill
from engine.report.history import History
from engine.units import asset_decimals

__all__ = ["executions", "is_inverse"]

_POOL: Final = ("opening", "rebalance", "deleverage", "close", "funding")


def executions(history: History, product: str) -> list[DeskFill]:
    """The run's fills and fundings of a product, without those of requests."""
    contract = history.contract(product)
    path, asked = history.path / "fills.parquet", [("product", "=", product)]
    rows: list[dict[str, Any]] = pq.read_table(path, filters=asked).to_pylist()
    lot, inverse = float(contract["lot_size"]), is_inverse(contract)
    atoms = 10 ** (asset_decimals(contract["base"]) if inverse else history.decimals(product))
    found = []
    for row in rows:
        if row["purpose"] not in _POOL:
            continue
        if row["purpose"] == "funding":
            paid = -row["cash_atoms"] / atoms
            found.append(DeskFill(row["ts_ns"], product, "funding", 0.0, 0.0, paid))
        elif row["lots"]:
            size, fee = row["lots"] * lot, row["fee_atoms"] / atoms
            price, mark = row["price"], row["mark_price"]
            found.append(DeskFill(row["ts_ns"], product, "trade", size, price, fee, mark))
    return found


def is_inverse(contract: Mapping[str, Any]) -> bool:
    """Whether it is settled in coins."""
    return bool(contract.get("kind", "linear") == "inverse")
