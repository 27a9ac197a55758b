"""``fills.parquet``, read: what the hedge of each product traded and held, and which traded at
once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from engine.report.thinning import F64, I64
from engine.units import asset_decimals

__all__ = ["MINUTE_NS", "Trading", "trading_of"]

MINUTE_NS: Final = 60 * 10**9
_OWN: Final = ("rebalance", "deleverage", "close")
"""Purposes of what a product trades of its own accord, not for who comes and goes."""


class Trading(Struct, frozen=True, eq=False):
    """Of one product, in quote.

    Attributes:
        fills: how many.
        traded: notional of all of them, at their prices.
        minutes: what it traded of its own accord, by the minute of the run's clock.
        ts_ns: shape (n,) of what changed what it holds.
        held: shape (n,), what moves with the price after each: the base of its contracts, or where
            these are inverse the coins of its account, which their face was bought with; plus is
            long.
    """

    fills: int
    traded: float
    minutes: dict[int, float]
    ts_ns: I64
    held: F64

    def exposure_at(self, ts_ns: I64, mark: F64) -> F64:
        """What moved with the price at some times and their marks, quote; plus is long."""
        held = np.concatenate(([0.0], self.held))
        exposure: F64 = held[np.searchsorted(self.ts_ns, ts_ns, side="right")] * mark
        return exposure


def trading_of(run_dir: Path, contracts: Mapping[str, Mapping[str, Any]]) -> dict[str, Trading]:
    """By product.

    Args:
        contracts: of each product, as ``run.toml`` has it.
    """
    table = pq.read_table(
        run_dir / "fills.parquet",
        columns=["ts_ns", "product", "purpose", "lots", "price", "cash_atoms"],
        page_checksum_verification=True,
    )
    return {
        name: _trading(table.filter(pc.equal(table["product"], name)), contract)
        for name, contract in contracts.items()
    }


def _trading(own: pa.Table, contract: Mapping[str, Any]) -> Trading:
    inverse = contract.get("kind") == "inverse"
    size = float(contract["lot_size"]) * (float(contract["contract_size"]) if inverse else 1.0)
    moved_ns = own["ts_ns"].to_numpy()
    coins = np.cumsum(own["cash_atoms"].to_numpy()) / 10 ** asset_decimals(contract["base"])
    own = own.filter(pc.not_equal(own["lots"], 0))
    ts_ns, lots = own["ts_ns"].to_numpy(), own["lots"].to_numpy()
    money = np.abs(lots) * size
    if not inverse:
        money = money * own["price"].to_numpy()
    asked = pc.is_in(own["purpose"], value_set=pa.array(_OWN)).to_numpy()
    minutes: dict[int, float] = {}
    for minute, amount in zip(
        (ts_ns // MINUTE_NS)[asked].tolist(), money[asked].tolist(), strict=True
    ):
        minutes[minute] = minutes.get(minute, 0.0) + amount
    held = (moved_ns, coins) if inverse else (ts_ns, np.cumsum(lots) * size)
    return Trading(len(own), float(money.sum()), minutes, *held)
