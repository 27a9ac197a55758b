"""How the pictures look: colours by role, type, axes, what the mouse finds."""

from __future__ import annotations

from typing import Any, Final, Literal

from bokeh.models import (
    BoxZoomTool,
    CustomJSTickFormatter,
    DatetimeTickFormatter,
    HoverTool,
    Range1d,
)
from bokeh.models.annotations import Span
from bokeh.plotting import figure

__all__ = [
    "COLORS",
    "FONT",
    "HEIGHT",
    "dressed",
    "in_percent",
    "in_times",
    "light",
    "on_hover",
    "timed",
    "zero",
]

COLORS: Final = {
    "text": ("#3d4652", "#c3ccd8"),
    "grid": ("#e4e8ed", "#2a323d"),
    "zero": ("#a3adb9", "#5a6675"),
    "own": ("#2257c5", "#82aeff"),
    "myth": ("#79828f", "#a0aab7"),
    "gap": ("#b27d00", "#f0b83c"),
    "gain": ("#0b7d8e", "#4fc4d3"),
    "loss": ("#c8590f", "#ff9d57"),
    "sum": ("#4a5464", "#b4bfcd"),
    "forced": ("#a11a5c", "#ff7fbb"),
}
"""By role: light and dark. Blue against orange and teal against orange are told apart by everybody;
no meaning rests on colour alone."""

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
HEIGHT: Final = 320
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


def in_percent(*, signed: bool) -> CustomJSTickFormatter:
    """Shares as per cent, with as many digits as the steps between the ticks need."""
    return CustomJSTickFormatter(code=_PERCENT.replace("SIGN", '"+"' if signed else '""'))


def in_times() -> CustomJSTickFormatter:
    """Multiples: ``2.5 x``."""
    return CustomJSTickFormatter(code=_TIMES)


def light(role: str) -> str:
    """The colour of a role in the light scheme."""
    return COLORS[role][0]


def timed(name: str, times: Range1d) -> Any:
    """A figure over time, whose axis is shared."""
    plot: Any = figure(
        name=name,
        x_axis_type="datetime",
        x_range=times,
        min_height=HEIGHT,
        sizing_mode="stretch_both",
        tools="xbox_zoom",
        active_drag="xbox_zoom",
        toolbar_location=None,
    )
    dressed(plot)
    chosen = plot.select_one(BoxZoomTool).overlay
    chosen.fill_color, chosen.fill_alpha, chosen.line_color = light("own"), 0.12, None
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
    for axis in plot.xaxis:
        axis.ticker.desired_num_ticks = 6
    return plot


def dressed(plot: Any) -> None:
    """Quiet axes, no frame, the page's own background."""
    plot.toolbar.logo = None
    plot.background_fill_alpha = 0.0
    plot.border_fill_alpha = 0.0
    plot.outline_line_color = None
    plot.min_border_right = 16
    plot.ygrid.grid_line_color = light("grid")
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_line_color = light("zero")
        axis.major_tick_line_color = light("zero")
        axis.minor_tick_line_color = None
        axis.major_label_text_color = light("text")
        axis.major_label_text_font = FONT
        axis.major_label_text_font_size = "12px"
        axis.axis_label_text_color = light("text")
        axis.axis_label_text_font = FONT
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
    plot.yaxis.axis_line_color = None


def zero(dimension: Literal["width", "height"]) -> Span:
    """The line of nothing gained and nothing lost."""
    return Span(location=0.0, dimension=dimension, line_color=light("zero"), line_width=1.0)


def on_hover(
    plot: Any,
    renderer: Any,
    tooltips: list[tuple[str, str]],
    attachment: Literal["horizontal", "below"] = "horizontal",
) -> None:
    """What is said where the mouse is: the time, then the values of the curve."""
    plot.add_tools(
        HoverTool(
            renderers=[renderer],
            tooltips=[("at", "@t{%d %b %H:%M:%S}"), *tooltips],
            formatters={"@t": "datetime"},
            mode="vline",
            attachment=attachment,
        )
    )
