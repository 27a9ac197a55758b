"""Bars become ticks.

A bar says four prices and not their order. It becomes trades (``aggressor`` 0, ``trade_id`` -1) at
the offsets 0, 1/3 and 2/3 of its interval and 1 ns before its end, after [low, high] is widened to
hold the open (BitMEX opens with the close before, wherever that lies). Signals see only the last of
them, the close.

Orders:

* ``close``: one tick, the close, 1 ns before the end;
* ``ohlc``: open, high, low, close;
* ``olhc``: open, low, high, close;
* ``bridge``: the extreme nearer to the open comes first, which is the likelier order of a random
  path from open to close; where both are as near, a bar that rises (close >= open) visits its low
  first. No draw is made, so the same bars give the same ticks everywhere.
"""

from __future__ import annotations

from typing import Any, Final, Literal, cast

import numpy as np
from msgspec import Struct

from engine.ticks import Step, Trades

__all__ = ["BAR_ORDERS", "BarOrder", "Bars", "bar_ticks"]

BarOrder = Literal["close", "ohlc", "olhc", "bridge"]
BAR_ORDERS: Final[tuple[str, ...]] = ("close", "ohlc", "olhc", "bridge")
TICKS_A_BAR: Final = 4

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]


class Bars(Struct, frozen=True, kw_only=True, eq=False):
    """Consecutive bars of one symbol, as columns of shape (n,).

    Attributes:
        symbol: place of the symbol in the file's markets.
        start_ns, end_ns: the bar's interval, end exclusive.
        open, high, low, close: quote per base.
        volume: in the venue's own unit; coin, or contracts where inverse.
        trades: number of trades; -1 where nobody counted. A bar of 0 trades makes no tick.
    """

    symbol: int
    start_ns: I64
    end_ns: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    trades: I64

    def __len__(self) -> int:
        return len(self.start_ns)

    def between(self, first: int, end: int) -> Bars:
        """The bars at places ``[first, end)``."""
        rows = slice(first, end)
        return Bars(
            symbol=self.symbol,
            **{name: getattr(self, name)[rows] for name in self.__struct_fields__[1:]},
        )


def bar_ticks(bars: Bars, order: str) -> Step:
    """The ticks of the bars, numbered from 0; empty where no bar had a trade.

    The volume of a bar lies on its last tick, the others have size 0.

    Args:
        bars: n bars.
        order: one of ``BAR_ORDERS``.

    Raises:
        ValueError: if ``order`` is none of them.
    """
    if order not in BAR_ORDERS:
        raise ValueError(f"bars must be one of {', '.join(BAR_ORDERS)}, was {order!r}")
    traded = bars.trades != 0
    if order == "close":
        ts_ns = bars.end_ns[traded] - 1
        price, size = bars.close[traded], bars.volume[traded]
    else:
        ts_ns = _times(bars.start_ns[traded], bars.end_ns[traded])
        price = _path(bars, traded, cast(BarOrder, order))
        size = np.zeros((int(traded.sum()), TICKS_A_BAR))
        size[:, 3] = bars.volume[traded]
        size = size.ravel()
    count = len(ts_ns)
    if not count:
        return Step(first=0, end=0)
    table = Trades(
        sequence=np.arange(count, dtype=np.int64),
        symbol=bars.symbol,
        ts_ns=ts_ns,
        price=price,
        size=size,
        aggressor=np.zeros(count, np.int8),
        trade_id=np.full(count, -1, np.int64),
    )
    return Step(first=0, end=count, tables=(table,))


def _times(start_ns: I64, end_ns: I64) -> I64:
    third = (end_ns - start_ns) // 3
    return np.stack((start_ns, start_ns + third, start_ns + 2 * third, end_ns - 1), 1).ravel()


def _path(bars: Bars, traded: Any, order: BarOrder) -> F64:
    start, close = bars.open[traded], bars.close[traded]
    high = np.maximum(bars.high[traded], start)
    low = np.minimum(bars.low[traded], start)
    if order == "bridge":
        up, down = high - start, start - low
        high_first = (up < down) | ((up == down) & (close < start))
    else:
        high_first = np.full(len(start), order == "ohlc")
    second = np.where(high_first, high, low)
    third = np.where(high_first, low, high)
    return np.stack((start, second, third, close), 1).ravel()
