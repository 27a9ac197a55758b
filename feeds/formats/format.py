"""What a format is: it recognises a file by its content and yields the file's rows in bounded
blocks.

A block is either a ``Step`` whose rows are numbered from 0, or ``Bars``. Symbols in a block are
places in the ``markets`` of the file's ``Content``; the recording renumbers both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

import numpy as np
from msgspec import Struct

from engine.events import Malformed
from engine.ticks import TABLES, Kind, Step, Table
from feeds.bars import Bars
from feeds.gauge import Gauge

__all__ = [
    "FUNDING_PRIORITY",
    "PRICE_PRIORITY",
    "Block",
    "Content",
    "Format",
    "Market",
    "Synced",
    "line_of",
    "malformed_block",
    "markets_of",
    "table_block",
]

PRICE_PRIORITY: Final = 0
"""At one instant what moves a price comes before funding: the instant settles on the price of the
instant."""
FUNDING_PRIORITY: Final = 1

Block = Step | Bars
Contract = Literal["linear", "inverse", "spot"]


class Market(Struct, frozen=True):
    """One symbol of a file and what the file holds of it.

    Attributes:
        symbol: the venue's own name, upper case.
        base, quote: assets; BitMEX's XBT is BTC here.
        contract: what one contract pays.
        contract_size: quote face of one contract where inverse, else 1.0.
        kinds: what the file holds, in the order of ``Kind``.
        bar_ns: interval of the bars, or ``None`` where the file holds ticks.
        mark_ns: usual time between recorded marks where it is known to be long, else ``None``.
    """

    symbol: str
    base: str
    quote: str
    contract: Contract
    contract_size: float
    kinds: tuple[Kind, ...] = ()
    bar_ns: int | None = None
    mark_ns: int | None = None


class Content(Struct, frozen=True, kw_only=True):
    """One stream of rows in a file, found when the file is opened.

    Attributes:
        path: the file.
        markets: its symbols; a block's symbol is a place in here, or in ``markets_of`` several
            files.
        first_ns: no row is earlier than this, so the file need not be open before the merge gets
            there.
        priority: ``PRICE_PRIORITY`` or ``FUNDING_PRIORITY``; decides ties of time.
        chain: files of equal, non-empty ``chain`` that follow one another are one capture, read
            with one state.
        received_ns: first and last time of receipt of a capture; tells whether two files follow one
            another.
        synthetic: generated, not recorded.
        detail: what the format wants to remember.
        marketless: why there are no ``markets``; alone, such a file cannot be replayed.
    """

    path: str
    markets: tuple[Market, ...]
    first_ns: int
    priority: int = PRICE_PRIORITY
    chain: str = ""
    received_ns: tuple[int, int] = (0, 0)
    synthetic: bool = False
    detail: Any = None
    marketless: str = ""


class Format(Protocol):
    """One foreign format."""

    name: str

    def sniff(self, head: bytes, path: str, /) -> bool:
        """Whether the file of this path, which begins with these (decompressed) bytes, is of this
        format."""

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """The file's streams of rows; ``symbol`` stands in where neither content nor name tells.

        Raises:
            InputError: naming the file, what is wrong and what to do.
        """

    def blocks(self, chain: Sequence[Content], rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """All rows in order, about ``rows`` at a time; ``chain`` has one element but for captures.
        The gauge is told how far the files have been read.

        Raises:
            InputError: where the file ends early or cannot be decompressed.
        """


@runtime_checkable
class Synced(Protocol):
    """A format of captures whose books can get lost."""

    def sync_breaks(self, chain: Sequence[Content], /) -> int:
        """Gaps in the L2 streams of a capture, after which a book waited for an image; reads all of
        it."""


def markets_of(chain: Sequence[Content]) -> tuple[Market, ...]:
    """The markets of files that are one capture, in order of appearance; a block's symbol is a
    place in here."""
    if len(chain) == 1:
        return chain[0].markets
    found: dict[str, Market] = {}
    for content in chain:
        for market in content.markets:
            found.setdefault(market.symbol, market)
    return tuple(found.values())


def table_block(kind: Kind, ts_ns: Any, symbol: int = 0, **values: Any) -> Step:
    """A block of rows of one kind of one symbol, numbered from 0, with no time of receipt."""
    cls: type[Table] = TABLES[kind]
    count = len(ts_ns)
    columns = {
        name: np.ascontiguousarray(values[name], np.dtype(dtype))
        for name, dtype in cls.VALUES.items()
    }
    table = cls(
        sequence=np.arange(count, dtype=np.int64),
        symbol=symbol,
        ts_ns=np.ascontiguousarray(ts_ns, np.int64),
        **columns,
    )
    return Step(first=0, end=count, tables=(table,) if count else ())


def line_of(path: str, number: int) -> str:
    """Where a line that is refused stands: the file by its name alone, so that events are the same
    from wherever the file is read."""
    return f"{Path(path).name}:{number}"


def malformed_block(ts_ns: int, detail: str) -> Step:
    """A block of one row that could not be read."""
    return Step(first=0, end=1, messages=((0, Malformed(ts_ns=ts_ns, detail=detail)),))
