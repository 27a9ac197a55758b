"""Lines of captures whose books go by level, as the venues write them; the numbers are ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from engine.units import MILLISECOND_NS

START_MS = 1_700_000_000_000
"""2023-11-14 22:13:20."""
START_NS = START_MS * MILLISECOND_NS

Levels = Sequence[tuple[float, float]]
ID = 1_000
"""A level's id is its price times this."""


def at_seconds(at_ms: int, message: object) -> str:
    """A line received 20 ms after ``at_ms`` after the start, in seconds."""
    time_ms = START_MS + at_ms + 20
    return f"{time_ms // 1000}.{time_ms % 1000:03d}: {json.dumps(message)}\n"


def at_ns(at_ms: int, message: object) -> str:
    """A line received 20 ms after ``at_ms`` after the start, in ns."""
    return f"{(START_MS + at_ms + 20) * MILLISECOND_NS} {json.dumps(message)}\n"


def iso(at_ms: int) -> str:
    """The time as BitMEX writes it, within the first 40 s."""
    second = 20_000 + at_ms
    return f"2023-11-14T22:13:{second // 1000:02d}.{second % 1000:03d}Z"


# BitMEX ------------------------------------------------------------------------------------------

BITMEX_HEAD = (
    "wss://www.bitmex.com/realtime <-> 1700000000.000001\n"
    'wss://www.bitmex.com/realtime <- 1700000000.000002: {"op":"subscribe","args":["quote:X"]}\n'
    '1700000000.01: {"info":"Welcome","version":"1","timestamp":"2023-11-14T22:13:19.999Z"}\n'
    '1700000000.02: {"success":true,"subscribe":"quote:XBTUSD","request":{"op":"subscribe"}}\n'
    "1700000000.03: pong\n"
)


def table(at_ms: int, name: str, action: str, *data: dict[str, Any]) -> str:
    """A message of BitMEX."""
    return at_seconds(at_ms, {"table": name, "action": action, "data": list(data)})


def bitmex_level(
    side: str,
    price: float,
    size: float | None = None,
    *,
    priced: bool = True,
    symbol: str = "XBTUSD",
) -> dict[str, Any]:
    """A level; without ``priced`` it is told by its id alone."""
    row: dict[str, Any] = {"symbol": symbol, "id": round(price * ID), "side": side}
    if size is not None:
        row["size"] = size
    if priced:
        row["price"] = price
    return row


def bitmex_image(at_ms: int, bids: Levels, asks: Levels, symbol: str = "XBTUSD") -> str:
    """A partial of ``orderBookL2``."""
    rows = [bitmex_level("Sell", *level, symbol=symbol) for level in asks]
    rows += [bitmex_level("Buy", *level, symbol=symbol) for level in bids]
    return table(at_ms, "orderBookL2", "partial", *rows)


def bitmex_quote(at_ms: int, bid: float, ask: float, symbol: str = "XBTUSD") -> str:
    """A quote of 700 by 900 contracts."""
    row = {"timestamp": iso(at_ms), "symbol": symbol, "bidSize": 700, "bidPrice": bid}
    return table(at_ms, "quote", "insert", {**row, "askPrice": ask, "askSize": 900})


def bitmex_trade(at_ms: int, key: str, **changes: object) -> dict[str, Any]:
    """A trade of 600 contracts of XBTUSD at 30,000, with the three values of an inverse one."""
    return {
        "timestamp": iso(at_ms),
        "symbol": "XBTUSD",
        "side": "Buy",
        "size": 600,
        "price": 30_000,
        "trdMatchID": key,
        "grossValue": 2_000_000,
        "homeNotional": 0.02,
        "foreignNotional": 600,
        **changes,
    }


# Bybit -------------------------------------------------------------------------------------------

BYBIT_HEAD = (
    "wss://stream.bybit.com/realtime <-> 1700000000.000001\n"
    'wss://stream.bybit.com/realtime <- 1700000000.000002: {"op":"subscribe","args":["trade.X"]}\n'
    '1700000000.01: {"success":true,"ret_msg":"","request":{"op":"subscribe","args":["trade.X"]}}\n'
)


def bybit_level(side: str, price: float, size: float | None = None) -> dict[str, Any]:
    """A level; its price is text."""
    row = {"price": f"{price:.2f}", "symbol": "BTCUSD", "id": round(price * ID), "side": side}
    return row if size is None else {**row, "size": size}


def bybit_image(at_ms: int, bids: Levels, asks: Levels, symbol: str = "BTCUSD") -> str:
    """A snapshot of ``orderBookL2_25``."""
    rows = [bybit_level("Buy", *level) for level in bids]
    rows += [bybit_level("Sell", *level) for level in asks]
    return _bybit(at_ms, symbol, "snapshot", rows)


def bybit_delta(
    at_ms: int,
    delete: Iterable[dict[str, Any]] = (),
    update: Iterable[dict[str, Any]] = (),
    insert: Iterable[dict[str, Any]] = (),
) -> str:
    """A delta of BTCUSD's book."""
    changes = {"delete": list(delete), "update": list(update), "insert": list(insert)}
    return _bybit(at_ms, "BTCUSD", "delta", {**changes, "transactTimeE6": 0})


def _bybit(at_ms: int, symbol: str, form: str, data: object) -> str:
    time = (START_MS + at_ms) * 1_000
    topic = f"orderBookL2_25.{symbol}"
    message = {"topic": topic, "type": form, "data": data, "cross_seq": 1, "timestamp_e6": time}
    return at_seconds(at_ms, message)


def bybit_trades(at_ms: int, *keys: str, symbol: str = "BTCUSD", **changes: object) -> str:
    """Trades of 40 contracts, sold at 60,000.5, one a key."""
    row = {"trade_time_ms": START_MS + at_ms, "symbol": symbol, "side": "Sell", "size": 40}
    row |= {"price": 60_000.5, "timestamp": "2023-11-14T22:13:20.000Z", **changes}
    data = [{**row, "trade_id": key} for key in keys]
    return at_seconds(at_ms, {"topic": f"trade.{symbol}", "data": data})


# Hyperliquid -------------------------------------------------------------------------------------


def hyperliquid_book(at_ms: int, bids: Levels, asks: Levels, coin: str = "BTC") -> str:
    """An image of a book."""
    sides = [[{"n": 1, "px": str(p), "sz": str(s)} for p, s in side] for side in (bids, asks)]
    data = {"coin": coin, "time": START_MS + at_ms, "levels": sides}
    return at_ns(at_ms, {"channel": "l2Book", "data": data})


def hyperliquid_trades(at_ms: int, *tids: int, coin: str = "BTC", side: str = "B") -> str:
    """Trades of 0.25 coins at 99.5, one a tid."""
    row = {"coin": coin, "side": side, "px": "99.5", "sz": "0.25", "hash": "0x0"}
    data = [{**row, "time": START_MS + at_ms, "tid": tid} for tid in tids]
    return at_ns(at_ms, {"channel": "trades", "data": data})
