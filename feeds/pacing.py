"""A recording at the speed of life, or a multiple of it: when each row of it is due.

The clock belongs to the skin: rows keep their own times, whenever they are published.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import numpy as np

from engine.ticks import Step
from engine.units import MINUTE_NS, SECOND_NS

__all__ = ["AS_FAST_AS_POSSIBLE", "RECORDED", "Pacer"]

RECORDED: Final = 1.0
AS_FAST_AS_POSSIBLE: Final = math.inf
NAP_SECONDS_MAX: Final = 1.0
"""A long gap is slept in parts, so that a machine that was suspended finds its place again."""
NAP_SECONDS_MIN: Final = 0.002
"""Rows due within so little go out together."""


class Pacer:
    """Hands out the rows of a recording when they are due.

    Args:
        speed: seconds of event time for a second of the clock.
        clock: seconds.
        sleep: lets so many of them pass.
    """

    def __init__(
        self,
        speed: float = AS_FAST_AS_POSSIBLE,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not speed > 0.0:
            raise ValueError(f"speed must be > 0, was {speed}")
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._latest_ns = 0
        self._origin: tuple[float, int] | None = None

    async def portions(self, step: Step) -> AsyncIterator[Step]:
        """The rows of a step in order, each portion when its last row is due."""
        if self._speed == AS_FAST_AS_POSSIBLE:
            yield step
            return
        times = self._times(step)
        done = 0
        while done < len(times):
            due_ns = self._due_ns(int(times[done]))
            end = int(np.searchsorted(times, due_ns, "right"))
            if end > done:
                yield step.between(step.first + done, step.first + end)
                done = end
                continue
            wait = (int(times[done]) - due_ns) / SECOND_NS / self._speed
            await self._sleep(min(max(wait, NAP_SECONDS_MIN), NAP_SECONDS_MAX))

    def _due_ns(self, next_ns: int) -> int:
        """The event time that the clock has reached; it starts at the first row that has a time."""
        now = self._clock()
        if self._origin is None:
            if next_ns == 0:
                return 0
            self._origin = (now, next_ns)
        began, first_ns = self._origin
        return first_ns + round((now - began) * self._speed * SECOND_NS)

    def _times(self, step: Step) -> np.ndarray[Any, Any]:
        """Event time at each row, never falling; a stamp that leaps ahead of its successor by more
        than a minute is nobody's time, and waiting for it would stop the market."""
        times = np.zeros(len(step), np.int64)
        for table in step.tables:
            times[table.sequence - step.first] = table.ts_ns
        for sequence, message in step.messages:
            times[sequence - step.first] = message.ts_ns
        leaps = times[:-1] > np.maximum(times[1:], 1) + MINUTE_NS
        times[:-1][leaps] = 0
        times[0] = max(int(times[0]), self._latest_ns)
        times = np.maximum.accumulate(times)
        self._latest_ns = int(times[-1])
        return times
