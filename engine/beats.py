"""The service says the time when the market does not.

Time in the engine is that of its rows: where none comes, no alarm rings, and a market that is
silent is never found to be so. A beat is a heartbeat row with the time of the wall, put among the
inputs by the service itself. It is in no topic, so the journal holds it whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.clock import LEAP_NS
from engine.ports import CLOCK, Batch, Range, beat

__all__ = ["Beats"]


class Beats:
    """Tells when a beat is due.

    Args:
        every_s: silence after which time is told, and told again; 0 never tells it.
        wall_ns: time since the epoch.
        seconds: a clock that nobody sets.
    """

    def __init__(
        self,
        every_s: float = 0.0,
        wall_ns: Callable[[], int] = time.time_ns,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = every_s
        self._wall_ns = wall_ns
        self._seconds = seconds
        self._heard = seconds()

    def after(self, batch: Batch, engine_ns: int) -> Batch | None:
        """The beat that is due after a batch; requests alone are silence.

        None comes before the first row, nor where the wall is behind the engine, or so far ahead of
        it that no single row would be believed: then a recording is being played.
        """
        now = self._seconds()
        if batch.step.tables:
            self._heard = now
        if not self._every_s or now - self._heard < self._every_s:
            return None
        self._heard = now
        wall_ns = self._wall_ns()
        if not engine_ns or not 0 < wall_ns - engine_ns <= LEAP_NS:
            return None
        return Batch(beat(batch.step.end, wall_ns), (Range(CLOCK, wall_ns, wall_ns + 1),))
