"""Funds beside spot, futures and margin loans, on the same ticks: one table of one run or of
several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.report.words import DASH, instant, number, percent, priced

__all__ = [
    "WORDS",
    "cells_of",
    "compared_with",
    "comparison_of",
    "comparison_rows",
    "head_of",
    "same_ticks",
]

Object = Mapping[str, Any]

_HEAD: Final = (
    "product",
    "what",
    "leverage",
    "1,000 became",
    "worst drawdown",
    "liquidated (UTC)",
    "at",
    "costs",
    "actions",
)
_WHAT: Final = {
    "fund": "fund",
    "spot": "spot",
    "futures": "futures",
    "margin_loan": "margin loan",
}
_STAKE: Final = 1_000.0
WORDS: Final = 2
"""So many columns from the left are words."""


def compared_with(summary: Object) -> bool:
    """Whether the run holds anything that users would hold instead of a fund."""
    return any(product["kind"] != "fund" for product in summary["products"].values())


def comparison_rows(summary: Object) -> list[dict[str, Any]]:
    """A row a product, as numbers.

    ``final_value`` is what one quote became, ``costs`` a share of the equity at the start,
    ``leverage`` what was chosen or promised at the start.
    """
    return [
        {
            "product": name,
            "kind": product["kind"],
            "leverage": product["target"],
            "final_value": product["nav_end"] / product["nav_start"],
            "max_drawdown": product["max_drawdown"],
            "liquidated": product["liquidated"],
            "costs": product["costs"] / product["equity_start"],
            "actions": product["actions"],
        }
        for name, product in summary["products"].items()
    ]


def head_of(runs: int) -> list[str]:
    """The names of the columns of ``cells_of``; with several runs each row says of which it is."""
    return [*(["run"] if runs > 1 else []), *_HEAD]


def cells_of(row: Object) -> list[str]:
    """A row as it is read."""
    forced = row["liquidated"]
    return [
        row["product"],
        _WHAT[row["kind"]],
        f"{number(row['leverage'], 4).rstrip('0').rstrip('.')}x",
        number(_STAKE * row["final_value"]),
        percent(row["max_drawdown"]),
        instant(forced["ts_ns"], seconds=True) if forced else DASH,
        priced(forced["mark_price"]) if forced else DASH,
        percent(row["costs"], 2, signed=False),
        f"{row['actions']:,}",
    ]


def comparison_of(summary: Object) -> list[list[str]]:
    """The rows of one run as they are read; none where there is nothing beside the funds."""
    return [cells_of(row) for row in comparison_rows(summary)] if compared_with(summary) else []


def same_ticks(summaries: Sequence[Object]) -> bool:
    """Whether runs saw the same market, as far as summaries tell: as many ticks, the same end."""
    seen = [
        (
            summary["ticks"],
            summary["end_ns"],
            {name: market["mark_end"] for name, market in summary["markets"].items()},
        )
        for summary in summaries
    ]
    return all(one == seen[0] for one in seen)
