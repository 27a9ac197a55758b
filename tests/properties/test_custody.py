"""What befalls accounts at a venue: heart and reference say the same wherever the input is cut, and
nothing is lost."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from engine.commands import (
    AutoDeleverage,
    Command,
    DefaultVenue,
    OpenPopulation,
    PriceCollateral,
)
from engine.engine import Engine, EngineSpec
from engine.snapshot import restore, snapshot
from engine.ticks import Step
from engine.units import total
from tests.builders import Run, a_tape, cut, run
from tests.properties.agreement import agree
from tests.properties.crowded import crowded_spec
from tests.properties.margined import margined_spec
from tests.properties.tapes import Grower, a_random_spec
from tests.properties.test_margins import same_nav
from tests.properties.wallets import walleted_spec

SEEDS = tuple(range(9))
CUT_SEEDS = (1, 2, 3)
ROWS = 220


class Keeper(Grower):
    """Every other command is about the money at the venue."""

    def _command(self) -> Command:
        random = self.random
        if random.random() < 0.4:
            return super()._command()
        self.number += 1
        market = random.choice(self.engine.markets)
        ts_ns = random.choice((0, self.ts_ns, self.ts_ns + 10**9))
        named: dict[str, Any] = {"id": f"c{self.number}", "ts_ns": ts_ns}
        named["symbol"] = market.spec.contract.symbol
        number = self.engine.markets.index(market)
        own = [crowd.id for crowd in self.spec.crowds if crowd.market == number]
        if own and random.random() < 0.6:
            return OpenPopulation(population=random.choice([*own, *own, "nobody"]), **named)
        draw = random.random()
        if draw < 0.55:
            price = random.choice((1.0, 0.999, 0.97, 0.9, 0.65, 0.1, 1.02))
            return PriceCollateral(price=price, share=random.choice((1.0, 0.5, 0.3)), **named)
        if draw < 0.92:
            side: Any = random.choice(("long", "short", "both"))
            bps = random.choice((0.0, -150.0, 80.0, -2_000.0))
            share = random.choice((0.2, 0.5, 1.0))
            return AutoDeleverage(share=share, side=side, price_bps=bps, **named)
        return DefaultVenue(recovery=random.choice((0.0, 0.1, 1.0)), **named)


@cache
def kept(seed: int) -> tuple[EngineSpec, Step]:
    """Products at venues that ask for margin, with treasuries and omnibus accounts, and where none
    is asked for, beside crowds that wait; and a tape that they have to bear."""
    random = Random(f"custody {seed}")
    if seed % 3 == 0 and seed % 2 == 0:
        spec = margined_spec(seed)
    elif seed % 3 == 0:
        spec = crowded_spec(seed, 30)
        spec = replace(spec, crowds=tuple(replace(c, waits=True) for c in spec.crowds))
    elif seed % 3 == 1:
        spec = walleted_spec(seed)
    else:
        spec = a_random_spec(random)
    symbols = tuple(market.contract.symbol for market in spec.markets)
    spec = replace(spec, seed=seed, symbols=symbols)
    return spec, a_tape(Keeper(random, spec, aim=True, commands=0.12).grow(ROWS))


@cache
def kept_run(seed: int) -> Run:
    return agree(*kept(seed), check=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reference_says_the_same(seed: int) -> None:
    """Who asks everybody at every price and books by hand comes to the same log."""
    kept_run(seed)


def test_every_way_was_gone() -> None:
    """The tapes held each command obeyed and refused for each reason that there is, falls that made
    the venue call or liquidate, and failures that left a deficit."""
    met: Counter[str] = Counter()
    for seed in SEEDS:
        for event in kept_run(seed).events:
            tag = event.__struct_config__.tag
            met[tag] += 1
            for name in ("reason", "command", "payer"):
                met[f"{tag} {getattr(event, name, '')}"] += 1
    for wanted in (
        *(f"command_obeyed {tag}" for tag in ("collateral", "deleverage", "default", "populate")),
        *("command_refused opened", "command_refused unknown_population", "population_opened"),
        *(f"command_refused {why}" for why in ("collateral_is_the_coin", "no_change")),
        *(f"command_refused {why}" for why in ("nothing_held", "not_launched", "defaulted")),
        *("traders_revalued", "population_revalued"),
        *("collateral_revalued", "balance_lost", "hedge_auto_deleveraged", "margin_called"),
        *("liquidation_started", "product_closed venue_default", "deficit_paid issuer"),
        *("product_closed nav_not_positive", "creation_refused closed"),
    ):
        assert met[wanted] > 0, (wanted, sorted(met))


@pytest.mark.parametrize("seed", CUT_SEEDS)
def test_cut_anywhere(seed: int) -> None:
    """Blocks of one row and of seven say what one block says; so does an engine that is restored at
    each cut: the collateral's price and the venue's end are in the snapshot."""
    spec, tape = kept(seed)
    whole = kept_run(seed)
    for size in (1, 7):
        said = run(spec, tape, range(0, tape.end, size))
        assert said.lines == whole.lines
        assert same_nav(said, whole)
        assert said.engine.digest() == whole.engine.digest()
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(0, tape.end, 9)):
        said.take(engine.process(step))
        taken = snapshot(engine)
        engine = restore(spec, taken)
        assert snapshot(engine) == taken
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert engine.digest() == whole.engine.digest()


@pytest.mark.parametrize("seed", CUT_SEEDS)
def test_nothing_is_lost(seed: int) -> None:
    """After every third row each asset of the ledger sums to zero and the lots of each contract
    cancel; a product's causes sum to its change of equity."""
    spec, tape = kept(seed)
    engine = Engine(spec)
    for step in cut(tape, range(0, tape.end, 3)):
        engine.process(step)
        engine.ledger.check()
        for market in engine.markets:
            asset = f"{market.contract.spec.symbol}:lots"
            accounts = engine.ledger.accounts()
            assert total(balance for _, a, balance in accounts if a == asset) == 0
            for handler in market.handlers:
                account = handler.account
                if handler.state.status == "pending":
                    continue
                for each in {account, account.book}:
                    mark = each.state.since_mark
                    assert total(each.causes(mark)) == each.nav(mark) - each.state.equity_start
