"""Background populations and feedback in a configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine import api
from engine.config import RunConfig, load_config, placed, resolved_toml, spec_of
from engine.errors import ConfigError
from feeds.recording import SymbolInfo
from tests.engine.test_config import a_symbol

TICKS: tuple[SymbolInfo, ...] = (a_symbol(),)
CROWD = '[[populations]]\nid = "retail"\nsymbol = "BTCUSDT"\n'
FELT = '[[markets]]\nsymbol = "BTCUSDT"\nfeedback = true\n'


def loaded(tmp_path: Path, text: str) -> RunConfig:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return load_config(path, symbols=TICKS)


def said(tmp_path: Path, text: str) -> str:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught, placed(path):
        spec_of(load_config(path, symbols=TICKS), TICKS)
    return str(caught.value)


def test_positions_are_drawn_as_told(tmp_path: Path) -> None:
    """Median, spread, sides and leverages are those of the settings; the same seed draws the same,
    another one others; and the run's hash knows of it."""
    text = f"{CROWD}count = 20_000\nsize = 1_000\nsize_spread = 1.0\nlong_share = 0.25\n"
    text += "leverages = [[5, 3], [20, 1]]\nentry_spread = 0.01\n"
    config = loaded(tmp_path, text)
    assert loaded(tmp_path, resolved_toml(config)) == config
    spec = spec_of(config, TICKS)
    (crowd,) = spec.crowds
    sizes, entries = np.frombuffer(crowd.sizes), np.frombuffer(crowd.entries)
    assert np.median(np.abs(sizes)) == pytest.approx(1_000, rel=0.05)
    assert np.log(np.abs(sizes)).std() == pytest.approx(1.0, rel=0.05)
    assert (sizes > 0).mean() == pytest.approx(0.25, abs=0.02)
    assert np.log(entries).std() == pytest.approx(0.01, rel=0.05)
    assert (np.frombuffer(crowd.leverages) == 5.0).mean() == pytest.approx(0.75, abs=0.02)
    assert spec_of(config, TICKS) == spec
    other = spec_of(loaded(tmp_path, text + "seed = 99\n"), TICKS)
    assert other.crowds[0].sizes != crowd.sizes
    assert other.config_hash != spec.config_hash


def test_positions_are_read(tmp_path: Path) -> None:
    """A CSV beside the configuration gives lots, entries, wallets and leverages."""
    (tmp_path / "held.csv").write_text(
        "size,entry,wallet,leverage\n0.5,60000,3000,10\n-2,61000,9000,\n"
    )
    (crowd,) = spec_of(loaded(tmp_path, f'{CROWD}file = "held.csv"\n'), TICKS).crowds
    lots = np.frombuffer(crowd.sizes, np.int64)
    assert (lots > 0).tolist() == [True, False]
    assert lots[1] == -4 * lots[0]
    assert np.frombuffer(crowd.entries).tolist() == [60_000.0, 61_000.0]
    assert np.frombuffer(crowd.wallets, np.int64).tolist() == [3_000 * 10**6, 9_000 * 10**6]
    assert np.frombuffer(crowd.leverages).tolist() == [10.0, 0.0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{CROWD}", "run.toml:1: retail: count must be from 1 to 5e+06, was 0"),
        (CROWD.replace("BTCUSDT", "BTCUSD") + "count = 5\n", 'did you mean "BTCUSDT"'),
        (f"{CROWD}count = 5\nsize = 0.0\n", ":5: retail: size must be from 1e-06"),
        (f"{CROWD}count = 5\nlong_share = nan\n", ":5: retail: long_share must be from 0 to 1"),
        (f"{CROWD}count = 5\nleverages = [[0.5, 1]]\n", ":5: retail: leverages are"),
        (f"{CROWD}count = 5\nleverages = [[5, 0]]\n", ":5: retail: leverages are"),
        (f'{CROWD}count = 5\nfile = "x.csv"\n', ":4: retail: positions are drawn (count) or read"),
        (f'{CROWD}file = "x.csv"\n', "x.csv: no such file of positions"),
        (f"{CROWD}count = 5\n{CROWD}count = 5\n", 'population "retail" is nameless or configured'),
        (f"{CROWD}cuont = 5\n", "did you mean"),
        (f'{FELT}book = {{ model = "flat" }}\n', 'feedback wants a book of model "depth"'),
        (f"{FELT}impact = {{ permanent_share = 2.0 }}\n", "permanent_share must be from 0 to 1"),
        (f'{FELT}impact = {{ every = "0s" }}\n', "every must be > 0"),
        (f'{FELT}impact = {{ every = "7s" }}\n', ":4: every must divide 5s, at which binance"),
        (f'{FELT}mark = "venue"\n', "with feedback the mark is made of what is felt"),
        (f"{FELT}impact = {{ calm_move = 1.0 }}\n", "calm_move must be from 0 (depth never"),
        (f'{FELT}impact = {{ recovery = "0s" }}\n', "recovery must be > 0"),
        (f'{FELT}impact = {{ mark = "mid" }}\n', "mark"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    """Each with its line, and the nearest name."""
    assert sentence in said(tmp_path, text)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("size,entry\n1,2\n", "x.csv:1: expected columns size,entry,wallet,leverage; wallet is"),
        ("size,entry,wallet\n1,2,3\n1,x,3\n", "x.csv:3: expected size,entry,wallet,leverage"),
        ("size,entry,wallet\n0,2,3\n", "x.csv:2: size must be finite and a lot (1e-06) at least"),
        ("size,entry,wallet\n1,2,3\n6e-7,2,3\n", "x.csv:3: size must be finite and a lot (1e-06)"),
        ("size,entry,wallet\nnan,2,3\n", "x.csv:2: size must be finite and a lot (1e-06)"),
        (
            "size,entry,wallet\n-1.0000005,2,3\n",
            "x.csv:2: size must be whole lots of 1e-06, was -1.",
        ),
        (
            "size,entry,wallet\n1e10,2,3\n",
            "x.csv:2: a position of 1e+16 lots; 4.5e+15 at most are counted, divide it among rows",
        ),
        (
            "size,entry,wallet\n1,8e10,3\n",
            "x.csv:2: a position of 8e+10 USDT; 7.21e+10 at most are counted, divide it among rows",
        ),
        ("size,entry,wallet\n1,-2,3\n", "x.csv:2: entry must be finite and > 0"),
        ("size,entry,wallet\n1,2,0\n", "x.csv:2: wallet must be 1e-06 at least and below 1e+10"),
        ("size,entry,wallet\n1,2,1e-7\n", "x.csv:2: wallet must be 1e-06 at least"),
        ("size,entry,wallet\n1,2,1e10\n", "x.csv:2: wallet must be 1e-06 at least and below 1e+10"),
        (f"size,entry,wallet\n1,2,{'3' * 200_000}\n", "x.csv:2: no CSV: field larger than"),
        ("size,entry,wallet\n" + "4e9,1,3\n" * 1_200, "x.csv: positions of 4.8e+18 lots together"),
        ("size,entry,wallet\n", "x.csv: 0 positions"),
    ],
)
def test_a_bad_row_is_said(tmp_path: Path, rows: str, sentence: str) -> None:
    """With the line of the file."""
    (tmp_path / "x.csv").write_text(rows)
    assert sentence in said(tmp_path, f'{CROWD}file = "x.csv"\n')


def test_what_is_recorded_does_not_feel_us(tmp_path: Path) -> None:
    """Feedback on recorded prices is refused, with its line."""
    path = tmp_path / "run.toml"
    path.write_text(f"{FELT}{CROWD}count = 300\n")
    bars = tmp_path / "bars.csv"
    rows = [f"{1_700_000_000_000 + n * 60_000},100,101,99,100,1" for n in range(5)]
    bars.write_text("\n".join(["open_time,open,high,low,close,volume", *rows]) + "\n")
    with pytest.raises(ConfigError, match=r"run\.toml:3: BTCUSDT is recorded"):
        api.run([bars], config=path, symbol="BTCUSDT", write=False)


def test_a_file_of_positions_by_another_editor(tmp_path: Path) -> None:
    """A mark at the beginning of the file is no part of a name; bytes that are no text are told."""
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfsize,entry,wallet\n1,100,50\n")
    (crowd,) = spec_of(loaded(tmp_path, f'{CROWD}file = "x.csv"\n'), TICKS).crowds
    assert np.frombuffer(crowd.entries).tolist() == [100.0]
    (tmp_path / "x.csv").write_bytes(b"size,entry,wallet\n1,100,5\xe9\n")
    assert "x.csv: not UTF-8 text (byte " in said(tmp_path, f'{CROWD}file = "x.csv"\n')
