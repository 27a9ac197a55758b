"""What the path was worth: two tables, two pictures, and a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import numpy as np
from jinja2 import Environment, StrictUndefined

from engine.report.card import Card, said
from engine.report.numbers import Table
from engine.report.plot import Series, plot
from engine.report.words import asset_of, number, percent

__all__ = ["order_of", "path_cards", "paths_page", "volatility_of"]

Object = Mapping[str, Any]

_SHARES: Final = (0.05, 0.5, 0.95)


def order_of(told: Object) -> Table:
    """Quantiles of each product over the orders, and what the order that was gave."""
    rows = []
    for name, navs in told["order"].items():
        low, middle, high = np.quantile(navs, _SHARES)
        rows.append(
            [
                name,
                number(told["as_it_was"][name], 4),
                *(number(float(value), 4) for value in (low, middle, high)),
                number(float(high - low), 4),
            ]
        )
    head = ["product", "as it was", "worst 5 %", "median", "best 5 %", "between them"]
    return Table(head, rows)


def volatility_of(told: Object) -> Table:
    """Medians by volatility; beside those with a theory, the theory."""
    rows = []
    for name, by_vol in told["volatility"].items():
        rows.append([name, *(number(float(np.median(navs)), 4) for navs in by_vol)])
        if name in told["theory"]:
            rows.append(["  theory", *(number(value, 4) for value in told["theory"][name])])
    head = ["median NAV at a volatility of", *(percent(v, 0, signed=False) for v in told["vols"])]
    return Table(head, rows)


def _spread(told: Object, name: str) -> float:
    low, _, high = np.quantile(told["order"][name], _SHARES)
    return float(high - low)


def _titles(told: Object) -> dict[str, str]:
    flat = next(iter(told["theory"]))
    widest = max(told["order"], key=lambda name: _spread(told, name))
    low, _, high = np.quantile(told["order"][widest], _SHARES)
    theory = told["theory"][flat]
    vols = [percent(vol, 0, signed=False) for vol in (told["vols"][0], told["vols"][-1])]
    asset = asset_of(told["symbol"])
    return {
        "title": f"{asset} moved by {percent(told['move'])}. What became of the products is a "
        "matter of the way there.",
        "order": f"The order of the same returns: {number(float(low), 3)} to "
        f"{number(float(high), 3)} for {widest}, nothing for a multiple struck at every step",
        "volatility": f"The same ends, more volatility: {flat} keeps {number(theory[0], 3)} at "
        f"{vols[0]} a year and {number(theory[-1], 3)} at {vols[1]}",
    }


def _order_chart(told: Object) -> str:
    series = []
    for name, navs in told["order"].items():
        ranks = (np.arange(len(navs)) + 0.5) / len(navs) * 100.0
        series.append(Series(name, ranks.tolist(), np.sort(navs).tolist()))
    label = "NAV at the end by share of the shuffled orders; the numbers are beneath"
    return plot(label, series, "per cent of the orders", "NAV per unit at the end", 0)


def _volatility_chart(told: Object) -> str:
    vols = [100.0 * vol for vol in told["vols"]]
    series, theory = [], []
    for place, (name, by_vol) in enumerate(told["volatility"].items()):
        known = name in told["theory"]
        medians = [float(np.median(navs)) for navs in by_vol]
        series.append(Series(name, vols, medians, dots=known))
        if known:
            theory.append(Series("theory", vols, told["theory"][name], like=place))
    label = "median NAV at the end by volatility; the numbers are beneath"
    shown: Sequence[Series] = [*series, *theory]
    return plot(label, shown, "volatility, per cent a year", "median NAV per unit", 0)


def path_cards(told: Object) -> list[Card]:
    """Both pictures as a run's report shows them."""
    titles = _titles(told)
    paths = len(next(iter(told["order"].values())))
    orders = (
        f"the same {told['steps']:,} returns in {paths:,} shuffled orders, without costs, results "
        "sorted: a flat line does not mind the order"
    )
    ends = (
        f"median after {number(told['days'], 0)} days that end {percent(told['end'])} from where "
        "they began; dots: struck at every step; lines beside them: exp(−L (L − 1) σ² T / 2)"
    )
    return [
        Card("order", titles["order"], [said(orders)], _order_chart(told), [order_of(told)]),
        Card(
            "volatility",
            titles["volatility"],
            [said(ends)],
            _volatility_chart(told),
            [volatility_of(told)],
        ),
    ]


def paths_page(told: Object) -> str:
    """A page of its own, without any request: the same text for the same draws.

    Args:
        told: ``symbol, synthetic, move, seed, steps, days, end, vols``; by product ``order``,
            ``as_it_was``, ``volatility`` and, where there is one, ``theory``.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["spaced"] = lambda text: text.replace(" %", "\u00a0%")
    titles = _titles(told)
    paths = len(next(iter(told["order"].values())))
    return environment.from_string(_part("paths.html.j2")).render(
        style=_part("page.css"),
        symbol=told["symbol"],
        synthetic=told["synthetic"],
        drawn=f"{paths:,} paths each",
        title=titles["title"],
        order_title=titles["order"],
        volatility_title=titles["volatility"],
        steps=f"{told['steps']:,}",
        paths=f"{paths:,}",
        days=number(told["days"], 0),
        end=percent(told["end"]),
        seed=told["seed"],
        order_chart=_order_chart(told),
        volatility_chart=_volatility_chart(told),
        order=order_of(told),
        volatility=volatility_of(told),
    )


def _part(name: str) -> str:
    return files("engine.report").joinpath(name).read_text(encoding="utf-8")
