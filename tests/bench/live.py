"""Single live ticks: decoded from msgpack, taken one by one; and how long the slowest of them
take."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns, thread_time_ns
from typing import Any, Final

import numpy as np
from msgspec import msgpack, structs

from engine.engine import Engine, EngineSpec
from engine.sampler import Sampling
from engine.ticks import Kind, Tick
from tests.bench.races import EMPTY_SHARE
from tests.bench.table import Row, Scale
from tests.bench.tapes import WORK, Lineup, heart_spec, tape

__all__ = ["live"]

RATE: Final = 1e6
QUIET_US: Final = 100.0
WAKE_US: Final = 500.0
TICKS_PER_SECOND: Final = 500
"""Of event time: a busy perpetual."""


def live(scale: Scale) -> list[Row]:
    """Throughput with decoding, and the heart's latency with a wake and without one."""
    return [_throughput(scale), _latency(scale)]


def _messages(rows: int) -> list[bytes]:
    prices = tape(rows).price.tolist()
    gap_ns = 1_000_000_000 // TICKS_PER_SECOND
    start_ns = 1_700_000_000_000_000_000
    return [
        msgpack.encode(Tick(int(Kind.MARK), 0, start_ns + row * gap_ns, (price,)))
        for row, price in enumerate(prices)
    ]


def _decoder() -> Callable[[bytes], Tick]:
    return msgpack.Decoder(Tick).decode


def _throughput(scale: Scale) -> Row:
    rows = scale.of(500_000)
    messages = _messages(rows)
    spec = heart_spec(WORK["w1"].idle())
    plain: list[float] = []
    silent: list[float] = []
    bare: list[float] = []
    for _ in range(1 if scale.smoke else 5):
        plain.append(_taken(spec, messages))
        unsampled = structs.replace(spec, sampling=Sampling(nav_every_ns=0))
        silent.append(_taken(unsampled, messages))
        decode = _decoder()
        began = time.process_time()
        for message in messages:
            decode(message)
        bare.append(time.process_time() - began)
    rate = rows / max(median(plain), 1e-9)
    return Row(
        name="live",
        work=f"{rows // 1_000:,}k single ticks, msgpack decoded, process_tick; one product, "
        f"{TICKS_PER_SECOND} ticks a second, samples every second",
        target=f">= {RATE / 1e6:g}M ticks/s",
        figure=f"{rate / 1e6:.2f}M/s\nwithout samples {rows / median(silent) / 1e6:.2f}M/s, "
        f"decoding alone {rows / median(bare) / 1e6:.1f}M/s",
        met=rate >= RATE,
        details={"cpu": plain, "cpu_without_samples": silent, "cpu_decoding": bare},
    )


def _taken(spec: EngineSpec, messages: list[bytes]) -> float:
    engine, decode = Engine(spec), _decoder()
    take = engine.process_tick
    began = time.process_time()
    for message in messages:
        take(decode(message))
    return time.process_time() - began


def _latency(scale: Scale) -> Row:
    """W1 tick by tick, in wall time and in process time. Others on the machine are in the wall
    time: a tick that was put off the core counts in full.

    The band is so narrow that thousands of ticks wake: the slowest in a thousand of a few hundred
    would be the launch alone.
    """
    rows = scale.of(500_000)
    lineup: Lineup = WORK["w1"]
    narrow = Lineup(lineup.targets, (2.9985,), (3.0015,))
    engine, decode = Engine(heart_spec(narrow)), _decoder()
    walls: dict[bool, list[int]] = {False: [], True: []}
    works: dict[bool, list[int]] = {False: [], True: []}
    ticks = [decode(message) for message in _messages(rows)]
    clock, worked, take, state = perf_counter_ns, thread_time_ns, engine.process_tick, engine.state
    gc.collect()
    gc.freeze()  # the half million ticks at hand are the benchmark's, not the engine's
    for tick in ticks:
        wakes = state.wakes
        work, began = worked(), clock()
        take(tick)
        done, work_done = clock(), worked()
        woke = state.wakes != wakes
        walls[woke].append(done - began)
        works[woke].append(work_done - work)
    gc.unfreeze()
    wall = {woke: _percentiles(nanos) for woke, nanos in walls.items()}
    work_ = {woke: _percentiles(nanos) for woke, nanos in works.items()}
    no_wake, wake = wall[False]["p99.9"], wall[True]["p99.9"]
    assert state.wakes_empty <= EMPTY_SHARE * state.wakes
    return Row(
        name="live",
        work=f"latency of the heart: {len(walls[False]):,} ticks without a wake, "
        f"{len(walls[True]):,} with one",
        target=f"p99.9 <= {QUIET_US:g} us, with a wake <= {WAKE_US:g} us",
        figure=f"{no_wake:.1f} us, with a wake {wake:.0f} us\n"
        f"at work {work_[False]['p99.9']:.1f} us, with a wake {work_[True]['p99.9']:.0f} us\n"
        f"median {wall[False]['p50']:.1f} us, with a wake {wall[True]['p50']:.0f} us",
        met=no_wake <= QUIET_US and wake <= WAKE_US,
        note=f"wall time, and the part at work; a quiet tick in {TICKS_PER_SECOND} takes a sample",
        details={
            "quiet": {"wall": wall[False], "work": work_[False]},
            "woken": {"wall": wall[True], "work": work_[True]},
            "wakes": state.wakes,
            "wakes_empty": state.wakes_empty,
        },
    )


def _percentiles(nanos: list[int]) -> dict[str, Any]:
    if not nanos:
        return {"p50": 0.0, "p99": 0.0, "p99.9": 0.0, "max": 0.0}
    values = np.percentile(np.array(nanos), [50.0, 99.0, 99.9, 100.0]) / 1e3
    return dict(zip(("p50", "p99", "p99.9", "max"), values.tolist(), strict=True))
