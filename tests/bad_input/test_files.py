"""Files that are broken, empty or something else: exit 4, with the place and what to do."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.tape import CAPTURE, DATA, csv_of, tape

CLEAN = csv_of(tape()).encode()
PACKED = gzip.compress(CLEAN)


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, CLEAN)
    return file.getvalue()


ZIP = zipped("a.csv")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("BTCUSDT-a.csv.gz", PACKED[: len(PACKED) // 2], "cut off or damaged"),
        ("BTCUSDT-a.csv.gz", PACKED[:-1], "cut off or damaged"),
        ("BTCUSDT-a.csv.gz", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "cut off or damaged"),
        ("BTCUSDT-a.zip", ZIP[: len(ZIP) // 2], "cut off or damaged"),
        ("BTCUSDT-a.zip", ZIP[:500] + b"\xff\xff\xff" + ZIP[503:], "cut off or damaged"),
        ("BTCUSDT-a.zip", zipped("a.csv", "b.csv"), "holds 2 files, expected one"),
        ("BTCUSDT-a.zip", zipped(), "holds 0 files"),
        ("BTCUSDT-a.csv", b"", "the file is empty"),
        ("BTCUSDT-a.csv.gz", gzip.compress(b""), "the file is empty"),
        ("BTCUSDT-a.csv", CLEAN.split(b"\n")[0] + b"\n", "is the file complete"),
        ("BTCUSDT-a.csv", CLEAN.replace(b",price,", b",prcie,", 1), ":1: the column price"),
        ("BTCUSDT-a.csv", os.urandom(64) + b"\0" * 500, "no recording that can be replayed"),
        ("nameless.csv", CLEAN, "give it with --symbol"),
        ("a.parquet", b"PAR1" + b"\0" * 60, "damaged Parquet"),
    ],
)
def test_a_broken_file(
    name: str, content: bytes, said: str, run: Callable[..., Any], folder: Path
) -> None:
    """Each is exit 4 with the file and what is wrong; stdout stays empty and no run is left behind.

    Catches a file that is replayed as far as it can be read, as if it were whole.
    """
    (folder / name).write_bytes(content)
    told = run(name)
    assert told.code == 4
    assert told.out == ""
    assert name in told.err
    assert said in told.err
    assert not (folder / "out").exists()


def test_the_line_of_the_break_is_told(run: Callable[..., Any], folder: Path) -> None:
    """A compressed file that breaks off names the line. Catches ``:1`` wherever it breaks."""
    long = csv_of(tape(4_000)).encode()
    packed = gzip.compress(long)
    (folder / "BTCUSDT-a.csv.gz").write_bytes(packed[: len(packed) // 2])
    line = int(run("BTCUSDT-a.csv.gz").err.split("BTCUSDT-a.csv.gz:")[1].split(":")[0])
    assert 1_000 < line < 3_900


def test_nothing_to_read(run: Callable[..., Any], folder: Path) -> None:
    """A folder without recordings, an empty one and none at all are told apart."""
    (folder / "notes").mkdir()
    assert "no recording found" in run("notes").err
    (folder / "notes" / "readme.txt").write_text("hello")
    assert run("notes").code == 4
    assert "no such file or folder" in run("nowhere").err


def test_a_line_without_end(
    run: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line longer than the longest is exit 4 with its number. Catches memory filled by a bomb."""
    monkeypatch.setattr("feeds.formats.files.LINE_BYTES_MAX", 1 << 20)
    (folder / CAPTURE).write_bytes(b'1723100000000000000 {"e":"trade"' + b" " * (3 << 20))
    told = run(CAPTURE)
    assert told.code == 4


def test_a_failed_run_leaves_no_stale_summary(run: Callable[..., Any], folder: Path) -> None:
    """A run that fails in a folder of an earlier one leaves neither's outputs, and the folder can
    be used again. Catches an old summary beside new events."""
    assert run(DATA).code == 0
    (folder / "BTCUSDT-cut.csv.gz").write_bytes(PACKED[:-8])
    assert run("BTCUSDT-cut.csv.gz").code == 4
    assert not (folder / "out" / "summary.json").exists()
    assert not (folder / "out" / "events.jsonl").exists()
    assert run(DATA).code == 0


@pytest.mark.parametrize("out", [DATA, f"{DATA}/deeper", "/proc/nowhere"])
def test_a_place_that_cannot_be_written(out: str, typed: Callable[..., Any], folder: Path) -> None:
    """``--out`` that is a file, lies in one or is refused is exit 4 and says what to give."""
    told = typed("run", DATA, "--out", out, "--json")
    assert told.code == 4
    assert "give another --out" in told.err
    assert (folder / DATA).read_bytes() == CLEAN


def test_a_folder_of_somebody_else_is_left_alone(typed: Callable[..., Any], folder: Path) -> None:
    """A run writes into no folder that holds other things. Catches lost files."""
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.txt").write_text("x")
    assert typed("run", DATA, "--out", "mine").code == 4
    assert [each.name for each in (folder / "mine").iterdir()] == ["thesis.txt"]
