"""How far a run is, for who waits: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from engine.api import Told

__all__ = ["Lines", "Pace", "duration", "progress", "rate"]

Clock = Callable[[], float]

EVERY_SECONDS: Final = 5.0
"""Between two plain lines."""
_BAR_WIDTH: Final = 12


class Pace:
    """Rows a second and time left, from what a run tells.

    Both count from the first telling: what comes before it, opening files, is no guide to the rest.
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._first: tuple[float, int, float] | None = None
        self._rows, self._ts_ns, self._share, self._seconds = 0, 0, 0.0, 0.0
        self._again = False

    def told(self, rows: int, ts_ns: int, share: float) -> None:
        """What the run tells after a step."""
        now = self._clock()
        if self._first is None:
            self._first = (now, rows, share)
        self._again |= ts_ns < self._ts_ns
        self._rows, self._ts_ns, self._share = rows, ts_ns, share
        self._seconds = now - self._first[0]

    @property
    def share(self) -> float:
        """How much of the run is done, from 0.0 to 1.0."""
        return self._share

    @property
    def left_seconds(self) -> float | None:
        """Until the end at the pace so far; ``None`` before there is one."""
        done = self._share - self._first[2] if self._first else 0.0
        return self._seconds * (1.0 - self._share) / done if done > 0.0 else None

    def __str__(self) -> str:
        """`` 42 %  12,345,678 ticks at 20.1M/s  2024-08-08 12:34Z  ETA 0:12``."""
        count = f"{self._rows:,} ticks"
        if self._first is not None and self._seconds > 0.0:
            count += f" at {rate((self._rows - self._first[1]) / self._seconds)}/s"
        parts = [f"{int(100 * self._share):3d} %", count]
        if self._ts_ns:
            shown = datetime.fromtimestamp(self._ts_ns // 10**9, UTC)
            parts.append(f"{shown:%Y-%m-%d %H:%MZ}" + " (again)" * self._again)
        left = self.left_seconds
        parts.append(f"ETA {'-:--' if left is None else duration(left)}")
        return "  ".join(parts)


class Lines:
    """Progress as plain lines, one every few seconds."""

    def __init__(self, write: Callable[[str], object], clock: Clock = time.perf_counter) -> None:
        self._write, self._clock = write, clock
        self._pace = Pace(clock)
        self._began = self._said = clock()

    def told(self, rows: int, ts_ns: int, share: float) -> None:
        """A line, if the last one is old."""
        self._pace.told(rows, ts_ns, share)
        now = self._clock()
        if now - self._said >= EVERY_SECONDS:
            self._said = now
            self._write(f"  {self._pace}\n")

    def close(self) -> None:
        """The last line, with the time taken."""
        self._write(f"  done in {self._clock() - self._began:.1f} s\n")


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Told | None]:
    """Shows on stderr what is done and how far it is."""
    if quiet:
        yield None
        return
    sys.stderr.write(f"{what}\n")
    if sys.stderr.isatty():
        with _bar() as told:
            yield told
    else:
        lines = Lines(sys.stderr.write)
        yield lines.told
        lines.close()


@contextmanager
def _bar() -> Iterator[Told]:
    """A bar while it goes on; nothing is left of it afterwards."""
    columns = (BarColumn(bar_width=_BAR_WIDTH), TextColumn("{task.fields[pace]}"))
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=None, pace="opening")
    pace = Pace()

    def told(rows: int, ts_ns: int, share: float) -> None:
        pace.told(rows, ts_ns, share)
        bar.update(task, total=1.0, completed=share, pace=pace)

    with bar:
        yield told


def rate(per_second: float) -> str:
    """``20.1M``, ``412k``."""
    return f"{per_second / 1e6:.1f}M" if per_second >= 1e6 else f"{per_second / 1e3:.0f}k"


def duration(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
