"""The short way of a block that matters to nobody: what it leaves is what the general way leaves.

A step of several kinds goes the general way; cut where the kind changes, the same rows come as
blocks of one kind and one symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from engine.engine import Engine, EngineSpec
from engine.lull import QuietSamples
from engine.outputs import NavBlock
from engine.quiet import Quiet
from engine.sampler import Sampling
from engine.snapshot import snapshot
from engine.ticks import Kind, Step, Table
from engine.units import SECOND_NS
from strategies import LeverageBand, TrendVol
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.observers import Ratchet
from tests.properties.test_partition import assert_same, ticks_of

SEEDS = (1, 2, 3)
RUNS = 120


def spec(nav_every_ns: int) -> EngineSpec:
    band = LeverageBand(target=3.0, low=1.5, high=6.0)
    stale = {"stale_after_ns": 30 * SECOND_NS, "frozen_after_ns": 50 * SECOND_NS}
    return a_spec(
        (a_product("BAND", 0), (band,)),
        (a_product("SMART", 0), (TrendVol(review_s=600.0),)),
        (a_product("HIGH", 0), (Ratchet(every_s=300),)),
        (a_product("MID", 1), (band,)),
        markets=(
            a_market(0, **stale),
            a_market(1, contract=a_contract("ETHUSDT"), mark_source="mid", **stale),
        ),
        sampling=Sampling(nav_every_ns=nav_every_ns),
    )


def calm_runs(seed: int) -> list[Step]:
    """Rows in runs of one kind and symbol, a few with a repeated price or a long silence."""
    chance = Random(seed)
    ts_ns, price, runs, first = T0, 100.0, [], 0
    for _ in range(RUNS):
        kind = chance.choice((Kind.MARK, Kind.MARK, Kind.BBO, Kind.TRADE, Kind.INDEX))
        symbol = chance.choice((0, 0, 1))
        still = chance.random() < 0.2
        rows = []
        for _ in range(chance.choice((1, 2, 5, 40))):
            ts_ns += chance.choice((0, SECOND_NS // 2, SECOND_NS, 3 * SECOND_NS))
            price = price if still else price + chance.choice((-0.01, 0.01))
            values = {
                Kind.BBO: (price - 0.01, 1.0, price + 0.01, 1.0),
                Kind.TRADE: (price, 1.0, 1, -1),
            }.get(kind, (price,))
            rows.append(a_row(kind, ts_ns, *values, symbol=symbol))
        if chance.random() < 0.05:
            ts_ns += 40 * SECOND_NS
        runs.append(a_tape(rows).shifted(first))
        first += len(rows)
    return runs


def joined(runs: list[Step]) -> Step:
    """The same rows as one step."""
    kinds: dict[Kind, list[object]] = {}
    for run in runs:
        (table,) = run.tables
        kinds.setdefault(table.KIND, []).append(table)
    tables = [type(found[0]).concatenated(found) for _, found in sorted(kinds.items())]
    return Step(first=0, end=runs[-1].end, tables=tuple(tables))


@pytest.mark.parametrize("nav_every_ns", [SECOND_NS, 70 * SECOND_NS])
@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_blocks_leave_what_a_walk_leaves(
    seed: int, nav_every_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a sample on the wrong row or mark, a check of freshness that is set elsewhere, and
    last values, extremes or signals that quiet rows do not reach."""
    runs = calm_runs(seed)
    walked = Run(Engine(spec(nav_every_ns)))
    walked.take(walked.engine.process(joined(runs)))
    walked.take(walked.engine.finish())

    quiet, right = [0], Quiet.take

    def counted(self: Quiet, table: Table) -> Sequence[NavBlock] | None:
        samples = right(self, table)
        quiet[0] += samples is not None and len(table) > 1
        return samples

    monkeypatch.setattr(Quiet, "take", counted)
    said = Run(Engine(spec(nav_every_ns)))
    for run in runs:
        said.take(said.engine.process(run))
    said.take(said.engine.finish())
    assert quiet[0] > RUNS // 8
    assert_same(said, walked)


@pytest.mark.parametrize("seed", SEEDS)
def test_when_samples_are_looked_at_makes_no_difference(seed: int) -> None:
    """Catches samples of quiet blocks that are valued on later marks or lines because nobody looked
    at them before, or that a digest or a snapshot leaves out."""
    early, late = Engine(spec(SECOND_NS)), Engine(spec(SECOND_NS))
    looked, kept, waited = Run(early), [], 0
    for number, run in enumerate(calm_runs(seed)):
        looked.take(early.process(run))
        kept.append(late.process(run))
        waited += isinstance(kept[-1].nav, QuietSamples) and len(run) > 1
        if number % 40 == 39:
            assert snapshot(late) == snapshot(early)
        elif number % 40 == 19:
            assert late.digest() == early.digest()
    looked.take(early.finish())
    kept.append(late.finish())
    for outputs in reversed(kept):
        list(outputs.nav)
    read = Run(late)
    for outputs in kept:
        read.take(outputs)
    assert waited > RUNS // 8
    assert_same(read, looked)


@pytest.mark.parametrize("seed", SEEDS)
def test_live_ticks_go_on_where_quiet_blocks_came_to(seed: int) -> None:
    """Runs as blocks and as single ticks in turn, samples so seldom that ticks pass without one.
    Catches what a block left waiting beside a gate that opens for a tick: a price that was first
    seen too late, a block's last price written over a later tick's."""
    runs, chance = calm_runs(seed), Random(seed)
    mixed, blocks = Engine(spec(3_600 * SECOND_NS)), Engine(spec(3_600 * SECOND_NS))
    for run in runs:
        blocks.process(run)
        if chance.random() < 0.5:
            mixed.process(run)
        else:
            for tick in ticks_of(run):
                mixed.process_tick(tick)
        if chance.random() < 0.2:
            assert snapshot(mixed) == snapshot(blocks)
    assert snapshot(mixed) == snapshot(blocks)
