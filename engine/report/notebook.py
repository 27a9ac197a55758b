"""How results look in a notebook: tables of text, and pictures that stand alone.

A picture is one SVG that brings its own colours, for light and for dark pages; it asks nothing of
the page around it, of scripts or of a network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from engine.first_units import in_first_units
from engine.report.plot import Series, plot
from engine.report.table import columns_of
from engine.report.thinning import Curve, thinned
from engine.report.waterfall import bars_of
from engine.report.words import MINUS, instant, number, percent

__all__ = ["Grid", "Picture", "curves_picture", "grid_of_run", "shown", "waterfall_picture"]

_ROW, _WIDE, _NAMES, _VALUES = 26, 720, 170, 70
_COLUMNS: Final = 480
_HOUR_NS: Final = 3_600 * 10**9
_DIGITS: Final = 4
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
_CARD: Final = ("#ffffff", "#171e26")
_KINDS: Final = {"subtotal": "sum", "total": "own"}


class Picture(Struct, frozen=True):
    """A drawing; ``label`` says it to who cannot see it."""

    label: str
    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture: {self.label}>"


class Grid(Struct, frozen=True):
    """A table of text; columns of words, ``left`` by place, are flush left."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Collection[int] = (0,)
    title: str = ""

    def _repr_html_(self) -> str:
        def cell(tag: str, place: int, text: str) -> str:
            side = "left" if place in self.left else "right"
            return f'<{tag} style="text-align:{side}">{escape(text)}</{tag}>'

        head = "".join(cell("th", n, " ".join(t.split())) for n, t in enumerate(self.head))
        body = "\n".join(
            "<tr>" + "".join(cell("td", n, text) for n, text in enumerate(row)) + "</tr>"
            for row in self.rows
        )
        title = f"<p><b>{escape(self.title)}</b></p>\n" if self.title else ""
        return f"{title}<table>\n<tr>{head}</tr>\n{body}\n</table>"

    def __repr__(self) -> str:
        lines = [[" ".join(text.split()) for text in self.head], *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        said = [self.title] if self.title else []
        for line in lines:
            cells = [
                text.ljust(width) if place in self.left else text.rjust(width)
                for place, (text, width) in enumerate(zip(line, widths, strict=True))
            ]
            said.append("  ".join(cells).rstrip())
        return "\n".join(said)


def grid_of_run(verdict: str, rows: Sequence[Mapping[str, Any]]) -> Grid:
    """A run: its verdict above, a row a product."""
    columns = columns_of(rows)
    heads = ["product", *(head.replace("re-\n", "re") for head, _ in columns[1:])]
    return Grid(heads, [[show(row) for _, show in columns] for row in rows], title=verdict)


def shown(table: pa.Table | Sequence[Mapping[str, Any]], rows: int = 20) -> Grid:
    """A table as it is read: an Arrow table, or rows with names, such as events.

    Columns of times are times, columns of nothing are left out; beyond ``rows`` it says how many
    more there are.

    >>> shown([{"product": "BTC3L", "return": -0.25061, "at_ns": 1_768_485_183_000_000_000}])
    product   return  at
    BTC3L    −0.2506  15 Jan 2026 13:53:03
    """
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pylist([dict(row) for row in table])
    table = table.select([n for n in table.column_names if table[n].null_count < len(table)])
    fields = [(_word(name), name.endswith("_ns")) for name in table.column_names]
    cells = [
        [_cell(value, is_time=is_time) for value, (_, is_time) in zip(row, fields, strict=True)]
        for row in zip(*table.slice(0, rows).to_pydict().values(), strict=True)
    ]
    rest = len(table) - len(cells)
    if rest > 0:
        cells.append([f"and {rest:,} more", *[""] * (len(fields) - 1)])
    left = [
        place
        for place, field in enumerate(table.schema)
        if fields[place][1] or pa.types.is_string(field.type)
    ]
    return Grid([word for word, _ in fields], cells, left)


def _word(column: str) -> str:
    """The head of a column."""
    return "time" if column in ("ts", "ts_ns") else column.removesuffix("_ns").replace("_", " ")


def _cell(value: Any, *, is_time: bool) -> str:
    if value is None:
        return "–"
    if is_time:
        return instant(value, seconds=True)
    if isinstance(value, float):
        return number(value, _DIGITS)
    return f"{value:,}".replace("-", MINUS) if type(value) is int else str(value)


def curves_picture(
    table: pa.Table, column: str, splits: Mapping[str, Sequence[tuple[int, int, int]]]
) -> Picture:
    """One column of NAV samples over time, a line a product; NAV per unit in units of the start.

    Args:
        splits: ``(when, new, old)`` by product.
    """
    series, words, per_unit = [], column.replace("_", " "), column == "nav_per_unit"
    if per_unit and any(splits.values()):
        words = f"{words} of the start"
    times = pc.min_max(table["ts_ns"]).as_py()
    start_ns, end_ns = times["min"], times["max"]
    for product in dict.fromkeys(table["product"].to_pylist()):
        own = table.filter(pc.equal(table["product"], product))
        ts_ns, values = own["ts_ns"].to_numpy(), own[column].to_numpy().astype(float)
        if per_unit:
            values = in_first_units(ts_ns, values, splits[product])
        curve = Curve(ts_ns, {column: values})
        curve = thinned(curve, start_ns, end_ns, _COLUMNS)
        known = ~np.isnan(curve.series[column])
        hours = (curve.ts_ns[known] - start_ns) / _HOUR_NS
        series.append(Series(product, hours.tolist(), curve.series[column][known].tolist()))
    label = f"{words} over time: {', '.join(one.name for one in series)}"
    drawn = plot(label, series, f"hours since {instant(start_ns)} UTC", words, 0)
    return Picture(label, _alone(drawn))


def waterfall_picture(name: str, product: Mapping[str, Any]) -> Picture:
    """What moved a product's equity, each step where the one before ended."""
    bars = bars_of(dict(product))
    low = min(0.0, *(min(bar.left, bar.right) for bar in bars))
    high = max(0.0, *(max(bar.left, bar.right) for bar in bars))
    room = (_WIDE - _NAMES - 2 * _VALUES) / ((high - low) or 1.0)
    height = _ROW * len(bars) + 6

    def x(value: float) -> float:
        return _NAMES + _VALUES + (value - low) * room

    parts = [f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="0" y2="{height}"/>']
    for place, bar in enumerate(bars):
        top, (left, right) = place * _ROW, sorted((x(bar.left), x(bar.right)))
        role = _KINDS.get(bar.kind) or ("gain" if bar.amount > 0 else "loss")
        rises = bar.amount > 0
        at, anchor = (right + 6, "start") if rises else (left - 6, "end")
        parts.append(
            f'<text x="{_NAMES - 10}" y="{top + 18}" text-anchor="end">{escape(bar.name)}</text>'
            f'<rect x="{left:.1f}" y="{top + 5}" width="{max(right - left, 1.0):.1f}" '
            f'height="{_ROW - 8}" fill="var(--{role})"/>'
            f'<text x="{at:.1f}" y="{top + 18}" text-anchor="{anchor}">'
            f"{escape(percent(bar.amount, 2))}</text>"
        )
    label = f"{name}: what moved its equity, in per cent of the start"
    head = f'<svg class="chart" viewBox="0 0 {_WIDE} {height}" role="img" '
    inside = "\n".join(parts)
    return Picture(label, _alone(f'{head}aria-label="{escape(label)}">\n{inside}\n</svg>'))


def _alone(svg: str) -> str:
    """A drawing of a page with what the page would have given it."""
    from engine.report.appearance import COLORS

    roles = {**COLORS, "dim": COLORS["myth"], "card": _CARD}
    light, dark = (
        "".join(f"--{role}:{pair[place]};" for role, pair in roles.items()) for place in (0, 1)
    )
    style = (
        f"<style>.levsim{{{light}}}\n"
        f"@media (prefers-color-scheme: dark) {{.levsim{{{dark}}}}}\n"
        f".levsim text{{fill:var(--text);font:12px {_FONT}}}\n"
        ".levsim .grid{stroke:var(--grid)} .levsim .zero{stroke:var(--zero)}</style>\n"
        '<rect width="100%" height="100%" fill="var(--card)"/>'
    )
    head, rest = svg.split(">\n", 1)
    head = head.replace(
        '<svg class="chart"', '<svg xmlns="http://www.w3.org/2000/svg" class="levsim" width="720"'
    )
    return f"{head}>\n{style}\n{rest}"
