"""What was left of a market's book: minute by minute, beneath its price."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from engine.report.axes import Axes, polyline
from engine.report.numbers import Table
from engine.report.reading import Run
from engine.report.thinning import F64, I64, Curve
from engine.report.words import DASH, instant, number, percent

__all__ = ["DEPTH", "depth_of", "depths_table", "shares"]

DEPTH: Final = 150
"""Pixels of the picture beneath the price."""
_GAP_NS: Final = 90 * 10**9
"""Minutes further apart do not join."""


def depth_of(run: Run, symbol: str) -> Curve:
    """Shares of bids and asks by minute; whole before and after each time in which something was
    missing."""
    told = run.summary["markets"][symbol].get("depth_left") or []
    rows: list[tuple[int, float, float]] = []
    for ts_ns, bids, asks in told:
        if not rows or ts_ns - rows[-1][0] > _GAP_NS:
            if rows:
                rows.append((rows[-1][0] + _GAP_NS, 1.0, 1.0))
            rows.append((int(ts_ns) - 1, 1.0, 1.0))
        rows.append((int(ts_ns), bids, asks))
    if rows and run.summary["end_ns"] - rows[-1][0] > _GAP_NS:
        rows.append((rows[-1][0] + _GAP_NS, 1.0, 1.0))
    times: I64 = np.array([row[0] for row in rows], np.int64)
    both: F64 = np.array([row[1:] for row in rows]).reshape(-1, 2)
    return Curve(times, {"bids": both[:, 0], "asks": both[:, 1]})


def shares(above: Axes, left: Curve) -> Iterator[str]:
    """Beneath the price: what is left of the two sides, by halvings."""
    least = float(min(left.series["bids"].min(), left.series["asks"].min()))
    axes = Axes(
        above.left,
        above.right,
        math.log2(least) - 0.3,
        0.15,
        width=above.width,
        height=above.height,
        before=above.before,
        behind=above.behind,
        above=above.height - DEPTH - 4,
        below=26,
    )
    for share in _grid(least):
        y = axes.y(math.log2(share))
        yield (
            f'<line class="grid" x1="{axes.before}" x2="{axes.width - axes.behind}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="{axes.before - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{percent(share, 0 if share >= 0.01 else 1, signed=False)}</text>"
        )
    for name, role, dash in (("asks", "loss", "6 4"), ("bids", "gain", "")):
        points = [(above.left, 0.0)]
        known = np.log2(left.series[name]).tolist()
        points += zip(left.ts_ns.astype(float).tolist(), known, strict=True)
        if points[-1][1] == 0.0:
            points.append((above.right, 0.0))
        yield polyline([(axes.x(x), axes.y(y)) for x, y in points], role, dash)


def _grid(least: float) -> list[float]:
    shares = [1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.003]
    shown = [share for share in shares if share >= 0.8 * least]
    return shown if len(shown) < 5 else [share for share in shown if share != 0.5]


def depths_table(left: Curve) -> Table:
    """The least of each minute."""
    rows = [
        [
            instant(int(ts_ns), seconds=False),
            percent(bids, 2, signed=False),
            percent(asks, 2, signed=False),
            f"{number(1.0 / min(bids, asks), 1)} x",
        ]
        for ts_ns, bids, asks in zip(
            left.ts_ns.tolist(),
            left.series["bids"].tolist(),
            left.series["asks"].tolist(),
            strict=True,
        )
        if bids < 1.0 or asks < 1.0
    ]
    head = ["minute (UTC)", "bids left", "asks left", "spread wider"]
    caption = "The least that was left of the depth in each minute"
    return Table(head, rows or [[DASH] * 4], words=1, caption=caption)
