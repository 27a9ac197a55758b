"""Heart and reference side by side: where do they first differ?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.engine import EngineSpec
from engine.ticks import Step
from tests.builders import Run, run
from tests.reference.engine import ReferenceEngine

__all__ = ["agree", "difference", "reference"]


def reference(spec: EngineSpec, tape: Step, *, finish: bool = True) -> ReferenceEngine:
    """The slow engine on a tape."""
    engine = ReferenceEngine(spec)
    engine.process(tape)
    if finish:
        engine.finish()
    return engine


def difference(said: Run, slow: ReferenceEngine) -> str | None:
    """The first place where the output logs differ, in words; ``None`` where they are the same."""
    found = _first(said.lines, slow.log.lines, "event")
    found = found or _first(said.user_nav, slow.user_nav, "user NAV")
    if found:
        return found
    nav = said.nav
    if len(nav["ts_ns"]) != len(slow.nav):
        return f"{len(nav['ts_ns'])} NAV rows, the reference has {len(slow.nav)}"
    for name, column in nav.items():
        expected = np.array([row[name] for row in slow.nav], column.dtype)
        same = (column == expected) | ((column != column) & (expected != expected))
        if not same.all():
            row = int(same.argmin())
            place = {
                n: c[row].item() for n, c in nav.items() if n in ("sequence", "ordinal", "product")
            }
            return f"NAV {place}: {name} is {column[row]!r}, the reference says {expected[row]!r}"
    return None


def _first(ours: list[Any], theirs: list[Any], what: str) -> str | None:
    for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return f"{what} {place}:\n  heart     {one!r}\n  reference {other!r}"
    if len(ours) != len(theirs):
        more = (ours, theirs)[len(theirs) > len(ours)][min(len(ours), len(theirs))]
        return f"{what}: heart {len(ours)}, reference {len(theirs)}; the first more is {more!r}"
    return None


def agree(
    spec: EngineSpec,
    tape: Step,
    places: Iterable[int] = (),
    *,
    check: bool = True,
    slow: ReferenceEngine | None = None,
) -> Run:
    """Run both, assert one output log, and give back what the heart said; ``slow`` is the reference
    where it has run already."""
    said = run(spec, tape, places, check=check)
    found = difference(said, slow or reference(spec, tape))
    assert found is None, found
    return said
