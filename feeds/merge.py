"""Several inputs become one, in one order that no cutting into blocks can change.

A source keeps its own order. Rows of several sources are ordered by (key, place of the source,
place in the source), where the key is the running maximum of ``ts_ns`` within the source: a late
row stays where it came. All that is below the smallest key any source could still bring is merged
at once, so the work is done on whole blocks, and a source is opened no sooner than the merge
reaches its first row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.events import Message
from engine.ticks import TABLES, Kind, Step, Table
from feeds.requests import load_requests

__all__ = [
    "MergeSource",
    "concatenated",
    "load_requests",
    "merge",
    "merge_requests",
    "rechunked",
    "reordered",
    "row_times",
]

I64 = np.ndarray[Any, np.dtype[np.int64]]
_BEGINNING: Final = -(2**63)


class MergeSource(Struct, frozen=True):
    """One input of a merge.

    Attributes:
        first_ns: no key of it is smaller; earlier times count as this.
        steps: opens it and yields its rows in blocks, each numbered from 0.
        taken: told how many of its rows went into a step of the merge.
    """

    first_ns: int
    steps: Callable[[], Iterator[Step]]
    taken: Callable[[int], None] = lambda _rows: None


class _Open:
    """A source that is being read: its waiting rows and their keys."""

    def __init__(self, source: MergeSource) -> None:
        self._steps = source.steps()
        self._taken = source.taken
        self._reached = source.first_ns
        self.step = Step(first=0, end=0)
        self.keys: I64 = np.empty(0, np.int64)
        self.more = self.fill()

    def fill(self) -> bool:
        """Read the next block once all waiting rows are taken; ``False`` at the end."""
        while not len(self.step):
            step = next(self._steps, None)
            if step is None:
                self.more = False
                return False
            if len(step):
                self.step = step
                times = row_times(step)
                times[0] = max(int(times[0]), self._reached)
                self.keys = np.maximum.accumulate(times)
                self._reached = int(self.keys[-1])
        return True

    def take(self, count: int) -> tuple[Step, I64]:
        """The next ``count`` waiting rows, numbered from 0."""
        self._taken(count)
        taken = self.step.between(0, count)
        rest = self.step.between(count, len(self.step)).shifted(-count)
        keys, self.keys = self.keys[:count], self.keys[count:]
        self.step = rest
        return taken, keys


def row_times(step: Step) -> I64:
    """Shape (len(step),): ``ts_ns`` of each row in input order, 0 for a message without a time:
    under a running maximum it takes the time of the row before."""
    times = np.zeros(len(step), np.int64)
    for table in step.tables:
        times[table.sequence - step.first] = table.ts_ns
    for sequence, message in step.messages:
        times[sequence - step.first] = message.ts_ns
    return times


def merge(sources: Sequence[MergeSource]) -> Iterator[Step]:
    """All rows of the sources, each step numbered from 0.

    Steps are as long as it happens; ``rechunked`` makes them even and numbers them.
    """
    if len(sources) == 1:
        for step in sources[0].steps():
            if len(step):
                sources[0].taken(len(step))
                yield step
        return
    waiting = sorted(range(len(sources)), key=lambda i: (sources[i].first_ns, i), reverse=True)
    reading: dict[int, _Open] = {}
    while waiting or reading:
        if waiting:
            first = (sources[waiting[-1]].first_ns, waiting[-1])
            bound = min(((int(o.keys[-1]), i) for i, o in reading.items()), default=None)
            if bound is None or first < bound:
                place = waiting.pop()
                opened = _Open(sources[place])
                if opened.more:
                    reading[place] = opened
                continue
        if not waiting and len(reading) == 1:
            yield from _rest(next(iter(reading.values())))
            return
        yield _below(reading, min((int(o.keys[-1]), i) for i, o in reading.items()))
        for place in [i for i, o in reading.items() if not o.fill()]:
            del reading[place]


def _rest(source: _Open) -> Iterator[Step]:
    while source.more:
        yield source.take(len(source.step))[0]
        source.fill()


def _below(reading: dict[int, _Open], bound: tuple[int, int]) -> Step:
    """The waiting rows up to the bound, merged: the source of the bound gives all it has."""
    key, last = bound
    steps, keys = [], []
    for place in sorted(reading):
        source = reading[place]
        side: Any = "right" if place <= last else "left"
        count = int(np.searchsorted(source.keys, key, side))
        if count:
            step, its_keys = source.take(count)
            steps.append(step)
            keys.append(its_keys)
    if len(steps) == 1:
        return steps[0]
    order = np.argsort(np.concatenate(keys), kind="stable")
    place_of = np.empty(len(order), np.int64)
    place_of[order] = np.arange(len(order))
    return reordered(steps, place_of)


def reordered(steps: Sequence[Step], place_of: I64) -> Step:
    """The rows of all steps, row ``i`` of their concatenation moved to ``place_of[i]``."""
    tables: dict[Kind, list[Table]] = {}
    messages: list[tuple[int, Message]] = []
    start = 0
    for step in steps:
        for table in step.tables:
            moved = table.numbered(place_of[table.sequence + start])
            tables.setdefault(table.KIND, []).append(moved)
        messages += [(int(place_of[s + start]), m) for s, m in step.messages]
        start += len(step)
    merged = []
    for kind in sorted(tables):
        same = tables[kind]
        if not all(isinstance(table.symbol, int) for table in same):
            same = [table.replaced(symbol=table.symbols()) for table in same]
        table = TABLES[kind].concatenated(same)
        if len(tables[kind]) > 1:
            table = table.take(np.argsort(table.sequence, kind="stable"))
        merged.append(table)
    messages.sort(key=lambda pair: pair[0])
    return Step(first=0, end=start, tables=tuple(merged), messages=tuple(messages))


def concatenated(steps: Sequence[Step]) -> Step:
    """The rows of steps that are each numbered from 0, one after the other, numbered from 0."""
    if len(steps) == 1:
        return steps[0]
    tables: dict[Kind, list[Table]] = {}
    messages: list[tuple[int, Message]] = []
    start = 0
    for step in steps:
        moved = step.shifted(start)
        for table in moved.tables:
            tables.setdefault(table.KIND, []).append(table)
        messages += moved.messages
        start += len(step)
    merged = tuple(TABLES[kind].concatenated(tables[kind]) for kind in sorted(tables))
    return Step(first=0, end=start, tables=merged, messages=tuple(messages))


def rechunked(steps: Iterator[Step], rows: int) -> Iterator[Step]:
    """The same rows in steps of exactly ``rows`` rows (the last one shorter), numbered on from
    0."""
    sequence = 0
    held: list[Step] = []
    count = 0
    for step in steps:
        held.append(step)
        count += len(step)
        if count < rows:
            continue
        whole = concatenated(held)
        for start in range(0, count - rows + 1, rows):
            yield whole.between(start, start + rows).shifted(sequence - start)
            sequence += rows
        cut = count - count % rows
        held = [whole.between(cut, count).shifted(-cut)] if cut < count else []
        count -= cut
    if count:
        yield concatenated(held).shifted(sequence)


def merge_requests(
    steps: Iterator[Step], requests: Sequence[Message], *, beyond: bool = True
) -> Iterator[Step]:
    """The steps with requests between their rows.

    A request comes after all rows whose running maximum of ``ts_ns`` is not later than its own;
    those of one instant keep their order in ``requests``. It takes a sequence of its own, and the
    rows after it move back by one. Those later than the last row come after it, or not at all where
    nothing is wanted ``beyond`` it.
    """
    pending = sorted(requests, key=lambda request: request.ts_ns)
    done = 0
    reached = _BEGINNING
    for step in steps:
        if done == len(pending):
            yield step.shifted(done)
            continue
        times = row_times(step)
        times[0] = max(int(times[0]), reached)
        keys = np.maximum.accumulate(times)
        reached = int(keys[-1])
        begin = step.first
        # A request is placed once a later row is seen, so that a step's end does not matter.
        while done < len(pending) and pending[done].ts_ns < reached:
            cut = step.first + int(np.searchsorted(keys, pending[done].ts_ns, "right"))
            if begin < cut:
                yield step.between(begin, cut).shifted(done)
            begin = cut
            yield _message(cut + done, pending[done])
            done += 1
        if begin < step.end:
            yield step.between(begin, step.end).shifted(done)
        last = step.end
    if not beyond:
        pending = [request for request in pending if request.ts_ns <= reached]
    if done < len(pending):
        end = (last if reached != _BEGINNING else 0) + done
        for place, request in enumerate(pending[done:]):
            yield _message(end + place, request)


def _message(sequence: int, message: Message) -> Step:
    return Step(first=sequence, end=sequence + 1, messages=((sequence, message),))
