"""``feeds/formats/bybit_capture.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.ticks import Kind
from feeds.recording import open_recording
from tests.feeds.messages import (
    BYBIT_HEAD,
    START_NS,
    at_seconds,
    bybit_delta,
    bybit_image,
    bybit_level,
    bybit_trades,
)
from tests.feeds.rows import column, opened, rows
from tests.feeds.test_bitmex_capture import refusals, values

MS = 1_000_000
IMAGE = bybit_image(1, [(60_000.0, 10), (59_999.5, 20)], [(60_000.5, 30)])


def test_book(tmp_path: Path) -> None:
    """An image, then deltas: removals, updates and insertions at once, at the message's own time.

    Catches a level at the price of its id, and best prices that cross halfway through a delta.
    """
    moved = bybit_delta(
        2,
        delete=[bybit_level("Sell", 60_000.5)],
        update=[bybit_level("Buy", 59_999.5, 25)],
        insert=[bybit_level("Buy", 60_000.5, 40), bybit_level("Sell", 60_001.0, 50)],
    )
    recording = opened(tmp_path, "capture.txt", BYBIT_HEAD + IMAGE + moved)
    assert values(recording, "LEVEL") == [
        *((1, 60_000, 10, 1), (1, 59_999.5, 20, 2), (-1, 60_000.5, 30, 1)),
        *((1, 59_999.5, 25, 0), (1, 60_000.5, 40, 0), (-1, 60_000.5, 0, 0), (-1, 60_001, 50, 0)),
    ]
    assert values(recording, "BBO") == [(60_000, 10, 60_000.5, 30), (60_000.5, 40, 60_001, 50)]
    times = column(recording.steps(), Kind.LEVEL, "ts_ns") - START_NS
    assert times.tolist() == [MS] * 3 + [2 * MS] * 4
    assert refusals(recording) == []


def test_trades(tmp_path: Path) -> None:
    """A trade has its time in ms, contracts of 1 USD, the aggressor's side, and counts once."""
    text = bybit_trades(3, "f", "a") + bybit_trades(4, "a", "b")
    recording = opened(tmp_path, "capture.txt", text)
    assert values(recording, "TRADE") == [(60_000.5, 40, -1, -1)] * 3
    assert refusals(recording) == [("duplicate", "BTCUSD")]
    assert recording.symbols[0].contract_size == 1.0
    times = column(recording.steps(), Kind.TRADE, "ts_ns") - START_NS
    assert times.tolist() == [3 * MS, 3 * MS, 4 * MS]


@pytest.mark.parametrize(
    ("symbol", "contract"), [("EOSUSD", "inverse"), ("BTCUSDT", "linear"), ("BTCUSDM21", None)]
)
def test_contracts(tmp_path: Path, symbol: str, contract: str | None) -> None:
    """Contracts in USD are inverse, in USDT linear; what expires is no perpetual."""
    text = bybit_trades(3, "f", symbol=symbol) + bybit_image(4, [(1, 1)], [(2, 1)], symbol)
    if contract is None:
        with pytest.raises(InputError, match="a future that expires"):
            opened(tmp_path, "capture.txt", text)
        return
    (info,) = opened(tmp_path, "capture.txt", text).symbols
    assert (info.contract, info.contract_size) == (contract, 1.0)
    assert info.kinds == (Kind.TRADE, Kind.BBO, Kind.LEVEL)


def test_an_unfitting_delta_loses_the_book(tmp_path: Path) -> None:
    """A delta with one level that does not fit is refused whole, and so are those after it."""
    fits, unknown = bybit_level("Buy", 60_000.0, 11), bybit_level("Buy", 59_000.0, 1)
    text = bybit_delta(0, update=[fits]) + IMAGE + bybit_delta(2, update=[fits, unknown])
    text += bybit_delta(3, update=[fits]) + bybit_image(4, [(5, 1)], [(6, 1)])
    recording = opened(tmp_path, "capture.txt", text)
    assert refusals(recording) == [("out_of_sync", "BTCUSD")] * 3
    assert len(values(recording, "LEVEL")) == 3 + 2
    assert recording.inspect().book_breaks == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (IMAGE[:60], "malformed"),
        (at_seconds(2, {"topic": "instrument_info.100ms.BTCUSD", "data": {}}), "unsupported"),
        (at_seconds(2, {"data": {}}), "malformed"),
        (IMAGE.replace("snapshot", "picture"), "malformed"),
        (IMAGE.replace('"Buy"', '"Both"'), "malformed"),
        (IMAGE.replace('"timestamp_e6": 17', '"timestamp_e6": 99917'), "malformed"),
        (bybit_trades(3, "f", trade_time_ms=None), "malformed"),
        (bybit_trades(3, "f", trade_time_ms=-1), "malformed"),
        (bybit_trades(3, "f", price="1_0"), "malformed"),
    ],
)
def test_bad_lines(tmp_path: Path, bad: str, reason: str) -> None:
    """What cannot be read is one row in its place with its reason."""
    text = bybit_trades(1, "a") + bad.strip("\n") + "\n" + bybit_trades(3, "b")
    recording = opened(tmp_path, "capture.txt", text)
    assert [row[1] for row in rows(recording.steps())] == ["TRADE", "MESSAGE", "TRADE"]
    assert refusals(recording) == [(reason, None)]


def test_recorded(shared_data: Path) -> None:
    """Every trade and level of both symbols; books of 25 levels a side that never cross, with
    prints near them. The counts are those of the file's lines."""
    recording = open_recording([shared_data / "ticks/bybit-inverse-ws-20210417.txt.gz"])
    assert [(s.symbol, s.contract, s.contract_size) for s in recording.symbols] == [
        ("EOSUSD", "inverse", 1.0),
        ("BTCUSD", "inverse", 1.0),
    ]
    found = recording.inspect()
    assert found.rows_by_kind["trade"] == 150
    assert found.rows_by_kind["level"] == 100 + 2_174 + 2 * 189
    assert (found.malformed, found.refused, found.book_breaks) == (0, (), 0)
    for one in found.symbols:
        assert (one.late, one.crossed, one.gaps, one.bad_prices) == (0,) * 4
    best: dict[int, tuple[float, float]] = {}
    for row in rows(recording.steps()):
        if row[1] == "BBO":
            best[row[2]] = float(row[5]), float(row[7])
        elif row[1] == "TRADE":
            bid, ask = best[row[2]]
            assert bid * 0.999 < float(row[5]) < ask * 1.001
