"""What a line of a captured websocket says, in one form for all venues whose books go by level.

A venue's ``Dialect`` turns lines into these; ``capture_lines`` turns these into rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from feeds.formats.format import Market

__all__ = [
    "SIDES",
    "Dialect",
    "Level",
    "Listing",
    "Print",
    "Quote",
    "Said",
    "State",
    "Terms",
    "Unsupported",
    "after_ns",
    "after_seconds",
    "said_of",
]

SIDES: Final = {"Buy": 1, "Sell": -1}
_SYMBOL: Final = re.compile(r"[A-Z0-9._:@/#-]{1,40}")
_SECONDS: Final = re.compile(rb"(\d{1,10})(?:\.(\d{1,12}))?")
_NANOS: Final = re.compile(rb"\d{15,19}")


class Unsupported(ValueError):  # noqa: N818 - no error, but what a feed does not read
    """A whole message of a kind that is not read."""


class Print(NamedTuple):
    """A trade; ``side`` as in ``Trades.aggressor``, ``key`` its name at the venue."""

    ts_ns: int
    price: float
    size: float
    side: int
    key: str


class Quote(NamedTuple):
    """Best bid and ask."""

    ts_ns: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


class Level(NamedTuple):
    """One level of a book: ``key`` is its name at the venue, ``side`` +1 bid, -1 ask. An update may
    leave out the price, a removal the size."""

    key: float
    side: int
    price: float | None
    size: float | None


class State(NamedTuple):
    """Prices and funding that the venue computes; ``None`` where it says nothing new, ``ts_ns`` 0
    where it names no time. ``every_ns``: funding falls due at its whole multiples."""

    ts_ns: int
    mark_price: float | None = None
    index_price: float | None = None
    rate: float | None = None
    next_ns: int | None = None
    every_ns: int = 0


class Terms(NamedTuple):
    """What a message tells about its contract: ``linear``, ``inverse`` or ``quanto``; its quote
    face where inverse, the coins of one unit of size where linear; its settlement asset if told."""

    contract: str
    unit: float = 1.0
    settled_in: str = ""


class Said(Struct):
    """What one message says of one symbol; ``ts_ns`` 0 where it names no time for its book.

    ``sets`` are levels by price, whether they were there or not; a size of 0 removes one.
    ``number`` is the message's among those of the book, ``after`` that of the one which it follows.
    """

    symbol: str
    ts_ns: int = 0
    prints: list[Print] = []
    quotes: list[Quote] = []
    states: list[State] = []
    image: list[Level] | None = None
    deletes: list[Level] = []
    updates: list[Level] = []
    inserts: list[Level] = []
    sets: list[Level] = []
    number: int | None = None
    after: int | None = None
    terms: list[Terms] = []

    @property
    def times(self) -> Iterator[int]:
        """All times that it names."""
        yield self.ts_ns
        for part in (self.prints, self.quotes, self.states):
            for each in part:
                yield each.ts_ns

    @property
    def changes(self) -> bool:
        """Whether it changes the book."""
        return bool(self.deletes or self.updates or self.inserts or self.sets)


class Listing(NamedTuple):
    """A market that can be simulated; ``unit``: coins of one unit of size, 1 where inverse."""

    market: Market
    unit: float = 1.0


class Dialect(Protocol):
    """How one venue writes."""

    venue: str
    no_book: re.Pattern[bytes]
    """Matches lines that cannot concern a book, readable or not."""

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        """Time of receipt and what the line says; ``None`` for connections and subscriptions.

        Raises:
            Unsupported: for a message of a kind that is not read.
            ValueError, TypeError: if it cannot be read.
        """

    def listing(self, symbol: str, terms: Terms | None, /) -> Listing | str:
        """The market of a symbol, or why it is none that can be simulated."""


def said_of(symbol: str, ts_ns: int = 0) -> Said:
    """Nothing yet about a symbol; raises ``ValueError`` if that is no name of one."""
    name = symbol.upper()
    if _SYMBOL.fullmatch(name) is None:
        raise ValueError(f"{symbol[:40]!r} is no symbol")
    return Said(symbol=name, ts_ns=ts_ns)


def after_seconds(line: bytes) -> tuple[int, bytes]:
    """Time of receipt and body of ``<seconds>: <body>``, digit by digit: a float would round."""
    head, _, body = line.partition(b": ")
    found = _SECONDS.fullmatch(head)
    if found is None:
        raise ValueError("it does not begin with its local time in seconds")
    return _in_range(int(found[1]) * 10**9 + int((found[2] or b"0")[:9].ljust(9, b"0"))), body


def after_ns(line: bytes) -> tuple[int, bytes]:
    """Time of receipt and body of ``<ns> <body>``."""
    head, _, body = line.partition(b" ")
    if _NANOS.fullmatch(head) is None:
        raise ValueError("it does not begin with its local time in ns")
    return _in_range(int(head)), body


def _in_range(ts_ns: int) -> int:
    if ts_ns >> 63:
        raise ValueError("the local time is out of range")
    return ts_ns
