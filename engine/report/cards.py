"""The drawings beneath the first pictures: of each product, and of all together."""

from __future__ import annotations

from typing import Final

from engine.report.card import Card
from engine.report.cascade import cascade_card
from engine.report.crash import crash_card
from engine.report.eaten import eaten_card
from engine.report.fans import path_cards
from engine.report.hedge_desk import desk_card
from engine.report.holding_map import holding_card
from engine.report.met import met_card
from engine.report.reading import Run
from engine.report.together import together_card

__all__ = ["PRODUCT_CARDS", "cards_of", "common_cards"]

PRODUCT_CARDS: Final = ("holding", "eaten", "met")
_PRODUCTS: Final = 24
"""Products with drawings of their own; a page of more would not stay small."""


def cards_of(run: Run) -> dict[str, dict[str, Card]]:
    """By product and name."""
    found = {}
    for name in list(run.moments)[:_PRODUCTS]:
        product, moments = run.summary["products"][name], run.moments[name]
        scale, turns = run.scale(name), run.turns.get(name, [])
        drawn = (
            holding_card(name, product, moments),
            eaten_card(name, product, moments, turns, scale, run.happened),
            met_card(name, product, moments),
        )
        found[name] = {one.name: one for one in drawn if one is not None}
    return found


def common_cards(run: Run) -> dict[str, Card]:
    """Those of all products."""
    paths = [] if run.paths is None else path_cards(run.paths)
    drawn = (together_card(run), *paths, crash_card(run), cascade_card(run), desk_card(run))
    return {one.name: one for one in drawn if one is not None}
