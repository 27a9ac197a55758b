"""Claims about the rules of real products, on paths made for them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import api

HEAD = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
START_MS = 1_766_600_000_000
"""24 December 2025: Gate's rules of the floating leverage."""


def trades(file: Path, prices: Any, step_s: int = 1) -> Path:
    """A trade each so many seconds, at prices of which one is for each second."""
    rows = [
        f"{n},{price:.6f},1,{n},{n},{START_MS + 1_000 * n},true"
        for n, price in enumerate(prices)
        if n % step_s == 0
    ]
    file.write_text("\n".join([HEAD, *rows, ""]))
    return file


def replayed(folder: Path, data: Path, config: str) -> api.RunResult:
    (folder / "run.toml").write_text(config)
    return api.run(
        data, config=folder / "run.toml", out=folder / data.stem, report=False, symbol="ALTUSDT"
    )


def left(result: api.RunResult, *names: str) -> list[float]:
    """NAV per unit at the end; it began at 1."""
    return [float(result.summary["products"][name]["nav_end"]) for name in names]


# K15 ------------------------------------------------------------------------------------------


def down_and_back() -> Any:
    """An altcoin: 80 % down in two minutes, all the way back in four."""
    fall = np.linspace(0.0, math.log(0.2), 121)
    rise = np.linspace(math.log(0.2), 0.0, 241)
    calm = np.zeros(60)
    return 10.0 * np.exp(np.concatenate([calm, fall, rise[1:], calm]))


GATE = "".join(
    f'[[products]]\nid = "{side}"\nsymbol = "ALTUSDT"\nseed_capital = 100_000\n'
    f'terms = {{ pack = "gate-{side.lower()}", as_of = "2025-12-24" }}\n'
    for side in ("3L", "3S")
)
BASKETS = "".join(
    f'[[products]]\nid = "{side}"\nsymbol = "ALTUSDT"\nseed_capital = 100_000\n'
    f'latency_ms = LATENCY\npolicies = [{{ type = "leverage_band", {band} }}]\n'
    for side, band in (
        ("3L", "target = 3.0, low = 2.25, high = 4.125"),
        ("3S", "target = -3.0, low = 1.5, high = 5.25"),
    )
)
BOOK = '[[markets]]\nsymbol = "ALTUSDT"\nfunding = { source = "none" }\nbook = { BOOK }\n'


def test_k15_watched_in_time_neither_side_is_gone(tmp_path: Path) -> None:
    """K15: under Gate's rules, seen each second, the way down and back costs most of both, and
    leaves more than a hundredth of each: 0.64 for each -12 % and 1.6 for each +20 %."""
    data = trades(tmp_path / "seconds.csv", down_and_back())
    long, short = left(replayed(tmp_path, data, GATE), "3L", "3S")
    assert 0.01 < long < 0.5
    assert 0.01 < short < 0.5


def test_k15_watched_once_a_minute_both_are_gone(tmp_path: Path) -> None:
    """K15: the same price and the same rules; who looks once a minute finds moves beyond a third,
    and long and short lose everything. This is what 10 October 2025 did to both sides."""
    data = trades(tmp_path / "minutes.csv", down_and_back(), step_s=60)
    assert left(replayed(tmp_path, data, GATE), "3L", "3S") == [0.0, 0.0]


@pytest.mark.parametrize(
    ("latency_ms", "book", "gone"),
    [
        (0, 'model = "depth", depth_at_1pct = 50_000_000.0', False),
        (40_000, 'model = "depth", depth_at_1pct = 50_000_000.0', True),
        (0, 'model = "depth", depth_at_1pct = 300_000.0, half_life_s = 600.0', True),
    ],
)
def test_k15_where_holders_bear_the_hedge(
    tmp_path: Path, latency_ms: int, book: str, gone: bool
) -> None:
    """K15: with the same bands on a basket it is the hedge that decides. At once and in a deep book
    more than a hundredth is left of both; with orders that take 40 seconds, or in a thin book that
    fills slowly, less of either."""
    data = trades(tmp_path / "seconds.csv", down_and_back())
    config = BOOK.replace("BOOK", book) + BASKETS.replace("LATENCY", str(latency_ms))
    long, short = left(replayed(tmp_path, data, config), "3L", "3S")
    assert (max(long, short) < 0.01) == gone
    assert gone or min(long, short) > 0.01


# K19 ------------------------------------------------------------------------------------------

PACKS = ("gate-3l", "bybit-3l", "kucoin-3l", "mexc-3l", "ftx-bull", "etf-3x", "toros-3l")


def test_k19_the_same_ticks_under_several_rules(tmp_path: Path) -> None:
    """K19: two days of swings; every platform charges and trades otherwise, the attribution says
    how much of each. Who trades more pays more in spread and fees: in a book with costs the order
    of turnover is that of trading costs. Where NAV is by formula the holder sees no trading costs:
    the issuer has them."""
    random = np.random.default_rng(19)
    path = 100.0 * np.exp(np.cumsum(random.standard_normal(2_880) * 0.004))
    file = tmp_path / "minutes.csv"
    rows = [
        f"{n},{price:.6f},1,{n},{n},{START_MS + 60_000 * n},true" for n, price in enumerate(path)
    ]
    file.write_text("\n".join([HEAD, *rows, ""]))
    config = "".join(
        f'[[products]]\nid = "{pack}"\nsymbol = "ALTUSDT"\nterms = {{ pack = "{pack}" }}\n'
        for pack in PACKS
    )
    result = replayed(tmp_path, file, config)
    products = result.summary["products"]
    costs, turnover = {}, {}
    for pack in PACKS:
        parts = products[pack]["attribution"]
        costs[pack] = -(parts["fees"] + parts["spread_impact"])
        fills = [e for e in result.events("order_filled") if e["product"] == pack]
        turnover[pack] = sum(abs(fill["hedge_atoms"]) for fill in fills)
        whole = sum(parts.values())
        assert whole == pytest.approx(
            products[pack]["equity_end"] - products[pack]["equity_start"], abs=1e-3
        )
    formulas = [pack for pack in PACKS if costs[pack] == 0.0]
    assert formulas == ["gate-3l"]
    assert result.summary["issuer"]["products"]["gate-3l"]["hedge"]["attribution"]["fees"] < 0.0
    baskets = [pack for pack in PACKS if pack not in formulas]
    assert len({round(costs[pack], 2) for pack in baskets}) >= 4
    by_turnover = sorted(baskets, key=lambda pack: turnover[pack])
    assert costs[by_turnover[0]] < costs[by_turnover[-1]]
    charged = {pack: -products[pack]["attribution"]["management_fee"] for pack in PACKS}
    assert len({round(each, 2) for each in charged.values() if each}) >= 3


# K24 ------------------------------------------------------------------------------------------


def test_k24_bybits_identity_holds_at_every_nav_record(tmp_path: Path) -> None:
    """K24: what lies behind a unit is a position in perpetual contracts and a loan. Of fills alone:
    position per unit x mark / NAV is the leverage of the record, and position x mark + loan is its
    NAV, in each of them."""
    random = np.random.default_rng(24)
    path = 100.0 * np.exp(np.cumsum(random.standard_normal(1_500) * 0.002))
    data = trades(tmp_path / "seconds.csv", path)
    result = replayed(
        tmp_path,
        data,
        '[[products]]\nid = "LT"\nsymbol = "ALTUSDT"\nterms = { pack = "bybit-3l" }\n',
    )
    fills = result.fills.to_pylist()
    nav = result.nav.to_pylist()
    assert len(fills) >= 2
    lot = 10.0 ** round(math.log10(_lot_size(result)))
    place, position, loan = 0, 0.0, 0.0
    for row in nav:
        while place < len(fills) and fills[place]["ts_ns"] <= row["ts_ns"]:
            position += fills[place]["lots"] * lot
            loan += fills[place]["cash_atoms"] / 10**6
            place += 1
        basket = position / row["units"]
        assert basket * row["mark_price"] + loan / row["units"] == pytest.approx(
            row["nav_per_unit"], rel=1e-9
        )
        assert row["leverage"] == pytest.approx(
            basket * row["mark_price"] / row["nav_per_unit"], rel=1e-9
        )
    assert place == len(fills)


def _lot_size(result: api.RunResult) -> float:
    import tomllib

    assert result.path is not None
    settings = tomllib.loads((result.path / "run.toml").read_text())
    return float(settings["markets"][0]["contract"]["lot_size"])


# K31 ------------------------------------------------------------------------------------------


def test_k31_240_products_on_60_symbols(tmp_path: Path) -> None:
    """K31: more pairs than any platform offers, in one run; each follows its own symbol alone."""
    config, random = "", np.random.default_rng(31)
    files = []
    for number in range(60):
        symbol = f"C{number:02d}USDT"
        path = 10.0 * (number + 1) * np.exp(np.cumsum(random.standard_normal(120) * 0.003))
        file = tmp_path / f"{symbol}-aggTrades-2025-12-24.csv"
        files.append(trades(file, path))
        config += f'[[markets]]\nsymbol = "{symbol}"\nfunding = {{ source = "none" }}\n'
        for side, target in (("3L", 3.0), ("3S", -3.0), ("5L", 5.0), ("5S", -5.0)):
            magnitude = abs(target)
            config += (
                f'[[products]]\nid = "{symbol}{side}"\nsymbol = "{symbol}"\nseed_capital = 10_000\n'
                f'policies = [{{ type = "leverage_band", target = {target}, '
                f"low = {magnitude * 0.97}, high = {magnitude * 1.03} }}]\n"
            )
    (tmp_path / "run.toml").write_text(config)
    result = api.run(files, config=tmp_path / "run.toml", out=tmp_path / "run", report=False)
    products = result.summary["products"]
    assert len(products) == 240
    assert sum(product["rebalances"] for product in products.values()) > 240
    for number in range(60):
        long, short = (products[f"C{number:02d}USDT{side}"] for side in ("3L", "3S"))
        assert long["underlying_return"] == short["underlying_return"]
        if abs(long["underlying_return"]) > 0.01:
            assert long["return"] * long["underlying_return"] > 0.0
