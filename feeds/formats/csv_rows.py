"""Rows of a CSV file, parsed a MiB at a time; a row that does not parse becomes one malformed row.

The file's layout is told by its header, or without one by the shape of its first row.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from msgspec import Struct
from pyarrow import csv

from engine.errors import InputError
from feeds.formats.files import line_batches
from feeds.formats.format import Block, line_of, malformed_block
from feeds.gauge import Gauge

__all__ = ["Layout", "csv_blocks", "first_rows", "header_of", "layout_of", "no_trades", "rows_of"]

Columns = dict[str, Any]
_TYPES: Final[dict[str, pa.DataType]] = {
    "f": pa.float64(),
    "i": pa.int64(),
    "b": pa.bool_(),
    "s": pa.string(),
}
_SHOWN: Final = 120


class Layout(Struct, frozen=True):
    """Which column of a file is what.

    Attributes:
        names: our name of each column of the file, in its order; others keep a name that nobody
            asks for.
        types: of the columns to read, by our name: ``f`` float, ``i`` int, ``b`` bool, ``s`` text.
        header: whether the first line is one.
    """

    names: tuple[str, ...]
    types: dict[str, str]
    header: bool


def header_of(head: bytes) -> list[str] | None:
    """The names in a first line that is a header, lower case; ``None`` where it holds numbers."""
    fields = head.split(b"\n", 1)[0].decode("utf-8", "replace").strip().split(",")
    names = [field.strip().strip('"').lower() for field in fields]
    if len(names) < 2 or not names[0] or not (names[0][0].isalpha() or names[0][0] == "_"):
        return None
    return names


def layout_of(
    path: str, names: Sequence[str], aliases: Mapping[str, tuple[str, Sequence[str], bool]]
) -> Layout:
    """The layout that a header tells.

    Args:
        aliases: by our name: the type, the names that venues use, and whether the column must be
            there.

    Raises:
        InputError: naming the column that is missing.
    """
    ours = list(names)
    types = {}
    for name, (kind, known, needed) in aliases.items():
        found = next((i for i, column in enumerate(names) if column in known), None)
        if found is not None:
            ours[found] = name
            types[name] = kind
        elif needed:
            there = " ".join(", ".join(names).split())[:200]
            raise InputError(
                f"{path}:1: the column {' or '.join(known)} is missing; the header has {there}. "
                "Export the file again with that column"
            )
    return Layout(tuple(ours), types, header=True)


def rows_of(lines: Sequence[bytes], layout: Layout) -> Columns:
    """The columns that the layout asks for, shape (len(lines),).

    Raises:
        ValueError: if any of the lines does not parse (``pyarrow``'s errors are such).
    """
    table = csv.read_csv(
        io.BytesIO(b"\n".join(lines) + b"\n"),
        csv.ReadOptions(use_threads=False, column_names=list(layout.names), block_size=1 << 25),
        csv.ParseOptions(quote_char=False),
        csv.ConvertOptions(
            column_types={name: _TYPES[kind] for name, kind in layout.types.items()},
            include_columns=list(layout.types),
            null_values=[],
            true_values=["true", "True", "TRUE", "1"],
            false_values=["false", "False", "FALSE", "0"],
        ),
    )
    if table.num_rows != len(lines):
        raise ValueError("a line is empty")
    columns: Columns = {}
    for name in layout.types:
        column = table.column(name)
        if column.null_count:
            raise ValueError(f"{name} is empty")
        columns[name] = column.to_numpy()
    return columns


def csv_blocks(
    path: str,
    layout: Layout,
    convert: Callable[[Columns], Block],
    first_ns: int,
    gauge: Gauge | None = None,
) -> Iterator[Block]:
    """The file's rows in order; ``convert`` may refuse columns with a ``ValueError``."""
    last_ns = first_ns
    for number, lines in line_batches(path, gauge):
        skipped = 1 if number == 1 and layout.header else 0
        for block in _converted(path, number + skipped, lines[skipped:], layout, convert):
            if isinstance(block, str):
                yield malformed_block(last_ns, block)
            else:
                last_ns = _last_ns(block, last_ns)
                yield block


def _converted(
    path: str,
    number: int,
    lines: Sequence[bytes],
    layout: Layout,
    convert: Callable[[Columns], Block],
) -> Iterator[Block | str]:
    """Blocks, and for each bad line what is wrong with it."""
    if not lines:
        return
    try:
        block = convert(rows_of(lines, layout))
    except ValueError as error:
        reason = str(error)
    else:
        yield block
        return
    if len(lines) == 1:
        if lines[0].strip():
            shown = lines[0][:_SHOWN].decode("ascii", "backslashreplace")
            yield f"{line_of(path, number)}: {reason}: {shown}"
        return
    # Halving finds the few bad lines among thousands without a parser of our own.
    half = len(lines) // 2
    yield from _converted(path, number, lines[:half], layout, convert)
    yield from _converted(path, number + half, lines[half:], layout, convert)


def _last_ns(block: Block, before: int) -> int:
    if not hasattr(block, "tables"):
        return int(block.start_ns[-1]) if len(block) else before
    return int(block.tables[0].ts_ns[-1]) if block.tables else before


def first_rows(
    path: str, head: bytes, layout: Layout, check: Callable[[Columns], object]
) -> Columns:
    """The rows among the file's first that parse and pass ``check``; at least one.

    Raises:
        InputError: if none does.
    """
    lines = head.split(b"\n")
    if len(lines) > 2:
        lines = lines[:-1]
    good = []
    for line in lines[1 if layout.header else 0 :][:64]:
        try:
            check(rows_of([line], layout))
        except ValueError:
            continue
        good.append(line)
    if not good:
        raise InputError(
            f"{path}: none of the first rows can be read as {', '.join(layout.names)[:120]}; "
            "is the file complete?"
        )
    return rows_of(good, layout)


def no_trades(count: int) -> Any:
    """Shape (count,): the trade count where nobody counted."""
    return np.full(count, -1, np.int64)
