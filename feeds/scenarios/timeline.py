"""When the events of scenarios begin and end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from msgspec import Struct

from engine.durations import duration_ns
from engine.errors import ConfigError
from engine.units import NEVER_NS
from feeds.requests import parse_time
from feeds.scenarios.events import Event, Scenario

__all__ = ["EVENTS_MAX", "Placed", "ScenarioError", "Span", "placed"]

_PARTS: Final = re.compile(r"[0-9.]+[a-z]+")
EVENTS_MAX: Final = 10_000
"""Of all scenarios of a run together."""
Where = tuple[str | int, ...]


class ScenarioError(ConfigError):
    """A scenario that cannot be used; who read the file adds the line.

    Attributes:
        scenario: place among the run's scenarios.
        path: where in it.
        sentence: what is wrong.
    """

    def __init__(self, scenario: int, path: Where, sentence: str) -> None:
        super().__init__(sentence)
        self.scenario = scenario
        self.path = path
        self.sentence = sentence


class Span:
    """From when to when the data are; the end is looked up only if somebody asks.

    Args:
        first_ns: time of the first row.
        last_ns: tells the time of the last one.
    """

    def __init__(self, first_ns: int, last_ns: Callable[[], int]) -> None:
        self.first_ns = first_ns
        self._last_ns = last_ns

    @cached_property
    def last_ns(self) -> int:
        """Time of the last row."""
        return self._last_ns()

    def share_ns(self, text: str) -> int:
        """``"50%"`` of the span in ns."""
        return round((self.last_ns - self.first_ns) * float(text.rstrip("%")) / 100.0)


class Placed(Struct, frozen=True):
    """An event in its place.

    Attributes:
        scenario, number: places of the scenario in the run, and of the event in it.
        start_ns, end_ns: it concerns rows later than the first, up to and with the second.
        of: the move that a rebound takes back, as a share of the price (-0.4); else 0.
    """

    scenario: int
    number: int
    event: Event
    start_ns: int
    end_ns: int
    of: float = 0.0

    @property
    def is_instant(self) -> bool:
        """Whether it is over at once."""
        return self.end_ns == self.start_ns


def placed(scenarios: Sequence[Scenario], span: Span) -> tuple[Placed, ...]:
    """All events of the scenarios with their times, in the order in which they are listed.

    Raises:
        ScenarioError: a time that is none, a name that nobody has, a circle of ``after``, and what
            the events themselves find wrong.
    """
    count = sum(len(scenario.events) for scenario in scenarios)
    if count > EVENTS_MAX:
        first = next(n for n, each in enumerate(scenarios) if each.events)
        raise ScenarioError(first, ("events",), f"{count:,} events; {EVENTS_MAX:,} at most")
    names: set[str] = set()
    for number, scenario in enumerate(scenarios):
        for place, event in enumerate(scenario.events):
            for field, sentence in event.flaws():
                raise ScenarioError(number, ("events", place, field), f"{field} {sentence}")
            if event.name and event.name in names:
                said = f'name "{event.name}" is taken; each event needs its own'
                raise ScenarioError(number, ("events", place, "name"), said)
            names.add(event.name)
    return _Timeline(scenarios, span).all()


class _Timeline:
    """Works out one event after the other, each on first need."""

    def __init__(self, scenarios: Sequence[Scenario], span: Span) -> None:
        self.scenarios, self.span = scenarios, span
        self.keys = [(n, p) for n, each in enumerate(scenarios) for p in range(len(each.events))]
        self.named = {self._event(key).name: key for key in self.keys if self._event(key).name}
        self.done: dict[tuple[int, int], Placed] = {}

    def all(self) -> tuple[Placed, ...]:
        return tuple(self._placed(key) for key in self.keys)

    def _event(self, key: tuple[int, int]) -> Event:
        return self.scenarios[key[0]].events[key[1]]

    def _placed(self, key: tuple[int, int]) -> Placed:
        """Follows ``after`` to an event that is placed, then comes back."""
        way: list[tuple[int, int]] = []
        while key not in self.done:
            if key in way:
                said = " after ".join(
                    self._event(each).called for each in [*way[way.index(key) :], key]
                )
                raise self._error(key, "after", f"a circle: {said}")
            way.append(key)
            event = self._event(key)
            if not event.after:
                break
            key = self._found(key, "after", event.after)
        for each in reversed(way):
            self.done[each] = self._place(each)
        return self.done[way[0] if way else key]

    def _place(self, key: tuple[int, int]) -> Placed:
        event = self._event(key)
        start_ns = self._start(key, event)
        if start_ns == self.span.first_ns:
            start_ns -= 1  # the first row is concerned, too
        if start_ns >= NEVER_NS:
            raise self._error(key, "at", f'at is "{event.at}", later than time can be told')
        length = event.length
        took_ns = self._length(length) if length else 0
        end_ns = NEVER_NS if length is None else start_ns + took_ns
        end_ns = min(end_ns, NEVER_NS)
        if end_ns == start_ns and length:
            field = "over" if hasattr(event, "over") else "duration"
            raise self._error(key, field, f'{field} is "{length}": it must take some time')
        return Placed(*key, event, start_ns, end_ns, self._move(key, event))

    def _start(self, key: tuple[int, int], event: Event) -> int:
        if event.after:
            before = self.done[self._found(key, "after", event.after)]
            if before.end_ns == NEVER_NS:
                said = f'"{event.after}" lasts to the end of the data; nothing comes after it'
                raise self._error(key, "after", said)
            if event.at is not None and not _is_relative(event.at):
                said = f'after "{event.after}", at is a time after its end such as "5m", was '
                raise self._error(key, "at", f'{said}"{event.at}"')
            return before.end_ns + (self._length(event.at) if event.at else 0)
        at = event.at or "0s"
        if _is_relative(at):
            return self.span.first_ns + self._length(at)
        try:
            at_ns = parse_time(at)
        except ValueError as error:
            raise self._error(key, "at", str(error).replace("ts ", "at ", 1)) from None
        if at_ns < self.span.first_ns:
            raise self._error(key, "at", f'at is "{at}", and the data begin later')
        return at_ns

    def _length(self, text: str) -> int:
        text = text.removeprefix("+")
        return self.span.share_ns(text) if text.endswith("%") else _together_ns(text)

    def _move(self, key: tuple[int, int], event: Event) -> float:
        """What a rebound takes back."""
        if event.kind != "rebound":
            return 0.0
        name = getattr(event, "of", "")
        if name:
            key_of = self._found(key, "of", name)
        else:
            above = [
                k for k in self.keys[: self.keys.index(key)] if hasattr(self._event(k), "depth_pct")
            ]
            if not above:
                raise self._error(key, "of", "there is no shock or gap above to take back")
            key_of = above[-1]
        depth = getattr(self._event(key_of), "depth_pct", None)
        if depth is None:
            raise self._error(key, "of", f'"{name}" is no shock or gap')
        return float(depth) / 100.0

    def _found(self, key: tuple[int, int], field: str, name: str) -> tuple[int, int]:
        """The event of that name, or the last above of that kind."""
        if name in self.named:
            return self.named[name]
        above = self.keys[: self.keys.index(key)]
        kinds = [each for each in above if self._event(each).kind == name]
        if kinds:
            return kinds[-1]
        known = dict.fromkeys([*self.named, *(self._event(each).kind for each in above)])
        told = f"; known are {', '.join(known)}" if known else "; no event stands above it"
        raise self._error(key, field, f'{field} is "{name}", which is no event{told}')

    def _error(self, key: tuple[int, int], field: str, sentence: str) -> ScenarioError:
        return ScenarioError(key[0], ("events", key[1], field), sentence)


def _together_ns(text: str) -> int:
    """``"2h4m"`` in ns."""
    return sum(duration_ns(part) for part in _PARTS.findall(text))


def _is_relative(at: str) -> bool:
    return at[-1] in "smhd%" and "-" not in at
