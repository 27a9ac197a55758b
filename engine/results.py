"""A finished run: its figures, its tables, its verdict."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import InputError
from engine.report import render, table_of, verdict_of
from engine.report.reading import readable

__all__ = ["RunResult"]


class RunResult:
    """A finished run.

    Attributes:
        path: the run directory; ``None`` where nothing was written.
        summary: the object of ``summary.json``.
    """

    def __init__(self, path: Path | None, summary: dict[str, Any]) -> None:
        self.path = path
        self.summary = summary

    @property
    def verdict(self) -> str:
        """The run in one sentence."""
        return verdict_of(self.summary)

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row a product: what its multiple promised, what it gave, and where the difference
        went."""
        return table_of(self.summary)

    @property
    def exit_code(self) -> int:
        """1 where a policy faulted or a scenario's expectation was violated, else 0."""
        faulted = any(p["policy_faults"] for p in self.summary["products"].values())
        return int(faulted or bool(self.violated))

    @property
    def violated(self) -> list[dict[str, Any]]:
        """The expectations of scenarios to which the run did not keep: ``name``, ``condition``,
        ``was`` by figure."""
        expected = self.summary.get("scenario", {}).get("expected", ())
        return [each for each in expected if not each["held"]]

    @cached_property
    def nav(self) -> pa.Table:
        """NAV samples: ``ts_ns, ts, product, nav_per_unit, units, leverage, mark_price`` and the
        attribution in quote."""
        return self._table("nav.parquet")

    @cached_property
    def user_nav(self) -> pa.Table:
        """Users' NAVs: ``ts_ns, user, product, units, nav_atoms``."""
        return self._table("user_nav.parquet")

    @cached_property
    def fills(self) -> pa.Table:
        """Every execution."""
        return self._table("fills.parquet")

    def attribution(self, product: str) -> pa.Table:
        """The attribution of one product over time, in quote."""
        chosen = self.nav.filter(pc.equal(self.nav["product"], product))
        return chosen.drop_columns(["product", "sequence", "ordinal"])

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Events in order, or those of one kind (``rebalanced``, ``order_filled``, ...)."""
        lines = (self._directory() / "events.jsonl").read_bytes().splitlines()
        events = [json.loads(line) for line in lines]
        return events if kind is None else [e for e in events if e["event"] == kind]

    def report(self) -> Path:
        """Write ``report.html`` into the run directory; its path."""
        return render(self._directory())

    def _table(self, name: str) -> pa.Table:
        directory = self._directory()
        with readable(directory, name):
            return pq.read_table(directory / name, page_checksum_verification=True)

    def _directory(self) -> Path:
        if self.path is None:
            raise InputError("this run wrote no directory; give run(..., out=DIRECTORY)")
        return self.path

    def __repr__(self) -> str:
        return f"<RunResult {self.path or 'in memory'}: {self.verdict}>"

    def _repr_html_(self) -> str:
        rows = self.table
        heads = "".join(f"<th>{name}</th>" for name in (rows[0] if rows else {}))
        body = "".join(
            "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>"
            for row in rows
        )
        return f"<p><b>{self.verdict}</b></p><table><tr>{heads}</tr>{body}</table>"


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
