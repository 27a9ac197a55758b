"""A benchmark's result: the figure beside its target, as a row of a table and as JSON."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from tests.imported import COMPILED

__all__ = ["Row", "Scale", "environment", "show"]


class Scale(Struct, frozen=True):
    """How much is measured: numbers of ticks, rounds of each, and whether only equality is asked
    for."""

    sizes: tuple[int, ...] = (1_000_000, 10_000_000)
    rounds: tuple[int, ...] = (5, 3)
    smoke: bool = False

    @classmethod
    def tiny(cls) -> Scale:
        return cls(sizes=(20_000,), rounds=(1,), smoke=True)

    @classmethod
    def quick(cls) -> Scale:
        return cls(sizes=(1_000_000,), rounds=(3,))

    def each(self) -> list[tuple[int, int]]:
        """``(ticks, rounds)``."""
        return list(zip(self.sizes, self.rounds, strict=True))

    def of(self, rows: int, least: int = 20_000) -> int:
        """So many rows, or the few of a smoke run."""
        return least if self.smoke else rows


class Row(Struct, frozen=True):
    """One line of the table.

    Attributes:
        name: of the benchmark.
        work: what was done.
        target: as in DESIGN 9; empty for a figure that stands beside.
        figure: as measured.
        met: whether the target was; ``None`` where there is none or it was not measured.
        note: what the figure leaves out.
        details: everything measured, for the JSON.
    """

    name: str
    work: str
    target: str
    figure: str
    met: bool | None = None
    note: str = ""
    details: dict[str, Any] = {}


def environment() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "heart": "compiled" if COMPILED else "interpreted",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }


def show(rows: list[Row], smoke: bool) -> None:
    """Print the table; a smoke run judges no times."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    table = Table(title="levsim benchmarks (smoke: no times are judged)" if smoke else None)
    for head in ("benchmark", "work", "target", "measured", ""):
        table.add_column(head, overflow="fold")
    for row in rows:
        verdict = {True: "met", False: "[red]missed[/red]", None: ""}[row.met]
        if smoke:
            verdict = ""
        work = f"{row.work}\n[dim]{row.note}[/dim]" if row.note else row.work
        table.add_row(row.name, work, row.target, row.figure, verdict)
    console.print(table)
    where = environment()
    console.print(
        f"The heart is {where['heart']}. Python {where['python']}, numpy {where['numpy']}, "
        f"{where['cores']} cores, load {where['load'][0]:.1f}. Seconds are of process time unless "
        "said otherwise."
    )
