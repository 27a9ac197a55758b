"""A refused row must leave no trace but its refusal, and a fund that is set must pay first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine.config import load_config, spec_of
from engine.engine import Engine
from engine.events import CreationRequest, RedemptionRequest
from engine.snapshot import restore, snapshot
from engine.ticks import Kind, Step, Trades
from engine.venue_events import InsuranceFundChanged
from feeds.recording import SymbolInfo

SYMBOLS = (SymbolInfo("BTCUSDT", "BTC", "USDT", "linear", 1.0, (Kind.TRADE,)),)
COUNT = 200
T0 = 1_700_000_000 * 10**9


def run(sets: tuple[str, ...] = (), **spoilt: tuple[int, float]) -> tuple[Engine, list[object]]:
    """The funds of the line-up on a swinging tape, one cell of a column spoilt; the engine and its
    events."""
    columns = {
        "price": 60_000.0 + 300.0 * np.sin(np.arange(COUNT) / 9.0),
        "size": np.ones(COUNT),
        "trade_id": np.arange(COUNT, dtype=np.int64),
        "aggressor": np.ones(COUNT, np.int8),
    }
    for name, (row, value) in spoilt.items():
        columns[name][row] = value
    table = Trades(
        sequence=np.arange(COUNT), symbol=0, ts_ns=T0 + np.arange(COUNT) * 10**8, **columns
    )
    config = load_config(None, sets, symbols=SYMBOLS)
    funds = tuple(product for product in config.products if product.kind == "fund")
    engine = Engine(spec_of(replace(config, products=funds), SYMBOLS))
    return engine, list(engine.process(Step(first=0, end=COUNT, tables=(table,))).events)


def navs(engine: Engine) -> list[int]:
    return [h.account.nav(engine.markets[0].state.mark) for h in engine.handlers]


def test_the_id_of_a_refused_trade_makes_no_neighbour_a_duplicate() -> None:
    """Catches a trade id that is remembered before its price is judged: all that followed was
    refused."""
    clean = run()[0]
    engine, events = run(trade_id=(100, 2**62), price=(100, 6e12))
    assert engine.state.rejected == {"jump": 1}
    assert navs(engine) == navs(clean)
    assert [getattr(e, "reason", "") for e in events if hasattr(e, "detail")] == ["jump"]


@pytest.mark.parametrize("size", [math.inf, -math.inf, math.nan, -1.0])
def test_a_size_that_is_none_is_refused(size: float) -> None:
    """Catches infinite sizes that pass for positive ones."""
    engine, _ = run(size=(100, size))
    assert engine.state.rejected == {"not_finite": 1}


@pytest.mark.parametrize("number", [np.float64, np.float32, np.int64])
def test_requests_may_hold_numbers_of_numpy(number: Any) -> None:
    """A request made with numpy's numbers is dealt as one made with plain ones, waits in a
    snapshot, and comes back the same. Catches an amount that cannot be read."""
    told = []
    for make, stamp in ((float, int), (number, np.int64)):
        engine, _ = run()
        at = stamp(engine.time_ns + 1)
        asked = [
            CreationRequest(ts_ns=at, id="1", user="a", product="BTC3L", quote=make(250)),
            RedemptionRequest(ts_ns=at, id="2", user="a", product="BTC3L", units=make(3)),
        ]
        step = Step(first=COUNT, end=COUNT + 2, messages=tuple(enumerate(asked, COUNT)))
        lines = engine.process(step).lines
        told.append((lines, snapshot(restore(engine.spec, snapshot(engine)))))
    assert told[0] == told[1]
    assert any(b"units_redeemed" in line for line in told[1][0])


def test_the_insurance_fund_of_the_configuration_pays_first() -> None:
    """A fall of 60 % at once leaves a 3x product with less than nothing: what the fund has lets a
    part of its position be filled beyond the bankruptcy price. Catches a fund that is configured
    and never filled, or that pays more than it has."""
    sets = ("markets.0.venue.insurance_fund=1000", 'markets.0.book={model="flat"}')
    engine = run(sets)[0]
    falls = np.full(3, 24_000.0)
    table = Trades(
        sequence=COUNT + np.arange(3),
        symbol=0,
        ts_ns=T0 + (COUNT + np.arange(3)) * 10**8,
        price=falls,
        size=np.ones(3),
        aggressor=np.ones(3, np.int8),
        trade_id=COUNT + np.arange(3),
    )
    said = engine.process(Step(first=COUNT, end=COUNT + 3, tables=(table,))).events
    paid = [e for e in said if isinstance(e, InsuranceFundChanged)]
    left = engine.ledger.balance("insurance", "USDT")
    assert sum(event.delta_atoms for event in paid) == left - 1_000_000_000
    assert 700_000_000 <= left < 701_000_000  # Binance's stops where 30 % of its peak are gone
    assert paid[-1].balance_atoms == left
    engine.ledger.check()
