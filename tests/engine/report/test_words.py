"""Numbers and names as words."""

from __future__ import annotations

import pytest

from engine.report.words import (
    asset_of,
    change,
    date_of,
    instant,
    listed,
    moved,
    multiple,
    number,
    percent,
    plural,
    points,
    priced,
    title_of,
)


def test_a_sign_is_a_minus_and_zero_bears_none() -> None:
    """Negative numbers carry a true minus sign; what rounds to zero carries no sign."""
    assert number(-1234.5) == "−1,234.50"
    assert number(0.004, signed=True) == number(-0.004) == "0.00"
    assert percent(0.0123) == "+1.2 %"
    assert percent(-0.00004) == "0.0 %"
    assert percent(None) == percent(float("nan")) == "–"


def test_small_prices_keep_their_digits() -> None:
    """Catches a coin of 0.00002 that costs 0.00."""
    told = {
        94_012.5: "94,012.50",
        100.0: "100.00",
        2.5: "2.5000",
        0.05: "0.050000",
        2e-5: "0.000020000",
    }
    assert {value: priced(value) for value in told} == told
    assert priced(0.0) == "0.0000"


def test_gain_and_loss_are_said() -> None:
    """Words tell gains from losses; nothing rounds up to a total loss."""
    assert moved(0.012) == "gained 1.2 %"
    assert moved(-0.381) == "lost 38.1 %"
    assert moved(-0.99999) == "lost more than 99.9 %"
    assert moved(-1.0) == moved(-1.2) == "lost everything"
    assert moved(0.0001) == "ended where it started"
    assert change(-0.123) == "12.3 % lower"
    assert change(0.123) == "12.3 % higher"
    assert change(0.0) == "where it started (0.0 %)"


def test_points_agree_with_the_percentages_beside_them() -> None:
    """Two printed percentages and their printed distance are consistent for a reader."""
    assert points(-0.24996, -0.20547) == "4.5 points"


def test_names_and_dates() -> None:
    """Assets, multiples, dates and lists read like prose."""
    for symbol in ("BTCUSDT", "XBTUSD", "BTCUSD_PERP", "BTC-USDT-SWAP", "BTC"):
        assert asset_of(symbol) == "BTC"
    assert asset_of("SOLUSDC") == "SOL"
    assert multiple(-3.0, "BTC") == "−3 x BTC"
    assert date_of(1_584_009_460_000_000_000) == "12 March 2020"
    assert instant(1_584_009_460_000_000_000, seconds=True) == "12 Mar 2020 10:37:40"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert plural(0, "rebalance") == "no rebalances"
    assert plural(1, "rebalance") == "1 rebalance"
    assert plural(1204, "rebalance") == "1,204 rebalances"


@pytest.mark.parametrize(
    ("product", "alone", "title"),
    [
        ("BTC-SMART-L", True, "Smart Leverage long"),
        ("BTC-SMART-S", False, "BTC Smart Leverage short"),
        ("BTC-SMART-L@XBTUSD", True, "BTC-SMART-L@XBTUSD"),
        ("BTC3L", True, "BTC3L"),
    ],
)
def test_smart_leverage_is_called_by_its_name(product: str, alone: bool, title: str) -> None:
    """Products of the line-up are named as people name them, where that is no riddle."""
    assert title_of(product, alone=alone) == title
