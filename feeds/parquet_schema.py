"""Our own recording: Parquet with LZ4, one row an input row, in input order.

Each kind fills the columns it has and leaves the others null, so the file reads well in any other
tool. Bars stay bars (``ts_ns`` is their start), so that both orders of their extremes remain
possible. The metadata key ``levsim`` holds the symbols and the sections: a recording of ticks is
one section, already merged; one that holds bars has a section for each input, which the reader
merges as it would the files.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from msgspec import Struct

from engine.ticks import TABLES, Kind
from feeds.formats.format import Market

__all__ = [
    "BAR",
    "BAR_COLUMNS",
    "KEY",
    "MALFORMED",
    "MESSAGE",
    "NAMES",
    "ROW_GROUP_ROWS",
    "SCHEMA",
    "STRANGER",
    "VERSION",
    "Metadata",
    "SectionInfo",
    "column_of",
]

ROW_GROUP_ROWS: Final = 131_072
KEY: Final = b"levsim"
VERSION: Final = 1
BAR: Final = "bar"
MALFORMED: Final = "malformed"
MESSAGE: Final = "message"
"""A request among the ticks, in its place; ``detail`` is its JSON."""
NAMES: Final = (*(kind.name.lower() for kind in Kind), BAR, MALFORMED, MESSAGE)
STRANGER: Final = ""
"""The symbol of rows whose symbol nobody knew; the heart refuses them again."""
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
BAR_COLUMNS: Final = {
    "end_ns": "end_ns",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "size": "volume",
    "trades": "trades",
}
SCHEMA: Final = pa.schema(
    [
        pa.field("kind", _TEXT, nullable=False),
        pa.field("symbol", _TEXT),
        pa.field("ts_ns", pa.int64(), nullable=False),
        pa.field("ingest_ns", pa.int64()),
        *((name, pa.float64()) for name in ("price", "size", "bid", "bid_size", "ask", "ask_size")),
        *((name, pa.int8()) for name in ("side", "snapshot")),
        *((name, pa.int64()) for name in ("trade_id", "next_ns")),
        *((name, pa.float64()) for name in ("rate", "open", "high", "low", "close")),
        *((name, pa.int64()) for name in ("end_ns", "trades")),
        ("detail", pa.string()),
    ]
)


class SectionInfo(Struct, frozen=True, kw_only=True):
    """One stream of rows in the file; ``names`` are the kinds that occur in its row groups."""

    markets: tuple[Market, ...]
    first_ns: int
    priority: int
    row_groups: tuple[int, int]
    names: tuple[str, ...]


class Metadata(Struct, frozen=True, kw_only=True):
    """What the key ``levsim`` holds, as JSON."""

    version: int
    synthetic: bool
    sections: tuple[SectionInfo, ...]


def column_of(kind: Kind) -> dict[str, str]:
    """The file's column of each of the kind's own columns."""
    return {name: "side" if name == "aggressor" else name for name in TABLES[kind].VALUES}
