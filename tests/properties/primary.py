"""Products of every sort whose primary market has terms of every sort."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.offering import ANYTIME, Offering
from engine.secondary import SecondaryTerms
from engine.splits import SplitTerms
from engine.units import DAY_NS, SECOND_NS
from tests.builders import T0
from tests.properties.tapes import a_random_spec

__all__ = ["a_primary_spec"]

LATER_NS = T0 + 55 * SECOND_NS
"""When other rules begin to hold."""


def a_primary_spec(random: Random) -> EngineSpec:
    """One market and three to seven products; now and then one without any such terms."""
    spec = a_random_spec(random, symbols=1)
    products, inverse = [], spec.markets[0].contract.kind == "inverse"
    for product in spec.products:
        terms = replace(
            product.terms,
            offering=_an_offering(random),
            split=random.choice((None, _a_split(random))),
            secondary=random.choice((None, _a_secondary(random))),
            create_fee=0.001,
            redeem_fee=random.choice((0.0, 0.002)),
            offerings=random.choice(((), ((LATER_NS, _an_offering(random)),))),
            splits=random.choice(((), ((LATER_NS, random.choice((None, _a_split(random)))),))),
            nav="basket" if inverse else random.choice(("basket", "basket", "formula")),
        )
        products.append(replace(product, terms=terms))
    return replace(spec, products=tuple(products))


def _a_secondary(random: Random) -> SecondaryTerms:
    """Thin or deep, half of a premium gone within the tape or not."""
    return SecondaryTerms(
        depth_atoms=random.choice((10**8, 10**10)),
        half_life_ns=random.choice((20, 3_600)) * SECOND_NS,
        limit=random.choice((0.9, 0.3)),
    )


def _a_split(random: Random) -> SplitTerms:
    """A rule that merges units of about 1 a few times, and a split that was announced."""
    return SplitTerms(
        merge_below=random.choice((0.0, 3.0, 50.0)),
        merge=random.choice((3, 10)),
        every_ns=40 * SECOND_NS,
        at_ns=random.choice((0, SECOND_NS + 1)),
        dates=((T0 + random.choice((20, 60)) * SECOND_NS, *random.choice(((7, 1), (1, 4)))),),
        decimals=random.choice((8, 2, 0)),
    )


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
