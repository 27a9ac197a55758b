"""A finished sweep: its figures, its tables, its verdict."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import InputError
from engine.sweep.results import PARQUET
from engine.sweep.words import verdict_of

__all__ = ["REPORT", "SUMMARY", "SweepResult", "load_sweep"]

SUMMARY: Final = "summary.json"
REPORT: Final = "report.html"


class SweepResult:
    """A finished sweep.

    Attributes:
        path: its directory.
        summary: the object of ``summary.json``.
    """

    def __init__(self, path: Path, summary: dict[str, Any]) -> None:
        self.path = path
        self.summary = summary

    @property
    def verdict(self) -> str:
        """The sweep in one sentence."""
        return verdict_of(self.summary)

    @property
    def exit_code(self) -> int:
        """1 where a run has no result or does not keep to what a scenario expects, or a policy
        faulted; else 0."""
        faults = any(row["policy_faults"] for row in self.summary["policies"])
        return int(bool(self.summary["faulty"] or self.summary.get("violating")) or faults)

    @cached_property
    def table(self) -> pa.Table:
        """A row a run and product."""
        return pq.read_table(self.path / PARQUET, page_checksum_verification=True)

    @cached_property
    def policies(self) -> pa.Table:
        """A row a point and product: figures over all paths."""
        return pa.Table.from_pylist(self.summary["policies"])

    @cached_property
    def ranking(self) -> pa.Table:
        """The policies against the best, path by path."""
        return pa.Table.from_pylist(self.summary["ranking"])

    @cached_property
    def worst(self) -> pa.Table:
        """The worst runs, each with the command that runs it again."""
        return pa.Table.from_pylist(self.summary["worst"])

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / REPORT

    def __repr__(self) -> str:
        return f"<SweepResult {self.path}: {self.verdict}>"


def load_sweep(path: str | Path) -> SweepResult:
    """A finished sweep from its directory.

    Raises:
        InputError: if it is none, or not finished.

    >>> load_sweep("sweeps/none")
    Traceback (most recent call last):
    engine.errors.InputError: sweeps/none is no finished sweep
    """
    directory = Path(path)
    try:
        summary = json.loads((directory / SUMMARY).read_text("utf-8"))
        if "ranking" in summary:
            return SweepResult(directory, summary)
    except (OSError, ValueError):
        pass
    raise InputError(f"{directory} is no finished sweep")
