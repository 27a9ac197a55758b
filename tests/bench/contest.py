"""Who takes part: our engine and two yardsticks, driven alike, with results that must be equal.

Each takes the same steps and gives back the same things: events, and the NAV of every product at
every second. What came out is added up beside the time that counts, so that equality of the sums is
equality of the work.
"""

from __future__ import annotations

import gc
import math
import time
from typing import Any, Final, Protocol

import numpy as np
from msgspec import Struct, field

from engine.engine import Engine
from engine.ledger import CAUSES
from engine.outputs import Outputs
from engine.ticks import Step
from tests.bench.navs import product_navs
from tests.bench.tapes import Lineup, MixedTape, Tape, heart_spec

__all__ = ["Contestant", "Ours", "Score", "Tally", "equal", "play"]

TOLERANCE: Final = 1e-9


class Tally(Struct):
    """What a run came to. ``nav_sums``: each product's sampled NAVs, added up; ``navs``: at the
    end; quote atoms."""

    rebalances: int = 0
    transfers: int = 0
    events: int = 0
    samples: int = 0
    nav_sums: list[float] = []
    navs: list[float] = []


class Score(Struct):
    """Seconds of one run. ``rows``: the part in which samples became rows of NAVs; wall time
    includes it, too."""

    cpu: float = 0.0
    wall: float = 0.0
    rows: float = 0.0
    wakes: int = 0
    wakes_empty: int = 0
    tally: Tally = field(default_factory=Tally)


class Contestant(Protocol):
    """Takes steps in order."""

    def process(self, step: Step) -> Any:
        """What one step causes."""

    def finish(self) -> Any:
        """What the end of the input causes."""

    def rows(self, outputs: list[Any]) -> list[Any]:
        """The NAVs among the outputs, sample by sample, products within."""

    def count(self, outputs: list[Any]) -> int:
        """How many events there are among the outputs."""

    def close(self, score: Score) -> None:
        """The run is over: rebalances, transfers and final NAVs."""


class Ours:
    """The engine."""

    def __init__(self, lineup: Lineup) -> None:
        self.engine = Engine(heart_spec(lineup))
        self.process = self.engine.process
        self.finish = self.engine.finish

    def rows(self, outputs: list[Outputs]) -> list[Any]:
        return product_navs([block for output in outputs for block in output.nav])

    def count(self, outputs: list[Outputs]) -> int:
        return sum(len(output.events) for output in outputs)

    def close(self, score: Score) -> None:
        engine, tally = self.engine, score.tally
        mark = engine.markets[0].state.mark
        tally.rebalances = sum(handler.state.rebalances for handler in engine.handlers)
        tally.transfers = sum(engine.ledger.transfers[cause] for cause in range(CAUSES))
        tally.navs = [float(handler.account.nav(mark)) for handler in engine.handlers]
        score.wakes, score.wakes_empty = engine.state.wakes, engine.state.wakes_empty


def play(contestant: Contestant, lineup: Lineup, tape: Tape | MixedTape, block: int) -> Score:
    """One run over the whole tape, cut into steps of ``block`` rows.

    What is in memory before, mostly what the compiler of the yardstick brought along, is frozen: a
    collection that looks through all of it would be charged to whoever happens to set it off.
    """
    gc.collect()
    gc.freeze()
    score = Score(tally=Tally(nav_sums=[0.0] * len(lineup)))
    sums = np.zeros(len(lineup))
    process = contestant.process
    for steps in tape.batches(block):
        wall, cpu = time.perf_counter(), time.process_time()
        outputs = [process(step) for step in steps]
        if steps[-1].end == len(tape):
            outputs.append(contestant.finish())
        between = time.process_time()
        rows = contestant.rows(outputs)
        done = time.process_time()
        score.wall += time.perf_counter() - wall
        score.cpu += done - cpu
        score.rows += done - between
        score.tally.events += contestant.count(outputs)
        for navs in rows:
            table = np.reshape(navs, (-1, len(lineup)))
            sums += table.sum(axis=0)
            score.tally.samples += len(table)
    gc.unfreeze()
    score.tally.nav_sums = sums.tolist()
    contestant.close(score)
    return score


def equal(ours: Tally, theirs: Tally, who: str) -> None:
    """Both did the same work and came to the same.

    Raises:
        AssertionError: naming what differs.
    """
    for name in ("rebalances", "transfers", "events", "samples"):
        here, there = getattr(ours, name), getattr(theirs, name)
        if here != there:
            raise AssertionError(f"{name}: {here} by the engine, {there} by {who}")
    for name in ("navs", "nav_sums"):
        for number, (here, there) in enumerate(
            zip(getattr(ours, name), getattr(theirs, name), strict=True)
        ):
            if not math.isclose(here, there, rel_tol=TOLERANCE):
                raise AssertionError(f"{name}[{number}]: {here} by the engine, {there} by {who}")
