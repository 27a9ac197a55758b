"""Bars as CSV: Binance's klines files (headerless or not), and exports of them with other headers.

Bars are stamped at their start; ``close_time`` is the last ms (or us) of the bar. Where it is
missing the interval is the smallest step between the first bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from engine.errors import InputError
from engine.ticks import Kind
from feeds.bars import Bars
from feeds.formats.csv_rows import (
    Layout,
    csv_blocks,
    first_rows,
    header_of,
    layout_of,
    no_trades,
)
from feeds.formats.files import head as head_of
from feeds.formats.format import Block, Content, Contract
from feeds.formats.names import file_contract, file_symbol, market
from feeds.formats.numbers import times_to_ns
from feeds.gauge import Gauge

__all__ = ["KlinesCsv", "bar_ends", "kline_contract"]

_ALIASES: Final = {
    "start": ("i", ("open_time", "timestamp", "opentime", "time"), True),
    "open": ("f", ("open",), True),
    "high": ("f", ("high",), True),
    "low": ("f", ("low",), True),
    "close": ("f", ("close",), True),
    "volume": ("f", ("volume",), False),
    "end": ("i", ("close_time", "closetime"), False),
    "trades": ("i", ("count", "trades", "number_of_trades"), False),
}
_BINANCE: Final = (
    "start",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "end",
    "quote_volume",
    "trades",
    "taker_base",
    "taker_quote",
    "ignore",
)
_TYPES: Final = {name: kind for name, (kind, _, _) in _ALIASES.items()}
_TOKENS: Final = ("UPUSDT", "DOWNUSDT", "BULLUSDT", "BEARUSDT")


class Detail(Struct, frozen=True):
    layout: Layout
    bar_ns: int


class KlinesCsv:
    """See the module."""

    name = "klines CSV"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether the header names a numeric start and three of the four prices, or the first row
        has 12 numbers."""
        names = header_of(head)
        if names is None:
            return _headless(head) is not None
        prices = {"open", "high", "low", "close"} & set(names)
        lines = head.split(b"\n", 2)
        numeric = len(lines) > 1 and lines[1][:1].isdigit() and b"-" not in lines[1].split(b",")[0]
        return len(prices) >= 3 and (numeric or len(lines[-1]) == 0) and names[0] != "date"

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream of bars of one symbol, which the file's name tells."""
        head = head_of(path)
        names = header_of(head)
        layout = _headless(head) if names is None else layout_of(path, names, _ALIASES)
        if layout is None:
            raise InputError(f"{path}:1: no row of klines")
        rows = first_rows(path, head, layout, lambda columns: _bars(columns, 0))
        start_ns = times_to_ns(rows["start"])
        bar_ns = _interval(path, start_ns, rows.get("end"))
        name = file_symbol(path) or symbol
        named_spot = "quote_asset_volume" in (names or ())
        found = market(path, name, kline_contract(path, name, spot=named_spot))
        content = Content(
            path=path,
            markets=(structs.replace(found, kinds=(Kind.TRADE,), bar_ns=bar_ns),),
            first_ns=int(start_ns[0]),
            detail=Detail(layout, bar_ns),
        )
        return [content]

    def blocks(self, chain: Sequence[Content], _rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The bars in file order."""
        (content,) = chain
        detail: Detail = content.detail

        def convert(columns: dict[str, Any]) -> Block:
            return _bars(columns, detail.bar_ns)

        yield from csv_blocks(content.path, detail.layout, convert, content.first_ns, gauge)


def kline_contract(path: str, symbol: str | None, *, spot: bool) -> Contract | None:
    """The market that the file's name, its folder's or its columns tell; leveraged tokens trade on
    spot markets."""
    if symbol is not None and symbol.upper().endswith(_TOKENS):
        return "spot"
    return file_contract(path) or ("spot" if spot else None)


def bar_ends(start_ns: Any, close_time: Any) -> Any:
    """Exclusive ends of bars from the last ms or us that belongs to each.

    Raises:
        ValueError: if a bar ends before it starts.
    """
    close_time = np.asarray(close_time, np.int64)
    last_ns = times_to_ns(close_time)
    end_ns = last_ns + np.where(close_time < 10**14, 1_000_000, 1_000)
    if (end_ns <= start_ns).any():
        raise ValueError("a bar ends before it starts")
    return end_ns


def _headless(head: bytes) -> Layout | None:
    fields = head.split(b"\n", 1)[0].decode("ascii", "replace").strip().split(",")
    if len(fields) != len(_BINANCE) or not (fields[0].isdigit() and fields[6].isdigit()):
        return None
    return Layout(_BINANCE, dict(_TYPES), header=False)


def _interval(path: str, start_ns: Any, close_time: Any) -> int:
    if close_time is not None:
        return int(bar_ends(start_ns, close_time)[0] - start_ns[0])
    steps = np.diff(start_ns)
    steps = steps[steps > 0]
    if not len(steps):
        raise InputError(
            f"{path}: neither a close_time column nor a second bar tells the length of the bars"
        )
    return int(steps.min())


def _bars(columns: dict[str, Any], bar_ns: int) -> Bars:
    start_ns = times_to_ns(columns["start"])
    ends = columns.get("end")
    count = len(start_ns)
    return Bars(
        symbol=0,
        start_ns=start_ns,
        end_ns=start_ns + bar_ns if ends is None else bar_ends(start_ns, ends),
        open=columns["open"],
        high=columns["high"],
        low=columns["low"],
        close=columns["close"],
        volume=columns.get("volume", np.zeros(count)),
        trades=columns.get("trades", no_trades(count)),
    )
