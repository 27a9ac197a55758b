"""``feeds/inspection.py`` and ``feeds/inspector.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.api import run
from engine.ticks import Kind
from feeds import inspector
from feeds.formats.format import Market, table_block
from feeds.inspection import Inspection
from feeds.merge import reordered
from feeds.parquet_writer import Section, write_sections
from feeds.recording import BLOCK_ROWS, open_recording
from tests.feeds.rows import START_MS, opened, ticker, trade

MS = 1_000_000


def inspected(tmp_path: Path, text: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> Inspection:
    """The inspection in steps of ``rows``, with gaps from 1 s and frozen stretches from 3 s."""
    monkeypatch.setattr(inspector, "GAP_NS", 1_000 * MS)
    monkeypatch.setattr(inspector, "FROZEN_NS", 3_000 * MS)
    monkeypatch.setattr("feeds.recording.BLOCK_ROWS", rows)
    result: Inspection = opened(tmp_path, "capture.raw", text).inspect()
    return result


@pytest.mark.parametrize("rows", [1, 2, 3, BLOCK_ROWS])
def test_counts(tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps, frozen stretches, duplicates, late and crossed rows count alike in any blocks.

    Catches whatever is forgotten, or seen twice, at the edge of a block.
    """
    text = trade(0, 100, t=1) + trade(500, 101, t=2) + trade(501, 102, t=2)
    text += trade(2_000, 103, t=3) + trade(1_900, 104, t=4)
    text += ticker(2_001) + ticker(2_900) + ticker(3_800) + ticker(4_700) + ticker(5_600)
    text += ticker(5_700, 102, 101) + "?\n" + trade(5_800, "nan", t=5)
    found = inspected(tmp_path, text, rows, monkeypatch)
    (one,) = found.symbols
    assert found.rows_by_kind == {"trade": 6, "bbo": 6}
    assert (found.rows, found.malformed) == (13, 1)
    assert "capture.raw:12:" in found.malformed_first
    assert (one.gaps, one.longest_gaps[0].length_ns) == (1, 1_499 * MS)
    assert (one.frozen, one.longest_frozen[0].start_ns) == (1, (START_MS + 2_001) * MS)
    assert one.longest_frozen[0].length_ns == 3_599 * MS
    assert (one.duplicates, one.late, one.crossed, one.bad_prices) == (1, 1, 1, 1)
    assert (one.price_min, one.price_max) == (100, 103)  # what was late at 104 moved no price


@pytest.mark.parametrize("rows", [1, 3, BLOCK_ROWS])
def test_what_is_late_is_what_a_run_counts(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late trade and a late quote; one that is a duplicate, too, is that; a print that was no
    market trade makes none late, and is late itself; a price that is none keeps no row waiting.
    None of them ends a frozen stretch or widens the range. Catches what ``inspect`` calls late and
    ``run`` does not."""
    text = trade(0, 100, t=1) + ticker(100) + trade(900, "nan", t=2) + trade(500, 101, t=3)
    text += trade(400, 250, t=4) + trade(300, 101, t=3) + ticker(1_000) + ticker(50, 10, 11)
    text += trade(3_000, 101, t=5, X='"INSURANCE_FUND"') + trade(2_000, 101, t=6)
    text += trade(450, 101, t=7, X='"INSURANCE_FUND"') + ticker(4_200) + ticker(4_300, 101, 102)
    found = inspected(tmp_path, text, rows, monkeypatch)
    (one,) = found.symbols
    assert (one.late, one.duplicates, one.bad_prices) == (3, 1, 1)
    assert (one.price_min, one.price_max) == (100, 102)
    assert [(s.start_ns, s.length_ns) for s in one.longest_frozen] == [
        ((START_MS + 100) * MS, 4_100 * MS)
    ]
    done = run(tmp_path / "capture.raw", write=False).summary
    assert done["late_trades"] + done["rejected"]["late"] == one.late
    assert done["rejected"]["duplicate"] == one.duplicates
    row = dict(zip(*found.table(), strict=True))
    assert (row["late"], row["duplicates"], row["bad prices"]) == ("3", "1", "1")


def test_rows_of_no_symbol(tmp_path: Path) -> None:
    """Rows whose symbol nobody knows count as refused and for no market, and no market's price step
    is made of their prices.

    Catches a place of -1 taken for the last market's.
    """
    times = np.arange(1, 301) * 10**9 + START_MS * MS
    blocks = [
        table_block(Kind.MARK, times[place::3], symbol, price=np.full(100, price))
        for place, (symbol, price) in enumerate([(0, 60_000.0), (1, 0.02), (-1, 7e8)])
    ]
    kinds = (Kind.MARK,)
    markets = (
        Market("BTCUSDT", "BTC", "USDT", "linear", 1.0, kinds),
        Market("DOGEUSDT", "DOGE", "USDT", "linear", 1.0, kinds),
    )
    whole = reordered(blocks, np.concatenate([np.arange(place, 300, 3) for place in range(3)]))
    section = Section(markets=markets, first_ns=0, priority=0, blocks=lambda: iter([whole]))
    write_sections(tmp_path / "x.parquet", [section], synthetic=False)
    recording = open_recording([tmp_path / "x.parquet"])
    assert [info.decade for info in recording.symbols] == [10_000.0, 0.01]
    found = recording.inspect()
    assert [one.rows for one in found.symbols] == [{"mark": 100}, {"mark": 100}]
    assert [one.price_max for one in found.symbols] == [60_000.0, 0.02]
    assert (found.rows, found.rows_by_kind) == (300, {"mark": 200})
    (refused,) = found.refused
    assert (refused.reason, refused.symbol, refused.rows) == ("unknown_symbol", None, 100)


def test_frozen_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A market that is frozen when the recording ends is counted too."""
    text = "".join(ticker(number * 900) for number in range(6))
    found = inspected(tmp_path, text, 4, monkeypatch)
    assert found.symbols[0].frozen == 1


def test_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is text with as many cells in each row."""
    table = inspected(tmp_path, trade(0) + trade(5_000, t=6), 10, monkeypatch).table()
    assert len({len(row) for row in table}) == 1
    assert table[1][0] == "BTCUSDT"
    assert "5 s" in table[1]


def test_rates_alone(tmp_path: Path) -> None:
    """A file of funding rates has no prices, and every eight hours is no gap in it.

    Catches a market said to have traded at 0, and as many gaps as rates.
    """
    times = [START_MS + 8 * 3_600_000 * number for number in (0, 1, 2, 4)]
    text = "".join(f"{time},BTCUSDT,0.0001\n" for time in times)
    found = opened(tmp_path, "f.csv", f"timestamp,symbol,funding_rate\n{text}").inspect()
    row = dict(zip(*found.table(), strict=True))
    assert (row["low"], row["high"], row["gaps"], row["longest gap"]) == ("", "", "1", "57600 s")
