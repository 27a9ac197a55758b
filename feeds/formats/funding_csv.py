"""Funding rates as CSV: ``timestamp,symbol,funding_rate``, the rate paid at that instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from msgspec import structs

from engine.errors import InputError
from engine.ticks import Funding, Kind, Step
from feeds.formats.csv_rows import csv_blocks, first_rows, header_of, layout_of
from feeds.formats.files import head as head_of
from feeds.formats.format import FUNDING_PRIORITY, Block, Content
from feeds.formats.names import file_contract, file_symbol, market
from feeds.formats.numbers import times_to_ns
from feeds.gauge import Gauge

__all__ = ["FundingCsv"]

_ALIASES: Final = {
    "time": ("i", ("timestamp", "calc_time", "funding_time", "fundingtime", "time"), True),
    "symbol": ("s", ("symbol",), False),
    "rate": ("f", ("funding_rate", "last_funding_rate", "fundingrate"), True),
}


class FundingCsv:
    """See the module."""

    name = "funding CSV"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether the header has a funding rate, or a mark of one beside a symbol."""
        names = header_of(head) or []
        return bool(set(names) & set(_ALIASES["rate"][1]))

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream of funding rows of all its symbols."""
        head = head_of(path)
        layout = layout_of(path, header_of(head) or [], _ALIASES)
        first = first_rows(path, head, layout, lambda columns: times_to_ns(columns["time"]))
        symbols: dict[str, None] = {}
        if "symbol" in layout.types:

            def note(columns: dict[str, Any]) -> Block:
                symbols.update(dict.fromkeys(columns["symbol"].tolist()))
                return Step(first=0, end=0)

            for _ in csv_blocks(path, layout, note, 0):
                pass
        names: list[str | None] = [*symbols] or [file_symbol(path) or symbol]
        markets = []
        for name in names:
            contract = file_contract(path)
            found = market(path, name, None if contract == "spot" else contract)
            markets.append(structs.replace(found, kinds=(Kind.FUNDING,)))
        if not markets:
            raise InputError(f"{path}: holds no rows")
        return [
            Content(
                path=path,
                markets=tuple(markets),
                first_ns=int(times_to_ns(first["time"])[0]),
                priority=FUNDING_PRIORITY,
                detail=layout,
            )
        ]

    def blocks(self, chain: Sequence[Content], _rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The rates in file order; each is told at the instant at which it is paid."""
        (content,) = chain
        places = {found.symbol: place for place, found in enumerate(content.markets)}

        def convert(columns: dict[str, Any]) -> Block:
            ts_ns = times_to_ns(columns["time"])
            count = len(ts_ns)
            names = columns.get("symbol")
            symbol: Any = 0
            if names is not None and len(places) > 1:
                symbol = np.array([places[name.upper()] for name in names.tolist()], np.int32)
            table = Funding(
                sequence=np.arange(count, dtype=np.int64),
                symbol=symbol,
                ts_ns=ts_ns,
                rate=columns["rate"],
                next_ns=ts_ns,
            )
            return Step(first=0, end=count, tables=(table,))

        yield from csv_blocks(content.path, content.detail, convert, content.first_ns, gauge)
