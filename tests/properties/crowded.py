"""Runs with a background population beside everything else of the margined runs."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.ticks import Step
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.crowd import CrowdSpec
from tests.properties.margined import TIERS, margined_spec
from tests.properties.tapes import a_random_tape

__all__ = ["Drawn", "a_crowd", "as_traders", "crowded_spec", "crowded_tape", "drawn"]

Drawn = list[tuple[int, int, float, float]]
"""``(lots, wallet atoms, entry, leverage)`` of each position."""


def drawn(random: Random, count: int, *, inverse: bool = False) -> Drawn:
    """Longs and shorts at 2x to 40x, entered around 100."""
    found = []
    for _ in range(count):
        entry = 100.0 * random.uniform(0.98, 1.02)
        lots = random.randint(10, 1_000) if inverse else random.randint(10**5, 10**7)
        worth = lots * 1e8 / entry if inverse else lots * entry
        size = lots if inverse else lots * entry / 1e6
        most = next(tier.max_leverage for tier in TIERS if size <= tier.cap)
        leverage = min(random.choice((2.0, 5.0, 10.0, 20.0, 40.0)), most)
        side = random.choice((1, -1))
        found.append((side * lots, int(worth / leverage) + 1, entry, leverage))
    return found


def a_crowd(positions: Drawn, name: str = "crowd", market: int = 0, **fields: Any) -> CrowdSpec:
    """A population of exactly these positions."""
    lots, wallets, entries, leverages = zip(*positions, strict=True)
    return CrowdSpec(
        id=name,
        market=market,
        absolute=True,
        sizes=np.array(lots, np.int64).tobytes(),
        wallets=np.array(wallets, np.int64).tobytes(),
        entries=np.array(entries).tobytes(),
        leverages=np.array(leverages).tobytes(),
        **fields,
    )


def as_traders(positions: Drawn, market: int = 0) -> tuple[TraderSpec, ...]:
    """The same, an account each."""
    return tuple(
        TraderSpec(
            id=f"row{number}",
            wallet_atoms=wallet,
            positions=(PositionSpec(market=market, lots=lots, entry=entry),),
            max_leverage=leverage,
        )
        for number, (lots, wallet, entry, leverage) in enumerate(positions)
    )


def crowded_spec(seed: int, count: int = 60) -> EngineSpec:
    """A margined run with a population in each market."""
    base, random = margined_spec(seed), Random(f"crowd {seed}")
    crowds = []
    for number, market in enumerate(base.markets):
        inverse = market.contract.kind == "inverse"
        positions = drawn(random, count, inverse=inverse)
        crowds.append(a_crowd(positions, f"crowd{number}", number, tells_rows=seed % 2 == 0))
    return replace(base, crowds=tuple(crowds))


def crowded_tape(seed: int, rows: int = 200) -> Step:
    """A tape for that run."""
    return a_random_tape(Random(seed * 7 + 1), crowded_spec(seed), rows)
