"""The market in a crisis: its price with marks at what happened, and what was left of its book."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.report.axes import Axes, drawing, polyline
from engine.report.card import Card, line, said
from engine.report.depth_left import DEPTH, depth_of, depths_table, shares
from engine.report.numbers import Table
from engine.report.reading import MARKS_MAX, Run
from engine.report.thinning import Curve, thinned
from engine.report.verdict import promise
from engine.report.waves import Waves
from engine.report.words import (
    asset_of,
    instant,
    number,
    percent,
    plural,
    priced,
    span,
)

__all__ = ["crash_card", "market_in_crisis", "price_of"]

Object = dict[str, Any]

_COLUMNS: Final = 480
_WIDTH, _PRICE = 1240, 340
_APART: Final = 20
"""Pixels between two of these numbers at least."""
_CIRCLES: Final = 240
"""Of the minutes in which most was liquidated."""
_HALF_NS: Final = 30 * 10**9
"""To the middle of a minute."""
_FORCED: Final = ("deleveraged", "product_closed")


class Happened(Struct, frozen=True):
    """A mark in the picture: an event of a scenario where ``price`` is none."""

    ts_ns: int
    what: str
    detail: str
    price: float | None = None


def market_in_crisis(run: Run) -> str | None:
    """The first market of whose crisis there is something to show."""
    for symbol, market in run.summary["markets"].items():
        if run.marks or market.get("depth_left") or symbol in run.waves:
            return symbol if _teller(run, symbol) is not None else None
    return None


def crash_card(run: Run) -> Card | None:
    """The card; none of a run in which nothing happened to the market."""
    symbol = market_in_crisis(run)
    if symbol is None:
        return None
    price, left = price_of(run, symbol), depth_of(run, symbol)
    happened = _happened(run, symbol)
    legend = [line("own", f"mark price of {asset_of(symbol)}")]
    if any(one.price is None for one in happened):
        legend.append(line("forced", "an event of the scenario", "2 3"))
    if symbol in run.waves and run.waves[symbol].minutes:
        legend.append(said("circles: minutes with liquidations, as large as what was liquidated"))
    if any(one.price is not None for one in happened):
        legend.append(said("diamonds: a product was cut or closed"))
    if len(left):
        legend += [line("gain", "bids left"), line("loss", "asks left", "6 4")]
    return Card(
        "market",
        _title(symbol, price, left),
        legend,
        _drawn(run, symbol, price, left, happened),
        [
            _told(happened, price),
            *([depths_table(left)] if len(left) else []),
            *_directions(run, symbol),
        ],
    )


def _directions(run: Run, symbol: str) -> list[Table]:
    """Who traded with the move, where anybody did: long and short funds alike."""
    told = run.summary.get("feedback", {}).get("with_the_move", {})
    products = run.summary["products"]
    rows = [
        [name, promise(products[name])] + [f"{one[way]:,}" for way in ("with", "against")]
        for name, one in told.items()
        if name in products and products[name]["symbol"] == symbol
    ]
    head = ["fund", "promise", "with the move", "against it"]
    caption = "Rebalances by direction: which of them traded as the price had gone since its last"
    return [Table(head, rows, words=2, caption=caption)] if rows else []


def _teller(run: Run, symbol: str) -> str | None:
    """A product of the market in whose curves its mark is."""
    products = run.summary["products"]
    return next(
        (n for n in run.curves if products[n]["symbol"] == symbol and products[n]["target"]), None
    )


def price_of(run: Run, symbol: str) -> Curve:
    """The mark over time, its extremes kept."""
    name = _teller(run, symbol)
    assert name is not None
    product, curves = run.summary["products"][name], run.curves[name]
    if "mark" in curves:
        return curves["mark"]
    curve = curves["value"]
    marks = product["price_start"] * (1.0 + curve.series["myth"] / product["target"])
    return Curve(curve.ts_ns, {"mark": marks})


def _happened(run: Run, symbol: str) -> list[Happened]:
    """In order of time."""
    found = [Happened(e["ts_ns"], e["name"], e["detail"]) for e in run.marks[:MARKS_MAX]]
    for name, events in run.events.items():
        if run.summary["products"][name]["symbol"] == symbol:
            found += [
                Happened(e["ts_ns"], e["event"].replace("_", " "), name, e["mark_price"])
                for e in events
                if e["event"] in _FORCED and e.get("mark_price")
            ][:MARKS_MAX]
    return sorted(found, key=lambda one: one.ts_ns)


def _worst(price: Curve) -> tuple[int, int, float]:
    """From when to when the mark lost the most from a peak, and how much."""
    marks = price.series["mark"]
    peaks = np.maximum.accumulate(marks)
    low = int((marks / peaks).argmin())
    peak = int(marks[: low + 1].argmax())
    return int(price.ts_ns[peak]), int(price.ts_ns[low]), float(marks[low] / marks[peak] - 1.0)


def _title(symbol: str, price: Curve, left: Curve) -> str:
    start, end, fell = _worst(price)
    asset = asset_of(symbol)
    words = f"{asset} lost {percent(-fell, signed=False)} in {span((end - start) / 1e9)}"
    if fell > -0.0005:
        words = f"{asset} never lost a thousandth from a peak"
    if not len(left):
        return words
    side = "bids" if left.series["bids"].min() <= left.series["asks"].min() else "asks"
    least = percent(float(left.series[side].min()), signed=False)
    return f"{words}; at worst {least} of its {side} were left"


def _drawn(run: Run, symbol: str, price: Curve, left: Curve, happened: list[Happened]) -> str:
    start, end = int(price.ts_ns[0]), run.summary["end_ns"]
    curve = thinned(price, start, end, _COLUMNS)
    marks = curve.series["mark"]
    room = 0.06 * (float(marks.max() - marks.min()) or 1.0)
    height = _PRICE + (DEPTH if len(left) else 0)
    whole = Axes(
        float(start),
        float(end),
        float(marks.min()) - room,
        float(marks.max()) + room,
        width=_WIDTH,
        height=height,
        before=84,
        behind=30,
        above=22,
        below=26 + (DEPTH if len(left) else 0),
    )
    parts = [*whole.side(number), *whole.times()]
    parts += _lines(whole, happened)
    points = zip(curve.ts_ns.tolist(), marks.tolist(), strict=True)
    parts.append(polyline([(whole.x(x), whole.y(y)) for x, y in points], "own"))
    if symbol in run.waves:
        parts += _circles(whole, run.waves[symbol])
    parts += _diamonds(whole, happened)
    if len(left):
        parts += shares(whole, left)
    return drawing(
        f"{asset_of(symbol)}: price, marks and depth over time; the numbers are beneath",
        parts,
        whole,
    )


def _lines(axes: Axes, happened: list[Happened]) -> Iterator[str]:
    """Upright lines, numbered as in the table; where they crowd, numbers are left out."""
    last = -math.inf
    for place, one in enumerate(happened, 1):
        if one.price is not None or not axes.left <= one.ts_ns <= axes.right:
            continue
        x = axes.x(one.ts_ns)
        yield (
            f'<line stroke="var(--forced)" stroke-dasharray="2 3" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{axes.above}" y2="{axes.height - axes.below}"/>'
        )
        if x - last > _APART:
            last = x
            yield f'<text x="{x:.1f}" y="{axes.above - 7}" text-anchor="middle">{place}</text>'


def _circles(axes: Axes, waves: Waves) -> Iterator[str]:
    largest = sorted(waves.minutes.items(), key=lambda one: -(one[1].longs + one[1].shorts))
    most = max((one.longs + one.shorts for one in waves.minutes.values()), default=0.0)
    for start_ns, one in sorted(largest[:_CIRCLES]):
        radius = 2.5 + 9.0 * math.sqrt((one.longs + one.shorts) / most) if most else 2.5
        y = axes.y(one.low if one.longs >= one.shorts else one.high)
        yield (
            f'<circle fill="var(--loss)" fill-opacity="0.35" stroke="var(--loss)" '
            f'cx="{axes.x(start_ns + _HALF_NS):.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        )


def _diamonds(axes: Axes, happened: list[Happened]) -> Iterator[str]:
    for one in happened:
        if one.price is not None:
            x, y = axes.x(one.ts_ns), axes.y(one.price)
            yield (f'<path fill="var(--forced)" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>')


def _told(happened: list[Happened], price: Curve) -> Table:
    rows = []
    for place, one in enumerate(happened, 1):
        row = int(price.ts_ns.searchsorted(one.ts_ns, "right")) - 1
        mark = one.price if one.price is not None else float(price.series["mark"][max(row, 0)])
        rows.append(
            [str(place), instant(one.ts_ns, seconds=True), one.what, one.detail, priced(mark)]
        )
    start, end, fell = _worst(price)
    caption = (
        f"{plural(len(rows), 'mark')}; the mark's worst fall was {percent(fell, 2)}, from "
        f"{instant(start, seconds=True)} to {instant(end, seconds=True)}"
    )
    return Table(["no.", "at (UTC)", "what", "of", "price"], rows, words=4, caption=caption)
