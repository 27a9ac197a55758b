"""Two products in a generated market that feels them: every fill's price and every second's mark,
as a second telling of the equations has them."""

from __future__ import annotations

from random import Random

import pytest

from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.depth import BETA_FAR, BETA_NEAR
from engine.venue.funding import FundingSpec
from engine.venue.impact import ImpactSpec
from tests.builders import T0, a_contract, a_market, a_spec, a_tape, run
from tests.oracle.felt import FeltPrice
from tests.properties.felt import band

ROWS = 240
FADES, REFILLS, BASIS = 45.0, 20.0, 30.0


@pytest.mark.parametrize("latency_ns", [0, 300_000_000])
@pytest.mark.parametrize("depth", [2e6, 3e7])
@pytest.mark.parametrize("rate", [0.0, 0.003])
@pytest.mark.parametrize("seed", range(3))
def test_marks_and_fills_are_those_of_the_equations(
    seed: int, rate: float, depth: float, latency_ns: int
) -> None:
    """Long and short, in a book that they leave far behind and in one that they scratch, at once
    and late, with funding to come that the mark carries and without: to nine digits."""
    random, bases = Random(seed), [100.0]
    for _ in range(ROWS - 1):
        wide = random.choice((0.0005, 0.004, 0.03))
        bases.append(bases[-1] * (1.0 + wide * random.uniform(-1.0, 1.0)))
    impact = ImpactSpec(half_life_s=FADES, basis_s=BASIS, survival=None)
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="depth", depth_at_1pct=depth, half_life_s=REFILLS, half_spread_bps=2.0),
        funding=FundingSpec(recorded=False, rate_8h=rate),
        impact=impact,
    )
    products = [
        band(3.0, "BTC3L", seed_atoms=10**12, latency_ns=latency_ns),
        band(-2.0, "BTC2S", seed_atoms=4 * 10**11, latency_ns=latency_ns),
    ]
    said = run(a_spec(*products, markets=(market,)), a_tape(bases))
    fills = said.named("order_filled")
    assert len(fills) > 8
    price = FeltPrice(
        depth=depth,
        betas=(BETA_NEAR, BETA_FAR),
        permanent=impact.permanent,
        fades=FADES,
        refills=REFILLS,
        basis_s=BASIS,
        half_spread=2e-4,
    )
    until_ns = 8 * 3_600 * SECOND_NS
    for second, base in enumerate(bases):
        now_ns = T0 + second * SECOND_NS
        carry = rate * ((-now_ns) % until_ns) / until_ns
        price.second(base, carry)
        for each in [f for f in fills if now_ns <= f.ts_ns < now_ns + SECOND_NS]:
            side, coins = (1 if each.lots > 0 else -1), abs(each.lots) / 10**6
            found = price.fill(side, coins, base, each.ts_ns / SECOND_NS)
            assert each.price == pytest.approx(found, rel=1e-9)
            if each.ts_ns == now_ns:
                price.mark(base, carry)
        told = float(said.nav["mark_price"][said.nav["ts_ns"] == now_ns][-1])
        if not any(now_ns < f.ts_ns < now_ns + SECOND_NS for f in fills):
            assert told == pytest.approx(price.mark(base, carry), rel=1e-9), second
