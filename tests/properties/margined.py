"""Runs at a venue that asks for margin: the rich run's products, other customers beside them, and
rules drawn from a seed. Every way out of a liquidation is among them."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from engine.engine import EngineSpec
from engine.policy import Policy
from engine.product import LoanTerms, ProductSpec
from engine.ticks import Step
from engine.units import SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.rules import (
    AdlRules,
    InsuranceRules,
    LiquidationRules,
    MarginRules,
    OrderRules,
    Tier,
    VenueRules,
)
from strategies import MarginLevel
from tests.builders import a_product
from tests.properties.rich import rich_spec
from tests.properties.tapes import a_random_tape

__all__ = ["ROWS", "TIERS", "margined_spec", "margined_tape"]

ROWS = 300
TIERS = (
    Tier(cap=2e3, max_leverage=50.0, rate=0.01),
    Tier(cap=1e4, max_leverage=20.0, rate=0.025, deduction=30.0),
    Tier(cap=1e9, max_leverage=5.0, rate=0.1, deduction=780.0),
)
RANKINGS = (
    *("bitmex", "binance", "okx", "bybit", "gate", "hyperliquid", "dydx", "drift"),
    *("pro_rata", "risk_aware"),
)
ENTRY = 100.0


def _rules(random: Random, *, inverse: bool) -> VenueRules:
    pick: Any = random.choice
    return VenueRules(
        margin=MarginRules(
            tiers=TIERS,
            strict=pick([True, False]),
            call_at=pick([0.0, 1.5, 4.0]),
            taker_fee_inside=pick([True, False, False]),
            priced_at="mark" if inverse else pick(["mark", "mark", "entry"]),
        ),
        liquidation=LiquidationRules(
            steps=pick(["full", "tier", "portion", "shortage"]),
            portion=0.2,
            portion_above=500.0,
            pause_ns=pick([0, 3 * SECOND_NS]),
            cooldown_ns=pick([10 * SECOND_NS, 0]),
            limit=pick(["none", "bankruptcy", "fillable"]),
            surplus=pick(["account", "fund"]),
            fee=pick([0.0, 0.005]),
            backstop_below=pick([0.0, 0.0, 0.66]),
        ),
        insurance=InsuranceRules(drawdown=pick([1.0, 0.3])),
        adl=AdlRules(
            ranking=pick(RANKINGS),
            price=pick(["bankruptcy", "mark", "previous_mark"]),
            mark_beyond=pick([0.0, 0.05]),
            rest=pick(["socialise", "stay_open"]),
        ),
    )


def _ramped(rules: LiquidationRules, seed: int) -> LiquidationRules:
    """Every other venue promises liquidators more while a customer does nothing."""
    random = Random(f"ramp {seed}")
    if random.random() < 0.5:
        return rules
    fee, shortage = random.choice((0.0, 0.002)), random.random() < 0.7
    return replace(
        rules,
        steps="shortage" if shortage else rules.steps,
        liquidator_fee=fee,
        liquidator_fee_max=fee + random.choice((0.001, 0.02)),
        slot_ns=10**6,
        fee_from_freed=random.random() < 0.5,
    )


def _orders(random: Random) -> OrderRules:
    """Every third venue has no rules for orders; some bind often."""
    pick: Any = random.choice
    if pick([True, False, False]):
        return OrderRules()
    return OrderRules(
        band_up=pick([None, 0.0005, 0.05]),
        band_down=pick([None, 0.0005, 0.05]),
        market_deviation=pick([None, 0.0002, 0.05]),
        size_min=pick([0.0, 0.02, 1.0]),
        market_size_max=pick([None, 300.0, 5_000.0]),
        limit_size_max=pick([None, 1_000.0]),
        notional_min=pick([0.0, 10.0, 1_000.0]),
        significant_figures=pick([None, 5]),
    )


def _trader(random: Random, number: int, inverse: tuple[bool, ...]) -> TraderSpec:
    """Long or short at 2x to 20x; every fourth holds something in both markets, where these settle
    in one asset."""
    market = random.choice((0, 0, 1))
    leverage = random.choice((2, 5, 10, 20))
    side, entry = random.choice((1, -1)), ENTRY * random.uniform(0.98, 1.02)
    lots = random.randint(10, 10**4) if inverse[market] else random.randint(10**5, 10**8)
    worth = lots * 1e8 / entry if inverse[market] else lots * entry
    positions = [PositionSpec(market=market, lots=side * lots, entry=entry)]
    if number % 4 == 0 and not any(inverse):
        second = PositionSpec(market=1 - market, lots=random.choice((1, -1)) * lots, entry=entry)
        positions.append(second)
    # As large a wallet, and no more leverage, as the venue wants of who opens that.
    size = lots if inverse[market] else lots * entry / 1e6
    most = next(tier.max_leverage for tier in TIERS if size <= tier.cap)
    leverage = min(float(leverage), most / len(positions))
    return TraderSpec(
        id=f"t{number}",
        wallet_atoms=max(int(worth / leverage), 1),
        positions=tuple(positions),
        max_leverage=leverage,
    )


def margined_spec(seed: int) -> EngineSpec:
    """The rich run with margin; on every third seed both markets are linear, so that accounts may
    be crossed."""
    random, base = Random(seed), rich_spec()
    linear, other = base.markets
    if seed % 3 == 0:
        other = replace(
            linear,
            symbol=1,
            contract=replace(linear.contract, symbol="ETHUSDT"),
            book=other.book,
            mark_source="mid",
        )
    markets = tuple(
        replace(
            market,
            venue=replace(
                rules := _rules(random, inverse=market.contract.kind == "inverse"),
                liquidation=_ramped(rules.liquidation, seed),
                margin=replace(
                    rules.margin,
                    fee_at=Random(f"fee {seed} {market.symbol}").choice(("position", "bankruptcy")),
                ),
                orders=_orders(Random(f"orders {seed} {market.symbol}")),
            ),
            insurance_atoms=random.choice((0, 10**6, 10**10)),
        )
        for market in (linear, other)
    )
    inverse = tuple(market.contract.kind == "inverse" for market in markets)
    traders = tuple(_trader(random, n, inverse) for n in range(random.randint(0, 12)))
    beside = _comparators(random)
    haircut = Random(f"haircut {seed}").choice((0.0, 0.0, 0.1, 0.3))
    funds = (replace(p, hedge=replace(p.hedge, haircut=haircut)) for p in base.products)
    return replace(
        base,
        markets=markets,
        products=(*funds, *(product for product, _ in beside)),
        policies=(*base.policies, *(policies for _, policies in beside)),
        traders=traders,
        seed=seed,
    )


def _comparators(random: Random) -> list[tuple[ProductSpec, tuple[Policy, ...]]]:
    """Futures and margin loans, long and short, on both markets."""
    lender = (MarginLevel(call=1.3, sell=1.1),)
    loan = LoanTerms(hourly_rate=0.001)
    found: list[tuple[ProductSpec, tuple[Policy, ...]]] = []
    for market in (0, 1):
        for side in (1.0, -1.0):
            name = f"{market}{'L' if side > 0 else 'S'}"
            leverage = side * random.choice((5.0, 10.0, 20.0))
            size = {"market": market, "seed_atoms": 10**9}
            futures = a_product(f"FUT{name}", kind="futures", leverage=leverage, **size)
            lent = a_product(
                f"LOAN{name}", kind="margin_loan", leverage=3 * side, loan=loan, **size
            )
            found += [(futures, ()), (lent, lender)]
    return found


def margined_tape(seed: int, rows: int = ROWS) -> Step:
    """A tape for that run: jumps, gaps, stale markets, requests."""
    return a_random_tape(Random(seed * 7 + 1), margined_spec(seed), rows)
