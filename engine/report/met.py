"""The leverage that a buyer could have met: how long a product stood at which."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.report.axes import Axes, drawing
from engine.report.card import Card, area, line, said
from engine.report.moments import Moments
from engine.report.numbers import Table
from engine.report.words import number, percent

__all__ = ["met_card", "quantiles_of"]

Object = dict[str, Any]

_SHARES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_BARS: Final = 24
_TAIL: Final = 0.002


def quantiles_of(
    held: Object, moments: Moments, shares: tuple[float, ...] = _SHARES
) -> list[float]:
    """Leverage below which a product stood for such shares of its samples, to a 2400th of the way
    from the lowest to the highest."""
    counts = moments.counts
    total, bins = int(counts.sum()), len(counts)
    if not total:
        return [held["min"]] * len(shares)
    reached = np.searchsorted(np.cumsum(counts), [share * total for share in shares])
    width = (held["max"] - held["min"]) / bins
    return [float(held["min"] + (place + 0.5) * width) for place in reached]


def met_card(name: str, product: Object, moments: Moments) -> Card | None:
    """The picture of one product; none where there is nothing to meet."""
    held = product["leverage"]
    if product["kind"] == "spot" or held["min"] is None or not moments.counts.sum():
        return None
    low, _, middle, _, high = quantiles_of(held, moments)
    ends = [number(each) for each in (low, high)]
    label = f"{name}: share of the time by leverage; the numbers are beneath"
    return Card(
        "met",
        f"Nine buyers of {name} in ten met a leverage between {ends[0]} and {ends[1]}",
        [
            area("own", "share of the time"),
            line("sum", f"half of the time below {number(middle)}"),
            line("myth", f"promised at the start: {number(product['target'])}", "6 4"),
            said("by NAV samples; who comes next meets one of these"),
        ],
        _drawn(label, product, moments, middle),
        [_table(held, moments)],
    )


def _drawn(label: str, product: Object, moments: Moments, middle: float) -> str:
    held = product["leverage"]
    low, high = quantiles_of(held, moments, (_TAIL, 1.0 - _TAIL))
    if not low < high:
        low, high = held["min"], held["max"]
    shares = shares_of(held, moments, low, high)
    left, right = min(low, product["target"]), max(high, product["target"])
    room = 0.03 * (right - left)
    axes = Axes(left - room, right + room, 0.0, 1.08 * max(shares))
    parts = list(axes.side(lambda value, digits: percent(value, max(0, digits - 2), signed=False)))
    width = (high - low) / _BARS
    ground = axes.y(0.0)
    for n, share in enumerate(shares):
        x, wide = axes.x(low + n * width), axes.x(width) - axes.x(0.0) - 1.0
        top = axes.y(share)
        parts.append(
            f'<rect class="filled" fill="var(--own)" x="{x:.1f}" y="{top:.1f}" '
            f'width="{wide:.1f}" height="{ground - top:.1f}"/>'
        )
    for value, role, dash in ((middle, "sum", ""), (product["target"], "myth", "6 4")):
        x = axes.x(value)
        parts.append(
            f'<line stroke="var(--{role})" stroke-width="2" stroke-dasharray="{dash}" '
            f'x1="{x:.1f}" x2="{x:.1f}" y1="{axes.above}" y2="{ground:.1f}"/>'
        )
    for n in range(5):
        value = left + n * (right - left) / 4
        parts.append(axes.mark(value, f"{number(value)} x"))
    return drawing(label, parts, axes)


def shares_of(held: Object, moments: Moments, low: float, high: float) -> list[float]:
    """Shares of the samples by bar between ``low`` and ``high``; what lies beyond is in the outer
    ones. They sum to one."""
    counts = moments.counts
    bins = len(counts)
    centres = held["min"] + (np.arange(bins) + 0.5) * (held["max"] - held["min"]) / bins
    bar = np.clip((centres - low) / (high - low) * _BARS, 0, _BARS - 1).astype(np.int64)
    sums = np.bincount(bar, weights=counts, minlength=_BARS)
    return [float(each) for each in sums / counts.sum()]


def _table(held: Object, moments: Moments) -> Table:
    told = [held["min"], *quantiles_of(held, moments), held["max"], held["mean"]]
    names = ["lowest", "5 % of the time below", "25 %", "half", "75 %", "95 %", "highest", "mean"]
    return Table(names, [[number(each, 3) for each in told]], words=0)
