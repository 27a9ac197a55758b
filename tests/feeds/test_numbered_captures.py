"""Captures whose books go by price: Bybit v5, OKX and dYdX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.api import run
from engine.errors import InputError
from engine.units import HOUR_NS
from feeds.recording import Recording
from tests.feeds.rows import START_MS, numbered, opened, rows

Levels = list[tuple[float, float]]


def line(at_ms: int, message: object) -> str:
    """A captured line, received 5 ms after ``at_ms`` after the start."""
    return f"{(START_MS + at_ms + 5) * 1_000_000} {json.dumps(message)}\n"


def pairs(levels: Levels, *more: str) -> list[list[str]]:
    """Levels as texts."""
    return [[f"{price:.2f}", f"{size:.3f}", *more] for price, size in levels]


def bybit_book(n: int, kind: str, bids: Levels, asks: Levels, u: int | None = None) -> str:
    data = {"s": "BTCUSDT", "b": pairs(bids), "a": pairs(asks), "u": n if u is None else u}
    return line(n, {"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": START_MS + n,
                    "data": data, "cts": START_MS + n})  # fmt: skip


def bybit_trade(n: int, symbol: str = "BTCUSDT", **changes: Any) -> str:
    data = {"T": START_MS + n, "s": symbol, "S": "Sell", "v": "0.5", "p": "99.00", "i": f"k{n}"}
    topic = {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": START_MS + n}
    return line(n, {**topic, "data": [{**data, "L": "PlusTick", "BT": False, **changes}]})


def bybit_ticker(n: int, kind: str, **told: str) -> str:
    return line(n, {"topic": "tickers.BTCUSDT", "type": kind, "ts": START_MS + n,
                    "data": {"symbol": "BTCUSDT", **told}})  # fmt: skip


BYBIT_HEAD = line(0, {"success": True, "ret_msg": "subscribe", "op": "subscribe"})


def okx_book(n: int, action: str, bids: Levels, asks: Levels, *, after: int | None = None) -> str:
    data = {"bids": pairs(bids, "0", "2"), "asks": pairs(asks, "0", "2"), "ts": str(START_MS + n),
            "seqId": n, "prevSeqId": n - 1 if after is None else after}  # fmt: skip
    return okx(n, "books", data, action=action)


def okx(
    n: int, channel: str, data: dict[str, Any], name: str = "BTC-USDT-SWAP", **more: Any
) -> str:
    return line(n, {"arg": {"channel": channel, "instId": name}, **more, "data": [data]})


def okx_row(n: int, channel: str, name: str = "BTC-USDT-SWAP", **data: str) -> str:
    return okx(n, channel, {"instId": name, "ts": str(START_MS + n), **data}, name)


def okx_trade(n: int, name: str = "BTC-USDT-SWAP") -> str:
    return okx_row(n, "trades", name, tradeId=f"{n}", px="99", sz="50", side="sell")


OKX_HEAD = line(0, {"event": "subscribe", "arg": {"channel": "books"}, "connId": "a"})


def dydx(n: int, kind: str, channel: str, contents: object, name: str = "BTC-USD") -> str:
    return line(n, {"type": kind, "connection_id": "c", "message_id": n, "id": name,
                    "channel": channel, "version": "1.0.0", "contents": contents})  # fmt: skip


def dydx_image(n: int, bids: Levels, asks: Levels) -> str:
    sides = {"bids": bids, "asks": asks}
    named = {
        side: [{"price": f"{p}", "size": f"{s}"} for p, s in levels]
        for side, levels in sides.items()
    }
    return dydx(n, "subscribed", "v4_orderbook", named)


def dydx_change(n: int, **sides: Levels) -> str:
    changed = {side: pairs(levels) for side, levels in sides.items()}
    return dydx(n, "channel_batch_data", "v4_orderbook", [changed])


def dydx_trades(n: int, kind: str = "channel_data") -> str:
    trade = {"id": f"t{n}", "size": "0.5", "price": "99", "side": "SELL",
             "createdAt": "2024-08-08T23:54:16.250Z", "createdAtHeight": "1"}  # fmt: skip
    return dydx(n, kind, "v4_trades", {"trades": [trade]})


BIDS, ASKS = [(99.0, 1.0), (98.0, 2.0)], [(101.0, 3.0)]
IMAGES = {
    "bybit": BYBIT_HEAD + bybit_book(1, "snapshot", BIDS, ASKS),
    "okx": OKX_HEAD + okx_book(1, "snapshot", BIDS, ASKS, after=-1),
    "dydx": dydx_image(1, BIDS, ASKS),
}
CHANGES = {
    "bybit": bybit_book(2, "delta", [(99.0, 0.0), (97.0, 4.0)], [(101.0, 5.0)]),
    "okx": okx_book(2, "update", [(99.0, 0.0), (97.0, 4.0)], [(101.0, 5.0)]),
    "dydx": dydx_change(2, bids=[(99.0, 0.0), (97.0, 4.0)], asks=[(101.0, 5.0)]),
}
TRADES = {"bybit": bybit_trade(3), "okx": okx_trade(3), "dydx": dydx_trades(3)}
SIZE = {"bybit": 1.0, "okx": 0.01, "dydx": 1.0}
NAMES = {
    "bybit": ("BTCUSDT", "BTC", "USDT", "linear"),
    "okx": ("BTC-USDT-SWAP", "BTC", "USDT", "linear"),
    "dydx": ("BTC-USD", "BTC", "USD", "linear"),
}


def told(recording: Recording) -> list[tuple[Any, ...]]:
    """``(kind, values...)`` of every row; of refused ones the detail."""
    return [
        (row[1], row[5]) if row[1] == "MESSAGE" else (row[1], *map(float, row[5:]))
        for row in rows(recording.steps())
    ]


@pytest.mark.parametrize("venue", IMAGES)
def test_books_and_trades(tmp_path: Path, venue: str) -> None:
    """An image, its changes by price (0 removes), the best prices that follow, a trade; in coins,
    where a size counts contracts."""
    recording = opened(tmp_path, "c.txt", IMAGES[venue] + CHANGES[venue] + TRADES[venue])
    info, unit = recording.symbols[0], SIZE[venue]
    assert (info.symbol, info.base, info.quote, info.contract) == NAMES[venue]
    assert numbered(recording.steps())
    trade = 50.0 if venue == "okx" else 0.5
    assert told(recording) == [
        ("LEVEL", 1, 99.0, unit, 1),
        ("LEVEL", 1, 98.0, 2 * unit, 2),
        ("LEVEL", -1, 101.0, 3 * unit, 1),
        ("BBO", 99.0, unit, 101.0, 3 * unit),
        ("LEVEL", 1, 99.0, 0.0, 0),
        ("LEVEL", 1, 97.0, 4 * unit, 0),
        ("LEVEL", -1, 101.0, 5 * unit, 0),
        ("BBO", 98.0, 2 * unit, 101.0, 5 * unit),
        ("TRADE", 99.0, trade * unit, -1, -1),
    ]
    found = rows(recording.steps())
    assert found[-1][4] == (START_MS + 8) * 1_000_000
    if venue != "dydx":
        assert found[0][3] == (START_MS + 1) * 1_000_000


LOST = {
    "bybit": bybit_book(5, "delta", [(96.0, 1.0)], []),
    "okx": okx_book(5, "update", [(96.0, 1.0)], [], after=4),
}


@pytest.mark.parametrize("venue", LOST)
def test_a_lost_message_leaves_the_book_waiting(tmp_path: Path, venue: str) -> None:
    """A number that does not follow the last one: nothing counts until the next image."""
    again = IMAGES[venue].splitlines(keepends=True)[-1]
    text = IMAGES[venue] + CHANGES[venue] + LOST[venue] + CHANGES[venue] + again + CHANGES[venue]
    recording = opened(tmp_path, "c.txt", text)
    inspection = recording.inspect()
    assert [(one.reason, one.rows) for one in inspection.refused] == [("out_of_sync", 2)]
    assert inspection.book_breaks == 1
    assert inspection.rows_by_kind["level"] == 12


def test_bybit_begins_a_book_anew(tmp_path: Path) -> None:
    """A delta numbered 1 is an image: the venue had restarted."""
    text = IMAGES["bybit"] + bybit_book(9, "delta", [(90.0, 1.0)], [(91.0, 1.0)], u=1)
    found = told(opened(tmp_path, "c.txt", text))
    assert found[4:] == [
        ("LEVEL", 1, 90.0, 1.0, 1),
        ("LEVEL", -1, 91.0, 1.0, 1),
        ("BBO", 90.0, 1.0, 91.0, 1.0),
    ]


def test_bybit_tickers(tmp_path: Path) -> None:
    """A delta names what changed; empty texts say nothing."""
    due = str(START_MS + 3_600_000)
    first = bybit_ticker(1, "snapshot", markPrice="100.5", indexPrice="100.1", fundingRate="0.0001",
                         nextFundingTime=due, lastPrice="100")  # fmt: skip
    text = BYBIT_HEAD + first + bybit_ticker(2, "delta", markPrice="100.6", fundingRate="")
    text += bybit_ticker(3, "delta", fundingRate="-0.0002")
    assert told(opened(tmp_path, "c.txt", text)) == [
        ("MARK", 100.5),
        ("INDEX", 100.1),
        ("FUNDING", 0.0001, int(due) * 1_000_000),
        ("MARK", 100.6),
        ("FUNDING", -0.0002, int(due) * 1_000_000),
    ]


@pytest.mark.parametrize(
    ("symbol", "contract"),
    [
        ("BTCUSD", ("inverse", "BTC", "USD")),
        ("BTCPERP", ("linear", "BTC", "USDC")),
        ("ETHUSDC", ("linear", "ETH", "USDC")),
    ],
)
def test_bybit_markets(tmp_path: Path, symbol: str, contract: Any) -> None:
    """By the name."""
    info = opened(tmp_path, "c.txt", BYBIT_HEAD + bybit_trade(1, symbol)).symbols[0]
    assert (info.contract, info.base, info.quote) == contract


def test_okx_prices_and_funding(tmp_path: Path) -> None:
    """The index of BTC-USDT is the swap's; funding is due when the venue says."""
    due = str(START_MS + 3_600_000)
    text = OKX_HEAD + okx_row(1, "mark-price", markPx="100.5")
    text += okx_row(2, "index-tickers", "BTC-USDT", idxPx="100.1")
    text += okx_row(3, "funding-rate", fundingRate="0.0001", fundingTime=due, nextFundingRate="")
    recording = opened(tmp_path, "c.txt", text)
    assert [info.symbol for info in recording.symbols] == ["BTC-USDT-SWAP"]
    assert told(recording) == [
        ("MARK", 100.5),
        ("INDEX", 100.1),
        ("FUNDING", 0.0001, int(due) * 1_000_000),
    ]


def test_okx_sizes_of_contracts(tmp_path: Path) -> None:
    """``instruments`` tells what a contract holds; without, a swap nobody knows is refused."""
    trade = okx_trade(2, "DOGE-USDT-SWAP")
    with pytest.raises(InputError, match="record the channel instruments"):
        opened(tmp_path, "c.txt", OKX_HEAD + trade)
    terms = {"ctVal": "1000", "ctType": "linear", "settleCcy": "USDT"}
    text = OKX_HEAD + okx_row(1, "instruments", "DOGE-USDT-SWAP", **terms) + trade
    assert told(opened(tmp_path, "c.txt", text)) == [("TRADE", 99.0, 50_000.0, -1, -1)]
    inverse = opened(tmp_path, "c.txt", OKX_HEAD + okx_trade(1, "BTC-USD-SWAP")).symbols[0]
    assert (inverse.contract, inverse.contract_size) == ("inverse", 100.0)
    with pytest.raises(InputError, match="expires"):
        opened(tmp_path, "c.txt", OKX_HEAD + okx_trade(1, "BTC-USDT-240628"))


def test_okx_best_prices_and_short_books(tmp_path: Path) -> None:
    """``bbo-tbt`` is a quote, ``books5`` an image each time."""
    book = {"bids": pairs(BIDS, "0", "1"), "asks": pairs(ASKS, "0", "1"), "ts": str(START_MS)}
    found = told(opened(tmp_path, "c.txt", OKX_HEAD + okx(1, "bbo-tbt", book)))
    assert found == [("BBO", 99.0, 0.01, 101.0, 0.03)]
    found = told(opened(tmp_path, "c.txt", OKX_HEAD + okx(1, "books5", book) * 2))
    assert [row[0] for row in found] == ["LEVEL"] * 3 + ["BBO"] + ["LEVEL"] * 3


def test_dydx_oracle_is_mark_and_index(tmp_path: Path) -> None:
    """Both messages of ``v4_markets``; funding falls due each hour."""
    first = {"markets": {"BTC-USD": {"oraclePrice": "100", "nextFundingRate": "0.00001"}}}
    later = [{"oraclePrices": {"BTC-USD": {"oraclePrice": "101", "effectiveAt": "x"}}},
             {"trading": {"BTC-USD": {"nextFundingRate": "0.00002"}}}]  # fmt: skip
    text = dydx_trades(0) + dydx(1, "subscribed", "v4_markets", first)
    text += dydx(2, "channel_batch_data", "v4_markets", later)
    found = told(opened(tmp_path, "c.txt", text))
    assert [row[:2] for row in found] == [
        ("TRADE", 99.0), ("MARK", 100.0), ("INDEX", 100.0), ("FUNDING", 0.00001),
        ("MARK", 101.0), ("INDEX", 101.0), ("FUNDING", 0.00002),
    ]  # fmt: skip
    assert found[3][2] % HOUR_NS == 0


def test_dydx_history_makes_no_rows(tmp_path: Path) -> None:
    """Trades that come with the subscription happened before."""
    text = IMAGES["dydx"] + dydx_trades(2, "subscribed") + dydx_trades(3)
    assert [row[0] for row in told(opened(tmp_path, "c.txt", text))].count("TRADE") == 1


BAD = {
    "bybit": bybit_trade(4, v="much"),
    "okx": okx_row(4, "trades", px="1", sz="1", side="buy"),
    "dydx": dydx(4, "channel_data", "v4_trades", {"trades": [{"id": "x"}]}),
}
UNREAD = {
    "bybit": line(4, {"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": 1, "data": []}),
    "okx": okx(4, "candle1m", {}),
    "dydx": dydx(4, "channel_data", "v4_candles", {}),
}


@pytest.mark.parametrize("venue", BAD)
def test_bad_and_unread_lines_are_refused(tmp_path: Path, venue: str) -> None:
    """Each is one row with its reason; a bad trade leaves the book alone."""
    text = IMAGES[venue] + BAD[venue] + UNREAD[venue] + "no line at all\n" + TRADES[venue]
    recording = opened(tmp_path, "c.txt", text)
    inspection = recording.inspect()
    assert inspection.malformed == 2
    assert [(one.reason, one.rows) for one in inspection.refused] == [("unsupported", 1)]
    again = opened(tmp_path, "c.txt", IMAGES[venue] + BAD[venue] + CHANGES[venue])
    assert again.inspect().rows_by_kind["level"] == 6


@pytest.mark.parametrize("venue", IMAGES)
def test_each_replays(tmp_path: Path, venue: str) -> None:
    """A run takes it, and rejects nothing."""
    (tmp_path / "c.txt").write_text(IMAGES[venue] + CHANGES[venue] + TRADES[venue])
    summary = run(str(tmp_path / "c.txt"), write=False).summary
    assert summary["rejected"] == {}
    assert summary["ticks"] == 9
