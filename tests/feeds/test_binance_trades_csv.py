"""``feeds/formats/binance_trades_csv.py``."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from engine.errors import InputError
from tests.feeds.rows import opened, rows

MS = 1_735_689_600_123
AGGREGATED = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
SINGLE = "id,price,qty,quote_qty,time,is_buyer_maker"


@pytest.mark.parametrize(
    ("header", "row", "contract"),
    [
        ("", f"26129,100.5,4.7,1,2,{MS},true", "linear"),
        ("", f"26129,100.5,4.7,1,2,{MS}456,True,True", "spot"),
        (AGGREGATED, f"26129,100.5,4.7,1,2,{MS},true", "linear"),
        ("", f"26129,100.5,4.7,470.5,{MS},true", "linear"),
        ("", f"26129,100.5,4.7,470.5,{MS}456,True,True", "spot"),
        (SINGLE, f"26129,100.5,4.7,470.5,{MS},true", "linear"),
        (f"{SINGLE},is_best_match", f"26129,100.5,4.7,470.5,{MS},True,True", "spot"),
    ],
)
def test_layouts(tmp_path: Path, header: str, row: str, contract: str) -> None:
    """Trades and aggTrades of spot and futures are told apart with and without header.

    Catches a quote quantity read as a time, and us read as ms.
    """
    text = f"{header}\n{row}\n" if header else f"{row}\n"
    recording = opened(tmp_path, "BTCUSDT-trades-2025-01-01.csv", text)
    (found,) = rows(recording.steps())
    micro = f"{MS}456" in row
    assert found[3] == MS * 1_000_000 + (456_000 if micro else 0)
    assert found[4:] == (None, "100.5", "4.7", "-1", "26129")
    assert recording.symbols[0].contract == contract
    assert not recording.bar_fed


def test_zip_and_gzip(tmp_path: Path) -> None:
    """A zip of one file and a gzip give the rows of the plain file."""
    text = f"1,100.5,4.7,1,2,{MS},true\n2,100.6,4.7,1,2,{MS + 1},false\n"
    plain = rows(opened(tmp_path, "BTCUSDT-a.csv", text).steps())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-a.csv", text)
    assert rows(opened(tmp_path, "BTCUSDT-b.zip", packed.getvalue()).steps()) == plain
    assert rows(opened(tmp_path, "BTCUSDT-c.csv.gz", text).steps()) == plain


@pytest.mark.parametrize("header", ["", AGGREGATED + "\n"])
def test_a_mark_of_utf_8_is_no_part_of_the_text(tmp_path: Path, header: str) -> None:
    """What an editor on Windows saved, with its mark and line ends, has the rows it had before."""
    text = f"{header}1,100.5,4.7,1,2,{MS},true\n2,100.6,4.7,1,2,{MS + 1},false\n"
    plain = rows(opened(tmp_path, "BTCUSDT-a.csv", text).steps())
    assert len(plain) == 2
    saved = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    assert rows(opened(tmp_path, "BTCUSDT-d.csv", saved).steps()) == plain


def test_bad_rows(tmp_path: Path) -> None:
    """Bad rows are malformed one by one in their places, however many good ones are around.

    Catches a whole block lost to one bad row, and halving that loses count of lines.
    """
    good = [f"{number},100.5,4.7,1,2,{MS + number},true" for number in range(1, 400)]
    bad = {
        7: "7,x,4.7,1,2,3,true",
        200: "",
        201: "1,2",
        333: "9,1e5,1,1,1,99999999999999999999,true",
    }
    lines = [bad.get(number, line) for number, line in enumerate([good[0], *good])]
    recording = opened(tmp_path, "BTCUSDT-a.csv", "\n".join(lines) + "\n")
    found = rows(recording.steps())
    messages = {row[0]: row[-1] for row in found if row[1] == "MESSAGE"}
    # The empty line at 200 is no row.
    assert list(messages) == [7, 200, 332]
    assert "BTCUSDT-a.csv:202:" in messages[200]
    assert len(found) == 399


def test_missing_column(tmp_path: Path) -> None:
    """A header without a price is refused with file, line and the column."""
    text = AGGREGATED.replace("price", "prize") + f"\n1,100.5,4.7,1,2,{MS},true\n"
    with pytest.raises(InputError, match=r"BTCUSDT-a.csv:1: the column price or p is missing"):
        opened(tmp_path, "BTCUSDT-a.csv", text)


def test_only_bad_rows(tmp_path: Path) -> None:
    """A file whose first rows are all bad is an error that says so, and no traceback."""
    with pytest.raises(InputError, match="none of the first rows"):
        opened(tmp_path, "BTCUSDT-a.csv", f"{AGGREGATED}\n1,2\n")


def test_time_out_of_range(tmp_path: Path) -> None:
    """A first row whose time no 64-bit nanosecond can say is one malformed row."""
    text = f"1,100.5,4.7,1,2,99999999999999,true\n2,100.5,4.7,1,2,{MS},true\n"
    found = rows(opened(tmp_path, "BTCUSDT-a.csv", text).steps())
    assert [row[1] for row in found] == ["MESSAGE", "TRADE"]
