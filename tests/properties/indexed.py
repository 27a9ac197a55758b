"""Markets with a second price: products that follow the index beside others that do not, and tapes
on which mark and index part."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from engine.engine import EngineSpec
from engine.sampler import Sampling
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand, MarginFloor, Schedule
from tests.builders import a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.tapes import MINUTE_NS, Grower, aimed

__all__ = ["IndexGrower", "an_indexed_spec", "an_indexed_tape"]


def an_indexed_spec(random: Random) -> EngineSpec:
    """One or two markets, in the first of which two to four products follow the index, among a
    basket and a formula on the mark."""
    inverse = random.random() < 0.3
    name = "BTCUSD0" if inverse else "BTCUSDT0"
    book = random.choice(
        (
            BookSpec(model="flat", half_spread_bps=1.0),
            BookSpec(model="depth", depth_at_1pct=1e5, half_life_s=5.0),
        )
    )
    markets = [
        a_market(
            contract=a_contract(name, inverse=inverse),
            book=book,
            funding=FundingSpec(recorded=random.random() < 0.5, rate_8h=0.0003),
            mark_source=random.choice(("mark", "mid", "last")),
            stale_after_ns=random.choice((30 * SECOND_NS, MINUTE_NS)),
            frozen_after_ns=2 * MINUTE_NS,
        )
    ]
    if random.random() < 0.3:
        markets.append(a_market(1, contract=a_contract("ETHUSDT1")))
    products = [_follower(random, n) for n in range(random.randint(2, 4))]
    band = (LeverageBand(target=-2.0, low=1.98, high=2.02),)
    products.insert(random.randint(0, 2), (a_product("BASKET"), band))
    products.insert(random.randint(0, 2), (a_product("AT-MARK", nav="formula"), band))
    if len(markets) > 1:
        products.append((a_product("OTHER", 1), band))
    sampling = Sampling(
        nav_every_ns=random.choice((SECOND_NS, 7 * SECOND_NS)),
        user_nav_every_ns=random.choice((0, 30 * SECOND_NS)),
        users_on_trade=random.random() < 0.5,
    )
    users = ("alice", "bob")
    return a_spec(*products, markets=markets, users=users, population=2, sampling=sampling)


def _follower(random: Random, number: int) -> Any:
    width, sign = random.choice((0.001, 0.02, 0.3)), random.choice((1.0, -1.0))
    band = LeverageBand(target=3.0 * sign, low=3.0 - width, high=3.0 + width)
    policies: tuple[Any, ...] = random.choice(
        (
            (band,),
            (band, MarginFloor(max_leverage=4.0)),
            (Schedule(target=3.0 * sign, every_s=60.0),),
        )
    )
    product = a_product(
        f"INDEX{number}",
        nav="formula",
        formula_price="index",
        holdings=((0, 5 * 10**8), (2, 10**9)),
        latency_ns=random.choice((0, 0, 250_000_000, 5 * SECOND_NS)),
        retry_ns=random.choice((2 * SECOND_NS, 700_000_000)),
        when_stale=random.choice(("hold", "refuse")),
        management_fee=random.choice((0.0, 0.0001)),
        fee_every_ns=MINUTE_NS,
        while_rebalancing=random.choice(("refuse", "queue")),
    )
    return product, policies


def an_indexed_tape(random: Random, spec: EngineSpec, rows: int, *, commands: float = 0.0) -> Step:
    """A tape on which half of the prices are the index's, aimed at the edges there."""
    return a_tape(IndexGrower(random, spec, aim=True, commands=commands).grow(rows))


class IndexGrower(Grower):
    """Lets the index walk on its own, at times in the very instant of a mark."""

    index = 0.0

    def _next(self) -> Any:
        if self.random.random() < 0.6:
            return super()._next()
        if self.random.random() < 0.6:
            self._advance()
        return a_row(Kind.INDEX, self.ts_ns, self._index())

    def _index(self) -> float:
        random, mark = self.random, self.price[0]
        price = self.index or mark
        bounds = self.engine.markets[0].index_edges.bounds()
        near = [edge for edge in bounds if 0.0 < edge < math.inf and 0.5 < edge / price < 2.0]
        draw = random.random()
        if near and draw < 0.3:
            price = aimed(random.choice(near), random.randint(-3, 3))
        elif draw < 0.9:
            price *= 1.0 + random.gauss(0.0, 0.0007)
        else:
            price *= 1.0 + random.gauss(0.0, 0.03)
        self.index = min(max(price, mark / 2.0), mark * 2.0)
        return self.index
