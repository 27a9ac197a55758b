"""Files of Tardis, BitMEX, Bybit and hftbacktest: what each row becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.api import run
from engine.errors import InputError
from engine.ticks import Kind
from feeds.recording import Recording, open_recording
from tests.feeds.rows import numbered, opened, rows

US = 1_709_251_200_000_000
"""2024-03-01 in us."""
COMMON = "exchange,symbol,timestamp,local_timestamp"
TRADES = f"{COMMON},id,side,price,amount\n"
QUOTES = f"{COMMON},ask_amount,ask_price,bid_price,bid_amount\n"
TICKER = (
    f"{COMMON},funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
    "last_price,index_price,mark_price\n"
)
BITMEX = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional,trdType\n"
)
BYBIT = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional\n"
)


def tardis(
    n: int, *rest: object, exchange: str = "binance-futures", symbol: str = "BTCUSDT"
) -> str:
    """A line, a second after the one before; received 3 ms later."""
    time = US + n * 1_000_000
    return ",".join(map(str, (exchange, symbol, time, time + 3_000, *rest))) + "\n"


def told(recording: Recording) -> list[tuple[Any, ...]]:
    """``(kind, symbol, values...)`` of every row; of refused ones the detail."""
    names = [info.symbol for info in recording.symbols]
    return [
        (row[1], row[5]) if row[1] == "MESSAGE" else (row[1], names[row[2]], *map(float, row[5:]))
        for row in rows(recording.steps())
    ]


def test_tardis_trades(tmp_path: Path) -> None:
    """Two clocks, the aggressor's side; many symbols in one file."""
    text = TRADES + tardis(0, 7, "buy", 61_000.5, 0.25)
    text += tardis(1, 8, "sell", 3_400.0, 2, symbol="ETHUSDT")
    text += tardis(2, "", "unknown", 61_001, 0.1)
    recording = opened(tmp_path, "trades.csv.gz", text)
    assert [(s.symbol, s.contract, s.base) for s in recording.symbols] == [
        ("BTCUSDT", "linear", "BTC"),
        ("ETHUSDT", "linear", "ETH"),
    ]
    assert told(recording) == [
        ("TRADE", "BTCUSDT", 61_000.5, 0.25, 1, -1),
        ("TRADE", "ETHUSDT", 3_400.0, 2.0, -1, -1),
        ("TRADE", "BTCUSDT", 61_001.0, 0.1, 0, -1),
    ]
    first = rows(recording.steps())[0]
    assert first[3:5] == (US * 1_000, US * 1_000 + 3_000_000)


def test_tardis_ticker(tmp_path: Path) -> None:
    """Mark, index and funding; what a row leaves empty it does not say."""
    due = US + 8 * 3_600_000_000
    text = TICKER + tardis(0, due, 0.0001, "", 9e4, 61_000, 60_990, 61_002)
    text += tardis(1, "", "", "", "", 61_000, "", 61_003)
    recording = opened(tmp_path, "derivative_ticker.csv", text)
    assert told(recording) == [
        ("MARK", "BTCUSDT", 61_002.0),
        ("INDEX", "BTCUSDT", 60_990.0),
        ("FUNDING", "BTCUSDT", 0.0001, due * 1_000),
        ("MARK", "BTCUSDT", 61_003.0),
    ]


def test_tardis_quotes(tmp_path: Path) -> None:
    """The file has the ask first."""
    recording = opened(tmp_path, "q.csv", QUOTES + tardis(0, 3, 101, 100, 2))
    assert told(recording) == [("BBO", "BTCUSDT", 100.0, 2.0, 101.0, 3.0)]


def snapshot(n: int, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> str:
    """A row of ``book_snapshot_5``; missing levels are empty."""
    fields: list[object] = []
    for level in range(5):
        for side in (asks, bids):
            fields += side[level] if level < len(side) else ("", "")
    return tardis(n, *fields)


def test_tardis_book_snapshots(tmp_path: Path) -> None:
    """Each is an image of the book, whose best prices are quotes where they changed."""
    header = COMMON + "".join(
        f",asks[{n}].price,asks[{n}].amount,bids[{n}].price,bids[{n}].amount" for n in range(5)
    )
    text = header + "\n" + snapshot(0, [(100, 1), (99, 2)], [(101, 3)])
    text += snapshot(1, [(100, 1), (98, 2)], [(101, 3)])
    recording = opened(tmp_path, "book_snapshot_5.csv", text)
    assert recording.inputs[0].format == "Tardis book_snapshot_5 CSV"
    found = told(recording)
    assert sorted(found[:3]) == [
        ("LEVEL", "BTCUSDT", -1, 101.0, 3.0, 1),
        ("LEVEL", "BTCUSDT", 1, 99.0, 2.0, 2),
        ("LEVEL", "BTCUSDT", 1, 100.0, 1.0, 1),
    ]
    assert found[3] == ("BBO", "BTCUSDT", 100.0, 1.0, 101.0, 3.0)
    assert [row[0] for row in found[4:]] == ["LEVEL"] * 3


def test_tardis_files_of_one_market_are_one(tmp_path: Path) -> None:
    """Trades, ticker and quotes of a day, in a folder, replay together by local time."""
    due = US + 8 * 3_600_000_000
    (tmp_path / "t.csv").write_text(
        TRADES + tardis(1, 7, "buy", 100, 1) + tardis(4, 8, "buy", 100, 1)
    )
    (tmp_path / "d.csv").write_text(TICKER + tardis(2, due, 1e-4, "", "", "", 99, 100))
    quotes = tardis(0, 1, 101, 99, 1) + tardis(3, 1, 101, 99.5, 1)
    (tmp_path / "q.csv").write_text(QUOTES + quotes)
    recording = open_recording([tmp_path])
    assert [row[0] for row in told(recording)] == [
        "BBO", "TRADE", "MARK", "INDEX", "FUNDING", "BBO", "TRADE"
    ]  # fmt: skip
    result = run(str(tmp_path), write=False)
    assert set(result.summary["markets"]) == {"BTCUSDT"}


@pytest.mark.parametrize(
    ("exchange", "symbol", "contract"),
    [
        ("binance", "BTCUSDT", ("spot", "BTC", "USDT", 1.0)),
        ("binance-delivery", "BTCUSD_PERP", ("inverse", "BTC", "USD", 100.0)),
        ("deribit", "ETH-PERPETUAL", ("inverse", "ETH", "USD", 1.0)),
        ("okex-swap", "ETH-USD-SWAP", ("inverse", "ETH", "USD", 10.0)),
        ("okex-swap", "BTC-USDT-SWAP", ("linear", "BTC", "USDT", 1.0)),
        ("bybit", "BTCUSD", ("inverse", "BTC", "USD", 1.0)),
        ("bitmex", "XBTUSD", ("inverse", "BTC", "USD", 1.0)),
        ("dydx-v4", "SOL-USD", ("linear", "SOL", "USD", 1.0)),
        ("hyperliquid", "BTC", ("linear", "BTC", "USD", 1.0)),
        ("coinbase", "BTC-USD", ("spot", "BTC", "USD", 1.0)),
    ],
)
def test_tardis_markets(tmp_path: Path, exchange: str, symbol: str, contract: Any) -> None:
    """The exchange and the symbol tell what a contract pays."""
    line = tardis(0, 1, "buy", 100, 5, exchange=exchange, symbol=symbol)
    info = opened(tmp_path, "t.csv", TRADES + line).symbols[0]
    assert (info.contract, info.base, info.quote, info.contract_size) == contract


@pytest.mark.parametrize(
    ("exchange", "symbol", "said"),
    [
        ("binance-futures", "BTCUSDT_240628", "expires"),
        ("deribit", "BTC-28JUN24", "expires"),
        ("okex-swap", "DOGE-USDT-SWAP", "whose size nothing here tells"),
        ("bitmex", "ETHUSD", "whose size nothing here tells"),
        ("nowhere", "BTCUSDT", "a contract of nowhere"),
    ],
)
def test_tardis_markets_that_are_refused(
    tmp_path: Path, exchange: str, symbol: str, said: str
) -> None:
    """With the reason; alone in a file it cannot be replayed."""
    line = tardis(0, 1, "buy", 100, 5, exchange=exchange, symbol=symbol)
    with pytest.raises(InputError, match=said):
        opened(tmp_path, "t.csv", TRADES + line)


def test_tardis_swaps_count_contracts(tmp_path: Path) -> None:
    """A contract of OKX' BTC-USDT-SWAP is a hundredth of a coin."""
    line = tardis(0, 1, "buy", 100, 5, exchange="okex-swap", symbol="BTC-USDT-SWAP")
    recording = opened(tmp_path, "t.csv", TRADES + line)
    assert told(recording)[0][2:4] == (100.0, 0.05)


BAD = {
    "five fields": "a,b,c\n",
    "no number": tardis(1, 9, "buy", "cheap", 1),
    "no time": "binance-futures,BTCUSDT,yesterday,1709251200000000,9,buy,1,1\n",
    "seconds": "binance-futures,BTCUSDT,1709251200,1709251200,9,buy,1,1\n",
    "no text": "binance-futures,BTCUSDT,\xff,,,,,\n",
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_a_bad_line_is_one_refused_row(tmp_path: Path, line: str) -> None:
    """With file and line; the lines around it count."""
    good = [tardis(n, n, "buy", 100 + n, 1) for n in range(3)]
    recording = opened(tmp_path, "t.csv", TRADES + good[0] + line + good[1] + good[2])
    found = told(recording)
    assert [row[0] for row in found] == ["TRADE", "MESSAGE", "TRADE", "TRADE"]
    assert "t.csv:3: " in found[1][1]
    assert recording.inspect().malformed == 1


def test_the_same_trade_twice_is_refused(tmp_path: Path) -> None:
    """By its id."""
    text = TRADES + tardis(0, 7, "buy", 100, 1) * 2
    found = opened(tmp_path, "t.csv", text).inspect()
    assert [(one.reason, one.rows) for one in found.refused] == [("duplicate", 1)]


def test_other_files_of_tardis_are_named(tmp_path: Path) -> None:
    """An error says what to take in their place."""
    with pytest.raises(InputError, match="incremental_book_L2; its quotes or book_snapshot"):
        opened(tmp_path, "l2.csv", f"{COMMON},is_snapshot,side,price,amount\n")
    with pytest.raises(InputError, match="a kind of Tardis CSV that is not read"):
        opened(tmp_path, "l.csv", f"{COMMON},id,side,price\n")


def bitmex(n: int, symbol: str, size: float, price: float, gross: float, *notional: float) -> str:
    fields = (symbol, "Sell", size, price, "MinusTick", f"k-{symbol}-{n}", gross, *notional)
    return f"2024-03-01D00:00:{n:02d}.250000000,{','.join(map(str, fields))},Regular\n"


def test_bitmex_trades(tmp_path: Path) -> None:
    """Inverse, linear and quanto are told by the values of their trades; a future is refused."""
    text = BITMEX + bitmex(0, "XBTUSD", 6_000, 60_000, 10_000_000, 0.1, 6_000)
    text += bitmex(1, "ETHUSDT", 1_000, 3_000, 30_000_000, 0.01, 30)
    text += bitmex(2, "ETHUSD", 10, 3_000, 3_000_000, 0.5, 1_500)
    text += bitmex(3, "XBTH24", 6_000, 60_000, 10_000_000, 0.1, 6_000)
    recording = opened(tmp_path, "20240301.csv.gz", text)
    assert recording.inputs[0].format == "BitMEX trades CSV"
    assert [(s.symbol, s.contract) for s in recording.symbols] == [
        ("XBTUSD", "inverse"), ("ETHUSDT", "linear")
    ]  # fmt: skip
    found = told(recording)
    assert found[0] == ("TRADE", "XBTUSD", 60_000.0, 6_000.0, -1, -1)
    assert found[1] == ("TRADE", "ETHUSDT", 3_000.0, 0.01, -1, -1)
    assert "quanto" in found[2][1]
    assert "expires" in found[3][1]
    assert rows(recording.steps())[0][3] == US * 1_000 + 250_000_000


def test_bitmex_dates_as_iso(tmp_path: Path) -> None:
    """The other way in which BitMEX writes a time."""
    text = BITMEX + bitmex(5, "XBTUSD", 6_000, 60_000, 10_000_000, 0.1, 6_000)
    text = text.replace("D00:00:05.250000000", "T00:00:05.250Z")
    assert rows(opened(tmp_path, "t.csv", text).steps())[0][3] == US * 1_000 + 5_250_000_000


def test_bybit_trades(tmp_path: Path) -> None:
    """Times in seconds, digit by digit; coins where linear, USD where inverse."""
    text = BYBIT + "1709251200.0974,BTCUSDT,Buy,0.002,61000.5,PlusTick,a,1,1,1\n"
    text += "1709251201,BTCUSD,Sell,79,61000.5,PlusTick,b,1,1,1\n"
    text += "tomorrow,BTCUSD,Sell,79,61000.5,PlusTick,c,1,1,1\n"
    recording = opened(tmp_path, "bybit.csv.gz", text)
    assert recording.inputs[0].format == "Bybit trades CSV"
    assert [s.contract for s in recording.symbols] == ["linear", "inverse"]
    found = told(recording)
    assert found[:2] == [
        ("TRADE", "BTCUSDT", 61_000.5, 0.002, 1, -1),
        ("TRADE", "BTCUSD", 61_000.5, 79.0, -1, -1),
    ]
    assert "no time in seconds" in found[2][1]
    assert rows(recording.steps())[0][3] == US * 1_000 + 97_400_000


EVENT = [
    ("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8"),
    ("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8"),
]  # fmt: skip
EXCHANGE, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
BOTH = EXCHANGE | LOCAL


def npz(path: Path, events: list[tuple[int, float, float]], **settings: Any) -> Path:
    """A file of events ``(ev, px, qty)``, a ms apart, received 2 ms later."""
    data = np.zeros(len(events), EVENT)
    for n, (ev, px, qty) in enumerate(events):
        ts_ns = US * 1_000 + n * 1_000_000
        data[n] = (ev, ts_ns, ts_ns + 2_000_000, px, qty, 0, 0, 0.0)
    np.savez_compressed(path, data=data, **settings)
    return path


EVENTS = [
    (4 | BOTH | BUY, 99.0, 1.0),
    (4 | BOTH | BUY, 98.0, 2.0),
    (4 | BOTH | SELL, 101.0, 3.0),
    (2 | BOTH | SELL, 99.0, 0.5),
    (1 | BOTH | BUY, 99.0, 0.0),
    (1 | LOCAL | BUY, 50.0, 7.0),
    (77 | BOTH, 0.0, 0.0),
    (4 | BOTH | BUY, 97.0, 1.0),
]


def test_hftbacktest_events(tmp_path: Path) -> None:
    """Levels, images, trades and the best prices that follow; events at the local side alone are
    left out, unknown kinds refused."""
    recording = open_recording([npz(tmp_path / "btcusdt_20240301.npz", EVENTS)])
    assert [(s.symbol, s.contract) for s in recording.symbols] == [("BTCUSDT", "linear")]
    assert numbered(recording.steps())
    found = told(recording)
    assert found == [
        ("LEVEL", "BTCUSDT", 1, 99.0, 1.0, 1),
        ("LEVEL", "BTCUSDT", 1, 98.0, 2.0, 0),
        ("LEVEL", "BTCUSDT", -1, 101.0, 3.0, 1),
        ("BBO", "BTCUSDT", 99.0, 1.0, 101.0, 3.0),
        ("TRADE", "BTCUSDT", 99.0, 0.5, -1, -1),
        ("LEVEL", "BTCUSDT", 1, 99.0, 0.0, 0),
        ("BBO", "BTCUSDT", 98.0, 2.0, 101.0, 3.0),
        found[7],
        ("LEVEL", "BTCUSDT", 1, 97.0, 1.0, 1),
        ("BBO", "BTCUSDT", 97.0, 1.0, 101.0, 3.0),
    ]
    assert "event 7: kind 77" in found[7][1]
    first = rows(recording.steps())[0]
    assert first[3:5] == (US * 1_000, US * 1_000 + 2_000_000)


def test_hftbacktest_blocks(tmp_path: Path) -> None:
    """Blocks of any length hold the same rows."""
    path = npz(tmp_path / "btcusdt.npz", EVENTS[:5] * 3_000)
    recording = open_recording([path])
    assert rows(recording.steps(block_rows=1_000)) == rows(recording.steps())
    assert recording.inspect().rows_by_kind["trade"] == 3_000


def test_hftbacktest_files_that_are_none(tmp_path: Path) -> None:
    """Another array is not recognised; one cut off, or of texts, says so."""
    other = tmp_path / "other.npz"
    np.savez(other, data=np.zeros(3))
    with pytest.raises(InputError, match="no recording that can be replayed"):
        open_recording([other])
    empty = npz(tmp_path / "btcusdt.npz", [])
    with pytest.raises(InputError, match="holds no events"):
        open_recording([empty])
    two = npz(tmp_path / "ethusdt.npz", EVENTS, more=np.zeros(1))
    with pytest.raises(InputError, match="holds 2 files"):
        open_recording([two])


MADE = {
    "tardis": ("t.csv", TRADES + "".join(tardis(n, n, "buy", 100 + n % 7, 1) for n in range(90))),
    "bitmex": (
        "b.csv",
        BITMEX + "".join(bitmex(n, "XBTUSD", 6e3, 6e4, 10_000_000, 0.1, 6e3) for n in range(50)),
    ),
    "bybit": (
        "y.csv",
        BYBIT + "".join(f"{1709251200 + n}.5,BTCUSDT,Buy,1,{100 + n % 7},PlusTick,{n},,,\n"
                        for n in range(90)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), MADE.values(), ids=MADE)
def test_each_loads_and_replays(tmp_path: Path, name: str, text: str) -> None:
    """``data inspect`` counts its rows, and a run takes it."""
    recording = opened(tmp_path, name, text)
    lines = text.count("\n") - 1
    assert recording.inspect().rows_by_kind["trade"] == lines
    assert {Kind.TRADE} == set(recording.symbols[0].kinds)
    summary = run(str(tmp_path / name), write=False).summary
    assert summary["ticks"] == lines
    assert summary["rejected"] == {}
