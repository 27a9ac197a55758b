"""Tests of ``engine/report/trading.py``: what hedges traded and held, in quote; costs in the asset
that they were paid in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.engine import Engine
from engine.report.hedge_desk import exposures_of
from engine.report.numbers import numbers_of
from engine.report.pictures import pictures_of
from engine.report.reading import Run, read_run
from engine.rundir import RunWriter
from engine.summary import summarise
from engine.units import SECOND_NS
from strategies import LeverageBand
from tests.builders import T0, a_contract, a_market, a_product, a_spec, a_tape

BAND = LeverageBand(target=3.0, low=2.4, high=3.3)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two 3x products on a coin-margined contract of 10 dollars, a basket and a formula: opened at
    100 and, after a fall to 90, rebalanced."""
    contract = a_contract("BTCUSD", inverse=True, contract_size=10.0, taker_fee=0.001)
    products = [
        (a_product(name, nav=nav), (BAND,)) for name, nav in (("B", "basket"), ("F", "formula"))
    ]
    spec = a_spec(*products, markets=[a_market(contract=contract)])
    path, engine = tmp_path_factory.mktemp("coins"), Engine(spec)
    with RunWriter(path, engine) as writer:
        writer.collect(engine.process(a_tape([100.0, 100.0, 90.0, 90.0, 90.0])))
        writer.collect(engine.finish())
        writer.close()
    more = {"verdict": "", "assumed": [], "bars": None, "synthetic": False}
    (path / "summary.json").write_text(json.dumps({**more, **summarise(engine, writer)}))
    (path / "run.toml").write_text(
        '[[markets]]\nsymbol = "BTCUSD"\ncontract = { kind = "inverse", base = "BTC", '
        'quote = "USD", lot_size = 1.0, contract_size = 10.0 }\n'
    )
    return read_run(path)


def test_contracts_count_with_their_face(read: Run) -> None:
    """A basket of a million at 3x owes two million of face, 200,000 contracts of ten, and at 90
    sells some. Catches coins that are taken for dollars."""
    trading, (opened, *later) = read.trading["B"], read.events["B"]
    assert opened["position_lots"] == 200_000
    sold = 200_000 - later[0]["position_lots"]
    assert sold > 0
    assert trading.traded == pytest.approx(10.0 * (200_000 + sold))


def test_the_hedge_of_a_formula_in_coins_is_all_its_coins(read: Run) -> None:
    """10,000 paid in, and two million dollars bought at 100.01, less a thousandth: these move
    with the price, whatever its NAV is; and less what was sold at 89.991, and a thousandth. Catches
    coins that are taken as worth the promise, which pays no fees."""
    held, promised = exposures_of(read, "F")
    coins = 10_000.0 + 2e6 / 100.01 * 0.999
    assert held[0] == pytest.approx(100.0 * coins, rel=1e-12)
    opened, later = read.events["F"][:2]
    sold = 10.0 * (opened["position_lots"] - later["position_lots"]) / 89.991
    assert held[-1] == pytest.approx(90.0 * (coins - sold * 1.001), rel=1e-12)
    assert held[-1] == pytest.approx(promised[-1], rel=2e-3)
    times = np.array([T0 - 1, T0, T0 + 4 * SECOND_NS])
    basket = read.trading["B"].exposure_at(times, np.full(3, 90.0))
    assert basket[:2].tolist() == pytest.approx([0.0, coins * 90.0], rel=1e-12)


def test_what_a_trade_cost_is_told_in_coins(read: Run) -> None:
    """A fee of a thousandth of 10,000 coins' worth is coins, in all their digits. Catches a hundred
    times as many dollars."""
    (event,) = [e for e in read.events["B"] if not e.get("opening")]
    coins = event["cost_atoms"] / 10**8
    _, trades = numbers_of("B", read)["leverage"]
    assert trades.head[-1] == "cost, BTC"
    assert trades.rows[0][-1] == f"{coins:,.8f}"
    assert pictures_of(read)["products"]["B"]["trades"]["cost"] == [f"{coins:,.8f} BTC"]
