"""``engine/cli/progress.py``: what who waits is told."""

from __future__ import annotations

import re

import pytest

from engine.cli.progress import EVERY_SECONDS, Lines, Pace, duration

NOON_NS = 1_723_118_400 * 10**9


class Clock:
    """Shows the time it was set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pace() -> None:
    """Rate and time left count from the first telling.

    Catches the opening of files taken for slow reading, which doubles the time left of short runs.
    """
    clock = Clock()
    pace = Pace(clock)
    clock.now += 60.0
    pace.told(1_000_000, NOON_NS, 0.1)
    assert pace.left_seconds is None
    assert str(pace).endswith("ETA -:--")
    clock.now += 10.0
    pace.told(21_000_000, NOON_NS, 0.35)
    assert pace.left_seconds == pytest.approx(26.0)
    assert str(pace) == " 35 %  21,000,000 ticks at 2.0M/s  2024-08-08 12:00Z  ETA 0:26"


def test_second_pass() -> None:
    """Where the tape is run twice, the time that jumps back is said to be that of the second pass.

    Bars are run in both orders of their extremes.
    """
    pace = Pace(Clock())
    pace.told(1, NOON_NS, 0.5)
    assert "(again)" not in str(pace)
    pace.told(2, NOON_NS - 10**9, 0.7)
    assert "2024-08-08 11:59Z (again)" in str(pace)


def test_the_end() -> None:
    """At the end nothing is left."""
    clock = Clock()
    pace = Pace(clock)
    pace.told(1, NOON_NS, 0.5)
    clock.now += 3.0
    pace.told(2, NOON_NS, 1.0)
    assert str(pace).startswith("100 %")
    assert str(pace).endswith("ETA 0:00")


def test_lines() -> None:
    """Where nobody looks a line comes every few seconds, each with rate, event time and ETA."""
    clock, written = Clock(), []
    lines = Lines(written.append, clock)
    for step in range(1, 41):
        clock.now += EVERY_SECONDS / 10
        lines.told(step * 1_000, NOON_NS, step / 40)
    lines.close()
    assert len(written) == 5
    for line in written[:-1]:
        assert re.fullmatch(
            r"  [ \d]\d\d? %  [\d,]+ ticks at 2k/s  2024-08-08 12:00Z  ETA 0:\d\d\n", line
        )
    assert written[-1] == "  done in 20.0 s\n"


def test_duration() -> None:
    """Times read as clocks do."""
    assert [duration(s) for s in (0.2, 7, 754, 3_723)] == ["0:00", "0:07", "12:34", "1:02:03"]
