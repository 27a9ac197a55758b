"""Products of every sort whose primary market has terms of every sort."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.offering import ANYTIME, Offering
from engine.units import DAY_NS, SECOND_NS
from tests.builders import T0
from tests.properties.tapes import a_random_spec

__all__ = ["a_primary_spec"]


def a_primary_spec(random: Random) -> EngineSpec:
    """One market and three to seven products; now and then one without any such terms."""
    spec = a_random_spec(random, symbols=1)
    products = []
    for product in spec.products:
        terms = replace(product.terms, offering=_an_offering(random))
        products.append(replace(product, terms=terms))
    return replace(spec, products=tuple(products))


def _an_offering(random: Random) -> Offering:
    """Batches, a window of two minutes that is open now or soon, and caps."""
    if random.random() < 0.2:
        return ANYTIME
    since = T0 % DAY_NS
    opens = random.choice((0, 0, since + random.randint(-100, 60) * SECOND_NS))
    return Offering(
        opens_ns=opens,
        closes_ns=opens + 120 * SECOND_NS if opens else 0,
        outside=random.choice(("refuse", "queue")),
        batch_ns=random.choice((0, 45 * SECOND_NS)),
        batch_at_ns=random.choice((0, 7)),
        request_max=random.choice((0, 4_000 * 10**6)),
        user_day_max=random.choice((0, 3_000 * 10**6)),
        day_max=random.choice((0, 9_000 * 10**6)),
        nav_max=random.choice((0, 102 * 10**9)),
        units_max=random.choice((0, 102 * 10**11)),
    )
