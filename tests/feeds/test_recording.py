"""``feeds/recording.py``: finding out what files are, and refusing what cannot be replayed."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import zipfile
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.ticks import Kind
from feeds.formats import files
from feeds.formats.files import line_batches
from feeds.formats.names import file_contract, file_symbol, split_symbol
from feeds.formats.registry import FORMATS, format_of
from feeds.recording import open_recording
from tests.feeds.rows import (
    START_MS,
    column,
    depth,
    numbered,
    opened,
    rows,
    snapshot,
    ticker,
    trade,
)

REPLAYABLE = 6 + 3 + 12 + 6 + 2 + 58 + 1 + 1 + 3


def some_lines(count: int) -> str:
    return "".join(trade(number) for number in range(count))


def test_extension_means_nothing(tmp_path: Path) -> None:
    """Formats are told by content. Catches a capture refused for its name."""
    assert len(rows(opened(tmp_path, "notes.csv", some_lines(3)).steps())) == 3


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("x.txt", b"hello, world, this is a letter\nbye\n", "no recording that can be replayed"),
        ("x.csv", b"timestamp,symbol,sum_open_interest,v\n1,B,2,3\n", "open interest"),
        ("x.raw", b'1737918843893903000 {"channel":"l2Book"}\n', "Hyperliquid"),
        ("x.bin", bytes(range(256)) * 10, "no recording"),
        ("x.parquet", b"PAR1" + bytes(100), "damaged Parquet"),
        ("x.feather", b"ARROW1\0\0date open" + bytes(100), "damaged or cut off"),
        ("x.zip", b"PK\x03\x04" + bytes(60), "cut off or damaged"),
        ("x.gz", b"\x1f\x8b" + bytes(60), "cut off or damaged"),
    ],
)
def test_refusals(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    """What is no recording is refused with its path and what is accepted or to be done.

    Catches tracebacks of libraries that reach a user.
    """
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        open_recording([tmp_path / name])
    assert name in str(caught.value)
    assert caught.value.exit_code == 4


def test_no_such_file(tmp_path: Path) -> None:
    """A path that does not exist is told as that."""
    with pytest.raises(InputError, match="no such file or folder"):
        open_recording([tmp_path / "nowhere"])


def test_folder_without_recordings(tmp_path: Path) -> None:
    """A folder with none is an error that names what is accepted."""
    (tmp_path / "README.md").write_text("nothing here, really, nothing\n")
    with pytest.raises(InputError, match="no recording found; levsim reads levsim Parquet"):
        open_recording([tmp_path])


def test_folder_skips(tmp_path: Path) -> None:
    """In a folder, files that are no recordings are skipped and listed; a path counts once."""
    (tmp_path / "SUMS").write_text("abc\n")
    opened(tmp_path, "capture.raw", some_lines(2))
    recording = open_recording([tmp_path, tmp_path / "capture.raw"])
    assert [Path(path).name for path, _ in recording.skipped] == ["SUMS"]
    assert recording.inspect().skipped == recording.skipped
    assert len(rows(recording.steps())) == 2


def test_truncated_gzip(tmp_path: Path) -> None:
    """A gzip cut off is an error with file, line and what to do, for captures at opening."""
    data = gzip.compress("".join(trade(n, n * 7919 % 10_007) for n in range(9_000)).encode())
    (tmp_path / "capture.raw.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"capture.raw.gz:\d+: the compressed file is cut off"):
        open_recording([tmp_path / "capture.raw.gz"])


def test_damaged_zip(tmp_path: Path) -> None:
    """A zip with a wrong checksum, none or two files in it is refused in words."""
    text = "".join(f"{n},100.5,4.7,1,2,{1735689600000 + n},true\n" for n in range(2000))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("BTCUSDT.csv", text)
    data = packed.getvalue().replace(b"777,100.5", b"777,100.6")
    with pytest.raises(InputError, match="cut off or damaged"):
        list(opened(tmp_path, "BTCUSDT.zip", data).steps())
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a", text)
        archive.writestr("b", text)
    with pytest.raises(InputError, match="holds 2 files, expected one"):
        open_recording([tmp_path / "two.zip"])


def test_long_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than the limit is refused before memory is. Catches bombs of one line."""
    monkeypatch.setattr(files, "LINE_BYTES_MAX", 1 << 21)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"x" * (1 << 23)))
    with pytest.raises(InputError, match=r"bomb.gz:2: a line is longer"):
        list(line_batches(str(path)))


def test_inputs_are_hashed(tmp_path: Path) -> None:
    """The hash is that of the file as it lies on disk."""
    recording = opened(tmp_path, "capture.raw.gz", some_lines(2))
    data = (tmp_path / "capture.raw.gz").read_bytes()
    (file,) = recording.inputs
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert file.size == len(data)
    assert file.format == "Binance websocket capture"


def test_steps_are_the_same_however_cut(tmp_path: Path) -> None:
    """Rows do not depend on the block size, and a recording replays twice the same.

    Catches state left over from a first replay, and readers that number by block.
    """
    text = snapshot(0, 9, [(100, 1)], [(101, 1)]) + "broken\n"
    for number in range(60):
        text += depth(number, 10 + number, 10 + number, 9 + number, [(99, number)])
        text += trade(number) + ticker(number)
    text = text.replace(depth(0, 10, 10, 9, [(99, 0)]), depth(0, 9, 10, 8, [(99, 0)]))
    recording = opened(tmp_path, "capture.raw", text)
    whole = rows(recording.steps())
    assert len(whole) == 3 + 180
    for size in (1, 2, 7, 64, 1000):
        assert numbered(recording.steps(block_rows=size))
        assert rows(recording.steps(block_rows=size)) == whole


def test_files_against_one(tmp_path: Path) -> None:
    """A capture in two files gives the rows of the one it was, book and all.

    Catches changes of the second file dropped for want of a snapshot.
    """
    text = snapshot(0, 9, [(100, 1)], [(101, 1)]) + depth(0, 9, 10, 8, [(99, 1)])
    for number in range(1, 40):
        text += depth(number, 10 + number, 10 + number, 9 + number, [(99, number)])
        text += trade(number)
    lines = text.splitlines(keepends=True)
    whole = rows(opened(tmp_path, "one.raw", text).steps())
    opened(tmp_path, "b1.raw", "".join(lines[:33]))
    opened(tmp_path, "b2.raw.gz", "".join(lines[33:]))
    both = open_recording([tmp_path / "b2.raw.gz", tmp_path / "b1.raw"])
    assert rows(both.steps()) == whole
    assert len(both.inputs) == 2


def test_files_named_in_any_order(tmp_path: Path) -> None:
    """Files of one market that meet within an instant are read as they follow, however named.

    Catches trades of one millisecond whose ids go back, which are then refused as duplicates.
    """
    lines = [f"{i},100.5,1,1,2,{START_MS + i // 4},true\n" for i in range(12)]
    whole = opened(tmp_path, "BTCUSDT-trades.csv", "".join(lines))
    parts = {"b": lines[:6], "a": lines[6:10], "c": lines[10:]}
    paths = []
    for name, part in parts.items():
        paths.append(tmp_path / f"BTCUSDT-trades-{name}.csv")
        paths[-1].write_text("".join(part))
    for order in itertools.permutations(paths):
        assert rows(open_recording(order).steps()) == rows(whole.steps())


def test_spot_beside_perpetual(shared_data: Path) -> None:
    """Spot and perpetual of one name are two symbols. Catches spot prices in the perp's stream."""
    paths = [
        shared_data / f"ticks/binance-{name}-20240808.raw.gz"
        for name in ("usdm-btcusdt", "spot-btcusdt")
    ]
    recording = open_recording(paths)
    assert [(s.symbol, s.contract) for s in recording.symbols] == [
        ("BTCUSDT", "linear"),
        ("BTCUSDT-SPOT", "spot"),
    ]
    times = column(recording.steps(), Kind.TRADE, "ts_ns")
    assert len(times) == 21_313 + 9_757


def test_every_recording_opens(shared_data: Path) -> None:
    """Each file is of one format at most, and all recordings of SOURCES.md are of one."""
    known = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or path.name == "reserve.bin":
            continue
        head = files.head(str(path))
        found = [known.name for known in FORMATS if known.sniff(head, str(path))]
        assert len(found) <= 1, (path, found)
        if found:
            known += 1
            reader = format_of(head, str(path))
            assert reader is not None
    assert known == REPLAYABLE


@pytest.mark.parametrize(
    ("path", "symbol", "contract"),
    [
        ("BTC_USDT_USDT-1m-futures.feather", "BTCUSDT", "linear"),
        ("x/BTCUSDT-1m-2024-01.csv", "BTCUSDT", None),
        ("x-spot-klines/BTCUSDT-1h-2022-01-01.json.gz", "BTCUSDT", "spot"),
        ("binance-usdm-1h/BTCUSDT-1h.csv.gz", "BTCUSDT", "linear"),
        ("x/BTCUSD_PERP-1m.csv", "BTCUSD_PERP", "inverse"),
        ("binance-coinm-btcusd_perp-20240808.raw.gz", "BTCUSD_PERP", "inverse"),
        ("x/2020-03.jsonl.gz", None, None),
        ("x/ethusdc.csv", "ETHUSDC", None),
    ],
)
def test_names(path: str, symbol: str | None, contract: str | None) -> None:
    """Names of files tell symbol and market as venues and tools write them."""
    assert file_symbol(path) == symbol
    assert file_contract(path) == contract


def test_assets() -> None:
    """XBT is BTC, and quotes are told from their ends."""
    assert split_symbol("XBTUSD") == ("BTC", "USD")
    assert split_symbol("BTCUSD_PERP") == ("BTC", "USD")
    assert split_symbol("1000PEPEUSDT") == ("1000PEPE", "USDT")
    assert split_symbol("ETHBTC") == ("ETH", "BTC")
