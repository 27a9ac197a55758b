"""What an operator would send in a scenario's events, and a mark of each."""

from __future__ import annotations

from collections.abc import Sequence

from engine.commands import MarkScenario
from engine.events import Message
from engine.units import NEVER_NS
from feeds.scenarios.events import Scenario
from feeds.scenarios.timeline import Placed, Span

__all__ = ["messages_of"]


def messages_of(
    events: Sequence[Placed], scenarios: Sequence[Scenario], span: Span
) -> list[Message]:
    """All messages in order of time; at one instant the mark of an event comes first."""
    marks: list[Message] = [_mark(each, scenarios[each.scenario], span) for each in events]
    return sorted(marks, key=lambda message: message.ts_ns)


def _mark(placed: Placed, scenario: Scenario, span: Span) -> MarkScenario:
    event = placed.event
    return MarkScenario(
        ts_ns=max(placed.start_ns, span.first_ns),
        id=f"scenario:{placed.scenario}:{placed.number}",
        scenario=scenario.name,
        name=event.called,
        what=event.kind,
        until_ns=min(max(placed.end_ns, span.first_ns), NEVER_NS - 1),
        words=event.words,
    )
