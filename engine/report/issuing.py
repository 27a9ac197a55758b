"""The issuer's book as tables: a row a product, a row an asset, and a row a market of an omnibus
account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.report.words import DASH, MINUS, money, number, percent, whole_digits

__all__ = [
    "ACCOUNTS_HEAD",
    "ASSETS_HEAD",
    "ISSUER_HEAD",
    "account_rows",
    "asset_rows",
    "issuer_rows",
]

ISSUER_HEAD: Final = [
    *("product", "in", "owed to holders", "hedge", "fees got", "funding", "slippage"),
    *("trading fees", "costs are", "fees less costs", "unhedged, s"),
    *("fits tier", "fits depth", "fits volume"),
]

ASSETS_HEAD: Final = ["all in", "owed to holders", "hedge", "issuer's profit", "deficits paid"]

ACCOUNTS_HEAD: Final = [
    *("account", "market", "position", "mark", "liquidated at", "bankrupt at"),
    *("equity", "needs", "dies of a fall", "of a rise"),
]
"""What lies behind one name at the venue; what is of the whole account stands in its first row."""
_TIMES: Final = 10.0
"""A larger rise is told in times."""


def issuer_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Money in quote; of comparators, which nobody issues, there are none."""
    books = summary["issuer"]["products"]
    funds = [name for name, product in summary["products"].items() if product["kind"] == "fund"]
    return [_row(name, books[name]) for name in funds if name in books]


def _row(name: str, book: Mapping[str, Any]) -> list[str]:
    costs, largest, digits = book["hedge_costs"], book["largest_aum"], whole_digits(book["asset"])
    return [
        name,
        book["asset"],
        number(book["liability"], digits),
        number(book["hedge_equity"], digits),
        number(book["management_fees"] + book["dealing_fees"], digits),
        number(costs["funding"], digits),
        number(costs["spread_impact"] + costs["basis"], digits),
        number(costs["fees"], digits),
        "his" if book["costs_borne_by"] == "issuer" else "holders'",
        number(book["fees_less_costs"], digits),
        number(book["unhedged_seconds"], 1),
        *(
            DASH if largest[way] is None else number(largest[way], digits)
            for way in ("tier", "depth", "participation")
        ),
    ]


def asset_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """All issued products' books together, a row an asset."""
    return [
        [
            asset,
            *(
                number(book[name], whole_digits(asset))
                for name in ("liability", "hedge_equity", "profit", "deficits_paid")
            ),
        ]
        for asset, book in summary["issuer"]["by_asset"].items()
    ]


def account_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Omnibus accounts: how far each of their marks, and all of them together, are from the end."""
    rows = []
    for name, account in summary["issuer"]["accounts"].items():
        asset = account["asset"]
        whole = [
            *(money(account[what], asset) for what in ("equity", "maintenance")),
            percent(account["down"], 2),
            _rise(account["up"]),
        ]
        for symbol, held in account["markets"].items():
            rows.append([name, symbol, *_held(held), *whole])
            whole = [""] * len(whole)
        if not account["markets"]:
            rows.append([name, "", *[DASH] * 4, *whole])
    return rows


def _held(held: Mapping[str, Any]) -> list[str]:
    prices = (held["mark"], held["liquidated"], held["bankrupt"])
    said = [DASH if price is None else f"{price:,.8g}" for price in prices]
    return [f"{held['position']:,.8g}".replace("-", MINUS), *said]


def _rise(up: float | None) -> str:
    return percent(up, 2) if up is None or up < _TIMES else f"to {1.0 + up:,.0f} times"
