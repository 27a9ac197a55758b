"""Run directories that were changed, and streams that are closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.tape import CAPTURE, DATA, capture, csv_of, tape
from tests.feeds.messages import bitmex_quote
from tests.imported import IMPORTED_FROM

_FAULTY = "class P:\n    def target(self, market, position):\n        raise ValueError(object())\n"


@pytest.fixture
def finished(run: Callable[..., Any]) -> Path:
    assert run(DATA).code == 0
    return Path("out")


@pytest.mark.parametrize(
    "name",
    [
        "events.jsonl",
        "nav.parquet",
        "user_nav.parquet",
        "fills.parquet",
        "milestones.parquet",
        "journal.bin",
        "summary.json",
        "run.toml",
    ],
)
def test_one_byte_more_is_a_mismatch(name: str, finished: Path, typed: Callable[..., Any]) -> None:
    """A byte added to any output is exit 5 and named. Catches a file that is only parsed."""
    assert typed("verify", finished).code == 0
    with (finished / name).open("ab") as file:
        file.write(b"\n")
    told = typed("verify", finished, "--json")
    assert told.code == 5
    assert told.json["mismatches"][0].startswith(name)


@pytest.mark.parametrize(
    ("text", "code"),
    [("[]", 4), ("5", 4), ("{}", 4), ("", 4), ('{"digest": ', 4), ("\udcff", 4)],
)
@pytest.mark.parametrize("command", ["verify", "explain", "report"])
def test_a_summary_that_is_none(
    command: str, text: str, code: int, finished: Path, typed: Callable[..., Any]
) -> None:
    """A summary of nothing is exit 4 and a sentence, for every command that reads one."""
    (finished / "summary.json").write_bytes(text.encode(errors="surrogateescape"))
    assert typed(command, finished).code == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "provenance = 5\n",
        "[provenance]\ninputs = [5]\n",
        "[provenance]\ninputs = []\n",
        "a = [\n",
    ],
)
def test_a_provenance_that_is_none(text: str, finished: Path, typed: Callable[..., Any]) -> None:
    """Without its provenance a run is not verified. Catches the sample replayed instead."""
    (finished / "run.toml").write_text(text)
    told = typed("verify", finished, "--json")
    assert told.code == 5
    assert told.json["mismatches"][0].startswith("run.toml")


@pytest.mark.parametrize("text", ["", "{}", "5", '{"changes": 5}'])
def test_a_difference_that_is_none(text: str, finished: Path, typed: Callable[..., Any]) -> None:
    """A ``whatif.json`` of nothing is a mismatch, and named."""
    (finished / "whatif.json").write_text(text)
    told = typed("verify", finished, "--json")
    assert told.code == 5
    assert told.json["mismatches"] == ["whatif.json: not as it was written"]


def test_an_input_that_changed_or_went(finished: Path, typed: Callable[..., Any]) -> None:
    """Another input, and none, are exit 4 and named."""
    with Path(DATA).open("a") as file:
        file.write("\n")
    assert "its sha256 differs" in typed("verify", finished).err
    Path(DATA).unlink()
    told = typed("verify", finished)
    assert told.code == 4
    assert f"{DATA} is gone" in told.err


@pytest.mark.parametrize("command", ["verify", "explain", "report"])
def test_no_run_at_all(command: str, typed: Callable[..., Any], folder: Path) -> None:
    """A folder of something else, a file and nothing are told to be no run directory."""
    (folder / "other").mkdir()
    for path in ("other", DATA, "nowhere"):
        told = typed(command, path)
        assert told.code == 4
        assert "is no run directory" in told.err


def test_a_missing_output_is_told(finished: Path, typed: Callable[..., Any]) -> None:
    """A report of a run without its NAVs is exit 4 and names them."""
    (finished / "nav.parquet").unlink()
    told = typed("report", finished)
    assert told.code == 4
    assert "nav.parquet missing" in told.err


def test_a_fault_verifies_from_anywhere(
    run: Callable[..., Any], typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run of a faulty policy verifies in another folder. Catches its path, or where an object
    lay in memory, in the output log."""
    Path("p.py").write_text(_FAULTY)
    assert run(DATA, "--policy", "p.py:P").code == 1
    finished = Path("out").resolve()
    monkeypatch.chdir("/")
    assert typed("verify", finished).code == 0


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (DATA, csv_of(tape()).splitlines()),
        (CAPTURE, capture()),
        ("quotes.txt", [bitmex_quote(second, 99, 100).strip() for second in range(1, 30)]),
    ],
)
def test_a_line_that_cannot_be_read_verifies_from_anywhere(
    name: str,
    lines: list[str],
    folder: Path,
    run: Callable[..., Any],
    typed: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run names a file as it was typed, its repetition by where it lies: the events of both name
    it by its name alone. Catches a folder in the output log, and in the digest."""
    half = lines[4][: len(lines[4]) // 2]
    (folder / name).write_text("\n".join([*lines[:5], half, *lines[5:], ""]))
    assert run(name).json["rejected"] == {"malformed": 1}
    finished = Path("out").resolve()
    assert f'"{name}:6: ' in (finished / "events.jsonl").read_text()
    monkeypatch.chdir("/")
    assert typed("verify", finished).code == 0


def shell(line: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A line of shell in which ``levsim`` is ours."""
    ours = f'levsim() {{ "{sys.executable}" -m engine "$@"; }}; set -o pipefail; {line}'
    environment = os.environ | {"PYTHONPATH": IMPORTED_FROM} | more
    return subprocess.run(  # our own command
        ["/bin/bash", "-c", ours], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("end", [">&-", "2>&-", ">&- 2>&-", "| head -1", "| true"])
def test_a_reader_who_has_gone(end: str, folder: Path) -> None:
    """Closed streams and pipes change neither exit code nor run, and show no traceback."""
    done = shell(f"levsim run {DATA} --out out --no-report {end}")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (folder / "out" / "summary.json").exists()


def test_an_encoding_without_a_minus_sign(folder: Path) -> None:
    """Where the terminal lacks a sign it is escaped. Catches a loss shown without its minus."""
    assert folder.is_dir()
    done = shell(f"levsim run {DATA} --out out --no-report", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\u2212" in done.stdout


def test_ctrl_c(folder: Path) -> None:
    """SIGINT is one line, exit 130, and no half of a run."""
    run = subprocess.Popen(  # our own command
        [sys.executable, "-m", "engine", "run", "--out", "out"],
        env=os.environ | {"PYTHONPATH": IMPORTED_FROM},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(60_000):
        if (folder / "out" / "nav.parquet").exists():
            break
        time.sleep(0.001)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=20)[1]
    assert run.returncode == 130
    assert said.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in said
    assert not (folder / "out").exists()
