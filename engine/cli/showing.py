"""How results look in a terminal: progress, the table of a run, plain text where nobody looks."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.report.words import number, percent

__all__ = ["Told", "emit", "emit_json", "note", "progress", "run_screen", "show_rows"]

Told = Callable[[int, int], None]
"""Told ``(rows done, event time in ns)`` as a run goes on."""

_EVERY_SECONDS: Final = 5.0
"""Between two plain lines of progress."""
_PLAIN_WIDTH: Final = 200
"""Columns where there is no terminal: lines are not broken for a file."""


def emit(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")


def emit_json(value: Any) -> None:
    """The result as one JSON object."""
    emit(json.dumps(value, indent=1))


def note(text: str) -> None:
    """A line for who waits, on stderr."""
    sys.stderr.write(f"{text}\n")


class _Console(Console):
    """Leaves it to the command what a reader who has gone means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console() -> Console:
    plain = not sys.stdout.isatty()
    return _Console(
        file=sys.stdout, width=_PLAIN_WIDTH if plain else None, highlight=False, soft_wrap=False
    )


# Progress -----------------------------------------------------------------------------


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Told | None]:
    """Shows how far a replay is: a bar in a terminal, a line now and then elsewhere.

    What a user's policy prints meanwhile goes to stderr: stdout is for the result.
    """
    with redirect_stdout(sys.stderr):
        if quiet:
            yield None
        elif sys.stderr.isatty():
            with _bar(what) as told:
                yield told
        else:
            lines = _Lines(what)
            yield lines.told
            lines.close()


@contextmanager
def _bar(what: str) -> Iterator[Told]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(escape(what), total=None, done="")
    began = time.perf_counter()

    def told(rows: int, ts_ns: int) -> None:
        bar.update(task, done=_done(rows, ts_ns, time.perf_counter() - began))

    with bar:
        yield told
        bar.update(task, total=1, completed=1)


class _Lines:
    """Progress as plain lines."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.began = self.said = time.perf_counter()
        self.last = ""
        note(what)

    def told(self, rows: int, ts_ns: int) -> None:
        now = time.perf_counter()
        self.last = _done(rows, ts_ns, now - self.began)
        if now - self.said >= _EVERY_SECONDS:
            self.said = now
            note(f"  {self.last}")

    def close(self) -> None:
        """The last line, with the time taken."""
        if self.last:
            note(f"  {self.last}  done in {time.perf_counter() - self.began:.1f} s")


def _done(rows: int, ts_ns: int, seconds: float) -> str:
    shown = _rate(rows / max(seconds, 1e-9))
    time_shown = (
        f"  {datetime.fromtimestamp(ts_ns // 10**9, UTC):%Y-%m-%d %H:%M:%SZ}" if ts_ns else ""
    )
    return f"{rows:,} ticks  {shown}{time_shown}"


def _rate(rate: float) -> str:
    return f"{rate / 1e6:.1f}M/s" if rate >= 1e6 else f"{rate / 1e3:.0f}k/s"


# The first screen of a run ------------------------------------------------------------


def run_screen(verdict: str, rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    """The verdict, the table of the products, and the counters."""
    console = _console()
    console.print(f"[bold]{escape(verdict)}[/bold]", soft_wrap=True)
    console.print()
    for table in _tables(rows, console.width):
        console.print(table)
        console.print()
    for line in (*_remarks(rows), _counters(summary), *_assumed(summary)):
        console.print(f" {escape(line)}", soft_wrap=True)
    console.print()


Column = tuple[str, Callable[[Mapping[str, Any]], str]]


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Shares of the equity at the start, in per cent; a column of nothing is left out."""
    columns: list[Column] = [
        ("\n", lambda row: str(row["product"])),
        ("multiple x price\n(the myth)", lambda row: f"{row['promise']} {percent(row['myth'])}"),
        ("you\ngot", lambda row: percent(row["got"])),
        ("\ndirection", lambda row: _part(row, "direction")),
        ("compounding\n/ vol decay", lambda row: _part(row, "compounding")),
        ("leverage\nchange", lambda row: _part(row, "leverage_change")),
        ("timing\nand gaps", lambda row: _part(row, "timing", "gap")),
        ("\nfunding", lambda row: _part(row, "funding")),
        ("\nfees", lambda row: _part(row, "fees", "management_fee")),
        ("impact\nand other", lambda row: _part(row, "spread_impact", "other")),
    ]
    if any(row["flows"] for row in rows):
        columns.append(("in and\nout", lambda row: _part(row, "flows")))
    return [
        *columns,
        ("worst\ndrawdown", lambda row: percent(row["max_drawdown"])),
        ("re-\nbalances", lambda row: str(row["rebalances"] + row["deleveragings"])),
    ]


def _tables(rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[Table]:
    """A row a product; where the terminal is too narrow for it, a column a product, in parts."""
    columns = _columns(rows)
    heads = [head for head, _ in columns]
    cells = [[show(row) for _, show in columns] for row in rows]
    widths = [max(map(len, head.split("\n"))) for head in heads]
    for row in cells:
        widths = [max(known, len(cell)) for known, cell in zip(widths, row, strict=True)]
    if sum(widths) + 2 * len(widths) <= width:
        yield _table(heads, cells)
        return
    names = [head.replace("re-\n", "re").replace("\n", " ").strip() for head in heads]
    wide = 2 + max(len(cell) for row in cells for cell in row)
    each = max(1, (width - 2 - max(map(len, names))) // wide)
    for first in range(0, len(cells), each):
        part = cells[first : first + each]
        turned = [list(line) for line in zip(names, *part, strict=True)]
        yield _table(turned[0], turned[1:])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for place, head in enumerate(heads):
        table.add_column(escape(head), justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _part(row: Mapping[str, Any], *parts: str) -> str:
    return number(100.0 * sum(row[part] for part in parts), signed=True)


def _remarks(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row["leverage_change"] and row["leverage_min"] is not None:
            low, high = sorted((row["leverage_min"], row["leverage_max"]), key=abs)
            yield (
                f"{row['product']}: leverage ranged {number(low)} to {number(high)}, "
                f"mean {number(row['leverage_mean'])}. "
                "You could not have known that in advance."
            )
    worst = min(rows, key=lambda row: row["max_drawdown"], default=None)
    if worst is not None and worst["max_drawdown"] < -0.01:
        down = percent(-worst["max_drawdown"], signed=False)
        yield f"No liquidation is not no loss: {worst['product']} was down {down} on the way."


def _counters(summary: Mapping[str, Any]) -> str:
    products = summary["products"].values()
    counts = [
        ("ticks", f"{summary['ticks']:,} at {_rate(summary['ticks_per_second'])}"),
        ("rebalances", str(sum(p["rebalances"] for p in products))),
        ("deleveragings", str(sum(p["deleveragings"] for p in products))),
        *_counted("refused requests", summary["refused"]),
        *_counted("rejected inputs", summary["rejected"]),
    ]
    optional = (
        ("late trades", summary["late_trades"]),
        ("stale markets", summary["events"].get("market_stale", 0)),
        ("policy faults", summary["events"].get("policy_faulted", 0)),
        ("never launched", len(summary["not_launched"])),
    )
    counts += [(name, f"{count:,}") for name, count in optional if count]
    return "   ".join(f"{name} {count}" for name, count in counts)


def _counted(name: str, reasons: Mapping[str, int]) -> list[tuple[str, str]]:
    total = sum(reasons.values())
    inside = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
    return [(name, f"{total:,}" + (f" ({inside})" if inside else ""))]


def _assumed(summary: Mapping[str, Any]) -> Iterator[str]:
    names = list(dict.fromkeys(line.partition(":")[0] for line in summary["assumed"]))
    if names:
        yield f"assumed: {', '.join(names)}"


def show_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table."""
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    _console().print(table)
