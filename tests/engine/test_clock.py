"""Tests of ``engine.clock``, as the engine's answers show it: which times are believed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.clock import EPOCH_END_NS, LEAP_NS, LEAP_NS_MAX, silences
from engine.engine import Engine, EngineSpec
from engine.events import CreationRequest
from engine.sampler import Sampling
from engine.signals import SignalSpec
from engine.snapshot import restore, snapshot, state_digest
from engine.ticks import Kind, Marks, Step
from engine.units import DAY_NS, SECOND_NS
from strategies import LeverageBand, Schedule
from tests.builders import T0, Run, a_market, a_product, a_row, a_spec, a_tape, cut, run
from tests.engine.test_intake import refused
from tests.properties.agreement import agree

MARK, INDEX = Kind.MARK, Kind.INDEX
DAILY = Sampling(nav_every_ns=DAY_NS, user_nav_every_ns=DAY_NS)
BAND = (LeverageBand(target=3.0, low=2.0, high=4.0),)


def at(*days: float, kind: Kind = MARK) -> list[Any]:
    """A price of 100 at so many days after ``T0`` each."""
    return [a_row(kind, T0 + round(day * DAY_NS), 100.0) for day in days]


def asking(ts_ns: int, number: int = 1) -> CreationRequest:
    return CreationRequest(ts_ns=ts_ns, id=str(number), user="a", product="BTC3L", quote=50.0)


@pytest.mark.parametrize(
    ("days", "jumps"),
    [
        ((0, 3, 6, 9), []),
        ((0, 5, 0.1, 0.2), [1]),
        ((0, 300, 0.1, 301, 0.2, 302, 0.3), [1, 3, 5]),
        ((0, 730, 730.1, 730.2, 730.3, 731), [1, 2]),  # a true gap costs two rows
        ((0, 730, 728, 725.5, 728, 731), [1, 2]),  # and each need only be near the one before
        ((0, 730, 740, 741, 742, 743), [1, 2, 3]),
        ((0, 7, 7 + 7 / 3, 7 + 14 / 3, 14), [1, 2]),  # weekly bars after a week without
        ((0, 3_600, 3_600, 3_600, 3_601), [1, 2]),
        ((0, 3_700, 3_700, 3_700, 3_700, 0.1), [1, 2, 3, 4]),  # ten years are too far
        ((0, 5, 3_700, 5, 5), [1, 2, 3]),
        ((-9_000, -9_000, 0, 0.1, 0.2, 0.3), [2, 3, 4, 5]),
    ],
)
def test_a_leap_is_believed_at_the_third_time_that_agrees(
    days: Sequence[float], jumps: list[int]
) -> None:
    """Up to three days ahead at once, up to ten years at the third row, further never. Catches one
    bad stamp that makes all that follow late, and a gap that refuses all that follow."""
    spec = a_spec((a_product(), BAND), sampling=DAILY)
    assert refused(at(*days), spec) == [(n, "clock_jump") for n in jumps]


def test_the_bounds_are_exact() -> None:
    """Three days and ten years to the nanosecond. Catches a bound that is off by one."""
    assert refused([*at(0), a_row(MARK, T0 + LEAP_NS, 100.0)]) == []
    assert refused([*at(0), a_row(MARK, T0 + LEAP_NS + 1, 100.0)]) == [(1, "clock_jump")]
    spec = a_spec((a_product(), BAND), sampling=Sampling(nav_every_ns=0))
    far = [a_row(MARK, T0 + LEAP_NS_MAX, 100.0)] * 3
    assert refused([*at(0), *far], spec) == [(1, "clock_jump"), (2, "clock_jump")]
    far = [a_row(MARK, T0 + LEAP_NS_MAX + 1, 100.0)] * 4
    assert len(refused([*at(0), *far], spec)) == 4
    first = [a_row(MARK, EPOCH_END_NS, 100.0)] * 2
    assert refused([a_row(MARK, EPOCH_END_NS - 1, 100.0), *first]) == [(0, "clock_jump")]


def test_a_first_row_of_1970_starts_no_clock() -> None:
    """A stamp of 0, or one in seconds, is refused, and the recording goes on. Catches a run whose
    every row is refused because its first had no time."""
    for stamp in (0, T0 // SECOND_NS, T0 // 10**6, T0 // 10**3):
        assert refused([a_row(MARK, stamp, 100.0), *at(0, 0.1, 0.2)]) == [(0, "clock_jump")]


def test_kinds_and_symbols_confirm_one_another() -> None:
    """A leap counts over all rows in their order, whatever they say; a price refused for itself
    moves the clock all the same. Catches a clock for each kind."""
    rows = [*at(0), *at(0, 10, kind=INDEX), *at(10), *at(10.1, kind=INDEX), *at(10.1)]
    assert refused(rows) == [(2, "clock_jump"), (3, "clock_jump")]
    rows = [*at(0), a_row(MARK, T0 + 2 * DAY_NS, 1e9), *at(4)]
    assert refused(rows) == [(1, "jump")]


def test_a_request_moves_the_clock_by_no_leap() -> None:
    """Before the first row a request is refused and sets no clock; more than three days ahead it is
    refused and names its time. Catches requests that make every tick a leap, or ring all alarms of
    a century."""
    early, late = asking(T0 - 3_000 * DAY_NS), asking(T0 + LEAP_NS + 1, 2)
    for places in ((), (1,), (1, 2, 3)):
        said = agree(a_spec(), a_tape([early, *at(0), late, *at(0.001)]), places)
        told = [(e.sequence, e.reason, e.ts_ns) for e in said.named("creation_refused")]
        assert told == [(0, "not_launched", 0), (2, "clock_jump", T0)]
        assert str(late.ts_ns) in said.named("creation_refused")[1].detail
        assert not said.named("input_rejected")
        assert said.engine.time_ns < T0 + DAY_NS
    quiet = a_spec((a_product(), BAND), sampling=Sampling(nav_every_ns=0))
    tape = [*at(0), asking(T0 + LEAP_NS), *at(5, 8.5)]
    said = agree(quiet, a_tape(tape), (1, 2, 3))
    assert [e.sequence for e in said.named("input_rejected")] == [3]
    confirmed = [*at(0, 9), asking(T0 + 9 * DAY_NS), *at(9, 9)]
    said = agree(quiet, a_tape(confirmed), (1, 2, 3))
    assert [e.sequence for e in said.named("input_rejected")] == [1, 3]
    assert [e.reason for e in said.named("creation_refused")] == ["clock_jump"]


def silent() -> tuple[EngineSpec, list[Any]]:
    """Two years of silence, with alarms in it, a holder, and another week without input."""
    spec = a_spec(
        (a_product(holdings=((0, 10**9),)), (Schedule(target=3.0, every_s=86_400.0 * 2),)),
        (a_product("BAND"), BAND),
        markets=(
            a_market(
                stale_after_ns=3_000 * DAY_NS,
                frozen_after_ns=3_000 * DAY_NS,
                signals=SignalSpec(every_ns=DAY_NS),
            ),
        ),
        users=("alice",),
        sampling=Sampling(nav_every_ns=DAY_NS // 4, user_nav_every_ns=DAY_NS, users_on_trade=True),
    )
    prices = enumerate((0, 0.5, 1, 731, 731.5, 732, 732.5, 740, 740, 740, 741))
    return spec, [a_row(MARK, T0 + round(d * DAY_NS), 100.0 + n % 3) for n, d in prices]


def test_a_long_silence_is_not_sampled() -> None:
    """From three days after the last row on no sample is taken, and they are counted; what products
    do meanwhile is on the lines of those that follow. Catches memory filled by a gap, and a line
    that begins a sample too early."""
    spec, rows = silent()
    for places in ((), range(len(rows)), (2, 5), (4, 8)):
        said = agree(spec, a_tape(rows), places)
        times = (said.nav["ts_ns"][::2] - T0) / DAY_NS
        assert not ((times > 4.0) & (times < 732.0)).any()
        assert ((times > 3.7) & (times <= 4.0)).any()
        assert said.engine.sampler.state.left_out == 728 * 5 + 18 + 4
        assert said.named("rebalanced")


def test_a_leap_in_doubt_is_part_of_the_snapshot() -> None:
    """Cut and restored between the rows of a leap, the engine goes on as the other would have.
    Catches a doubt that a restart forgets."""
    spec, rows = silent()
    tape = a_tape(rows)
    whole = run(spec, tape)
    said = Run(Engine(spec))
    for step in cut(tape, range(len(rows))):
        said.take(said.engine.process(step))
        said.engine = restore(spec, snapshot(said.engine))
    said.take(said.engine.finish())
    assert said.lines == whole.lines
    assert state_digest(said.engine) == state_digest(whole.engine)


def test_silences_lie_between_inputs_further_apart_than_a_leap() -> None:
    """Before the first row, between rows of two kinds, at a message alone; none where a step is
    long but never silent. Catches a short look that takes the step's length for a silence."""
    day = np.array([0, 1, 2, 10, 11]) * DAY_NS + T0
    places = np.array([0, 1, 2, 4, 5])
    gap = (T0 + 5 * DAY_NS, T0 + 10 * DAY_NS)
    assert silences(T0, [(places, day)], []) == [gap]
    assert silences(T0, [(places[:2], day[:2]), (places[2:], day[2:])], []) == [gap]
    assert silences(T0, [(places, day)], [(3, T0 + 6 * DAY_NS)]) == [
        (T0 + 5 * DAY_NS, T0 + 6 * DAY_NS),
        (T0 + 9 * DAY_NS, T0 + 10 * DAY_NS),
    ]
    assert silences(T0 - 9 * DAY_NS, [(places[:3], day[:3])], []) == [(T0 - 6 * DAY_NS, T0)]
    assert silences(T0 - 2 * DAY_NS, [(places[:3], day[:3])], []) == []
    assert silences(T0, [], [(7, T0 + 4 * DAY_NS)]) == [(T0 + LEAP_NS, T0 + 4 * DAY_NS)]


def test_a_first_step_of_many_rows_is_judged_in_little_memory() -> None:
    """Less than four bytes a row beside the rows themselves. Catches a clock that sorts a whole
    step to see where it began."""
    rows = 100_000
    marks = Marks(
        sequence=np.arange(rows),
        symbol=0,
        ts_ns=T0 + np.arange(rows) * 1_000_000,
        price=np.full(rows, 100.0),
    )
    engine = Engine(silent()[0])
    tracemalloc.start()
    engine.process(Step(first=0, end=rows, tables=(marks,)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert engine.sequence == rows
    assert peak < 4 * rows
