"""Black swans as data: what a scenario is, and how it becomes rows and messages.

A scenario is a list of events (``events``, a tagged union) that compose: two that say something of
the same price both hold, each factor multiplies. It is put on a market in one step, a pure function
of ``(scenarios, span of the data, seed)``:

1. ``timeline`` turns ``at = "2h"``, ``"50%"``, a date or ``after = "shock"`` into instants.
2. ``movers`` makes of each event that moves a price a factor, a function of a row's own time; noise
   is drawn for cells of a grid, keyed by seed, scenario and event.
3. ``troubles`` drops, repeats, holds back and distorts rows.
4. ``messages`` makes of the others what an operator would send, and a ``MarkScenario`` of each.
5. ``staging`` puts all of it into a stream of steps; the rows are the same however it is cut.

An event that begins at ``t`` concerns rows later than ``t``, up to and with those at its end; one
that begins with the data concerns the first row too. What is a setting (a fund's size, a crowd of
holders) is laid over the run's configuration by ``engine.config.scened``.
"""

from __future__ import annotations

from feeds.scenarios.events import Event, Scenario
from feeds.scenarios.staging import Staging, staged
from feeds.scenarios.timeline import Placed, ScenarioError, Span, placed

__all__ = [
    "Event",
    "Placed",
    "Scenario",
    "ScenarioError",
    "Span",
    "Staging",
    "placed",
    "staged",
]
