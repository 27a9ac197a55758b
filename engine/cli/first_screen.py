"""The first screen of a run: the verdict, the tables of the products, the counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from engine.cli.progress import rate
from engine.cli.showing import console
from engine.report.comparison import WORDS, comparison_of, head_of
from engine.report.issuing import (
    ACCOUNTS_HEAD,
    ASSETS_HEAD,
    ISSUER_HEAD,
    account_rows,
    asset_rows,
    issuer_rows,
)
from engine.report.table import columns_of
from engine.report.trading_at import TRADED_HEAD, traded_rows
from engine.report.verdict import coin_margined
from engine.report.words import number, percent

__all__ = ["run_screen"]


def run_screen(verdict: str, rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    """The verdict, the table of the products, and the counters."""
    screen = console()
    screen.print(f"[bold]{escape(verdict)}[/bold]", soft_wrap=True)
    screen.print()
    for table in _tables(rows, screen.width):
        screen.print(table)
        screen.print()
    comparison = comparison_of(summary)
    if comparison:
        screen.print(_table(head_of(1), comparison, words=WORDS))
        screen.print()
    for heads, cells in (
        (ISSUER_HEAD, issuer_rows(summary)),
        (ASSETS_HEAD, asset_rows(summary)),
        (ACCOUNTS_HEAD, account_rows(summary)),
        (TRADED_HEAD, traded_rows(summary)),
    ):
        if cells:
            for table in _fitting(heads, cells, screen.width):
                screen.print(table)
            screen.print()
    remarks = (*coin_margined(summary), *_remarks(rows))
    for line in (*remarks, _counters(summary), *_assumed(summary)):
        screen.print(f" {escape(line)}", soft_wrap=True)
    screen.print()


def _tables(rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[Table]:
    """Figures of all products, as the terminal has room for them."""
    columns = columns_of(rows)
    heads = [head for head, _ in columns]
    yield from _fitting(heads, [[show(row) for _, show in columns] for row in rows], width)


def _fitting(heads: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> Iterator[Table]:
    """A row a product; where the terminal is too narrow for it, a column a product, in parts."""
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


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for place, head in enumerate(heads):
        table.add_column(escape(head), justify="right" if place >= words else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _remarks(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row["leverage_change"] and row["leverage_min"] is not None:
            low, high = sorted((row["leverage_min"], row["leverage_max"]), key=abs)
            yield (
                f"{row['product']}: leverage ranged {number(low)} to {number(high)}, "
                f"mean {number(row['leverage_mean'])}. "
                "You could not have known that in advance."
            )
    funds = [row for row in rows if row["kind"] == "fund"]
    worst = min(funds, key=lambda row: row["max_drawdown"], default=None)
    if worst is not None and worst["max_drawdown"] < -0.01:
        down = percent(-worst["max_drawdown"], signed=False)
        yield f"No liquidation is not no loss: {worst['product']} was down {down} on the way."


def _counters(summary: Mapping[str, Any]) -> str:
    products = summary["products"].values()
    counts = [
        ("ticks", f"{summary['ticks']:,} at {rate(summary['ticks_per_second'])}/s"),
        ("rebalances", f"{sum(p['rebalances'] for p in products):,}"),
        ("forced cuts", f"{sum(p['deleveragings'] for p in products):,}"),
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
