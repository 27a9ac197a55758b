"""What a product did last and why, a line each: the reason is the policy's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from engine.report.words import instant, number

__all__ = ["last_actions"]

Object = dict[str, Any]

_SHOWN: Final = 8
"""Actions of a product, the last ones."""
_DID: Final = {"rebalanced": "rebalanced", "deleveraged": "forced cut"}


def last_actions(events: Iterable[Object]) -> dict[str, list[str]]:
    """By product: its last rebalances, cuts, warnings and faults, oldest first, and before them how
    many there were in all."""
    found: dict[str, deque[str]] = {}
    counts: dict[str, int] = {}
    for event in events:
        line = _line(event)
        if line:
            name = event["product"]
            found.setdefault(name, deque(maxlen=_SHOWN)).append(line)
            counts[name] = counts.get(name, 0) + 1
    return {
        name: [
            f"What it did, and why{_of_how_many(len(lines), counts[name])}:",
            *(f"  {line}" for line in lines),
        ]
        for name, lines in found.items()
    }


def _of_how_many(shown: int, count: int) -> str:
    return f" (the last {shown} of {count:,})" if shown < count else ""


def _line(event: Object) -> str:
    kind = event["event"]
    if kind in _DID:
        did = "opened" if event.get("opening") else _DID[kind]
        before, after = number(event["leverage_before"]), event["leverage_after"]
        to = number(after) if after is not None else "nothing left"
        return f"{_when(event)} {did} from {before} to {to}: {event['reason']}"
    if kind == "product_warned":
        return f"{_when(event)} warned: {event['reason']}"
    if kind == "policy_faulted":
        said = f"policy {event['policy']} faulted, safe mode {event['safe_mode']}"
        return f"{_when(event)} {said}: {event['error']}"
    return ""


def _when(event: Object) -> str:
    return instant(event["ts_ns"], seconds=True)
