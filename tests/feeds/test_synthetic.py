"""Tests of ``feeds.synthetic``: the sample tells its story, with the same bits everywhere."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from engine.ticks import Bbo, Funding, Index, Kind, Marks, Step, Trades
from engine.units import DAY_NS, HOUR_NS, SECOND_NS
from feeds.parquet_writer import write_sections
from feeds.recording import open_recording
from feeds.synthetic import Synthetic
from feeds.synthetic_day import START_NS
from feeds.synthetic_path import LEGS
from tests.bench.walk import generate, generate_rows

SAMPLE = "63a9dab9b332ab677b0ec1b4fa81cbde7a98517db9afa97d31bb7b6ea0d8428c"
ROWS = "a07ca2e1c5da7f2e92ccaad2ee52d589221092f03c17162af694d42822f436d1"
MARKS = "ee2150df8e7f0132bcd57e5e1bc36bba043b7ad4014d7bee5a97730757c26c09"

YEAR_MINUTES = 525_960
SIMD = np.show_config(mode="dicts")["SIMD Extensions"]
"""What numpy was built for (``baseline``, never switched off) and what it found beyond that."""


def columns(steps: Iterable[Step]) -> dict[str, np.ndarray]:
    """All columns of all steps by ``KIND.name``, each as one array."""
    parts: dict[str, list[np.ndarray]] = {}
    for step in steps:
        for table in step.tables:
            own = {"sequence": table.sequence, "ts_ns": table.ts_ns, **dict(table.values())}
            if table.ingest_ns is not None:
                own["ingest_ns"] = table.ingest_ns
            for name, column in own.items():
                parts.setdefault(f"{table.KIND.name}.{name}", []).append(column)
    return {name: np.concatenate(parts[name]) for name in sorted(parts)}


def digest(steps: Iterable[Step]) -> str:
    """One hash of all columns, whatever the blocks."""
    whole = hashlib.sha256()
    for name, column in columns(steps).items():
        whole.update(name.encode())
        whole.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
    return whole.hexdigest()


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    return columns(generate())


def minutes_of(marks: np.ndarray, regime: str) -> np.ndarray:
    """Minute returns of the marks in the first stretch of a regime."""
    numbers = [i for i, leg in enumerate(LEGS) if leg.regime == regime]
    first = numbers[0]
    last = next(i for i in numbers if i + 1 == len(LEGS) or LEGS[i + 1].regime != regime)
    begin = LEGS[first - 1].until if first else 0
    minute = marks[::60][begin : LEGS[last].until + 1]
    return minute[1:] / minute[:-1] - 1.0


def test_the_sample_has_these_bits() -> None:
    """A day of 632,055 rows: whoever changes one changes the sample of every reader."""
    steps = list(generate())
    assert steps[-1].end == sum(map(len, steps)) == 632_055
    assert digest(steps) == SAMPLE


def test_generated_rows_have_these_bits() -> None:
    """The fast generator is pinned as well, the mix and the marks."""
    assert digest(generate_rows(200_000)) == ROWS
    assert digest(generate_rows(200_000, marks_only=True)) == MARKS


@pytest.mark.parametrize("rows", [1_000, 65_536, 10_000_000])
def test_blocks_do_not_matter(rows: int) -> None:
    """Steps have the rows asked for and go on where the last one ended; the bits stay."""
    steps = list(generate(block_rows=rows))
    assert all(len(step) == rows for step in steps[:-1])
    assert [step.first for step in steps[1:]] == [step.end for step in steps[:-1]]
    assert digest(steps) == SAMPLE
    assert digest(generate_rows(200_000, block_rows=rows)) == ROWS


@pytest.mark.parametrize(
    "setting",
    [
        {"NPY_DISABLE_CPU_FEATURES": " ".join(SIMD.get("found", []))},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2"},
    ],
    ids=["numpy without SIMD", "libc without FMA"],
)
def test_the_processor_does_not_matter(setting: dict[str, str]) -> None:
    """The same bits without the instructions that change the exp and log of numpy and libc."""
    program = (
        "from tests.feeds.test_synthetic import *\n"
        "print(digest(generate()), digest(generate_rows(200_000)))"
    )
    env = {**os.environ, **setting, "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=Path(__file__).parents[2],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [SAMPLE, ROWS]


def test_nothing_in_it_is_rejected(sample: dict[str, np.ndarray]) -> None:
    """Times never go back within a kind, books are not crossed, prices lie on the grid."""
    for kind in ("TRADE", "BBO", "MARK", "INDEX", "FUNDING"):
        assert (np.diff(sample[f"{kind}.ts_ns"]) >= 0).all()
    assert (sample["BBO.bid"] < sample["BBO.ask"]).all()
    for name in ("BBO.bid", "BBO.ask", "TRADE.price"):
        assert (np.round(sample[name] * 10) / 10 == sample[name]).all()
    for name in ("BBO.bid_size", "BBO.ask_size", "TRADE.size"):
        assert (np.round(sample[name] * 1_000) / 1_000 == sample[name]).all()
        assert (sample[name] > 0).all()
    assert (np.diff(sample["TRADE.trade_id"]) == 1).all()
    assert set(np.unique(sample["TRADE.aggressor"])) == {-1, 1}
    inspection = Synthetic().inspect()
    one = inspection.symbols[0]
    assert (one.late, one.crossed, one.duplicates, one.bad_prices, one.gaps, one.frozen) == (0,) * 6


def test_rows_come_in_the_order_of_receipt(sample: dict[str, np.ndarray]) -> None:
    """Over all kinds sequences are complete, exchange time and time of receipt rise."""
    kinds = ("TRADE", "BBO", "MARK", "INDEX", "FUNDING")
    sequence = np.concatenate([sample[f"{kind}.sequence"] for kind in kinds])
    order = np.argsort(sequence)
    assert (sequence[order] == np.arange(len(sequence))).all()
    for name in ("ts_ns", "ingest_ns"):
        times = np.concatenate([sample[f"{kind}.{name}"] for kind in kinds])[order]
        assert (np.diff(times) >= 0).all()
    assert (sample["TRADE.ingest_ns"] > sample["TRADE.ts_ns"]).all()
    assert sample["MARK.ts_ns"][0] == START_NS
    assert sample["BBO.ts_ns"][-1] < START_NS + DAY_NS


def test_marks_and_index_come_every_second(sample: dict[str, np.ndarray]) -> None:
    """On the second, 86,400 of each."""
    seconds = START_NS + np.arange(86_400) * SECOND_NS
    assert (sample["MARK.ts_ns"] == seconds).all()
    assert (sample["INDEX.ts_ns"] == seconds).all()


def test_funding_is_told_for_its_three_instants(sample: dict[str, np.ndarray]) -> None:
    """A rate a minute for the next of 00, 08 and 16 UTC, small and not always the same."""
    instants = START_NS + np.array([8, 16, 24]) * HOUR_NS
    assert (np.unique(sample["FUNDING.next_ns"]) == instants).all()
    assert (sample["FUNDING.next_ns"] > sample["FUNDING.ts_ns"]).all()
    rates = sample["FUNDING.rate"]
    assert np.abs(rates).max() < 0.001
    assert len(np.unique(rates)) > 10


@pytest.mark.parametrize("seed", [7, 8, 12345])
def test_the_story(seed: int) -> None:
    """Calm, a clear trend, chop, a crash of 20 %, half of it regained, then calm, with any seed."""
    told = columns(generate(seed))
    marks, index = told["MARK.price"], told["INDEX.price"]
    volatility = {
        regime: float(np.std(minutes_of(marks, regime))) * YEAR_MINUTES**0.5
        for regime in ("calm", "trend", "chop", "crash", "rebound", "aftershock")
    }
    assert 0.2 < volatility["calm"] < 0.4
    assert 0.2 < volatility["trend"] < 0.45
    assert 0.5 < volatility["chop"] < 0.9
    assert volatility["crash"] > 4.0
    assert 1.2 < volatility["rebound"] < 4.0
    assert 0.7 < volatility["aftershock"] < 1.2
    trend = minutes_of(marks, "trend")
    assert 0.03 < np.sum(trend) < 0.045
    assert abs(np.sum(minutes_of(marks, "chop"))) < 0.01
    low = int(np.argmin(marks))
    assert 810 * 60 < low < 845 * 60
    high = marks[:low].max()
    assert 0.19 < 1.0 - marks[low] / high < 0.21
    regained = (marks[900 * 60 : 930 * 60].max() - marks[low]) / (high - marks[low])
    assert 0.4 < regained < 0.6
    crash = slice(821 * 60, 838 * 60)
    assert (marks / index - 1.0)[crash].mean() < -0.001
    assert np.abs(marks / index - 1.0).max() < 0.01


def test_liquidity_goes_in_the_crash(sample: dict[str, np.ndarray]) -> None:
    """Spreads widen a hundredfold, depth goes, trades come faster and messages later."""
    at = {k: sample[f"{k}.ts_ns"] - START_NS for k in ("BBO", "TRADE")}
    calm = {k: times < 300 * 60 * SECOND_NS for k, times in at.items()}
    crash = {
        k: (times >= 821 * 60 * SECOND_NS) & (times < 838 * 60 * SECOND_NS)
        for k, times in at.items()
    }
    spread = (sample["BBO.ask"] - sample["BBO.bid"]) / sample["BBO.bid"] * 1e4
    depth = sample["BBO.bid_size"]
    delay = sample["BBO.ingest_ns"] - sample["BBO.ts_ns"]
    assert spread[calm["BBO"]].mean() < 0.02
    assert spread[crash["BBO"]].mean() > 1.0
    assert depth[crash["BBO"]].mean() < 0.1 * depth[calm["BBO"]].mean()
    assert delay[crash["BBO"]].mean() > 10 * delay[calm["BBO"]].mean()
    assert crash["TRADE"].sum() / 17 > 5 * calm["TRADE"].sum() / 300


def test_it_is_used_like_a_recording(tmp_path: Path) -> None:
    """Called synthetic, replayed any number of times, and the Parquet of it replays the same."""
    synthetic = Synthetic()
    assert synthetic.synthetic
    assert not synthetic.bar_fed
    assert [s.symbol for s in synthetic.symbols] == ["BTCUSDT"]
    assert synthetic.symbols[0].kinds == tuple(
        cls.KIND for cls in (Trades, Bbo, Marks, Index, Funding)
    )
    assert synthetic.inputs == Synthetic().inputs != Synthetic(8).inputs
    assert digest(synthetic.steps()) == digest(synthetic.steps(block_rows=9_999)) == SAMPLE
    path = tmp_path / "sample.parquet"
    write_sections(path, synthetic.sections(), synthetic=True)
    again = open_recording([path])
    assert again.synthetic
    assert again.symbols == synthetic.symbols
    assert digest(again.steps()) == SAMPLE


def test_generated_rows_are_usable() -> None:
    """Sequences without a hole, rising times, an uncrossed book on the grid, the kinds as told."""
    rows = columns(generate_rows(1_000_000, move_bps=50.0))
    kinds = {name.split(".")[0] for name in rows}
    assert kinds == {"TRADE", "BBO", "MARK"}
    assert {k: len(rows[f"{k}.ts_ns"]) for k in kinds} == {
        "TRADE": 375_000,
        "BBO": 562_500,
        "MARK": 62_500,
    }
    sequence = np.sort(np.concatenate([rows[f"{k}.sequence"] for k in kinds]))
    assert (sequence == np.arange(1_000_000)).all()
    assert (rows["BBO.bid"] < rows["BBO.ask"]).all()
    assert rows["MARK.price"].min() >= 50_000.0
    assert rows["MARK.price"].max() <= 150_000.0
    assert rows["MARK.price"].max() - rows["MARK.price"].min() > 90_000.0
    assert (np.diff(rows["TRADE.trade_id"]) > 0).all()


def test_generated_rows_end_where_they_should() -> None:
    """Any number of rows, also none, and the walk goes on across chunks."""
    for count in (0, 1, 65_535, 65_537, 150_000):
        steps = list(generate_rows(count, marks_only=True, block_rows=50_000))
        assert sum(map(len, steps)) == count
    price = columns(generate_rows(150_000, marks_only=True))["MARK.price"]
    assert np.abs(np.diff(price)).max() < 10.0
    assert price.std() > 0.0


def test_generated_rows_take_no_memory() -> None:
    """Ten times the rows, no more memory to speak of."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(map(len, generate_rows(4_000_000))) == 4_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


def test_kinds_are_declared_in_order() -> None:
    """Tables of a step stand in the order of their kinds."""
    for step in (next(generate()), next(generate_rows(100))):
        kinds = [table.KIND for table in step.tables]
        assert kinds == sorted(kinds)
        assert kinds[0] is Kind.TRADE
