"""Rows go out when they are due by the clock, all of them, in order, never late for no reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.events import Malformed
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from feeds.pacing import NAP_SECONDS_MAX, NAP_SECONDS_MIN, Pacer

T0 = 1_723_161_600 * SECOND_NS


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.naps = 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps += 1
        assert self.naps < 10_000, "sleeps for ever"


def marks(times: list[float], first: int = 0) -> Step:
    """Marks at these seconds."""
    numbers = np.arange(len(times)) + first
    ts_ns = np.array([T0 + round(time * SECOND_NS) for time in times], np.int64)
    table = Marks(sequence=numbers, symbol=0, ts_ns=ts_ns, price=np.ones(len(times)))
    return Step(first=first, end=first + len(times), tables=(table,))


async def released(pacer: Pacer, clock: Clock, *steps: Step) -> list[tuple[float, int]]:
    """Seconds since the start and sequence of each row."""
    rows = []
    for step in steps:
        async for portion in pacer.portions(step):
            rows += [(clock.now - 1_000.0, n) for n in range(portion.first, portion.end)]
    return rows


@pytest.mark.parametrize("speed", [1.0, 60.0])
async def test_the_speed_of_life(speed: float) -> None:
    """Each row goes out when its own time has come, a nap late at most, across steps."""
    times = [0.0, 0.0, 0.5, 3.0, 3.001, 90.0, 91.0]
    clock = Clock()
    pacer = Pacer(speed, clock=clock, sleep=clock.sleep)
    rows = await released(pacer, clock, marks(times[:4]), marks(times[4:], first=4))
    assert [number for _, number in rows] == list(range(7))
    for (at, _), time in zip(rows, times, strict=True):
        assert time / speed <= at + 1e-6 <= time / speed + 2 * NAP_SECONDS_MIN


async def test_long_gaps_are_slept_in_parts() -> None:
    """A suspended machine finds the clock ahead and catches up; it does not sleep a day more."""
    clock = Clock()
    await released(Pacer(1.0, clock=clock, sleep=clock.sleep), clock, marks([0.0, 10.0]))
    assert clock.naps >= 10.0 / NAP_SECONDS_MAX


async def test_as_fast_as_possible() -> None:
    """Without a speed nothing waits and nothing is cut."""
    clock, step = Clock(), marks([0.0, 1e6])
    found = [p async for p in Pacer(clock=clock, sleep=clock.sleep).portions(step)]
    assert found == [step]
    assert clock.naps == 0


async def test_a_leaping_stamp_stops_nothing() -> None:
    """One stamp of a far year, and rows without a time, do not hold up the rows behind them."""
    clock = Clock()
    table = marks([0.0, 1.0, 1e9, 2.0, 3.0]).tables[0]
    bad = ((5, Malformed(ts_ns=0, detail="?")),)
    step = Step(first=0, end=6, tables=(table,), messages=bad)
    rows = await released(Pacer(1.0, clock=clock, sleep=clock.sleep), clock, step)
    assert [number for _, number in rows] == list(range(6))
    assert clock.now - 1_000.0 < 3.1


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_is_positive(speed: float) -> None:
    """A market that stands still is a wrong setting."""
    with pytest.raises(ValueError, match="speed must be > 0"):
        Pacer(speed)
