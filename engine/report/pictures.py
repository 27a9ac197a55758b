"""The data of the pictures, in steps: what the page hands to Bokeh when a product is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.report.reading import Run
from engine.report.thinning import F64, Curve
from engine.report.waterfall import bars_of
from engine.report.words import money, percent, priced
from engine.units import asset_decimals

__all__ = ["WHAT", "in_steps", "pictures_of", "trades_of"]

Object = dict[str, Any]

_TRADES: Final = 900
"""Marked trades of all products together."""
_MANY: Final = 40
_STEPS: Final = 2**18
"""Of a range: eight hundred a pixel, so that one may look closer."""
_STEP_MS: Final = 1.0
"""Of times; of a run that is over soon, less."""
WHAT: Final = {
    "rebalanced": "Rebalance",
    "deleveraged": "Forced cut",
    "product_closed": "Closed",
    "policy_faulted": "Policy fault",
}
"""The events that show, in words."""


def pictures_of(run: Run) -> Object:
    """By product and data source: the columns. ``times`` are the edges of the time axis, in ms."""
    products = run.summary["products"]
    launched = [products[name]["launched_ns"] for name in run.curves]
    edges = [min(launched, default=0) / 1e6, run.summary["end_ns"] / 1e6]
    return {
        "times": edges,
        "products": {name: _of_product(name, run) for name in run.curves},
    }


def _of_product(name: str, run: Run) -> Object:
    curves = run.curves[name]
    return {
        "value": _stepped(curves["value"]),
        "leverage": _stepped(curves["leverage"]),
        "underwater": _stepped(curves["underwater"]),
        "target": _targets(run, name),
        "trades": _trades(run, name),
        "marks": _marks(run),
        **_waterfall(run.summary["products"][name]),
    }


def _stepped(curve: Curve) -> Object:
    times = curve.ts_ns.astype(np.float64) / 1e6
    width = float(times[-1] - times[0]) if len(times) else 0.0
    ticked = in_steps(times, min(_STEP_MS, width / _STEPS) or _STEP_MS)
    return {"t": ticked, **{name: in_steps(v) for name, v in curve.series.items()}}


def in_steps(values: F64, step: float | None = None) -> Object:
    """Numbers as whole steps from the one before, ``None`` where undefined; lowest, highest, first
    and last as they are.

    1, 3 and 2 are 0, 262,144 and -131,072 steps.

    Args:
        values: what to say, shape (n,).
        step: its size; by default a ``_STEPS``-th of the range.
    """
    known = values[np.isfinite(values)]
    low = float(known.min()) if len(known) else 0.0
    if step is None:
        step = (float(known.max()) - low) / _STEPS if len(known) else 0.0
    counts = np.rint((known - low) / (step or 1.0)).astype(np.int64)
    moved = iter(np.diff(counts, prepend=0).tolist())
    steps = [next(moved) if finite else None for finite in np.isfinite(values).tolist()]
    ends = [_plain(values[0]), _plain(values[-1])] if len(values) else []
    return {"low": low, "step": step, "ends": ends, "steps": steps}


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _targets(run: Run, name: str) -> Object:
    """Promised leverage as steps: from each trade to the next, to the end of the run."""
    steps = [(e["decided_ns"], e["target"]) for e in run.events[name] if "target" in e]
    thin = _evenly(steps, 2 * max(1, _TRADES // len(run.curves)))
    if thin:
        closed = [e["ts_ns"] for e in run.events[name] if e["event"] == "product_closed"]
        thin.append((closed[0] if closed else run.summary["end_ns"], thin[-1][1]))
    return {"t": [ts / 1e6 for ts, _ in thin], "target": [target for _, target in thin]}


def _evenly(items: Sequence[Any], limit: int) -> list[Any]:
    if len(items) <= limit:
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]


def trades_of(run: Run, name: str, limit: int) -> list[Object]:
    """The events that show in the picture, without the opening trade: of too many those that moved
    leverage most, in order."""
    events = [e for e in run.events[name] if not e.get("opening")]
    size = sorted(range(len(events)), key=lambda i: -_moved(events[i]))
    return [events[i] for i in sorted(size[:limit])]


def _moved(event: Object) -> float:
    before, after = event.get("leverage_before"), event.get("leverage_after")
    if before is None or after is None:
        return math.inf
    return float(abs(after - before))


def _trades(run: Run, name: str) -> Object:
    limit = max(16, _TRADES // max(1, len(run.curves)))
    events = trades_of(run, name, limit)
    asset = run.settled_in(name)
    scale = 10.0 ** -asset_decimals(asset)
    return {
        "t": [e["ts_ns"] / 1e6 for e in events],
        "before": [e.get("leverage_before") for e in events],
        "after": [e.get("leverage_after") or 0.0 for e in events],
        "color": ["sum" if e["event"] == "rebalanced" else "forced" for e in events],
        "marker": [_marker(e["event"]) for e in events],
        "size": [_size(e["event"], len(events)) for e in events],
        "what": [WHAT[e["event"]] for e in events],
        "reason": [e.get("reason") or e.get("error", "") for e in events],
        "mark": [priced(e["mark_price"]) if "mark_price" in e else "" for e in events],
        "cost": [
            money(e["cost_atoms"] * scale, asset) if "cost_atoms" in e else "" for e in events
        ],
    }


def _marker(kind: str) -> str:
    return {"rebalanced": "circle", "deleveraged": "inverted_triangle"}.get(kind, "x")


def _size(kind: str, count: int) -> int:
    """Where many stand together the rare ones stay large."""
    return 9 if kind != "rebalanced" or count <= _MANY else 5


def _waterfall(product: Object) -> Object:
    bars = bars_of(product)
    names = [bar.name[0].upper() + bar.name[1:] for bar in bars]
    low = min(0.0, *(min(bar.left, bar.right) for bar in bars))
    high = max(0.0, *(max(bar.left, bar.right) for bar in bars))
    width = (high - low) or 1.0
    colors = [
        ("gain" if bar.amount > 0 else "loss") if bar.kind == "part" else "sum" for bar in bars
    ]
    return {
        "waterfall": {
            "name": names,
            "left": [bar.left for bar in bars],
            "right": [bar.right for bar in bars],
            "edge": [max(bar.left, bar.right) for bar in bars],
            "color": colors,
            "text": [percent(bar.amount, 1 if abs(bar.amount) >= 0.0095 else 2) for bar in bars],
        },
        "causes": names[::-1],
        "amounts": [low - 0.04 * width, high],
    }


def _marks(run: Run) -> Object:
    """Where the scenarios' events begin, for the pictures: ``t`` in ms, and what each is."""
    return {
        "t": [ts_ns / 1e6 for ts_ns, _ in run.happened],
        "what": [words for _, words in run.happened],
    }
