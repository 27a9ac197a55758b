"""A scenario put on a market: steps in, steps out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from engine.events import Message
from engine.ticks import Kind, Step
from feeds.merge import merge_requests
from feeds.scenarios.arrivals import Arrivals
from feeds.scenarios.events import Scenario
from feeds.scenarios.feed_faults import Faults, closed_up
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
        seeds: of what is drawn, by scenario.
        movers: of prices.
    """

    events: tuple[Placed, ...]
    messages: tuple[Message, ...]
    symbols: tuple[str, ...]
    kinds: tuple[tuple[Kind, ...], ...]
    seeds: tuple[int, ...]
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
        if faults := Faults(self.events, self.symbols):
            yield faults.steps
        if arrivals := Arrivals(self.events, self.symbols, self.seeds):
            yield arrivals.steps

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
                step = closed_up(step)
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
    markets: Sequence[str] | None = None,
) -> Staging:
    """Scenarios on a market: a pure function.

    Args:
        scenarios: one laid over the other.
        span: of the data.
        symbols, kinds: of the data, and what is recorded of each.
        seed: of what is drawn for scenarios that have none of their own.
        markets: the symbols that are traded; all without.

    Raises:
        ScenarioError: with the place of what is wrong.
    """
    events = placed(scenarios, span)
    for each in events:
        for name in each.event.symbols:
            if name not in symbols:
                said = f'the data hold no symbol "{name}"; known are {", ".join(symbols)}'
                raise ScenarioError(each.scenario, ("events", each.number, "symbols"), said)
        if each.event.kind == "funding":
            _check_funded(each, symbols, kinds)
    seeds = tuple(seed if one.seed is None else one.seed for one in scenarios)
    return Staging(
        events,
        tuple(messages_of(events, scenarios, span, symbols if markets is None else markets)),
        tuple(symbols),
        tuple(kinds),
        seeds,
        tuple(movers_of(events, span, seeds)),
    )


def _check_funded(
    placed: Placed, symbols: Sequence[str], kinds: Sequence[tuple[Kind, ...]]
) -> None:
    """Rates can only be others where there are some."""
    own = placed.event.symbols or symbols
    for name, known in zip(symbols, kinds, strict=True):
        if name in own and Kind.FUNDING in known:
            return
    said = "the data hold no funding that could be another; set funding.rate_8h of the market"
    raise ScenarioError(placed.scenario, ("events", placed.number, "rate"), said)
