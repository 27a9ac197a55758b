"""The two pictures of a sweep as SVG: the frontier, and how final NAVs are distributed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from msgspec import Struct

from engine.report.words import MINUS
from engine.sweep.tally import NAV_STEPS, Tally

__all__ = ["Mark", "distributions", "frontier"]

_WIDTH, _HEIGHT = 640, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 14, 42
_LABELLED: Final = 14
"""Points beside which the name stands; none where it would stand on another name or point."""
_LETTER, _CAPITAL, _DOT = 7.0, 10.0, 6.0
"""Pixels: about a letter's width and height, and half of a point."""
_SIDES: Final = (
    *(("start", 0.0, 9.0, 4.0), ("end", 1.0, -9.0, 4.0)),
    *(("middle", 0.5, 0.0, -10.0), ("middle", 0.5, 0.0, 19.0)),
)
"""Of a point: behind, before, above and beneath it. How a name is anchored, which share of it then
lies to the left, and how far from the point that is."""
_GRID: Final = 5
_COLUMNS: Final = 240
_DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "4 4", "1 2")
_ROLES: Final = ("own", "loss", "gain", "forced", "gap", "sum")


class Mark(Struct, frozen=True):
    """A policy of the frontier: mean of its worst 5 % against its mean."""

    name: str
    x: float
    y: float
    on: bool


_Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


class _Axes:
    """Where values lie on the picture, and the lines behind them."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], *, ground: bool = False) -> None:
        self.x = _range(xs)
        self.y = (0.0, max(ys, default=1.0) * 1.06 or 1.0) if ground else _range(ys)

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT), 2),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 2),
        )

    def drawn(self, x_name: str, y_name: str, *, labels: bool = True) -> list[str]:
        parts = []
        for value in _ticks(*self.y) if labels else ():
            _, y = self.at(self.x[0], value)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            )
            parts.append(
                f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_label(value)}</text>'
            )
        for value in _ticks(*self.x):
            x, _ = self.at(value, self.y[0])
            parts.append(
                f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">'
                f"{_label(value)}</text>"
            )
        floor = _HEIGHT - _BOTTOM
        parts.append(
            f'<line class="zero" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{floor}" y2="{floor}"/>'
        )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(
            f'<text class="name" x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f"{x_name}</text>"
        )
        parts.append(
            f'<text class="name" transform="translate(14 {_HEIGHT / 2 - 14}) rotate(-90)" '
            f'text-anchor="middle">{y_name}</text>'
        )
        return parts


def frontier(marks: Sequence[Mark]) -> str:
    """Mean NAV over the mean of the worst 5 %: up and to the right is better. Policies that no
    other beats in both are filled and joined."""
    if not marks:
        return ""
    axes = _Axes([mark.x for mark in marks], [mark.y for mark in marks])
    parts = axes.drawn("mean NAV of the worst 5 % of the paths", "mean NAV of all")
    line = sorted(axes.at(mark.x, mark.y) for mark in marks if mark.on)
    path = " ".join(f"{x},{y}" for x, y in line)
    parts.append(f'<polyline class="edge" points="{path}"/>')
    for mark in marks:
        x, y = axes.at(mark.x, mark.y)
        kind = "on" if mark.on else "off"
        said = f"{mark.name}: {mark.y:.4f}, worst 5 %: {mark.x:.4f}"
        title = f"<title>{escape(said)}</title>"
        parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="5">{title}</circle>')
    return _svg([*parts, *_names(marks, axes)], "frontier")


def _names(marks: Sequence[Mark], axes: _Axes) -> list[str]:
    """The names that find room beside their points; those of filled ones choose first."""
    places = [axes.at(mark.x, mark.y) for mark in marks]
    taken = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in places]
    found: list[str] = []
    for mark, (x, y) in sorted(zip(marks, places, strict=True), key=lambda one: not one[0].on):
        width = _LETTER * len(mark.name)
        for anchor, share, across, down in _SIDES if len(found) < _LABELLED else ():
            left, base = x + across - share * width, y + down
            box = (left, base - _CAPITAL, left + width, base + 2.0)
            if left >= _LEFT and box[2] <= _WIDTH and not any(_meet(box, one) for one in taken):
                taken.append(box)
                found.append(
                    f'<text class="point" x="{x + across:.2f}" y="{base:.2f}" '
                    f'text-anchor="{anchor}">'
                    f"{escape(mark.name)}</text>"
                )
                break
    return found


def _meet(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def distributions(curves: Sequence[tuple[str, Tally]]) -> str:
    """Share of the paths by final NAV, a curve a policy; the 0.5 % at either end are cut off."""
    curves = [(name, tally) for name, tally in curves if tally.runs]
    if not curves:
        return ""
    ends = [
        tally.navs.quantile(share) / NAV_STEPS for _, tally in curves for share in (0.005, 0.995)
    ]
    low, high = _range(ends)
    densities = [_density(tally, low, high) for _, tally in curves]
    axes = _Axes([low, high], [max(density) for density in densities], ground=True)
    axes.x = (low, high)
    parts = axes.drawn("NAV per unit at the end", "share of the paths", labels=False)
    step = (high - low) / len(densities[0])
    for place, density in enumerate(densities):
        points = [axes.at(low + (n + 0.5) * step, value) for n, value in enumerate(density)]
        path = " ".join(f"{x},{y}" for x, y in points)
        parts.append(
            f'<polyline class="curve {_ROLES[place]}" stroke-dasharray="{_DASHES[place]}" '
            f'points="{path}"/>'
        )
    for place, (name, _) in enumerate(curves):
        y = _TOP + 10 + 17 * place
        parts.append(
            f'<line class="curve {_ROLES[place]}" stroke-dasharray="{_DASHES[place]}" '
            f'x1="{_WIDTH - _RIGHT - 28}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text x="{_WIDTH - _RIGHT - 36}" y="{y + 4}" text-anchor="end">'
            f"{escape(_short(name))}</text>"
        )
    return _svg(parts, "distributions")


def _density(tally: Tally, low: float, high: float) -> list[float]:
    """Shares by column, each bin spread by a triangle, the wider the fewer paths there are."""
    columns = [0.0] * _COLUMNS
    reach = max(2, round(_COLUMNS / (4.0 * math.cbrt(tally.runs))))
    weights = [reach + 1 - abs(n) for n in range(-reach, reach + 1)]
    for _, count, total in tally.navs.ascending():
        place = math.floor((total / count / NAV_STEPS - low) / (high - low) * _COLUMNS)
        for offset, weight in enumerate(weights, -reach):
            if 0 <= place + offset < _COLUMNS:
                columns[place + offset] += count * weight
    scale = tally.runs * sum(weights)
    return [column / scale for column in columns]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.01 * abs(high) or 0.01
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _GRID
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1.0, 2.0, 5.0, 10.0) if power * n >= rough)
    first = math.ceil(low / step)
    return [n * step for n in range(first, math.floor(high / step) + 1)]


def _label(value: float) -> str:
    text = f"{abs(value):.4f}".rstrip("0").rstrip(".")
    return f"{MINUS if value < 0.0 and text != '0' else ''}{text}"


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:33]}…"


def _svg(parts: Sequence[str], name: str) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg class="chart" id="chart-{name}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{name}">\n{inside}\n</svg>'
    )
