"""``feeds/formats/hyperliquid_capture.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError
from engine.ticks import Kind
from engine.units import HOUR_NS
from feeds.recording import open_recording
from tests.feeds.messages import START_NS, at_ns, hyperliquid_book, hyperliquid_trades
from tests.feeds.rows import column, opened
from tests.feeds.test_bitmex_capture import refusals, values

MS = 1_000_000
BOOK = hyperliquid_book(1, [(99.0, 1.5), (98.0, 2)], [(100.0, 3)])
HEAD = at_ns(0, {"channel": "subscriptionResponse", "data": {"method": "subscribe"}})
HEAD += at_ns(0, {"channel": "pong"})


def test_each_book_is_an_image(tmp_path: Path) -> None:
    """Each message of a book replaces it, and the best prices change when they change.

    Catches levels of the image before that stay, and a best price that one of them keeps.
    """
    text = HEAD + BOOK + BOOK + hyperliquid_book(5, [(98.0, 2)], [(101.0, 4)])
    recording = opened(tmp_path, "capture.raw", text)
    image = [(1, 99, 1.5, 1), (1, 98, 2, 2), (-1, 100, 3, 1)]
    assert values(recording, "LEVEL") == [*image, *image, (1, 98, 2, 1), (-1, 101, 4, 1)]
    assert values(recording, "BBO") == [(99, 1.5, 100, 3), (98, 2, 101, 4)]
    times = column(recording.steps(), Kind.BBO, "ts_ns") - START_NS
    assert times.tolist() == [MS, 5 * MS]
    assert column(recording.steps(), Kind.BBO, "ingest_ns")[0] == START_NS + 21 * MS


def test_trades(tmp_path: Path) -> None:
    """B bought and A sold; a tid does not rise, so rows have no id, and one that comes again is a
    duplicate. Catches three trades of four refused for an id below the one before."""
    text = hyperliquid_trades(1, 900, 100, 500) + hyperliquid_trades(2, 100, 7, side="A")
    recording = opened(tmp_path, "capture.raw", text)
    assert values(recording, "TRADE") == [(99.5, 0.25, 1, -1)] * 3 + [(99.5, 0.25, -1, -1)]
    assert refusals(recording) == [("duplicate", "BTC")]
    (info,) = recording.symbols
    assert (info.symbol, info.base, info.quote, info.contract) == ("BTC", "BTC", "USDC", "linear")


def test_bbo_and_context(tmp_path: Path) -> None:
    """``bbo`` is a quote, and then none are derived; a context is mark, oracle and the rate of the
    next full hour, at the latest time that was shown."""
    sides = [{"px": "99", "sz": "1", "n": 1}, {"px": "100", "sz": "2", "n": 1}]
    text = BOOK + at_ns(3, {"channel": "bbo", "data": {"coin": "BTC", "time": 0, "bbo": sides}})
    text = text.replace('"time": 0', f'"time": {START_NS // MS + 3}')
    context = {"funding": "0.00001", "markPx": "99.4", "oraclePx": "99.6", "midPx": None}
    data = {"coin": "BTC", "ctx": context}
    text += at_ns(9, {"channel": "activeAssetCtx", "data": data})
    recording = opened(tmp_path, "capture.raw", text)
    assert values(recording, "BBO") == [(99, 1, 100, 2)]
    assert values(recording, "MARK") + values(recording, "INDEX") == [(99.4,), (99.6,)]
    assert column(recording.steps(), Kind.MARK, "ts_ns").tolist() == [START_NS + 3 * MS]
    assert column(recording.steps(), Kind.FUNDING, "rate").tolist() == [0.00001]
    due = column(recording.steps(), Kind.FUNDING, "next_ns").tolist()
    assert due == [(START_NS // HOUR_NS + 1) * HOUR_NS]


@pytest.mark.parametrize(
    ("coin", "contract"), [("kPEPE", "linear"), ("PURR/USDC", "spot"), ("@107", "spot")]
)
def test_contracts(tmp_path: Path, coin: str, contract: str) -> None:
    """Perpetuals are linear; names with a slash or an @ are spot; those of builders are refused."""
    (info,) = opened(tmp_path, "a.raw", hyperliquid_trades(1, 1, coin=coin)).symbols
    assert (info.symbol, info.contract, info.quote) == (coin.upper(), contract, "USDC")
    with pytest.raises(InputError, match="a builder"):
        opened(tmp_path, "b.raw", hyperliquid_trades(1, 1, coin=f"x:{coin.strip('@')}"))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (BOOK[:80], "malformed"),
        ("?", "malformed"),
        (at_ns(2, {"channel": "candle", "data": {}}), "unsupported"),
        (at_ns(2, {"channel": "l2Book", "data": {"coin": "BTC"}}), "malformed"),
        (at_ns(2, {"channel": "trades"}), "malformed"),
        (BOOK.replace('"99.0"', '"99,0"'), "malformed"),
        (BOOK.replace('"time": 17', '"time": -17'), "malformed"),
        (BOOK.replace('"coin": "BTC"', '"coin": ""'), "malformed"),
    ],
)
def test_bad_lines(tmp_path: Path, bad: str, reason: str) -> None:
    """What cannot be read is one row in its place; the next image of the book counts."""
    recording = opened(tmp_path, "capture.raw", BOOK + bad.strip("\n") + "\n" + BOOK)
    assert refusals(recording) == [(reason, None)]
    assert len(values(recording, "LEVEL")) == 6
    assert recording.inspect().book_breaks == 0


def test_recorded(shared_data: Path) -> None:
    """46 images of 20 levels a side and 64 trades. Each trade after the first message, which is
    history, lies within the books around it. The counts are those of the file's lines."""
    recording = open_recording([shared_data / "ticks/hyperliquid-btc-20250126.raw.gz"])
    found = recording.inspect()
    assert found.rows_by_kind["level"] == 46 * 40
    assert found.rows_by_kind["trade"] == 64
    assert (found.malformed, found.refused, found.symbols[0].late) == (0, (), 0)
    assert found.symbols[0].crossed == 0
    steps = list(recording.steps())
    sold = column(steps, Kind.TRADE, "aggressor") == -1
    at, price = column(steps, Kind.TRADE, "ts_ns"), column(steps, Kind.TRADE, "price")
    times = column(steps, Kind.LEVEL, "ts_ns")
    side, level = column(steps, Kind.LEVEL, "side"), column(steps, Kind.LEVEL, "price")
    live = at > times[0]
    assert live.sum() > 30
    for ts_ns, what, is_sale in zip(at[live], price[live], sold[live], strict=True):
        own = side == (1 if is_sale else -1)
        before = times == times[times <= ts_ns].max()
        later = times == times[times >= ts_ns].min()
        reach = np.concatenate((level[own & before], level[own & later]))
        assert what in reach, (ts_ns, what, is_sale)
