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
from tests.oracle.desk import SECOND, Account, Desk, Rules

TIERS = ((2e5, 50.0, 0.01, 0.0), (1e6, 20.0, 0.025, 3e3), (1e9, 5.0, 0.1, 78e3))
COIN_TIERS = ((2e3, 50.0, 0.01, 0.0), (1e4, 20.0, 0.025, 30.0), (1e7, 5.0, 0.1, 780.0))
UNITS = {False: (10**6, 10**6, "USDT"), True: (1, 10**8, "BTC")}
"""Lots in a coin (or contract), atoms in one of the money, and what that is; whether inverse."""
RANKINGS = ("bitmex", "binance", "okx", "gate", "hyperliquid", "pro_rata", "risk_aware")
ROWS = 60
DUST = {False: 100, True: 10}
"""Lots: what a few atoms that rounding left in the fund may still pay for, and what a lot more or
less of an earlier step does to it; whether inverse, where a lot is a whole contract."""
SLACK = {False: 1_000, True: 10**7}
"""Atoms: what a trader or the fund may have more or less for it."""
EVENTS = {
    "liquidation_filled": lambda e: (e.step, e.account, e.lots),
    "backstop_takeover": lambda e: ("backstop", e.account, e.lots),
    "position_auto_deleveraged": lambda e: ("adl", e.account, e.lots),
}


def drawn_rules(random: Random, ranking: str, *, inverse: bool) -> dict[str, Any]:
    pick: Any = random.choice
    return {
        "inverse": inverse,
        "lots": UNITS[inverse][0],
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
                for cap, most, rate, deduction in (COIN_TIERS if drawn["inverse"] else TIERS)
            ),
            caps_in="settlement",
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


def drawn_traders(random: Random, *, inverse: bool) -> list[TraderSpec]:
    """Four to a dozen, of 2x to 20x, as the tiers allow."""
    found, (unit, atoms, _) = [], UNITS[inverse]
    for number in range(random.randint(4, 12)):
        coins = random.randint(10, 12_000) * (100 if inverse else 1)
        entry = round(random.uniform(97.0, 103.0), 2)
        size = coins / entry if inverse else coins * entry
        tiers = COIN_TIERS if inverse else TIERS
        most = next(tier[1] for tier in tiers if size <= tier[0])
        leverage = min(float(random.choice((2, 5, 10, 20))), most)
        side = random.choice((1, -1))
        held = PositionSpec(market=0, lots=side * coins * unit, entry=entry)
        found.append(
            TraderSpec(
                id=f"t{number}",
                wallet_atoms=int(size / leverage * atoms) + 1,
                positions=(held,),
                max_leverage=random.choice((0.0, leverage)),
            )
        )
    return found


def second_desk(drawn: dict[str, Any], traders: list[TraderSpec], fund: Fraction) -> Desk:
    inverse, (unit, atoms, _) = drawn["inverse"], UNITS[drawn["inverse"]]
    listed = COIN_TIERS if inverse else TIERS
    tiers = [(exactly(cap), exactly(rate), exactly(off)) for cap, _, rate, off in listed]
    accounts = []
    for trader in traders:
        (held,) = trader.positions
        coins, entry = Fraction(held.lots, unit), Fraction(held.entry)
        leverage, paid = Fraction(trader.max_leverage), Fraction(trader.wallet_atoms, atoms)
        name = f"trader:{trader.id}"
        account = Account(name, Fraction(0), entry, paid, leverage, inverse=inverse)
        account.trade(coins, entry)
        accounts.append(account)
    rules = Rules(tiers=tiers, **{name: exactly(value) for name, value in drawn.items()})
    return Desk(rules, accounts, fund)


def both(seed: int, ranking: str, *, inverse: bool = False, **fixed: Any) -> tuple[Run, Desk]:
    """The same customers, rules (drawn but for the ``fixed`` ones) and marks, told by the engine
    and by the second desk."""
    random = Random(f"{seed} {ranking} {inverse}")
    drawn = drawn_rules(random, ranking, inverse=inverse) | fixed
    traders = drawn_traders(random, inverse=inverse)
    fund = random.choice((0, 5_000, 10**6))
    marks = [100.0]
    for _ in range(ROWS - 1):
        wide = random.choice((0.002, 0.01, 0.06))
        marks.append(round(marks[-1] * (1.0 + random.uniform(-wide, wide)), 3))
    market = a_market(
        contract=a_contract(inverse=inverse, taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=venue_of(drawn),
        insurance_atoms=fund * 10**6,
    )
    spec = a_spec((a_product("IDLE"), ()), markets=(market,), traders=tuple(traders), seed=seed)
    said = run(spec, a_tape(marks))
    desk = second_desk(drawn, traders, Fraction(fund, 100 if inverse else 1))
    money = desk.fund + sum(each.equity(Fraction(marks[0])) for each in desk.accounts)
    for second, mark in enumerate(marks):
        old, new = desk.mark or Fraction(marks[0]), Fraction(mark)
        money += sum(each.equity(new) - each.equity(old) for each in desk.accounts)
        desk.see(T0 + second * SECOND, new)
        assert desk.total() == money
    return said, desk


def told(said: Run) -> list[tuple[int, str, str, int]]:
    """What was filled and what was taken, as the second desk's log has it."""
    rows = [(e.ts_ns, *EVENTS[tag](e)) for e in said.events if (tag := tag_of(e)) in EVENTS]
    return [row for row in rows if row[3]]


def tag_of(event: Any) -> str:
    return str(type(event).__struct_config__.tag)


def agreed(said: Run, desk: Desk) -> Counter[str]:
    """How often each way out of a liquidation was met, where both tell the same."""
    unit, atoms, asset = UNITS[desk.rules.inverse]
    dust, slack = DUST[desk.rules.inverse], SLACK[desk.rules.inverse]
    found = [row for row in told(said) if abs(row[3]) > dust]
    wanted = [row for row in desk.log if abs(row[3]) * unit > dust]
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    met = Counter(what for _, what, _, _ in wanted)
    for row, (*_, coins) in zip(found, wanted, strict=True):
        assert abs(row[3] - coins * unit) <= dust, row
    traders = said.engine.margins.traders.accounts
    for trader, other in zip(traders, desk.accounts, strict=True):
        lots = sum(held.lots for held in trader.holdings)
        assert abs(lots - other.coins * unit) <= dust
        worth = trader.cash + other.worth(Fraction(lots, unit), desk.mark) * atoms
        assert abs(worth - other.equity(desk.mark) * atoms) <= slack, other
    assert abs(said.engine.ledger.balance("insurance", asset) - desk.fund * atoms) <= slack
    met["socialised"] += len(said.named("loss_socialised"))
    return met


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_second_desk_does_the_same(ranking: str, *, inverse: bool) -> None:
    """Instants, steps, names and order are the same, lots but for dust, and what everybody and the
    fund have at the end within what that is worth; all ways out of a liquidation are met."""
    met: Counter[str] = Counter()
    for seed in range(25):
        met += agreed(*both(seed, ranking, inverse=inverse))
    ways = ("full", "partial", "insured", "backstop", "adl", "socialised")
    assert all(met[way] for way in ways), met


@pytest.mark.parametrize("seed", [89, 99])
def test_pauses_end_as_others_fall(seed: int) -> None:
    """Pauses of a second, and two draws in which one is over as somebody else is bankrupt: whose
    pause is over is looked at before anybody is called on. Catches a desk that does so after."""
    rules = {"steps": "portion", "portion_above": 0.0, "pause": SECOND, "limit": "bankruptcy"}
    met = agreed(*both(seed, "binance", **rules, backstop=0.0, drawdown=0.3, rest="stay_open"))
    assert met["partial"], met
    assert met["adl"], met
