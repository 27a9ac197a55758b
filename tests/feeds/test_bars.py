"""``feeds/bars.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.ticks import Trades
from feeds.bars import BAR_ORDERS, Bars, bar_ticks

MINUTE = 60_000_000_000


def some_bars(*rows: tuple[float, float, float, float], trades: int = 5) -> Bars:
    """Minutes from 0 with these opens, highs, lows and closes."""
    start = np.arange(len(rows), dtype=np.int64) * MINUTE
    names = ("open", "high", "low", "close")
    prices = {n: np.array(c, float) for n, c in zip(names, zip(*rows, strict=True), strict=True)}
    return Bars(
        symbol=0,
        start_ns=start,
        end_ns=start + MINUTE,
        volume=np.full(len(rows), 7.0),
        trades=np.full(len(rows), trades),
        **prices,
    )


def ticks(bars: Bars, order: str) -> Any:
    (table,) = bar_ticks(bars, order).tables
    assert isinstance(table, Trades)
    return table


def test_offsets() -> None:
    """A bar's ticks lie at 0, 1/3, 2/3 and 1 ns before its end.

    Catches a close that falls into the next bar and so would be known too early or too late.
    """
    table = ticks(some_bars((10, 12, 9, 11)), "ohlc")
    assert table.ts_ns.tolist() == [0, MINUTE // 3, 2 * MINUTE // 3, MINUTE - 1]


@pytest.mark.parametrize(
    ("order", "path"),
    [("ohlc", [10, 12, 9, 11]), ("olhc", [10, 9, 12, 11]), ("close", [11])],
)
def test_orders(order: str, path: list[float]) -> None:
    """Each order visits the prices that its letters say. Catches swapped extremes."""
    assert ticks(some_bars((10, 12, 9, 11)), order).price.tolist() == path


def test_bridge() -> None:
    """The bridge visits the nearer extreme first; rising bars visit the low first on a tie."""
    bars = some_bars((10, 12, 9, 11), (10, 11, 7, 8), (10, 12, 8, 11), (10, 12, 8, 9))
    path = ticks(bars, "bridge").price.reshape(4, 4)
    assert path[:, 1].tolist() == [9, 11, 8, 12]
    assert path[:, 2].tolist() == [12, 7, 12, 8]


@pytest.mark.parametrize("order", BAR_ORDERS)
def test_prices_are_the_bars(order: str) -> None:
    """Orders never invent a price. Catches a column taken for another."""
    bars = some_bars((10, 12, 9, 11), (11, 15, 8, 9))
    path = ticks(bars, order).price.reshape(2, -1)
    for number, own in enumerate(({10, 12, 9, 11}, {11, 15, 8, 9})):
        assert set(path[number].tolist()) <= own


def test_open_outside() -> None:
    """[low, high] is widened to hold the open. Catches a path that jumps back over its open."""
    assert ticks(some_bars((20, 12, 9, 11)), "ohlc").price.tolist() == [20, 20, 9, 11]
    assert ticks(some_bars((5, 12, 9, 11)), "ohlc").price.tolist() == [5, 12, 5, 11]


def test_no_trades_no_tick() -> None:
    """A bar without trades makes no tick. Catches a market that lives through an outage."""
    assert len(bar_ticks(some_bars((10, 10, 10, 10), trades=0), "ohlc")) == 0
    assert len(bar_ticks(some_bars((10, 10, 10, 10), trades=-1), "ohlc")) == 4


def test_volume_once() -> None:
    """The volume of a bar is told once, at its close. Catches volumes counted four times."""
    assert ticks(some_bars((10, 12, 9, 11)), "ohlc").size.tolist() == [0, 0, 0, 7]


def test_unknown_order() -> None:
    """An unknown order is refused by name."""
    with pytest.raises(ValueError, match="hloc"):
        bar_ticks(some_bars((10, 12, 9, 11)), "hloc")
