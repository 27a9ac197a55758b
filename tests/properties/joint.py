"""Runs whose products share margin accounts across two markets: the walleted runs of those seeds
whose markets settle in one asset."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.product import ProductSpec
from engine.ticks import Step
from tests.properties.tapes import a_random_tape
from tests.properties.wallets import walleted_spec

__all__ = ["SEEDS", "joint_spec", "joint_tape"]

ROWS = 250
SEEDS = (0, 3, 6, 9, 12, 15)


def _named(random: Random, product: ProductSpec) -> ProductSpec:
    if product.kind != "fund":
        return product
    name = random.choice(["desk", "desk", "desk", "other", ""])
    hedge = replace(product.hedge, account="omnibus", account_name=name)
    return replace(product, hedge=hedge)


def joint_spec(seed: int) -> EngineSpec:
    """Most funds behind one account of both markets, some behind another, some behind that of their
    market."""
    random, spec = Random(f"joint {seed}"), walleted_spec(seed)
    return replace(spec, products=tuple(_named(random, each) for each in spec.products))


def joint_tape(seed: int) -> Step:
    """A tape for that run, the rows of both markets mixed; commands among them."""
    return a_random_tape(Random(seed * 11 + 1), joint_spec(seed), ROWS, commands=0.02)
