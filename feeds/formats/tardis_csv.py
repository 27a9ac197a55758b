"""Tardis' CSV files: trades, quotes, derivative_ticker, and book_snapshot_5 and 25.

All begin with ``exchange,symbol,timestamp,local_timestamp`` (us, UTC): the exchange's time stamps a
row, the local one orders them. A snapshot is an image of the book, and its best prices are quotes.
A ticker's empty fields say nothing; a file may hold many symbols.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from feeds.formats.csv_lines import fields_of, micros_ns, number, optional
from feeds.formats.level_capture import LevelCapture
from feeds.formats.said import (
    Level,
    Listing,
    Print,
    Quote,
    Said,
    State,
    Terms,
    said_of,
)
from feeds.formats.tardis_markets import listing_of

__all__ = ["TARDIS"]

_COMMON: Final = "exchange,symbol,timestamp,local_timestamp"
_SIDES: Final = {"buy": 1, "sell": -1}
_BOOK_FIELDS: Final = 4
"""Of a level on both sides."""

Hear = Callable[[list[str], int, Said], None]


class _Tardis:
    """Lines of one of Tardis' kinds of files."""

    venue = "Tardis"
    # Each row of a book is an image, so a lost one leaves no hole in the next.
    no_book = re.compile(rb"")

    def __init__(self, header: str, hear: Hear) -> None:
        self._header = header.rstrip().encode()
        self._count = header.count(",") + 1
        self._hear = hear

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        if line.startswith(self._header):
            return None
        fields = fields_of(line, self._count)
        exchange, symbol = fields[0], fields[1]
        ts_ns, local_ns = micros_ns(fields[2]), micros_ns(fields[3])
        said = said_of(symbol)
        said.terms.append(Terms(exchange))
        self._hear(fields, ts_ns, said)
        return local_ns, [said]

    def listing(self, symbol: str, terms: Terms | None, /) -> Listing | str:
        # The exchange stands in the place of what a venue's own messages tell.
        return "is not named by any row" if terms is None else listing_of(terms.contract, symbol)


class TardisCsv(LevelCapture):
    """See the module."""

    def __init__(self, kind: str, header: str, hear: Hear) -> None:
        self._head = header.encode()
        super().__init__(_Tardis(header, hear), f"Tardis {kind} CSV")

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether the header is that of this kind of file."""
        return head.startswith(self._head)


def _trade(fields: list[str], ts_ns: int, said: Said) -> None:
    key = fields[4] or ",".join(fields)
    side = _SIDES.get(fields[5], 0)
    said.prints.append(Print(ts_ns, number(fields[6]), number(fields[7]), side, key))


def _quote(fields: list[str], ts_ns: int, said: Said) -> None:
    ask_size, ask, bid, bid_size = (number(field) for field in fields[4:8])
    said.quotes.append(Quote(ts_ns, bid, bid_size, ask, ask_size))


def _ticker(fields: list[str], ts_ns: int, said: Said) -> None:
    next_ns = micros_ns(fields[4]) if fields[4] else None
    rate = optional(fields[5])
    index, mark = optional(fields[9]), optional(fields[10])
    said.states.append(State(ts_ns, mark, index, rate, next_ns))


def _book(fields: list[str], ts_ns: int, said: Said) -> None:
    """Columns are price and amount of an ask, then of a bid, from the best on."""
    said.ts_ns = ts_ns
    said.image = []
    for at in range(4, len(fields) - _BOOK_FIELDS + 1, _BOOK_FIELDS):
        for side, place in ((-1, at), (1, at + 2)):
            price, size = optional(fields[place]), optional(fields[place + 1])
            if price is not None and size is not None:
                said.image.append(Level(price, side, price, size))


def _levels(count: int) -> str:
    return ",".join(
        f"{side}[{level}].{name}"
        for level in range(count)
        for side in ("asks", "bids")
        for name in ("price", "amount")
    )


TARDIS: Final = (
    TardisCsv("trades", f"{_COMMON},id,side,price,amount", _trade),
    TardisCsv("quotes", f"{_COMMON},ask_amount,ask_price,bid_price,bid_amount", _quote),
    TardisCsv(
        "derivative_ticker",
        f"{_COMMON},funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
        "last_price,index_price,mark_price",
        _ticker,
    ),
    TardisCsv("book_snapshot_25", f"{_COMMON},{_levels(25)}", _book),
    TardisCsv("book_snapshot_5", f"{_COMMON},{_levels(5)}\n", _book),
)
"""A format for each kind of file."""
