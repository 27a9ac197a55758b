"""Entry time against holding time: how far a product came out from its multiple of the market."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from engine.report.card import Card, area, said
from engine.report.moments import PARTS, STRIDE, Moments
from engine.report.numbers import Table
from engine.report.verdict import promise
from engine.report.words import DASH, instant, number, span

__all__ = ["gaps_of", "holding_card"]

Object = dict[str, Any]

_LENGTHS: Final = PARTS // STRIDE
_WIDE, _TALL, _BEFORE, _ABOVE = 50, 24, 112, 26
_NS: Final = 1e9
_MINUTE: Final = 60
_HALF_MINUTE_NS: Final = 30 * 10**9


def gaps_of(product: Object, moments: Moments) -> list[list[float]]:
    """``gaps[length][entry]``: return less the multiple of what it follows, of who came at the n-th
    column and held for ``length + 1`` columns; ``nan`` where nobody could come any more.

    The last of the last row is the whole run: ``return - multiple_return`` of the summary.
    """
    worth, price = moments.per_unit[::STRIDE], moments.price[::STRIDE]
    gaps = []
    for length in range(1, _LENGTHS + 1):
        row = []
        for entry in range(_LENGTHS + 1 - length):
            out = entry + length
            if worth[entry] <= 0.0:
                row.append(math.nan)
                continue
            myth = product["target"] * (price[out] / price[entry] - 1.0)
            row.append(float(worth[out] / worth[entry] - 1.0 - myth))
        gaps.append(row)
    return gaps


def holding_card(name: str, product: Object, moments: Moments) -> Card:
    """The map of one product."""
    gaps = gaps_of(product, moments)
    starts = [instant(int(ts) + _HALF_MINUTE_NS) for ts in moments.ts_ns[::STRIDE]]
    step = (int(moments.ts_ns[-1]) - int(moments.ts_ns[0])) / _LENGTHS / _NS
    lengths = [_lasting(step * n) for n in range(1, _LENGTHS + 1)]
    return Card(
        "holding",
        _title(name, product, gaps),
        [
            area("gain", "ahead of the multiple"),
            area("loss", "behind it"),
            said("in points of return; the fuller the colour, the further"),
        ],
        _drawn(
            f"{name}: entry time by holding time; the numbers are beneath", gaps, starts, lengths
        ),
        [_table(gaps, starts, lengths)],
    )


def _lasting(seconds: float) -> str:
    """To the minute: a day that is a second short is a day."""
    return span(round(seconds / _MINUTE) * _MINUTE if seconds >= _MINUTE else seconds)


def _title(name: str, product: Object, gaps: list[list[float]]) -> str:
    known = [gap for row in gaps for gap in row if math.isfinite(gap)]
    low, high = min(known), max(known)
    told = promise(product)
    if high - low < 0.001:
        return f"Whenever one came and went, {name} gave {told} within 0.1 points"
    ends = [_points(low), _points(high)]
    return (
        f"When one came and went decided: {name} gave {ends[0]} to {ends[1]} points against {told}"
    )


def _points(gap: float) -> str:
    return number(100.0 * gap, 1, signed=True)


def _drawn(label: str, gaps: list[list[float]], starts: list[str], lengths: list[str]) -> str:
    width, height = _BEFORE + _WIDE * _LENGTHS, _ABOVE + _TALL * _LENGTHS + 20
    inside = "\n".join(_cells(gaps, starts, lengths))
    return (
        f'<svg class="chart map" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">\n{inside}\n</svg>'
    )


def _cells(gaps: list[list[float]], starts: list[str], lengths: list[str]) -> Iterator[str]:
    known = [abs(gap) for row in gaps for gap in row if math.isfinite(gap)]
    most = max(known, default=0.0) or 1.0
    yield '<text class="name" x="0" y="15">held for</text>'
    for length, row in enumerate(gaps):
        top = _ABOVE + _TALL * (_LENGTHS - 1 - length)
        yield f'<text x="{_BEFORE - 8}" y="{top + 16}" text-anchor="end">{lengths[length]}</text>'
        for entry, gap in enumerate(row):
            left = _BEFORE + _WIDE * entry
            said_, role, full = DASH, "dim", 0.0
            if math.isfinite(gap):
                said_, role = _points(gap), "gain" if gap > 0 else "loss"
                full = 0.08 + 0.42 * math.sqrt(abs(gap) / most) if said_.strip("0.") else 0.0
            yield (
                f'<rect x="{left}" y="{top}" fill="var(--{role})" fill-opacity="{full:.2f}"/>'
                f'<text x="{left + _WIDE // 2}" y="{top + 16}" text-anchor="middle">{said_}</text>'
            )
    ground = _ABOVE + _TALL * _LENGTHS + 15
    yield f'<text class="name" x="0" y="{ground}">came at</text>'
    days = starts[0].rsplit(" ", 1)[0] != starts[-1].rsplit(" ", 1)[0] and "d" in lengths[3]
    for entry, start in enumerate(starts[:_LENGTHS]):
        day, clock = start.rsplit(" ", 1)
        words = " ".join(day.split()[:2]) if days else clock
        x = _BEFORE + _WIDE * entry + _WIDE // 2
        yield f'<text x="{x}" y="{ground}" text-anchor="middle">{words}</text>'


def _table(gaps: list[list[float]], starts: list[str], lengths: list[str]) -> Table:
    rows = []
    for entry, start in enumerate(starts[:_LENGTHS]):
        row = [gaps[length][entry] for length in range(_LENGTHS - entry)]
        cells = [DASH if math.isnan(gap) else number(100.0 * gap, 2, signed=True) for gap in row]
        rows.append([start, *cells, *[""] * entry])
    head = ["came at (UTC), held for", *lengths]
    return Table(head, rows, caption="Points of return against the multiple")
