"""Two prices of one market, at times in one instant: the heart, the slow engine, every cut and
every restart agree on products that follow the index beside others that do not."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from engine.engine import Engine, EngineSpec
from engine.snapshot import restore, snapshot
from engine.ticks import Kind, Step
from tests.builders import Run, cut, run
from tests.properties.agreement import agree
from tests.properties.indexed import an_indexed_spec, an_indexed_tape
from tests.properties.rich import happened
from tests.properties.test_partition import assert_same, live

SEEDS = range(16)


@cache
def a_case(seed: int) -> tuple[EngineSpec, Step]:
    """A specification and its tape; every other one with the operator's commands."""
    random = Random(seed)
    spec = an_indexed_spec(random)
    return spec, an_indexed_tape(random, spec, 240, commands=0.05 * (seed % 2))


@cache
def whole(seed: int) -> Run:
    """The heart on the tape in one step, which must say what the slow engine says."""
    spec, tape = a_case(seed)
    return agree(spec, tape)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_slow_engine_says_the_same(seed: int) -> None:
    """On tapes whose index is aimed at its own edges, to a few ulps, the two logs are the same."""
    assert whole(seed).lines


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_anywhere(seed: int) -> None:
    """Blocks of 1 and of 7 rows, and ticks one at a time, say what one block says."""
    spec, tape = a_case(seed)
    for size in (1, 7):
        assert_same(run(spec, tape, range(0, tape.end, size)), whole(seed))
    assert_same(live(spec, tape), whole(seed))


@pytest.mark.parametrize("seed", [3, 4])
def test_restart_after_every_row(seed: int) -> None:
    """A snapshot after every row, between a mark and an index of one instant too, restores to the
    same bytes and the same tail."""
    spec, tape = a_case(seed)
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(tape.end)):
        said.take(engine.process(step))
        kept = snapshot(engine)
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
    said.engine = engine
    said.take(engine.finish())
    assert_same(said, whole(seed))


def test_the_tapes_are_not_calm() -> None:
    """Sometimes: mark and index share an instant, and followers trade, are ruined and deal."""
    counts = Counter(happened(*(whole(seed) for seed in SEEDS)))
    shared = sum(_shared_instants(a_case(seed)[1]) for seed in SEEDS)
    wanted = (
        *(f"traded INDEX{number}" for number in range(4)),
        *("traded BASKET", "traded AT-MARK", "management_fee_charged INDEX0", "order_held"),
        *("product_closed nav_not_positive", "units_created", "units_redeemed"),
    )
    assert not [what for what in wanted if not counts[what]]
    assert shared > 100


def _shared_instants(tape: Step) -> int:
    times = {table.KIND: set(table.ts_ns.tolist()) for table in tape.tables}
    prices = times.get(Kind.MARK, set()) | times.get(Kind.BBO, set()) | times.get(Kind.TRADE, set())
    return len(times[Kind.INDEX] & prices)
