"""Small venues in a crash: customers of both sides, funds beside them, rules drawn from a number.

What the venue does to whom is kept as digests of what was said, a line a venue, and as text of the
first ones: ``python -m tests.golden.venues NUMBER`` prints any. It is the joining of the rules that
these hold still; each rule is worked by hand in ``tests/engine``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from msgspec.structs import asdict

from engine.engine import EngineSpec
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.ticks import Kind, Step
from engine.units import HOUR_NS, SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.crowd import CrowdSpec
from engine.venue.rules import (
    AdlRules,
    InsuranceRules,
    LiquidationRules,
    MarginRules,
    Tier,
    VenueRules,
)
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run

__all__ = [
    "DIGESTS",
    "LOGS",
    "NUMBERS",
    "TEXTS",
    "digest_of",
    "lines_of",
    "venue_spec",
    "venue_tape",
]

NUMBERS: Final = tuple(range(120))
"""Each third is settled in coins."""
TEXTS: Final = NUMBERS[:9]
DIGESTS: Final = Path(__file__).with_name("venues.txt")
LOGS: Final = Path(__file__).with_name("venues.out.jsonl")
ROWS: Final = 20
COIN: Final = 10**6
TIERS: Final = (
    Tier(cap=2e4, max_leverage=25.0, rate=0.01),
    Tier(cap=1e5, max_leverage=10.0, rate=0.03, deduction=400.0),
    Tier(cap=1e9, max_leverage=4.0, rate=0.1, deduction=7_400.0),
)
RANKINGS: Final = (
    *("bitmex", "binance", "okx", "bybit", "gate", "hyperliquid", "dydx", "drift"),
    *("pro_rata", "risk_aware"),
)
SAID: Final = frozenset(
    {
        *("margin_called", "liquidation_started", "liquidation_filled", "liquidation_ended"),
        *("orders_cancelled", "backstop_takeover", "insurance_fund_changed", "account_charged"),
        *("position_auto_deleveraged", "hedge_auto_deleveraged", "loss_socialised"),
        *("hedge_liquidated", "omnibus_shared", "population_liquidated", "population_deleveraged"),
        "cascade_ratio",
    }
)


def _rules(number: int) -> VenueRules:
    random = Random(f"rules {number}")
    pick: Any = random.choice
    bounds: Any = Random(f"bounds {number}")
    steps = ("full", "tier", "portion", "shortage")[number % 4]
    fee = pick([0.0, 0.002])
    return VenueRules(
        margin=MarginRules(
            tiers=TIERS,
            strict=pick([True, False]),
            call_at=pick([0.0, 1.5]),
            taker_fee_inside=pick([True, False]),
            fee_at=pick(["position", "bankruptcy"]),
            priced_at="mark" if number % 3 == 2 else pick(["mark", "entry"]),
        ),
        liquidation=LiquidationRules(
            steps=steps,
            portion=0.3,
            portion_above=1e4,
            step_min=bounds.choice([0.0, 5e3]),
            step_max=bounds.choice([None, 1.2e4]),
            pause_ns=pick([0, 3 * SECOND_NS]) if steps == "portion" else 0,
            cooldown_ns=pick([10 * SECOND_NS, 0]),
            first=pick(["heaviest", "listed"]),
            limit=pick(["none", "bankruptcy", "fillable"]),
            surplus=pick(["account", "fund"]),
            fee=pick([0.0, 0.01]),
            fee_from_freed=pick([True, False]),
            liquidator_fee=fee,
            liquidator_fee_max=pick([None, fee + 0.01]),
            slot_ns=10**6,
            backstop_below=pick([0.0, 0.5]),
        ),
        insurance=InsuranceRules(drawdown=pick([1.0, 0.3])),
        adl=AdlRules(
            ranking=RANKINGS[number % len(RANKINGS)],
            price=pick(["bankruptcy", "mark", "previous_mark"]),
            mark_beyond=pick([0.0, 0.03]),
            rest=pick(["socialise", "socialise", "stay_open"]),
        ),
    )


def _entry(number: int) -> float:
    """Some coins are worth less than one."""
    return 0.5 if number % 5 == 4 else 100.0


def _lot(number: int) -> float:
    """Coins in a lot; some venues trade in lots of 5,000 quote."""
    return 5_000.0 / _entry(number) if number % 6 == 1 else 1e-6


def _trader(
    random: Random, name: str, entry: float, lot: float, *, inverse: bool, crossed: bool
) -> TraderSpec:
    """Every side and size, from 3x to what the tier allows."""
    market, side = random.choice((0, 1)), random.choice((1, -1))
    held = [market, 1 - market] if crossed and not inverse else [market]
    value = random.choice((5_000.0, 15_000.0, 60_000.0, 300_000.0))
    leverage = min(random.choice((3.0, 6.0, 12.0)), 3.0 if value > 1e5 else 9.0)
    lots = round(value) if inverse else round(value / entry / lot)
    sides = {market: side, 1 - market: random.choice((1, -1))}
    positions = tuple(PositionSpec(market=m, lots=lots * sides[m], entry=entry) for m in held)
    wallet = value * len(held) / leverage
    return TraderSpec(
        id=name,
        wallet_atoms=round(wallet / entry * 1e8 if inverse else wallet * COIN),
        positions=positions,
        max_leverage=random.choice((0.0, leverage / len(held))),
    )


def _crowd(random: Random, market: int, *, told: bool) -> CrowdSpec:
    """Twenty more of them, as a population."""
    value = [random.choice((-1, 1)) * random.uniform(1e3, 4e4) for _ in range(20)]
    return CrowdSpec(
        id=f"crowd{market}",
        market=market,
        sizes=np.array(value).tobytes(),
        entries=np.array([random.uniform(0.98, 1.02) for _ in value]).tobytes(),
        leverages=np.array([random.choice((3.0, 8.0, 25.0)) for _ in value]).tobytes(),
        tells_rows=told,
    )


def venue_spec(number: int) -> EngineSpec:
    """Two markets of one venue, thin books, fourteen customers, funds of three ways to lie, and at
    some futures or a population. Some markets are stale between their marks."""
    random, inverse = Random(f"venue {number}"), number % 3 == 2
    rules, lot = _rules(number), (1.0 if inverse else _lot(number))
    depth = BookSpec(model="depth", depth_at_1pct=random.choice((2e4, 1e5, 1e6)), half_life_s=5.0)
    markets = tuple(
        a_market(
            place,
            contract=a_contract(name, inverse=inverse, taker_fee=0.001, lot_size=lot),
            book=depth if place == 0 else BookSpec(model="flat", half_spread_bps=5.0),
            venue=rules,
            insurance_atoms=random.choice((0, 200, 20_000)) * COIN,
            stale_after_ns=(SECOND_NS // 2 if number % 7 == 0 else HOUR_NS),
        )
        for place, name in enumerate(("BTCUSD", "ETHUSD") if inverse else ("BTCUSDT", "ETHUSDT"))
    )
    desk = {"account": "omnibus", "account_name": "desk"} if not inverse else {"account": "omnibus"}
    fund = {"seed_atoms": 50_000 * COIN, "topup_latency_ns": 2 * SECOND_NS, "margin_share": 0.6}
    products: tuple[tuple[ProductSpec, tuple[LeverageBand, ...]], ...] = (
        (a_product("L", 0, **fund), (LeverageBand(target=2.5, low=1.5, high=3.6),)),
        (a_product("S", 0, **fund, **desk), (LeverageBand(target=-2.5, low=0.5, high=9.0),)),
        (a_product("E", 1, **fund, **desk), (LeverageBand(target=2.5, low=0.5, high=9.0),)),
    )
    if number % 2:
        lone = a_product(
            "F", 1, kind="futures", leverage=random.choice((-8.0, 8.0)), seed_atoms=10**10
        )
        products = (*products, (lone, ()))
    traders = tuple(
        _trader(random, f"t{n}", _entry(number), lot, inverse=inverse, crossed=n % 3 == 0)
        for n in range(14)
    )
    crowds = tuple(_crowd(random, place, told=place == 0) for place in range(2))
    return a_spec(
        *products,
        markets=markets,
        traders=traders,
        crowds=crowds if number % 4 == 3 else (),
        seed=number,
        sampling=Sampling(nav_every_ns=0),
    )


def venue_tape(number: int) -> Step:
    """Marks of both, a second apart, falling or rising on the whole, with leaps; every fourth
    venue opens its second market late."""
    random, entry = Random(f"tape {number}"), _entry(number)
    drift, marks, rows = random.choice((-0.04, 0.04)), [entry, entry], []
    for place in range(ROWS):
        market = 0 if number % 4 == 1 and place < 5 else place % 2
        rows.append(
            a_row(Kind.MARK, T0 + place * SECOND_NS, round(marks[market], 4), symbol=market)
        )
        marks[market] *= 1.0 + drift + random.choice((-0.05, 0.0, 0.0, 0.03, 0.08))
    return a_tape(rows)


def _told(said: Run) -> Iterator[list[Any]]:
    for event in said.events:
        tag = event.__struct_config__.tag
        if tag in SAID:
            values = asdict(event)
            since = (values.pop("ts_ns") - T0) / SECOND_NS
            del values["sequence"], values["ordinal"]
            yield [tag, since, *values.values()]


@cache
def lines_of(number: int) -> list[str]:
    """What the venue did, and what everybody has in the end, a line each."""
    said = run(venue_spec(number), venue_tape(number), check=True)
    ends = sorted(said.engine.ledger.accounts())
    traders = said.engine.margins.traders.accounts if said.engine.margins is not None else []
    rows = [
        [f"venue {number}"],
        *_told(said),
        *(
            ["has", t.id, t.cash, *[[h.market, h.lots, h.cost] for h in t.holdings]]
            for t in traders
        ),
        *(["balance", *account] for account in ends if account[2]),
    ]
    return [json.dumps(row) for row in rows]


def digest_of(number: int, lines: list[str]) -> str:
    """A venue's line in ``DIGESTS``: how much was said, and a hash of it."""
    text = "\n".join(lines)
    return f"{number} {len(lines)} {hashlib.sha256(text.encode()).hexdigest()[:24]}"


def write() -> None:
    """Keep all of it anew."""
    said = {number: lines_of(number) for number in NUMBERS}
    digests = [digest_of(number, lines) for number, lines in said.items()]
    DIGESTS.write_text("".join(f"{line}\n" for line in digests), encoding="utf-8")
    kept = [line for number in TEXTS for line in said[number]]
    LOGS.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


if __name__ == "__main__":
    for place in sys.argv[1:]:
        sys.stdout.write("".join(f"{line}\n" for line in lines_of(int(place))))
