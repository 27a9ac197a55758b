"""A market that nobody recorded, used like a recording."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property

from engine.ticks import Step
from feeds.formats.format import PRICE_PRIORITY, Market
from feeds.inspection import Inspection
from feeds.inspector import Inspector
from feeds.parquet_writer import Section
from feeds.reading import Reading
from feeds.recording import BLOCK_ROWS, InputFile, SymbolInfo

__all__ = ["Unrecorded"]


class Unrecorded:
    """Steps that are made anew each time they are read; attributes and methods as in
    ``feeds.recording``.

    Attributes:
        assumed: ``name: sentence`` of what its rows turned out to lean on, once all were read.

    Args:
        name: what makes it, as an input is called: ``synthetic:7``.
        kind: stands where a file's format would.
        symbols: the markets; a row's symbol is a place in here.
        first_ns: no row is earlier.
        make: steps numbered from 0 each, with the share of the market that lies behind them.
    """

    bar_fed = False
    synthetic = True
    skipped: tuple[tuple[str, str], ...] = ()
    assumed: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        kind: str,
        symbols: tuple[SymbolInfo, ...],
        first_ns: int,
        make: Callable[[], Iterator[tuple[Step, float]]],
    ) -> None:
        self.symbols = symbols
        self._name = name
        self._kind = kind
        self._first_ns = first_ns
        self._make = make

    @cached_property
    def inputs(self) -> tuple[InputFile, ...]:
        """First one entry that is no file: its hash is that of all rows, its size their bytes."""
        return (self._rows(), *self.files())

    def files(self) -> tuple[InputFile, ...]:
        """Files that it was made of."""
        return ()

    def _rows(self) -> InputFile:
        digest, size = hashlib.sha256(), 0
        for step, _ in self._make():
            for column in _columns(step):
                digest.update(column)
                size += len(column)
        return InputFile(self._name, digest.hexdigest(), size, self._kind)

    def steps(self, *, bars: str = "ohlc", block_rows: int | None = BLOCK_ROWS) -> Reading:
        """All rows, sequences from 0, in steps as they are made for ``block_rows = None``, which
        costs least; there are no bars to order."""
        del bars
        return Reading(self._make(), block_rows)

    def inspect(self) -> Inspection:
        """What the market holds."""
        inspector = Inspector([(s.symbol, s.contract, s.bar_ns, s.kinds) for s in self.symbols])
        for step in self.steps():
            inspector.add(step)
        return inspector.result((self._kind,), 0, 0, self.skipped)

    def sections(self) -> list[Section]:
        """What a Parquet file of it holds."""
        markets = tuple(
            Market(s.symbol, s.base, s.quote, s.contract, s.contract_size, s.kinds, None, s.mark_ns)
            for s in self.symbols
        )

        def blocks() -> Iterator[Step]:
            for step in self.steps():
                yield step.shifted(-step.first)

        return [
            Section(
                markets=markets,
                first_ns=self._first_ns,
                priority=PRICE_PRIORITY,
                blocks=blocks,
            )
        ]


def _columns(step: Step) -> Iterator[bytes]:
    """The columns of a step as little-endian bytes."""
    for table in step.tables:
        own = [column for _, column in table.values()]
        symbols = () if isinstance(table.symbol, int) else (table.symbol,)
        stamps = () if table.ingest_ns is None else (table.ingest_ns,)
        for column in (table.sequence, *symbols, table.ts_ns, *stamps, *own):
            yield column.astype(column.dtype.newbyteorder("<")).tobytes()
