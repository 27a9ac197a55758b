"""The four pictures as one Bokeh document without data; the page fills in the product that is shown.

Colours are those of the light scheme; the page exchanges each for its dark partner where the reader
prefers dark. All ids are numbered by their first appearance, so the same figures give the same bytes.
"""

from __future__ import annotations

import re
from typing import Any, Final

from bokeh.document import Document
from bokeh.models import (
    ColumnDataSource,
    CustomJSTickFormatter,
    DatetimeTickFormatter,
    FactorRange,
    HoverTool,
    Range1d,
    Span,
)
from bokeh.plotting import figure
from bokeh.resources import Resources

__all__ = ["COLORS", "FIGURES", "SOURCES", "bokeh_script", "figures_json"]

COLORS: Final = {
    "text": ("#3d4652", "#c3ccd8"),
    "grid": ("#e4e8ed", "#2a323d"),
    "zero": ("#a3adb9", "#5a6675"),
    "own": ("#2257c5", "#82aeff"),
    "myth": ("#79828f", "#a0aab7"),
    "gap": ("#e0a312", "#f0b83c"),
    "gain": ("#0b7d8e", "#4fc4d3"),
    "loss": ("#c8590f", "#ff9d57"),
    "sum": ("#4a5464", "#b4bfcd"),
    "forced": ("#a11a5c", "#ff7fbb"),
}
"""By role: light and dark. Blue against orange and teal against orange are told apart by everybody;
no meaning rests on colour alone."""

FIGURES: Final = ("value", "waterfall", "leverage", "underwater")
SOURCES: Final = {
    "value": ("t", "got", "myth"),
    "waterfall": ("name", "left", "right", "color", "text", "edge"),
    "leverage": ("t", "leverage"),
    "target": ("t", "target"),
    "trades": ("t", "before", "after", "color", "marker", "what", "reason", "mark", "cost"),
    "underwater": ("t", "product", "underlying"),
}
"""The data sources and their columns."""

_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
_HEIGHT: Final = 320
_PERCENT: Final = """
const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1
const text = Math.abs(100 * tick).toFixed(step < 0.000999 ? 2 : step < 0.00999 ? 1 : 0)
return (Number(text) == 0 ? "" : tick < 0 ? "\u2212" : SIGN) + text + " %"
"""
_TIMES: Final = """
const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1
const text = Math.abs(tick).toFixed(step < 0.00999 ? 3 : step < 0.0999 ? 2 : 1)
return (tick < 0 ? "\u2212" : "") + text + " x"
"""
_ELSEWHERE: Final = re.compile(r"https://(?:cdn\.jsdelivr\.net|maps\.googleapis\.com)")


def bokeh_script() -> str:
    """Bokeh's own JavaScript from its wheel: the core bundle, which draws all that we draw.

    The addresses from which it would load mathematics and maps, which we do not draw, are blanked:
    a page that cannot ask, does not.
    """
    bundle: str = Resources(mode="inline", components=["bokeh"], minified=True).js_raw[0]
    return _ELSEWHERE.sub("about:blank#", bundle)


def figures_json(time_label: str) -> dict[str, Any]:
    """The document and where its roots go: ``{"document": ..., "roots": {id: element}}``.

    Args:
        time_label: stands under the time axes.
    """
    sources = {
        name: ColumnDataSource({column: [] for column in columns}, name=name)
        for name, columns in SOURCES.items()
    }
    times = Range1d(0.0, 1.0, name="times")
    drawn = (
        _value(sources["value"], times, time_label),
        _waterfall(sources["waterfall"]),
        _leverage(sources, times, time_label),
        _underwater(sources["underwater"], times, time_label),
    )
    document = Document()
    for one in drawn:
        document.add_root(one)
    numbered = _numbered(document.to_json(deferred=False))
    roots = {
        root["id"]: f"figure-{name}" for name, root in zip(FIGURES, numbered["roots"], strict=True)
    }
    return {"document": numbered, "roots": roots}


def _light(role: str) -> str:
    return COLORS[role][0]


def _value(source: ColumnDataSource, times: Range1d, label: str) -> Any:
    plot = _timed("value", times, label)
    plot.yaxis.formatter = CustomJSTickFormatter(code=_PERCENT.replace("SIGN", '"+"'))
    plot.add_layout(_zero("width"))
    plot.varea("t", "got", "myth", source=source, fill_color=_light("gap"), fill_alpha=0.28)
    plot.line("t", "myth", source=source, color=_light("myth"), line_width=1.6, line_dash=[6, 4])
    own = plot.line("t", "got", source=source, color=_light("own"), line_width=2.0)
    _hover(plot, own, [("you got", "@got{+0.00%}"), ("the myth", "@myth{+0.00%}")])
    return plot


def _waterfall(source: ColumnDataSource) -> Any:
    plot = figure(
        name="waterfall",
        x_range=Range1d(0.0, 1.0, name="amounts"),
        y_range=FactorRange(name="causes"),
        height=_HEIGHT,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
    )
    _dressed(plot)
    plot.ygrid.visible = False
    plot.xgrid.grid_line_color = _light("grid")
    plot.xaxis.formatter = CustomJSTickFormatter(code=_PERCENT.replace("SIGN", '"+"'))
    plot.xaxis.axis_label = "share of the equity at the start"
    plot.yaxis.major_tick_line_color = None
    plot.yaxis.axis_line_color = None
    plot.add_layout(_zero("height"))
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
        text_font=_FONT,
        text_font_size="12px",
        text_color=_light("text"),
    )
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("@name", "@text")]))
    return plot


def _leverage(sources: dict[str, ColumnDataSource], times: Range1d, label: str) -> Any:
    plot = _timed("leverage", times, label)
    plot.yaxis.formatter = CustomJSTickFormatter(code=_TIMES)
    plot.step(
        "t",
        "target",
        source=sources["target"],
        mode="after",
        color=_light("myth"),
        line_width=1.4,
        line_dash=[6, 4],
    )
    held = plot.line(
        "t", "leverage", source=sources["leverage"], color=_light("own"), line_width=1.8
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
        size=9,
        marker={"field": "marker"},
        fill_color={"field": "color"},
        line_color=None,
        fill_alpha=0.9,
    )
    _hover(plot, held, [("leverage", "@leverage{0.000}")])
    plot.add_tools(
        HoverTool(
            renderers=[marks],
            tooltips=[
                ("", "@what"),
                ("why", "@reason"),
                ("before", "@before{0.000}"),
                ("after", "@after{0.000}"),
                ("mark", "@mark"),
                ("cost", "@cost"),
                ("at", "@t{%d %b %H:%M:%S}"),
            ],
            formatters={"@t": "datetime"},
        )
    )
    return plot


def _underwater(source: ColumnDataSource, times: Range1d, label: str) -> Any:
    plot = _timed("underwater", times, label)
    plot.yaxis.formatter = CustomJSTickFormatter(code=_PERCENT.replace("SIGN", '""'))
    plot.varea("t", "product", 0.0, source=source, fill_color=_light("own"), fill_alpha=0.16)
    own = plot.line("t", "product", source=source, color=_light("own"), line_width=1.8)
    plot.line(
        "t", "underlying", source=source, color=_light("myth"), line_width=1.6, line_dash=[6, 4]
    )
    _hover(plot, own, [("product", "@product{0.00%}"), ("underlying", "@underlying{0.00%}")])
    return plot


def _timed(name: str, times: Range1d, label: str) -> Any:
    plot = figure(
        name=name,
        x_axis_type="datetime",
        x_range=times,
        height=_HEIGHT,
        sizing_mode="stretch_width",
        tools="xpan,xbox_zoom,reset,save",
        active_drag="xbox_zoom",
        toolbar_location="above",
    )
    plot.toolbar.autohide = True
    _dressed(plot)
    plot.xgrid.visible = False
    plot.xaxis.formatter = DatetimeTickFormatter(
        seconds="%H:%M:%S",
        minsec="%H:%M:%S",
        minutes="%H:%M",
        hourmin="%H:%M",
        hours="%H:%M",
        days="%d %b",
        months="%b %Y",
        years="%Y",
    )
    plot.xaxis.axis_label = label
    plot.xaxis.ticker.desired_num_ticks = 6
    return plot


def _dressed(plot: Any) -> None:
    plot.toolbar.logo = None
    plot.background_fill_alpha = 0.0
    plot.border_fill_alpha = 0.0
    plot.outline_line_color = None
    plot.min_border_right = 16
    plot.ygrid.grid_line_color = _light("grid")
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_line_color = _light("zero")
        axis.major_tick_line_color = _light("zero")
        axis.minor_tick_line_color = None
        axis.major_label_text_color = _light("text")
        axis.major_label_text_font = _FONT
        axis.major_label_text_font_size = "12px"
        axis.axis_label_text_color = _light("text")
        axis.axis_label_text_font = _FONT
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
    plot.yaxis.axis_line_color = None


def _zero(dimension: str) -> Span:
    return Span(location=0.0, dimension=dimension, line_color=_light("zero"), line_width=1.0)


def _hover(plot: Any, renderer: Any, tooltips: list[tuple[str, str]]) -> None:
    plot.add_tools(
        HoverTool(
            renderers=[renderer],
            tooltips=[("at", "@t{%d %b %H:%M:%S}"), *tooltips],
            formatters={"@t": "datetime"},
            mode="vline",
        )
    )


def _numbered(document: Any) -> Any:
    """The document with ids counted by first appearance, whatever was drawn before in this process."""
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
