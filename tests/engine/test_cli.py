"""Tests of ``engine/cli``: what a user types, sees, and gets as an exit code."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from engine import api
from engine.cli import first_screen, main
from strategies.user import BUILT_IN
from tests.imported import COMPILED, IMPORTED_FROM

ROOT = Path(__file__).parents[2]
KLINES = "".join(
    f"{1_700_000_000_000 + n * 60_000},{p},{p * 1.004},{p * 0.996},{p * 1.001},5,"
    f"{1_700_000_059_999 + n * 60_000},1,10,1,1,0\n"
    for n, p in enumerate(60_000.0 * (1.0 + 0.05 * ((n * 7) % 11 - 5) / 10) for n in range(120))
)
ROUND = "class {name}:\n    def target(self, market, position):\n        return {answer}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two hours of bars in ``BTCUSDT-1m-um.csv``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "BTCUSDT-1m-um.csv").write_text(KLINES)
    return tmp_path


DATA = "BTCUSDT-1m-um.csv"


class Typed:
    """A command that was typed: exit code and what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.code = main(list(arguments))
        self.out, self.err = capsys.readouterr()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda *arguments: Typed(capsys, *arguments)


# Running ------------------------------------------------------------------------------


def test_run_shows_verdict_table_and_paths(folder: Path, typed: Any) -> None:
    """A run shows the sentence, a row a product, the counters, the paths and what to do next."""
    done = typed("run", DATA, "--out", "one")
    assert done.code == 0
    summary = json.loads((folder / "one" / "summary.json").read_text())
    assert done.out.splitlines()[0] == summary["verdict"]
    for product in summary["products"]:
        assert re.search(rf"^ {product} ", done.out, re.MULTILINE)
    assert f"ticks {summary['ticks']:,} at " in done.out
    assert "assumed: funding_zero, depth" in done.out
    assert "wrote one/ (report.html, summary.json, nav.parquet, events.jsonl, run.toml)" in done.out
    assert " again: levsim verify one   why: levsim explain one --product BTC3L" in done.out
    assert "replaying BTCUSDT-1m-um.csv" in done.err
    assert "\x1b" not in done.out + done.err


def test_the_next_command_is_one_that_works(
    folder: Path, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who typed ``python3 run.py`` is told to type that again; a path with a space is quoted."""
    monkeypatch.setenv("LEVSIM_COMMAND", "python3 run.py")
    done = typed("run", DATA, "--out", "my run", "--no-report")
    assert " again: python3 run.py verify 'my run'   why: python3 run.py explain" in done.out


def test_one_file_is_no_files(folder: Path, typed: Any) -> None:
    """``data inspect`` counts in words."""
    assert " rows from 1 file: " in typed("data", "inspect", DATA).out


def test_table_sums(folder: Path, typed: Any) -> None:
    """What is shown of a product sums to what it got, to the digits shown."""
    done = typed("run", DATA, "--out", "one", "--no-report")
    header = next(n for n, line in enumerate(done.out.splitlines()) if "(the myth)" in line)
    for line in done.out.splitlines()[header + 1 : header + 6]:
        numbers = [float(t.replace("−", "-")) for t in re.findall(r"[+−]?\d+\.\d+", line)]
        assert len(numbers) == 10, line
        assert sum(numbers[2:9]) == pytest.approx(numbers[1], abs=0.1)


def test_forced_cuts_are_no_rebalances(folder: Path) -> None:
    """Table and counters tell rebalances from forced cuts, as the report does and by its words;
    where nothing was forced there is no column for it."""
    done = api.run(DATA, write=False)
    rows, summary = done.table, done.summary
    for turn, cuts in enumerate((0, 1)):
        rows[0] |= {"rebalances": 1_266, "deleveragings": cuts}
        rows[1:] = [row | {"deleveragings": 0} for row in rows[1:]]
        (table,) = first_screen._tables(rows, 200)
        first = {str(column.header): next(iter(column.cells)) for column in table.columns}
        assert first["re-\nbalances"] == "1,266"
        assert first.get("forced\ncuts") == (None, "1")[turn]
    products = summary["products"].values()
    counters = first_screen._counters(summary)
    assert f"   rebalances {sum(p['rebalances'] for p in products):,}   " in counters
    assert f"   forced cuts {sum(p['deleveragings'] for p in products):,}   " in counters


def test_narrow_terminal(folder: Path) -> None:
    """Where a row does not fit, products become columns; no figure is cut."""
    rows = api.run(DATA, write=False).table
    (wide,) = list(first_screen._tables(rows, 200))
    assert next(column.header for column in wide.columns) == "\n"
    narrow = list(first_screen._tables(rows, 80))
    assert [column.header for table in narrow for column in table.columns if column.header] == [
        "BTC3L",
        "BTC3S",
        "BTC-SMART-L",
        "BTC-SMART-S",
        "BTC-SPOT",
        "BTC-FUT10L",
        "BTC-LOAN3L",
    ]
    for table in narrow:
        text = io.StringIO()
        Console(file=text, width=80).print(table)
        assert "…" not in text.getvalue()


def test_json_is_the_summary(folder: Path, typed: Any) -> None:
    """``--json`` prints the object of ``summary.json``, and nothing else on stdout."""
    done = typed("run", DATA, "--out", "one", "--json", "-q", "--no-report")
    assert done.json == json.loads((folder / "one" / "summary.json").read_text())
    assert "wrote one/" in done.err
    assert "replaying" not in done.err


def test_command_and_api_agree(folder: Path, typed: Any) -> None:
    """The command gives the digest of the API."""
    given = ["products.0.policies.0.low=2.997", "products.0.policies.0.high=3.003"]
    done = typed("run", DATA, "--json", "--no-report", *(f"--set={each}" for each in given))
    result = api.run(DATA, sets=given, write=False)
    assert done.json["digest"] == result.summary["digest"]
    assert done.json["products"]["BTC3L"]["rebalances"] > 50


def test_options_before_the_data(folder: Path, typed: Any) -> None:
    """``--set`` takes one value, so that data may follow it."""
    done = typed("run", "--set", "seed=3", "--set", "bars=close", DATA, "--json", "--no-report")
    assert done.code == 0
    assert (done.json["seed"], done.json["ticks"]) == (3, 120)


def test_quiet(folder: Path, typed: Any) -> None:
    """``-q`` prints the verdict and the paths, and no progress."""
    done = typed("run", DATA, "-q", "--out", "one", "--no-report")
    assert len(done.out.splitlines()) == 3
    assert done.err == ""


def test_verify_explain_report(folder: Path, typed: Any) -> None:
    """A run verifies; a changed digit is exit 5; it is explained; its page is written again."""
    assert typed("run", DATA, "--out", "one").code == 0
    good = typed("verify", "one")
    assert (good.code, "verified" in good.out) == (0, True)
    assert typed("verify", "one", "--json").json["mismatches"] == []
    assert "BTC3L" in typed("explain", "one", "--product", "BTC3L").out
    assert typed("explain", "one", "--product", "BTC3X").code == 4
    (folder / "one" / "report.html").unlink()
    assert typed("report", "one").out == "wrote one/report.html\n"
    assert (folder / "one" / "report.html").exists()
    events = folder / "one" / "events.jsonl"
    text = events.read_text()
    place = text.index('"lots":') + len('"lots":') + 1
    events.write_text(f"{text[:place]}{9 - int(text[place])}{text[place + 1 :]}")
    bad = typed("verify", "one")
    assert (bad.code, "events.jsonl: differs" in bad.out) == (5, True)


def test_latest_run_is_the_default(folder: Path, typed: Any) -> None:
    """Without a directory the latest run is meant."""
    assert typed("verify").code == 4
    assert typed("run", DATA, "-q", "--no-report").code == 0
    assert typed("verify", "-q").code == 0
    assert typed("explain").code == 0


# Policies -----------------------------------------------------------------------------


def test_own_policy(folder: Path, typed: Any) -> None:
    """A class of one's own runs by FILE.py:Class, and verifies from another folder."""
    (folder / "mine.py").write_text(ROUND.format(name="Mine", answer="2.0"))
    done = typed("run", DATA, "--policy", "mine.py:Mine", "--json", "--no-report", "--out", "one")
    assert done.code == 0
    assert done.json["products"]["BTC-SMART-L"]["target"] == 2.0
    assert done.json["products"]["BTC-SMART-L"]["rebalances"] > 50
    (folder / "elsewhere").mkdir()
    os.chdir(folder / "elsewhere")
    assert typed("verify", "../one", "-q").code == 0


def test_faulty_policy_is_exit_1(folder: Path, typed: Any) -> None:
    """A policy that answers nonsense is faulted, the run goes on, says so, and is exit 1."""
    (folder / "mine.py").write_text(ROUND.format(name="Mine", answer="float('nan')"))
    done = typed("run", DATA, "--policy", "mine.py:Mine", "--no-report", "--out", "one")
    assert done.code == 1
    assert "policy faults 1" in done.out
    assert "Mine.target returned nan" in (folder / "one" / "events.jsonl").read_text()


def test_policy_list(typed: Any) -> None:
    """Built-in policies are listed with their parameters."""
    listed = typed("policy", "list").out
    assert "leverage_band: Trade back to target" in listed
    assert "target_vol = 0.6, fast_move = 0.03" in listed
    names = [policy["name"] for policy in typed("policy", "list", "--json").json["built_in"]]
    assert names == list(BUILT_IN)


def test_venue_list_and_show(typed: Any) -> None:
    """Presets are listed with the age of their facts, and shown with sources and assumptions."""
    assert "gate: Gate USDT perpetuals, as of 2026-08-09" in typed("venue", "list").out
    names = [venue["name"] for venue in typed("venue", "list", "--json").json["venues"]]
    assert names == ["binance", "bybit", "gate", "bitmex", "hyperliquid", "dydx"]
    shown = typed("venue", "show", "gate").out
    assert "    to 1,000,000: 150.01x, maintenance 0.35 %, less 250" in shown
    assert "    venue_fund: the fund pays until it is empty" in shown
    rules = typed("venue", "show", "hyperliquid", "--symbol", "ETHUSDT", "--json").json
    assert rules["orders"]["price_decimals"] == 2
    assert [tier["cap"] for tier in rules["margin"]["tiers"]] == [100_000_000.0, None]
    coin = typed("venue", "show", "bitmex", "--symbol", "XBTUSD", "--json").json
    assert (coin["contract"]["kind"], coin["contract"]["lot_size"]) == ("inverse", 100.0)
    assert typed("venue", "show", "bitmex", "--json").json["symbol"] == "XBTUSD"
    for asked in (("show", "bitmex", "--symbol", "BTCUSDT"), ("limits", "bitmex", "BTCUSDT:1:9e4")):
        linear = typed("venue", *asked, *(("--wallet", "1e5") if asked[0] == "limits" else ()))
        assert linear.code == 3
        assert "bitmex counts its tiers of BTC in BTC, for inverse contracts" in linear.err
    wrong = typed("venue", "show", "gat")
    assert wrong.code == 3
    assert 'there is no venue "gat"; did you mean "gate"?' in wrong.err


# Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("frob",), 2, 'Unknown command "frob"'),
        (("run", "--frob"), 2, "Unknown option: --frob"),
        (("run", "--bars", "upside"), 2, "upside"),
        (("run", DATA, "-c", "none.toml"), 3, "none.toml: no such configuration file"),
        (("run", DATA, "--set", "sed=1"), 3, 'sed is not a setting; did you mean "seed"?'),
        (("run", DATA, "--policy", "trend-vl"), 3, "Did you mean 'trend_vol'?"),
        (("run", DATA, "--policy", "none.py:A"), 3, "no such file: none.py"),
        (("run", "none.csv"), 4, "none.csv: no such file or folder"),
        (("run", "empty.csv"), 4, "empty.csv: the file is empty"),
        (("run", DATA, "--requests", "none.jsonl"), 4, "none.jsonl"),
        (("data", "inspect", "noise.bin"), 4, "noise.bin: no recording"),
        (("data", "import"), 4, "give the files or folders to import"),
        (("verify", "none"), 4, "none is no run directory"),
        (("report", "none"), 4, "none is no run directory"),
        (("explain", "none"), 4, "none"),
        (("conform", "none.json"), 4, "none.json: No such file"),
        (("serve",), 3, "which symbols do the ticks have?"),
    ],
)
def test_errors(
    arguments: tuple[str, ...], code: int, expected: str, folder: Path, typed: Any
) -> None:
    """Each error has its exit code, a sentence on stderr, and never a traceback."""
    (folder / "empty.csv").touch()
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 4)
    done = typed(*arguments)
    assert done.code == code
    assert done.out == ""
    assert "error: " in done.err
    assert expected in done.err
    assert "Traceback" not in done.err


def test_internal_errors(monkeypatch: pytest.MonkeyPatch, typed: Any) -> None:
    """What nobody expected is one line and exit 1; ``--debug`` shows the traceback."""

    def broken(*_: object) -> None:
        raise RuntimeError("out of cheese\nsecond line")

    monkeypatch.setattr("engine.inputs.open_data", broken)
    done = typed("data", "inspect", "x")
    assert done.code == 1
    assert done.err == (
        "internal error: RuntimeError: out of cheese; please report it, with --debug for the "
        "traceback\n"
    )
    with pytest.raises(RuntimeError, match="out of cheese"):
        typed("data", "inspect", "x", "--debug")


def test_interrupt(monkeypatch: pytest.MonkeyPatch, typed: Any) -> None:
    """Ctrl-C is no error of ours."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.inputs.open_data", stopped)
    done = typed("data", "inspect", "x")
    assert (done.code, done.err) == (130, "error: interrupted\n")


# Data ---------------------------------------------------------------------------------


def test_data_commands(folder: Path, typed: Any) -> None:
    """Inspected, imported, and replayed from Parquet to the same digest."""
    assert "BTCUSDT" in typed("data", "inspect", DATA).out
    found = typed("data", "inspect", DATA, "--json").json
    assert found["rows"] == found["rows_by_kind"]["trade"] == 480
    assert (
        typed("data", "import", DATA, "-o", "x/y.parquet", "--json").json["path"] == "x/y.parquet"
    )
    one = typed("run", DATA, "--json", "--no-report", "--out", "one").json
    two = typed("run", "x/y.parquet", "--json", "--no-report", "--out", "two").json
    assert one["digest"] == two["digest"]
    assert typed("data", "import", "x/y.parquet", "-o", "x/y.parquet").code == 4


def test_conform_command(folder: Path, typed: Any) -> None:
    """``conform`` is exit 0 where all is met, 1 where a supported vector fails."""
    group = {
        "id": "PATH",
        "vectors": [
            {"id": "P.1", "inputs": {"target": 2, "path": [1, 2]}, "expected": {"nav_factor": 3}}
        ],
    }
    unknown = {"id": "MOON", "vectors": [{"id": "M.1", "inputs": {}}]}
    path = folder / "v.json"
    path.write_text(json.dumps({"groups": [group, unknown]}))
    good = typed("conform", "v.json")
    assert good.code == 0
    assert good.out.splitlines()[-2:] == ["unsupported groups: MOON", "1 passed, 1 unsupported"]
    assert typed("conform", "v.json", "--json").json["passed"] == 1
    assert typed("conform", "v.json", "--values").json == {"P.1": {"nav_factor": 3.0}}
    group["vectors"][0]["expected"]["nav_factor"] = 4  # type: ignore[index]  # plain JSON
    path.write_text(json.dumps({"groups": [group]}))
    bad = typed("conform", "v.json")
    assert bad.code == 1
    assert "failed   P.1: nav_factor: 3.0, expected 4" in bad.out


# Kafka --------------------------------------------------------------------------------


def test_no_broker(folder: Path, typed: Any) -> None:
    """A broker that is away is a sentence and exit 1."""
    done = typed("publish", DATA, "--kafka", "127.0.0.1:1", "-q")
    assert done.code == 1
    assert "error: kafka connect" in done.err
    assert "Traceback" not in done.err


@pytest.mark.kafka
def test_publish_and_serve(folder: Path, typed: Any, kafka_brokers: str) -> None:
    """Published and served, a recording ends at the digest of its replay."""
    settings = ("--set", "output.nav_every=10s")
    told = typed("publish", DATA, "--kafka", kafka_brokers, "--prefix", "cli.", "--json").json
    assert told == {"topic": "cli.ticks", "rows": 480}
    served = typed(
        *(
            "serve",
            "--kafka",
            kafka_brokers,
            "--prefix",
            "cli.",
            "--like",
            DATA,
            "--once",
            "--json",
        ),
        *settings,
    )
    assert served.code == 0, served.err
    assert (served.json["sequence"], served.json["finished"]) == (480, True)
    replayed = typed("run", DATA, "--json", "--no-report", *settings).json
    assert served.json["digest"] == replayed["digest"]
    reached = ("--kafka", kafka_brokers, "--prefix", "cli.")
    fanned_out = typed("fanout", *reached, "--users", "0..0", "--once", "--json")
    assert fanned_out.code == 0, fanned_out.err
    assert fanned_out.json["refused"] == 0
    users = ("--users", "0..0")
    totals = typed("nav", *reached, *users, "--like", DATA, "--once", "--json", *settings)
    assert totals.code == 0, totals.err
    assert totals.json["read"] > 0
    refused = typed("nav", *reached, "--like", DATA, "--every", "soon")
    assert (refused.code, "--every" in refused.err) == (3, True)
    for users in ("0..1", "1", "1..0", "a..b", "-1", "0.."):
        refused = typed("fanout", *reached, "--users", users)
        assert (refused.code, "--users" in refused.err) == (3, True), users


# The process --------------------------------------------------------------------------


def levsim(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": IMPORTED_FROM, **environment},
    )


def test_help_is_quick() -> None:
    """``levsim --help`` takes less than 0.3 s of the processor, and names every command."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = levsim("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert done.returncode == 0
        for command in ("run", "verify", "explain", "report", "policy", "data", "conform", "serve"):
            assert re.search(rf"\b{command}\b", done.stdout)
    assert min(taken) < 0.3
    code = (
        "import sys; from engine.cli import main; main(['--help']); print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "command",
    [
        ("policy", "list"),
        ("pack", "list"),
        ("pack", "show", "gate-3l"),
        ("venue", "list"),
        ("scenario", "list"),
        ("data", "inspect", DATA),
    ],
)
def test_lists_wait_for_neither_engine_nor_page(command: tuple[str, ...], folder: Path) -> None:
    """What takes long to import is imported by who needs it: the engine and the way to results by
    runs, formats of recordings by who opens one. Catches a name that a list shares with a run."""
    code = (
        "import sys; from engine.cli import main; main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": IMPORTED_FROM},
    )
    loaded = set(done.stderr.split())
    assert not {"engine.engine", "engine.rundir", "bokeh", "aiokafka", "structlog"} & loaded
    assert ("feeds.formats.registry" in loaded) == (command[0] == "data")


def test_exit_code_of_the_process(folder: Path) -> None:
    """The process ends with the command's exit code, and a closed pipe is no error."""
    assert levsim("run", "none.csv").returncode == 4
    kind = "compiled" if COMPILED else "interpreted"
    assert levsim("--version").stdout.strip() == f"levsim 0.1.0 ({kind} heart)"
    piped = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m engine policy list | head -1 >/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": IMPORTED_FROM},
    )
    assert piped.stderr == ""
