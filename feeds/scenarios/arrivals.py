"""Rows that arrive later than they should, or twice.

Rows are put in order of (key, number, copy): the key of a row is the latest time of all rows up to
it, plus what it is held back; its number is its place in the input. A row is handed out once the
rows have come as far as its key, so no cut of the stream can change the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from engine.durations import duration_ns
from engine.ticks import Step, Table
from feeds.merge import reordered, row_times
from feeds.scenarios.mishaps import Delay, Duplicate, Late
from feeds.scenarios.rows import KINDS, Flags, chosen, within
from feeds.scenarios.timeline import Placed

__all__ = ["Arrivals"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
_BEGINNING = -(2**63)


class Arrivals:
    """Holds rows back and repeats them, in one pass of steps.

    Args:
        events: in their places.
        symbols: of the data.
        seeds: by scenario.
    """

    def __init__(
        self, events: Sequence[Placed], symbols: Sequence[str], seeds: Sequence[int]
    ) -> None:
        self._events = [e for e in events if isinstance(e.event, Delay | Late | Duplicate)]
        self._symbols, self._seeds = symbols, seeds
        self._reached = _BEGINNING
        self._held = Step(first=0, end=0)
        self._keys = np.empty((3, 0), np.int64)

    def __bool__(self) -> bool:
        return bool(self._events)

    def steps(self, steps: Iterator[Step]) -> Iterator[Step]:
        """All rows in the order in which they arrive, numbered from 0."""
        sequence = 0
        for step in steps:
            if not len(step):
                continue
            ready = self._taken(step)
            if len(ready):
                yield ready.shifted(sequence)
                sequence += len(ready)
        if len(self._held):
            yield self._sorted([self._held], self._keys)[0].shifted(sequence)

    def _taken(self, step: Step) -> Step:
        """What is to be handed out once this step is there."""
        times = row_times(step)
        times[0] = max(int(times[0]), self._reached)
        run = np.maximum.accumulate(times)
        self._reached = int(run[-1])
        key, twice = run.copy(), np.zeros(len(step), bool)
        for placed in self._events:
            flags = self._concerned(step, placed)
            event = placed.event
            if isinstance(event, Duplicate):
                twice |= flags
            elif isinstance(event, Delay | Late):
                key[flags] += duration_ns(event.by)
        own, number = step.shifted(-step.first), np.arange(step.first, step.end)
        parts, keys = [self._held, own], [self._keys, np.stack([key, number, 0 * number])]
        if twice.any():
            again = _picked(own, twice)
            parts.append(again)
            keys.append(np.stack([key[twice], number[twice], 1 + 0 * number[twice]]))
        whole, ordered = self._sorted(parts, np.concatenate(keys, axis=1))
        count = int(np.searchsorted(ordered[0], self._reached, "right"))
        self._held = whole.between(count, len(whole)).shifted(-count)
        self._keys = ordered[:, count:]
        return whole.between(0, count)

    def _sorted(self, parts: list[Step], keys: I64) -> tuple[Step, I64]:
        order = np.lexsort((keys[2], keys[1], keys[0]))
        place_of = np.empty(len(order), np.int64)
        place_of[order] = np.arange(len(order))
        return reordered(parts, place_of), keys[:, order]

    def _concerned(self, step: Step, placed: Placed) -> Flags:
        """Shape (len(step),): the rows that an event is about."""
        event = placed.event
        assert isinstance(event, Delay | Late | Duplicate)
        kinds = [KINDS[name] for name in event.rows]
        flags = np.zeros(len(step), bool)
        for table in step.tables:
            if kinds and table.KIND not in kinds:
                continue
            own = within(table, placed, self._symbols)
            if not own.any():
                continue
            if not isinstance(event, Delay):
                stream = crc32(f"{placed.scenario}/{placed.number}/{event.called}".encode())
                seed = self._seeds[placed.scenario]
                own &= chosen(table.sequence, event.share, seed, stream)
            flags[table.sequence[own] - step.first] = True
        return flags


def _picked(step: Step, flags: Flags) -> Step:
    """The rows of a step, which is numbered from 0, that are flagged; numbered from 0."""
    place = np.cumsum(flags) - 1
    tables: list[Table] = []
    for table in step.tables:
        own = flags[table.sequence]
        if own.any():
            taken = table.take(own)
            tables.append(taken.numbered(place[taken.sequence]))
    messages = tuple((int(place[s]), m) for s, m in step.messages if flags[s])
    return Step(first=0, end=int(flags.sum()), tables=tuple(tables), messages=messages)
