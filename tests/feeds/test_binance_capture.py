"""``feeds/formats/binance_capture.py`` and what it is made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError
from engine.events import Malformed
from engine.ticks import NOT_MARKET, Kind
from feeds.formats.binance_depth import BUFFERED_MAX, Changes, DepthSync
from feeds.recording import Recording, open_recording
from tests.feeds.rows import (
    START_MS,
    column,
    depth,
    line,
    opened,
    rows,
    snapshot,
    ticker,
    trade,
)

MS = 1_000_000
MARK = (
    '{"e":"markPriceUpdate","E":1723161256000,"s":"BTCUSDT","p":"11794.15","P":"11784.6",'
    '"i":"11784.62","r":"0.00038167","T":1723190400000}'
)


def values(recording: Recording, kind: str) -> list[tuple[float, ...]]:
    """The kind's own columns of all its rows."""
    found = [row for row in rows(recording.steps()) if row[1] == kind]
    return [tuple(float(value) for value in row[5:]) for row in found]


def test_trade(tmp_path: Path) -> None:
    """A trade is at ``T``; ``m`` means that the aggressor sold; local time is the receipt.

    Catches ``E`` taken for ``T`` (they differ by 1 ms here), and sides turned round.
    """
    text = trade(0, "100.25", m="true") + trade(3, m="false")
    recording = opened(tmp_path, "capture.raw", text)
    first, second = rows(recording.steps())
    at = START_MS * MS
    assert first == (0, "TRADE", 0, at, at + 5 * MS, "100.25", "0.5", "-1", "0")
    assert second[3] == at + 3 * MS
    assert second[7] == "1"


def test_not_market(tmp_path: Path) -> None:
    """A print whose ``X`` is not MARKET moves no price. Catches insurance fills as trades."""
    text = trade(0) + trade(1, X='"INSURANCE_FUND"') + trade(2, X='"NA"')
    recording = opened(tmp_path, "capture.raw", text)
    sides = column(recording.steps(), Kind.TRADE, "aggressor")
    assert sides.tolist() == [1, NOT_MARKET, NOT_MARKET]


def test_agg_trade(tmp_path: Path) -> None:
    """An aggTrade's id is its ``a``. Catches ids lost to bookTicker's ``a``, which is a price."""
    event = '{"e":"aggTrade","E":1723161256001,"s":"BTCUSDT","a":26129,"p":"0.01","q":"4.7",'
    recording = opened(
        tmp_path, "capture.raw", line(1, event + '"f":100,"l":105,"T":1723161256000,"m":true}')
    )
    assert values(recording, "TRADE") == [(0.01, 4.7, -1, 26129)]


def test_mark_price(tmp_path: Path) -> None:
    """A markPriceUpdate is a mark, an index and a funding row at ``E``; its ``T`` is the instant.

    Catches marks that lie eight hours ahead.
    """
    recording = opened(tmp_path, "capture.raw", line(0, MARK))
    assert values(recording, "MARK") == [(11794.15,)]
    assert values(recording, "INDEX") == [(11784.62,)]
    assert values(recording, "FUNDING") == [(0.00038167, 1723190400000 * MS)]
    assert {row[3] for row in rows(recording.steps())} == {1723161256000 * MS}
    assert not recording.symbols[0].mark_coarse


def test_spot_ticker_takes_the_latest_time(tmp_path: Path) -> None:
    """Spot's bookTicker has no time and takes the latest seen, never an earlier one.

    Catches local time in its place, and rows that a late trade sends back in time.
    """
    bare = '{"stream":"btcusdt@bookTicker","data":{"u":7,"s":"BTCUSDT","b":"1","B":"1",'
    bare += '"a":"2","A":"1"}}'
    spot = '{{"e":"trade","E":{0},"s":"BTCUSDT","t":{0},"p":"1","q":"1","T":{0},"m":true,"M":true}}'
    text = line(0, bare) + line(1, spot.format(START_MS + 9)) + line(2, bare)
    text += line(3, spot.format(START_MS + 4)) + line(4, bare)
    recording = opened(tmp_path, "capture.raw", text)
    times = column(recording.steps(), Kind.BBO, "ts_ns") - START_MS * MS
    assert times.tolist() == [9 * MS, 9 * MS, 9 * MS]
    assert recording.symbols[0].contract == "spot"


@pytest.mark.parametrize(
    "bad",
    [
        "half a line",
        '1723161256000000000 {"e":"trade","E":17231612',
        line(1, '{"e":"liquidation","s":"BTCUSDT"}').strip(),
        trade(1, "1_000.5").strip(),
        trade(1, "١٢").strip(),
        trade(1, "").strip(),
        trade(1).strip().replace('"p":"100.5",', ""),
        trade(1).strip().replace("BTCUSDT", "btc"),
        "99999999999999999999" + trade(1).strip()[19:],
        trade(1, t=2**63).strip(),
        trade(1, t=-(2**63) - 1).strip(),
    ],
)
def test_malformed(tmp_path: Path, bad: str) -> None:
    """What cannot be read is one malformed row in its place, with file and line.

    Catches lines dropped in silence, and numbers that only ``float`` would read.
    """
    recording = opened(tmp_path, "capture.raw", trade(0) + bad + "\n" + trade(2))
    found = rows(recording.steps())
    assert [row[1] for row in found] == ["TRADE", "MESSAGE", "TRADE"]
    (step,) = recording.steps()
    message = step.messages[0][1]
    assert isinstance(message, Malformed)
    assert message.detail.startswith("capture.raw:2: ")
    assert message.ts_ns == START_MS * MS


def test_half_last_line(tmp_path: Path) -> None:
    """A last line cut off is one malformed row. Catches a capture that ends in a crash."""
    recording = opened(tmp_path, "capture.raw", (trade(0) + trade(1))[:-20])
    assert [row[1] for row in rows(recording.steps())] == ["TRADE", "MESSAGE"]


def test_strange_numbers_pass(tmp_path: Path) -> None:
    """NaN, infinity, zero and less pass: the engine refuses them, with their reason."""
    text = "".join(trade(i, price) for i, price in enumerate(("nan", "inf", "0", "-5")))
    prices = column(opened(tmp_path, "c.raw", text).steps(), Kind.TRADE, "price")
    np.testing.assert_array_equal(prices, [np.nan, np.inf, 0, -5])


def test_book_rules(tmp_path: Path) -> None:
    """Changes before the snapshot are applied after it if it lacks them, else dropped.

    Catches the first change applied twice, or the one that covers the snapshot's id dropped.
    """
    text = depth(0, 1, 9, 0, [(50, 1)]) + depth(1, 10, 19, 9, [(60, 1)])
    text += depth(2, 20, 29, 19, [(99, 7)])
    text += snapshot(3, 22, [(100, 1), (98, 2)], [(101, 3)])
    text += depth(4, 30, 39, 29, [(100, 0)], [(101, 4)])
    recording = opened(tmp_path, "capture.raw", text)
    assert values(recording, "LEVEL") == [
        (1, 100, 1, 1),
        (1, 98, 2, 2),
        (-1, 101, 3, 1),
        (1, 99, 7, 0),
        (1, 100, 0, 0),
        (-1, 101, 4, 0),
    ]


def test_best_prices_are_derived(tmp_path: Path) -> None:
    """Without bookTicker the best prices come from the levels, when they change."""
    text = depth(0, 1, 9, 0) + snapshot(1, 9, [(100, 1), (98, 2)], [(101, 3)])
    text += depth(2, 9, 19, 9, [(50, 1)]) + depth(3, 20, 29, 19, [(100, 0)])
    recording = opened(tmp_path, "capture.raw", text)
    assert values(recording, "BBO") == [(100, 1, 101, 3), (98, 2, 101, 3)]
    assert Kind.BBO in recording.symbols[0].kinds
    with_ticker = opened(tmp_path, "with.raw", text + ticker(9))
    assert len(values(with_ticker, "BBO")) == 1


def test_gap_waits_for_a_snapshot(tmp_path: Path) -> None:
    """After a break of ``pu`` nothing is applied until the next snapshot, and it is counted.

    Catches a book that goes on with a hole in it.
    """
    text = snapshot(0, 9, [(100, 1)], [(101, 1)]) + depth(1, 9, 19, 8, [(99, 1)])
    text += depth(2, 30, 39, 29, [(98, 1)]) + depth(3, 40, 49, 39, [(97, 1)])
    text += snapshot(4, 45, [(90, 1)], [(91, 1)]) + depth(5, 50, 59, 49, [(89, 1)]) + ticker(6)
    recording = opened(tmp_path, "capture.raw", text)
    prices = [price for side, price, *_ in values(recording, "LEVEL") if side == 1]
    assert prices == [100, 99, 90, 97, 89]
    assert recording.inspect().book_breaks == 1


def test_spot_rule() -> None:
    """Spot's first change covers the update after the snapshot, and each ``U`` follows ``u``."""

    def changes(first: int, last: int) -> Changes:
        return Changes(0, 0, first, last, -1, [], [])

    sync = DepthSync(spot=True)
    assert not sync.accept(changes(5, 10))
    assert not sync.accept(changes(11, 12))
    taken, waiting = sync.snapshot(10)
    assert taken
    assert [w.last for w in waiting] == [12]
    assert sync.accept(changes(13, 13))
    assert not sync.accept(changes(15, 16))
    assert (sync.breaks, sync.synced) == (1, False)


def test_waiting_is_bounded() -> None:
    """Of changes that wait for a snapshot too long the oldest are lost, each told once."""
    sync = DepthSync(spot=False)
    lost = []
    for number in range(BUFFERED_MAX + 10):
        sync.accept(Changes(0, 0, number, number, number - 1, [], []))
        lost += sync.lost()
    assert [changes.first for changes in lost] == list(range(10))
    assert len(sync.snapshot(0)[1]) == 0
    assert sync.breaks == 1
    assert len(sync.lost(ended=True)) == BUFFERED_MAX
    assert sync.lost(ended=True) == []


def test_changes_without_a_snapshot_are_refused(tmp_path: Path) -> None:
    """Where no snapshot comes to a book, or comes again after a gap, each change is a refused row.

    Catches lines dropped in silence; one that a snapshot contains is in the book already.
    """
    never = depth(0, 1, 9, 0, [(99, 1)]) + depth(1, 10, 19, 9, [(98, 1)]) + ticker(2)
    recording = opened(tmp_path, "never.raw", never)
    (refused,) = recording.inspect().refused
    assert (refused.reason, refused.symbol, refused.rows) == ("out_of_sync", "BTCUSDT", 2)
    assert refused.first.startswith("BTCUSDT: depthUpdate 1 to 9: no snapshot of the book")
    assert [row[1] for row in rows(recording.steps())] == ["BBO", "MESSAGE", "MESSAGE"]
    gap = depth(0, 1, 9, 0) + snapshot(1, 9, [(100, 1)], [(101, 1)]) + depth(2, 10, 19, 9)
    again = opened(tmp_path, "gap.raw", gap + depth(3, 30, 39, 29) + depth(4, 40, 49, 39))
    assert [(one.reason, one.rows) for one in again.inspect().refused] == [("out_of_sync", 2)]


def test_a_change_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    """It is refused as a duplicate, and the book stays in sync.

    Catches a gap seen where nothing is missing, after which the book stands still.
    """
    text = snapshot(0, 9, [(100, 1)], [(101, 1)]) + depth(1, 9, 19, 8, [(99, 1)])
    text += depth(2, 20, 29, 19, [(98, 1)]) * 2 + depth(3, 30, 39, 29, [(97, 1)])
    found = opened(tmp_path, "twice.raw", "\ufeff" + text)
    assert [row[1] for row in values(found, "LEVEL")] == [100, 101, 99, 98, 97]
    inspection = found.inspect()
    assert [(one.reason, one.rows) for one in inspection.refused] == [("duplicate", 1)]
    assert (inspection.book_breaks, inspection.malformed) == (0, 0)


@pytest.mark.parametrize(
    ("name", "events", "trades", "tickers", "contract", "low", "high"),
    [
        ("usdm-btcusdt-20240808", 93_954, 21_313, 66_089, "linear", 61_590, 61_840),
        ("usdm-ethusdt-20240808", 74_655, 14_076, 53_992, "linear", 2_677, 2_685),
        ("coinm-btcusd_perp-20240808", 48_270, 2_286, 19_136, "inverse", 61_500, 61_900),
        ("spot-btcusdt-20240808", 41_249, 9_757, 28_040, "spot", 61_500, 61_900),
    ],
)
def test_recorded(
    shared_data: Path,
    name: str,
    events: int,
    trades: int,
    tickers: int,
    contract: str,
    low: float,
    high: float,
) -> None:
    """Row counts, ids without gaps, no gap and no late row, as SOURCES.md states them.

    Catches a format read only in part: ``events`` is trades, tickers, depth and one snapshot.
    """
    recording = open_recording([shared_data / f"ticks/binance-{name}.raw.gz"])
    (symbol,) = recording.symbols
    assert symbol.contract == contract
    found = recording.inspect()
    assert found.rows_by_kind["trade"] == trades
    assert found.rows_by_kind["bbo"] == tickers
    assert events > trades + tickers
    one = found.symbols[0]
    assert (found.malformed, found.book_breaks, one.late, one.crossed, one.gaps) == (0,) * 5
    assert low < one.price_min < one.price_max < high
    ids = column(recording.steps(), Kind.TRADE, "trade_id")
    assert (np.diff(ids) == 1).all()


def test_two_days_are_one_capture(shared_data: Path) -> None:
    """The second file has no snapshot and continues the book of the first.

    Catches a book that ends at midnight: alone, the second file has no level rows.
    """
    paths = sorted(shared_data.glob("ticks/binance-coinm-*.raw.gz"))
    recording = open_recording(paths)
    assert [s.symbol for s in recording.symbols] == ["BTCUSD_PERP"]
    assert recording.symbols[0].contract_size == 100
    times = column(recording.steps(), Kind.LEVEL, "ts_ns")
    midnight = 1_723_161_600 * 10**9
    assert (times > midnight + 300 * 10**9).any()
    assert recording.inspect().book_breaks == 0
    assert len(column(open_recording(paths[1:]).steps(), Kind.LEVEL, "ts_ns")) == 0


def test_recorded_book_never_crosses(shared_data: Path) -> None:
    """The rebuilt book never crosses, and trades lie within 20 bp of it (changes come late).

    Catches sides turned round, removals missed, and the snapshot applied at the wrong place.
    """
    recording = open_recording([shared_data / "ticks/binance-usdm-btcusdt-20240808.raw.gz"])
    book: dict[int, dict[float, float]] = {1: {}, -1: {}}
    checked, place = 0, 0
    found = (row for row in rows(recording.steps()) if row[1] in ("LEVEL", "TRADE"))
    for row in found:
        if row[1] == "LEVEL":
            side, price, size, image = int(row[5]), float(row[6]), float(row[7]), int(row[8])
            if image == 1:
                book[side].clear()
            book[side][price] = size
            if size == 0:
                del book[side][price]
            continue
        place += 1
        if place % 50 == 0 and book[1]:
            bid, ask = max(book[1]), min(book[-1])
            assert bid < ask
            assert abs(float(row[5]) / ((bid + ask) / 2) - 1) < 0.002
            checked += 1
    assert checked > 300


def test_without_symbol(tmp_path: Path) -> None:
    """A capture that names no symbol asks for --symbol, and no traceback follows."""
    text = snapshot(0, 9, [(100, 1)], [(101, 1)])
    with pytest.raises(InputError, match="--symbol"):
        opened(tmp_path, "capture.raw", text)
    assert opened(tmp_path, "c.raw", text, symbol="ethusdt").symbols[0].base == "ETH"


@pytest.mark.parametrize("form", ['{"stream": %s, "data": %s}', ' { "data" :%s,"stream": %s }\r'])
def test_any_spacing_of_json(form: str, tmp_path: Path) -> None:
    """Lines that another writer of JSON spaced are the same rows. Catches a capture refused for its
    blanks, and one whose kinds or contract are not seen behind them."""
    text = line(0, MARK) + snapshot(0, 9, [(100, 1)], [(101, 1)]) + trade(1)
    text += depth(2, 9, 19, 8, [(99, 0)]) + ticker(2, 100, 101) + trade(3)
    spaced = []
    for each in text.splitlines():
        stamp, _, body = each.partition(" ")
        event = json.loads(body)
        wide = (
            json.dumps(event.get("data", event), indent=1).replace("\n", " ").replace('":', '" :')
        )
        if "data" in event:
            parts = (json.dumps(event["stream"]), wide)
            wide = form % (parts if form.startswith('{"stream"') else parts[::-1])
        spaced.append(f"{stamp} {wide}\n")
    compact = opened(tmp_path, "a.raw", text)
    other = opened(tmp_path, "b.raw", "".join(spaced))
    assert other.symbols == compact.symbols
    assert rows(other.steps()) == rows(compact.steps())
    assert not [row for row in rows(other.steps()) if row[1] == "MESSAGE"]


def test_a_stray_symbol_is_no_market(tmp_path: Path) -> None:
    """One line in 300 of another symbol is one malformed row that names it; asked for, or with 1 in
    100 of the lines, it is a market. Catches a line-up made for a damaged line."""
    lines = [trade(n) for n in range(300)]
    stray = trade(150).replace('"s":"BTCUSDT"', '"s":"BTCUSDX"')
    lines[150] = stray
    text = "".join(lines)
    found = opened(tmp_path, "a.raw", text)
    assert [each.symbol for each in found.symbols] == ["BTCUSDT"]
    (message,) = [row for row in rows(found.steps()) if row[1] == "MESSAGE"]
    assert "BTCUSDX" in message[-1]
    asked = opened(tmp_path, "a.raw", text, symbol="BTCUSDX")
    assert [each.symbol for each in asked.symbols] == ["BTCUSDT", "BTCUSDX"]
    often = opened(tmp_path, "b.raw", text + stray * 2)
    assert [each.symbol for each in often.symbols] == ["BTCUSDT", "BTCUSDX"]
