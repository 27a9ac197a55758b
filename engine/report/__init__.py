"""What a finished run has to say: the verdict, its table, the explanation, ``report.html``.

Everything here reads the results (the summary, the run directory) and computes none of them anew:
command, page and API show one set of numbers. The libraries that draw are imported when a page is
drawn, not before.
"""

from __future__ import annotations

from pathlib import Path

from engine.report.comparison import cells_of, comparison_of, comparison_rows, head_of, same_ticks
from engine.report.explanation import explain, explain_of, statements_of
from engine.report.table import table_of
from engine.report.verdict import verdict_of

__all__ = [
    "cells_of",
    "comparison_of",
    "comparison_rows",
    "explain",
    "explain_of",
    "head_of",
    "render",
    "same_ticks",
    "statements_of",
    "table_of",
    "verdict_of",
]


def render(run_dir: Path) -> Path:
    """Write ``report.html`` into a run directory; its path.

    The page is one file without any request to a network, and the same bytes for the same run
    wherever it lies.

    Raises:
        InputError: if the directory is none of a run.
    """
    from engine.report.page import page_of
    from engine.report.reading import read_run

    path = run_dir / "report.html"
    path.write_text(page_of(read_run(run_dir)), encoding="utf-8", newline="\n")
    return path
