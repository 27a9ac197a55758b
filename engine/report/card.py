"""A picture with its claim as title, what its marks mean, and the numbers it shows."""

from __future__ import annotations

from html import escape

from msgspec import Struct

from engine.report.axes import key
from engine.report.numbers import Table

__all__ = ["Card", "area", "line", "said"]


class Card(Struct, frozen=True):
    """``legend`` and ``chart`` are markup, all else is text."""

    name: str
    title: str
    legend: list[str]
    chart: str
    tables: list[Table]


def said(words: str) -> str:
    """A remark in a legend."""
    return f'<span class="said">{escape(words)}</span>'


def area(role: str, words: str) -> str:
    """An area in a legend."""
    return f'<span><i class="area" style="color:var(--{role})"></i>{escape(words)}</span>'


def line(role: str, words: str, dash: str = "") -> str:
    """A line in a legend."""
    return f"<span>{key(role, dash)}{escape(words)}</span>"
