"""Captured Hyperliquid websocket lines, ``<local ns> <JSON>``.

Channels: ``l2Book`` (always a whole image, 20 levels a side), ``trades``, ``bbo`` and
``activeAssetCtx`` (mark, oracle as index, and the rate that is paid at the next full hour; it names
no time and takes the latest one). Perpetuals are linear, in coins, margined and paid in USDC; names
with ``@`` or ``/`` are spot. The first message of ``trades`` is history, with its own times.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from engine.units import HOUR_NS
from feeds.formats.format import Market
from feeds.formats.level_capture import LevelCapture
from feeds.formats.said import (
    Level,
    Listing,
    Print,
    Quote,
    Said,
    State,
    Terms,
    Unsupported,
    after_ns,
    said_of,
)

__all__ = ["HyperliquidCapture"]

_HEAD: Final = re.compile(
    rb'\d{15,19} \s*\{.*"channel"\s*:\s*"(?:l2Book|trades|bbo|activeAssetCtx|subscriptionResponse)"'
)
_ANSWERS: Final = ("subscriptionResponse", "pong", "error")
_SIDES: Final = {"B": 1, "A": -1}
_TIME_MS_MAX: Final = 9 * 10**12
SNIFFED_LINES: Final = 20


class Point(Struct, gc=False):
    """A level."""

    px: float
    sz: float


class Book(Struct, gc=False):
    """An image: bids, then asks."""

    coin: str
    time: int
    levels: tuple[list[Point], list[Point]]


class Trade(Struct, gc=False):
    """A trade; ``side`` is the aggressor's: B bought, A sold."""

    coin: str
    side: str
    px: float
    sz: float
    time: int
    tid: int


class Best(Struct, gc=False):
    """Best bid and ask; an empty side is null."""

    coin: str
    time: int
    bbo: tuple[Point | None, Point | None]


class Context(Struct, rename="camel", gc=False):
    """What the venue computes for a perpetual; spot has no oracle and no funding."""

    mark_px: float | None = None
    oracle_px: float | None = None
    funding: float | None = None


class Asset(Struct, gc=False):
    """A context and whose it is."""

    coin: str
    ctx: Context


class Message(Struct, gc=False):
    """One message of any channel."""

    channel: str
    data: msgspec.Raw = msgspec.Raw(b"")


# Not strict: prices and sizes come as strings.
_MESSAGE: Final = msgspec.json.Decoder(Message, strict=False)
_BOOK: Final = msgspec.json.Decoder(Book, strict=False)
_TRADES: Final = msgspec.json.Decoder(list[Trade], strict=False)
_BEST: Final = msgspec.json.Decoder(Best, strict=False)
_ASSET: Final = msgspec.json.Decoder(Asset, strict=False)


class _Hyperliquid:
    """See the module."""

    venue = "Hyperliquid"
    # Each message of a book is an image, so a lost one leaves no hole in the next.
    no_book = re.compile(rb"")

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        ingest_ns, body = after_ns(line)
        message = _MESSAGE.decode(body)
        if message.channel in _ANSWERS:
            return None
        if message.channel == "l2Book":
            return ingest_ns, [_book(_BOOK.decode(message.data))]
        if message.channel == "trades":
            return ingest_ns, _trades(_TRADES.decode(message.data))
        if message.channel == "bbo":
            return ingest_ns, [_best(_BEST.decode(message.data))]
        if message.channel == "activeAssetCtx":
            return ingest_ns, [_context(_ASSET.decode(message.data))]
        raise Unsupported(f"the channel {message.channel[:40]!r} is not read")

    def listing(self, symbol: str, _terms: Terms | None, /) -> Listing | str:
        if ":" in symbol:
            return "is a perpetual of a builder, whose collateral nothing tells"
        if symbol.startswith("@") or "/" in symbol:
            base, _, quote = symbol.partition("/")
            return Listing(Market(symbol, base, quote or "USDC", "spot", 1.0))
        return Listing(Market(symbol, symbol, "USDC", "linear", 1.0))


class HyperliquidCapture(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(_Hyperliquid())

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether one of the first lines is a message of Hyperliquid's with its local time."""
        return any(_HEAD.match(line) for line in head.split(b"\n")[:SNIFFED_LINES])


def _book(book: Book) -> Said:
    bids, asks = book.levels
    image = [Level(level.px, 1, level.px, level.sz) for level in bids]
    image += [Level(level.px, -1, level.px, level.sz) for level in asks]
    said = said_of(book.coin, _ns(book.time))
    said.image = image
    return said


def _trades(trades: list[Trade]) -> list[Said]:
    heard: dict[str, Said] = {}
    for each in trades:
        said = heard.setdefault(each.coin, said_of(each.coin))
        side = _SIDES.get(each.side, 0)
        said.prints.append(Print(_ns(each.time), each.px, each.sz, side, str(each.tid)))
    return list(heard.values())


def _best(best: Best) -> Said:
    bid, ask = best.bbo
    if bid is None or ask is None:
        raise ValueError("a side of the book is empty")
    said = said_of(best.coin)
    said.quotes.append(Quote(_ns(best.time), bid.px, bid.sz, ask.px, ask.sz))
    return said


def _context(asset: Asset) -> Said:
    context = asset.ctx
    every_ns = 0 if context.funding is None else HOUR_NS
    said = said_of(asset.coin)
    said.states.append(
        State(0, context.mark_px, context.oracle_px, context.funding, every_ns=every_ns)
    )
    return said


def _ns(time: int) -> int:
    if not 0 < time < _TIME_MS_MAX:
        raise ValueError(f"{time} is no time in ms")
    return time * 1_000_000
