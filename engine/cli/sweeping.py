"""``sweep``: many runs, and what they come to."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from engine.cli.running import Json, Quiet, ScenarioNames, SymbolName

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.sweep import Progress

__all__ = ["sweep"]

_SHOWN = 40
"""Policies of the table on the screen."""

Axes = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative=(),
        allow_leading_hyphen=True,
        help="KEY=a,b,c or KEY=1.5:2.5:11 is an axis of the grid, KEY=VALUE holds everywhere.",
    ),
]
Policies = Annotated[
    list[str] | None,
    Parameter(
        name=["--policy", "-p"],
        negative=(),
        help="Takes the place of the dynamic policies; several are an axis.",
    ),
]
Paths = Annotated[
    int | None, Parameter(help="Of the generator; 1,000 without.", allow_leading_hyphen=True)
]
Workers = Annotated[
    int | None, Parameter(help="Processes here; one a core without.", allow_leading_hyphen=True)
]

Screen = Annotated[
    bool,
    Parameter(
        negative=(),
        help="All paths without frictions, for multiples with a band or restored at reviews; the "
        "engine judges a sample.",
    ),
]


def sweep(
    base: Annotated[Path, Parameter(help="TOML; a table [generator] makes the paths.")],
    *data: Annotated[Path, Parameter(help="A recorded market in the place of a generator.")],
    sets: Axes = None,
    policy: Policies = None,
    paths: Paths = None,
    scenario: ScenarioNames = None,
    workers: Workers = None,
    cluster: Annotated[
        str | None, Parameter(help="Scheduler of dask.distributed, e.g. tcp://host:8786.")
    ] = None,
    screen: Screen = False,
    symbol: SymbolName = None,
    requests: Annotated[
        Path | None, Parameter(help="JSON lines of users and operator, on every path.")
    ] = None,
    path_seconds: Annotated[
        float,
        Parameter(help="After which a run is given up and named.", allow_leading_hyphen=True),
    ] = 0.0,
    out: Annotated[
        Path | None, Parameter(help="Directory; under sweeps/, named for the sweep, without.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run every point of a grid on every path. The same command goes on with what is finished."""
    from engine import api
    from engine.cli import showing

    with _progress(quiet=quiet) as told, _interruptible():
        result = api.sweep(
            base,
            sets or [],
            policies=policy or [],
            paths=paths,
            scenarios=scenario or [],
            data=list(data),
            symbol=symbol,
            requests=requests,
            seconds=path_seconds,
            workers=workers,
            cluster=cluster,
            screen=screen,
            out=out,
            progress=told,
        )
    if json:
        showing.emit_json({"out": str(result.path), **result.summary})
    else:
        _show(result.summary, quiet=quiet)
    for fault in result.summary["faults"]:
        showing.note(f"no result: {_run(fault)}: {fault['fault']}")
        showing.note(f"    {_typed(fault['command'])}")
    for each in result.summary["violations"]:
        showing.note(f"violated: {_run(each)}: {each['violated']}")
        showing.note(f"    {_typed(each['command'])}")
    if not json and not quiet:
        shown = quote(str(result.path))
        showing.emit(f" wrote {shown}/ (report.html, summary.json, sweep.parquet)")
    return result.exit_code


def _show(summary: dict[str, Any], *, quiet: bool) -> None:
    from engine.cli import showing
    from engine.report.words import number, percent, whole_digits
    from engine.sweep.words import named

    showing.emit(summary["verdict"])
    if quiet:
        return
    showing.emit("")
    found = {(row["point"], row["product"]): row for row in summary["policies"]}
    head = (
        *("policy", "rank", "mean NAV", "behind the best", "median", "worst 5 %", "drawdown 95 %"),
        *("ruin", "issuer lost", "ADL", "hedge cost"),
    )
    rows: list[tuple[str, ...]] = []
    for ranked in summary["ranking"][:_SHOWN]:
        row = found[ranked["point"], ranked["product"]]
        interval = f"{number(ranked['low'], 4)} to {number(ranked['high'], 4)}"
        rows.append(
            (
                named(ranked),
                str(ranked["rank"]),
                number(row["nav_mean"], 4),
                interval if rows else "",
                number(row["nav_median"], 4),
                number(row["shortfall"], 4),
                percent(row["drawdown_high"], 1, signed=False),
                percent(row["ruin"], 2, signed=False),
                number(row["issuer_loss_total"], whole_digits(row["quote"])),
                number(row["adl_events"] * row["runs"], 0),
                percent(row["hedge_cost"] / row["equity_start"], 3, signed=False),
            )
        )
    if rows:
        showing.show_rows(head, rows)
    worst = summary["worst"][:1]
    for row in worst:
        ended = number(row["nav_end"], 4)
        showing.emit(f" worst run: path {row['path']}, {named(row)} ended at {ended}:")
        showing.emit(f"    {_typed(row['command'])}")


def _run(row: dict[str, Any]) -> str:
    return f"path {row['path']} {row['label']}".rstrip()


def _typed(command: str) -> str:
    """As whoever typed this one would type it."""
    return command.replace("levsim", os.environ.get("LEVSIM_COMMAND", "levsim"), 1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """While inside, SIGTERM interrupts as Ctrl-C does: workers end, and who typed it is told.

    Raises:
        InterruptedRunError: once one of the two has come.
    """
    from engine.errors import InterruptedRunError

    came = signal.SIGINT

    def terminated(*_: object) -> None:
        nonlocal came
        came = signal.SIGTERM
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminated) if main else None
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(came) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Lines on stderr, one every few seconds: runs done, how fast, workers lost."""
    import sys
    import time

    from engine.cli.progress import EVERY_SECONDS, duration

    if quiet:
        yield None
        return
    began = said = time.monotonic()
    last: Progress | None = None

    def told(now: Progress) -> None:
        nonlocal said, last
        if last is None and now.found:
            sys.stderr.write(f"  {now.found:,} of {now.runs:,} runs were finished before\n")
        if last is None and now.damaged:
            sys.stderr.write(f"  finished chunks damaged, worked again: {now.damaged:,}\n")
        last = now
        if time.monotonic() - said >= EVERY_SECONDS:
            said = time.monotonic()
            fresh = now.done - now.found
            left = (said - began) / fresh * (now.runs - now.done) if fresh else None
            lost = f"  workers lost {now.deaths}" if now.deaths else ""
            ends = duration(left) if left is not None else "-:--"
            done = f"{now.done / now.runs:4.0%}  {now.done:,} of {now.runs:,} runs"
            sys.stderr.write(f"  {done}{lost}  ETA {ends}\n")

    yield told
    sys.stderr.write(f"  done in {time.monotonic() - began:.1f} s\n")
