"""Tests of ``engine/valuing.py``."""

from __future__ import annotations

import msgspec
import pytest

from engine.engine import Engine
from engine.ports import Batch, Mark, Taken
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.valuing import valuation_of
from feeds.records import ProductNav, Recorder
from feeds.topics import Topics
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec, a_tape


def test_a_unit_is_told_in_the_money_it_is_quoted_in() -> None:
    """A unit starts at one quote, be that a USDT of six decimals or a BTC of eight. Catches a
    product quoted in coins whose records say 100 for 1."""
    markets = [
        a_market(number, contract=a_contract(symbol, quote=quote, taker_fee=0.0))
        for number, (symbol, quote) in enumerate((("BTCUSDT", "USDT"), ("ETHBTC", "BTC")))
    ]
    products = [(a_product("U"), ()), (a_product("C", 1, seed_atoms=10 * 10**8), ())]
    spec = a_spec(*products, markets=markets)
    rows = [a_row(Kind.MARK, T0, price, symbol=n) for n, price in enumerate((100.0, 0.05))]
    rows.append(a_row(Kind.MARK, T0 + 2 * SECOND_NS, 100.0))
    tape = a_tape(rows)
    outputs = Engine(spec).process(tape)
    recorder = Recorder(Topics(), valuation_of(spec))
    sent = recorder.records(Taken(Mark(), (), [(Batch(tape), outputs)], str))
    told = [msgspec.json.decode(r.value, type=ProductNav) for r in sent if r.topic == "nav"]
    assert {nav.product: pytest.approx(nav.nav_per_unit) for nav in told} == {"U": 1.0, "C": 1.0}
