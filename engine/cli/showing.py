"""How results look in a terminal: lines, tables, JSON; plain text where nobody looks."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.cli.stdout import results

__all__ = ["console", "emit", "emit_json", "note", "show_rows"]

_PLAIN_WIDTH: Final = 200
"""Columns where there is no terminal: lines are not broken for a file."""


def emit(text: str) -> None:
    """A line of the result."""
    results().write(f"{text}\n")


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


def console() -> Console:
    """Where tables go: as wide as the terminal, or as a line of a file may be."""
    stream = results()
    plain = not stream.isatty()
    return _Console(
        file=stream, width=_PLAIN_WIDTH if plain else None, highlight=False, soft_wrap=False
    )


def show_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table."""
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console().print(table)
