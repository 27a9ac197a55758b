"""Captured Bybit websocket lines, ``<local seconds>: <JSON>``, of the interface up to 2022.

Topics: ``orderBookL2_25`` (an image, then removals, updates and insertions by level id) and
``trade``. Contracts in USD are inverse, of 1 USD each; those in USDT are linear, in coins.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from feeds.formats.format import Market
from feeds.formats.level_capture import LevelCapture
from feeds.formats.names import split_symbol
from feeds.formats.said import (
    SIDES,
    Level,
    Listing,
    Print,
    Said,
    Terms,
    Unsupported,
    after_seconds,
    said_of,
)

__all__ = ["Bybit", "BybitCapture"]

_HEAD: Final = re.compile(
    rb'wss?://[^ ]*bybit\.com/|\d{9,10}(?:\.\d+)?: \s*\{.*"(?:topic"\s*:\s*"(?:orderBookL2_25|'
    rb'trade)\.|request"\s*:\s*\{\s*"op"\s*:\s*"subscribe"\s*,\s*"args"\s*:\s*\["orderBookL2_25\.)'
)
_CONNECTION: Final = (b"wss://", b"ws://")
_BOOK: Final = "orderBookL2_25."
_DATED: Final = re.compile(r".+[FGHJKMNQUVXZ]\d{2}")
_TIME_MS_MAX: Final = 9 * 10**12
SNIFFED_LINES: Final = 20


class Row(Struct, gc=False):
    """A level, or a trade."""

    symbol: str
    side: str
    price: float | None = None
    size: float | None = None
    id: int | None = None
    trade_time_ms: int | None = None
    trade_id: str | None = None


class Delta(Struct, gc=False):
    """What changed of a book; an image of a linear contract's stands in ``order_book``."""

    order_book: list[Row] = []
    delete: list[Row] = []
    update: list[Row] = []
    insert: list[Row] = []


class Message(Struct, gc=False):
    """Rows of a topic, or an answer."""

    topic: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    timestamp_e6: int = 0
    success: bool | None = None


# Not strict: some numbers come as strings.
_MESSAGE: Final = msgspec.json.Decoder(Message, strict=False)
_ROWS: Final = msgspec.json.Decoder(list[Row], strict=False)
_IMAGE: Final = msgspec.json.Decoder(list[Row] | Delta, strict=False)
_DELTA: Final = msgspec.json.Decoder(Delta, strict=False)


class Bybit:
    """See the module."""

    venue = "Bybit"
    no_book = re.compile(rb'"topic"\s*:\s*"(?!orderBook)[^"]+"|"success"\s*:')

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        if line.startswith(_CONNECTION):
            return None
        ingest_ns, body = after_seconds(line)
        message = _MESSAGE.decode(body)
        topic, _, _ = message.topic.partition(".")
        if not topic:
            if message.success is None:
                raise ValueError("neither rows of a topic nor an answer")
            return None
        if topic == "trade":
            return ingest_ns, _trades(message)
        if message.topic.startswith(_BOOK):
            return ingest_ns, [_book(message, message.topic.removeprefix(_BOOK))]
        raise Unsupported(f"the topic {message.topic[:40]!r} is not read")

    def listing(self, symbol: str, _terms: Terms | None, /) -> Listing | str:
        if _DATED.fullmatch(symbol):
            return "is a future that expires; perpetuals and spot are simulated"
        base, quote = split_symbol(symbol)
        if quote == "USD":
            return Listing(Market(symbol, base, quote, "inverse", 1.0))
        if quote == "USDT":
            return Listing(Market(symbol, base, quote, "linear", 1.0))
        return "does not tell by its name what it is paid in"


class BybitCapture(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(Bybit())

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether one of the first lines is Bybit's, or its connection."""
        return any(_HEAD.match(line) for line in head.split(b"\n")[:SNIFFED_LINES])


def _trades(message: Message) -> list[Said]:
    heard: dict[str, Said] = {}
    for row in _ROWS.decode(message.data):
        time, price, size, key = row.trade_time_ms, row.price, row.size, row.trade_id
        if time is None or price is None or size is None or key is None:
            raise ValueError("a trade needs trade_time_ms, price, size and trade_id")
        if not 0 < time < _TIME_MS_MAX:
            raise ValueError(f"{time} is no time in ms")
        said = heard.setdefault(row.symbol, said_of(row.symbol))
        ts_ns, side = time * 1_000_000, SIDES.get(row.side, 0)
        said.prints.append(Print(ts_ns, price, size, side, key))
    return list(heard.values())


def _book(message: Message, symbol: str) -> Said:
    if not 0 <= message.timestamp_e6 < _TIME_MS_MAX * 1_000:
        raise ValueError(f"{message.timestamp_e6} is no time in us")
    said = said_of(symbol, message.timestamp_e6 * 1_000)
    if message.type == "snapshot":
        image = _IMAGE.decode(message.data)
        said.image = _levels(image if isinstance(image, list) else image.order_book)
    elif message.type == "delta":
        delta = _DELTA.decode(message.data)
        said.deletes = _levels(delta.delete)
        said.updates = _levels(delta.update)
        said.inserts = _levels(delta.insert)
    else:
        raise ValueError(f"{message.type[:40]!r} is neither snapshot nor delta")
    return said


def _levels(rows: list[Row]) -> list[Level]:
    levels = []
    for row in rows:
        if row.id is None or row.side not in SIDES:
            raise ValueError("a level needs id and side")
        levels.append(Level(row.id, SIDES[row.side], row.price, row.size))
    return levels
