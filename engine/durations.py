"""Durations as texts: ``90s 5m 2h 1d 250ms``."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from engine.units import DAY_NS, HOUR_NS, MILLISECOND_NS, MINUTE_NS, SECOND_NS

__all__ = ["DURATION_PATTERN", "Duration", "duration_ns", "duration_text"]

_UNITS_NS: Final = {
    "d": DAY_NS,
    "h": HOUR_NS,
    "m": MINUTE_NS,
    "s": SECOND_NS,
    "ms": MILLISECOND_NS,
    "us": 1_000,
    "ns": 1,
}
DURATION_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d)(?!\n)$"
"""Without a line break behind, before which ``$`` would hold, too."""
Duration = Annotated[str, Meta(pattern=DURATION_PATTERN)]


def duration_ns(text: str) -> int:
    """A duration in ns: ``duration_ns("1.5h") == 5_400_000_000_000``."""
    number = text.rstrip("nusmhd")
    unit_ns = _UNITS_NS[text[len(number) :]]
    return round(float(number) * unit_ns) if "." in number else int(number) * unit_ns


def duration_text(ns: int) -> str:
    """A duration in its largest whole unit: ``duration_text(90_000_000_000) == "90s"``."""
    for unit, unit_ns in _UNITS_NS.items():
        if ns and ns % unit_ns == 0:
            return f"{ns // unit_ns}{unit}"
    return "0s"
