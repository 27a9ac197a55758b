"""Hedge accounts of several markets: heart and reference say the same, wherever the input is cut
and wherever it is restored, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from engine.engine import Engine
from engine.snapshot import restore, snapshot
from engine.units import total
from tests.builders import Run, cut, run
from tests.properties.agreement import difference, reference
from tests.properties.joint import COINS, SEEDS, joint_spec, joint_tape

CUT_SEEDS = (3, 6)


@cache
def joint_run(seed: int) -> Run:
    return run(joint_spec(seed), joint_tape(seed))


@pytest.mark.parametrize("seed", SEEDS + COINS)
def test_the_reference_says_the_same(seed: int) -> None:
    """With a watch that is armed when something changed, on the other market's mark of then, an
    account meets what it meets when it is looked at at every price of both."""
    said = joint_run(seed)
    found = difference(said, reference(joint_spec(seed), joint_tape(seed)))
    assert found is None, found


def test_every_way_was_gone() -> None:
    """Orders crossed and had no margin; accounts of both markets were called, and closed step by
    step or at once, on either market, until they were restored or closed; they lost to and gave
    for deleveraging, and bore and had shared losses."""
    met: Counter[str] = Counter()
    for seed in SEEDS:
        for event in joint_run(seed).events:
            tag, account = event.__struct_config__.tag, getattr(event, "account", "")
            met[f"{tag} {getattr(event, 'reason', '')}".strip()] += 1
            if account in ("omnibus:desk", "omnibus:other"):
                for name in ("symbol", "cause", "outcome", "step"):
                    met[f"{tag} {getattr(event, name, '')}"] += 1
    for wanted in (
        *("orders_crossed", "order_rejected no_margin", "topup_arrived", "hedge_liquidated"),
        *(f"margin_called {symbol}" for symbol in ("BTCUSDT", "ETHUSDT")),
        *(f"liquidation_filled {symbol}" for symbol in ("BTCUSDT", "ETHUSDT")),
        *(f"liquidation_filled {step}" for step in ("partial", "full")),
        *(f"liquidation_ended {way}" for way in ("restored", "closed", "unfilled")),
        *(f"omnibus_shared {cause}" for cause in ("liquidation", "adl", "socialised", "insurance")),
        *("position_auto_deleveraged BTCUSDT", "position_auto_deleveraged ETHUSDT"),
    ):
        assert met[wanted] > 0, wanted


@pytest.mark.parametrize("seed", CUT_SEEDS)
def test_cut_and_restored_anywhere(seed: int) -> None:
    """Cut and restored at random places the log is the same, the ledger balances after each step,
    and the lots of every contract cancel."""
    spec, tape, whole = joint_spec(seed), joint_tape(seed), joint_run(seed)
    engine, met = Engine(spec), 0
    said = Run(engine)
    for step in cut(tape, sorted(Random(seed).sample(range(1, tape.end), 40))):
        said.take(engine.process(step))
        kept = snapshot(engine)
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
        engine.ledger.check()
        for market in engine.markets:
            asset, accounts = f"{market.contract.spec.symbol}:lots", engine.ledger.accounts()
            assert total(balance for _, a, balance in accounts if a == asset) == 0
        behind = set(engine.margins.behind.values())
        met += sum(len(account.positions()) > 1 for account in behind)
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert engine.digest() == whole.engine.digest()
    assert run(spec, tape, range(tape.end)).lines == whole.lines
    assert met > 0
