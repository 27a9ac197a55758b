"""A sweep as objects: ``sweep(...)`` runs it, or goes on with it, and gives its tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.errors import ConfigError
from engine.sweep.cluster import cluster_executor, cluster_workers
from engine.sweep.driver import Progress, drive
from engine.sweep.finished import REPORT, SUMMARY, SweepResult
from engine.sweep.grid import axes_of
from engine.sweep.judging import JUDGED, judged
from engine.sweep.page import page_of
from engine.sweep.plan import Plan
from engine.sweep.planning import planned
from engine.sweep.pool import LocalPool
from engine.sweep.results import (
    PARQUET,
    figures_of,
    gathered,
    worst_rows,
)
from engine.sweep.screening import screen as screened_work
from engine.sweep.store import Store
from engine.sweep.words import Origin, verdict_of
from engine.sweep.work import work

__all__ = ["sweep"]

WORKERS_MAX: Final = 256
_AHEAD: Final = 2
"""Parts for each worker: one that it is at, and one that waits for it."""
_AHEAD_UNKNOWN: Final = 64
"""Where the executor does not say how many workers it has."""


def sweep(
    base: str | Path | None = None,
    sets: Sequence[str] | dict[str, Sequence[Any]] = (),
    *,
    policies: Sequence[str] = (),
    paths: int | None = None,
    scenarios: Sequence[str | Path] = (),
    data: Sequence[str | Path] | str | Path = (),
    symbol: str | None = None,
    requests: str | Path | None = None,
    seconds: float = 0.0,
    workers: int | None = None,
    executor: Executor | None = None,
    cluster: str | None = None,
    screen: bool = False,
    out: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SweepResult:
    """Run every point of a grid on every path; what is finished already is not run again.

    Args:
        base: TOML configuration, with a table ``[generator]`` for many paths; the standard line-up
            without.
        sets: ``KEY=VALUE``, ``KEY=a,b,c``, ``KEY=1.5:2.5:11``; or a dict of lists.
        policies: take the place of the dynamic policies, one after the other.
        paths: how many; 1,000 of a generator without.
        scenarios: laid over every path, by name or TOML file.
        data: files and folders of a recorded market.
        symbol: for files that do not name theirs.
        requests: JSON lines of creations, redemptions and commands, on every path.
        seconds: that a run may take by the clock before it is given up; 0 as long as it likes.
        workers: local processes; as many as there are cores without.
        executor: any of ``concurrent.futures`` in the place of local processes.
        cluster: address of a dask.distributed scheduler.
        screen: all paths without frictions, many at once; the engine judges a sample of them.
        out: directory; under ``sweeps/``, named for the sweep, without.
        progress: told how far it is.

    Raises:
        LevsimError: bad configuration, data or directory; the message says what to do.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> bands = {"products.BTC3L.policies.0.high": [3.3, 3.6]}
    >>> with ThreadPoolExecutor(1) as executor:
    ...     result = sweep(None, bands, executor=executor)
    >>> [row["runs"] for row in result.policies.to_pylist() if row["product"] == "BTC3L"]
    [1, 1]
    """
    sets = _checked(workers, sets)
    listed = [data] if isinstance(data, str | Path) else list(data)
    names = tuple(map(str, scenarios))

    def plan_of(count: int | None, *, screened: bool) -> Plan:
        return planned(
            base,
            sets=sets,
            policies=policies,
            paths=count,
            scenarios=names,
            data=listed,
            symbol=symbol,
            screened=screened,
            requests=requests,
            seconds=seconds,
        )

    plan = plan_of(paths, screened=screen)
    store = Store(Path(out) if out is not None else Path("sweeps") / plan.id[:12], plan)
    plain, _ = axes_of(sets, policies)
    alone = policies[0] if len(policies) == 1 else None
    asked = None if requests is None else str(requests)
    origin = Origin(base, tuple(plain), alone, tuple(map(str, listed)), symbol, names, asked)
    judge = plan_of(min(plan.paths, JUDGED), screened=False) if screen else None
    with ExitStack() as stack:
        stack.enter_context(store.opened(_manifest(plan, origin)))
        chosen = lazily(stack, executor, cluster, workers)
        _work(plan, store, chosen, progress)
        errors = []
        if judge is not None:
            beside = Store(store.path / "judged", judge)
            stack.enter_context(beside.opened(_manifest(judge, origin)))
            _work(judge, beside, chosen, progress)
            errors = judged(plan, store, judge, beside)
        return SweepResult(store.path, finished(plan, store, origin, errors))


def _checked(workers: int | None, sets: Sequence[str] | dict[str, Sequence[Any]]) -> Sequence[str]:
    """The settings as texts."""
    if workers is not None and not 1 <= workers <= WORKERS_MAX:
        raise ConfigError(f"--workers must be from 1 to {WORKERS_MAX}, was {workers}")
    if isinstance(sets, dict):
        sets = [f"{key}={','.join(map(_text, values))}" for key, values in sets.items()]
    return sets


def _work(
    plan: Plan,
    store: Store,
    executor: Callable[[], Executor],
    progress: Callable[[Progress], None] | None,
) -> None:
    """All chunks that are missing; where none is, nobody is asked to work."""
    if len(store.finished) < len(plan.chunks):
        chosen = executor()
        drive(
            plan,
            store,
            chosen,
            partial(ahead_of, chosen),
            progress,
            screened_work if plan.screened else work,
        )


def finished(
    plan: Plan, store: Store, origin: Origin, errors: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Write the results of a sweep whose chunks are all there; what ``summary.json`` says."""
    beside = store.path / f".{PARQUET}.tmp"
    found = gathered(plan, store, beside)
    store.settle(beside, PARQUET)
    summary: dict[str, Any] = {
        "id": plan.id,
        "versions": plan.versions,
        "axes": [{"key": axis.key, "values": axis.values} for axis in plan.axes],
        "points": len(plan.configs),
        "paths": plan.paths,
        "runs": plan.runs,
        "chunks": len(plan.chunks),
        "generated": plan.generated,
        "screened": plan.screened,
        "screening": list(errors),
        "faulty": found.faulty,
        "policies": figures_of(plan, found),
        "ranking": [
            {**msgspec.to_builtins(row), "label": plan.label(row.point, row.product)}
            for row in found.ranking
        ],
        "worst": [
            {
                **row,
                "label": plan.label(row["point"], row["product"]),
                "command": origin.run(plan, row),
            }
            for row in worst_rows(found)
        ],
        "violating": found.violating,
        "faults": [{**row, "fault": said} for row, said in _told(plan, origin, found.faults)],
        "violations": [
            {**row, "violated": said} for row, said in _told(plan, origin, found.violations)
        ],
    }
    summary = {"verdict": verdict_of(summary), **summary}
    store.write(SUMMARY, f"{json.dumps(summary, indent=1)}\n".encode())
    store.write(REPORT, page_of(summary, found.tallies).encode())
    return summary


def _told(
    plan: Plan, origin: Origin, runs: Sequence[tuple[int, int, str]]
) -> Iterator[tuple[dict[str, Any], str]]:
    """Runs of which something is said, each with the command that runs it again, and what."""
    for point, path, said in runs:
        row: dict[str, Any] = {"point": point, "path": path}
        command = origin.run(plan, row)
        yield {**row, "label": " ".join(plan.sets(point)), "command": command}, said


def _manifest(plan: Plan, origin: Origin) -> dict[str, Any]:
    """What the directory says of itself, so that another sweep's is told in words."""
    return {
        "base": None if origin.base is None else str(origin.base),
        "paths": plan.paths,
        "axes": {axis.key: list(axis.values) for axis in plan.axes},
        "scenarios": list(origin.scenarios),
        "data": list(plan.setup.data),
        "requests": origin.requests,
        "path_seconds": plan.setup.seconds,
        "versions": plan.versions,
    }


def lazily(
    stack: ExitStack, executor: Executor | None, cluster: str | None, workers: int | None
) -> Callable[[], Executor]:
    """The executor that was asked for, made when it is needed first and let go with ``stack``."""

    @cache
    def made() -> Executor:
        if executor is not None:
            return executor
        if cluster is not None:
            return stack.enter_context(cluster_executor(cluster))
        pool = LocalPool(workers or os.cpu_count() or 1)
        stack.callback(pool.abandon)
        return pool

    return made


def ahead_of(executor: Executor) -> int:
    """How many parts of a sweep an executor is handed at once; at least one, for workers that are
    still to come."""
    workers = getattr(executor, "_max_workers", None) or getattr(executor, "workers", None)
    if not isinstance(workers, int):
        workers = cluster_workers(executor)
    return _AHEAD_UNKNOWN if workers is None else max(workers * _AHEAD, 1)


def _text(value: Any) -> str:
    """A value as on a command line."""
    return json.dumps(value) if isinstance(value, str | bool | list | dict) else str(value)
