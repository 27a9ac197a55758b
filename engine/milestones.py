"""``milestones.parquet``: where the parts of each product's price profit turned.

A row a decision: mark, NAV, units, what was held, the leverage decided. Where holders came or went,
a row before their hedge and one after they had dealt, with all causes since the launch. With the
NAV samples it is what ``levsim explain`` needs for any interval and any holder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.outputs import ATTRIBUTION, Milestone
from engine.parquet import TIME, timestamps, writer

__all__ = ["SCHEMA", "write_milestones"]

SCHEMA: Final = pa.schema(
    [
        ("sequence", pa.int64()),
        ("ordinal", pa.int64()),
        *TIME,
        ("product", pa.string()),
        ("mark_price", pa.float64()),
        ("nav_atoms", pa.int64()),
        ("units", pa.int64()),
        ("slope", pa.float64()),
        ("target", pa.float64()),
        ("edge", pa.float64()),
        *((name, pa.int64()) for name in ATTRIBUTION),
    ]
)


def write_milestones(path: Path, milestones: list[Milestone]) -> None:
    """Write them in order; amounts in quote atoms, units in steps."""
    ts_ns = [one.ts_ns for one in milestones]
    columns: dict[str, Any] = {
        "sequence": [one.sequence for one in milestones],
        "ordinal": [one.ordinal for one in milestones],
        "ts_ns": ts_ns,
        "ts": timestamps(np.array(ts_ns, np.int64)),
        "product": [one.product for one in milestones],
        "mark_price": [one.mark for one in milestones],
        "nav_atoms": [one.nav for one in milestones],
        "units": [one.units for one in milestones],
        "slope": [one.slope for one in milestones],
        "target": [one.target for one in milestones],
        "edge": [one.edge for one in milestones],
    }
    for place, name in enumerate(ATTRIBUTION):
        columns[name] = [one.causes[place] if one.causes else None for one in milestones]
    with writer(path, SCHEMA) as file:
        file.write_table(pa.table({n: columns[n] for n in SCHEMA.names}, schema=SCHEMA))
