"""What a product did last and why, a line each: the reason is the policy's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from engine.report.words import instant, number, priced

__all__ = ["MOST", "last_actions"]

Object = dict[str, Any]

_SHOWN: Final = 8
"""Actions of a product among others, the last ones."""
MOST: Final = 1_000
"""Actions of one product that was asked for."""
_DID: Final = {"rebalanced": "rebalanced", "deleveraged": "forced cut"}


def last_actions(events: Iterable[Object], most: int = _SHOWN) -> list[str]:
    """Of one product: its last trades, cuts, warnings and faults with their reasons, oldest first,
    and before them how many there were in all."""
    found: deque[str] = deque(maxlen=most)
    count = 0
    for event in events:
        if line := _line(event):
            found.append(line)
            count += 1
    if not found:
        return []
    head = f"What it did, and why{_of_how_many(len(found), count)}:"
    return [head, *(f"  {line}" for line in found)]


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
    if kind == "product_closed":
        return f"{_when(event)} closed at {priced(event['mark_price'])}: {event['reason']}"
    if kind == "policy_faulted":
        said = f"policy {event['policy']} faulted, safe mode {event['safe_mode']}"
        return f"{_when(event)} {said}: {event['error']}"
    return ""


def _when(event: Object) -> str:
    return instant(event["ts_ns"], seconds=True)
