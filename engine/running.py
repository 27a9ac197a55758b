"""The composition root: data, configuration, scenarios and requests become a run.

It needs no event loop and works inside one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import structs

from engine.bar_orders import OTHER_ORDER, compare_orders
from engine.config import (
    RunConfig,
    check_generated,
    isolated,
    load_config,
    placed,
    resolved_toml,
    spec_of,
)
from engine.config.assumptions import assumptions
from engine.config.scenarios import (
    base_of,
    in_place,
    load_scenario,
    scenario_summary,
    scenarios_of,
    staging_of,
    under,
)
from engine.config.scened import scened
from engine.endings import Ending, asked, taken_down
from engine.engine import Engine
from engine.errors import ConfigError
from engine.inputs import open_market
from engine.provenance import VERSION, Data, finish_directory, output_directory, writing
from engine.replay import replay
from engine.report import render, verdict_of
from engine.report.reading import summary_of
from engine.results import RunResult
from engine.rundir import RunWriter
from engine.summary import policy_times, summarise
from engine.ticks import Step
from feeds.merge import merge_requests
from feeds.reading import Reading
from feeds.requests import load_requests
from feeds.scenarios import Scenario, Staging

__all__ = ["Told", "execute", "load", "run"]

Told = Callable[[int, int, float], None]
"""Told ``(rows done, event time in ns, share of the run from 0.0 to 1.0)`` after each step. Where
bars are run in both orders, each is half of the run."""


def run(
    data: Sequence[str | Path] | str | Path = (),
    *,
    config: str | Path | RunConfig | None = None,
    sets: Sequence[str] = (),
    policy: str | None = None,
    scenarios: Sequence[str | Path | Scenario] = (),
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
        scenarios: laid over those of the configuration, by name, TOML file or as they are.
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

    >>> result = run("sample", sets=["products.0.policies.0.high=3.5"], write=False)
    >>> sorted(result.summary["products"])[:3]
    ['BTC-FUT10L', 'BTC-LOAN3L', 'BTC-SMART-L']
    >>> result.summary["products"]["BTC3L"]["rebalances"]
    2
    """
    if isinstance(config, RunConfig) and (sets or policy is not None):
        raise ConfigError(
            "sets and policy change a file or the standard line-up; change a RunConfig itself with "
            "msgspec.structs.replace"
        )
    files = [load_scenario(each) for each in scenarios]
    own = scenarios_of(config)
    everything = (*own, *(each.scenario for each in files))
    base = base_of(everything) if isinstance(data, Sequence) and not data else None
    opened, file = open_market(data, config, sets, symbol, base), None
    if not isinstance(config, RunConfig):
        file = config if policy is None else None
        config = load_config(config, list(sets), symbols=opened.symbols, policy=policy)
    if everything:
        config = under(config, everything, base)
    if bars is not None:
        config = structs.replace(config, bars=bars)
    config = isolated(config) if isolate else config
    with placed(file, sets if file is not None else ()), in_place(files, len(own)):
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
    hashed, staging = _hash(config), staging_of(config, data) if config.scenarios else None
    check_generated(config, synthetic=data.synthetic)
    mixed = _mixed(staging, requests)
    spec = structs.replace(spec_of(_scened(config, staging), data.symbols), config_hash=hashed)
    engine, path = Engine(spec), output_directory(out) if write else None
    other = OTHER_ORDER.get(config.bars) if data.bar_fed else None

    with asked(spec.policies, endings), writing(path), RunWriter(path, engine) as writer:
        reading = data.steps(bars=config.bars)
        told = _telling(progress, reading, 0, 2 if other else 1)
        done = replay(engine, mixed(reading), writer.collect, told)
        writer.close()
        bars = None
        if other:
            reading = data.steps(bars=other)
            told = _telling(progress, reading, engine.sequence, 2)
            bars = compare_orders(engine, config.bars, mixed(reading), told)
        summary = {
            "levsim": VERSION,
            "synthetic": data.synthetic,
            "config_hash": hashed,
            "seed": config.seed,
            **summarise(engine, writer, done.journal.turnover),
            "assumed": [*assumptions(config, data.symbols), *data.assumed],
            "bars": bars,
            "policy_times": policy_times(spec.policies, done.engine_seconds),
            "engine_seconds": done.engine_seconds,
            "ticks_per_second": engine.state.ticks / max(done.engine_seconds, 1e-9),
            "run_seconds": time.perf_counter() - began,
        }
        summary = _judged(summary, config)
        if path is not None:
            kept = done.journal.encode(engine, taken_down(spec.policies))
            finish_directory(path, summary, config, data, requests, symbol, kept)
            if report:
                render(path)
    return RunResult(path, summary)


def _mixed(
    staging: Staging | None, requests: str | Path | None
) -> Callable[[Iterator[Step]], Iterator[Step]]:
    """Puts scenarios into the rows, and requests among them."""
    messages = load_requests(requests) if requests is not None else []
    if staging is None:
        return lambda reading: merge_requests(reading, messages)
    return lambda reading: merge_requests(staging.steps(reading), messages)


def _scened(config: RunConfig, staging: Staging | None) -> RunConfig:
    return config if staging is None else scened(config, staging.events)


def _judged(summary: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    """With what its scenarios expected, and its verdict first."""
    if config.scenarios:
        summary["scenario"] = scenario_summary(config.scenarios, summary)
    return {"verdict": verdict_of(summary), **summary}


def _hash(config: RunConfig) -> str:
    try:
        return sha256(resolved_toml(config).encode()).hexdigest()
    except UnicodeEncodeError:
        said = "a name in the configuration, of a file perhaps, is no UTF-8 text; give another"
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

    >>> where = run("sample", out="runs/first", report=False).path
    >>> again = load("runs/first")
    >>> again.nav.column_names[:4]
    ['ts_ns', 'ts', 'product', 'nav_per_unit']
    >>> causes = again.causes("BTC3L").to_pylist()
    >>> product = again.summary["products"]["BTC3L"]
    >>> change = round((product["equity_end"] - product["equity_start"]) * 1e6)
    >>> sum(each["atoms"] for each in causes) == change
    True
    """
    directory = Path(path)
    return RunResult(directory, summary_of(directory))
