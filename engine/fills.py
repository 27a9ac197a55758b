"""``fills.parquet``: every execution of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.events import OrderFilled
from engine.parquet import TIME, timestamps, writer

__all__ = ["write_fills"]

_FIELDS: Final = (
    "product",
    "symbol",
    "order",
    "purpose",
    "lots",
    "price",
    "mid_price",
    "mark_price",
    "hedge_atoms",
    "spread_impact_atoms",
    "fee_atoms",
)
_SCHEMA: Final = pa.schema(
    [
        ("sequence", pa.int64()),
        ("ordinal", pa.int64()),
        *TIME,
        ("product", pa.string()),
        ("symbol", pa.string()),
        ("order", pa.int64()),
        ("purpose", pa.string()),
        ("lots", pa.int64()),
        ("price", pa.float64()),
        ("mid_price", pa.float64()),
        ("mark_price", pa.float64()),
        ("hedge_atoms", pa.int64()),
        ("spread_impact_atoms", pa.int64()),
        ("fee_atoms", pa.int64()),
    ]
)


def write_fills(path: Path, fills: Sequence[OrderFilled]) -> None:
    """Write them in order."""
    columns: dict[str, Any] = {
        "sequence": [f.sequence for f in fills],
        "ordinal": [f.ordinal for f in fills],
        "ts_ns": [f.ts_ns for f in fills],
        "ts": timestamps(np.array([f.ts_ns for f in fills], np.int64)),
        **{name: [getattr(f, name) for f in fills] for name in _FIELDS},
    }
    with writer(path, _SCHEMA) as file:
        file.write_table(pa.table(columns, schema=_SCHEMA))
