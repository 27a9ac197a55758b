"""Nothing appears and nothing is lost: balances, units, and each product's cash from what it said
it traded."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from engine.engine import Engine
from tests.builders import Run, cut
from tests.properties.rich import SEEDS, rich_run, rich_spec, rich_tape


def check(engine: Engine) -> None:
    """Every asset sums to zero; users' units are the ledger's; the causes of equity sum to its
    change."""
    engine.ledger.check()
    for handler in engine.handlers:
        account = handler.account
        users = int(handler.dealing.units.sum())
        issuer = engine.ledger.balance("issuer", f"{account.spec.id}:units")
        assert users == engine.ledger.balance("user", f"{account.spec.id}:units")
        assert users + issuer == account.units
        if handler.state.status != "pending":
            equity = account.nav(account.state.since_mark)
            assert sum(account.state.attribution) == equity - account.state.equity_start


@pytest.mark.parametrize("seed", SEEDS)
def test_after_every_step(seed: int) -> None:
    """After each row the ledger balances and the causes of equity sum to its change, to the
    atom."""
    engine = Engine(rich_spec())
    for step in cut(rich_tape(seed), range(rich_tape(seed).end)):
        engine.process(step)
        check(engine)


def cash_from_events(said: Run) -> dict[str, dict[str, int]]:
    """Each product's cash, lots and units, rebuilt from its events alone (cash as if it were
    settled in quote)."""
    books: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in said.events:
        book, tag = books[getattr(event, "product", "")], event.__struct_config__.tag
        if tag == "product_launched":
            book["cash"] += event.equity_atoms
            book["units"] += event.units
        elif tag == "order_filled":
            book["lots"] += event.lots
            book["cash"] += event.hedge_atoms + event.spread_impact_atoms - event.fee_atoms
        elif tag in ("funding_settled", "management_fee_charged"):
            book["cash"] -= event.paid_atoms
        elif tag == "units_created":
            book["cash"] += event.quote_atoms
            book["units"] += event.units
        elif tag == "units_redeemed":
            book["cash"] -= event.quote_atoms
            book["units"] -= event.units
        elif tag == "units_split":
            book["cash"] -= event.paid_atoms
            book["units"] = event.units_total
        elif tag == "deficit_paid":
            book["cash"] += event.paid_atoms
    return books


def assert_rebuilt(said: Run) -> None:
    """What the events say is what the ledger holds."""
    books: Any = cash_from_events(said)
    for handler in said.engine.handlers:
        account, book = handler.account, books[handler.spec.id]
        assert (handler.spec.id, book["lots"]) == (handler.spec.id, account.lots)
        assert (handler.spec.id, book["units"]) == (handler.spec.id, account.units)
        if not account.contract.inverse:
            assert (handler.spec.id, book["cash"]) == (handler.spec.id, account.cash)


@pytest.mark.parametrize("seed", SEEDS)
def test_equity_rebuilt_from_events(seed: int) -> None:
    """Cash, lots and units of every product follow from its events alone: no fee is taken twice,
    none is hidden."""
    assert_rebuilt(rich_run(seed))


def assert_fair(said: Run) -> None:
    """Nobody gets more than his share of the NAV before his request; what rounding leaves is the
    others'."""
    inverse = {h.spec.id: h.account.contract.inverse for h in said.engine.handlers}
    for event in said.named("units_created", "units_redeemed"):
        # NAV is rounded down, and coins paid in are rounded up by at most one of their atoms.
        slack = 1_000 if inverse[event.product] else 1
        tag = event.__struct_config__.tag
        if tag == "units_created" and not event.units:
            continue  # its hedge took all of the money
        if tag == "units_created":
            total = event.units_total - event.units
            nav = event.nav_atoms - event.quote_atoms + event.cost_atoms
            bought = event.quote_atoms - event.cost_atoms
            assert event.units * (nav - slack) <= bought * total, event
        else:
            total = event.units_total + event.units
            nav = event.nav_atoms + event.quote_atoms + event.cost_atoms
            assert (event.quote_atoms + min(0, event.cost_atoms)) * total <= event.units * (
                nav + slack
            ), event


@pytest.mark.parametrize("seed", SEEDS)
def test_requests_are_dealt_at_nav(seed: int) -> None:
    """A creation buys no more units, a redemption is paid no more money, than NAV before its hedge
    gives."""
    assert rich_run(seed).named("units_created")
    assert rich_run(seed).named("units_redeemed")
    assert_fair(rich_run(seed))
