"""A row a product: what its multiple promised, what it gave, and where the difference went."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from engine.price_split import whole_parts
from engine.report.words import multiple, number, percent, underlying_of

__all__ = ["CAUSES", "SPLIT", "Column", "columns_of", "exact_parts", "split_of", "table_of"]

SPLIT: Final = {
    "direction": "direction",
    "compounding": "compounding",
    "leverage_change": "leverage change",
    "timing": "timing",
    "gap": "gap",
}
"""The parts of the price part, with their names in words."""

CAUSES: Final = {
    "spread_impact": "spread and impact",
    "basis": "mark against book",
    "fees": "trading fees",
    "funding": "funding",
    "management_fee": "management fee",
    "liquidation": "liquidation",
    "adl": "auto-deleveraging",
    "interest": "interest",
    "issuer": "paid by the issuer",
    "insurance": "paid by insurance",
    "collateral": "collateral",
    "rounding": "rounding",
    "flows": "creations and redemptions",
}
"""The causes beside price, with their names in words."""

_OWN_COLUMN: Final = ("spread_impact", "fees", "funding", "management_fee", "flows")


def split_of(product: dict[str, Any]) -> dict[str, float]:
    """The parts of the price part in quote; empty where one is undefined: then none is believed."""
    split = {part: product["price_split"][part] for part in SPLIT}
    return split if all(map(_is_known, split.values())) else {}


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def table_of(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows in the order of the products; all amounts as shares of the equity at the start.

    ``direction`` to ``other`` sum to the change of equity, which is ``got`` where nobody came or
    went. A split that is undefined is ``nan`` in all its parts.
    """
    return [_row(name, product) for name, product in summary["products"].items()]


def _row(name: str, product: dict[str, Any]) -> dict[str, Any]:
    start = product["equity_start"]
    causes = product["attribution"]
    split = split_of(product) or dict.fromkeys(SPLIT, math.nan)
    rest = math.fsum(
        amount for cause, amount in causes.items() if cause not in (*_OWN_COLUMN, "price")
    )
    return {
        "product": name,
        "kind": product["kind"],
        "promise": multiple(product["target"], underlying_of(product)),
        "myth": product["multiple_return"],
        "got": product["return"],
        **{part: split[part] / start for part in SPLIT},
        **{cause: causes[cause] / start for cause in _OWN_COLUMN},
        "other": rest / start,
        "max_drawdown": product["max_drawdown"],
        "rebalances": product["rebalances"],
        "deleveragings": product["deleveragings"],
        "leverage_min": product["leverage"]["min"],
        "leverage_max": product["leverage"]["max"],
        "leverage_mean": product["leverage"]["mean"],
        "status": product["status"],
    }


Column = tuple[str, Callable[[Mapping[str, Any]], str]]
"""The head, in lines, and what stands beneath it."""


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The table as it is read: shares of the equity at the start, in per cent; a column of nothing
    is left out."""
    columns: list[Column] = [
        ("\n", lambda row: str(row["product"])),
        ("multiple x price\n(the myth)", lambda row: f"{row['promise']} {percent(row['myth'])}"),
        ("you\ngot", lambda row: percent(row["got"])),
        ("\ndirection", lambda row: _part(row, "direction")),
        ("compounding\n/ vol decay", lambda row: _part(row, "compounding")),
        ("leverage\nchange", lambda row: _part(row, "leverage_change")),
        ("timing\nand gaps", lambda row: _part(row, "timing", "gap")),
        ("\nfunding", lambda row: _part(row, "funding")),
        ("\nfees", lambda row: _part(row, "fees", "management_fee")),
        ("impact\nand other", lambda row: _part(row, "spread_impact", "other")),
    ]
    if any(row["flows"] for row in rows):
        columns.append(("in and\nout", lambda row: _part(row, "flows")))
    columns += [
        ("worst\ndrawdown", lambda row: percent(row["max_drawdown"])),
        ("re-\nbalances", lambda row: f"{row['rebalances']:,}"),
    ]
    if any(row["deleveragings"] for row in rows):
        columns.append(("forced\ncuts", lambda row: f"{row['deleveragings']:,}"))
    return columns


def _part(row: Mapping[str, Any], *parts: str) -> str:
    return number(100.0 * sum(row[part] for part in parts), signed=True)


def exact_parts(parts: dict[str, float], total: float, step: float) -> dict[str, int]:
    """The parts in whole steps that sum to the total in whole steps: largest remainders go up.

    Args:
        parts: amounts that sum to ``total`` but for rounding.
        step: what is printed, a cent for instance.
    """
    if not parts:
        return {}
    return whole_parts({name: value / step for name, value in parts.items()}, round(total / step))
