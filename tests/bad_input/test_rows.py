"""Rows that cannot be believed: refused one by one with a reason, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import api
from engine.config import load_config, spec_of
from engine.engine import Engine
from feeds.recording import open_recording
from tests.bad_input.tape import CAPTURE, DATA, START_MS, capture, csv_of, events_in, story, tape

AT = 150
NEXT_MS = START_MS + 1_000 * (AT - 1)


def written(rows: list[Any], name: str = DATA) -> str:
    Path(name).write_text(csv_of(rows))
    return name


def with_row(
    price: Any = "60000", *, size: Any = "1", ms: Any = NEXT_MS, number: Any = 2_495
) -> str:
    rows = tape()
    rows.insert(AT, (number, price, size, ms, "true"))
    return written(rows, "BTCUSDT-bad.csv")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"price": "nan"}, "not_finite"),
        ({"price": "inf"}, "not_finite"),
        ({"price": "-inf"}, "not_finite"),
        ({"price": "1e400"}, "not_finite"),
        ({"price": "0"}, "not_positive"),
        ({"price": "-60000"}, "not_positive"),
        ({"price": "60000000000"}, "jump"),
        ({"price": "0.06"}, "jump"),
        ({"price": "1e308"}, "jump"),
        ({"size": "nan"}, "not_finite"),
        ({"size": "-1"}, "not_finite"),
        ({"number": 1_000}, "duplicate"),
        ({"ms": "9223372036854775807"}, "clock_jump"),
        ({"ms": START_MS + 500 * 86_400_000}, "clock_jump"),
        ({"ms": "99999999999999999999"}, "malformed"),
        ({"price": "abc"}, "malformed"),
        ({"price": ""}, "malformed"),
        ({"price": "6_0000"}, "malformed"),
        ({"price": "٣٠٠٠٠"}, "malformed"),
        ({"number": "9223372036854775808"}, "malformed"),
    ],
)
def test_a_refused_row_changes_nothing(
    row: dict[str, Any], reason: str, run: Callable[..., Any]
) -> None:
    """One bad row is one rejection with its reason, and every other event is that of the clean
    tape. Catches a bad price that trades, and a reason that is lost."""
    run(DATA)
    clean = story(Path("out"))
    assert any(event["event"] == "rebalanced" for event in clean)
    bad = run(with_row(**row))
    assert bad.code == 0
    assert bad.json["rejected"] == {reason: 1}
    assert story(Path("out")) == clean
    (said,) = [e for e in events_in(Path("out")) if e["event"] == "input_rejected"]
    assert said["reason"] == reason
    assert said["detail"]


def test_a_row_back_in_time_moves_no_price(run: Callable[..., Any]) -> None:
    """A late trade is counted as late and trades nothing. Catches a price taken from the past."""
    run(DATA)
    clean = story(Path("out"))
    late = run(with_row("30000", ms=START_MS))
    assert (late.json["late_trades"], late.json["rejected"]) == (1, {})
    assert story(Path("out")) == clean


def test_rows_told_twice_count_once(run: Callable[..., Any]) -> None:
    """A stretch that comes again is refused row by row. Catches volume and wakes doubled."""
    run(DATA)
    clean = story(Path("out"))
    rows = tape()
    again = run(written(rows[:200] + rows[120:], "BTCUSDT-twice.csv"))
    assert again.json["rejected"] == {"duplicate": 80}
    assert story(Path("out")) == clean


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_a_lasting_leap_is_believed_and_all_is_conserved(factor: float, folder: Path) -> None:
    """Three rows that agree are a market: the engine lives, and money still sums to zero.

    Catches an overflow and a transfer of one side only where prices move by 10^6.
    """
    rows = [
        (i, f"{float(price) * (factor if n >= AT else 1.0):.9f}", size, ms, maker)
        for n, (i, price, size, ms, maker) in enumerate(tape())
    ]
    recording = open_recording([folder / written(rows)])
    config = load_config(None, symbols=recording.symbols)
    engine = Engine(spec_of(config, recording.symbols))
    for step in recording.steps(block_rows=64):
        engine.process(step)
        engine.ledger.check()
    engine.finish()
    engine.ledger.check()
    assert engine.state.rejected == {"jump": 2}


@pytest.mark.parametrize("price", ["nan", "-1"])
def test_a_tape_of_nothing_good_launches_nothing(price: str, run: Callable[..., Any]) -> None:
    """Where no row can be believed the run ends, and says that nothing was launched."""
    rows = [(i, price, size, ms, maker) for i, _, size, ms, maker in tape(20)]
    told = run(written(rows))
    assert told.code == 0
    assert sum(told.json["rejected"].values()) == 20
    assert "Nothing was launched" in told.json["verdict"]


TRADE = capture(AT + 1)[-2]
TOP = capture(AT + 1)[-1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (TRADE[:60], "malformed"),
        (TRADE.replace('"trade"', '"forceOrder"'), "malformed"),
        (TRADE.replace('"p":"', '"p":"x'), "malformed"),
        (TRADE.split(" ", 1)[0] + " " + "[" * 100_000 + "]" * 100_000, "malformed"),
        (TRADE.split(" ", 1)[0] + " null", "malformed"),
        ("\0\0", "malformed"),
        (TOP.replace('"a":"', '"a":"1","x":"'), "crossed"),
        (TOP.replace('"b":"', '"b":"-'), "not_positive"),
        (TOP.replace('"a":"', '"a":"inf","x":"'), "not_finite"),
    ],
)
@pytest.mark.parametrize("place", ["in the middle", "at the end"])
def test_a_line_that_cannot_be_read(
    line: str, reason: str, place: str, run: Callable[..., Any]
) -> None:
    """Half a line, an unknown kind or symbol, nonsense: one rejection with file and line, in the
    middle as at the end of a capture. Catches a parser that stops or skips without a word."""
    lines = capture()
    Path(CAPTURE).write_text("\n".join(lines) + "\n")
    run(CAPTURE)
    clean = story(Path("out"))
    at = 2 * AT if place == "in the middle" else len(lines)
    Path(CAPTURE).write_text("\n".join([*lines[:at], line, *lines[at:]]))
    bad = run(CAPTURE)
    assert bad.code == 0
    assert bad.json["rejected"] == {reason: 1}
    assert story(Path("out")) == clean
    (said,) = [e for e in events_in(Path("out")) if e["event"] == "input_rejected"]
    assert reason != "malformed" or f"{CAPTURE}:{at + 1}:" in said["detail"]


def test_the_api_counts_the_same(folder: Path) -> None:
    """``engine.api.run`` refuses what the command refuses."""
    result = api.run(folder / with_row("nan"), write=False)
    assert result.summary["rejected"] == {"not_finite": 1}
