"""What units were traded at: each product's premium over NAV, read off what was said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.events import SecondaryPriced
from engine.secondary import SecondaryTerms

__all__ = ["Premiums"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_OPEN: Final = "open"


class _Course(Struct):
    """One product: when something was said, and the premium from then on; quote atoms of those who
    were turned away; for how long each side was shut, by reason."""

    times: list[int]
    premiums: list[float]
    bought: int = 0
    sold: int = 0
    creations: str = _OPEN
    redemptions: str = _OPEN
    shut_ns: tuple[dict[str, int], dict[str, int]] = ({}, {})


class Premiums:
    """Of the products whose units trade, brought up to date event by event."""

    def __init__(self, terms: Mapping[str, SecondaryTerms]) -> None:
        self._terms = terms
        self._courses = {name: _Course([], [], shut_ns=({}, {})) for name in terms}

    def note(self, event: SecondaryPriced) -> None:
        """One event, in order of time."""
        course = self._courses[event.product]
        course.shut_ns = _passed(course, event.ts_ns)
        course.times.append(event.ts_ns)
        course.premiums.append(event.premium)
        course.bought += max(event.flow_atoms, 0)
        course.sold -= min(event.flow_atoms, 0)
        course.creations, course.redemptions = event.creations, event.redemptions

    def at(self, product: str, ts_ns: I64) -> F64:
        """Premiums at sample times; nan of a product whose units do not trade."""
        course = self._courses.get(product)
        if course is None:
            return np.full(len(ts_ns), np.nan)
        if not course.times:
            return np.zeros(len(ts_ns))
        times, known = np.array(course.times), np.array([0.0, *course.premiums])
        place = times.searchsorted(ts_ns, "right")
        since = np.maximum(ts_ns - times[np.maximum(place - 1, 0)], 0)
        faded: F64 = known[place] * np.exp2(-since / self._terms[product].half_life_ns)
        return faded

    def summary(self, product: str, end_ns: int, nav: float, scale: float) -> dict[str, Any] | None:
        """Figures of a product, quote; ``nav`` of a unit at the end."""
        course = self._courses.get(product)
        if course is None:
            return None
        end = self.at(product, np.array([end_ns])).item()
        shut = [
            {reason: spent / 1e9 for reason, spent in sorted(each.items()) if spent}
            for each in _passed(course, end_ns)
        ]
        return {
            "premium_max": max(course.premiums, default=0.0),
            "premium_min": min(course.premiums, default=0.0),
            "premium_end": end,
            "price_end": nav * (1.0 + end),
            "bought": course.bought * scale,
            "sold": course.sold * scale,
            "creations_shut_seconds": shut[0],
            "redemptions_shut_seconds": shut[1],
        }


def _passed(course: _Course, ts_ns: int) -> tuple[dict[str, int], dict[str, int]]:
    """For how long each side was shut up to then, by reason."""
    found = dict(course.shut_ns[0]), dict(course.shut_ns[1])
    for side, spent in zip((course.creations, course.redemptions), found, strict=True):
        if course.times and side not in (_OPEN, "closed"):
            spent[side] = spent.get(side, 0) + ts_ns - course.times[-1]
    return found
