"""A small picture as SVG: lines and dots in one pair of axes, in the colours of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from msgspec import Struct

from engine.report.words import number

__all__ = ["Series", "plot"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 340, 58, 168, 28, 40
_TICKS: Final = 5
_ROLES: Final = ("own", "loss", "gain", "forced", "gap", "sum", "myth", "dim")
_DASHES: Final = ("", "7 4", "2 3", "9 3 2 3")


class Series(Struct, frozen=True):
    """A named line; ``dots``: its points alone; ``like`` the colour of that series."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    like: int | None = None


def plot(label: str, series: Sequence[Series], x_name: str, y_name: str, x_digits: int = 2) -> str:
    """The picture; ``label`` says it to who cannot see it."""
    xs = [x for one in series for x in one.x]
    ys = [y for one in series for y in one.y]
    left, right = min(xs), max(xs)
    low, high = min(ys), max(ys)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    low, high = low - room, high + room
    wide = (right - left) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - left) / wide * (_WIDTH - _LEFT - _RIGHT),
            _TOP + (high - y) / (high - low) * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = []
    for n in range(_TICKS):
        share = n / (_TICKS - 1)
        y, x = low + share * (high - low), left + share * wide
        spot, ground = at(left, y)[1], at(x, low)[0]
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{spot:.1f}" '
            f'y2="{spot:.1f}"/><text x="{_LEFT - 8}" y="{spot + 4:.1f}" text-anchor="end">'
            f'{escape(number(y, 2))}</text><text x="{ground:.1f}" y="{_HEIGHT - 22}" '
            f'text-anchor="middle">{escape(number(x, x_digits))}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="name" x="{middle:.0f}" y="{_HEIGHT - 5}" text-anchor="middle">'
        f'{escape(x_name)}</text><text class="name" x="8" y="11">{escape(y_name)}</text>'
    )
    for place, one in enumerate(series):
        points = [at(x, y) for x, y in zip(one.x, one.y, strict=True)]
        parts += _drawn(one, place, points)
    inside = "\n".join(parts)
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">\n{inside}\n</svg>'
    )


def _drawn(one: Series, place: int, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    """A series and its name at the right; no two look alike without their colours."""
    role = _ROLES[(place if one.like is None else one.like) % len(_ROLES)]
    dash = _DASHES[place % len(_DASHES)]
    y = _TOP + 12 + 19 * place
    x = _WIDTH - _RIGHT + 12
    if one.dots:
        for across, down in points:
            yield f'<circle fill="var(--{role})" cx="{across:.1f}" cy="{down:.1f}" r="4"/>'
        yield f'<circle fill="var(--{role})" cx="{x + 12}" cy="{y}" r="4"/>'
    else:
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        style = f'fill="none" stroke="var(--{role})" stroke-width="2" stroke-dasharray="{dash}"'
        yield f'<polyline {style} points="{path}"/>'
        yield f'<line {style} x1="{x}" x2="{x + 24}" y1="{y}" y2="{y}"/>'
    yield f'<text x="{x + 30}" y="{y + 4}">{escape(one.name)}</text>'
