"""Each planted bug turns the check red that is named with it; without the bug the check is
green."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from engine import snapshot as snapshots
from engine.engine import Engine
from engine.errors import InvariantError
from tests.builders import Run, cut, run
from tests.planted import BUGS, Bug
from tests.properties.agreement import agree
from tests.properties.observers import Looker
from tests.properties.rich import SEEDS, rich_reference, rich_run, rich_spec, rich_tape
from tests.properties.test_causality import (
    assert_same_until,
    assert_unobserved,
    with_another_future,
)
from tests.properties.test_conservation import assert_fair, assert_rebuilt, check
from tests.properties.test_partition import assert_same

SEED = SEEDS[0]


def reference() -> None:
    """The heart says what the slow engine says."""
    for seed in SEEDS:
        agree(rich_spec(), rich_tape(seed), slow=rich_reference(seed))


def partition() -> None:
    """Blocks of 7 rows say what one block says."""
    tape = rich_tape(SEED)
    assert_same(run(rich_spec(), tape, range(0, tape.end, 7)), run(rich_spec(), tape))


def restart() -> None:
    """A restored engine goes on as the other would have."""
    tape, spec = rich_tape(SEED), rich_spec()
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, Random(1).sample(range(tape.end), 100)):
        said.take(engine.process(step))
        engine = snapshots.restore(spec, snapshots.snapshot(engine))
    said.take(engine.finish())
    assert said.lines == run(spec, tape).lines


def conservation() -> None:
    """The ledger balances, and units are the users' and the issuer's, after every block of 20
    rows."""
    engine = Engine(rich_spec())
    for step in cut(rich_tape(SEED), range(0, rich_tape(SEED).end, 20)):
        engine.process(step)
        check(engine)


def events() -> None:
    """Balances follow from the events."""
    assert_rebuilt(run(rich_spec(), rich_tape(SEED)))


def dealing() -> None:
    """Requests are dealt at NAV."""
    assert_fair(run(rich_spec(), rich_tape(SEED)))


def causality() -> None:
    """The future says nothing."""
    tape = rich_tape(SEED)
    said = run(rich_spec(), tape)
    for at in range(50, tape.end, 130):
        assert_same_until(said, run(rich_spec(), with_another_future(tape, at)), at)


def observer() -> None:
    """A product that only looks changes nobody else's record."""
    assert_unobserved(SEED, Looker())


CHECKS: dict[str, Callable[[], None]] = {
    check.__name__: check
    for check in (
        reference,
        partition,
        restart,
        conservation,
        events,
        dealing,
        causality,
        observer,
    )
}


@pytest.fixture(autouse=True, scope="module")
def _tapes() -> None:
    """Tapes are grown, and the unpatched logs of both engines are kept, before anything is
    planted."""
    for seed in SEEDS:
        rich_run(seed)
        rich_reference(seed)


@pytest.mark.parametrize("name", CHECKS)
def test_a_sound_heart_is_green(name: str) -> None:
    """Without a planted bug every check passes."""
    CHECKS[name]()


@pytest.mark.interpreted
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bug planted, its check fails."""
    bug.plant(monkeypatch)
    with pytest.raises((AssertionError, InvariantError)):
        CHECKS[bug.found_by]()
