"""A run as objects: the composition root.

``run(...)`` does what ``levsim run`` does and gives the results as a ``RunResult``: tables are
``pyarrow`` tables, ``repr`` in a notebook is the verdict with its table. It needs no event loop and
works inside one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import structs

from engine.bar_orders import OTHER_ORDER, compare_orders
from engine.config import (
    RunConfig,
    assumptions,
    isolated,
    load_config,
    placed,
    resolved_toml,
    spec_of,
)
from engine.endings import Ending, asked, taken_down
from engine.engine import Engine
from engine.errors import ConfigError, InputError
from engine.inputs import open_data, open_market
from engine.provenance import VERSION, Data, finish_directory, output_directory, writing
from engine.replay import replay
from engine.report import render, table_of, verdict_of
from engine.report.reading import readable, summary_of
from engine.rundir import RunWriter
from engine.summary import policy_times, summarise
from engine.sweep import SweepResult, load_sweep, sweep
from feeds.merge import merge_requests
from feeds.reading import Reading
from feeds.requests import load_requests

__all__ = [
    "RunResult",
    "SweepResult",
    "Told",
    "execute",
    "load",
    "load_sweep",
    "open_data",
    "open_market",
    "run",
    "sweep",
]

Told = Callable[[int, int, float], None]
"""Told ``(rows done, event time in ns, share of the run from 0.0 to 1.0)`` after each step. Where
bars are run in both orders, each is half of the run."""


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
        """A row a product: what its multiple promised, what it gave, and where the difference
        went."""
        return table_of(self.summary)

    @property
    def exit_code(self) -> int:
        """1 where a policy faulted, else 0."""
        return int(any(p["policy_faults"] for p in self.summary["products"].values()))

    @cached_property
    def nav(self) -> pa.Table:
        """NAV samples: ``ts_ns, ts, product, nav_per_unit, units, leverage, mark_price`` and the
        attribution in quote."""
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
        directory = self._directory()
        with readable(directory, name):
            return pq.read_table(directory / name, page_checksum_verification=True)

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


def run(
    data: Sequence[str | Path] | str | Path = (),
    *,
    config: str | Path | RunConfig | None = None,
    sets: Sequence[str] = (),
    policy: str | None = None,
    requests: str | Path | None = None,
    symbol: str | None = None,
    bars: str | None = None,
    isolate: bool = False,
    out: str | Path | None = None,
    progress: Told | None = None,
    report: bool = True,
    write: bool = True,
) -> RunResult:
    """Replay recorded markets through the products of a configuration.

    Args:
        data: files or folders; without, the market that ``config`` generates, or else the
            synthetic sample.
        config: TOML file, or a configuration; the standard line-up without.
        sets: ``KEY=VALUE`` changes of the configuration.
        policy: replaces the dynamic policies, by name or ``FILE.py:Class``.
        requests: JSON lines of creations, redemptions and commands.
        symbol: for files that do not name theirs.
        bars: order of the extremes within a bar.
        isolate: whether policies of your own run in processes of their own.
        out: run directory; made under ``runs/`` without.
        progress: told how far the run is, see ``Told``.
        report: whether to write ``report.html``.
        write: ``False`` keeps everything in memory.

    Raises:
        LevsimError: bad configuration, policy or data; the message says where and what to do.
    """
    opened, file = open_market(data, config, sets, symbol), None
    if not isinstance(config, RunConfig):
        file = config if policy is None else None
        config = load_config(config, list(sets), symbols=opened.symbols, policy=policy)
    if bars is not None:
        config = structs.replace(config, bars=bars)
    config = isolated(config) if isolate else config
    with placed(file, sets if file is not None else ()):
        return execute(
            opened,
            config,
            requests=requests,
            out=out,
            progress=progress,
            report=report,
            write=write,
            symbol=symbol,
        )


def execute(
    data: Data,
    config: RunConfig,
    *,
    requests: str | Path | None = None,
    out: str | Path | None = None,
    progress: Told | None = None,
    report: bool = True,
    write: bool = True,
    symbol: str | None = None,
    endings: Sequence[Ending] = (),
) -> RunResult:
    """``run`` with data and configuration at hand; ``endings``: of isolated policies, once more."""
    began = time.perf_counter()
    hashed = _hash(config)
    spec = structs.replace(spec_of(config, data.symbols), config_hash=hashed)
    messages = load_requests(requests) if requests is not None else []
    path = output_directory(out) if write else None
    engine = Engine(spec)
    other = OTHER_ORDER.get(config.bars) if data.bar_fed else None

    with asked(spec.policies, endings), writing(path), RunWriter(path, engine) as writer:
        reading = data.steps(bars=config.bars)
        told = _telling(progress, reading, 0, 2 if other else 1)
        done = replay(engine, merge_requests(reading, messages), writer.collect, told)
        writer.close()
        bars = None
        if other:
            reading = data.steps(bars=other)
            told = _telling(progress, reading, engine.sequence, 2)
            bars = compare_orders(engine, config.bars, merge_requests(reading, messages), told)
        summary = {
            "levsim": VERSION,
            "synthetic": data.synthetic,
            "config_hash": hashed,
            "seed": config.seed,
            **summarise(engine, writer),
            "assumed": assumptions(config, data.symbols),
            "bars": bars,
            "policy_times": policy_times(spec.policies, done.engine_seconds),
            "engine_seconds": done.engine_seconds,
            "ticks_per_second": engine.state.ticks / max(done.engine_seconds, 1e-9),
            "run_seconds": time.perf_counter() - began,
        }
        summary = {"verdict": verdict_of(summary), **summary}
        if path is not None:
            journal = done.journal.encode(engine, taken_down(spec.policies))
            finish_directory(path, summary, config, data, requests, symbol, journal)
            if report:
                render(path)
    return RunResult(path, summary)


def _hash(config: RunConfig) -> str:
    try:
        return sha256(resolved_toml(config).encode()).hexdigest()
    except UnicodeEncodeError:
        said = "a file named in the configuration has a name that is no UTF-8 text; rename it"
        raise ConfigError(said) from None


def _telling(
    progress: Told | None, reading: Reading, before: int, passes: int
) -> Callable[[int, int], None] | None:
    """Tells how far the run is while one of its passes is read, after ``before`` rows of the pass
    before."""
    if progress is None:
        return None

    def told(rows: int, ts_ns: int) -> None:
        share = (reading.progress + (before > 0)) / passes
        progress(before + rows, ts_ns, share)

    return told


def load(path: str | Path) -> RunResult:
    """A finished run from its directory.

    Raises:
        InputError: if it is none.
    """
    directory = Path(path)
    return RunResult(directory, summary_of(directory))
