"""Run again from what a run directory holds: any changed byte of its outputs is a mismatch."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from engine.config import PROVENANCE, load_config
from engine.errors import InputError, LevsimError
from engine.inputs import open_data, open_market
from engine.paths import paths
from engine.provenance import WHATIF, Data, summary_bytes
from engine.replay import endings_of
from engine.report import render
from engine.report.packing import opened
from engine.report.reading import readable
from engine.running import Told, execute, load
from engine.whatif import difference
from feeds.formats.files import sha256
from feeds.generators import FORMAT as GENERATED

__all__ = ["verify"]

_TIMINGS: Final = ("policy_times", "engine_seconds", "ticks_per_second", "run_seconds")
_VERSIONS: Final = re.compile(r"^(levsim|python|numpy|pyarrow) = .*\n", re.MULTILINE)
_CHANGED: Final = "whatif.json"
_DRAWN: Final = "paths.json"
_COMPARED: Final = (
    "events.jsonl",
    "nav.parquet",
    "user_nav.parquet",
    "fills.parquet",
    "milestones.parquet",
    "journal.bin",
)


class _File(Struct):
    path: str
    sha256: str
    format: str = ""


class _Provenance(Struct):
    """What of the provenance a repetition needs."""

    inputs: Annotated[tuple[_File, ...], Meta(min_length=1)]
    symbol: str | None = None
    requests: _File | None = None
    policies: tuple[_File, ...] = ()


def verify(path: str | Path, progress: Told | None = None) -> list[str]:
    """Run again from what the directory holds; what differs, nothing where all bytes agree.

    Raises:
        InputError: if the directory or one of its inputs is gone or another one.
    """
    directory = Path(path)
    kept = load(directory).summary
    try:
        whole = tomllib.loads((directory / "run.toml").read_text(encoding="utf-8"))
        provenance = msgspec.convert(whole.get(PROVENANCE), _Provenance)
    except FileNotFoundError:
        raise InputError(f"{directory} has no run.toml; it cannot be run again") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return [f"run.toml: {error}"]
    except msgspec.ValidationError as error:
        return [f"run.toml: {PROVENANCE}: {error}"]
    symbol = provenance.symbol
    data = _opened(directory, provenance)
    requests = _unchanged([provenance.requests])[0] if provenance.requests else None
    _unchanged(provenance.policies)
    try:
        config = load_config(directory / "run.toml", symbols=data.symbols)
    except LevsimError as error:
        return [f"run.toml: {error}"]
    try:
        endings = endings_of((directory / "journal.bin").read_bytes())
    except (OSError, InputError) as error:
        return [f"journal.bin: {error}"]
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "run"
        result = execute(
            data,
            config,
            requests=requests,
            out=again,
            progress=progress,
            report=False,
            symbol=symbol,
            endings=endings,
        )
        found = _differences(directory, kept, again, result.summary)
        return [*found, *_whatif(directory), *_paths(directory)]


def _whatif(directory: Path) -> list[str]:
    """The run with something changed, and the difference."""
    if not (directory / _CHANGED).exists():
        return []
    try:
        kept = json.loads((directory / _CHANGED).read_bytes())
        changes = list(kept["changes"])
    except (ValueError, KeyError, TypeError):
        return [f"{_CHANGED}: not as it was written"]
    found = [f"{WHATIF}/{mismatch}" for mismatch in verify(directory / WHATIF)]
    if not found and kept != json.loads(json.dumps(difference(directory, changes))):
        found.append(f"{_CHANGED}: differs")
    return found


def _paths(directory: Path) -> list[str]:
    """The paths that were drawn of the run, drawn again."""
    if not (directory / _DRAWN).exists():
        return []
    with readable(directory, _DRAWN):
        kept = json.loads((directory / _DRAWN).read_bytes())
        count = len(next(iter(kept["order"].values())))
        how = {name: kept[name] for name in ("steps", "vols", "days", "end", "seed")}
        again = paths(directory, paths=count, **how).plain()
    return [] if kept == json.loads(json.dumps(again)) else [f"{_DRAWN}: differs"]


def _opened(directory: Path, provenance: _Provenance) -> Data:
    """What the run replayed: its files as they were, or the market that it generated."""
    if provenance.inputs[0].format == GENERATED:
        _unchanged(provenance.inputs[1:])
        return open_market(config=directory / "run.toml")
    return open_data(_unchanged(provenance.inputs), provenance.symbol)


def _differences(
    directory: Path, kept: dict[str, Any], again: Path, summary: dict[str, Any]
) -> list[str]:
    found = [
        f"{name}: {'missing' if not (directory / name).exists() else 'differs'}"
        for name in _COMPARED
        if not _same_bytes(directory / name, again / name)
    ]
    if _configured(directory) != _configured(again):
        found.append("run.toml: differs")
    if (directory / "summary.json").read_bytes() != summary_bytes(kept):
        found.append("summary.json: not as it was written")
    fresh = json.loads(json.dumps(summary))
    found += [
        f"summary.json: {key} was {_short(kept.get(key))}, is {_short(fresh.get(key))}"
        for key in dict.fromkeys([*kept, *fresh])
        if key not in _TIMINGS and kept.get(key) != fresh.get(key)
    ]
    if (directory / "report.html").exists() and not found:
        shutil.copy(directory / "summary.json", again / "summary.json")
        shutil.copy(directory / "run.toml", again / "run.toml")
        for name in (_CHANGED, _DRAWN):
            if (directory / name).exists():
                shutil.copy(directory / name, again / name)
        render(again)
        if _shown(directory) != _shown(again):
            found.append("report.html: differs")
    return found


def _configured(directory: Path) -> str:
    """The text of ``run.toml`` without the versions, which another machine may have others of."""
    text = (directory / "run.toml").read_text(encoding="utf-8")
    settings, table, provenance = text.partition(f"\n[{PROVENANCE}]\n")
    return settings + table + _VERSIONS.sub("", provenance)


def _shown(directory: Path) -> str:
    """The text of ``report.html``, its packed parts opened: another machine may have another
    zlib, which packs the same otherwise."""
    page = (directory / "report.html").read_bytes()
    return opened(page.decode("utf-8", "surrogateescape"))


def _same_bytes(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _unchanged(inputs: Iterable[_File]) -> list[str]:
    """The paths of the inputs, each checked against its hash."""
    paths = []
    for one in inputs:
        path = Path(one.path)
        if one.format == "synthetic":
            continue
        if not path.exists():
            raise InputError(f"{path} is gone; the run cannot be repeated without it")
        if sha256(str(path)) != one.sha256:
            raise InputError(f"{path} is not the file of the run: its sha256 differs")
        paths.append(str(path))
    return paths
