"""``feeds/formats/level_capture.py``: one capture in several files, blocks, import and runs."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from engine.api import run
from engine.errors import InputError
from engine.ticks import Kind
from feeds.recording import Recording, open_recording, write_parquet
from tests.feeds.messages import (
    BITMEX_HEAD,
    BYBIT_HEAD,
    bitmex_image,
    bitmex_level,
    bitmex_quote,
    bitmex_trade,
    bybit_delta,
    bybit_image,
    bybit_level,
    bybit_trades,
    hyperliquid_book,
    hyperliquid_trades,
    table,
)
from tests.feeds.rows import numbered, opened, rows

LINEAR = {"grossValue": 18_000_000, "homeNotional": 0.0006, "foreignNotional": 18}


def bitmex() -> str:
    text = BITMEX_HEAD + bitmex_image(0, [(99.0, 10)], [(100.0, 30)])
    trade = bitmex_trade(1, "l", symbol="XBTUSDT", **LINEAR)
    text += bitmex_quote(1, 20, 21, "ETHUSD") + table(1, "trade", "partial", trade)
    text += bitmex_image(3, [(9.0, 10)], [(10.0, 30)], "XBTUSDT")
    for n in range(4, 40):
        level = bitmex_level("Buy", 99.0, n, priced=False)
        text += table(n, "orderBookL2", "update", level)
        text += table(n, "trade", "insert", bitmex_trade(n, f"k{n // 2}"))
        level = bitmex_level("Sell", 10.0, n, priced=False, symbol="XBTUSDT")
        text += table(n, "orderBookL2", "update", level) + bitmex_quote(n, 20, 21, "ETHUSD")
    return text


def bybit() -> str:
    text = BYBIT_HEAD + bybit_image(0, [(60_000.0, 10)], [(60_000.5, 30)])
    for n in range(1, 60):
        text += bybit_delta(n, update=[bybit_level("Buy", 60_000.0, n)])
        text += bybit_trades(n, f"k{n // 2}")
    return text


def hyperliquid() -> str:
    return "".join(
        hyperliquid_book(n, [(99.0, n + 1)], [(100.0, 2)]) + hyperliquid_trades(n, n // 2)
        for n in range(60)
    )


MADE = {"BitMEX": bitmex, "Bybit": bybit, "Hyperliquid": hyperliquid}
SHARED = {
    "BitMEX": "bitmex-ws-20210722.txt.gz",
    "Bybit": "bybit-inverse-ws-20210417.txt.gz",
    "Hyperliquid": "hyperliquid-btc-20250126.raw.gz",
}


def market_rows(recording: Recording, **how: Any) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each symbol, without their places in the input."""
    found: dict[str, list[tuple[Any, ...]]] = {info.symbol: [] for info in recording.symbols}
    for row in rows(recording.steps(**how)):
        if row[1] != "MESSAGE":
            found[recording.symbols[row[2]].symbol].append((row[1], *row[3:]))
    return found


def cut(folder: Path, text: str, pieces: int) -> Recording:
    """A recording of the text in so many files."""
    folder.mkdir()
    lines = text.splitlines(keepends=True)
    for number in range(pieces):
        first, end = (len(lines) * at // pieces for at in (number, number + 1))
        (folder / f"{number:02d}.txt").write_text("".join(lines[first:end]))
    return open_recording([folder])


@pytest.mark.parametrize("venue", MADE)
def test_blocks(tmp_path: Path, venue: str) -> None:
    """Blocks of any length hold the same rows, numbered without a gap."""
    recording = opened(tmp_path, "capture.txt", MADE[venue]())
    whole = rows(recording.steps())
    assert len(whole) > 60
    for length in (1, 7, 64):
        assert numbered(recording.steps(block_rows=length))
        assert rows(recording.steps(block_rows=length)) == whole


@pytest.mark.parametrize("venue", MADE)
def test_files_of_one_capture(tmp_path: Path, venue: str) -> None:
    """A capture cut into files is the same rows, though only one has the subscriptions, an image
    or the trade that tells a contract. Catches a book, a set of seen trades, a latest time or a
    market forgotten at the edge of a file."""
    whole = market_rows(opened(tmp_path, "capture.txt", MADE[venue]()))
    assert all(whole.values())
    for pieces in (2, 5, 50):
        parts = cut(tmp_path / str(pieces), MADE[venue](), pieces)
        assert len(parts.inputs) == pieces
        assert market_rows(parts) == whole


def test_a_pause_between_files(tmp_path: Path) -> None:
    """Files more than a minute apart are no whole: the book waits for an image. Catches changes
    applied to the book of an hour ago."""
    head = bitmex_image(2, [(99.0, 10)], [(100.0, 30)]) + bitmex_quote(3, 99, 100)
    change = table(4, "orderBookL2", "update", bitmex_level("Buy", 99.0, 7, priced=False))
    for seconds, levels in ((50, 3), (70, 2)):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        (folder / "a.txt").write_text(head)
        later = change.replace("1700000000.", f"17000000{seconds}.") + bitmex_quote(5, 99, 100)
        (folder / "b.txt").write_text(later)
        found = open_recording([folder]).inspect()
        assert found.rows_by_kind["level"] == levels


@pytest.mark.parametrize("venue", MADE)
def test_half_last_line(tmp_path: Path, venue: str) -> None:
    """A file that ends in half a line, at any of some bytes, loads, with at most one row more
    refused."""
    text = MADE[venue]()
    last = text.rstrip("\n").rindex("\n") + 1
    whole = opened(tmp_path, "whole.txt", text[:last]).inspect()
    for end in range(last + 1, len(text) - 1, 23):
        found = opened(tmp_path, "half.txt", text[:end]).inspect()
        assert found.malformed == whole.malformed + 1
        assert found.rows == whole.rows + 1


@pytest.mark.parametrize("venue", MADE)
def test_import_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, venue: str) -> None:
    """The import holds the same rows with what was refused and why, and a run of it in any folder
    comes to the digest of the capture's."""
    recording = opened(tmp_path, "capture.txt", MADE[venue]() + "half a line\n")
    write_parquet(recording, tmp_path / "x.parquet")
    imported = open_recording([tmp_path / "x.parquet"])
    assert rows(imported.steps()) == rows(recording.steps())
    assert imported.inspect().refused == recording.inspect().refused
    first = run(tmp_path / "capture.txt").summary
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    second = run("../x.parquet").summary
    assert first["digest"] == second["digest"]
    assert first["rejected"] == second["rejected"]
    assert first["rejected"]["duplicate"] > 10


def test_only_answers(tmp_path: Path) -> None:
    """A capture that names no market is refused in a sentence."""
    with pytest.raises(InputError, match="Bybit websocket capture without a market"):
        opened(tmp_path, "capture.txt", BYBIT_HEAD)


@pytest.mark.parametrize("venue", SHARED)
def test_recorded_in_pieces(shared_data: Path, tmp_path: Path, venue: str) -> None:
    """The recorded captures hold the same rows of each symbol in any blocks and in any files."""
    path = shared_data / "ticks" / SHARED[venue]
    whole = market_rows(open_recording([path]))
    assert market_rows(open_recording([path]), block_rows=501) == whole
    text = gzip.decompress(path.read_bytes()).decode()
    for pieces in (2, 5):
        assert market_rows(cut(tmp_path / str(pieces), text, pieces)) == whole


@pytest.mark.parametrize(("venue", "products"), [("BitMEX", 7), ("Bybit", 14), ("Hyperliquid", 7)])
def test_recorded_runs(shared_data: Path, tmp_path: Path, venue: str, products: int) -> None:
    """The standard line-up runs on every perpetual of the recorded captures, valued at the mid,
    and comes to the same digest from the import."""
    path = shared_data / "ticks" / SHARED[venue]
    result = run(path)
    assert len(result.summary["products"]) == products
    assert any(said.startswith("mark_from_mid") for said in result.summary["assumed"])
    assert set(result.summary["rejected"]) <= {"unsupported"}
    write_parquet(open_recording([path]), tmp_path / "x.parquet")
    assert run(tmp_path / "x.parquet").summary["digest"] == result.summary["digest"]
    assert all(Kind.LEVEL in info.kinds for info in open_recording([path]).symbols)
