"""A row a product: what its multiple promised, what it gave, and where the difference went."""

from __future__ import annotations

import math
from typing import Any, Final

from engine.price_split import whole_parts
from engine.report.words import asset_of, multiple

__all__ = ["CAUSES", "SPLIT", "exact_parts", "split_of", "table_of"]

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
        "promise": multiple(product["target"], asset_of(product["symbol"])),
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


def exact_parts(parts: dict[str, float], total: float, step: float) -> dict[str, int]:
    """The parts in whole steps that sum to the total in whole steps: largest remainders go up.

    Args:
        parts: amounts that sum to ``total`` but for rounding.
        step: what is printed, a cent for instance.
    """
    if not parts:
        return {}
    return whole_parts({name: value / step for name, value in parts.items()}, round(total / step))
