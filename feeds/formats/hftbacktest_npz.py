"""hftbacktest's ``.npz`` (version 2): one array of events ``ev, exch_ts, local_ts, px, qty,
order_id, ival, fval``, times in ns.

The low byte of ``ev`` is the kind: 1 a level, 2 a trade, 3 a side is cleared, 4 a level of an
image, 5 a best price; bits 31 and 30 say at whom the event takes place (exchange, local), bits 29
and 28 on which side (buy, sell). An event stands twice where its order differs between the two; the
exchange's is taken. The file's name tells the symbol.
"""

from __future__ import annotations

import ast
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from msgspec import structs

from engine.errors import InputError
from engine.ticks import Kind
from feeds.formats.files import chunks
from feeds.formats.files import head as head_of
from feeds.formats.format import Block, Content
from feeds.formats.gathering import Gatherer
from feeds.formats.names import file_contract, file_symbol, market
from feeds.formats.top_of_book import TopOfBook
from feeds.gauge import Gauge

__all__ = ["HftbacktestNpz"]

_MAGIC: Final = b"\x93NUMPY"
_NAMES: Final = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
_WANTED: Final = _NAMES[:5]
_LEVEL, _TRADE, _CLEAR, _IMAGE, _BEST = 1, 2, 3, 4, 5
_EXCHANGE, _BUY, _SELL = 1 << 31, 1 << 29, 1 << 28
_ROWS_AT_ONCE: Final = 4_096
_HEADER_MAX: Final = 4_096


class HftbacktestNpz:
    """See the module."""

    name = "hftbacktest npz"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether it is an array with hftbacktest's columns."""
        return head.startswith(_MAGIC) and b"'exch_ts'" in head[:_HEADER_MAX]

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream of one symbol."""
        head = head_of(path)
        dtype, start = _dtype(path, head)
        body = head[start : start + (len(head) - start) // dtype.itemsize * dtype.itemsize]
        first = np.frombuffer(body, dtype)
        if not len(first):
            raise InputError(f"{path}: holds no events")
        found = market(path, file_symbol(path) or symbol, file_contract(path))
        return [
            Content(
                path=path,
                markets=(structs.replace(found, kinds=(Kind.TRADE, Kind.BBO, Kind.LEVEL)),),
                first_ns=int(first["exch_ts"][0]),
                detail=(dtype, start),
            )
        ]

    def blocks(self, chain: Sequence[Content], rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The events in the order of the file."""
        (content,) = chain
        reader = _Reader(content)
        for events in _events(content, gauge):
            reader.read(events)
            if reader.rows >= rows:
                yield reader.flush()
        if reader.rows:
            yield reader.flush()


def _dtype(path: str, head: bytes) -> tuple[np.dtype[Any], int]:
    """The columns of the array, and where it begins; nothing of the file is executed."""
    try:
        wide = head[6] > 1
        (length,) = struct.unpack_from("<I" if wide else "<H", head, 8)
        start = (12 if wide else 10) + length
        told = ast.literal_eval(head[12 if wide else 10 : start].decode("latin-1"))
        dtype = np.dtype([(str(name), str(kind)) for name, kind in told["descr"]])
        plain = all(dtype[name].kind in "iuf" for name in _WANTED)
    except (struct.error, SyntaxError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: no array of hftbacktest's ({error})") from None
    if not plain or told["fortran_order"] or len(told["shape"]) != 1:
        raise InputError(f"{path}: no array of hftbacktest's: {told['descr']}")
    return dtype, start


def _events(content: Content, gauge: Gauge) -> Iterator[Any]:
    """The array a few thousand events at a time."""
    dtype, skip = content.detail
    held, size = b"", dtype.itemsize * _ROWS_AT_ONCE
    for chunk in chunks(content.path, gauge):
        held += chunk
        if skip:
            cut = min(skip, len(held))
            held, skip = held[cut:], skip - cut
        whole = len(held) // dtype.itemsize * dtype.itemsize
        for at in range(0, whole, size):
            yield np.frombuffer(held[at : min(at + size, whole)], dtype)
        held = held[whole:]
    if held:
        said = f"{len(held)} bytes behind the last event"
        raise InputError(f"{content.path}: the file is cut off ({said}); copy it again")


class _Reader(Gatherer):
    """Rows of consecutive events."""

    def __init__(self, content: Content) -> None:
        super().__init__(1, content.first_ns)
        self._path = content.path
        self._top = TopOfBook()
        self._number = 0
        self._image: int | None = None
        """Side of the image whose levels are coming."""

    def read(self, events: Any) -> None:
        """Append the rows of these events."""
        columns = [events[name].tolist() for name in _WANTED]
        for ev, ts_ns, local_ns, price, size in zip(*columns, strict=True):
            self._number += 1
            if ev & _EXCHANGE:
                self._take(ev, ts_ns, local_ns, price, size)

    def _take(self, ev: int, ts_ns: int, local_ns: int, price: float, size: float) -> None:
        kind = ev & 0xFF
        side = 1 if ev & _BUY else -1 if ev & _SELL else 0
        self._last_ns = max(self._last_ns, ts_ns)
        if kind != _IMAGE:
            self._image = None
        if kind == _TRADE:
            self._add(Kind.TRADE, 0, ts_ns, local_ns, price, size, side, -1)
        elif kind in (_LEVEL, _IMAGE) and side:
            self._level(kind, side, (ts_ns, local_ns), price, size)
        elif kind == _CLEAR:
            for each in (side,) if side else (1, -1):
                self._top.clear_side(each)
        elif kind != _BEST:
            where = f"{self._path}: event {self._number}"
            why = f"kind {kind} with side {side} is not read"
            self._refuse(where, why, b"", reason="unsupported")

    def _level(
        self, kind: int, side: int, times: tuple[int, int], price: float, size: float
    ) -> None:
        begins = kind == _IMAGE and self._image != side
        if kind == _IMAGE:
            self._image = side
            if begins:
                self._top.clear_side(side)
        pair = [(price, size)]
        bids, asks = (pair, []) if side > 0 else ([], pair)
        self._add_levels(0, *times, bids, asks, image=begins)
        if (best := self._top.apply(bids, asks)) is not None:
            self._add(Kind.BBO, 0, *times, *best)
