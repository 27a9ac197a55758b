"""The formats of bars and of funding: klines as CSV and JSON, BitMEX, freqtrade, funding CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from engine.errors import InputError
from engine.ticks import Kind
from engine.units import DAY_NS, HOUR_NS, MINUTE_NS
from feeds.recording import Recording, open_recording
from tests.feeds.rows import column, opened, rows

START_MS = 1_735_689_600_000


def kline(number: int, *, micro: bool = False, high: object = "12.5", trades: int = 9) -> list[Any]:
    """Minute ``number`` as Binance writes it."""
    scale = 1_000 if micro else 1
    start = (START_MS + number * 60_000) * scale
    end = start + 60_000 * scale - 1
    return [start, "10.5", high, "9.5", "11.5", "3.0", end, "33.0", trades, "1.0", "11.0", "0"]


def csv(*klines: list[Any], header: str = "") -> str:
    lines = [",".join(map(str, row)) for row in klines]
    return "\n".join([header, *lines] if header else lines) + "\n"


HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


def closes(recording: Recording) -> list[tuple[int, float]]:
    """``(time, price)`` of each bar's last tick."""
    found = rows(recording.steps(bars="close"))
    return [(row[3], float(row[5])) for row in found if row[1] == "TRADE"]


@pytest.mark.parametrize("micro", [False, True])
@pytest.mark.parametrize("header", ["", HEADER])
def test_klines_csv(tmp_path: Path, header: str, micro: bool) -> None:
    """Klines are read with and without header, in ms and us by magnitude.

    Catches a first row lost to a header that is none, and times off by 1,000.
    """
    text = csv(kline(0, micro=micro), kline(1, micro=micro), header=header)
    recording = opened(tmp_path, "BTCUSDT-1m-2025-01.csv", text)
    (symbol,) = recording.symbols
    assert (symbol.symbol, symbol.base, symbol.bar_ns) == ("BTCUSDT", "BTC", MINUTE_NS)
    assert recording.bar_fed
    start_ns = START_MS * 1_000_000
    assert closes(recording) == [
        (start_ns + MINUTE_NS - 1, 11.5),
        (start_ns + 2 * MINUTE_NS - 1, 11.5),
    ]


def test_klines_csv_bad_row(tmp_path: Path) -> None:
    """A row that cannot be read is one malformed row in its place; the others stay bars."""
    text = csv(kline(0), kline(1, high="12,5"), kline(2, high="x"), kline(3), header=HEADER)
    recording = opened(tmp_path, "BTCUSDT-1m.csv.gz", text)
    (step,) = recording.steps()
    assert [sequence for sequence, _ in step.messages] == [4, 5]
    assert "BTCUSDT-1m.csv.gz:3:" in step.messages[0][1].detail
    assert len(step) == 10


def test_missing_column(tmp_path: Path) -> None:
    """A missing column is named with file and line. Catches columns guessed by place."""
    header = HEADER.replace("high", "hihg")
    with pytest.raises(InputError, match=r"BTCUSDT-1m.csv:1: the column high is missing"):
        opened(tmp_path, "BTCUSDT-1m.csv", csv(kline(0), header=header))


def test_no_symbol(tmp_path: Path) -> None:
    """Where content and name tell no symbol, --symbol does, and the message says so."""
    with pytest.raises(InputError, match="--symbol"):
        opened(tmp_path, "bars.csv", csv(kline(0)))
    recording = opened(tmp_path, "bars.csv", csv(kline(0)), symbol="ethusdt")
    assert recording.symbols[0].symbol == "ETHUSDT"


@pytest.mark.parametrize("indent", [None, 2])
def test_klines_json(tmp_path: Path, indent: int | None) -> None:
    """Klines of the REST interface are read on one line or many; zero trades make no tick."""
    text = json.dumps([kline(0), kline(1, trades=0), kline(2)], indent=indent)
    recording = opened(tmp_path, "spot-BTCUSDT-1m.json.gz", text)
    assert recording.symbols[0].contract == "spot"
    assert len(closes(recording)) == 2
    assert recording.inspect().bars_without_trades == 1


def test_klines_json_in_pieces(tmp_path: Path) -> None:
    """Files longer than a read are cut between rows. Catches bars lost or doubled at a cut."""
    text = json.dumps([kline(number) for number in range(30_000)])
    recording = opened(tmp_path, "BTCUSDT-1m.json", text)
    starts = column(recording.steps(bars="close"), Kind.TRADE, "ts_ns")
    assert len(starts) == 30_000
    assert (np.diff(starts) == MINUTE_NS).all()


def test_klines_json_cut_off(tmp_path: Path) -> None:
    """An array without its end is refused; a bad row in a whole one is one malformed row."""
    text = json.dumps([kline(0), kline(1), kline(2)])
    with pytest.raises(InputError, match="ends early"):
        list(opened(tmp_path, "BTCUSDT-1m.json", text[:-30]).steps())
    recording = opened(tmp_path, "ETHUSDT-1m.json", text.replace('"12.5"', '"?"', 2))
    (step,) = recording.steps()
    assert (len(step), len(step.messages)) == (6, 2)


def bitmex(*minutes: int, **changes: Any) -> str:
    """One line of BitMEX bars that end at these minutes."""
    bars = []
    for minute in minutes:
        bar = {
            "timestamp": f"2020-03-13T00:{minute:02}:00.000Z",
            "symbol": "XBTUSD",
            "open": 100 + minute,
            "high": 110,
            "low": 90,
            "close": 101 + minute,
            "trades": 3,
            "volume": 1000,
            "vwap": 100,
            "foreignNotional": 1000,
        }
        bars.append({**bar, **changes})
    return json.dumps(bars, separators=(",", ":")) + "\n"


def test_bitmex(tmp_path: Path) -> None:
    """A BitMEX timestamp is the END of its minute. Catches a close known a minute early."""
    recording = opened(tmp_path, "2020-03.jsonl.gz", bitmex(1, 2) + "[{half\n" + bitmex(3))
    (symbol,) = recording.symbols
    assert (symbol.symbol, symbol.base, symbol.quote) == ("XBTUSD", "BTC", "USD")
    assert (symbol.contract, symbol.contract_size) == ("inverse", 1.0)
    (step,) = recording.steps(bars="close")
    assert [sequence for sequence, _ in step.messages] == [2]
    midnight = 1_584_057_600 * 10**9
    assert closes(recording)[0][0] == midnight + MINUTE_NS - 1


def test_bitmex_quanto(tmp_path: Path) -> None:
    """A quanto contract is refused by name: no rule of ours values it."""
    with pytest.raises(InputError, match="quanto"):
        opened(tmp_path, "x.jsonl", bitmex(1, symbol="ETHUSD"))


def test_bitmex_recorded_year(shared_data: Path) -> None:
    """527,040 bars, 139 of them without trades, 3,596 to 29,350: the facts of SOURCES.md.

    Catches months merged out of order, or the outage of May replayed as a quiet market.
    """
    recording = open_recording([shared_data / "bitmex-xbtusd-1m"])
    found = recording.inspect()
    one = found.symbols[0]
    assert found.files == 12
    assert found.rows == (527_040 - 139) * 4
    assert found.bars_without_trades == 139
    assert (one.price_min, one.price_max, one.late, found.malformed) == (3596, 29350, 0, 0)
    assert one.longest_gaps[0].length_ns > 99 * MINUTE_NS
    times = column(recording.steps(), Kind.TRADE, "ts_ns")
    assert (np.diff(times) > 0).all()


def test_black_thursday(shared_data: Path) -> None:
    """The low is 4,266 on 12 March and 3,596 on the 13th, in both orders and the bridge."""
    recording = open_recording([shared_data / "bitmex-xbtusd-1m/2020-03.jsonl.gz"])
    for order in ("ohlc", "olhc", "bridge"):
        prices, times = (
            column(recording.steps(bars=order), Kind.TRADE, name) for name in ("price", "ts_ns")
        )
        day = (times - 1_583_971_200 * 10**9) // DAY_NS
        assert [prices[day == number].min() for number in (0, 1)] == [4266, 3596]


def a_feather(path: Path, dates: list[int], **columns: list[float]) -> None:
    table = {"date": pa.array(dates, pa.timestamp("ns", "UTC"))}
    for name in ("open", "high", "low", "close", "volume"):
        table[name] = pa.array(columns.get(name, [0.0] * len(dates)))
    feather.write_feather(pa.table(table), path)


def test_freqtrade(tmp_path: Path) -> None:
    """The content tells bars, funding and marks apart; all become one symbol.

    Catches funding rates replayed as prices of 0.0001.
    """
    hours = [HOUR_NS * 8 * place for place in range(1, 4)]
    minutes = [hours[0] + MINUTE_NS * place for place in range(3)]
    prices = {name: [100.0, 101.0, 102.0] for name in ("open", "high", "low", "close")}
    a_feather(
        tmp_path / "BTC_USDT_USDT-1m-futures.feather", minutes, **prices, volume=[1.0, 0, 2.0]
    )
    a_feather(tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather", hours, open=[1e-4, 2e-4, -1e-4])
    a_feather(tmp_path / "BTC_USDT_USDT-8h-mark.feather", hours, **prices)
    recording = open_recording([tmp_path])
    (symbol,) = recording.symbols
    assert (symbol.symbol, symbol.contract, symbol.bar_ns) == ("BTCUSDT", "linear", MINUTE_NS)
    assert symbol.kinds == (Kind.TRADE, Kind.MARK, Kind.FUNDING)
    assert symbol.mark_coarse
    assert column(recording.steps(), Kind.FUNDING, "rate").tolist() == [1e-4, 2e-4, -1e-4]
    assert column(recording.steps(), Kind.FUNDING, "next_ns").tolist() == hours
    assert len(column(recording.steps(), Kind.TRADE, "price")) == 8
    kinds = [row[1] for row in rows(recording.steps())][:3]
    assert sorted(kinds[:2]) == ["MARK", "TRADE"]
    assert kinds[2] == "FUNDING"


@pytest.mark.parametrize(
    ("symbol", "bars", "settlements"), [("BTC", 43_199, 266), ("ETH", 60_191, 302)]
)
def test_freqtrade_recorded(shared_data: Path, symbol: str, bars: int, settlements: int) -> None:
    """Bars, funding and marks count as SOURCES.md says, in one symbol."""
    paths = sorted((shared_data / "binance-usdm-1m-2025").glob(f"{symbol}_*"))
    found = open_recording(paths).inspect()
    assert found.rows_by_kind == {"trade": 4 * bars, "mark": settlements, "funding": settlements}
    assert (found.symbols[0].gaps, found.symbols[0].late) == (0, 0)


def test_funding_csv(tmp_path: Path) -> None:
    """A funding row is told at the instant it is paid, after prices of that instant."""
    folder = tmp_path / "usdm"
    folder.mkdir()
    (folder / "BTCUSDT-1m.csv").write_text(csv(kline(0), kline(1)))
    text = f"timestamp,symbol,funding_rate\n{START_MS + 60_000},BTCUSDT,-0.0001\nx,BTCUSDT,1\n"
    (folder / "BTCUSDT-funding.csv").write_text(text)
    recording = open_recording([folder])
    found = rows(recording.steps())
    assert [row[1] for row in found] == ["TRADE"] * 5 + ["FUNDING", "MESSAGE"] + ["TRADE"] * 3
    assert found[5][5:] == ("-0.0001", str((START_MS + 60_000) * 1_000_000))
    assert len(recording.symbols) == 1


def test_hours_recorded(shared_data: Path) -> None:
    """4,500 hours and 200 rates; 10 October 21:00 has 115,075.6 and 101,516.5; OI is skipped."""
    recording = open_recording([shared_data / "binance-usdm-1h-2025-2026"])
    found = recording.inspect()
    assert found.rows_by_kind == {"trade": 18_000, "funding": 200}
    assert [what for _, what in found.skipped] == ["open interest"] * 2
    prices, times = (column(recording.steps(), Kind.TRADE, name) for name in ("price", "ts_ns"))
    hour = times // HOUR_NS == 1_760_130_000 // 3600
    assert (prices[hour].max(), prices[hour].min()) == (115_075.6, 101_516.5)


def test_tokens_recorded(shared_data: Path) -> None:
    """Leveraged tokens are spot markets of 638 days; BTCDOWN closed 19 May 2021 at 0.0870."""
    recording = open_recording([shared_data / "leveraged-tokens-daily"])
    assert {s.symbol: s.contract for s in recording.symbols} == dict.fromkeys(
        ("BTCDOWNUSDT", "BTCUPUSDT", "BTCUSDT"), "spot"
    )
    assert all(sum(s.rows.values()) == 638 * 4 for s in recording.inspect().symbols)
    down = open_recording([shared_data / "leveraged-tokens-daily/BTCDOWNUSDT.csv"])
    by_day = {at // DAY_NS: price for at, price in closes(down)}
    assert by_day[1_621_382_400 // 86_400] == pytest.approx(0.0870, abs=5e-5)


def test_spot_klines_recorded(shared_data: Path) -> None:
    """3,178 days and 37,923 hours; bars of two lengths do not mix into one symbol.

    Catches a day's high told eight hours after midnight, before any hour has reached it.
    """
    recording = open_recording([shared_data / "binance-spot-klines"])
    by_symbol = {s.symbol: sum(s.rows.values()) for s in recording.inspect().symbols}
    assert set(by_symbol) == {"BTCUSDT", "BTCUSDT-1d"}
    assert by_symbol["BTCUSDT-1d"] == 3_178 * 4
    assert abs(by_symbol["BTCUSDT"] - 37_923 * 4) <= 4


def test_bitmex_strange_time(tmp_path: Path) -> None:
    """A timestamp of another zone makes its line malformed: no guess is made."""
    text = bitmex(1) + bitmex(2, timestamp="2020-03-13T00:02:00.000+01:00")
    (step,) = opened(tmp_path, "x.jsonl", text).steps()
    assert (len(step), len(step.messages)) == (5, 1)
