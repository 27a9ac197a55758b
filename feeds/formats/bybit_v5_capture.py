"""Captured Bybit websocket lines, ``<local ns> <JSON>``, of the interface since 2022 (v5).

Topics: ``orderbook.DEPTH.SYMBOL`` (an image, then levels by price whose messages are numbered
through), ``publicTrade.SYMBOL`` and ``tickers.SYMBOL`` (mark, index and funding; a delta names what
changed). Contracts in USD are inverse, of 1 USD each; those in USDT or USDC are in coins. Spot
has the same topics and names, and nothing here tells it apart: it is taken for the perpetual.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from feeds.formats.bybit_capture import Bybit
from feeds.formats.format import Market
from feeds.formats.level_capture import LevelCapture
from feeds.formats.said import (
    SIDES,
    Level,
    Listing,
    Print,
    Said,
    State,
    Terms,
    Unsupported,
    after_ns,
    said_of,
)

__all__ = ["BybitV5Capture", "levels_of", "millis_ns"]

_HEAD: Final = re.compile(
    rb'\d{15,19} \s*\{.*"(?:topic"\s*:\s*"(?:orderbook\.\d+|publicTrade|tickers)\.|'
    rb'ret_msg"\s*:\s*"(?:subscribe|pong)?")'
)
_TIME_MS_MAX: Final = 9 * 10**12
SNIFFED_LINES: Final = 20


class Trade(Struct, gc=False):
    """A trade; a block trade was agreed on elsewhere."""

    time: int = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    side: str = msgspec.field(name="S")
    size: float = msgspec.field(name="v")
    price: float = msgspec.field(name="p")
    key: str = msgspec.field(name="i")


class Book(Struct, gc=False):
    """Levels by price; ``u`` counts the messages of one book."""

    s: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    u: int


class Ticker(Struct, rename="camel", gc=False):
    """What the venue computes; a delta leaves out what stayed. Empty texts say nothing."""

    symbol: str
    mark_price: str = ""
    index_price: str = ""
    funding_rate: str = ""
    next_funding_time: str = ""


class Message(Struct, gc=False):
    """Rows of a topic, or an answer."""

    topic: str = ""
    type: str = ""
    ts: int = 0
    cts: int = 0
    data: msgspec.Raw = msgspec.Raw(b"")
    success: bool | None = None
    op: str = ""


# Not strict: prices and sizes come as texts.
_MESSAGE: Final = msgspec.json.Decoder(Message, strict=False)
_TRADES: Final = msgspec.json.Decoder(list[Trade], strict=False)
_BOOK: Final = msgspec.json.Decoder(Book, strict=False)
_TICKER: Final = msgspec.json.Decoder(Ticker, strict=False)


class _BybitV5(Bybit):
    """See the module."""

    no_book = re.compile(rb'"topic"\s*:\s*"(?!orderbook)[^"]+"|"success"\s*:')

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        ingest_ns, body = after_ns(line)
        message = _MESSAGE.decode(body)
        topic, _, _ = message.topic.partition(".")
        if not topic:
            if message.success is None and not message.op:
                raise ValueError("neither rows of a topic nor an answer")
            return None
        if topic == "publicTrade":
            return ingest_ns, _trades(message)
        if topic == "orderbook":
            return ingest_ns, [_book(message)]
        if topic == "tickers":
            return ingest_ns, [_ticker(message)]
        raise Unsupported(f"the topic {message.topic[:40]!r} is not read")

    def listing(self, symbol: str, terms: Terms | None, /) -> Listing | str:
        if "-" in symbol:
            return "is a contract that expires; perpetuals and spot are simulated"
        if symbol.endswith(("PERP", "USDC")):
            base = symbol.removesuffix("PERP").removesuffix("USDC")
            return Listing(Market(symbol, base, "USDC", "linear", 1.0))
        return super().listing(symbol, terms)


class BybitV5Capture(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(_BybitV5(), "Bybit v5 websocket capture")

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether one of the first lines is a message of Bybit's with its local time."""
        return any(_HEAD.match(line) for line in head.split(b"\n")[:SNIFFED_LINES])


def _trades(message: Message) -> list[Said]:
    heard: dict[str, Said] = {}
    for each in _TRADES.decode(message.data):
        said = heard.setdefault(each.symbol, said_of(each.symbol))
        ts_ns, side = millis_ns(each.time), SIDES.get(each.side, 0)
        said.prints.append(Print(ts_ns, each.price, each.size, side, each.key))
    return list(heard.values())


def _book(message: Message) -> Said:
    book = _BOOK.decode(message.data)
    said = said_of(book.s, millis_ns(message.cts or message.ts))
    levels = [*levels_of(book.b, 1), *levels_of(book.a, -1)]
    said.number = book.u
    # The venue restarts a book with a delta that is numbered 1 and holds all of it.
    if message.type == "snapshot" or book.u == 1:
        said.image = levels
    elif message.type == "delta":
        said.sets, said.after = levels, book.u - 1
    else:
        raise ValueError(f"{message.type[:40]!r} is neither snapshot nor delta")
    return said


def levels_of(pairs: list[tuple[float, float]], side: int) -> list[Level]:
    """Levels that are named by their price."""
    return [Level(price, side, price, size) for price, size in pairs]


def _ticker(message: Message) -> Said:
    told = _TICKER.decode(message.data)
    said = said_of(told.symbol)
    mark, index, rate = (
        float(text) if text else None
        for text in (told.mark_price, told.index_price, told.funding_rate)
    )
    due = int(told.next_funding_time or 0)
    next_ns = millis_ns(due) if due else None
    said.states.append(State(millis_ns(message.ts), mark, index, rate, next_ns))
    return said


def millis_ns(time: int) -> int:
    """A time in ms as ns.

    Raises:
        ValueError: if it is none.
    """
    if not 0 < time < _TIME_MS_MAX:
        raise ValueError(f"{time} is no time in ms")
    return time * 1_000_000
