"""A scenario put on a market: steps in, steps out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec import Struct

from engine.events import Message
from engine.ticks import Kind, Step
from feeds.merge import merge_requests
from feeds.scenarios.events import Scenario
from feeds.scenarios.messages import messages_of
from feeds.scenarios.movers import Mover, movers_of
from feeds.scenarios.prices import moved, scalers_of
from feeds.scenarios.timeline import Placed, ScenarioError, Span, placed

__all__ = ["Staging", "staged"]


class Staging(Struct, frozen=True):
    """Scenarios on a market, ready to be put into its rows any number of times.

    Attributes:
        events: in their places.
        messages: what is put among the rows, in order of time.
        symbols, kinds: names of the data's symbols, and what is recorded of each.
        movers: of prices.
    """

    events: tuple[Placed, ...]
    messages: tuple[Message, ...]
    symbols: tuple[str, ...]
    kinds: tuple[tuple[Kind, ...], ...]
    movers: tuple[Mover, ...]

    def steps(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The rows as the scenarios make them, with their messages; numbered from 0. What would
        come after the last row is left out."""
        for stage in self._stages():
            steps = stage(steps)
        return merge_requests(steps, self.messages, beyond=False)

    @property
    def moves_prices(self) -> bool:
        """Whether prices are not as they were: then levels of a book are left out."""
        return bool(self.movers) or any(
            getattr(each.event, "scale", 1.0) != 1.0 for each in self.events
        )

    def _stages(self) -> Iterator[Callable[[Iterator[Step]], Iterator[Step]]]:
        if self.moves_prices:
            yield self._moved

    def _moved(self, steps: Iterator[Step]) -> Iterator[Step]:
        scalers = list(scalers_of(self.events, self.symbols, self.kinds))
        sequence = 0
        for each in steps:
            step = each
            for scaler in scalers:
                step = scaler.applied(step)
            tables = tuple(
                moved(table, self.movers, self.symbols)
                for table in step.tables
                if table.KIND is not Kind.LEVEL
            )
            step = Step(first=step.first, end=step.end, tables=tables, messages=step.messages)
            if len(tables) < len(each.tables):
                step = _closed_up(step)
            step = step.shifted(sequence - step.first)
            sequence = step.end
            if len(step):
                yield step


def staged(
    scenarios: Sequence[Scenario],
    span: Span,
    symbols: Sequence[str],
    kinds: Sequence[tuple[Kind, ...]],
    seed: int,
) -> Staging:
    """Scenarios on a market: a pure function.

    Args:
        scenarios: one laid over the other.
        span: of the data.
        symbols, kinds: of the data, and what is recorded of each.
        seed: of the noise of scenarios that have none of their own.

    Raises:
        ScenarioError: with the place of what is wrong.
    """
    events = placed(scenarios, span)
    for each in events:
        for name in each.event.symbols:
            if name not in symbols:
                said = f'the data hold no symbol "{name}"; known are {", ".join(symbols)}'
                raise ScenarioError(each.scenario, ("events", each.number, "symbols"), said)
    seeds = [seed if one.seed is None else one.seed for one in scenarios]
    return Staging(
        events,
        tuple(messages_of(events, scenarios, span)),
        tuple(symbols),
        tuple(kinds),
        tuple(movers_of(events, span, seeds)),
    )


def _closed_up(step: Step) -> Step:
    """The rows that are left, numbered without holes from where they began."""
    places = [table.sequence for table in step.tables]
    places.append(np.array([sequence for sequence, _ in step.messages], np.int64))
    kept = np.sort(np.concatenate(places))
    tables = tuple(
        table.numbered(step.first + np.searchsorted(kept, table.sequence)) for table in step.tables
    )
    messages = tuple(
        (step.first + int(np.searchsorted(kept, sequence)), message)
        for sequence, message in step.messages
    )
    return Step(first=step.first, end=step.first + len(kept), tables=tables, messages=messages)
