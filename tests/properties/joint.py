"""Runs whose products share margin accounts across two markets: the walleted runs of those seeds
whose markets settle in one asset, with less at the venue, and prices aimed at its edges too."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.product import ProductSpec
from engine.ticks import Step
from engine.units import SECOND_NS
from tests.builders import a_tape
from tests.properties.tapes import Grower, aimed
from tests.properties.wallets import walleted_spec

__all__ = ["COINS", "SEEDS", "joint_spec", "joint_tape"]

ROWS = 250
SEEDS = (0, 3, 6, 9, 12, 15, 21, 27)
COINS = (5, 8)
"""Not 2: at a mark of 27,169 beside a book of 17,211 its band buys until lots leave 64 bits."""
START = (20_000.0, 30_000.0)


class _Aiming(Grower):
    """Looks where margin is short, too, and leaps beyond."""

    def _price(self, symbol: int) -> float:
        random, market = self.random, self.engine.markets[symbol]
        price = self.price[symbol]
        near = [e for e in market.guard if 0.0 < e < math.inf and 0.6 < e / price < 1.6]
        draw, start = random.random(), START[symbol]
        if draw < 0.05:
            leap = price * random.choice((0.85, 0.92, 1.08, 1.15))
            self.price[symbol] = min(max(leap, start / 3.0), start * 3.0)
            return self.price[symbol]
        if not near or draw < 0.85:
            return super()._price(symbol)
        edge = random.choice(near) * random.choice((1.0, 1.0 - 1e-9, 1.0 + 1e-9, 0.999, 1.001))
        self.price[symbol] = aimed(edge, random.randint(-3, 3))
        return self.price[symbol]


def _named(random: Random, product: ProductSpec) -> ProductSpec:
    if product.kind != "fund":
        return product
    name = random.choice(["desk", "desk", "desk", "other", ""])
    if product.id == "THIN":
        name = ""  # a hundred times as large: behind it nobody would ever be short
    hedge = replace(
        product.hedge,
        account="omnibus",
        account_name=name,
        margin_share=random.choice([0.1, 0.15, 0.35, 0.7]),
        topup_latency_ns=random.choice([SECOND_NS, 30 * SECOND_NS]),
    )
    return replace(product, hedge=hedge)


def _in_coins(spec: EngineSpec) -> EngineSpec:
    """Both markets settled in bitcoin."""
    first, coin = spec.markets
    other = replace(
        coin,
        symbol=0,
        contract=replace(coin.contract, symbol="XBTUSD"),
        mark_source=first.mark_source,
    )
    return replace(
        spec,
        symbols=("XBTUSD", *spec.symbols[1:]),
        markets=(other, coin),
        traders=tuple(t for t in spec.traders if all(p.market == 1 for p in t.positions)),
    )


def joint_spec(seed: int) -> EngineSpec:
    """Most funds behind one account of both markets, some behind another, some behind that of their
    market."""
    random, spec = Random(f"joint {seed}"), walleted_spec(seed)
    if seed in COINS:
        spec = _in_coins(spec)
    return replace(spec, products=tuple(_named(random, each) for each in spec.products))


def joint_tape(seed: int) -> Step:
    """A tape for that run, the rows of both markets mixed, commands among them."""
    rows: list[Any] = _Aiming(
        Random(seed * 11 + 1), joint_spec(seed), aim=True, commands=0.02
    ).grow(ROWS)
    return a_tape(rows)
