"""Which times are believed: no single stamp moves the clock far.

The clock is the latest time believed so far, over all kinds, symbols and requests.

- A row stamped within 1970 is never believed: it was never set, or meant in another unit. The first
  other row sets the clock.
- A row up to three days ahead of the clock is believed, also when its price is refused later.
- A row further ahead is believed once it is the third in a row of those, each within three days of
  the one before; the first two are refused. So a true gap costs two rows, and weekly bars, whose
  ticks lie 56 hours apart, cost none.
- A row more than ten years ahead is never believed.
- A request sets no clock and confirms nothing, neither does a command: before the first row, or
  more than three days ahead, it is refused.

A block without a leap costs one look at its latest time.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.events import Dated
from engine.soundness import CONFIRMATIONS, highest
from engine.ticks import Step
from engine.units import DAY_NS, NEVER_NS

__all__ = ["EPOCH_END_NS", "LEAP_NS", "LEAP_NS_MAX", "Clock", "silences"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

LEAP_NS: Final = 3 * DAY_NS
"""How far ahead a single row is believed."""
LEAP_NS_MAX: Final = 3_653 * DAY_NS
"""How far ahead any number of rows is believed: ten years."""
EPOCH_END_NS: Final = 365 * DAY_NS
"""Within 1970 lie clocks that were never set, and times in s, ms or us."""
_NONE: Final[dict[int, str]] = {}


class Clock(Struct):
    """The latest time believed, and the leap that waits to be confirmed."""

    time_ns: int = 0
    suspect_ns: int = 0
    suspects: int = 0

    def refused(self, step: Step, engine_ns: int) -> dict[int, str]:
        """Reasons by sequence of the rows and requests whose time is not believed.

        Args:
            engine_ns: engine time before the step, which live ticks may have moved.
        """
        self.catch_up(engine_ns)
        last = max((highest(table.ts_ns) for table in step.tables), default=self.time_ns)
        asked = [
            (sequence, message.ts_ns)
            for sequence, message in step.messages
            if isinstance(message, Dated)
        ]
        latest = max(last, *(ts_ns for _, ts_ns in asked)) if asked else last
        if self.time_ns and not self.suspects and latest - self.time_ns <= LEAP_NS:
            self.time_ns = max(self.time_ns, latest)
            return _NONE
        if step.tables and not (asked or self.time_ns or self.suspects):
            first = min(table.ts_ns.min().item() for table in step.tables)
            if first >= EPOCH_END_NS and last - first <= LEAP_NS:  # in whatever order
                self.time_ns = last
                return _NONE
        return self._judged(step, asked)

    def catch_up(self, ts_ns: int) -> None:
        """Rows up to that time were believed."""
        if ts_ns > self.time_ns:
            self.time_ns = ts_ns

    def leaps(self, first_ns: int, last_ns: int, engine_ns: int) -> bool:
        """Whether rows from a first one on, up to a latest time, want a closer look: one may have
        leapt, or waits to be confirmed."""
        known_ns = self.time_ns if self.time_ns > engine_ns else engine_ns
        if not known_ns:
            known_ns = first_ns if first_ns >= EPOCH_END_NS else -LEAP_NS
        return last_ns - known_ns > LEAP_NS or self.suspects > 0

    def _judged(self, step: Step, asked: list[tuple[int, int]]) -> dict[int, str]:
        tables = step.tables
        requests = np.array(asked, np.int64).reshape(-1, 2)
        sequence = np.concatenate([*(table.sequence for table in tables), requests[:, 0]])
        order = sequence.argsort(kind="stable")
        times = np.concatenate([*(table.ts_ns for table in tables), requests[:, 1]])[order]
        is_row = order < len(order) - len(asked)
        if not len(times):
            return _NONE
        if not self.suspects and (self.time_ns or is_row[0]) and self._is_smooth(times):
            return _NONE
        refused: dict[int, str] = {}
        rows = zip(sequence[order].tolist(), times.tolist(), is_row.tolist(), strict=True)
        for place, ts_ns, row in rows:
            started = self.time_ns
            if not (self._believes(ts_ns) if row else self._admits(ts_ns)):
                refused[place] = "clock_jump" if row or started else "not_launched"
        return refused

    def _is_smooth(self, times: np.ndarray[Any, np.dtype[np.int64]]) -> bool:
        """Whether no time leaps from those before it; then all of them are believed."""
        before = np.maximum.accumulate(np.append(self.time_ns or times[0], times))
        smooth = before[0] >= EPOCH_END_NS and bool((times - before[:-1] <= LEAP_NS).all())
        if smooth:
            self.time_ns = int(before[-1])
        return bool(smooth)

    def _admits(self, ts_ns: int) -> bool:
        if not self.time_ns or ts_ns - self.time_ns > LEAP_NS:
            return False
        self.time_ns = max(self.time_ns, ts_ns)
        return True

    def _believes(self, ts_ns: int) -> bool:
        ahead = ts_ns - (self.time_ns or ts_ns)
        if not EPOCH_END_NS <= ts_ns < NEVER_NS or ahead > LEAP_NS_MAX:
            return False
        if ahead > LEAP_NS:
            agrees = self.suspects and abs(ts_ns - self.suspect_ns) <= LEAP_NS
            self.suspects = self.suspects + 1 if agrees else 1
            self.suspect_ns = ts_ns
            if self.suspects < CONFIRMATIONS:
                return False
        self.suspects = 0
        self.time_ns = max(self.time_ns, ts_ns)
        return True


def silences(
    floor_ns: int, runs: list[tuple[I64, I64]], moments: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """``(from, to)``: where no input came for longer than a leap, from the leap behind its last row
    on.

    Args:
        floor_ns: engine time before the first input.
        runs: sequences of rows, and engine time there; it rises with the sequence over all of them.
        moments: ``(sequence, time)`` of messages; one dated earlier than what came before it moved
            nothing, and parts no silence.
    """
    if runs and not moments:
        opened_ns = min(run.item(0) for _, run in runs)
        if max(run.item(-1) for _, run in runs) - opened_ns <= LEAP_NS:
            waited = opened_ns - floor_ns > LEAP_NS
            return [(floor_ns + LEAP_NS, opened_ns)] if waited else []
    asked = np.array(moments, np.int64).reshape(-1, 2)
    sequence = np.concatenate([*(places for places, _ in runs), asked[:, 0]])
    times = np.concatenate([*(run for _, run in runs), asked[:, 1]])
    times = times[sequence.argsort(kind="stable")]
    times = np.maximum.accumulate(np.append(floor_ns, times))
    long = np.flatnonzero(np.diff(times) > LEAP_NS)
    return [(times.item(place) + LEAP_NS, times.item(place + 1)) for place in long.tolist()]
