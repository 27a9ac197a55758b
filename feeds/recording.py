"""A recording: one or many files of recorded markets, replayed as one input.

Files are recognised by content. Those of one symbol and market become one symbol, captures that
follow one another are read on with one state, and all are merged by ``merge``. Nothing but the
first rows is read to open most files (captures are scanned), and a replay holds a block of each
file that overlaps the present instant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from msgspec import Struct

from engine.errors import InputError
from engine.ticks import Step
from feeds.bars import BAR_ORDERS, Bars, bar_ticks
from feeds.formats.files import head as head_of
from feeds.formats.files import sha256
from feeds.formats.format import Block, Content, Format, Market, Synced
from feeds.gauge import Gauge, share_passed
from feeds.inspection import Inspection
from feeds.inspector import Inspector
from feeds.merge import MergeSource, merge
from feeds.parquet_schema import ROW_GROUP_ROWS
from feeds.parquet_writer import Section, write_sections
from feeds.probing import with_decades
from feeds.reading import Reading
from feeds.symbols import SymbolInfo, chained, symbols_of

__all__ = ["InputFile", "Recording", "SymbolInfo", "open_recording", "write_parquet"]

BLOCK_ROWS: Final = 65_536


class InputFile(Struct, frozen=True):
    """One file as it lies on disk, with the format that reads it."""

    path: str
    sha256: str
    size: int
    format: str


class _Input(Struct, frozen=True):
    """One stream of rows: its format, its file (or the files of one capture), its symbols in the
    recording."""

    format: Format
    chain: tuple[Content, ...]
    places: tuple[int, ...]

    @property
    def content(self) -> Content:
        return self.chain[0]

    def gauge(self) -> Gauge:
        """A new gauge of the files."""
        return Gauge([content.path for content in self.chain])

    def blocks(self, rows: int, gauge: Gauge) -> Iterator[Block]:
        """Blocks with the recording's symbols."""
        places = np.array([*self.places, -1], np.int32)  # index -1: an unknown symbol
        for block in self.format.blocks(self.chain, rows, gauge):
            if isinstance(block, Bars):
                yield _rebars(block, self.places[block.symbol])
            else:
                yield self._placed(block, places)

    def _placed(self, step: Step, places: Any) -> Step:
        tables = []
        for table in step.tables:
            symbol = table.symbol
            one = isinstance(symbol, int)
            tables.append(table.replaced(symbol=int(places[symbol]) if one else places[symbol]))
        return Step(first=step.first, end=step.end, tables=tuple(tables), messages=step.messages)

    def ticks(
        self, rows: int, gauge: Gauge, order: str, inspector: Inspector | None
    ) -> Iterator[Step]:
        """Blocks with the bars made ticks."""
        return gauge.watch(self._ticks(rows, gauge, order, inspector))

    def _ticks(
        self, rows: int, gauge: Gauge, order: str, inspector: Inspector | None
    ) -> Iterator[Step]:
        for block in self.blocks(rows, gauge):
            if isinstance(block, Bars):
                if inspector is not None:
                    inspector.bars_without_trades += int((block.trades == 0).sum())
                yield bar_ticks(block, order)
            else:
                yield block


def _rebars(bars: Bars, symbol: int) -> Bars:
    columns = {name: getattr(bars, name) for name in Bars.__struct_fields__[1:]}
    return Bars(symbol=symbol, **columns)


class Recording:
    """Recorded markets, ready to be replayed any number of times.

    Attributes:
        symbols: the markets; a row's symbol is a place in here.
        inputs: the files, in merge order.
        bar_fed: some prices come from bars, so the order of their extremes is not known.
        synthetic: generated, not recorded.
        skipped: ``(path, what it seems to be)`` of files in a folder that cannot be replayed.
        assumed: as in ``feeds.unrecorded``; what was recorded is as it is.
    """

    assumed: tuple[str, ...] = ()

    def __init__(
        self,
        symbols: tuple[SymbolInfo, ...],
        inputs: tuple[InputFile, ...],
        sources: tuple[_Input, ...],
        skipped: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.symbols = symbols
        self.inputs = inputs
        self.skipped = skipped
        self.bar_fed = any(symbol.bar_ns is not None for symbol in symbols)
        self.synthetic = any(source.content.synthetic for source in sources)
        self._sources = sources

    def steps(self, *, bars: str = "ohlc", block_rows: int = BLOCK_ROWS) -> Reading:
        """All rows in steps of ``block_rows`` (the last one shorter) from sequence 0, and how far
        they are.

        Args:
            bars: one of ``BAR_ORDERS``: how bars become ticks.

        Raises:
            InputError: where a file ends early or is damaged.
        """
        return self._steps(bars, block_rows, None)

    def _steps(self, bars: str, rows: int, inspector: Inspector | None) -> Reading:
        if bars not in BAR_ORDERS:
            raise ValueError(f"bars must be one of {', '.join(BAR_ORDERS)}, was {bars!r}")
        gauges = [source.gauge() for source in self._sources]
        sources = [
            MergeSource(
                source.content.first_ns,
                partial(source.ticks, rows, gauge, bars, inspector),
                gauge.let_go,
            )
            for source, gauge in zip(self._sources, gauges, strict=True)
        ]
        return Reading(((step, share_passed(gauges)) for step in merge(sources)), rows)

    def inspect(self) -> Inspection:
        """What the recording holds and where it is poor; reads all of it."""
        inspector = Inspector([(s.symbol, s.contract, s.bar_ns, s.kinds) for s in self.symbols])
        for step in self._steps("ohlc", BLOCK_ROWS, inspector):
            inspector.add(step)
        breaks = sum(
            source.format.sync_breaks(source.chain)
            for source in self._sources
            if isinstance(source.format, Synced)
        )
        formats = tuple(dict.fromkeys(file.format for file in self.inputs))
        return inspector.result(formats, len(self.inputs), breaks, self.skipped)

    def sections(self) -> list[Section]:
        """What a Parquet file of it holds: the merged rows, or each input for itself where bars are
        among them."""
        if not self.bar_fed:
            whole = Section(
                markets=self._markets(range(len(self.symbols))),
                first_ns=min(source.content.first_ns for source in self._sources),
                priority=0,
                blocks=lambda: (
                    step.shifted(-step.first) for step in self.steps(block_rows=ROW_GROUP_ROWS)
                ),
            )
            return [whole]
        return [self._section(source) for source in self._sources]

    def _section(self, source: _Input) -> Section:
        local = _with_own_symbols(source)
        return Section(
            markets=self._markets(source.places, source.content.markets),
            first_ns=source.content.first_ns,
            priority=source.content.priority,
            blocks=lambda: local.blocks(ROW_GROUP_ROWS, local.gauge()),
        )

    def _markets(
        self, places: Sequence[int], own: Sequence[Market] | None = None
    ) -> tuple[Market, ...]:
        markets = []
        for number, place in enumerate(places):
            info, told = self.symbols[place], own[number] if own else None
            named = info.symbol, info.base, info.quote, info.contract, info.contract_size
            if told is None:
                markets.append(Market(*named, info.kinds, None, info.mark_ns))
            else:
                markets.append(Market(*named, told.kinds, told.bar_ns, told.mark_ns))
        return tuple(markets)


def _with_own_symbols(source: _Input) -> _Input:
    """The input with its own symbols again, as a section has its own markets."""
    return _Input(source.format, source.chain, tuple(range(len(source.places))))


class Importable(Protocol):
    """What ``write_parquet`` takes: a ``Recording``, or what is used like one."""

    synthetic: bool

    def sections(self) -> list[Section]:
        """What the file shall hold."""


def write_parquet(recording: Importable, path: str | Path) -> int:
    """Write the recording as our Parquet; bars stay bars. Replaying it gives the same steps.
    Returns the rows."""
    return write_sections(path, recording.sections(), synthetic=recording.synthetic)


def open_recording(paths: Sequence[str | Path], *, symbol: str | None = None) -> Recording:
    """A recording of files, or of all files in folders.

    Args:
        paths: files and folders; a file that cannot be replayed is an error, in a folder it is
            skipped.
        symbol: of files that do not tell theirs.

    Raises:
        InputError: naming the file, what is wrong with it and what to do.
    """
    # All formats take a tenth of a second to import; who draws a market needs none of them.
    from feeds.formats.registry import ACCEPTED, format_of, guess, refusal

    contents: list[tuple[Format, Content]] = []
    inputs: list[InputFile] = []
    skipped: list[tuple[str, str]] = []
    for path, in_folder in _expanded(paths):
        head = head_of(path)
        known = format_of(head, path)
        if known is None:
            if not in_folder:
                raise InputError(refusal(path, head))
            skipped.append((path, guess(head)))
            continue
        contents += [(known, content) for content in known.open(path, symbol)]
        size = Path(path).stat().st_size
        inputs.append(InputFile(path, sha256(path), size, known.name))
    if not contents:
        where = ", ".join(str(path) for path in paths) or "nothing"
        raise InputError(f"{where}: no recording found; levsim reads {ACCEPTED}")
    chains = chained(contents)
    symbols, places = symbols_of([chain for _, chain in chains])
    sources = [
        _Input(known, chain, own) for (known, chain), own in zip(chains, places, strict=True)
    ]
    sources.sort(key=lambda source: source.content.priority)
    return Recording(with_decades(symbols, sources), tuple(inputs), tuple(sources), tuple(skipped))


def _expanded(paths: Sequence[str | Path]) -> Iterator[tuple[str, bool]]:
    seen: set[Path] = set()
    for given in map(Path, paths):
        if not given.exists():
            raise InputError(f"{given}: no such file or folder")
        files = [given]
        if given.is_dir():
            files = sorted(f for f in given.rglob("*") if f.is_file() and f.name[0] != ".")
        for file in files:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield str(file), given.is_dir()
