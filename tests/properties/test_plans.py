"""Plans of all kinds on tapes that look for trouble: heart and reference, however the tape is cut
and wherever it is restored."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest
from msgspec import structs

from engine.engine import Engine, EngineSpec
from engine.plans import LimitThenMarket, Now, Participate, Restrike, Twap
from engine.snapshot import restore, snapshot
from engine.ticks import Step
from engine.venue.rules import OrderRules, VenueRules
from tests.builders import Run, cut
from tests.properties.agreement import agree
from tests.properties.observers import Hasty
from tests.properties.rich import happened
from tests.properties.tapes import a_random_spec, a_random_tape

SEEDS = range(10)
ROWS = 300
PLANS: tuple[Any, ...] = (
    Now(slippage_bps=2.0),
    Twap(chunks=3, every_s=2.0),
    Twap(chunks=7, largest=4e4, every_s=0.5),
    Participate(share=0.5, every_s=1.0, timeout_s=20.0),
    Participate(share=0.01, every_s=7.0, timeout_s=10.0),
    LimitThenMarket(offset_bps=1.0, timeout_s=3.0),
    Restrike(delay_s=1.0, window_s=8.0, price="average"),
    Restrike(window_s=2.5, every_s=0.4, price="worst"),
    Restrike(window_s=0.0),
)


def a_planned_spec(seed: int) -> EngineSpec:
    """A random line-up whose products follow plans; some policies name their own, and the venue
    finds some parts too small."""
    random = Random(seed)
    spec = a_random_spec(random)
    rules = VenueRules(orders=OrderRules(notional_min=random.choice((0.0, 30.0, 3_000.0))))
    products, policies = [], []
    for product, own in zip(spec.products, spec.policies, strict=True):
        hedge = structs.replace(product.hedge, plan=random.choice(PLANS))
        products.append(structs.replace(product, hedge=hedge))
        hasty = Hasty(every_s=random.choice((5, 30)), plan=random.choice(PLANS))
        policies.append((*own, hasty) if random.random() < 0.5 else own)
    return structs.replace(
        spec,
        markets=tuple(structs.replace(market, venue=rules) for market in spec.markets),
        products=tuple(products),
        policies=tuple(policies),
    )


@cache
def case(seed: int) -> tuple[EngineSpec, Step]:
    spec = a_planned_spec(seed)
    return spec, a_random_tape(Random(seed + 1_000), spec, ROWS, commands=0.01)


@cache
def whole(seed: int) -> Run:
    """The heart on the tape in one block, which says what the reference says."""
    return agree(*case(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_log_is_that_of_the_slow_engine(seed: int) -> None:
    """Cut at ten rows and restored at each of them, the heart says what it says of one block, and
    that is what the slow engine says. Catches a turn too early or too late, volume counted twice at
    a cut, and a course that a snapshot forgets."""
    spec, tape = case(seed)
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, Random(seed).sample(range(1, ROWS), 10)):
        said.take(engine.process(step))
        engine.ledger.check()
        kept = snapshot(engine)
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
    said.take(engine.finish())
    assert said.lines == whole(seed).lines
    assert said.user_nav == whole(seed).user_nav


def test_every_plan_was_met() -> None:
    """Parts, whole plans, plans that were not needed, replaced, refused as too small, and a
    snapshot in the middle of each kind."""
    met: Counter[str] = Counter()
    for seed in SEEDS:
        met += happened(whole(seed))
        spec, tape = case(seed)
        engine = Engine(spec)
        for step in cut(tape, range(0, ROWS, 20)):
            engine.process(step)
            for handler in engine.handlers:
                plan = handler.desk.state.plan
                if plan is not None and plan.course is not None:
                    met[type(plan.course.plan).__name__] += 1
                    met["in part"] += 0 < abs(plan.left) < abs(plan.lots)
                    met["owed"] += bool(plan.course.owed_lots)
                    met["counted"] += bool(plan.course.traded_lots)
    wanted = ["Twap", "Participate", "Restrike", "in part", "owed", "counted"]
    wanted += ["order_cancelled not_needed", "order_rejected too_small", "deleveraged"]
    missing = [what for what in wanted if not met[what]]
    assert not missing, met
