"""Tests of ``engine.snapshot``."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from engine.engine import Engine, EngineSpec
from engine.errors import InvariantError, SnapshotError
from engine.events import CreationRequest, RedemptionRequest
from engine.sampler import Sampling
from engine.signals import SignalSpec
from engine.snapshot import SCHEMA, restore, snapshot, state_digest
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand, MarginFloor, Schedule, TrendVol
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape

ROWS = 300


def rich() -> EngineSpec:
    """Latency, a thin book, fees, funding, signals, holders, a queue, an inverse market: something
    of everything."""
    signals = SignalSpec(every_ns=5 * SECOND_NS, vol_half_life=4, trend_half_life=4, window=5)
    thin = a_market(
        book=BookSpec(model="depth", depth_at_1pct=2e5, half_life_s=20.0),
        funding=FundingSpec(recorded=False, instants=((T0 + 77 * SECOND_NS, 0.001),)),
        signals=signals,
        stale_after_ns=30 * SECOND_NS,
    )
    inverse = a_market(1, contract=a_contract("XBTUSD", inverse=True))
    band = LeverageBand(target=3.0, low=2.9, high=3.1)
    trend = TrendVol(review_s=10.0, fast_move=0.01, step=0.05)
    products = (
        (
            a_product(
                "SLOW", latency_ns=7 * SECOND_NS, while_rebalancing="queue", holdings=((2, 10**9),)
            ),
            (band, MarginFloor(max_leverage=3.5)),
        ),
        (a_product("SMART", management_fee=0.0001, fee_every_ns=60 * SECOND_NS), (trend,)),
        (a_product("COIN", 1, seed_atoms=10**11), (Schedule(target=-2.0, every_s=30.0),)),
    )
    sampling = Sampling(nav_every_ns=2 * SECOND_NS, user_nav_every_ns=20 * SECOND_NS)
    return a_spec(
        *products,
        markets=(thin, inverse),
        users=("alice",),
        population=2,
        sampling=sampling,
        config_hash="abc",
    )


@cache
def a_rich_tape() -> Step:
    """300 rows with moves, a silence, bad rows and requests."""
    random, price, ts, rows = Random(4), 20_000.0, T0, []
    for n in range(ROWS):
        ts += 40 * SECOND_NS if n == 200 else random.choice((0, SECOND_NS, 2 * SECOND_NS))
        price *= 1.0 + random.gauss(0.0, 0.004)
        common = {"ts_ns": ts, "id": f"r{n}", "product": random.choice(("SLOW", "COIN"))}
        row: Any = a_row(Kind.MARK, ts, price, symbol=n % 2)
        if n % 23 == 5:
            row = CreationRequest(user=random.choice(("alice", "zoe")), quote=5_000.0, **common)
        elif n % 23 == 15:
            row = RedemptionRequest(user="alice", units=10.0, **common)
        elif n % 31 == 30:
            row = a_row(Kind.MARK, ts, price * 1000, symbol=n % 2)
        rows.append(row)
    return a_tape(rows)


@cache
def whole() -> Run:
    """The rich run without a stop."""
    said = Run(Engine(rich()))
    said.take(said.engine.process(a_rich_tape()))
    said.take(said.engine.finish())
    return said


def test_the_rich_run_is_rich() -> None:
    """Catches a run in which nothing is ever under way: any snapshot would do."""
    tags = {e.__struct_config__.tag for e in whole().events}
    assert tags >= {
        *("order_sent", "order_filled", "rebalanced", "funding_settled", "management_fee_charged"),
        *("units_created", "units_redeemed", "request_queued", "market_stale", "market_resumed"),
        "input_rejected",
    }
    assert whole().user_nav


@pytest.mark.parametrize("places", [range(0, ROWS, 7), range(1, ROWS, 7), range(2, ROWS, 41)])
def test_a_run_goes_on_from_a_snapshot_as_if_nothing_had_happened(places: range) -> None:
    """Stopped and restored at every seventh row, with orders on their way and requests waiting:
    the same events, samples, digests and state. Catches state that no snapshot holds."""
    spec, tape = rich(), a_rich_tape()
    said = Run(Engine(spec))
    bounds = sorted({0, *places, ROWS})
    for first, end in pairwise(bounds):
        said.take(said.engine.process(tape.between(first, end)))
        said.engine = restore(rich(), snapshot(said.engine))
    said.take(said.engine.finish())
    assert said.lines == whole().lines
    assert said.user_nav == whole().user_nav
    assert said.nav["nav_atoms"].tolist() == whole().nav["nav_atoms"].tolist()
    assert said.engine.digest() == whole().engine.digest()
    assert snapshot(said.engine) == snapshot(whole().engine)


def test_restoring_and_taking_again_gives_the_same_bytes() -> None:
    """At every row. Catches a field that a restored engine fills in anew, or an order that depends
    on the history."""
    engine, tape = Engine(rich()), a_rich_tape()
    for place in range(ROWS):
        engine.process(tape.between(place, place + 1))
        if place % 5 == 0:
            kept = snapshot(engine)
            again = restore(rich(), kept)
            assert snapshot(again) == kept
            assert state_digest(again) == state_digest(engine)
            assert (again.sequence, again.time_ns) == (engine.sequence, engine.time_ns)


def test_a_snapshot_before_the_first_row_is_a_snapshot() -> None:
    """Catches what only a launched product has."""
    engine = restore(rich(), snapshot(Engine(rich())))
    said = Run(engine)
    said.take(engine.process(a_rich_tape()))
    said.take(engine.finish())
    assert said.lines == whole().lines


def test_a_snapshot_does_not_live_on_with_its_engine() -> None:
    """Taken, then the engine goes on: the bytes and the engine restored from them stay as they
    were. Catches a shared list."""
    engine, tape = Engine(rich()), a_rich_tape()
    engine.process(tape.between(0, 100))
    kept = snapshot(engine)
    early = restore(rich(), kept)
    engine.process(tape.between(100, ROWS))
    assert snapshot(early) == kept
    assert state_digest(engine) != state_digest(early)


def test_another_schema_another_configuration_and_noise_are_refused() -> None:
    """With a sentence each. Catches an engine that starts from what it does not understand."""
    kept = snapshot(Engine(rich()))
    with pytest.raises(SnapshotError, match="under another configuration"):
        restore(msgspec.structs.replace(rich(), config_hash="other"), kept)
    other = msgspec.msgpack.decode(kept)
    other["schema"] = "levsim-snapshot/0"
    with pytest.raises(SnapshotError, match=f"this code reads '{SCHEMA}'"):
        restore(rich(), msgspec.msgpack.encode(other))
    for noise in (b"", b"noise", kept[:-1], msgspec.msgpack.encode({"schema": SCHEMA})):
        with pytest.raises(SnapshotError, match="not a snapshot"):
            restore(rich(), noise)
    other = msgspec.msgpack.decode(kept)
    other["markets"][1]["handlers"][0]["state"]["policies"] = ["what another class remembered"]
    with pytest.raises(SnapshotError, match="a policy remembered what its class does not know"):
        restore(rich(), msgspec.msgpack.encode(other))


def test_a_snapshot_proves_the_ledger_and_the_holders() -> None:
    """A balance or a holder's units that appeared from nowhere stop it. Catches corruption that
    would be carried on."""
    engine = Engine(rich())
    engine.process(a_rich_tape().between(0, 50))
    engine.ledger.balances[0] += 1
    with pytest.raises(InvariantError, match="sums to 1"):
        snapshot(engine)
    engine.ledger.balances[0] -= 1
    engine.handlers[0].dealing.units[0] += 1
    with pytest.raises(InvariantError, match="SLOW: users hold"):
        snapshot(engine)
