"""``feeds/formats/bitmex_capture.py``, and what all captures with books by level share."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from engine.events import Malformed
from engine.ticks import NOT_MARKET, Kind
from feeds.formats import capture_lines
from feeds.recording import Recording, open_recording
from tests.feeds.messages import (
    BITMEX_HEAD,
    START_NS,
    at_seconds,
    bitmex_image,
    bitmex_level,
    bitmex_quote,
    bitmex_trade,
    iso,
    table,
)
from tests.feeds.rows import column, opened, rows

MS = 1_000_000
IMAGE = bitmex_image(1, [(99.0, 10), (98.5, 20)], [(100.0, 30), (100.5, 40)])


def values(recording: Recording, kind: str) -> list[tuple[float, ...]]:
    """The kind's own columns of all its rows."""
    found = [row for row in rows(recording.steps()) if row[1] == kind]
    return [tuple(float(value) for value in row[5:]) for row in found]


def refusals(recording: Recording) -> list[tuple[str, str | None]]:
    """Reason and symbol of each refused row."""
    return [
        (message.reason, message.symbol)
        for step in recording.steps()
        for _, message in step.messages
        if isinstance(message, Malformed)
    ]


def l2(at_ms: int, action: str, *levels: dict[str, Any]) -> str:
    return table(at_ms, "orderBookL2", action, *levels)


def test_answers_make_no_rows(tmp_path: Path) -> None:
    """Connections, subscriptions, greetings and pongs are neither rows nor errors."""
    recording = opened(tmp_path, "capture.txt", BITMEX_HEAD + bitmex_quote(5, 99, 100))
    ((sequence, kind, _, ts_ns, ingest_ns, *sides),) = rows(recording.steps())
    assert (sequence, kind, ts_ns) == (0, "BBO", START_NS + 5 * MS)
    assert ingest_ns == START_NS + 25 * MS
    assert sides == ["99.0", "700.0", "100.0", "900.0"]


def test_receipt_is_exact(tmp_path: Path) -> None:
    """Seconds with a fraction become ns digit by digit. Catches the rounding of floats, which is
    some 100 ns here."""
    text = bitmex_quote(5, 99, 100).replace("1700000000.025", "1700000000.0327702")
    ingest = column(opened(tmp_path, "c.txt", text).steps(), Kind.BBO, "ingest_ns")
    assert ingest.tolist() == [START_NS + 32_770_200]


def test_updates_find_their_prices(tmp_path: Path) -> None:
    """Updates and deletions name an id, whose price is the image's or the insertion's.

    Catches levels at price 0, and a deletion that is taken for an update.
    """
    text = IMAGE + l2(2, "update", bitmex_level("Buy", 98.5, 25, priced=False))
    text += l2(3, "insert", bitmex_level("Sell", 101.0, 50))
    text += l2(4, "update", bitmex_level("Sell", 101.0, 55, priced=False))
    text += l2(5, "delete", bitmex_level("Sell", 101.0, priced=False))
    recording = opened(tmp_path, "capture.txt", text)
    assert values(recording, "LEVEL") == [
        *((1, 99, 10, 1), (1, 98.5, 20, 2), (-1, 100, 30, 1), (-1, 100.5, 40, 2)),
        *((1, 98.5, 25, 0), (-1, 101, 50, 0), (-1, 101, 55, 0), (-1, 101, 0, 0)),
    ]
    assert refusals(recording) == []


def test_a_level_is_named_by_id_and_side(tmp_path: Path) -> None:
    """The same id on the other side is another level. Catches a bid removed in place of an ask."""
    text = IMAGE + l2(2, "insert", bitmex_level("Sell", 99.0, 5))
    text += l2(3, "delete", bitmex_level("Buy", 99.0, priced=False))
    text += l2(4, "update", bitmex_level("Sell", 99.0, 6, priced=False))
    recording = opened(tmp_path, "capture.txt", text)
    assert values(recording, "LEVEL")[4:] == [(-1, 99, 5, 0), (1, 99, 0, 0), (-1, 99, 6, 0)]


def test_the_book_takes_the_latest_time(tmp_path: Path) -> None:
    """A book without times takes the latest that any message has shown, of whatever symbol; one
    message dated far ahead of its receipt moves none. Catches receipt times in their place."""
    text = bitmex_quote(5, 99, 100) + IMAGE + bitmex_quote(9, 20, 21, "ETHUSD")
    text += l2(10, "update", bitmex_level("Buy", 98.5, 25, priced=False))
    ahead = bitmex_quote(11, 99, 100).replace("2023-11-14T", "2093-11-14T")
    text += ahead + l2(12, "update", bitmex_level("Buy", 98.5, 26, priced=False))
    times = column(opened(tmp_path, "capture.txt", text).steps(), Kind.LEVEL, "ts_ns") - START_NS
    assert times.tolist() == [5 * MS] * 4 + [9 * MS] * 2


def test_a_book_may_tell_its_times(tmp_path: Path) -> None:
    """Where levels have times of their own, as they have had since 2022, these count."""
    level = {**bitmex_level("Buy", 98.5, 25, priced=False), "timestamp": iso(30)}
    recording = opened(
        tmp_path, "capture.txt", bitmex_quote(5, 99, 100) + IMAGE + l2(31, "update", level)
    )
    assert column(recording.steps(), Kind.LEVEL, "ts_ns")[-1] == START_NS + 30 * MS


def test_quotes_are_not_derived_twice(tmp_path: Path) -> None:
    """Best prices come from the levels, when they change, unless the market's quotes are there."""
    text = IMAGE + l2(2, "update", bitmex_level("Buy", 98.5, 25, priced=False))
    text += l2(3, "delete", bitmex_level("Buy", 99.0, priced=False))
    alone = opened(tmp_path, "a.txt", text)
    assert values(alone, "BBO") == [(99, 10, 100, 30), (98.5, 25, 100, 30)]
    quoted = opened(tmp_path, "b.txt", text + bitmex_quote(4, 97, 100))
    assert values(quoted, "BBO") == [(97, 700, 100, 900)]


@pytest.mark.parametrize(
    "change",
    [
        l2(2, "update", bitmex_level("Buy", 97.0, 1, priced=False)),
        l2(2, "delete", bitmex_level("Sell", 99.0, priced=False)),
        l2(2, "insert", bitmex_level("Buy", 99.0, 3)),
        l2(2, "insert", bitmex_level("Buy", 97.0, 3, priced=False)),
    ],
)
def test_an_unfitting_change_loses_the_book(tmp_path: Path, change: str) -> None:
    """A change of a level that is not there, or an insertion of one that is, is refused, and so is
    each change until the next image; the break is counted. Catches a book with a hole in it."""
    later = l2(3, "update", bitmex_level("Buy", 99.0, 11, priced=False))
    again = bitmex_image(4, [(90.0, 1)], [(91.0, 2)])
    text = IMAGE + change + later + again
    text += l2(5, "update", bitmex_level("Buy", 90.0, 7, priced=False))
    recording = opened(tmp_path, "capture.txt", text)
    assert refusals(recording) == [("out_of_sync", "XBTUSD")] * 2
    assert values(recording, "LEVEL")[4:] == [(1, 90, 1, 1), (-1, 91, 2, 1), (1, 90, 7, 0)]
    assert recording.inspect().book_breaks == 1


def test_changes_before_the_image(tmp_path: Path) -> None:
    """A change before the image is refused and is no break."""
    early = l2(0, "delete", bitmex_level("Buy", 99.0, priced=False))
    recording = opened(tmp_path, "capture.txt", early + IMAGE)
    assert refusals(recording) == [("out_of_sync", "XBTUSD")]
    assert len(values(recording, "LEVEL")) == 4
    found = recording.inspect()
    assert found.book_breaks == 0
    ((reason, symbol, count),) = [(r.reason, r.symbol, r.rows) for r in found.refused]
    assert (reason, symbol, count) == ("out_of_sync", "XBTUSD", 1)


def test_an_image_drops_an_empty_side(tmp_path: Path) -> None:
    """An image without asks removes the asks of the image before, for whoever keeps the book."""
    text = IMAGE + bitmex_image(2, [(99.0, 1)], [])
    last = values(opened(tmp_path, "capture.txt", text), "LEVEL")[4:]
    assert last == [(1, 99, 1, 1), (-1, 100, 0, 1)]


def test_trades(tmp_path: Path) -> None:
    """A trade has its own time, size in contracts and the aggressor's side; ids that do not rise
    are no ids. Prints that are no market trades are marked."""
    text = table(3, "trade", "insert", bitmex_trade(3, "f"), bitmex_trade(4, "a", side="Sell"))
    text += table(9, "trade", "insert", bitmex_trade(5, "b", side="", trdType="OffBook"))
    recording = opened(tmp_path, "capture.txt", text)
    assert values(recording, "TRADE") == [
        (30_000, 600, 1, -1),
        (30_000, 600, -1, -1),
        (30_000, 600, NOT_MARKET, -1),
    ]
    assert column(recording.steps(), Kind.TRADE, "ts_ns").tolist() == [
        START_NS + at * MS for at in (3, 4, 5)
    ]


def test_a_trade_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trade that comes again, as after a second subscription, is refused as a duplicate; of old
    ones nothing is remembered. Catches memory that grows with the capture."""
    monkeypatch.setattr(capture_lines, "SEEN_MAX", 2)
    texts = [table(n, "trade", "insert", bitmex_trade(n, key)) for n, key in enumerate("ABACA")]
    recording = opened(tmp_path, "capture.txt", "".join(texts))
    assert refusals(recording) == [("duplicate", "XBTUSD")]
    assert len(values(recording, "TRADE")) == 4


CONTRACTS = {
    "inverse": ("XBTUSD", {}),
    "inverse of 10": (
        "ETHUSD",
        {"grossValue": 50_000_000, "homeNotional": 0.5, "foreignNotional": 6_000},
    ),
    "quanto": ("ETHUSD", {"grossValue": 1_800_000, "homeNotional": 0.3, "foreignNotional": 540}),
    "linear": (
        "XBTUSDT",
        {"grossValue": 18_000_000, "homeNotional": 0.0006, "foreignNotional": 18},
    ),
    "linear in coin": (
        "LTCXBT",
        {"grossValue": 18_000, "homeNotional": 600, "foreignNotional": 0.00018},
    ),
}


@pytest.mark.parametrize(
    ("case", "contract", "size", "unit"),
    [
        ("inverse", "inverse", 1.0, 1.0),
        ("inverse of 10", "inverse", 10.0, 1.0),
        ("linear", "linear", 1.0, 1e-6),
    ],
)
def test_values_of_a_trade_tell_its_contract(
    tmp_path: Path, case: str, contract: str, size: float, unit: float
) -> None:
    """Gross, home and foreign value tell what a contract is paid in, its face, and the coins of a
    linear one, in which all its sizes are said. Catches contracts taken for coins."""
    symbol, changes = CONTRACTS[case]
    text = table(3, "trade", "insert", bitmex_trade(3, "f", symbol=symbol, **changes))
    text += bitmex_image(4, [(99.0, 10)], [(100.0, 30)], symbol) + bitmex_quote(5, 99, 100, symbol)
    recording = opened(tmp_path, "capture.txt", text)
    (info,) = recording.symbols
    assert (info.symbol, info.contract, info.contract_size) == (symbol, contract, size)
    assert values(recording, "TRADE")[0][1] == 600 * unit
    assert [level[2] for level in values(recording, "LEVEL")] == [10 * unit, 30 * unit]
    assert values(recording, "BBO")[0][1::2] == (700 * unit, 900 * unit)


@pytest.mark.parametrize(
    ("symbol", "trade", "why"),
    [
        ("ETHUSD", CONTRACTS["quanto"][1], "quanto"),
        ("LTCXBT", CONTRACTS["linear in coin"][1], "is paid in BTC|does not tell"),
        ("SOLUSDT", None, "no trade or instrument of it tells"),
        ("XBTZ23", {}, "a future that expires"),
        (".BXBT", {}, "an index"),
    ],
)
def test_what_is_not_simulated(
    tmp_path: Path, symbol: str, trade: dict[str, Any] | None, why: str
) -> None:
    """Quantos, dated futures, indices and what nothing tells are refused, a row a message, with
    symbol and reason; alone they are no recording. Catches a quanto valued as if it were linear."""
    text = bitmex_quote(3, 99, 100, symbol)
    if trade is not None:
        text += table(3, "trade", "insert", bitmex_trade(3, "f", symbol=symbol, **trade))
    recording = opened(tmp_path, "a.txt", text + bitmex_quote(5, 99, 100))
    assert [info.symbol for info in recording.symbols] == ["XBTUSD"]
    assert refusals(recording) == [("unsupported", symbol)] * text.count("\n")
    with pytest.raises(InputError, match=why) as caught:
        opened(tmp_path, "b.txt", text)
    assert caught.value.exit_code == 4


def test_instrument_and_funding(tmp_path: Path) -> None:
    """``instrument`` tells mark, index and the next funding, of which an update may leave out what
    did not change; a rate told again when it was paid is paid once."""
    settles = {"fundingTimestamp": iso(30), "fundingRate": 0.0001}
    first = {"symbol": "XBTUSD", "timestamp": iso(1), "markPrice": 99.5, **settles}
    text = table(1, "instrument", "partial", {**first, "indicativeSettlePrice": 99.0})
    text += table(
        2, "instrument", "update", {"symbol": "XBTUSD", "timestamp": iso(2), "fundingRate": 0.0002}
    )
    paid = {"symbol": "XBTUSD", "timestamp": iso(30), "fundingRate": 0.0002}
    text += table(30, "funding", "partial", paid) + table(31, "funding", "insert", paid)
    recording = opened(tmp_path, "capture.txt", text)
    assert values(recording, "MARK") == [(99.5,)]
    assert values(recording, "INDEX") == [(99.0,)]
    assert column(recording.steps(), Kind.FUNDING, "rate").tolist() == [0.0001, 0.0002]
    due = column(recording.steps(), Kind.FUNDING, "next_ns") - START_NS
    assert due.tolist() == [30 * MS] * 2


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("?", "malformed"),
        ('1700000000.5: {"table":"orde', "malformed"),
        ('170000000000.5: {"table":"quote"}', "malformed"),
        (at_seconds(2, {"hello": 1}), "malformed"),
        (
            at_seconds(2, {"table": "chat", "action": "insert", "data": [{"symbol": "X"}]}),
            "unsupported",
        ),
        (table(2, "orderBookL2", "shuffle", bitmex_level("Buy", 99.0, 1)), "malformed"),
        (table(2, "orderBookL2", "update", bitmex_level("Up", 99.0, 1)), "malformed"),
        (
            table(2, "orderBookL2", "update", {"symbol": "XBTUSD", "side": "Buy", "size": 1}),
            "malformed",
        ),
        (bitmex_quote(2, 99, 100).replace("2023-11-14T", "yesterday "), "malformed"),
        (bitmex_quote(2, 99, 100).replace('"bidPrice": 99', '"bidPrice": null'), "malformed"),
        (table(2, "trade", "insert", bitmex_trade(2, "f", price=None)), "malformed"),
        (table(2, "quote", "insert", {"symbol": "X\u0000"}), "malformed"),
    ],
)
def test_bad_lines(tmp_path: Path, bad: str, reason: str) -> None:
    """What cannot be read is one row in its place, with file and line, and its reason."""
    text = bitmex_quote(1, 99, 100) + bad.strip("\n") + "\n" + bitmex_quote(3, 99, 100)
    recording = opened(tmp_path, "capture.txt", text)
    assert [row[1] for row in rows(recording.steps())] == ["BBO", "MESSAGE", "BBO"]
    (message,) = [m for step in recording.steps() for _, m in step.messages]
    assert (message.reason, message.symbol) == (reason, None)
    assert message.detail.startswith("capture.txt:2: ")


def test_a_lost_line_loses_the_book(tmp_path: Path) -> None:
    """A line that cannot be read loses the book that it names, or all if it names none; one of
    another table, or of another symbol, loses none. Catches a book that goes on with a hole."""
    later = l2(3, "update", bitmex_level("Buy", 99.0, 11, priced=False))
    for bad, lost in (
        ("?", 1),
        ("?\n?", 1),
        ('1700000000.5: {"table":"orderBookL2","data":[{"symbol":"XBTUSD"', 1),
        ('1700000000.5: {"table":"orderBookL2","data":[{"symbol":"ETHUSD"', 0),
        ('1700000000.5: {"table":"quote","data":[{"symbol":"XBTUSD"', 0),
    ):
        text = bitmex_quote(0, 20, 21, "ETHUSD") + IMAGE + bad + "\n" + later
        recording = opened(tmp_path, "capture.txt", text)
        assert recording.inspect().book_breaks == lost, bad
        assert len(values(recording, "LEVEL")) == 5 - lost


def test_a_stray_symbol_is_no_market(tmp_path: Path) -> None:
    """A line in 200 of a symbol without a book is no market, unless it is asked for."""
    trade = bitmex_trade(3, "f", symbol="XBTUSDT", **CONTRACTS["linear"][1])
    text = bitmex_quote(1, 99, 100) * 200 + table(3, "trade", "insert", trade)
    recording = opened(tmp_path, "a.txt", text)
    assert [info.symbol for info in recording.symbols] == ["XBTUSD"]
    assert refusals(recording) == [("unsupported", "XBTUSDT")]
    asked = opened(tmp_path, "a.txt", text, symbol="xbtusdt")
    assert [info.symbol for info in asked.symbols] == ["XBTUSD", "XBTUSDT"]


def test_recorded(shared_data: Path) -> None:
    """Of ten symbols XBTUSD is simulated: every level, quote and trade of it; all other messages
    are refused with their symbol. The counts are those of the file's lines."""
    found = open_recording([shared_data / "ticks/bitmex-ws-20210722.txt.gz"]).inspect()
    (one,) = found.symbols
    assert (one.symbol, one.contract) == ("XBTUSD", "inverse")
    assert found.rows_by_kind == {"trade": 16, "bbo": 286, "level": 11_058}
    assert (found.malformed, found.book_breaks, one.late, one.crossed, one.gaps) == (0,) * 5
    refused = {r.symbol: r.rows for r in found.refused}
    assert len(refused) == 9
    assert sum(refused.values()) == 754
    assert {r.reason for r in found.refused} == {"unsupported"}
    quantos = {r.symbol for r in found.refused if "(quanto)" in r.first}
    assert quantos == set(refused) - {"XRPU21", "TRXU21"}


def test_recorded_book_is_the_quotes(shared_data: Path) -> None:
    """The book rebuilt from levels by id never crosses, and at the end of each message of quotes
    its best prices are those of the quote; within a message older quotes stand before it.

    Catches prices, sides and removals mistaken, and a book that misses changes.
    """
    recording = open_recording([shared_data / "ticks/bitmex-ws-20210722.txt.gz"])
    book: dict[int, dict[float, float]] = {1: {}, -1: {}}
    told = [row for row in rows(recording.steps()) if row[1] in ("LEVEL", "BBO")]
    checked = 0
    for row, after in pairwise([*told, told[0]]):
        if row[1] == "LEVEL":
            side, price, size = int(row[5]), float(row[6]), float(row[7])
            if int(row[8]) == 1:
                book[side].clear()
            book[side][price] = size
            if size == 0:
                del book[side][price]
            continue
        if not book[1] or not book[-1]:
            continue
        bid, ask = max(book[1]), min(book[-1])
        assert bid < ask
        if after[1] == "LEVEL" or after[4] != row[4]:
            assert (bid, ask) == (float(row[5]), float(row[7])), row
            checked += 1
    assert checked > 20
