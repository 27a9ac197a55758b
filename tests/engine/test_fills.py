"""Tests of ``engine/fills.py``: an account is what ``fills.parquet`` says it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from msgspec import UNSET

from engine import api
from engine.events import UnitsSplit
from engine.fills import MOVING, Fills
from engine.venue_events import AccountCharged
from feeds.generators.gbm import Gbm
from feeds.scenarios import Scenario
from tests.builders import a_contract
from tests.engine.test_custody import lineup, under

CONFIG = """
[[markets]]
symbol = "BTCUSDT"
contract = { lot_size = 0.000001 }
book = { depth_at_1pct = 2e6 }
[[products]]
id = "HOURLY"
symbol = "BTCUSDT"
seed_capital = 1000
policies = [ { type = "schedule", target = 2.0, every_s = 3600.0 } ]
[[products]]
id = "F10"
symbol = "BTCUSDT"
kind = "futures"
leverage = 10.0
seed_capital = 1000
[[products]]
id = "F20"
symbol = "BTCUSDT"
kind = "futures"
leverage = 20.0
seed_capital = 1000
[[products]]
id = "L"
symbol = "BTCUSDT"
kind = "margin_loan"
leverage = 3.0
seed_capital = 1000
[[products]]
id = "3L"
symbol = "BTCUSDT"
seed_capital = 1000
terms = { management_fee = 0.0001, fee_every = "1h" }
policies = [ { type = "leverage_band", target = 3.0, low = 2.8, high = 3.2 } ]
[[products]]
id = "3S"
symbol = "BTCUSDT"
policies = [ { type = "leverage_band", target = -3.0, low = 2.8, high = 3.2 } ]
seed_capital = 1000
[[traders]]
id = "whale"
symbol = "BTCUSDT"
wallet = 5_000_000
size = 1_000
entry = 94_000.0
[output]
nav_every = "1m"
"""
MORNING, EVENING = 1_768_460_000_000_000_000, 1_768_505_000_000_000_000
LOT = Fraction(1, 10**6)
ATOMS = 10**6


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> api.RunResult:
    """The synthetic day with a whale on the venue, whom the book cannot take."""
    folder: Path = tmp_path_factory.mktemp("fills")
    (folder / "c.toml").write_text(CONFIG)
    asked = [
        {"ts": MORNING, "id": "a", "user": "u", "side": "create", "quote": 500.0},
        {"ts": EVENING, "id": "b", "user": "u", "side": "redeem", "units": 100.0},
    ]
    requests = folder / "requests.jsonl"
    requests.write_text("".join(json.dumps({"product": "3L", **one}) + "\n" for one in asked))
    return api.run(config=folder / "c.toml", requests=requests, out=folder / "run", report=False)


def rebuilt(
    name: str, rows: list[dict[str, Any]], records: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Each NAV record of a product, and the cash and lots that the rows up to its instant add up
    to: samples come last."""
    own = iter([*(row for row in rows if row["product"] == name), None])
    row, cash, lots = next(own), 0, 0
    for record in (each for each in records if each["product"] == name):
        while row is not None and row["ts_ns"] <= record["ts_ns"]:
            cash, lots = cash + row["cash_atoms"], lots + row["lots"]
            row = next(own)
        yield record, cash, lots


def test_every_account_is_rebuilt_from_its_fills(crashed: api.RunResult) -> None:
    """``units x NAV = cash + sum of lots x mark`` at every NAV record, rounded down to an atom, of
    a run in which hedges were liquidated and auto-deleveraged. Catches a movement of cash that
    leaves no row, and lots that the venue took and nobody wrote down."""
    rows = crashed.fills.to_pylist()
    purposes = Counter(row["purpose"] for row in rows)
    wanted = ("opening", "rebalance", "liquidation", "adl", "creation", "redemption", "funding")
    lacking = {*wanted, "management_fee", "interest", "insurance"} - set(purposes)
    assert not lacking
    records = crashed.nav.to_pylist()
    assert len(records) > 5_000
    for name in crashed.summary["products"]:
        for record, cash, lots in rebuilt(name, rows, records):
            exact = cash + lots * LOT * Fraction(repr(record["mark_price"])) * ATOMS
            assert abs(round(record["nav"] * ATOMS) - exact) <= 1, (name, record)


COINS = """
[[markets]]
symbol = "BTCUSD_PERP"
contract = { kind = "inverse" }
venue = { preset = "binance" }
[[products]]
id = "3L"
symbol = "BTCUSD_PERP"
policies = [ { type = "leverage_band", target = 3.0, low = 2.25, high = 4.125 } ]
[[products]]
id = "3S"
symbol = "BTCUSD_PERP"
policies = [ { type = "leverage_band", target = -3.0, low = 1.5, high = 5.25 } ]
"""


def test_an_account_in_coins_is_rebuilt_from_its_fills(tmp_path: Path) -> None:
    """Funds on an inverse contract, created, redeemed and auto-deleveraged: the coins of every row
    at the mark, less the dollars of the contracts, are NAV at every record, to a cent. Catches the
    coins that a flow of dollars became, left out."""
    (tmp_path / "c.toml").write_text(COINS)
    at = "2026-01-15T00:0{}:00Z"
    asked = [
        {"ts": at.format(5), "id": "a", "user": "u", "side": "create", "quote": 50_000.0},
        {"ts": at.format(8), "id": "b", "user": "u", "side": "redeem", "units": 12_345.0},
    ]
    requests = tmp_path / "requests.jsonl"
    requests.write_text("".join(json.dumps({"product": "3L", **one}) + "\n" for one in asked))
    base = Gbm(
        volatility=2.0,
        days=0.01,
        step="1s",
        symbols=("BTCUSD_PERP",),
        prices={"BTCUSD_PERP": 50_000.0},
    )
    events = [
        {"kind": "gap", "at": "3m", "depth_pct": -12.0},
        {"kind": "adl", "at": "7m", "share_pct": 40.0},
    ]
    scenario = msgspec.convert({"name": "coins", "events": events}, Scenario)
    done = api.run(
        config=tmp_path / "c.toml",
        scenarios=[msgspec.structs.replace(scenario, base=base)],
        requests=requests,
        out=tmp_path / "run",
        report=False,
    )
    rows, records = done.fills.to_pylist(), done.nav.to_pylist()
    purposes = {row["purpose"] for row in rows}
    assert {"opening", "rebalance", "adl", "creation", "redemption"} <= purposes
    for name in ("3L", "3S"):
        for record, cash, lots in rebuilt(name, rows, records):
            worth = cash * record["mark_price"] / 10**8 - lots
            assert record["nav"] == pytest.approx(worth, abs=0.01), record


def test_what_was_charged_without_a_trade_is_a_row(tmp_path: Path) -> None:
    """A share of a loss, a closing fee and the fund's cover move a product's cash, each under its
    purpose; other customers have no rows."""
    fills, place = Fills({"P": a_contract()}), {"ts_ns": 0, "symbol": "BTCUSDT"}
    causes: list[Any] = ["socialised", "closing_fee", "cover"]
    for ordinal, cause in enumerate(causes):
        for account in ("product:P", "trader:t"):
            charged = AccountCharged(
                sequence=1,
                ordinal=ordinal,
                account=account,
                cause=cause,
                atoms=7 + ordinal,
                **place,
            )
            fills.note(charged)
    assert "account_charged" in MOVING
    fills.write(tmp_path / "fills.parquet", {"P": "BTCUSDT"})
    rows = pq.read_table(tmp_path / "fills.parquet").to_pylist()
    said = [(row["product"], row["purpose"], row["lots"], row["cash_atoms"]) for row in rows]
    assert said == [
        ("P", "socialised", 0, -7),
        ("P", "closing_fee", 0, -8),
        ("P", "insurance", 0, -9),
    ]


@pytest.mark.parametrize(
    ("event", "purpose"),
    [({"kind": "depeg", "to": 0.97}, "revaluation"), ({"kind": "venue_default"}, "default")],
)
def test_what_a_venue_loses_is_a_row(event: dict[str, Any], purpose: str, tmp_path: Path) -> None:
    """A margin asset that is worth less, and a venue that pays 40 % back: what the rows add up to
    is the account at the end, to an atom. Catches money that is gone and has no row."""
    event = {**event, "at": "2m"} | ({"recovery": 0.4} if purpose == "default" else {})
    done = under(lineup("BTC3L"), event, out=tmp_path / "run")
    rows, last = done.fills.to_pylist(), done.nav.to_pylist()[-1]
    assert purpose in {row["purpose"] for row in rows if not row["lots"]}
    cash, lots = (sum(row[name] for row in rows) for name in ("cash_atoms", "lots"))
    worth = cash + lots * LOT * Fraction(repr(last["mark_price"])) * ATOMS
    assert abs(round(last["nav"] * ATOMS) - worth) <= 1


@pytest.mark.parametrize(
    ("inverse", "coins", "moved"),
    [(False, UNSET, (-7, 0)), (True, 3, (-3, 0)), (True, UNSET, (0, -7))],
)
def test_what_a_split_pays_out_is_a_row(inverse: bool, coins: Any, moved: tuple[int, int]) -> None:
    """What is left over of holders' units is money that left the pool: coins of an inverse
    contract, or the quote money that they were sold for."""
    fills = Fills({"P": a_contract(inverse=inverse)})
    split = UnitsSplit(
        sequence=1,
        ordinal=0,
        ts_ns=0,
        product="P",
        reason="operator",
        new=1,
        old=10,
        units_before=1_000,
        units_total=100,
        paid_atoms=7,
        nav_atoms=993,
        mark_price=100.0,
        coin_atoms=coins,
    )
    fills.note(split)
    (row,) = fills.table({"P": "BTCUSDT"}).to_pylist()
    assert (row["purpose"], row["lots"]) == ("split", 0)
    assert (row["cash_atoms"], row["quote_atoms"]) == moved
