"""Cut the input anywhere: same output log, same samples, same digest. One tick at a time is a cut
like any other."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine.engine import Engine, EngineSpec
from engine.snapshot import restore, snapshot, state_digest
from engine.ticks import Kind, Step, Tick
from engine.units import SECOND_NS
from tests.builders import T0, Run, a_malformed, a_row, a_tape, run
from tests.properties.rich import SEEDS, happened, rich_run, rich_spec, rich_tape

RANDOM_CUTS = 200


def assert_same(said: Run, expected: Run) -> None:
    """Lines, samples, holders' records, digest and state."""
    assert said.lines == expected.lines
    for name, column in said.nav.items():
        np.testing.assert_array_equal(column, expected.nav[name], err_msg=name)
    assert said.user_nav == expected.user_nav
    assert said.engine.digest() == expected.engine.digest()
    assert state_digest(said.engine) == state_digest(expected.engine)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
@pytest.mark.parametrize("seed", SEEDS)
def test_blocks_of_one_size(seed: int, size: int) -> None:
    """Blocks of 1, 2, 7 or 64 rows say what one block of all rows says."""
    tape = rich_tape(seed)
    assert_same(run(rich_spec(), tape, range(0, tape.end, size)), rich_run(seed))


def long_tape() -> Step:
    """The rich tapes' rows over and over, later each time: more than one block of 1,000."""
    tape, rows = rich_tape(), 0
    steps = []
    for turn in range(2):
        part = tape.shifted(rows)
        span = turn * 3_600 * 10**9
        tables = tuple(t.replaced(ts_ns=t.ts_ns + span) for t in part.tables)
        steps.append(Step(first=part.first, end=part.end, tables=tables, messages=part.messages))
        rows = part.end
    by_kind: dict[Any, list[Any]] = {}
    for step in steps:
        for table in step.tables:
            by_kind.setdefault(table.KIND, []).append(table)
    tables = tuple(type(found[0]).concatenated(found) for _, found in sorted(by_kind.items()))
    messages = tuple(m for step in steps for m in step.messages)
    return Step(first=0, end=rows, tables=tables, messages=messages)


def test_blocks_of_a_thousand_and_random_cuts() -> None:
    """Blocks of 1,000 and cuts at 200 random rows say what one block says."""
    tape = long_tape()
    whole = run(rich_spec(), tape)
    assert_same(run(rich_spec(), tape, range(0, tape.end, 1_000)), whole)
    cuts = Random(5).sample(range(tape.end), RANDOM_CUTS)
    assert_same(run(rich_spec(), tape, cuts), whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_wakes_on_the_first_and_last_row_of_a_block(seed: int) -> None:
    """A row that wakes somebody does so as the first row of a block and as the last one."""
    whole = rich_run(seed)
    speaking = sorted({event.sequence for event in whole.events})
    assert len(speaking) > 100
    for shift in (0, 1):
        assert_same(run(rich_spec(), rich_tape(seed), [s + shift for s in speaking]), whole)
    assert happened(whole)["wakes"] > 100


def ticks_of(tape: Step) -> list[Any]:
    """The rows of a step as single ticks, messages among them."""
    rows: list[Any] = list(tape.messages)
    for table in tape.tables:
        symbols = table.symbols().tolist()
        columns = [column.tolist() for _, column in table.values()]
        for place, sequence in enumerate(table.sequence.tolist()):
            values = tuple(column[place] for column in columns)
            ts_ns = int(table.ts_ns[place])
            rows.append((sequence, Tick(int(table.KIND), symbols[place], ts_ns, values)))
    return [item for _, item in sorted(rows, key=lambda pair: pair[0])]


def live(spec: EngineSpec, tape: Step) -> Run:
    """The heart on a tape by ``process_tick``, row by row."""
    engine = Engine(spec)
    said = Run(engine)
    for item in ticks_of(tape):
        if isinstance(item, Tick):
            said.take(engine.process_tick(item))
        else:
            step = a_tape([item]).shifted(engine.sequence)
            said.take(engine.process(step))
    said.take(engine.finish())
    return said


@pytest.mark.parametrize("seed", SEEDS)
def test_single_live_ticks(seed: int) -> None:
    """``process_tick``, row by row, says what ``process`` says of the block, and leaves the same
    state."""
    assert_same(live(rich_spec(), rich_tape(seed)), rich_run(seed))


def test_live_ticks_of_other_numbers() -> None:
    """A caller's own numbers leave floats: a mark of 100 is told as 100.0, as a block tells it."""
    spec, tape, said = rich_spec(), rich_tape(SEEDS[0]), Run(Engine(rich_spec()))
    for item in ticks_of(tape):
        if isinstance(item, Tick):
            own = (np.float64(v) if isinstance(v, float) else v for v in item.values)
            said.take(said.engine.process_tick(replace(item, values=tuple(own))))
        else:
            said.take(said.engine.process(a_tape([item]).shifted(said.engine.sequence)))
    said.take(said.engine.finish())
    assert_same(said, rich_run(SEEDS[0]))
    rows = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100 + n) for n in range(40)]
    engine, whole = Engine(spec), Engine(spec)
    for kind, symbol, ts_ns, values in rows:
        engine.process_tick(Tick(kind, symbol, ts_ns, values))
    whole.process(a_tape(rows))
    assert state_digest(engine) == state_digest(whole)


def taken_live(seed: int, look: Callable[[Engine, int], Engine]) -> Run:
    """The rich tape row by row, with a look at the engine after each."""
    said = Run(Engine(rich_spec()))
    for place, item in enumerate(ticks_of(rich_tape(seed))):
        if isinstance(item, Tick):
            said.take(said.engine.process_tick(item))
        else:
            said.take(said.engine.process(a_tape([item]).shifted(said.engine.sequence)))
        said.engine = look(said.engine, place)
    said.take(said.engine.finish())
    return said


@pytest.mark.parametrize("seed", SEEDS)
def test_who_looks_between_live_ticks_sees_what_blocks_leave(seed: int) -> None:
    """Sequence, engine time and the state's digest after a live tick are those of the same rows in
    blocks. Catches quiet ticks that do not count yet, and a look that lets them count twice."""
    tape, blocks = rich_tape(seed), Engine(rich_spec())
    chance = Random(seed)

    def look(engine: Engine, place: int) -> Engine:
        if chance.random() < 0.1:
            blocks.process(tape.between(blocks.sequence, place + 1))
            if chance.random() < 0.5:
                assert (engine.sequence, engine.time_ns) == (place + 1, blocks.time_ns)
            assert state_digest(engine) == state_digest(blocks)
            assert snapshot(engine) == snapshot(blocks)
        return engine

    assert_same(taken_live(seed, look), rich_run(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_live_ticks_go_on_from_a_snapshot(seed: int) -> None:
    """An engine restored between live ticks goes on as if nothing had happened. Catches what waits
    outside the snapshot."""
    chance = Random(seed)

    def look(engine: Engine, _: int) -> Engine:
        return restore(rich_spec(), snapshot(engine)) if chance.random() < 0.1 else engine

    assert_same(taken_live(seed, look), rich_run(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_live_ticks_and_blocks_take_turns(seed: int) -> None:
    """Rows by ``process`` between rows by ``process_tick``. Catches a gate that stays open while a
    block changes what it was opened for."""
    said, chance, items = Run(Engine(rich_spec())), Random(seed), ticks_of(rich_tape(seed))
    place, live = 0, True
    while place < len(items):
        end = min(place + chance.choice((1, 2, 5, 30)), len(items))
        for item in items[place:end]:
            if live and isinstance(item, Tick):
                said.take(said.engine.process_tick(item))
            else:
                said.take(said.engine.process(rich_tape(seed).between(place, place + 1)))
            place += 1
        live = not live
    said.take(said.engine.finish())
    assert_same(said, rich_run(seed))


def test_an_empty_step_says_nothing() -> None:
    """A step without rows, before the first and between others, changes nothing."""
    engine = Engine(rich_spec())
    assert not engine.process(Step(first=0, end=0))
    engine.process(a_tape([100.0, a_malformed()]))
    before = state_digest(engine)
    assert not engine.process(Step(first=2, end=2))
    assert state_digest(engine) == before
