"""A venue that makes its own mark and funding rate: the same as the slow engine's, however the
input is cut, and after a restart."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from engine.engine import Engine, EngineSpec
from engine.snapshot import restore, snapshot
from engine.ticks import Step, Tick
from tests.builders import Run, a_tape, cut, run
from tests.properties.agreement import agree
from tests.properties.priced import a_priced_spec, a_priced_tape
from tests.properties.rich import happened
from tests.properties.test_partition import assert_same, ticks_of

RUNS = 12
ROWS = 250


@cache
def a_run(seed: int) -> tuple[EngineSpec, Step]:
    random = Random(seed)
    spec = a_priced_spec(random)
    return spec, a_priced_tape(random, spec, ROWS)


@pytest.mark.parametrize("seed", range(RUNS))
def test_the_heart_makes_the_prices_of_the_slow_engine(seed: int) -> None:
    """Marks, funding rates and all that stands on them, in one block and in four."""
    spec, tape = a_run(seed)
    agree(spec, tape)
    agree(spec, tape, sorted(Random(seed).sample(range(1, ROWS), 3)))


@pytest.mark.parametrize("seed", range(0, RUNS, 3))
def test_any_cut_says_the_same(seed: int) -> None:
    """Blocks of one row, of seven, and single live ticks."""
    spec, tape = a_run(seed)
    whole = run(spec, tape)
    for size in (1, 7):
        assert_same(run(spec, tape, range(0, tape.end, size)), whole)
    live = Run(Engine(spec))
    for item in ticks_of(tape):
        if isinstance(item, Tick):
            live.take(live.engine.process_tick(item))
        else:
            live.take(live.engine.process(a_tape([item]).shifted(live.engine.sequence)))
    live.take(live.engine.finish())
    assert_same(live, whole)


@pytest.mark.parametrize("seed", range(1, RUNS, 3))
def test_a_restart_anywhere_goes_on(seed: int) -> None:
    """Restored at forty places, the tail is the same, and so are the bytes of each snapshot."""
    spec, tape = a_run(seed)
    said = Run(Engine(spec))
    for step in cut(tape, Random(seed).sample(range(1, ROWS), 40)):
        said.take(said.engine.process(step))
        kept = snapshot(said.engine)
        said.engine = restore(spec, kept)
        assert snapshot(said.engine) == kept
    said.take(said.engine.finish())
    assert_same(said, run(spec, tape))


@pytest.mark.parametrize("seed", range(8))
def test_sources_that_are_out_of_order(seed: int) -> None:
    """Masked for a while, for good or in vain, the sources of an index say the same to both
    engines, however the input is cut, and after a restart."""
    random = Random(f"masks {seed}")
    spec = a_priced_spec(random)
    tape = a_priced_tape(random, spec, ROWS, troubled=True)
    whole = agree(spec, tape, sorted(random.sample(range(1, ROWS), 3)))
    assert any(event.command == "mask" for event in whole.named("command_obeyed"))
    said = Run(Engine(spec))
    for step in cut(tape, random.sample(range(1, ROWS), 40)):
        said.take(said.engine.process(step))
        said.engine = restore(spec, snapshot(said.engine))
    said.take(said.engine.finish())
    assert_same(said, whole)


def test_these_runs_are_not_calm() -> None:
    """Legs come and go, the index falls silent, markets go stale and resume, and funding is paid at
    rates of both signs."""
    runs = [run(*a_run(seed)) for seed in range(RUNS)]
    counts: Counter[str] = happened(*runs)
    for event in (e for said in runs for e in said.named("funding_settled")):
        if event.product == "BAND":
            counts["rate above 0"] += event.rate > 0.0
            counts["rate below 0"] += event.rate < 0.0
    for tag in (
        "mark_source_changed",
        "index_stale",
        "market_stale gap",
        "market_stale frozen",
        "market_resumed",
        "traded BAND",
        "traded SHORT",
        "traded SMART",
        "rate above 0",
        "rate below 0",
    ):
        assert counts[tag] > 2, (tag, counts)
