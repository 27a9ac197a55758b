"""``feeds/reading.py`` and ``feeds/gauge.py``: how far a recording has been read."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.units import HOUR_NS, MINUTE_NS
from feeds.recording import Recording, open_recording, write_parquet
from feeds.synthetic import Synthetic
from tests.feeds.rows import START_MS, ticker, trade
from tests.feeds.test_bar_formats import a_feather, bitmex, csv, kline

ROWS = 30_000
"""Lines of a file: some MiB, so that it is read in several pieces."""


def prices() -> list[str]:
    """Shape (ROWS,): text that compresses evenly."""
    chance = random.Random(5)
    return [f"{100 + chance.random():.9f}" for _ in range(ROWS)]


def capture() -> str:
    return "".join(
        trade(place, price) if place % 3 else ticker(place, 100.0, price)
        for place, price in enumerate(prices())
    )


def trades_csv() -> str:
    return "".join(
        f"{place},{price},4.7,1,2,{START_MS + place},true\n" for place, price in enumerate(prices())
    )


def zipped(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-trades.csv", text)
    return packed.getvalue()


def klines(count: int) -> list[list[Any]]:
    return [kline(number) for number in range(count)]


def bitmex_lines() -> str:
    """Some MiB of bars; the times only rise within an hour, and each hour is late."""
    return "".join(bitmex(at, at + 1) for at in range(0, 58, 2)) * 500


def a_parquet(folder: Path) -> None:
    (folder / "a.raw").write_text(capture())
    write_parquet(open_recording([folder / "a.raw"]), folder / "a.parquet")
    (folder / "a.raw").unlink()


def freqtrade(folder: Path) -> None:
    minutes = [MINUTE_NS * place for place in range(2_000)]
    hours = [HOUR_NS * 8 * place for place in range(4)]
    values = {name: [100.0] * len(minutes) for name in ("open", "high", "low", "close", "volume")}
    a_feather(folder / "BTC_USDT_USDT-1m-futures.feather", minutes, **values)
    a_feather(folder / "BTC_USDT_USDT-8h-funding_rate.feather", hours, open=[1e-4] * 4)


def funding(folder: Path) -> None:
    lines = [f"{START_MS + 28_800_000 * place},BTCUSDT,0.0001\n" for place in range(2_000)]
    (folder / "BTCUSDT-funding.csv").write_text("timestamp,symbol,funding_rate\n" + "".join(lines))
    (folder / "BTCUSDT-1h-um.csv").write_text(csv(*klines(10)))


def text(name: str, make: Callable[[], str | bytes]) -> Callable[[Path], None]:
    """Writes one file; a name that ends in .gz is compressed."""

    def written(folder: Path) -> None:
        made = make()
        data = made.encode() if isinstance(made, str) else made
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    return written


FILES: dict[str, Callable[[Path], None]] = {
    "capture": text("a.raw", capture),
    "capture in gzip": text("a.raw.gz", capture),
    "trades CSV": text("BTCUSDT-trades.csv", trades_csv),
    "trades CSV in gzip": text("BTCUSDT-trades.csv.gz", trades_csv),
    "trades CSV in zip": text("BTCUSDT-trades.zip", lambda: zipped(trades_csv())),
    "klines CSV": text("BTCUSDT-1m-um.csv", lambda: csv(*klines(20_000))),
    "klines JSON": text("BTCUSDT-1m.json", lambda: json.dumps(klines(20_000))),
    "BitMEX": text("03.jsonl", bitmex_lines),
    "freqtrade": freqtrade,
    "funding CSV": funding,
    "Parquet": a_parquet,
}


def told(recording: Recording | Synthetic, rows: int) -> list[tuple[int, float]]:
    """``(rows, share)`` after each step, and at the end."""
    reading = recording.steps(block_rows=rows)
    assert reading.progress == 0.0
    found = [(step.end, reading.progress) for step in reading]
    return [*found, (found[-1][0], reading.progress)]


@pytest.mark.parametrize("name", FILES)
def test_progress(tmp_path: Path, name: str) -> None:
    """The share never falls, is about a half after half of the rows, and 1.0 at the end.

    Catches rows told as read when only their bytes were, and an end of compressed files that is
    never reached.
    """
    FILES[name](tmp_path)
    shares = told(open_recording([tmp_path]), 500)
    assert shares[-1][1] == 1.0
    assert all(0.0 < one <= other <= 1.0 for (_, one), (_, other) in pairwise(shares))
    total = shares[-1][0]
    assert all(abs(share - done / total) < 0.25 for done, share in shares)


def test_synthetic_progress() -> None:
    """The generated day knows its length: its share is that of its time."""
    day = Synthetic()
    reading = day.steps(block_rows=8_192)
    told = [(int(step.tables[0].ts_ns[-1]) // HOUR_NS % 24, reading.progress) for step in reading]
    assert reading.progress == 1.0
    halfway = [share for hour, share in told if hour in (11, 12)]
    assert halfway
    assert all(0.45 < share < 0.6 for share in halfway)


def test_several_files(tmp_path: Path) -> None:
    """The share of several files is that of all their bytes, whichever is read.

    Catches the mean over files, which is far off where one is small.
    """
    lines = [trade(place, price) for place, price in enumerate(prices())]
    cut = ROWS // 10
    (tmp_path / "1.raw").write_text("".join(lines[:cut]))
    (tmp_path / "2.raw").write_text("".join(lines[cut:]))
    shares = told(open_recording([tmp_path]), cut // 4)
    assert all(abs(share - done / ROWS) < 0.25 for done, share in shares)
    other = tmp_path / "other"
    other.mkdir()
    (other / "BTCUSDT-trades.csv").write_text(trades_csv())
    (other / "BTCUSDT-1m-um.csv").write_text(csv(*klines(3)))
    shares = told(open_recording([other]), 1_000)
    assert all(abs(share - done / ROWS) < 0.25 for done, share in shares)


def test_compressed_bytes_count(tmp_path: Path) -> None:
    """A compressed file weighs what lies on disk: rows that pack well pass quickly.

    Catches decompressed bytes set against compressed ones, with which a share reaches 1.0 early.
    """
    even = "".join(f"{n},100.0,1.0,1,2,{START_MS},true\n" for n in range(ROWS))
    (tmp_path / "BTCUSDT-trades.csv.gz").write_bytes(gzip.compress((even + trades_csv()).encode()))
    shares = told(open_recording([tmp_path]), 500)
    (share,) = [share for done, share in shares if done == ROWS]
    size = (tmp_path / "BTCUSDT-trades.csv.gz").stat().st_size
    assert abs(share - len(gzip.compress(even.encode())) / size) < 0.1
    assert share < 0.4
