"""Tests of ``strategies.schedule``: fixed times, time zones, and the days on which clocks
change."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.policy import MarketView, PositionView, SetLeverage, View
from engine.units import DAY_NS, HOUR_NS, NEVER_NS, SECOND_NS
from strategies import Schedule
from strategies.schedule import ScheduleState
from tests.strategies.check_policy import EXAMPLES, check_policy

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"


def at(text: str) -> int:
    """Nanoseconds of a UTC time."""
    then = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(then.timestamp()) * SECOND_NS


def a_view(due_ns: int, ts_ns: int | None = None) -> View:
    market = MarketView(due_ns if ts_ns is None else ts_ns, 100.0, 100.0, 100.0)
    return View(market, PositionView(100.0, 300.0, 3.0, 3.0), due_ns)


def fires(schedule: Schedule, start: str, end: str) -> list[str]:
    """The UTC times at which it trades between two others, walked from alarm to alarm."""
    now, rung = at(start), []
    _, state = schedule.decide(a_view(now), schedule.initial_state())
    while (now := schedule.watch(a_view(now), state).alarm_ns) < at(end):
        decision, state = schedule.decide(a_view(now), state)
        assert decision == SetLeverage(schedule.target, "schedule")
        assert now % SECOND_NS == 0
        rung.append(f"{datetime.fromtimestamp(now // SECOND_NS, UTC):%m-%d %H:%M}")
    return rung


def test_it_opens_at_once_and_then_keeps_its_times() -> None:
    """At its first look it trades, whatever the time; the next is the first scheduled time after.
    Catches a product without a position until its first close."""
    schedule = Schedule(target=3.0, times=("00:02",))
    now = at("2024-05-06T13:00:00")
    decision, state = schedule.decide(a_view(now), schedule.initial_state())
    assert decision == SetLeverage(3.0, "opening")
    assert state == ScheduleState(at("2024-05-07T00:02:00"))
    assert schedule.watch(a_view(now), state).alarm_ns == state.next_ns
    assert schedule.watch(a_view(now), state).low == -math.inf


def test_it_compares_with_the_alarms_that_have_rung_not_with_the_clock() -> None:
    """At a tick stamped with its own time it has nothing to say yet; at its alarm it has; woken
    early it leaves no trace. Catches a trade at a tick of that instant, and a second one at the
    alarm."""
    schedule = Schedule(target=3.0, every_s=60.0)
    minute = at("2024-05-06T13:00:00")
    state = ScheduleState(minute)
    decision, kept = schedule.decide(a_view(minute - 1, minute), state)
    assert decision is None
    assert kept is state
    decision, kept = schedule.decide(a_view(minute), state)
    assert decision is not None
    assert kept == ScheduleState(minute + 60 * SECOND_NS)


def test_a_time_that_was_missed_is_met_once() -> None:
    """Busy for three minutes, it trades once and goes on with the next point. Catches a schedule
    that makes up for all it missed."""
    schedule = Schedule(target=3.0, every_s=60.0)
    minute = at("2024-05-06T13:00:00")
    late = minute + 185 * SECOND_NS
    decision, kept = schedule.decide(a_view(late), ScheduleState(minute))
    assert decision is not None
    assert kept == ScheduleState(minute + 240 * SECOND_NS)


def test_a_grid_is_counted_from_1970() -> None:
    """Every 7 s falls on multiples of 7 s, strictly later than now; half seconds too. Catches a
    grid that begins with the run."""
    schedule = Schedule(target=1.0, every_s=7.0)
    for now in (0, 1, 7 * SECOND_NS - 1, 7 * SECOND_NS, 1_700_000_001 * SECOND_NS):
        alarm = schedule.watch(a_view(now), schedule.initial_state()).alarm_ns
        assert alarm == (now // (7 * SECOND_NS) + 1) * 7 * SECOND_NS
    half = Schedule(target=1.0, every_s=0.5)
    assert half.watch(a_view(SECOND_NS), half.initial_state()).alarm_ns == SECOND_NS * 3 // 2


def test_several_times_a_day_come_in_order() -> None:
    """However they are listed, also to the second. Catches the first listed being taken for the
    next."""
    schedule = Schedule(target=1.0, times=("16:00", "09:30:00", "00:00"))
    assert fires(schedule, "2024-05-06T10:00", "2024-05-08T00:00") == [
        *("05-06 16:00", "05-07 00:00", "05-07 09:30", "05-07 16:00")
    ]
    seconds = Schedule(target=1.0, times=("09:30:15",))
    now = at("2024-05-06T09:30:00")
    assert seconds.watch(a_view(now), ScheduleState()).alarm_ns == now + 15 * SECOND_NS


def test_the_close_of_new_york_moves_with_its_clocks() -> None:
    """16:00 is 21:00 UTC until the second Sunday of March and 20:00 from then on; back again on
    the first Sunday of November. Catches a fixed offset."""
    close = Schedule(target=3.0, times=("16:00",), timezone=NEW_YORK)
    assert fires(close, "2024-03-08T22:00", "2024-03-12T00:00") == [
        *("03-09 21:00", "03-10 20:00", "03-11 20:00")
    ]
    assert fires(close, "2024-11-01T21:00", "2024-11-05T00:00") == [
        *("11-02 20:00", "11-03 21:00", "11-04 21:00")
    ]


def test_berlin_changes_on_other_days() -> None:
    """09:00 is 08:00 UTC in winter and 07:00 from the last Sunday of March to that of October.
    Catches one rule for all zones."""
    opening = Schedule(target=3.0, times=("09:00",), timezone=BERLIN)
    assert fires(opening, "2024-03-29T12:00", "2024-04-02T00:00") == [
        *("03-30 08:00", "03-31 07:00", "04-01 07:00")
    ]
    assert fires(opening, "2024-10-25T12:00", "2024-10-29T00:00") == [
        *("10-26 07:00", "10-27 08:00", "10-28 08:00")
    ]


@pytest.mark.parametrize(
    ("zone", "day_before", "day_after", "times"),
    [
        (NEW_YORK, "2024-03-09T12:00", "2024-03-12T00:00", ["03-10 07:30", "03-11 06:30"]),
        (BERLIN, "2024-03-30T12:00", "2024-04-02T00:00", ["03-31 01:30", "04-01 00:30"]),
    ],
)
def test_a_time_that_a_change_skips_comes_an_hour_later_that_day(
    zone: str, day_before: str, day_after: str, times: list[str]
) -> None:
    """02:30 does not exist on that Sunday: it is met once, at 03:30, and at 02:30 the day after.
    Catches a day without its rebalance."""
    night = Schedule(target=3.0, times=("02:30",), timezone=zone)
    assert fires(night, day_before, day_after) == times


@pytest.mark.parametrize(
    ("zone", "clock", "day_before", "day_after", "times"),
    [
        (NEW_YORK, "01:30", "2024-11-02T12:00", "2024-11-05T00:00", ["11-03 05:30", "11-04 06:30"]),
        (BERLIN, "02:30", "2024-10-26T12:00", "2024-10-29T00:00", ["10-27 00:30", "10-28 01:30"]),
    ],
)
def test_a_time_that_a_change_repeats_comes_once(
    zone: str, clock: str, day_before: str, day_after: str, times: list[str]
) -> None:
    """The first time. Catches two rebalances an hour apart."""
    night = Schedule(target=3.0, times=(clock,), timezone=zone)
    assert fires(night, day_before, day_after) == times


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        NEW_YORK,
        BERLIN,
        "Asia/Shanghai",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Australia/Lord_Howe",
    ],
)
def test_every_local_day_has_its_time_once(zone: str) -> None:
    """Over two years: the gaps are a day, give or take an hour. Catches a change of day that is
    lost, east or west of Greenwich."""
    for clock in ("00:00", "02:15", "12:00", "23:59"):
        schedule = Schedule(target=1.0, times=(clock,), timezone=zone)
        now, end, count = at("2022-12-31T23:59:59"), at("2024-12-31T23:59:59"), 0
        while (then := schedule.watch(a_view(now), ScheduleState()).alarm_ns) < end:
            assert count == 0 or DAY_NS - HOUR_NS <= then - now <= DAY_NS + HOUR_NS
            now, count = then, count + 1
        assert count == 731


def test_a_zone_that_skips_a_whole_day() -> None:
    """Samoa had no 30 December 2011: noon of the 29th is followed by noon of the 31st, 24 hours
    later. Catches a search that looks one day ahead only."""
    noon = Schedule(target=1.0, times=("12:00",), timezone="Pacific/Apia")
    last = at("2011-12-29T22:00:00")
    assert fires(noon, "2011-12-29T21:00", "2011-12-31T23:00")[0] == "12-29 22:00"
    following = noon.watch(a_view(last), ScheduleState()).alarm_ns
    assert last < following < NEVER_NS
    assert following - last <= 2 * DAY_NS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "either times or every_s"),
        ({"times": ("09:00",), "every_s": 60.0}, "either times or every_s"),
        ({"every_s": -1.0}, "every_s must be from"),
        ({"every_s": 1e-10}, "every_s must be from"),
        ({"every_s": math.inf}, "every_s must be from"),
        ({"every_s": math.nan}, "every_s must be from"),
        ({"times": ("24:00",)}, "'24:00' is no time of the day"),
        ({"times": ("9:00",)}, "'9:00' is no time of the day"),
        ({"times": ("09:00", "09:60")}, "'09:60' is no time of the day"),
        ({"times": ("09:00:61",)}, "no time of the day"),
        ({"times": ("٠٩:٠٠",)}, "no time of the day"),
        ({"times": ("09:00",), "timezone": "New York"}, "no time zone 'New York'"),
        ({"times": ("09:00",), "timezone": "../etc"}, "no time zone"),
        ({"times": ("09:00",), "timezone": ""}, "no time zone"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(fields: Any, message: str) -> None:
    """With what was expected. Catches a run that dies, or never trades, at its first alarm."""
    with pytest.raises(ValueError, match=message):
        Schedule(target=3.0, **fields)


@pytest.mark.parametrize("policy", EXAMPLES["schedule"])
def test_it_keeps_what_every_policy_promises(policy: Schedule) -> None:
    """On longer paths than the suite's own test."""
    check_policy(policy, seeds=1, ticks=400)


@pytest.mark.parametrize(("held", "trades"), [(2.9417, True), (2.9418, False), (2.9703, False)])
def test_how_far_the_price_went_is_read_off_leverage(held: float, trades: bool) -> None:
    """3x is ``3 * 1.01 / 1.03`` = 2.94175x after a rise of 1 %: the check trades beyond it and not
    before. Catches 3x over 1.01, which is half of that rise."""
    schedule = Schedule(target=3.0, every_s=60.0, least_move=0.01)
    state = ScheduleState(60 * SECOND_NS)
    view = View(
        a_view(state.next_ns).market, PositionView(100.0, held * 100.0, held, 3.0), state.next_ns
    )
    decision, _ = schedule.decide(view, state)
    assert (decision is not None) == trades
