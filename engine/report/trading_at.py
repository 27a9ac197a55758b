"""What units traded at beside NAV, as a table and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.report.words import DASH, money, number, percent, span, whole_digits

__all__ = ["TRADED_HEAD", "traded_rows", "traded_words"]

TRADED_HEAD: Final = [
    *("product", "highest premium", "lowest", "at the end", "NAV", "price"),
    *("turned away: bought", "sold", "creations shut", "redemptions shut"),
]


def traded_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """A row for each product whose units trade; money in quote."""
    return [
        [
            name,
            *(percent(found[f"premium_{when}"]) for when in ("max", "min", "end")),
            number(product["nav_end"], 4),
            number(found["price_end"], 4),
            *(number(found[side], whole_digits(product["quote"])) for side in ("bought", "sold")),
            *(
                _shut(found[f"{side}_shut_seconds"]) or DASH
                for side in ("creations", "redemptions")
            ),
        ]
        for name, product in summary["products"].items()
        if (found := product.get("secondary"))
    ]


def traded_words(product: Mapping[str, Any]) -> str:
    """The same in a sentence; empty where units do not trade, or only ever did at NAV."""
    found = product.get("secondary")
    if not found:
        return ""
    said = (
        f"The premium of its units over NAV went from {percent(found['premium_min'])} to "
        f"{percent(found['premium_max'])}, and was {percent(found['premium_end'])} at the end"
    )
    for side in ("creations", "redemptions"):
        if shut := _shut(found[f"{side}_shut_seconds"]):
            said += f"; {side} were shut {shut}"
    if found["bought"] or found["sold"]:
        bought, sold = (money(found[side], product["quote"]) for side in ("bought", "sold"))
        said += f"; who was turned away bought for {bought} and sold for {sold}"
    return f"{said}."


def _shut(seconds: Mapping[str, float]) -> str:
    """``6 h (gated), 2 min (rebalancing)``, the longest first."""
    longest = sorted(seconds.items(), key=lambda each: -each[1])
    return ", ".join(f"{span(spent)} ({reason.replace('_', ' ')})" for reason, spent in longest)
