"""``milestones.parquet``, read: what turned the parts of each product's price profit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from engine.outputs import ATTRIBUTION
from engine.report.statement import Deal, Mile

__all__ = ["turns_of"]


def turns_of(run_dir: Path, products: Iterable[str]) -> dict[str, list[Mile | Deal]]:
    """By product, in order: decisions, and moments at which somebody dealt."""
    table = pq.read_table(run_dir / "milestones.parquet", page_checksum_verification=True)
    turns: dict[str, list[Mile | Deal]] = {name: [] for name in products}
    before: Mile | None = None
    for row in table.to_pylist():
        mile = Mile(
            sequence=row["sequence"],
            ordinal=row["ordinal"],
            ts_ns=row["ts_ns"],
            price=row["mark_price"],
            nav=row["nav_atoms"],
            units=row["units"],
            slope=row["slope"],
            target=row["target"],
            edge=row["edge"],
            causes=() if row["price"] is None else tuple(row[name] for name in ATTRIBUTION),
        )
        found = turns[row["product"]]
        if mile.target is not None:
            found.append(mile)
        elif before is None:
            before = mile
        else:
            found.append(Deal(before=before, after=mile))
            before = None
    return turns
