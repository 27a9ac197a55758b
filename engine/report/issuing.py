"""The issuer's book as a table: a row a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.report.words import DASH, number

__all__ = ["ISSUER_HEAD", "issuer_rows"]

ISSUER_HEAD: Final = [
    *("product", "owed to holders", "hedge", "fees got", "funding", "slippage", "trading fees"),
    *("costs are", "fees less costs", "unhedged, s", "fits tier", "fits depth", "fits volume"),
]


def issuer_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Money in whole quote; of comparators, which nobody issues, there are none."""
    books = summary["issuer"]["products"]
    funds = [name for name, product in summary["products"].items() if product["kind"] == "fund"]
    return [_row(name, books[name]) for name in funds if name in books]


def _row(name: str, book: Mapping[str, Any]) -> list[str]:
    costs, largest = book["hedge_costs"], book["largest_aum"]
    return [
        name,
        number(book["liability"], 0),
        number(book["hedge_equity"], 0),
        number(book["management_fees"] + book["dealing_fees"], 0),
        number(costs["funding"], 0),
        number(costs["spread_impact"] + costs["basis"], 0),
        number(costs["fees"], 0),
        "his" if book["costs_borne_by"] == "issuer" else "holders'",
        number(book["fees_less_costs"], 0),
        number(book["unhedged_seconds"], 1),
        *(
            DASH if largest[way] is None else number(largest[way], 0)
            for way in ("tier", "depth", "participation")
        ),
    ]
