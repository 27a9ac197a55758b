"""The crisis panel of a run under scenarios: what happened, and what it did to each product."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.report.numbers import Table
from engine.report.reading import MARKS_MAX, Run
from engine.report.words import DASH, instant, money, percent

__all__ = ["crisis_of"]

Object = dict[str, Any]

_HEAD: Final = [
    "product",
    "worst drawdown",
    "time below start",
    "slippage",
    "ADL",
    "insurance used",
    "unhedged",
    "who paid beyond the holders",
]


def crisis_of(run: Run) -> Object | None:
    """Names, events and the table by product; ``None`` where there was no scenario."""
    told = run.summary.get("scenario")
    if told is None:
        return None
    return {
        "names": ", ".join(told["names"]),
        "products": Table(_HEAD, [_row(name, run) for name in run.summary["products"]]),
        "events": Table(
            ["from (UTC)", "until", "event", "what"],
            [_event(mark, run.summary["end_ns"]) for mark in run.marks[:MARKS_MAX]],
            words=4,
        ),
        "expected": [
            f"{'kept' if each['held'] else 'violated'}: {each['name']} ({each['condition']})"
            for each in told["expected"]
        ],
    }


def _event(mark: Object, end_ns: int) -> list[str]:
    until = mark["until_ns"]
    over = DASH if until == mark["ts_ns"] else instant(until) if until < end_ns else "the end"
    return [instant(mark["ts_ns"], seconds=True), over, mark["name"], mark["detail"]]


def _row(name: str, run: Run) -> list[str]:
    product, currency = run.summary["products"][name], run.currency(name)
    # What befell a formula's hedge is none of its holders'.
    book, equity = run.summary["issuer"]["products"][name], product["equity_start"]
    parts = book["hedge"]["attribution"] if "hedge" in book else product["attribution"]
    below = DASH
    if name in run.curves:
        below = percent(_below(run, name), 0, signed=False)
    return [
        name,
        percent(product["max_drawdown"]),
        below,
        percent(parts["spread_impact"] / equity, 2),
        f"{product['adl_events']:,}",
        money(max(parts["insurance"], 0.0), currency) if parts["insurance"] > 0.0 else DASH,
        f"{product['unhedged_seconds']:,.0f} s",
        _paid(parts, currency),
    ]


def _below(run: Run, name: str) -> float:
    """Share of the time, at the resolution of the picture, in which a holder was below his
    start."""
    curve = run.curves[name]["value"]
    times, values = curve.ts_ns.astype(np.float64), curve.series["got"]
    if len(times) < 2:
        return 0.0
    lasting = np.diff(times)
    return float(lasting[values[:-1] < 0.0].sum() / lasting.sum())


def _paid(parts: Object, currency: str) -> str:
    """Who put money in that holders did not have."""
    found = [
        f"{who} {money(parts[cause], currency)}"
        for cause, who in (("insurance", "insurance fund"), ("issuer", "issuer"))
        if parts[cause] > 0.0
    ]
    if parts["adl"] < 0.0:
        found.append(f"its holders by ADL {money(-parts['adl'], currency)}")
    return ", ".join(found) or "nobody"
