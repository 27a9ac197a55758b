"""A sweep in words: its verdict, and the command that runs one of its paths again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import join
from typing import Any

from msgspec import Struct

from engine.report.words import listed, number, percent, plural
from engine.sweep.plan import Plan

__all__ = ["Origin", "named", "verdict_of"]


class Origin(Struct, frozen=True):
    """What was typed, so that one run of it can be typed again.

    Attributes:
        sets: those that hold at every point.
        policy: where one took the place of the dynamic policies at every point.
    """

    base: str | Path | None
    sets: tuple[str, ...]
    policy: str | None
    data: tuple[str, ...]
    symbol: str | None
    scenarios: tuple[str, ...] = ()
    requests: str | None = None

    def run(self, plan: Plan, row: Mapping[str, Any]) -> str:
        """``levsim run ...`` that gives a row's run again, with all its events."""
        point = row["point"]
        chosen = dict(zip((axis.key for axis in plan.axes), plan.points[point], strict=True))
        policy = chosen.get("policy", self.policy)
        words = ["levsim", "run", *self.data]
        if self.base is not None:
            words += ["-c", str(self.base)]
        for name in self.scenarios:
            words += ["--scenario", name]
        if policy is not None:
            words += ["--policy", policy]
        sets = [*self.sets, *plan.sets(point)]
        if plan.generated:
            sets.append(f"generator.path={row['path']}")
        for each in sets:
            words += ["--set", each]
        if self.requests is not None:
            words += ["--requests", self.requests]
        if self.symbol is not None:
            words += ["--symbol", self.symbol]
        return join(words)


def named(row: Mapping[str, Any]) -> str:
    """A policy of a sweep: its product, and the point where there are several."""
    label = row.get("label")
    return f"{row['product']} ({label})" if label else str(row["product"])


def verdict_of(summary: Mapping[str, Any]) -> str:
    """Who did best on average, how sure that is, and who was ruined."""
    ranking = summary["ranking"]
    made = "Synthetic data: " if summary["generated"] else ""
    over = f"over {plural(summary['paths'], 'path')}"
    if not ranking:
        none = "no" if made else "No"
        return f"{made}{none} run of {summary['runs']:,} came to a result {over}."
    best, rest = ranking[0], ranking[1:]
    start = f"{made}{over}" if made else over.capitalize()
    sentence = f"{start}, {named(best)} ended highest on average, at {number(best['mean'], 4)}"
    level = [named(row) for row in rest if not row["told_apart"]]
    if level:
        shown = [*level[:3], f"{len(level) - 3} more"] if len(level) > 4 else level
        sentence += f", which cannot be told from {listed(shown, 'or')}"
    elif rest:
        behind = rest[0]
        sentence += (
            f", {number(behind['behind'], 4)} above {named(behind)} "
            f"({number(behind['low'], 4)} to {number(behind['high'], 4)} on the same paths)"
        )
    told = f"{_ruin(summary)}{_faulty(summary)}{_violating(summary)}{_screened(summary)}"
    return f"{sentence}. {told}"


def _ruin(summary: Mapping[str, Any]) -> str:
    rows = [row for row in summary["policies"] if row["ruined"]]
    if not rows:
        return "Nobody was ruined."
    worst = max(rows, key=lambda row: (row["ruin"], -row["point"]))
    interval = (
        f"{percent(worst['ruin_low'], 2, signed=False)} to "
        f"{percent(worst['ruin_high'], 2, signed=False)}"
    )
    most = "Ruined most often" if len(rows) > 1 else "Ruined"
    return (
        f"{most}: {named(worst)}, on {percent(worst['ruin'], 2, signed=False)} of the paths "
        f"({interval})."
    )


def _screened(summary: Mapping[str, Any]) -> str:
    rows = summary["screening"]
    if not rows:
        return ""
    worst = max(rows, key=lambda row: row["error"])
    return (
        f" Screened without frictions: on {plural(worst['paths'], 'path')} that the engine judged, "
        f"NAV is within {worst['error']:.1g} of it on 95 % ({named(worst)}, the worst of all; at "
        f"most {worst['error_max']:.1g})."
    )


def _violating(summary: Mapping[str, Any]) -> str:
    count = summary.get("violating", 0)
    if not count:
        return ""
    return f" {plural(count, 'run')} did not keep to what the scenario expects: see violations."


def _faulty(summary: Mapping[str, Any]) -> str:
    count = summary["faulty"]
    if not count:
        return ""
    return f" {plural(count, 'run')} came to no result: see faults."
