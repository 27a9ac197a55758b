"""The primary market on random tapes: whatever its terms, one output log, cut and restarted
anywhere, and nothing appears or is lost."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest

from engine.engine import Engine, EngineSpec
from engine.events import LevelDealt, LevelReached, RequestQueued, SecondaryPriced
from engine.snapshot import restore, snapshot
from engine.ticks import Step
from tests.builders import Run, cut, run
from tests.properties.agreement import agree
from tests.properties.primary import a_primary_spec
from tests.properties.tapes import a_random_tape
from tests.properties.test_conservation import assert_fair, assert_rebuilt, check

SEEDS = tuple(range(14))
ROWS = 250


@cache
def told(seed: int) -> tuple[EngineSpec, Step, Run]:
    """A random run with many requests, by the heart in one block."""
    random = Random(seed)
    spec = a_primary_spec(random)
    tape = a_random_tape(random, spec, ROWS, requests=0.3, commands=0.03)
    return spec, tape, run(spec, tape)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_slow_engine_says_the_same(seed: int) -> None:
    spec, tape, said = told(seed)
    assert agree(spec, tape, check=False).lines == said.lines


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_and_restarted_anywhere(seed: int) -> None:
    """After each of forty rows a new engine goes on from a snapshot of the last, which is its own
    again; after every block the ledger balances and the causes of equity sum to its change."""
    spec, tape, expected = told(seed)
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, sorted(Random(seed).sample(range(1, tape.end), 40))):
        said.take(engine.process(step))
        check(engine)
        kept = snapshot(engine)
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
    said.take(engine.finish())
    assert said.lines == expected.lines
    assert said.user_nav == expected.user_nav
    assert engine.digest() == expected.engine.digest()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_events_rebuild_what_is_owned(seed: int) -> None:
    """Cash, lots and units follow from the events alone, and nobody gets more than his share; what
    an issuer pays into the hedge of a formula product is not among them."""
    spec, _, said = told(seed)
    if all(product.terms.nav == "basket" for product in spec.products):
        assert_rebuilt(said)
    assert_fair(said)


def test_everything_happens() -> None:
    """The tapes do what this module is about, so that they cannot pass by being calm."""
    counts: Counter[str] = Counter()
    for seed in SEEDS:
        counts["before a batch"] += _overtakes(told(seed)[2].events)
        for event in told(seed)[2].events:
            tag = event.__struct_config__.tag
            counts[tag] += 1
            counts[f"{tag} {getattr(event, 'reason', '')}"] += 1
            if isinstance(event, SecondaryPriced):
                counts[f"creations {event.creations}"] += 1
                counts[f"redemptions {event.redemptions}"] += 1
                counts["premium"] += event.premium > 0.01
                counts["discount"] += event.premium < -0.01
    wanted = (
        *("request_queued batch", "request_queued window", "request_queued rebalancing"),
        *("creation_refused outside_window", "creation_refused user_cap"),
        "creation_refused nav_cap",
        *("units_created", "units_redeemed", "redemption_refused split"),
        *("request_cancelled", "cancellation_refused not_yours"),
        "cancellation_refused not_waiting",
        *("request_queued level", "level_reached", "level_dealt", "before a batch"),
        *("units_split announced", "units_split low_nav"),
        *("premium", "discount", "creations open", "creations gated", "creations paused"),
        *("creations halted", "creations rebalancing", "creations outside_window"),
        *("creations units_cap", "creations nav_cap", "creations day_cap", "creations closed"),
        *("redemptions outside_window", "redemptions stale"),
    )
    assert not [what for what in wanted if not counts[what]], counts


def _overtakes(events: list[Any]) -> int:
    """How many redemptions at a level are dealt before others who waited for a batch or a window
    when the level was reached."""
    waiting: set[str] = set()
    before: dict[str, set[str]] = {}
    found = 0
    for event in events:
        if isinstance(event, RequestQueued) and event.reason in ("batch", "window"):
            waiting.add(event.id)
        elif isinstance(event, LevelReached):
            before[event.id] = set(waiting)
        elif isinstance(event, LevelDealt):
            found += bool(before[event.id] & waiting)
        else:
            waiting.discard(getattr(event, "id", ""))
    return found
