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


@pytest.mark.parametrize("factor", [1e6, 1e-6, 2e3])
def test_a_lasting_leap_beyond_all_markets_is_never_believed(
    factor: float, run: Callable[..., Any]
) -> None:
    """A price 1,000 times away is refused however often it comes, each row with its reason; what
    was before stays. Catches an engine that dies of a unit that changed, and money made of it."""
    rows = [
        (i, f"{float(price) * (factor if n >= AT else 1.0):.9f}", size, ms, maker)
        for n, (i, price, size, ms, maker) in enumerate(tape())
    ]
    told = run(written(rows))
    assert told.code == 0
    assert told.json["rejected"] == {"jump": len(rows) - AT}
    products = told.json["products"].values()
    assert all(0.5 < p["nav_end"] < 2.0 for p in products if p["kind"] != "futures")


@pytest.mark.parametrize("factor", [300.0, 1.0 / 300.0])
def test_a_lasting_leap_is_believed_and_all_is_conserved(factor: float, folder: Path) -> None:
    """Three rows that agree are a market: the engine lives, and money still sums to zero.

    Catches an overflow and a transfer of one side only where prices move by hundreds.
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


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("row", "ms"),
    [
        (AT, START_MS + 5 * DAY_MS),
        (AT, START_MS + 300 * DAY_MS),
        (AT, START_MS + 3_000 * DAY_MS),
        (len(tape()) - 1, START_MS + 4_000 * DAY_MS),
        (0, 0),
    ],
)
def test_one_row_of_another_time_costs_that_row(row: int, ms: int, run: Callable[..., Any]) -> None:
    """A stamp days or years ahead, and a first one of 1970, is one refusal. Catches a row that
    makes all later prices late, and one that is sampled and waited for until memory ends."""
    rows = tape()
    i, price, size, _, maker = rows[row]
    rows[row] = (i, price, size, ms, maker)
    told = run(written(rows))
    assert (told.code, told.json["rejected"]) == (0, {"clock_jump": 1})
    assert told.json["end_ns"] < (START_MS + DAY_MS) * 10**6


def test_a_recording_with_a_gap_of_two_months_goes_on_behind_it(run: Callable[..., Any]) -> None:
    """The two first rows behind the gap are lost, the others count, and the silence is left out of
    the samples. Catches a gap that ends the run, and 5M samples of nothing."""
    rows = [
        (i, price, size, ms + 60 * DAY_MS * (n >= AT), maker)
        for n, (i, price, size, ms, maker) in enumerate(tape())
    ]
    told = run(written(rows))
    assert told.code == 0
    assert told.json["rejected"] == {"clock_jump": 2}
    assert told.json["samples_left_out"] > 55 * 86_400
    assert told.json["end_ns"] > (START_MS + 59 * DAY_MS) * 10**6
    assert Path("out/nav.parquet").stat().st_size < 100 * 2**20


def test_one_stray_trade_id_refuses_nothing(run: Callable[..., Any]) -> None:
    """An id 2^40 ahead on a sound row changes nothing at all. Catches all later rows refused as
    duplicates."""
    clean = run(DATA).json
    rows = tape()
    rows[AT] = (2**40, *rows[AT][1:])
    told = run(written(rows))
    assert (told.json["rejected"], told.json["digest"]) == ({}, clean["digest"])


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


@pytest.mark.parametrize(
    ("price", "ms", "said"),
    [
        ("60000000000", START_MS, "299 of 300 rows were refused, 299 of them as jump; the first"),
        ("60000", START_MS + 400 * DAY_MS, "299 of them as late_trade; a row stamped too late"),
        ("60000", 5 * 10**11, "299 of them as clock_jump; the first time may be wrong"),
    ],
)
def test_a_bad_first_row_that_spoils_all_is_said_first(
    price: str, ms: int, said: str, run: Callable[..., Any], typed: Callable[..., Any]
) -> None:
    """What cannot be known at once is told at once: the verdict begins with the count, the main
    reason and what to do. Catches a clean verdict on data that nobody looked at."""
    rows = tape()
    rows[0] = (rows[0][0], price, "1", ms, "true")
    told = run(written(rows))
    assert told.code == 0
    assert told.json["verdict"].startswith("MOST OF THE DATA DID NOT COUNT: 299 of 300 rows")
    assert said in told.json["verdict"]
    assert "MOST OF THE DATA" in typed("run", DATA, "--no-report", "--out", "screen").out
    assert "MOST" not in run(written(tape())).json["verdict"]


def test_a_product_that_never_held_anything_says_why(run: Callable[..., Any]) -> None:
    """Lots that are too dear for its money, and a policy that asked for nothing, are told apart.
    Catches a product that shows 0 % as if it had been at work."""
    told = run(DATA, "--set", "markets.0.contract.lot_size=1e6").json
    assert "one lot of BTCUSDT is worth more than it may hold" in told["verdict"]
    Path("p.py").write_text("class P:\n    def target(self, market, position): return 0.0\n")
    told = run(DATA, "--policy", "p.py:P").json
    assert told["products"]["BTC-SMART-L"]["no_position"] == "its policies asked for none"
    assert told["products"]["BTC3L"]["no_position"] is None
    assert "never held a position: its policies asked for none" in told["verdict"]
