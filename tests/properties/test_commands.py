"""What the operator says is said alike by both engines, however the input is cut, and is kept in a
snapshot."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.snapshot import restore, snapshot
from engine.ticks import Step, Tick
from tests.builders import Run, a_tape, cut, run
from tests.properties.agreement import agree
from tests.properties.margined import margined_spec
from tests.properties.rich import happened, rich_spec
from tests.properties.tapes import a_random_spec, a_random_tape
from tests.properties.test_conservation import assert_fair, assert_rebuilt, check
from tests.properties.test_partition import assert_same, ticks_of

SEEDS = (15, 20, 23)
ROWS = 800
COMMANDS = 0.1
EXAMPLES = 25


@cache
def commanded_tape(seed: int) -> Step:
    """A rich tape on which the operator speaks often."""
    return a_random_tape(Random(seed), rich_spec(), ROWS, commands=COMMANDS)


@cache
def commanded_run(seed: int) -> Run:
    """The heart on it, whole; the slow engine says the same."""
    return agree(rich_spec(), commanded_tape(seed), check=False)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 260),
    commands=st.sampled_from((0.02, 0.1, 0.3)),
)
def test_any_tape(seed: int, rows: int, commands: float) -> None:
    """On random products and tapes with commands among the rows, cut anywhere, both engines obey
    and refuse alike."""
    random = Random(seed)
    spec = a_random_spec(random)
    tape = a_random_tape(random, spec, rows, commands=commands)
    agree(spec, tape, [random.randrange(rows) for _ in range(3)])


@pytest.mark.parametrize("seed", range(6))
def test_venues_in_trouble(seed: int) -> None:
    """Slow for a while, refusing a share of orders, taking only what reduces: both engines say the
    same, cut anywhere and restored from snapshots."""
    random = Random(f"trouble {seed}")
    spec = margined_spec(3 * seed + 1) if seed % 2 else a_random_spec(random)
    tape = a_random_tape(random, spec, 400, commands=0.3, troubled=True)
    whole = agree(spec, tape, [random.randrange(400) for _ in range(3)])
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(0, tape.end, 9)):
        said.take(engine.process(step))
        engine = restore(spec, snapshot(engine))
    said.engine = engine
    said.take(engine.finish())
    assert_same(said, whole)


def test_every_rule_is_met() -> None:
    """On the rich tapes each command is obeyed, and refused for each reason that there is."""
    said = [commanded_run(seed) for seed in SEEDS]
    counts = Counter(
        (event.__struct_config__.tag, what)
        for each in said
        for event in each.named("command_obeyed", "command_refused")
        for what in {event.command, getattr(event, "reason", event.command)}
    )
    counts.update(Counter({(what, ""): n for what, n in happened(*said).items()}))
    missing = [what for what in _SOMETIMES if not counts[what]]
    assert not missing, f"never happened: {missing}; happened: {sorted(counts)}"


_KINDS = ("halt", "resume", "pause", "unpause", "target", "gate")
_SOMETIMES = (
    *(("command_obeyed", kind) for kind in _KINDS),
    *(("command_refused", kind) for kind in _KINDS),
    *(
        ("command_refused", reason)
        for reason in (
            *("duplicate", "clock_jump", "unknown_symbol", "unknown_product", "not_launched"),
            *("closed", "stale", "out_of_limits", "rebalancing", "halted", "not_halted"),
            *("paused", "not_paused", "gated", "not_gated"),
        )
    ),
    *(("market_stale halted", ""), ("order_unfilled halted", ""), ("creation_refused halted", "")),
    *(("creation_refused paused", ""), ("redemption_refused paused", "")),
    ("creation_refused gated", ""),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_anywhere(seed: int) -> None:
    """Blocks of 1 and of 7 rows, and live ticks one by one, say what one block says."""
    tape, spec = commanded_tape(seed), rich_spec()
    for size in (1, 7):
        assert_same(run(spec, tape, range(0, tape.end, size)), commanded_run(seed))
    engine = Engine(spec)
    said = Run(engine)
    for item in ticks_of(tape):
        if isinstance(item, Tick):
            said.take(engine.process_tick(item))
        else:
            said.take(engine.process(a_tape([item]).shifted(engine.sequence)))
    said.take(engine.finish())
    assert_same(said, commanded_run(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_restart_anywhere(seed: int) -> None:
    """A snapshot holds what was halted, paused and gated: the tail after a restore is the tail
    without one. Meanwhile the books balance."""
    spec, tape = rich_spec(), commanded_tape(seed)
    engine = Engine(spec)
    said = Run(engine)
    met: Counter[str] = Counter()
    for step in cut(tape, range(0, tape.end, 9)):
        said.take(engine.process(step))
        check(engine)
        met["halted"] += any(market.halted for market in engine.markets)
        met["paused"] += any(handler.state.paused for handler in engine.handlers)
        met["gated"] += any(handler.state.gated for handler in engine.handlers)
        engine = restore(spec, snapshot(engine))
    said.engine = engine
    said.take(engine.finish())
    assert_same(said, commanded_run(seed))
    assert min(met["halted"], met["paused"], met["gated"]) > 5, met


@pytest.mark.parametrize("seed", SEEDS)
def test_books_follow_from_the_events(seed: int) -> None:
    """Balances are what the events say, and requests are dealt at NAV."""
    assert_rebuilt(commanded_run(seed))
    assert_fair(commanded_run(seed))
