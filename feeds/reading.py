"""One pass through a recording, which can tell how far it is."""

from __future__ import annotations

from collections.abc import Iterator

from engine.ticks import Step
from feeds.gauge import Track
from feeds.merge import rechunked

__all__ = ["Reading"]


class Reading:
    """The steps of one pass through a recording, and how far they are.

    Made of steps numbered from 0, each with the part of the input that lies behind its last row;
    gives steps of ``rows`` rows, the last one shorter; as they come for ``None``.

    Attributes:
        progress: share of the recording that lies behind the last row handed out; rises from 0.0,
            and is 1.0 when there is no more.
    """

    __slots__ = ("_steps", "_track", "progress")

    def __init__(self, steps: Iterator[tuple[Step, float]], rows: int | None) -> None:
        self.progress = 0.0
        self._track = Track()
        marked = self._marked(steps)
        self._steps = _numbered(marked) if rows is None else rechunked(marked, rows)

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        step = next(self._steps, None)
        if step is None:
            self.progress = 1.0
            raise StopIteration
        self.progress = self._track.at(step.end)
        return step

    def _marked(self, steps: Iterator[tuple[Step, float]]) -> Iterator[Step]:
        rows = 0
        for step, share in steps:
            rows += len(step)
            self._track.mark(rows, share)
            yield step
        self._track.mark(rows, 1.0)


def _numbered(steps: Iterator[Step]) -> Iterator[Step]:
    """Steps that are each numbered from 0, numbered on."""
    rows = 0
    for step in steps:
        yield step.shifted(rows)
        rows += len(step)
