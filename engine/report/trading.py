"""``fills.parquet``, read: what the hedge of each product traded, and which traded at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

__all__ = ["MINUTE_NS", "Trading", "trading_of"]

MINUTE_NS: Final = 60 * 10**9
_OWN: Final = ("rebalance", "deleverage", "close")
"""Purposes of what a product trades of its own accord, not for who comes and goes."""


class Trading(Struct, frozen=True):
    """Of one product, in quote.

    Attributes:
        fills: how many.
        traded: notional of all of them, at their prices.
        slippage: what spread and impact took, as the account has it, minus what they took.
        fees: minus what was paid.
        minutes: what it traded of its own accord, by the minute of the run's clock.
    """

    fills: int
    traded: float
    slippage: float
    fees: float
    minutes: dict[int, float]


def trading_of(run_dir: Path, scales: Mapping[str, float]) -> dict[str, Trading]:
    """By product.

    Args:
        scales: quote in an atom, by product.
    """
    names = ["ts_ns", "product", "purpose", "lots", "hedge_atoms"]
    amounts = ["spread_impact_atoms", "fee_atoms"]
    table = pq.read_table(
        run_dir / "fills.parquet", columns=names + amounts, page_checksum_verification=True
    )
    found = {}
    for name, scale in scales.items():
        own = table.filter(pc.equal(table["product"], name))
        own = own.filter(pc.not_equal(own["lots"], 0))
        money = np.abs(own["hedge_atoms"].to_numpy()) * scale
        asked = pc.is_in(own["purpose"], value_set=pa.array(_OWN)).to_numpy()
        minutes: dict[int, float] = {}
        for minute, amount in zip(
            (own["ts_ns"].to_numpy() // MINUTE_NS)[asked].tolist(),
            money[asked].tolist(),
            strict=True,
        ):
            minutes[minute] = minutes.get(minute, 0.0) + amount
        slippage, fees = (float(own[each].to_numpy().sum()) * scale for each in amounts)
        found[name] = Trading(len(own), float(money.sum()), slippage, -fees, minutes)
    return found
