"""Random customers of a venue through random marks: what the engine's risk desk did to them, and
what a second one in fractions does."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.rules import (
    AdlRules,
    InsuranceRules,
    LiquidationRules,
    MarginRules,
    Tier,
    VenueRules,
)
from tests.builders import T0, Run, a_contract, a_market, a_product, a_spec, a_tape, run
from tests.oracle.desk import LOTS, SECOND, Account, Desk, Rules

ATOMS = 10**6
TIERS = ((2e5, 50.0, 0.01, 0.0), (1e6, 20.0, 0.025, 3e3), (1e9, 5.0, 0.1, 78e3))
RANKINGS = ("bitmex", "binance", "okx", "gate", "hyperliquid", "pro_rata", "risk_aware")
ROWS = 60
DUST = 100
"""Lots: what a few atoms that rounding left in the fund may still pay for."""
SLACK = 1_000
"""Atoms: what a trader or the fund may have more or less for it."""
EVENTS = {
    "liquidation_filled": lambda e: (e.step, e.account, e.lots),
    "backstop_takeover": lambda e: ("backstop", e.account, e.lots),
    "position_auto_deleveraged": lambda e: ("adl", e.account, e.lots),
}


def drawn_rules(random: Random, ranking: str) -> dict[str, Any]:
    pick: Any = random.choice
    return {
        "strict": pick([True, False]),
        "steps": pick(["full", "tier", "portion"]),
        "portion": 0.2,
        "portion_above": pick([0.0, 1e5]),
        "pause": pick([0, 3 * SECOND]),
        "cooldown": pick([5 * SECOND, 0]),
        "limit": pick(["none", "bankruptcy", "bankruptcy"]),
        "surplus": pick(["account", "fund"]),
        "fee": pick([0.0, 0.005]),
        "backstop": pick([0.0, 0.0, 0.5]),
        "drawdown": pick([1.0, 0.3]),
        "ranking": ranking,
        "price": pick(["bankruptcy", "mark", "previous_mark"]),
        "mark_beyond": pick([0.0, 0.03]),
        "rest": pick(["socialise", "stay_open"]),
    }


def venue_of(drawn: dict[str, Any]) -> VenueRules:
    steps = {n: drawn[n] for n in ("steps", "portion", "portion_above")}
    return VenueRules(
        margin=MarginRules(
            tiers=tuple(
                Tier(cap=cap, max_leverage=most, rate=rate, deduction=deduction)
                for cap, most, rate, deduction in TIERS
            ),
            strict=drawn["strict"],
        ),
        liquidation=LiquidationRules(
            **steps,
            pause_ns=drawn["pause"],
            cooldown_ns=drawn["cooldown"],
            limit=drawn["limit"],
            surplus=drawn["surplus"],
            fee=drawn["fee"],
            backstop_below=drawn["backstop"],
        ),
        insurance=InsuranceRules(drawdown=drawn["drawdown"]),
        adl=AdlRules(**{n: drawn[n] for n in ("ranking", "price", "mark_beyond", "rest")}),
    )


def exactly(value: Any) -> Any:
    """The decimal number that was written."""
    return Fraction(repr(value)) if isinstance(value, float) else value


def drawn_traders(random: Random) -> list[TraderSpec]:
    """Four to a dozen, of 2x to 20x, as the tiers allow."""
    found = []
    for number in range(random.randint(4, 12)):
        lots = random.randint(10, 12_000) * LOTS
        entry = round(random.uniform(97.0, 103.0), 2)
        size = lots / LOTS * entry
        most = next(tier[1] for tier in TIERS if size <= tier[0])
        leverage = min(float(random.choice((2, 5, 10, 20))), most)
        held = PositionSpec(market=0, lots=random.choice((1, -1)) * lots, entry=entry)
        found.append(
            TraderSpec(
                id=f"t{number}",
                wallet_atoms=int(size / leverage * ATOMS) + 1,
                positions=(held,),
                max_leverage=random.choice((0.0, leverage)),
            )
        )
    return found


def second_desk(drawn: dict[str, Any], traders: list[TraderSpec], fund: int) -> Desk:
    tiers = [(exactly(cap), exactly(rate), exactly(off)) for cap, _, rate, off in TIERS]
    accounts = []
    for trader in traders:
        (held,) = trader.positions
        coins, entry = Fraction(held.lots, LOTS), Fraction(held.entry)
        cash = Fraction(trader.wallet_atoms, ATOMS) - coins * entry
        leverage = Fraction(trader.max_leverage)
        accounts.append(Account(f"trader:{trader.id}", coins, entry, cash, leverage))
    rules = Rules(tiers=tiers, **{name: exactly(value) for name, value in drawn.items()})
    return Desk(rules, accounts, Fraction(fund))


def both(seed: int, ranking: str) -> tuple[Run, Desk]:
    """The same customers, rules and marks, told by the engine and by the second desk."""
    random = Random(f"{seed} {ranking}")
    drawn, traders = drawn_rules(random, ranking), drawn_traders(random)
    fund = random.choice((0, 5_000, 10**6))
    marks = [100.0]
    for _ in range(ROWS - 1):
        wide = random.choice((0.002, 0.01, 0.06))
        marks.append(round(marks[-1] * (1.0 + random.uniform(-wide, wide)), 3))
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=venue_of(drawn),
        insurance_atoms=fund * ATOMS,
    )
    spec = a_spec((a_product("IDLE"), ()), markets=(market,), traders=tuple(traders), seed=seed)
    said = run(spec, a_tape(marks))
    desk = second_desk(drawn, traders, fund)
    paid_in = desk.fund + sum(each.equity(Fraction(marks[0])) for each in desk.accounts)
    lots = sum(each.coins for each in desk.accounts)
    for second, mark in enumerate(marks):
        paid_in += lots * (Fraction(mark) - (desk.mark or Fraction(marks[0])))
        desk.see(T0 + second * SECOND, Fraction(mark))
        lots = sum(each.coins for each in desk.accounts)
        assert desk.total() == paid_in
    return said, desk


def told(said: Run) -> list[tuple[int, str, str, int]]:
    """What was filled and what was taken, as the second desk's log has it."""
    rows = [(e.ts_ns, *EVENTS[tag](e)) for e in said.events if (tag := tag_of(e)) in EVENTS]
    return [row for row in rows if abs(row[3]) > DUST]


def tag_of(event: Any) -> str:
    return str(type(event).__struct_config__.tag)


@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_second_desk_does_the_same(ranking: str) -> None:
    """Instants, steps, names and order are the same, lots but for dust, and what everybody and the
    fund have at the end within a thousandth; all ways out of a liquidation are met."""
    met: Counter[str] = Counter()
    for seed in range(25):
        said, desk = both(seed, ranking)
        found, wanted = told(said), [row for row in desk.log if abs(row[3]) * LOTS > DUST]
        assert [row[:3] for row in found] == [row[:3] for row in wanted], seed
        for row, (_, what, _, coins) in zip(found, wanted, strict=True):
            assert abs(row[3] - coins * LOTS) <= DUST, (seed, row)
            met[what] += 1
        traders = said.engine.margins.traders.accounts
        for trader, other in zip(traders, desk.accounts, strict=True):
            lots = sum(held.lots for held in trader.holdings)
            assert abs(lots - other.coins * LOTS) <= DUST
            worth = trader.cash + Fraction(lots) * desk.mark * ATOMS / LOTS
            assert abs(worth - other.equity(desk.mark) * ATOMS) <= SLACK, (seed, other)
        fund = said.engine.ledger.balance("insurance", "USDT")
        assert abs(fund - desk.fund * ATOMS) <= SLACK, seed
        met["socialised"] += len(said.named("loss_socialised"))
    ways = ("full", "partial", "insured", "backstop", "adl", "socialised")
    assert all(met[way] for way in ways), met
