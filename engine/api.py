"""A run as objects: the composition root.

``run(...)`` does what ``levsim run`` does and gives the results as a ``RunResult``: tables are ``pyarrow`` tables, ``repr`` in
a notebook is the verdict with its table. It needs no event loop and works inside one.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import structs

from engine.config import (
    PROVENANCE,
    RunConfig,
    assumptions,
    load_config,
    resolved_toml,
    spec_of,
    write_toml,
)
from engine.engine import Engine, EngineSpec
from engine.errors import InputError, LevsimError
from engine.events import Message
from engine.replay import Journal, replay
from engine.report import render, table_of, verdict_of
from engine.rundir import RunWriter
from engine.summary import summarise
from engine.ticks import Step
from engine.units import UNIT_STEPS, asset_decimals
from feeds.formats.files import sha256 as file_sha256
from feeds.merge import merge_requests
from feeds.recording import Recording, open_recording
from feeds.requests import load_requests
from feeds.synthetic import Synthetic

__all__ = ["RunResult", "load", "open_data", "run", "verify"]

Data = Recording | Synthetic
VERSION: Final = "0.1.0"
_TIMINGS: Final = ("engine_seconds", "ticks_per_second", "run_seconds")
_COMPARED: Final = (
    "events.jsonl",
    "nav.parquet",
    "user_nav.parquet",
    "fills.parquet",
    "journal.bin",
)
_OTHER_ORDER: Final = {"ohlc": "olhc", "olhc": "ohlc"}
_UNDECIDED_SHARE: Final = 0.10


class RunResult:
    """A finished run.

    Attributes:
        path: the run directory; ``None`` where nothing was written.
        summary: the object of ``summary.json``.
    """

    def __init__(self, path: Path | None, summary: dict[str, Any]) -> None:
        self.path = path
        self.summary = summary

    @property
    def verdict(self) -> str:
        """The run in one sentence."""
        return verdict_of(self.summary)

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row a product: what its multiple promised, what it gave, and where the difference went."""
        return table_of(self.summary)

    @property
    def exit_code(self) -> int:
        """1 where a policy faulted, else 0."""
        return int(any(p["policy_faults"] for p in self.summary["products"].values()))

    @cached_property
    def nav(self) -> pa.Table:
        """NAV samples: ``ts_ns, ts, product, nav_per_unit, units, leverage, mark_price`` and the attribution in quote."""
        return self._table("nav.parquet")

    @cached_property
    def user_nav(self) -> pa.Table:
        """Users' NAVs: ``ts_ns, user, product, units, nav_atoms``."""
        return self._table("user_nav.parquet")

    @cached_property
    def fills(self) -> pa.Table:
        """Every execution."""
        return self._table("fills.parquet")

    def attribution(self, product: str) -> pa.Table:
        """The attribution of one product over time, in quote."""
        chosen = self.nav.filter(pc.equal(self.nav["product"], product))
        return chosen.drop_columns(["product", "sequence", "ordinal"])

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Events in order, or those of one kind (``rebalanced``, ``order_filled``, ...)."""
        lines = (self._directory() / "events.jsonl").read_bytes().splitlines()
        events = [json.loads(line) for line in lines]
        return events if kind is None else [e for e in events if e["event"] == kind]

    def report(self) -> Path:
        """Write ``report.html`` into the run directory; its path."""
        return render(self._directory())

    def _table(self, name: str) -> pa.Table:
        return pq.read_table(self._directory() / name)

    def _directory(self) -> Path:
        if self.path is None:
            raise InputError("this run wrote no directory; give run(..., out=DIRECTORY)")
        return self.path

    def __repr__(self) -> str:
        return f"<RunResult {self.path or 'in memory'}: {self.verdict}>"

    def _repr_html_(self) -> str:
        rows = self.table
        heads = "".join(f"<th>{name}</th>" for name in (rows[0] if rows else {}))
        body = "".join(
            "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>"
            for row in rows
        )
        return f"<p><b>{self.verdict}</b></p><table><tr>{heads}</tr>{body}</table>"


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def open_data(data: Sequence[str | Path] | str | Path = (), symbol: str | None = None) -> Data:
    """A recording, or the synthetic sample for no data or ``sample``."""
    paths = [data] if isinstance(data, str | Path) else list(data)
    if not paths or [str(p) for p in paths] == ["sample"]:
        return Synthetic()
    return open_recording(paths, symbol=symbol)


def run(
    data: Sequence[str | Path] | str | Path = (),
    *,
    config: str | Path | RunConfig | None = None,
    sets: Sequence[str] = (),
    policy: str | None = None,
    requests: str | Path | None = None,
    symbol: str | None = None,
    bars: str | None = None,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: bool = True,
    write: bool = True,
) -> RunResult:
    """Replay recorded markets through the products of a configuration.

    Args:
        data: files or folders; the synthetic sample without.
        config: TOML file, or a configuration; the standard line-up without.
        sets: ``KEY=VALUE`` changes of the configuration.
        policy: replaces the dynamic policies, by name or ``FILE.py:Class``.
        requests: JSON lines of creations and redemptions.
        symbol: for files that do not name theirs.
        bars: order of the extremes within a bar.
        out: run directory; made under ``runs/`` without.
        progress: told ``(rows done, event time in ns)``.
        report: whether to write ``report.html``.
        write: ``False`` keeps everything in memory.

    Raises:
        LevsimError: bad configuration, policy or data; the message says where and what to do.
    """
    opened = open_data(data, symbol)
    if not isinstance(config, RunConfig):
        config = load_config(config, list(sets), symbols=opened.symbols, policy=policy)
    if bars is not None:
        config = structs.replace(config, bars=bars)
    return _run(opened, config, requests, out, progress, report, write, symbol)


def _run(
    data: Data,
    config: RunConfig,
    requests: str | Path | None,
    out: str | Path | None,
    progress: Callable[[int, int], None] | None,
    report: bool,
    write: bool,
    symbol: str | None,
) -> RunResult:
    began = time.perf_counter()
    text = resolved_toml(config)
    hashed = sha256(text.encode()).hexdigest()
    spec = structs.replace(spec_of(config, data.symbols), config_hash=hashed)
    messages = load_requests(requests) if requests is not None else []
    path = _fresh_directory(out) if write else None
    engine = Engine(spec)
    writer = RunWriter(path, engine)
    done = replay(engine, _steps(data, config, messages), writer.collect, progress)
    writer.close()
    summary = {
        "levsim": VERSION,
        "synthetic": data.synthetic,
        "config_hash": hashed,
        "seed": config.seed,
        **summarise(engine, writer),
        "assumed": assumptions(config, data.symbols),
        "bars": _both_orders(data, config, spec, messages, engine),
        "engine_seconds": done.engine_seconds,
        "ticks_per_second": engine.state.ticks / max(done.engine_seconds, 1e-9),
        "run_seconds": time.perf_counter() - began,
    }
    summary = {"verdict": verdict_of(summary), **summary}
    if path is not None:
        _finish_directory(path, summary, text, data, requests, symbol, done.journal, engine)
        if report:
            render(path)
    return RunResult(path, summary)


def _steps(data: Data, config: RunConfig, messages: list[Message]) -> Iterator[Step]:
    steps = data.steps(bars=config.bars)
    return merge_requests(steps, messages) if messages else steps


def _both_orders(
    data: Data, config: RunConfig, spec: EngineSpec, messages: list[Message], first: Engine
) -> dict[str, Any] | None:
    """A bar-fed run is executed with the extremes the other way round, too: what the bars cannot decide."""
    other = _OTHER_ORDER.get(config.bars)
    if not data.bar_fed or other is None:
        return None
    second = Engine(spec)
    replay(second, _steps(data, structs.replace(config, bars=other), messages), _forget)
    one, two = _ends(first), _ends(second)
    decidable = {
        name: abs(one[name][0] - two[name][0]) <= _UNDECIDED_SHARE * max(one[name][0], two[name][0])
        and one[name][1] == two[name][1]
        for name in one
        if name in two
    }
    return {
        "orders": {
            config.bars: {name: end[0] for name, end in one.items()},
            other: {name: end[0] for name, end in two.items()},
        },
        "ruined": {
            config.bars: [name for name, end in one.items() if end[1]],
            other: [name for name, end in two.items() if end[1]],
        },
        "decidable": decidable,
    }


def _ends(engine: Engine) -> dict[str, tuple[float, bool]]:
    """NAV per unit in quote, and whether the product was closed, by product."""
    ends: dict[str, tuple[float, bool]] = {}
    for market in engine.markets:
        for handler in market.handlers:
            account = handler.account
            if handler.state.status != "pending" and account.units:
                scale = UNIT_STEPS / 10 ** asset_decimals(account.contract.quote_asset)
                per_unit = account.nav(market.state.mark) * scale / account.units
                ends[handler.spec.id] = (per_unit, handler.state.status == "closed")
    return ends


def _forget(_outputs: object) -> None:
    """The second order is run for its end alone."""


def _fresh_directory(out: str | Path | None) -> Path:
    if out is not None:
        path = Path(out)
        if path.exists() and any(path.iterdir()) and not (path / "run.toml").exists():
            raise InputError(f"{path} is not empty and is no run directory; give another --out")
        return path
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    path, number = Path("runs") / stamp, 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{stamp}-{number}"
    return path


def _finish_directory(
    path: Path,
    summary: dict[str, Any],
    config: str,
    data: Data,
    requests: str | Path | None,
    symbol: str | None,
    journal: Journal,
    engine: Engine,
) -> None:
    inputs = [
        {"path": _absolute(f.path), "sha256": f.sha256, "bytes": f.size, "format": f.format}
        for f in data.inputs
    ]
    provenance: dict[str, Any] = {
        "levsim": VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "config_hash": summary["config_hash"],
        "inputs": inputs,
    }
    if symbol is not None:
        provenance["symbol"] = symbol
    if requests is not None:
        provenance["requests"] = {
            "path": _absolute(str(requests)),
            "sha256": file_sha256(str(requests)),
        }
    text = f"{config.rstrip()}\n\n{write_toml({PROVENANCE: provenance})}"
    (path / "run.toml").write_text(text, encoding="utf-8")
    (path / "journal.bin").write_bytes(journal.encode(engine))
    (path / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    if path.parent.name == "runs":
        latest = path.parent / "latest"
        if latest.is_symlink() or not latest.exists():
            latest.unlink(missing_ok=True)
            latest.symlink_to(path.name)


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else path


def load(path: str | Path) -> RunResult:
    """A finished run from its directory.

    Raises:
        InputError: if it is none.
    """
    directory = Path(path)
    try:
        summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{directory} is no run directory: it has no summary.json") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{directory}/summary.json:{error.lineno}: {error.msg}") from None
    return RunResult(directory, summary)


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
    try:
        config = load_config(directory / "run.toml", symbols=data.symbols)
    except LevsimError as error:
        return [f"run.toml: {error}"]
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "run"
        result = _run(data, config, requests, again, progress, False, True, provenance.get("symbol"))
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
    for key in dict.fromkeys([*kept, *fresh]):
        if key not in _TIMINGS and kept.get(key) != fresh.get(key):
            found.append(f"summary.json: {key} was {_short(kept.get(key))}, is {_short(fresh.get(key))}")
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
        if file_sha256(str(path)) != one["sha256"]:
            raise InputError(f"{path} is not the file of the run: its sha256 differs")
        paths.append(str(path))
    return paths
