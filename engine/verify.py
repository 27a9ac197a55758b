"""Run again from what a run directory holds: any changed byte of its outputs is a mismatch."""

from __future__ import annotations

import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from engine.api import execute, load, open_data
from engine.config import PROVENANCE, load_config
from engine.errors import InputError, LevsimError
from engine.report import render
from feeds.formats.files import sha256

__all__ = ["verify"]

_TIMINGS: Final = ("engine_seconds", "ticks_per_second", "run_seconds")
_COMPARED: Final = (
    "events.jsonl",
    "nav.parquet",
    "user_nav.parquet",
    "fills.parquet",
    "journal.bin",
)


def verify(path: str | Path, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Run again from what the directory holds; what differs, nothing where all bytes agree.

    Raises:
        InputError: if the directory or one of its inputs is gone or another one.
    """
    directory = Path(path)
    kept = load(directory).summary
    try:
        whole = tomllib.loads((directory / "run.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{directory} has no run.toml; it cannot be run again") from None
    except tomllib.TOMLDecodeError as error:
        return [f"run.toml: {error}"]
    provenance = whole.get(PROVENANCE, {})
    data = open_data(_unchanged(provenance.get("inputs", ())), provenance.get("symbol"))
    requests = _unchanged([provenance["requests"]])[0] if "requests" in provenance else None
    _unchanged(provenance.get("policies", ()))
    try:
        config = load_config(directory / "run.toml", symbols=data.symbols)
    except LevsimError as error:
        return [f"run.toml: {error}"]
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "run"
        symbol = provenance.get("symbol")
        result = execute(
            data,
            config,
            requests=requests,
            out=again,
            progress=progress,
            report=False,
            symbol=symbol,
        )
        return _differences(directory, kept, again, result.summary)


def _differences(
    directory: Path, kept: dict[str, Any], again: Path, summary: dict[str, Any]
) -> list[str]:
    found = [
        f"{name}: {'missing' if not (directory / name).exists() else 'differs'}"
        for name in _COMPARED
        if not _same_bytes(directory / name, again / name)
    ]
    fresh = json.loads(json.dumps(summary))
    found += [
        f"summary.json: {key} was {_short(kept.get(key))}, is {_short(fresh.get(key))}"
        for key in dict.fromkeys([*kept, *fresh])
        if key not in _TIMINGS and kept.get(key) != fresh.get(key)
    ]
    if (directory / "report.html").exists() and not found:
        shutil.copy(directory / "summary.json", again / "summary.json")
        shutil.copy(directory / "run.toml", again / "run.toml")
        render(again)
        if not _same_bytes(directory / "report.html", again / "report.html"):
            found.append("report.html: differs")
    return found


def _same_bytes(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _unchanged(inputs: Iterable[dict[str, Any]]) -> list[str]:
    """The paths of the inputs, each checked against its hash."""
    paths = []
    for one in inputs:
        path = Path(one["path"])
        if one.get("format") == "synthetic":
            continue
        if not path.exists():
            raise InputError(f"{path} is gone; the run cannot be repeated without it")
        if sha256(str(path)) != one["sha256"]:
            raise InputError(f"{path} is not the file of the run: its sha256 differs")
        paths.append(str(path))
    return paths
