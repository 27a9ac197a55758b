"""Money at the venue and in the treasury: heart and reference say the same, wherever the input is
cut and wherever it is restored, and NAV is what it would be in one place."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from engine.engine import Engine
from engine.snapshot import restore, snapshot
from tests.builders import Run, cut, run
from tests.properties.agreement import difference, reference
from tests.properties.wallets import walleted_spec, walleted_tape

SEEDS = (3, 5, 8)
CUT_SEEDS = (8,)


@cache
def walleted_run(seed: int) -> Run:
    return run(walleted_spec(seed), walleted_tape(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reference_says_the_same(seed: int) -> None:
    """With top-ups ordered, frozen, late and in time."""
    said = walleted_run(seed)
    found = difference(said, reference(walleted_spec(seed), walleted_tape(seed)))
    assert found is None, found


def test_every_way_was_gone() -> None:
    """Top-ups were ordered, arrived and were frozen; orders had no margin; hedges were
    liquidated; commands were obeyed and refused."""
    met: Counter[str] = Counter()
    for seed in SEEDS:
        for event in walleted_run(seed).events:
            tag = event.__struct_config__.tag
            met[f"{tag} {getattr(event, 'reason', '')}".strip()] += 1
    for wanted in (
        *("topup_ordered", "topup_arrived", "topup_frozen", "hedge_liquidated"),
        *(
            "orders_crossed",
            "omnibus_shared",
            "order_rejected no_margin",
            "command_obeyed",
            "command_refused not_frozen",
        ),
    ):
        assert met[wanted] > 0, (wanted, met)


@pytest.mark.parametrize("seed", CUT_SEEDS)
def test_cut_and_restored_anywhere(seed: int) -> None:
    """Cut and restored at random places, a top-up on its way among them, the log is the same, the
    ledger balances, and no treasury is below zero."""
    spec, tape, whole = walleted_spec(seed), walleted_tape(seed), walleted_run(seed)
    engine, met = Engine(spec), 0
    said = Run(engine)
    for step in cut(tape, sorted(Random(seed).sample(range(1, tape.end), 40))):
        said.take(engine.process(step))
        kept = snapshot(engine)
        engine = restore(spec, kept)
        met += sum(handler.desk.treasury.topup is not None for handler in engine.handlers)
        assert snapshot(engine) == kept
        assert all(handler.account.treasury >= 0 for handler in engine.handlers)
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert engine.digest() == whole.engine.digest()
    assert met > 0
