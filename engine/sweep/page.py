"""``report.html`` of a sweep: figures by policy, the frontier, distributions, ranking, worst runs.

Pictures are drawn as SVG: there is nothing to point at that the tables do not say, and a page of a
hundred kilobytes opens at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from engine.report.numbers import Table
from engine.report.words import DASH, money, number, percent
from engine.sweep.charts import Mark, distributions, frontier
from engine.sweep.tally import Tallies
from engine.sweep.words import named

__all__ = ["page_of"]

ROWS_MAX: Final = 200
"""Policies that are listed; the others are in ``summary.json``."""
_CURVES: Final = 6
_RANKED: Final = 60

Row = Mapping[str, Any]


def page_of(summary: Row, tallies: Tallies) -> str:
    """The page of a finished sweep: the same text for the same sweep."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["spaced"] = lambda text: text.replace(" %", "\u00a0%")
    template = environment.from_string(_part("engine.sweep", "page.html.j2"))
    known = [row for row in summary["policies"] if row["runs"]]
    rows = [row for row in known if row["point"] == row["same_as"]]
    shown = rows[:ROWS_MAX]
    marks = [Mark(named(row), row["shortfall"], row["nav_mean"], row["frontier"]) for row in rows]
    ranking, quotes = summary["ranking"], {row["product"]: row["quote"] for row in known}
    curves = [(named(row), tallies[row["point"], row["product"]]) for row in ranking[:_CURVES]]
    return template.render(
        summary=summary,
        style=_part("engine.report", "page.css"),
        frontier=frontier(marks),
        distributions=distributions(curves),
        outcome=_outcome(shown),
        costs=_costs(shown),
        screening=_screening(summary["screening"][:ROWS_MAX]),
        ranking=_ranking(ranking[:_RANKED]),
        worst=[(*_worst(row, quotes[row["product"]]), row["command"]) for row in summary["worst"]],
        left_out=len(rows) - len(shown),
        alike=len(known) - len(rows),
        counted=f"{summary['points']:,} x {summary['paths']:,} = {summary['runs']:,} runs",
        versions=", ".join(f"{name} {version}" for name, version in summary["versions"].items()),
    )


def _part(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _nav(value: float | None) -> str:
    return DASH if value is None else number(value, 4)


def _share(value: float | None) -> str:
    return percent(value, 2, signed=False)


def _outcome(rows: Sequence[Row]) -> Table:
    head = [
        *("policy", "mean NAV", "median", "worst 5 %: mean", "5 % quantile", "95 % quantile"),
        *(
            "median drawdown",
            "95 % drawdown",
            "worst drawdown",
            "probability of ruin",
            "95 % interval",
        ),
    ]
    return Table(
        head,
        [
            [
                named(row),
                *(_nav(row[name]) for name in ("nav_mean", "nav_median", "shortfall")),
                *(_nav(row[name]) for name in ("nav_low", "nav_high")),
                *(_share(row[f"drawdown_{name}"]) for name in ("median", "high", "worst")),
                _share(row["ruin"]),
                f"{_share(row['ruin_low'])} to {_share(row['ruin_high'])}",
            ]
            for row in rows
        ],
    )


def _costs(rows: Sequence[Row]) -> Table:
    head = [
        *("policy", "hedge cost", "funding", "ADL took", "rebalances", "forced cuts"),
        *(
            "liquidations",
            "ADL events",
            "unhedged, s",
            "issuer lost in, runs",
            "issuer's loss, all runs",
        ),
    ]
    return Table(
        head,
        [
            [
                named(row),
                percent(row["hedge_cost"] / row["equity_start"], 3, signed=False),
                percent(row["funding"] / row["equity_start"], 3),
                percent(row["adl_loss"] / row["equity_start"], 3, signed=False),
                *(number(row[name], 2) for name in ("rebalances", "deleveragings")),
                *(number(row[name], 3) for name in ("liquidations", "adl_events")),
                number(row["unhedged_seconds"], 1),
                f"{row['issuer_lossy']:,}",
                money(row["issuer_loss_total"], row["quote"]),
            ]
            for row in rows
        ],
    )


def _screening(rows: Sequence[Row]) -> Table:
    head = ["policy", "paths judged", "mean difference", "95 % of the paths within", "at most"]
    figures = ("bias", "error", "error_max")
    return Table(
        head,
        [[named(row), f"{row['paths']:,}", *(number(row[n], 6) for n in figures)] for row in rows],
    )


def _ranking(rows: Sequence[Row]) -> Table:
    head = [
        "rank",
        "policy",
        "mean NAV",
        "behind the best",
        "95 % interval",
        "ahead of it on",
        "paths",
    ]
    return Table(
        head,
        [
            [
                str(row["rank"]),
                named(row),
                _nav(row["mean"]),
                _nav(row["behind"]),
                f"{_nav(row['low'])} to {_nav(row['high'])}" if place else DASH,
                _share(row["ahead"]) if place else DASH,
                f"{row['paths']:,}",
            ]
            for place, row in enumerate(rows)
        ],
        words=2,
    )


def _worst(row: Row, quote: str) -> tuple[str, ...]:
    return (
        named(row),
        str(row["path"]),
        _nav(row["nav_end"]),
        _share(-row["max_drawdown"]),
        money(row["issuer_loss"], quote),
    )
