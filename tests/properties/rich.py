"""One fixed run in which everything happens: what partition, restart, causality and the planted
bugs are tried on.

``happened`` counts what must have happened, so that a calm tape cannot pass.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

from engine.engine import EngineSpec
from engine.sampler import Sampling
from engine.ticks import Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand, MarginFloor, Schedule, TrendVol
from tests.builders import Run, a_contract, a_market, a_product, a_spec, run
from tests.properties.agreement import reference
from tests.properties.observers import Fallible, Ratchet
from tests.properties.tapes import a_random_tape
from tests.reference.engine import ReferenceEngine

__all__ = ["SEEDS", "happened", "rich_reference", "rich_run", "rich_spec", "rich_tape"]

SEEDS = (6, 4, 7)
ROWS = 700
MINUTE_NS = 60 * SECOND_NS


@cache
def rich_spec(**sampling: int) -> EngineSpec:
    """Two markets, linear with a thin book and recorded funding, inverse with a constant rate;
    thirteen products."""
    thin = BookSpec(model="depth", depth_at_1pct=2e5, half_life_s=5.0)
    linear = a_market(
        0,
        contract=a_contract("BTCUSDT"),
        book=thin,
        funding=FundingSpec(recorded=True),
        stale_after_ns=30 * SECOND_NS,
        frozen_after_ns=45 * SECOND_NS,
    )
    instants = tuple((1_700_000_000 * SECOND_NS + n * MINUTE_NS, 0.001) for n in range(1, 60))
    inverse = a_market(
        1,
        contract=a_contract("BTCUSD", inverse=True),
        funding=FundingSpec(recorded=False, instants=instants),
        mark_source="mid",
    )
    band = LeverageBand(target=3.0, low=2.9, high=3.1)
    short = LeverageBand(target=-3.0, low=2.7, high=3.3)
    quick = TrendVol(review_s=10.0, fast_move=0.01, step=0.05)
    slow = TrendVol(direction=-1, review_s=30.0, fast_move=0.02, step=0.05)
    fees = {"management_fee": 0.0001, "fee_every_ns": MINUTE_NS}
    late = {"latency_ns": 250_000_000, "retry_ns": SECOND_NS}
    held = {"holdings": ((0, 5 * 10**8), (2, 10**9))}
    small = {"seed_atoms": 10**10}
    return a_spec(
        (a_product("BAND", 0, **small, **held), (band,)),
        (a_product("THIN", 0, seed_atoms=12 * 10**11, while_rebalancing="queue", **late), (band,)),
        (a_product("SHORT", 0, **small, **fees, **late), (short, MarginFloor(max_leverage=4.0))),
        (
            a_product("FLOOR", 0, **small),
            (Schedule(target=3.0, every_s=300.0), MarginFloor(max_leverage=3.2)),
        ),
        (a_product("SMART", 0, **small, latency_ns=5 * SECOND_NS), (quick,)),
        (
            a_product("RUIN", 0, **small, reserve_atoms=10**6),
            (LeverageBand(target=9.0, low=2.0, high=500.0),),
        ),
        (
            a_product("REFUSE", 0, **small, when_stale="refuse"),
            (Schedule(target=-1.5, every_s=20.0),),
        ),
        (
            a_product("RUINS", 1, **small, **late, reserve_atoms=10**6),
            (LeverageBand(target=8.0, low=0.0, high=1e6),),
        ),
        (a_product("COIN", 1, **small, **held, **fees), (band,)),
        (a_product("COINS", 1, **small, **late), (short,)),
        (a_product("SMARTS", 1, **small), (slow, MarginFloor(max_leverage=5.0, cut_to=1.5))),
        (a_product("HIGH", 1, **small, **fees), (Ratchet(),)),
        (a_product("BROKEN", 1, **small), (Fallible(),)),
        markets=(linear, inverse),
        users=("alice", "bob"),
        population=2,
        sampling=Sampling(
            nav_every_ns=sampling.get("nav_every_ns", 7 * SECOND_NS),
            user_nav_every_ns=sampling.get("user_nav_every_ns", 30 * SECOND_NS),
            users_on_trade=True,
        ),
    )


@cache
def rich_tape(seed: int = SEEDS[0]) -> Step:
    """A tape aimed at that run's edges and alarms, with bad rows and requests among them."""
    return a_random_tape(Random(seed), rich_spec(), ROWS)


@cache
def rich_run(seed: int = SEEDS[0]) -> Run:
    """The heart on the rich tape, whole."""
    return run(rich_spec(), rich_tape(seed))


@cache
def rich_reference(seed: int = SEEDS[0]) -> ReferenceEngine:
    """The slow engine on the rich tape."""
    return reference(rich_spec(), rich_tape(seed))


def happened(*runs: Run) -> Counter[str]:
    """What happened in these runs, in words to ask for."""
    counts: Counter[str] = Counter()
    for said in runs:
        counts["wakes"] += said.engine.state.wakes
        for event in said.events:
            tag = event.__struct_config__.tag
            counts[tag] += 1
            for name in ("product", "reason", "payer", "purpose"):
                if hasattr(event, name) and tag not in ("rebalanced", "deleveraged"):
                    counts[f"{tag} {getattr(event, name)}"] += 1
            if tag in ("rebalanced", "deleveraged"):
                counts[f"traded {event.product}"] += 1
    return counts
