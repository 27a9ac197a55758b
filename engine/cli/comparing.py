"""``compare``: products and policies of several runs side by side."""

from __future__ import annotations

from typing import Any

from engine.cli.running import LATEST, Json, RunDir
from engine.report import cells_of, comparison_rows, head_of, same_ticks
from engine.report.reading import summary_of

__all__ = ["compare"]


def compare(*run_dirs: RunDir, json: Json = False) -> int:
    """What each product came to, beside what users would hold instead: one table."""
    from engine.cli import showing

    paths = run_dirs or (LATEST,)
    summaries = [summary_of(path) for path in paths]
    same = same_ticks(summaries)
    if json:
        runs: list[dict[str, Any]] = [
            {"run": str(path), "digest": one["digest"], "products": comparison_rows(one)}
            for path, one in zip(paths, summaries, strict=True)
        ]
        showing.emit_json({"same_ticks": same, "runs": runs})
        return 0
    rows = [
        [*([str(path)] if len(paths) > 1 else []), *cells_of(row)]
        for path, one in zip(paths, summaries, strict=True)
        for row in comparison_rows(one)
    ]
    if not same:
        showing.emit("These runs did not see the same ticks: their results differ for that, too.")
    showing.show_rows(head_of(len(paths)), rows)
    return 0
