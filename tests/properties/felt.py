"""Runs in a generated market that feels what is traded in it: a population, two products that
follow the price, a thin book."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.product import ProductSpec
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.impact import ImpactSpec
from engine.venue.rules import LiquidationRules, MarginRules, VenueRules
from strategies import LeverageBand
from tests.builders import T0, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.crowded import a_crowd, drawn
from tests.properties.margined import TIERS

__all__ = ["band", "felt_market", "felt_spec", "felt_tape"]


def band(target: float, name: str, **fields: Any) -> tuple[ProductSpec, tuple[LeverageBand, ...]]:
    """A product with a band of a tenth around its target."""
    edges = {"low": abs(target) * 0.9, "high": abs(target) * 1.1}
    return a_product(name, **fields), (LeverageBand(target=target, **edges),)


def felt_market(depth: float = 5e6, **impact: Any) -> Any:
    """A market with feedback and a depth book."""
    return a_market(
        venue=VenueRules(margin=MarginRules(tiers=TIERS[:1]), liquidation=LiquidationRules()),
        book=BookSpec(model="depth", depth_at_1pct=depth, half_life_s=20.0),
        impact=ImpactSpec(half_life_s=20.0, **impact),
        insurance_atoms=10**9,
    )


def felt_spec(seed: int, depth: float = 5e6, **fields: Any) -> EngineSpec:
    """3L and 3S of a hundred thousand each, and 300 positions."""
    products = [
        band(3.0, "BTC3L", seed_atoms=10**11),
        band(-3.0, "BTC3S", seed_atoms=10**11, latency_ns=seed % 2 * 300_000_000),
    ]
    positions = [
        (40 * lots, 40 * wallet, entry, leverage)
        for lots, wallet, entry, leverage in drawn(Random(seed), 300)
    ]
    market = felt_market(depth)
    venue = replace(market.venue, margin=MarginRules(tiers=(replace(TIERS[0], cap=1e9),)))
    return a_spec(
        *products, markets=(replace(market, venue=venue),), crowds=(a_crowd(positions),), **fields
    )


def felt_tape(seed: int, rows: int = 240, message: Any = None, *, indexed: bool = False) -> Step:
    """Marks at every second, falling in leaps, quiet at times; every fifth a little late; a message
    in the twentieth second; if ``indexed``, an index beside every fourth, off by up to half a per
    cent."""
    random, mark, other = Random(seed), 100.0, Random(seed + 1)
    found: list[Any] = []
    for row in range(rows):
        scale = random.choice((0.0, 0.001, 0.004, 0.02))
        mark *= 1.0 + scale * random.uniform(-1.1, 1.0)
        late = random.choice((0, 0, 0, 0, 400_000_000))
        if row == 20 and message is not None:
            found.append(message)
        ts_ns = T0 + row * SECOND_NS + late
        found.append(a_row(Kind.MARK, ts_ns, mark))
        if indexed and other.random() < 0.25:
            away = other.choice((0.0, 0.0, 0.005, -0.003))
            found.append(a_row(Kind.INDEX, ts_ns, mark * (1.0 + away)))
    return a_tape(found)
