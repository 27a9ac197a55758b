"""When a return was made and lost: the causes of the waterfall over time, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.outputs import ATTRIBUTION
from engine.report.axes import Axes, drawing, polygon, polyline
from engine.report.card import Card, area, line, said
from engine.report.moments import STRIDE, Moments
from engine.report.numbers import Table
from engine.report.statement import Course, Deal, Mile, Point
from engine.report.thinning import F64
from engine.report.words import instant, number, percent, points
from engine.units import UNIT_STEPS

__all__ = ["GROUPS", "causes_over_time", "eaten_card"]

Object = dict[str, Any]

GROUPS: Final = {
    "direction": ("own", ("direction",)),
    "compounding": ("loss", ("compounding", "timing", "gap")),
    "leverage change": ("gain", ("leverage_change",)),
    "trading costs": ("forced", ("spread_impact", "basis", "fees")),
    "funding": ("gap", ("funding",)),
    "all else": (
        "dim",
        (
            *("management_fee", "liquidation", "adl", "interest", "issuer", "insurance"),
            *("collateral", "rounding"),
        ),
    ),
}
"""By name: the colour, and the causes that are drawn together."""

_NONE: Final = 0.0005
_HALF_MINUTE_NS: Final = 30 * 10**9


def causes_over_time(
    product: Object, moments: Moments, turns: Sequence[Mile | Deal], scale: float
) -> dict[str, F64]:
    """By group: what it came to up to each moment, as a share of the equity at the start.

    Args:
        scale: quote in an atom.
    """
    parts = {name: moments.causes[:, n] for n, name in enumerate(ATTRIBUTION)}
    split = _split(product, moments, turns, scale)
    ends = product["price_split"]
    for name, values in split.items():
        if ends[name] is not None:
            values[-1] = ends[name]
        parts[name] = values
    start = product["equity_start"]
    return {
        words: np.asarray(sum(parts[name] for name in names)) / start
        for words, (_, names) in GROUPS.items()
    }


def _split(
    product: Object, moments: Moments, turns: Sequence[Mile | Deal], scale: float
) -> dict[str, F64]:
    """The parts of the price profit in quote, of one course that is followed from the launch."""
    launch = Point(
        ts_ns=int(moments.ts_ns[0]),
        price=float(moments.price[0]),
        units=round(product["equity_start"] * UNIT_STEPS),
        slope=0.0,
        equity_start=round(product["equity_start"] / scale),
        causes=(0,) * len(ATTRIBUTION),
    )
    course, place, rows = Course(launch, 1.0, first=True), 0, []
    for n, ts_ns in enumerate(moments.sampled_ns.tolist()):
        while place < len(turns) and _when(turns[place]) <= ts_ns:
            turn = turns[place]
            if isinstance(turn, Mile):
                course.decide(turn, 1.0)
            else:
                course.sums.scale(turn.after.price, turn.scale)
            place += 1
        price = float(moments.causes[n, 0]) / scale
        rows.append(course.sums.parts(float(moments.price[n]), price))
    return {name: np.array([row[name] for row in rows]) * scale for name in rows[0]}


def _when(turn: Mile | Deal) -> int:
    return turn.ts_ns if isinstance(turn, Mile) else turn.after.ts_ns


def eaten_card(
    name: str,
    product: Object,
    moments: Moments,
    turns: Sequence[Mile | Deal],
    scale: float,
    happened: Sequence[tuple[int, str]] = (),
) -> Card:
    """The picture of one product; ``happened``: events of scenarios."""
    groups = causes_over_time(product, moments, turns, scale)
    shown = [words for words, values in groups.items() if float(np.abs(values).max()) >= _NONE / 5]
    total = np.asarray(sum(groups.values()))
    label = f"{name}: causes of the result over time; the numbers are beneath"
    return Card(
        "eaten",
        _title(name, moments, total - groups["direction"]),
        [
            *(area(GROUPS[words][0], words) for words in shown),
            line("sum", "all together"),
            said("per cent of the equity at the start"),
        ],
        _drawn(label, moments, {words: groups[words] for words in shown}, total, happened),
        [_table(moments, groups, total)],
    )


def _title(name: str, moments: Moments, beyond: F64) -> str:
    columns = beyond[::STRIDE]
    end = float(columns[-1])
    if abs(end) < _NONE:
        return f"Beyond direction {name} came out even"
    steps = np.diff(columns)
    most = int(np.argmax(steps if end > 0 else -steps))
    times = [instant(int(moments.ts_ns[(most + n) * STRIDE]) + _HALF_MINUTE_NS) for n in (0, 1)]
    second = times[1].rsplit(" ", 1)[1] if times[0][:-5] == times[1][:-5] else times[1]
    side, verb = ("lost", "were lost") if end < 0 else ("gained", "were gained")
    return (
        f"{name} {side} {points(end, 0.0)} beyond direction; {points(float(steps[most]), 0.0)} "
        f"{verb} between {times[0]} and {second}"
    )


def _drawn(
    label: str,
    moments: Moments,
    groups: dict[str, F64],
    total: F64,
    happened: Sequence[tuple[int, str]],
) -> str:
    above = np.zeros(len(total))
    below = np.zeros(len(total))
    layers: list[tuple[str, F64, F64]] = []
    for words, values in groups.items():
        for side, base in ((np.maximum(values, 0.0), above), (np.minimum(values, 0.0), below)):
            if np.any(side):
                layers.append((GROUPS[words][0], base.copy(), base + side))
                np.add(base, side, out=base)
    room = 0.04 * (float(above.max()) - float(below.min()) or 1.0)
    axes = Axes(
        float(moments.ts_ns[0]),
        float(moments.ts_ns[-1]),
        float(min(below.min(), 0.0)) - room,
        float(max(above.max(), 0.0)) + room,
    )
    xs = [axes.x(ts) for ts in moments.ts_ns.tolist()]

    def along(values: F64) -> list[tuple[float, float]]:
        return [(x, axes.y(y)) for x, y in zip(xs, values.tolist(), strict=True)]

    parts = [*axes.side(lambda value, digits: percent(value, max(0, digits - 2))), *axes.times()]
    for role, one, other in layers:
        parts.append(polygon([*along(one), *along(other)[::-1]], role))
    parts += axes.events(happened)
    parts.append(polyline(along(total), "sum", wide=2.4))
    return drawing(label, parts, axes)


def _table(moments: Moments, groups: dict[str, F64], total: F64) -> Table:
    rows = []
    for n in range(0, len(total), STRIDE):
        cells = [
            number(100.0 * float(each[n]), 2, signed=True) for each in (*groups.values(), total)
        ]
        rows.append([instant(int(moments.ts_ns[n]), seconds=True), *cells])
    head = ["time (UTC)", *groups, "all together"]
    return Table(head, rows, caption="Per cent of the equity at the start, up to then")
