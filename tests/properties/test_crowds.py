"""A background population: heart and plain list say the same, wherever the input is cut, and as
many single accounts have met the same."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from engine.engine import Engine
from engine.snapshot import restore, snapshot, state_digest
from engine.venue.book import BookSpec
from engine.venue.rules import InsuranceRules, LiquidationRules, MarginRules, VenueRules
from tests.builders import Run, a_contract, a_market, a_spec, a_tape, cut, run
from tests.properties.agreement import difference, reference
from tests.properties.crowded import a_crowd, as_traders, crowded_spec, crowded_tape, drawn
from tests.properties.margined import TIERS

SEEDS = (0, 1, 4, 9)
CUT_SEEDS = (4, 9)


@cache
def crowded_run(seed: int) -> Run:
    return run(crowded_spec(seed), crowded_tape(seed), check=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_plain_list_says_the_same(seed: int) -> None:
    """Found by a watch and liquidated as columns, positions meet what they meet when each is asked
    at every price."""
    said = crowded_run(seed)
    found = difference(said, reference(crowded_spec(seed), crowded_tape(seed)))
    assert found is None, found


def test_much_was_met() -> None:
    """The runs held waves of both sides, paid by the fund, left unpaid, deleveraged, funded and
    shared; or the agreement would say little."""
    met = [event for seed in SEEDS for event in crowded_run(seed).events]
    tags = {event.__struct_config__.tag for event in met}
    waves = [event for event in met if event.__struct_config__.tag == "population_liquidated"]
    assert {"population_deleveraged", "population_funded", "loss_socialised"} <= tags
    assert {"position_liquidated", "backstop_takeover", "hedge_auto_deleveraged"} <= tags
    assert {wave.side for wave in waves} == {"long", "short"}
    for field in ("unpaid_positions", "fund_atoms", "deficit_atoms", "filled_lots"):
        assert any(getattr(wave, field) for wave in waves), field


@pytest.mark.parametrize("seed", CUT_SEEDS)
def test_cut_anywhere(seed: int) -> None:
    """Rows one by one, in blocks, and an engine restored at each cut say what one block says; the
    population's money and lots are the ledger's at each."""
    spec, tape, whole = crowded_spec(seed), crowded_tape(seed), crowded_run(seed)
    said = run(spec, tape, range(tape.end))
    assert said.lines == whole.lines
    assert state_digest(said.engine) == state_digest(whole.engine)
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(0, tape.end, 5)):
        said.take(engine.process(step))
        kept = snapshot(engine)
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert state_digest(engine) == state_digest(whole.engine)


def _rules(random: Random) -> VenueRules:
    pick: Any = random.choice
    return VenueRules(
        margin=MarginRules(
            tiers=TIERS,
            strict=pick([True, False]),
            priced_at=pick(["mark", "entry"]),
            taker_fee_inside=pick([True, False]),
            fee_at=pick(["position", "bankruptcy"]),
        ),
        liquidation=LiquidationRules(
            limit=pick(["none", "bankruptcy", "fillable"]),
            surplus=pick(["account", "fund"]),
            fee=pick([0.0, 0.005]),
            backstop_below=pick([0.0, 0.0, 0.5]),
        ),
        insurance=InsuranceRules(drawdown=pick([1.0, 0.3])),
    )


def _balances(said: Run) -> dict[tuple[str, str], int]:
    """The ledger, with the customers as one."""
    found: dict[tuple[str, str], int] = {}
    for owner, asset, balance in said.engine.ledger.accounts():
        name = "customers" if owner == "traders" or owner.startswith("population:") else owner
        found[name, asset] = found.get((name, asset), 0) + balance
    return {place: balance for place, balance in found.items() if balance}


def _pair(seed: int) -> tuple[Run, Run, list[float]]:
    """A population and as many single accounts on one random tape."""
    random = Random(f"pair {seed}")
    inverse = random.random() < 0.3
    positions = drawn(random, 150, inverse=inverse)
    book: Any = random.choice(("flat", "depth"))
    market = a_market(
        contract=a_contract(inverse=inverse),
        venue=_rules(random),
        book=BookSpec(model=book, half_spread_bps=2.0, depth_at_1pct=2e4),
        insurance_atoms=random.choice((0, 10**6, 10**9, 10**12)),
    )
    if inverse:
        entry = market.venue.margin
        market = replace(
            market, venue=replace(market.venue, margin=replace(entry, priced_at="mark"))
        )
    marks = [100.0]
    for _ in range(25):
        marks.append(marks[-1] * (1.0 + random.choice((0.002, 0.01, 0.04)) * random.uniform(-1, 1)))
    tape = a_tape(marks)
    alone = run(a_spec(markets=(market,), traders=as_traders(positions)), tape, range(tape.end))
    crowd = a_crowd(positions)
    together = run(a_spec(markets=(market,), crowds=(crowd,)), tape, range(tape.end), check=True)
    return alone, together, marks


@pytest.mark.parametrize("seed", range(24))
def test_as_many_single_accounts(seed: int) -> None:
    """Up to the first who finds neither book nor fund, n positions of a population and n traders
    are liquidated at the same prices, in the same lots, with the same gains and payments of the
    fund and the same deficits, to the last unit; the bankrupt, too, are the same."""
    alone, together, _ = _pair(seed)
    until = _agree_until(alone, together)
    waves = [e for e in together.named("population_liquidated") if e.ts_ns <= until]
    by_time = {e.ts_ns for e in waves}
    for ts_ns in by_time:
        own = [e for e in waves if e.ts_ns == ts_ns]
        single = [e for e in alone.events if e.ts_ns == ts_ns]
        began = [e for e in single if _is(e, "liquidation_started") and _trader(e)]
        fills = [e for e in single if _is(e, "liquidation_filled") and _trader(e)]
        assert sum(e.positions for e in own) == len(began)
        assert sum(e.lots for e in own) == -sum(e.position_lots for e in began)
        assert sum(e.deficit_atoms for e in own) == -sum(min(e.equity_atoms, 0) for e in began)
        assert sum(e.filled_lots for e in own) == sum(e.lots for e in fills)
        assert sum(e.filled_atoms for e in own) == sum(e.cash_atoms for e in fills)
        net = sum(e.fund_atoms - e.fund_paid_atoms for e in own)
        assert net == sum(e.fund_atoms for e in fills)
    if until == 2**63:
        assert _balances(together) == _balances(alone)


def _agree_until(alone: Run, together: Run) -> int:
    """When the first loss was handed on: the bankrupt of one instant are then one account, whose
    price is the average of theirs."""
    waves = together.named("population_liquidated")
    ended = [e.ts_ns for e in waves if e.unpaid_positions]
    tags = ("position_auto_deleveraged", "loss_socialised", "population_deleveraged")
    ended += [e.ts_ns for said in (alone, together) for e in said.named(*tags)]
    return min(ended, default=2**63)


def _is(event: Any, tag: str) -> bool:
    return bool(event.__struct_config__.tag == tag)


def _trader(event: Any) -> bool:
    return str(event.account).startswith("trader:")


def test_both_ways_were_gone() -> None:
    """Of those pairs some were never bankrupt, and were compared to the last account of the ledger;
    others were; the fund paid in some."""
    pairs = [_pair(seed)[1] for seed in range(24)]
    waves = [run.named("population_liquidated") for run in pairs]
    assert sum(bool(found) for found in waves) > 12
    assert sum(any(e.unpaid_positions for e in found) for found in waves) > 3
    assert sum(any(e.fund_paid_atoms for e in found) for found in waves) > 2
    assert sum(bool(found) and not any(e.unpaid_positions for e in found) for found in waves) > 3
