"""The four pictures as one Bokeh document without data; the page fills in the product shown.

Colours are those of the light scheme; the page exchanges each for its dark partner where the
reader prefers dark. All ids are numbered by their first appearance, so the same figures give the
same bytes.
"""

from __future__ import annotations

import re
from typing import Any, Final

from bokeh.core.properties import value
from bokeh.document import Document
from bokeh.models import BasicTicker, ColumnDataSource, FactorRange, HoverTool, Range1d
from bokeh.plotting import figure
from bokeh.resources import Resources

from engine.report.appearance import (
    FONT,
    HEIGHT,
    dressed,
    in_percent,
    in_times,
    light,
    on_hover,
    timed,
    zero,
)

__all__ = ["FIGURES", "SOURCES", "bokeh_script", "figures_json"]

FIGURES: Final = ("value", "waterfall", "leverage", "underwater")
SOURCES: Final = {
    "value": ("t", "got", "myth"),
    "waterfall": ("name", "left", "right", "color", "text", "edge"),
    "leverage": ("t", "leverage"),
    "target": ("t", "target"),
    "trades": ("t", "before", "after", "color", "marker", "size", "what", "reason", "mark", "cost"),
    "underwater": ("t", "product", "underlying"),
    "marks": ("t", "what"),
}
"""The data sources and their columns."""

_ELSEWHERE: Final = re.compile(r"https://(?:cdn\.jsdelivr\.net|maps\.googleapis\.com)")


def bokeh_script() -> str:
    """Bokeh's own JavaScript from its wheel: the core bundle, which draws all that we draw.

    The addresses from which it would load mathematics and maps, which we do not draw, are blanked:
    a page that cannot ask, does not.
    """
    bundle: str = Resources(mode="inline", components=["bokeh"], minified=True).js_raw[0]
    return _ELSEWHERE.sub("about:blank#", bundle)


def figures_json() -> dict[str, Any]:
    """The document and where its roots go: ``{"document": ..., "roots": {id: element}}``."""
    sources = {
        name: ColumnDataSource({column: [] for column in columns}, name=f"{name} data")
        for name, columns in SOURCES.items()
    }
    times = Range1d(start=0.0, end=1.0, name="times")
    drawn = (
        _value(sources["value"], times),
        _waterfall(sources["waterfall"]),
        _leverage(sources, times),
        _underwater(sources["underwater"], times),
    )
    for plot in (drawn[0], *drawn[2:]):
        line = {"line_color": light("forced"), "line_alpha": 0.35}
        plot.vspan("t", source=sources["marks"], level="underlay", **line)
    document = Document()
    for one in drawn:
        document.add_root(one)
    numbered = _numbered(document.to_json(deferred=False))
    roots = {
        root["id"]: f"figure-{name}" for name, root in zip(FIGURES, numbered["roots"], strict=True)
    }
    return {"document": numbered, "roots": roots}


def _value(source: ColumnDataSource, times: Range1d) -> Any:
    plot = timed("value", times)
    plot.yaxis.formatter = in_percent(signed=True)
    plot.add_layout(zero("width"))
    plot.varea("t", "got", "myth", source=source, fill_color=light("gap"), fill_alpha=0.28)
    plot.line("t", "myth", source=source, color=light("myth"), line_width=1.6, line_dash=[6, 4])
    own = plot.line("t", "got", source=source, color=light("own"), line_width=2.0)
    on_hover(plot, own, [("you got", "@got{+0.00%}"), ("the myth", "@myth{+0.00%}")])
    return plot


def _waterfall(source: ColumnDataSource) -> Any:
    plot = figure(
        name="waterfall",
        x_range=Range1d(start=0.0, end=1.0, name="amounts"),
        y_range=FactorRange(name="causes"),
        min_height=HEIGHT,
        sizing_mode="stretch_both",
        toolbar_location=None,
        tools="",
    )
    dressed(plot)
    plot.ygrid.visible = False
    plot.xgrid.grid_line_color = light("grid")
    plot.xaxis.formatter = in_percent(signed=True)
    plot.xaxis.ticker = plot.xgrid.ticker = BasicTicker(name="amount ticks")
    plot.yaxis.major_tick_line_color = None
    plot.yaxis.axis_line_color = None
    plot.add_layout(zero("height"))
    bars = plot.hbar(
        y="name",
        left="left",
        right="right",
        height=0.62,
        source=source,
        fill_color={"field": "color"},
        line_color=None,
    )
    plot.text(
        x="edge",
        y="name",
        text="text",
        source=source,
        x_offset=6,
        text_baseline="middle",
        text_font=value(FONT),
        text_font_size="12px",
        text_color=light("text"),
    )
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("@name", "@text")]))
    return plot


def _leverage(sources: dict[str, ColumnDataSource], times: Range1d) -> Any:
    plot = timed("leverage", times)
    plot.yaxis.formatter = in_times()
    promised = plot.step(
        "t",
        "target",
        source=sources["target"],
        mode="after",
        color=light("myth"),
        line_width=1.4,
        line_dash=[6, 4],
    )
    held = plot.line(
        "t", "leverage", source=sources["leverage"], color=light("own"), line_width=1.8
    )
    trades = sources["trades"]
    plot.segment(
        x0="t",
        x1="t",
        y0="before",
        y1="after",
        source=trades,
        line_color={"field": "color"},
        line_width=1.2,
        line_alpha=0.7,
    )
    marks = plot.scatter(
        "t",
        "after",
        source=trades,
        size="size",
        marker={"field": "marker"},
        fill_color={"field": "color"},
        line_color=None,
        fill_alpha=0.9,
    )
    # What leverage was before a trade may be far off; the curve stays readable.
    plot.y_range.renderers = [promised, held, marks]
    on_hover(plot, held, [("leverage", "@leverage{0.000}")], attachment="below")
    plot.add_tools(_reasons(marks))
    return plot


def _reasons(marks: Any) -> HoverTool:
    """Why a trade was made, where the mouse points at it."""
    told = {
        "": "@what",
        "why": "@reason",
        "before": "@before{0.000}",
        "after": "@after{0.000}",
        "mark": "@mark",
        "cost": "@cost",
        "at": "@t{%d %b %H:%M:%S}",
    }
    return HoverTool(
        renderers=[marks],
        tooltips=list(told.items()),
        attachment="above",
        formatters={"@t": "datetime"},
    )


def _underwater(source: ColumnDataSource, times: Range1d) -> Any:
    plot = timed("underwater", times)
    plot.yaxis.formatter = in_percent(signed=False)
    plot.varea("t", "product", 0.0, source=source, fill_color=light("own"), fill_alpha=0.16)
    own = plot.line("t", "product", source=source, color=light("own"), line_width=1.8)
    plot.line(
        "t", "underlying", source=source, color=light("myth"), line_width=1.6, line_dash=[6, 4]
    )
    on_hover(plot, own, [("product", "@product{0.00%}"), ("underlying", "@underlying{0.00%}")])
    return plot


def _numbered(document: Any) -> Any:
    """The document with ids counted by first appearance, whatever this process drew before."""
    ids: dict[str, str] = {}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            named = {
                key: ids.setdefault(one, f"m{len(ids)}") if key == "id" else one
                for key, one in value.items()
            }
            return {key: walk(one) for key, one in named.items()}
        return [walk(one) for one in value] if isinstance(value, list) else value

    return walk(document)
