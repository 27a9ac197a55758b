"""Runs in which a venue makes its own mark and its own funding rate: of a spot market beside it and
of recorded index rows, by rules of all shapes."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from engine.commands import MaskIndex
from engine.engine import EngineSpec
from engine.points import PricingSpec
from engine.sampler import Sampling
from engine.ticks import Kind, Step
from engine.units import MINUTE_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from engine.venue.funding_rate import MarginRates
from engine.venue.price_rules import FundingRules, IndexSource, MarkRules
from engine.venue.rules import VenueRules
from strategies import LeverageBand, MarginFloor, TrendVol
from tests.builders import T0, a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.observers import Ratchet
from tests.properties.tapes import Grower

__all__ = ["a_priced_spec", "a_priced_tape"]

_MARKS = (
    MarkRules(stale_after_ns=20 * SECOND_NS),
    MarkRules(legs=("funding",), funding_grid_ns=MINUTE_NS, basis_step=0.01),
    MarkRules(legs=("index",), every_ns=2 * SECOND_NS, basis_every_ns=2 * SECOND_NS),
    MarkRules(
        every_ns=3 * SECOND_NS,
        legs=("basis", "book"),
        basis="ema",
        basis_every_ns=3 * SECOND_NS,
        book="median",
        pair="book_ema",
        stale_after_ns=20 * SECOND_NS,
    ),
    MarkRules(basis_points=3, pair="mean", stale_after_ns=10 * SECOND_NS),
)
_FUNDING = (
    FundingRules(interval_ns=MINUTE_NS, rate_interval_ns=MINUTE_NS, sample_ns=5 * SECOND_NS),
    FundingRules(
        interval_ns=MINUTE_NS,
        offset_ns=30 * SECOND_NS,
        kernel="flat",
        sample_ns=SECOND_NS,
        cap=0.01,
    ),
    FundingRules(
        interval_ns=2 * MINUTE_NS,
        kernel="rolling",
        window_ns=3 * MINUTE_NS,
        sample_ns=20 * SECOND_NS,
    ),
    FundingRules(
        interval_ns=2 * MINUTE_NS,
        kernel="votes",
        window_ns=MINUTE_NS,
        votes_min=5,
        sample_ns=4 * SECOND_NS,
        clamp=None,
        cap_margins=6.0,
    ),
)


def a_priced_spec(random: Random) -> EngineSpec:
    """A perpetual with a mark of its own, and the spot market that its index stands on."""
    rules = random.choice(_FUNDING) if random.random() < 0.6 else None
    funding = random.choice(
        (
            FundingSpec(recorded=True),
            FundingSpec(recorded=False),
            FundingSpec(recorded=False, instants=((T0 + MINUTE_NS, 0.001),)),
        )
    )
    if rules is not None:
        funding = FundingSpec(recorded=False, premium=rules)
    spot = IndexSource(symbol=1, weight=3.0, stale_after_ns=random.choice((5, 40)) * SECOND_NS)
    own = IndexSource(symbol=0, weight=2.0, stale_after_ns=15 * SECOND_NS, recorded=True)
    marked = random.random() < 0.85 or rules is None
    pricing = PricingSpec(
        sources=random.choice(((spot,), (own,), (spot, own))),
        mark=random.choice(_MARKS) if marked else None,
        premium=rules,
        margins=MarginRates(0.02, 0.012),
        impact_share=0.0002,
    )
    perpetual = a_market(
        0,
        contract=a_contract("BTCUSDT", inverse=random.random() < 0.3),
        funding=funding,
        pricing=pricing,
        book=BookSpec(model="depth", depth_at_1pct=random.choice((1e5, 244e6)), half_life_s=5.0),
        mark_source="venue" if marked else random.choice(("mid", "mark")),
        stale_after_ns=random.choice((20, 45)) * SECOND_NS,
        frozen_after_ns=random.choice((30, 300)) * SECOND_NS,
    )
    spot_market = a_market(1, contract=a_contract("BTCSPOT"), mark_source="mid")
    late = {"latency_ns": random.choice((0, 250_000_000)), "retry_ns": SECOND_NS}
    fees = {"management_fee": 0.0001, "fee_every_ns": MINUTE_NS}
    small: dict[str, Any] = {"seed_atoms": 10**10}
    held = {"holdings": ((0, 5 * 10**8), (2, 10**9))}
    band = LeverageBand(target=3.0, low=2.9, high=3.1)
    products = [
        (a_product("BAND", 0, **small, **held, **late), (band,)),
        (
            a_product("SHORT", 0, **small, **fees, **late),
            (LeverageBand(target=-3.0, low=2.9, high=3.1), MarginFloor(max_leverage=4.0)),
        ),
        (a_product("HIGH", 0, **small), (Ratchet(),)),
        (a_product("SPOT", 1, **small), (band,)),
    ]
    if random.random() < 0.5:
        smart = TrendVol(review_s=10.0, fast_move=0.01, step=0.05)
        products.append((a_product("SMART", 0, **small, **late), (smart,)))
    pick: Any = Random(2 * len(products) + marked).choice
    paying = FundingRules(
        priced_at=pick(("mark", "index", "index")), instant_pays=pick((True, False))
    )
    return a_spec(
        *products,
        markets=(replace(perpetual, venue=VenueRules(funding=paying)), spot_market),
        users=("alice", "bob"),
        population=2,
        sampling=Sampling(
            nav_every_ns=random.choice((0, SECOND_NS, 7 * SECOND_NS)),
            user_nav_every_ns=random.choice((0, 30 * SECOND_NS)),
            users_on_trade=random.random() < 0.3,
        ),
    )


class PricedTape(Grower):
    """Both symbols of one price, and index rows near it; ``troubled``: sources are masked."""

    masks = 0

    def _price(self, symbol: int) -> float:
        price = super()._price(symbol)
        if symbol == 1:
            price = self.price[0] * self.random.uniform(0.998, 1.002)
        self.price = [self.price[0], self.price[0]]
        return price

    def _next(self) -> Any:
        if self.troubled and self.trouble.random() < 0.08:
            self.masks += 1
            pick: Any = self.trouble.choice
            return MaskIndex(
                ts_ns=pick((0, self.ts_ns, self.ts_ns + 700_000_000)),
                id=f"mask {self.masks}",
                symbol=pick(("BTCUSDT",) * 9 + ("BTCSPOT",)),
                source=pick(("", "", "BTCSPOT", "BTCUSDT", "NONE")),
                masked=pick((True, True, False)),
                for_ms=pick((0, 1, 3_000, 20_000)),
            )
        if self.random.random() < 0.15:
            self._advance()
            near = self.price[0] * self.random.uniform(0.999, 1.001)
            return self._row(Kind.INDEX, 0, near)
        return super()._next()


def a_priced_tape(random: Random, spec: EngineSpec, rows: int, *, troubled: bool = False) -> Step:
    """Rows of both, with bad ones and requests among them."""
    tape = PricedTape(random, spec, aim=True, commands=0.02, troubled=troubled)
    tape.price = [20_000.0, 20_000.0]
    return a_tape(tape.grow(rows))
