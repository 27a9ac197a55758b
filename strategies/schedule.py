"""``schedule``: back to target at fixed times."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from engine.policy import Decision, SetLeverage, View
from engine.units import NEVER_NS, SECOND_NS
from engine.watch import Watch
from strategies.reviewing import REVIEW_S_MAX, REVIEW_S_MIN, after

__all__ = ["Schedule", "ScheduleState"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
_DAYS_AHEAD: Final = 3


class ScheduleState(Struct, frozen=True):
    """When the next time is; 0 before the first look."""

    next_ns: int = 0


class Schedule(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="schedule", tag_field="type"
):
    """Trade back to ``target`` at each of ``times`` of the day in ``timezone``, or every
    ``every_s`` seconds.

    The rule of exchange-traded funds (the close) and of FTX's tokens (00:02 UTC). A 3x product that
    the day left at 2.7391x after +5 % buys 0.30 per 1.00 of old NAV.

    Args:
        target: signed leverage.
        times: ``HH:MM`` or ``HH:MM:SS``, in ``timezone``. A time that a clock change skips comes
            as much later as clocks go forward (02:30 at 03:30); one it repeats, the first time.
        timezone: IANA name.
        every_s: instead of ``times``: a grid counted from 1970-01-01 UTC.
        least_move: it trades only where the price has moved by this share of itself since leverage
            was ``target``; Gate's daily check has 1 %.

    It does badly on days that move far and come back: between two times it does nothing.

    Source: ``products.md`` 1.0 (funds: the close), 1.2 (Gate), 1.4 (FTX) and 3.1.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    target: float
    times: tuple[str, ...] = ()
    timezone: str = "UTC"
    every_s: float = 0.0
    least_move: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.times) == bool(self.every_s):
            raise ValueError("schedule wants either times or every_s")
        if not math.isfinite(self.target):
            raise ValueError(f"schedule: target must be finite, was {self.target}")
        if self.every_s and not REVIEW_S_MIN <= self.every_s <= REVIEW_S_MAX:
            raise ValueError(f"schedule: every_s must be from 0.001 to 1e9, was {self.every_s}")
        if not 0.0 <= self.least_move < 1.0:
            raise ValueError(f"schedule wants 0 <= least_move < 1, was {self.least_move}")
        if self.least_move and self.target in (0.0, 1.0):
            raise ValueError("schedule: leverage of 0 or 1 tells no move; leave least_move out")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones
            raise ValueError(
                f"schedule: no time zone {self.timezone!r}; IANA names such as Asia/Shanghai"
            ) from None
        for time in self.times:
            _clock(time)

    def initial_state(self) -> ScheduleState:
        return ScheduleState()

    def watch(self, view: View, state: ScheduleState) -> Watch:
        return Watch(alarm_ns=state.next_ns or self._after(view.due_ns))

    def decide(self, view: View, state: ScheduleState) -> tuple[Decision | None, ScheduleState]:
        if state.next_ns == 0:
            return SetLeverage(self.target, "opening"), ScheduleState(self._after(view.due_ns))
        if view.due_ns < state.next_ns:
            return None, state
        rung = ScheduleState(self._after(view.due_ns))
        if self.least_move and self._moved(view.position.leverage) < self.least_move:
            return None, rung
        return SetLeverage(self.target, "schedule"), rung

    def _moved(self, leverage: float) -> float:
        """By which share of itself the price has moved since leverage was the target:
        ``x = l (L - 1) / (L (l - 1))``. From 3x to 2.9417x it rose by 1 %."""
        if leverage == 1.0:
            return math.inf
        return abs(leverage * (self.target - 1.0) / (self.target * (leverage - 1.0)) - 1.0)

    def _after(self, ts_ns: int) -> int:
        """The first scheduled time later than ``ts_ns``."""
        if self.every_s:
            return after(ts_ns, self.every_s)
        zone = ZoneInfo(self.timezone)
        today = (_EPOCH + timedelta(seconds=ts_ns // SECOND_NS)).astimezone(zone).date()
        first = NEVER_NS
        for ahead in range(-1, _DAYS_AHEAD):
            day = today + timedelta(days=ahead)
            for time in self.times:
                hour, minute, second = _clock(time)
                local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
                since = local.astimezone(ZoneInfo("UTC")) - _EPOCH
                at_ns = (since.days * 86_400 + since.seconds) * SECOND_NS
                if ts_ns < at_ns < first:
                    first = at_ns
        return first


def _clock(time: str) -> tuple[int, int, int]:
    parts = time.split(":")
    if len(parts) in (2, 3) and all(p.isascii() and p.isdigit() and len(p) == 2 for p in parts):
        hour, minute, second = (*map(int, parts), 0)[:3]
        if hour < 24 and minute < 60 and second < 60:
            return hour, minute, second
    raise ValueError(f"schedule: {time!r} is no time of the day; expected HH:MM or HH:MM:SS")
