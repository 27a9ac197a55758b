"""Klines as Binance's REST interface returns them: one JSON array of arrays, numbers as strings.

Read piece by piece: a row holds no brackets of its own, so a piece ends at any "]".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct, structs

from engine.errors import InputError
from engine.ticks import Kind
from feeds.bars import Bars
from feeds.formats.files import LINE_BYTES_MAX, chunks
from feeds.formats.files import head as head_of
from feeds.formats.format import Block, Content, line_of, malformed_block
from feeds.formats.klines_csv import bar_ends, kline_contract
from feeds.formats.names import file_symbol, market
from feeds.formats.numbers import times_to_ns
from feeds.gauge import Gauge

__all__ = ["KlinesJson"]

_START: Final = re.compile(rb"\s*\[\s*\[\s*\d{9,19}\s*,")
_ROW: Final = re.compile(rb"\[[^\]]*\]")
_BLANK: Final = b" \t\r\n,"
_SHOWN: Final = 120
FIRST_ROWS: Final = 64


class Kline(Struct, array_like=True, gc=False):
    """One row; what follows the trades is not read."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    end: int
    quote_volume: float = 0.0
    trades: int = -1


_DECODER: Final = msgspec.json.Decoder(list[Kline], strict=False)


class KlinesJson:
    """See the module."""

    name = "klines JSON"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether it begins with an array in an array, and that with a time."""
        return _START.match(head) is not None

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream of bars of one symbol, which the file's name tells."""
        bars = _first(path)
        name = file_symbol(path) or symbol
        found = market(path, name, kline_contract(path, name, spot=False))
        bar_ns = int(bars.end_ns[0] - bars.start_ns[0])
        content = Content(
            path=path,
            markets=(structs.replace(found, kinds=(Kind.TRADE,), bar_ns=bar_ns),),
            first_ns=int(bars.start_ns[0]),
        )
        return [content]

    def blocks(self, chain: Sequence[Content], _rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The bars in file order."""
        (content,) = chain
        path, last_ns, line = content.path, content.first_ns, 1
        for piece in _pieces(path, gauge):
            try:
                found: list[Block] = [_bars(piece)]
            except ValueError:
                found = list(_each(path, piece, line, last_ns))
            for block in found:
                if isinstance(block, Bars):
                    last_ns = int(block.start_ns[-1])
                yield block
            line += piece.count(b"\n")


def _first(path: str) -> Bars:
    for row in islice(_ROW.finditer(head_of(path).lstrip()[1:]), FIRST_ROWS):
        with suppress(ValueError):
            return _bars(row[0])
    raise InputError(f"{path}: none of the first rows is a kline; is the file complete?")


def _pieces(path: str, gauge: Gauge) -> Iterator[bytes]:
    """Whole rows, in pieces; line ends are kept for counting."""
    held = b""
    begun = False
    for chunk in chunks(path, gauge):
        held += chunk
        if not begun:
            held = held.lstrip()[1:]
            begun = True
        # Two brackets in a row: the second is the array's own, which is kept for the end.
        end = held.rfind(b"]")
        before = held[:end].rstrip()
        if before.endswith(b"]"):
            end = len(before) - 1
        if end > 0 and before.strip(_BLANK):
            piece, held = held[: end + 1], held[end + 1 :]
            yield piece
        if len(held) > LINE_BYTES_MAX:
            raise InputError(f"{path}: a row is longer than {LINE_BYTES_MAX >> 20} MiB")
    if held.strip() != b"]":
        raise InputError(
            f"{path}: the JSON array ends early, before its last ]; download or copy the file again"
        )


def _bars(piece: bytes) -> Bars:
    rows = _DECODER.decode(b"[" + piece.strip(_BLANK) + b"]")
    columns = list(zip(*(structs.astuple(row) for row in rows), strict=True))
    if not columns:
        raise ValueError("it is empty")
    try:
        start_ns = times_to_ns(columns[0])
        end_ns = bar_ends(start_ns, columns[6])
        trades = np.array(columns[8], np.int64)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    prices = [np.array(column, np.float64) for column in columns[1:6]]
    return Bars(
        symbol=0,
        start_ns=start_ns,
        end_ns=end_ns,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=prices[4],
        trades=trades,
    )


def _each(path: str, piece: bytes, line: int, last_ns: int) -> Iterator[Block]:
    for row in _ROW.finditer(piece):
        try:
            bars = _bars(row[0])
        except ValueError as error:
            number = line + piece.count(b"\n", 0, row.start())
            shown = row[0][:_SHOWN].decode("ascii", "backslashreplace")
            yield malformed_block(last_ns, f"{line_of(path, number)}: {error}: {shown}")
            continue
        last_ns = int(bars.start_ns[-1])
        yield bars
