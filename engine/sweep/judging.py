"""How far screening is from the full engine: the same paths, by both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.sweep.driver import read_chunk
from engine.sweep.plan import Plan
from engine.sweep.store import Store

__all__ = ["JUDGED", "judged"]

JUDGED: Final = 200
"""Paths that the engine judges, at every point: the first ones."""


def judged(plan: Plan, screened: Store, sample: Plan, engine: Store) -> list[dict[str, Any]]:
    """By point and product, what frictions took from NAV on the sample: screened less engine.

    ``bias`` is the mean, ``error`` the magnitude that 95 % of the paths stay within, ``error_max``
    the largest; of NAV per unit.
    """
    true = dict(_navs(sample, engine))
    gaps: dict[tuple[int, str], list[float]] = {}
    for (point, path, product), nav in _navs(plan, screened, sample.paths):
        other = true.get((point, path, product))
        if other is not None:
            gaps.setdefault((point, product), []).append(nav - other)
    return [
        {
            "point": point,
            "product": product,
            "label": plan.label(point, product),
            "paths": len(own),
            "bias": math.fsum(own) / len(own),
            "error": float(np.sort(np.abs(own))[math.ceil(0.95 * len(own)) - 1]),
            "error_max": float(np.abs(own).max()),
        }
        for (point, product), own in sorted(gaps.items())
        if plan.first_of(point, product) == point
    ]


def _navs(
    plan: Plan, store: Store, paths: int | None = None
) -> Iterator[tuple[tuple[int, int, str], float]]:
    """NAV at the end by point, path and product, of the first ``paths``."""
    for chunk in plan.chunks:
        if paths is not None and chunk.path >= paths:
            continue
        table: pa.Table = read_chunk(store.finished[chunk.number].read_bytes())
        columns = [table[name].to_pylist() for name in ("point", "path", "product", "nav_end")]
        for point, path, product, nav in zip(*columns, strict=True):
            if nav is not None and (paths is None or path < paths):
                yield (point, path, product), nav
