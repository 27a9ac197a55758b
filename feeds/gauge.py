"""How far files have been read, as a share of their bytes.

Nobody knows how many rows a file holds before it is read to its end; how large it is, everybody
knows. Rows go out long after their bytes were read (a block at a time, several files merged), so
bytes are taken down with the count of rows read, and told when as many rows went out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.ticks import Step

__all__ = ["Gauge", "Track", "share_passed"]


class Track:
    """A value that rises with rows: known at some counts of them, told on the line between two."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks = deque([(0, 0.0)])

    def mark(self, rows: int, value: float) -> None:
        """The value at a count of rows; counts and values never fall."""
        self._marks.append((rows, value))

    def at(self, rows: int) -> float:
        """The value at a count; what was marked below it is forgotten."""
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= rows:
            marks.popleft()
        start, below = marks[0]
        if len(marks) == 1:
            return below
        end, above = marks[1]
        return below + (above - below) * (rows - start) / (end - start)


class Gauge:
    """How much of one input's files, as they lie on disk, is behind the rows that went out."""

    __slots__ = ("_gone", "_read", "_sizes", "_track")

    def __init__(self, paths: Sequence[str]) -> None:
        self._sizes = {path: Path(path).stat().st_size for path in paths}
        self._read = dict.fromkeys(paths, 0)
        self._track = Track()
        self._gone = 0

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(self._sizes.values())

    @property
    def passed(self) -> float:
        """Bytes behind the last row that went out; never fewer than before."""
        return self._track.at(self._gone)

    def reach(self, path: str, position: int) -> None:
        """A file has been read up to this byte."""
        self._read[path] = min(max(position, self._read[path]), self._sizes[path])

    def reach_part(self, path: str, done: int, parts: int) -> None:
        """So many of the parts of a file have been read, where parts are counted and not bytes."""
        self.reach(path, self._sizes[path] * done // parts)

    def watch(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The input's rows as they are read."""
        rows = 0
        for step in steps:
            rows += len(step)
            self._track.mark(rows, sum(self._read.values()))
            yield step
        self._track.mark(rows, self.total)

    def let_go(self, rows: int) -> None:
        """So many rows more went out."""
        self._gone += rows


def share_passed(gauges: Sequence[Gauge]) -> float:
    """What part of several inputs is behind the rows that went out, from 0.0 to 1.0."""
    return sum(gauge.passed for gauge in gauges) / max(sum(gauge.total for gauge in gauges), 1)
