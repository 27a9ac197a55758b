"""March 2020 on BitMEX, recorded: futures at four leverages beside three funds, through the fall of
the 12th and the hours in which the venue stood still."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine.api import run

LEVERAGES = (5, 10, 20, 50)
CAPITAL = {5: 100_000, 10: 100_000, 20: 100_000, 50: 30_000}
"""In dollars; the venue lets nobody have 50x on more."""
SATOSHI = 10**8
TIERS = [(200, "0.005"), *((200 + 150 * n, f"{0.005 + 0.005 * n:.3f}") for n in range(1, 11))]
"""Cap in XBT and maintenance rate, as BitMEX has them: steps of 150 XBT and half a per cent."""
CONFIG = """
[[markets]]
symbol = "XBTUSD"
contract = {{ kind = "inverse" }}
venue = {{ preset = "bitmex", insurance_fund = {fund} }}
{futures}
[[traders]]
id = "crowd"
symbol = "XBTUSD"
wallet = 118.0
size = 5_000_000
entry = 8_530.0
leverage = 5.0
[[products]]
id = "BTC3L"
symbol = "XBTUSD"
policies = [ {{ type = "leverage_band", target = 3.0, low = 2.25, high = 4.125 }} ]
[[products]]
id = "BTC3S"
symbol = "XBTUSD"
policies = [ {{ type = "leverage_band", target = -3.0, low = 1.5, high = 5.25 }} ]
[[products]]
id = "SMART"
symbol = "XBTUSD"
policies = [ {{ type = "trend_vol", direction = 1 }} ]
"""
FUTURES = """
[[products]]
id = "FUT{leverage}"
symbol = "XBTUSD"
kind = "futures"
leverage = {leverage}.0
seed_capital = {capital}
"""

Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def month(shared_data: Path) -> Path:
    return shared_data / "bitmex-xbtusd-1m" / "2020-03.jsonl.gz"


@cache
def events_of(month: Path, folder: Path, fund: float) -> Events:
    """What the engine said of the month."""
    folder.mkdir(exist_ok=True)
    futures = "".join(
        FUTURES.format(leverage=leverage, capital=CAPITAL[leverage]) for leverage in LEVERAGES
    )
    config = folder / "month.toml"
    config.write_text(CONFIG.format(fund=fund, futures=futures))
    run(month, config=config, out=folder / "out", report=False)
    lines = (folder / "out" / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def events(month: Path, tmp_path_factory: pytest.TempPathFactory) -> Events:
    return events_of(month, tmp_path_factory.getbasetemp() / "month", 500.0)


def prices(month: Path) -> Iterator[tuple[int, float]]:
    """``(ns, price)`` of the bars: open, high, low, close at 0, 1/3, 2/3 and the end of a minute
    that is stamped at its end."""
    minute = 60 * 10**9
    for line in gzip.decompress(month.read_bytes()).decode().splitlines():
        for bar in json.loads(line):
            end = int(datetime.fromisoformat(bar["timestamp"]).timestamp()) * 10**9
            high, low = max(bar["high"], bar["open"]), min(bar["low"], bar["open"])
            start = end - minute
            yield start, bar["open"]
            yield start + minute // 3, high
            yield start + 2 * minute // 3, low
            yield end - 1, bar["close"]


def maintenance(notional: Fraction) -> Fraction:
    """In satoshi, tier by tier: each part of a position at the rate of the tier that it lies in."""
    needed, below = Fraction(0), Fraction(0)
    for cap, rate in TIERS:
        part = min(notional, Fraction(cap * SATOSHI)) - below
        if part <= 0:
            return needed
        needed += part * Fraction(rate)
        below = Fraction(cap * SATOSHI)
    raise AssertionError("beyond the table")


@pytest.mark.parametrize("leverage", LEVERAGES)
def test_futures_are_liquidated_when_a_plain_scan_says_so(
    events: Events, month: Path, leverage: int
) -> None:
    """Coins, contracts and tiers in fractions, every price looked at: the first at which equity is
    no more than maintenance is where the engine's liquidation starts. A wake a tick late, another
    tier, or maintenance without its steps is seen."""
    name = f"FUT{leverage}"
    launched = next(e for e in events if e["event"] == "product_launched" and e["product"] == name)
    fill = next(e for e in events if e["event"] == "order_filled" and e["product"] == name)
    started = next(
        e
        for e in events
        if e["event"] == "liquidation_started" and e["account"] == f"product:{name}"
    )
    start = Fraction(launched["mark_price"])
    coins = Fraction(CAPITAL[leverage] * SATOSHI) / start
    price = Fraction(fill["price"])
    face = Fraction(round(Fraction(fill["hedge_atoms"], SATOSHI) * Fraction(fill["mid_price"])))
    cash = coins - fill["fee_atoms"] + face * SATOSHI / price
    for ts_ns, mark in prices(month):
        if ts_ns <= fill["ts_ns"]:
            continue
        size = face * SATOSHI / Fraction(mark)
        if cash - size <= maintenance(size):
            assert (ts_ns, mark) == (started["ts_ns"], started["mark_price"])
            return
    raise AssertionError(f"{name} lives, says the scan")


def test_the_month_held_what_it_is_there_for(events: Events) -> None:
    """A liquidation for every leverage, three rebalances for every fund, partial closings, payments
    of the fund, and an auto-deleveraging of our short."""
    met: Counter[str] = Counter()
    for event in events:
        met[f"{event['event']} {event.get('account', event.get('product', ''))}"] += 1
        met[f"{event['event']} {event.get('step', '')}"] += 1
    for leverage in LEVERAGES:
        assert met[f"liquidation_started product:FUT{leverage}"] >= 1
    for fund in ("BTC3L", "BTC3S", "SMART"):
        assert met[f"rebalanced {fund}"] > 3
    assert met["liquidation_filled partial"] >= 1
    assert met["liquidation_filled insured"] >= 1
    assert met["insurance_fund_changed "] >= 1
    assert met["position_auto_deleveraged product:BTC3S"] >= 1
    assert met["hedge_auto_deleveraged BTC3S"] >= 1
