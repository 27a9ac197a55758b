"""Binance's trades and aggTrades CSV files, spot and futures, with or without header.

Without a header the place of the first true/false tells them apart: aggTrades have it seventh
(``id, price, quantity, first id, last id, time, buyer is maker``, on spot also ``best match``),
trades sixth (``id, price, quantity, quote quantity, time, buyer is maker``, on spot also ``best
match``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from msgspec import structs

from engine.errors import InputError
from engine.ticks import Kind
from feeds.formats.csv_rows import Layout, csv_blocks, first_rows, header_of, layout_of
from feeds.formats.files import head as head_of
from feeds.formats.format import Block, Content, Contract, table_block
from feeds.formats.names import file_contract, file_symbol, market
from feeds.formats.numbers import times_to_ns
from feeds.gauge import Gauge

__all__ = ["BinanceTradesCsv"]

_ALIASES: Final = {
    "id": ("i", ("agg_trade_id", "trade_id", "id", "a"), False),
    "price": ("f", ("price", "p"), True),
    "size": ("f", ("quantity", "qty", "q", "size"), True),
    "time": ("i", ("transact_time", "time", "timestamp", "t"), True),
    "buyer_maker": ("b", ("is_buyer_maker", "isbuyermaker", "m"), True),
}
_TYPES: Final = {"id": "i", "price": "f", "size": "f", "time": "i", "buyer_maker": "b"}
_AGGREGATED: Final = ("id", "price", "size", "first", "last", "time", "buyer_maker")
_SINGLE: Final = ("id", "price", "size", "quote", "time", "buyer_maker")
_BOOLS: Final = ("true", "false")


class BinanceTradesCsv:
    """See the module."""

    name = "Binance trades CSV"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether the header or the first row is that of trades or aggTrades."""
        names = header_of(head)
        if names is None:
            return _headless(head) is not None
        known = set(names)
        if {"is_buyer_maker", "isbuyermaker", "agg_trade_id"} & known:
            return True
        return bool({"id", "trade_id"} & known) and bool({"qty", "quantity"} & known)

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream of trades of one symbol, which the file's name tells."""
        head = head_of(path)
        names = header_of(head)
        layout = _headless(head) if names is None else layout_of(path, names, _ALIASES)
        if layout is None:
            raise InputError(f"{path}:1: no row of Binance trades or aggTrades")
        rows = first_rows(path, head, layout, _trades)
        contract = file_contract(path) or _contract(layout)
        found = market(path, file_symbol(path) or symbol, contract)
        content = Content(
            path=path,
            markets=(structs.replace(found, kinds=(Kind.TRADE,)),),
            first_ns=int(times_to_ns(rows["time"])[0]),
            detail=layout,
        )
        return [content]

    def blocks(self, chain: Sequence[Content], _rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The trades in file order."""
        (content,) = chain
        yield from csv_blocks(content.path, content.detail, _trades, content.first_ns, gauge)


def _headless(head: bytes) -> Layout | None:
    fields = head.split(b"\n", 1)[0].decode("ascii", "replace").strip().split(",")
    bools = [i for i, field in enumerate(fields) if field.lower() in _BOOLS]
    if not bools or not fields[0].isdigit():
        return None
    names = {6: _AGGREGATED, 5: _SINGLE}.get(bools[0])
    if names is None or len(fields) > len(names) + 1:
        return None
    extra = ("best_match",) if len(fields) == len(names) + 1 else ()
    return Layout((*names, *extra), dict(_TYPES), header=False)


def _contract(layout: Layout) -> Contract:
    """Only spot's files tell whether the trade was the best match."""
    spot = {"best_match", "is_best_match", "isbestmatch"} & set(layout.names)
    return "spot" if spot else "linear"


def _trades(columns: dict[str, Any]) -> Block:
    count = len(columns["price"])
    ids = columns.get("id")
    return table_block(
        Kind.TRADE,
        times_to_ns(columns["time"]),
        price=columns["price"],
        size=columns["size"],
        aggressor=np.where(columns["buyer_maker"], -1, 1),
        trade_id=np.full(count, -1) if ids is None else ids,
    )
