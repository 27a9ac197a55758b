"""Axes of a drawing in SVG: round numbers at the side, times beneath, in the page's colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Final

from msgspec import Struct

from engine.report.words import instant

__all__ = ["Axes", "drawing", "key", "polygon", "polyline"]

_SECOND: Final = 10**9
_TIMES: Final = (
    *(1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200),
    *(86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400, 28 * 86_400, 91 * 86_400, 364 * 86_400),
)
_DAY: Final = 86_400


class Axes(Struct, frozen=True):
    """Where numbers lie: ``left`` to ``right`` and ``low`` to ``high`` in a box of pixels."""

    left: float
    right: float
    low: float
    high: float
    width: int = 720
    height: int = 320
    before: int = 62
    behind: int = 26
    above: int = 10
    below: int = 26

    def x(self, value: float) -> float:
        """Pixels from the left."""
        room = self.width - self.before - self.behind
        return self.before + (value - self.left) / ((self.right - self.left) or 1.0) * room

    def y(self, value: float) -> float:
        """Pixels from the top."""
        room = self.height - self.above - self.below
        return self.above + (self.high - value) / ((self.high - self.low) or 1.0) * room

    def side(self, say: Callable[[float, int], str]) -> Iterator[str]:
        """Lines at round numbers; ``say(value, digits)`` in as many digits as tell them apart."""
        step = _round((self.high - self.low) / 6 or 1.0)
        digits = max(0, -math.floor(math.log10(step) + 1e-9) + (f"{step:.1e}"[2] == "5"))
        for n in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1):
            y, kind = self.y(n * step), "zero" if n == 0 else "grid"
            yield (
                f'<line class="{kind}" x1="{self.before}" x2="{self.width - self.behind}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/><text x="{self.before - 8}" y="{y + 4:.1f}" '
                f'text-anchor="end">{escape(say(n * step, digits))}</text>'
            )

    def times(self) -> Iterator[str]:
        """Hours, or days where the axis is long; the axis is in nanoseconds."""
        way = (self.right - self.left) / _SECOND
        step = next((one for one in _TIMES if way / one <= 9), _TIMES[-1])
        first = -(-int(self.left) // (step * _SECOND))
        for n in range(first, int(self.right) // (step * _SECOND) + 1):
            at = n * step * _SECOND
            said = instant(at, seconds=step < 60)
            day, clock = said.rsplit(" ", 1)
            words = " ".join(day.split()[:2]) if step >= _DAY else clock
            yield self.mark(at, words)

    def events(self, marks: Iterable[tuple[float, str]]) -> Iterator[str]:
        """Upright lines where something happened, each with its words."""
        top, ground = self.above, self.height - self.below
        for value, words in marks:
            if self.left <= value <= self.right:
                x = f"{self.x(value):.1f}"
                yield (
                    f'<line class="event" stroke="var(--forced)" stroke-opacity="0.35" x1="{x}" '
                    f'x2="{x}" y1="{top}" y2="{ground}"><title>{escape(words)}</title></line>'
                )

    def mark(self, value: float, words: str) -> str:
        """A word beneath."""
        return (
            f'<text x="{self.x(value):.1f}" y="{self.height - 8}" text-anchor="middle">'
            f"{escape(words)}</text>"
        )


def _round(size: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 ... that is not below."""
    ten = 10.0 ** math.floor(math.log10(size))
    return next(n * ten for n in (1.0, 2.0, 2.5, 5.0, 10.0) if n * ten >= size * (1 - 1e-9))


def polyline(
    points: Iterable[tuple[float, float]], role: str, dash: str = "", wide: float = 2
) -> str:
    """A line in the colour of a role."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    stroke = f'stroke="var(--{role})" stroke-width="{wide:g}"{dashes}'
    return f'<polyline fill="none" {stroke} points="{path}"/>'


def polygon(points: Iterable[tuple[float, float]], role: str) -> str:
    """An area in the colour of a role, with an edge of the card's colour."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon class="filled" fill="var(--{role})" points="{path}"/>'


def drawing(label: str, parts: Sequence[str], axes: Axes) -> str:
    """The picture; ``label`` says it to who cannot see it."""
    inside = "\n".join(parts)
    return (
        f'<svg class="chart" viewBox="0 0 {axes.width} {axes.height}" role="img" '
        f'aria-label="{escape(label)}">\n{inside}\n</svg>'
    )


def key(role: str, dash: str = "") -> str:
    """A line as a legend shows it."""
    return (
        '<svg class="key" viewBox="0 0 24 8" aria-hidden="true">'
        + polyline([(0, 4), (24, 4)], role, dash, 2.5)
        + "</svg>"
    )
