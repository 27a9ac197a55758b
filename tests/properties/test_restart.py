"""A snapshot at any sequence, restored elsewhere, goes on as if nothing had been."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from engine.engine import Engine
from engine.snapshot import restore, snapshot
from tests.builders import Run, cut
from tests.properties.rich import SEEDS, rich_run, rich_spec, rich_tape

RESTARTS = 40


def restarted(seed: int, places: list[int]) -> tuple[Run, Counter[str]]:
    """The rich tape, with a snapshot and a restored engine at each of the places; and in what
    states they were."""
    spec = rich_spec()
    engine = Engine(spec)
    said = Run(engine)
    met: Counter[str] = Counter()
    for step in cut(rich_tape(seed), places):
        said.take(engine.process(step))
        kept = snapshot(engine)
        met.update(_state_of(engine))
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
    said.engine = engine
    said.take(engine.finish())
    return said, met


def _state_of(engine: Engine) -> list[str]:
    found = []
    for handler in engine.handlers:
        plan = handler.desk.state.plan
        if plan is not None:
            found += (
                ["mid-latency"]
                + ["held"] * plan.held
                + ["half filled"] * (0 != plan.left != plan.lots)
            )
        found += ["hedge of a request"] * bool(handler.desk.state.deals)
        found += ["queued request"] * bool(handler.dealing.queue)
        found += ["closed"] * (handler.state.status == "closed")
    for market in engine.markets:
        found += ["stale"] * bool(market.state.stale) + ["mid-grid"] * market.state.cell_fresh
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_restart_anywhere(seed: int) -> None:
    """The tail after a restore is the tail without one, and restore then snapshot gives the same
    bytes."""
    end = rich_tape(seed).end
    said, met = restarted(seed, sorted(Random(seed).sample(range(1, end), RESTARTS)))
    expected = rich_run(seed)
    assert said.lines == expected.lines
    assert said.user_nav == expected.user_nav
    assert said.engine.digest() == expected.engine.digest()
    assert snapshot(said.engine) == snapshot(expected.engine)
    assert met["mid-latency"]
    assert met["mid-grid"]


def test_every_row_of_one_tape() -> None:
    """A restart after every single row changes nothing; orders were on their way, half filled and
    held meanwhile."""
    seed = SEEDS[1]
    said, met = restarted(seed, list(range(1, rich_tape(seed).end)))
    assert said.lines == rich_run(seed).lines
    assert said.engine.digest() == rich_run(seed).engine.digest()
    wanted = (
        "mid-latency",
        "half filled",
        "held",
        "stale",
        "mid-grid",
        "closed",
        "hedge of a request",
    )
    assert not [what for what in wanted if not met[what]], met
