"""Tapes of somebody who means harm: the heart refuses what the slow engine refuses, however the
tape is cut, and live."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from engine.engine import Engine
from engine.events import CreationRequest
from engine.sampler import Sampling
from engine.signals import SignalSpec
from engine.snapshot import restore, snapshot, state_digest
from engine.ticks import NOT_MARKET, Kind, Tick
from engine.units import DAY_NS, SECOND_NS
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, cut, run
from tests.properties.agreement import agree

_LEAPS = (-4_000, -2, 1, 2.9, 3, 3.1, 5, 30, 31, 400, 3_000, 3_700, 50_000)
_FACTORS = (1e-9, 1e-3, 0.02, 0.5, 50.0, 150.0, 900.0, 1_100.0, 1e9)


def hostile_spec() -> Any:
    markets = tuple(
        a_market(
            n,
            contract=a_contract(f"S{n}USDT"),
            mark_source=source,
            signals=SignalSpec(every_ns=30 * DAY_NS),
            stale_after_ns=10 * DAY_NS,
            frozen_after_ns=2_000 * DAY_NS,
        )
        for n, source in enumerate(("mark", "last"))
    )
    band = LeverageBand(target=2.0, low=1.0, high=3.0)
    products = tuple((a_product(f"P{n}", n), (band,)) for n in range(2))
    every = Sampling(nav_every_ns=2 * DAY_NS, user_nav_every_ns=9 * DAY_NS)
    return a_spec(*products, markets=markets, users=("alice",), sampling=every)


def hostile_tape(random: Random, count: int, *, requests: bool = True) -> list[Any]:
    """Mostly sound rows; each of time, price and id leaps now and then, sometimes for a while."""
    rows: list[Any] = []
    ts_ns, price, trade_id = T0, 100.0, 5_000
    for number in range(count):
        ts_ns += random.choice((0, SECOND_NS, SECOND_NS, DAY_NS // 10))
        trade_id += random.choice((1, 1, 3, 900))
        stamp, told, number_told = ts_ns, price * random.uniform(0.98, 1.02), trade_id
        draw = random.random()
        if draw < 0.15:
            stamp += round(random.choice(_LEAPS) * DAY_NS)
        elif draw < 0.20:
            stamp = ts_ns = max(T0, ts_ns + round(random.choice(_LEAPS[1:10]) * DAY_NS))
        elif draw < 0.23:
            stamp = random.choice((0, -1, 365 * DAY_NS - 1, 365 * DAY_NS, 2**63 - 1))
        if random.random() < 0.1:
            told *= random.choice(_FACTORS)
        if random.random() < 0.1:
            number_told += random.choice((-1, -5_000, 999, 1_000, 1_001, 10**6, 2**61))
        elif random.random() < 0.05:
            trade_id += random.choice((1_001, 10**6))
            number_told = trade_id
        symbol = random.choice((0, 0, 1, 1, 1, 7))
        kind = random.choice((Kind.MARK, Kind.TRADE, Kind.TRADE, Kind.INDEX, Kind.HEARTBEAT))
        if requests and random.random() < 0.08:
            who = {"user": "bob", "product": random.choice(("P0", "P1", "NONE"))}
            rows.append(CreationRequest(ts_ns=max(stamp, 0), id=f"r{number}", quote=50.0, **who))
        elif kind is Kind.TRADE:
            side = random.choice((-1, 1, NOT_MARKET))
            rows.append(a_row(kind, stamp, told, 1.0, side, number_told, symbol=symbol))
        elif kind is Kind.HEARTBEAT:
            rows.append(a_row(kind, stamp, symbol=symbol))
        else:
            rows.append(a_row(kind, stamp, told, symbol=symbol))
    return rows


@pytest.mark.parametrize("seed", range(12))
def test_hostile_tapes_are_judged_as_the_slow_engine_judges_them(seed: int) -> None:
    """Leaps of time, price and id at once, single and lasting: same log, same samples, whole and
    cut at random. Catches a fast way that believes what the rules do not."""
    random = Random(seed)
    tape = a_tape(hostile_tape(random, 120))
    places = random.sample(range(120), 25)
    said = agree(hostile_spec(), tape, places)
    whole = run(hostile_spec(), tape)
    assert whole.lines == said.lines
    assert state_digest(whole.engine) == state_digest(said.engine)
    assert {"clock_jump"} <= set(said.engine.state.rejected)


@pytest.mark.parametrize("seed", range(12))
def test_hostile_ticks_are_judged_live_and_after_every_restart(seed: int) -> None:
    """One by one as live ticks, and restored from a snapshot before each row: the same log and the
    same state. Catches a doubt that only a block remembers."""
    rows = hostile_tape(Random(100 + seed), 120, requests=False)
    spec, tape = hostile_spec(), a_tape(rows)
    whole, live, cold = run(spec, tape), Run(Engine(spec)), Run(Engine(spec))
    for kind, symbol, ts_ns, values in rows:
        live.take(live.engine.process_tick(Tick(kind, symbol, ts_ns, values)))
    for step in cut(tape, range(tape.end)):
        cold.engine = restore(spec, snapshot(cold.engine))
        cold.take(cold.engine.process(step))
    for one in (live, cold):
        one.take(one.engine.finish())
        assert one.lines == whole.lines
        assert state_digest(one.engine) == state_digest(whole.engine)
