"""``feeds/parquet.py``, ``feeds/parquet_writer.py``, ``feeds/parquet_schema.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.errors import InputError
from engine.units import HOUR_NS
from feeds.parquet_schema import SCHEMA
from feeds.recording import open_recording, write_parquet
from tests.feeds.rows import START_MS, depth, line, opened, rows, snapshot, ticker, trade
from tests.feeds.test_bar_formats import a_feather, csv, kline

MARK = (
    '{"e":"markPriceUpdate","E":1723161256000,"s":"BTCUSDT","p":"11794.15",'
    '"i":"11784.62","r":"0.00038167","T":1723190400000}'
)


def test_a_capture_comes_back(tmp_path: Path) -> None:
    """Every kind, malformed rows and receipt times replay the same from the import.

    Catches columns taken for one another, nulls read as zeros, and sequences that shift.
    """
    text = line(0, MARK) + "broken\n" + snapshot(0, 9, [(100, 1)], [(101, 1)])
    text += trade(1) + depth(2, 9, 19, 8, [(99, 0), (98, 5)]) + ticker(2, "nan") + trade(3)
    original = opened(tmp_path, "capture.raw", text)
    assert write_parquet(original, tmp_path / "x.parquet") == 11
    imported = open_recording([tmp_path / "x.parquet"])
    assert imported.symbols == original.symbols
    assert not imported.synthetic
    assert rows(imported.steps()) == rows(original.steps())
    assert rows(imported.steps(block_rows=3)) == rows(original.steps())
    assert not (tmp_path / "x.parquet.partial").exists()


def test_bars_stay_bars(tmp_path: Path) -> None:
    """Imported bars replay in every order as the files they came from, merged as they are.

    Catches an import that settles the order of the extremes.
    """
    folder = tmp_path / "usdm"
    folder.mkdir()
    for name, first in (("BTCUSDT", 0), ("ETHUSDT", 1)):
        bars = [kline(first + n, high=12.5 + n, trades=n % 3) for n in range(9)]
        text = csv(*bars) + "bad,row\n" + csv(kline(first + 10), kline(first + 11))
        (folder / f"{name}-1m.csv").write_text(text)
    funding = "timestamp,symbol,funding_rate\n1735689660000,ETHUSDT,0.0001\n"
    (folder / "funding.csv").write_text(funding)
    original = open_recording([folder])
    write_parquet(original, tmp_path / "x.parquet")
    imported = open_recording([tmp_path / "x.parquet"])
    assert imported.symbols == original.symbols
    assert imported.bar_fed
    for order in ("ohlc", "olhc", "close", "bridge"):
        whole = rows(original.steps(bars=order))
        assert rows(imported.steps(bars=order)) == whole
        assert rows(imported.steps(bars=order, block_rows=5)) == whole


def test_sparse_marks_stay_sparse(tmp_path: Path) -> None:
    """Marks every 8 hours beside trades value nothing, in the files and in the recording of them.

    Catches a recording whose products are valued at a mark of eight hours ago.
    """
    folder, hours = tmp_path / "in", [8 * HOUR_NS * place for place in range(1, 4)]
    folder.mkdir()
    a_feather(folder / "BTC_USDT_USDT-8h-mark.feather", hours, open=[9.0] * 3, close=[9.0] * 3)
    start = hours[0] // 10**6 + 10**9
    text = "\n".join(f"{i},9.5,1,{i},{i},{start * 1000 + i},true" for i in range(9))
    (folder / "BTCUSDT-aggTrades-um.csv").write_text(f"{text}\n")
    before = open_recording([folder])
    write_parquet(before, tmp_path / "out.parquet")
    after = open_recording([tmp_path / "out.parquet"])
    assert before.symbols[0].mark_coarse
    assert after.symbols == before.symbols


def test_sparse_marks_stay_sparse_alone(tmp_path: Path) -> None:
    """Marks every 8 hours, imported by themselves, are as sparse when trades come beside them.

    Catches an import that says so only where it already knows of trades.
    """
    hours = [8 * HOUR_NS * place for place in range(1, 4)]
    files = [tmp_path / "BTC_USDT_USDT-8h-mark.feather", tmp_path / "BTCUSDT-aggTrades-um.csv"]
    a_feather(files[0], hours, open=[9.0] * 3, close=[9.0] * 3)
    start = hours[0] // 10**6 + 10**9
    text = "\n".join(f"{i},9.5,1,{i},{i},{start * 1000 + i},true" for i in range(9))
    files[1].write_text(f"{text}\n")
    imported = [tmp_path / "marks.parquet", tmp_path / "trades.parquet"]
    for file, target in zip(files, imported, strict=True):
        write_parquet(open_recording([file]), target)
    (marks,) = open_recording(imported[:1]).symbols
    assert (marks.mark_ns, marks.mark_coarse) == (8 * HOUR_NS, False)
    (both,) = open_recording(imported).symbols
    assert (both.mark_ns, both.mark_coarse) == (8 * HOUR_NS, True)


def test_receipts_are_of_rows(tmp_path: Path) -> None:
    """A capture has times of receipt and trades of an archive have none: each row keeps what it
    has, merged, imported, and read in any blocks.

    Catches a table that gives them all up because one row has none.
    """
    capture = tmp_path / "capture.raw"
    capture.write_text(trade(0) + trade(10) + trade(20))
    ids = "\n".join(f"{i},9.5,1,{i},{i},{START_MS + 5 * i},true" for i in range(4))
    (tmp_path / "BTCUSDT-aggTrades-um.csv").write_text(f"{ids}\n")
    original = open_recording([capture, tmp_path / "BTCUSDT-aggTrades-um.csv"])
    receipts = {row[3]: row[4] for row in rows(original.steps()) if row[4] is not None}
    expected = [START_MS + at for at in (0, 10, 20)]
    assert receipts == {at * 10**6: (at + 5) * 10**6 for at in expected}
    assert sum(row[4] is None for row in rows(original.steps())) == 4
    write_parquet(original, tmp_path / "x.parquet")
    imported = open_recording([tmp_path / "x.parquet"])
    for size in (1, 2, 3, 100):
        assert rows(imported.steps(block_rows=size)) == rows(original.steps())


def test_recorded_capture_comes_back(shared_data: Path, tmp_path: Path) -> None:
    """Both days of a recorded capture replay the same from the import, row for row."""
    paths = sorted(shared_data.glob("ticks/binance-spot-btcusdt-*.raw.gz"))
    original = open_recording(paths)
    write_parquet(original, tmp_path / "x.parquet")
    imported = open_recording([tmp_path / "x.parquet"])
    assert rows(imported.steps()) == rows(original.steps())


def test_cut_off(tmp_path: Path) -> None:
    """A file cut off is refused with what to do; foreign Parquet is no recording of ours."""
    write_parquet(opened(tmp_path, "capture.raw", trade(0)), tmp_path / "x.parquet")
    data = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "y.parquet").write_bytes(data[:-9])
    with pytest.raises(InputError, match="import it again"):
        open_recording([tmp_path / "y.parquet"])
    pq.write_table(SCHEMA.empty_table(), tmp_path / "z.parquet")
    with pytest.raises(InputError, match="no recording that can be replayed"):
        open_recording([tmp_path / "z.parquet"])


def test_a_damaged_byte_is_told_or_harmless(tmp_path: Path) -> None:
    """Whichever byte of the pages is changed: the file is refused, or the rows are the same (what
    was hit is read by nobody). Catches a damaged price that is replayed as a price."""
    text = "".join(trade(n) + ticker(n) for n in range(40))
    write_parquet(opened(tmp_path, "capture.raw", text), tmp_path / "x.parquet")
    whole = rows(open_recording([tmp_path / "x.parquet"]).steps())
    data = bytearray((tmp_path / "x.parquet").read_bytes())
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    refused = 0
    for at in range(4, footer, 7):
        data[at] ^= 0x41
        (tmp_path / "y.parquet").write_bytes(data)
        data[at] ^= 0x41
        try:
            assert rows(open_recording([tmp_path / "y.parquet"]).steps()) == whole, at
        except InputError as error:
            assert "import it again" in str(error)  # noqa: PT017  # not every one is refused
            refused += 1
    assert refused > 80


BOUNDED = """
import resource, sys
import numpy as np
from engine.ticks import Kind
from feeds.formats.format import Market, table_block
from feeds.parquet_writer import Section, write_sections
from feeds.recording import open_recording

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
path, rows, block = sys.argv[1], 3_000_000, 100_000
market = Market("BTCUSDT", "BTC", "USDT", "linear", 1.0, (Kind.TRADE,))

def blocks():
    for first in range(0, rows, block):
        ids = np.arange(first, first + block)
        yield table_block(
            Kind.TRADE, ids * 1_000_000, price=60_000 + ids % 977 * 0.1, size=ids % 13 + 1.0,
            aggressor=ids % 2, trade_id=ids,
        )

section = Section(markets=(market,), first_ns=0, priority=0, blocks=blocks)
assert write_sections(path, [section], synthetic=True) == rows
recording = open_recording([path])
assert recording.synthetic
assert sum(len(step) for step in recording.steps()) == rows
# Not ru_maxrss: that one remembers the parent's size from before the exec.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak_kib = int(status["VmHWM"].split()[0])
assert peak_kib < 400 << 10, peak_kib
"""


def test_bounded_memory(tmp_path: Path) -> None:
    """Writing and replaying millions of rows fits 1 GB of address space, threads included.

    Catches a table gathered whole, and readers that start a thread for each core.
    """
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(tmp_path / "x.parquet")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
