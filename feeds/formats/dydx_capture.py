"""Captured lines of dYdX' indexer (v4), ``<local ns> <JSON>``.

Channels: ``v4_orderbook`` (an image at the subscription, then levels by price), ``v4_trades`` (what
comes with the subscription is history and makes no row) and ``v4_markets``: the oracle's price,
which is both mark and index there, and the next hour's funding. Books name no time and no number of
their own: a lost change is not noticed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.units import HOUR_NS
from feeds.formats.bybit_v5_capture import levels_of
from feeds.formats.format import Market
from feeds.formats.level_capture import LevelCapture
from feeds.formats.said import (
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

__all__ = ["DydxCapture"]

_HEAD: Final = re.compile(
    rb'\d{15,19} \s*\{(?=.*"type"\s*:\s*"(?:subscribed|channel_(?:batch_)?data)")'
    rb'.*"channel"\s*:\s*"v4_(?:orderbook|trades|markets)"'
)
_SIDES: Final = {"BUY": 1, "SELL": -1}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANSWERS: Final = ("connected", "unsubscribed", "pong")
SNIFFED_LINES: Final = 20


class Named(Struct, gc=False):
    """A level of an image."""

    price: float
    size: float


class Trade(Struct, rename="camel", gc=False):
    """A trade."""

    id: str
    size: float
    price: float
    side: str
    created_at: datetime


class Prices(Struct, rename="camel", gc=False):
    """What the venue says of one market."""

    oracle_price: float | None = None
    next_funding_rate: float | None = None


class Contents(Struct, rename="camel", gc=False):
    """Of any channel."""

    bids: list[Named | tuple[float, float]] = []
    asks: list[Named | tuple[float, float]] = []
    trades: list[Trade] = []
    markets: dict[str, Prices] = {}
    trading: dict[str, Prices] = {}
    oracle_prices: dict[str, Prices] = {}


class Message(Struct, gc=False):
    """A message of the indexer."""

    type: str
    channel: str = ""
    id: str = ""
    contents: msgspec.Raw = msgspec.Raw(b"")


# Not strict: numbers come as texts.
_MESSAGE: Final = msgspec.json.Decoder(Message, strict=False)
_CONTENTS: Final = msgspec.json.Decoder(Contents, strict=False)
_BATCH: Final = msgspec.json.Decoder(list[Contents], strict=False)


class _Dydx:
    """See the module."""

    venue = "dYdX"
    no_book = re.compile(rb'"channel"\s*:\s*"v4_(?!orderbook)')

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        ingest_ns, body = after_ns(line)
        message = _MESSAGE.decode(body)
        if message.type in _ANSWERS:
            return None
        if message.type == "error":
            raise Unsupported("an error of the venue")
        batch = message.type == "channel_batch_data"
        if message.type not in ("subscribed", "channel_data") and not batch:
            raise ValueError(f"{message.type[:40]!r} is no type of a message")
        if message.channel not in _HEARD:
            raise Unsupported(f"the channel {message.channel[:40]!r} is not read")
        told = message.contents
        parts = _BATCH.decode(told) if batch else [_CONTENTS.decode(told)]
        heard = [_HEARD[message.channel](message, part) for part in parts]
        return ingest_ns, [said for part in heard for said in part]

    def listing(self, symbol: str, _terms: Terms | None, /) -> Listing | str:
        base, _, quote = symbol.partition("-")
        return Listing(Market(symbol, base, quote or "USD", "linear", 1.0))


class DydxCapture(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(_Dydx())

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether one of the first lines is a message of dYdX' with its local time."""
        return any(_HEAD.match(line) for line in head.split(b"\n")[:SNIFFED_LINES])


def _book(message: Message, part: Contents) -> list[Said]:
    said = said_of(message.id)
    levels = [*_levels(part.bids, 1), *_levels(part.asks, -1)]
    if message.type == "subscribed":
        said.image = levels
    else:
        said.sets = levels
    return [said]


def _levels(pairs: list[Any], side: int) -> list[Level]:
    told = [(p.price, p.size) if isinstance(p, Named) else (p[0], p[1]) for p in pairs]
    return levels_of(told, side)


def _trades(message: Message, part: Contents) -> list[Said]:
    said = said_of(message.id)
    if message.type != "subscribed":
        for each in part.trades:
            side = _SIDES.get(each.side, 0)
            said.prints.append(Print(_ns(each.created_at), each.price, each.size, side, each.id))
    return [said]


def _markets(_message: Message, part: Contents) -> list[Said]:
    heard = []
    for markets in (part.markets, part.trading, part.oracle_prices):
        for name, told in markets.items():
            if told.oracle_price is None and told.next_funding_rate is None:
                continue
            price, rate = told.oracle_price, told.next_funding_rate
            said = said_of(name)
            every_ns = 0 if rate is None else HOUR_NS
            said.states.append(State(0, price, price, rate, every_ns=every_ns))
            heard.append(said)
    return heard


def _ns(time: datetime) -> int:
    if time.tzinfo is None:
        raise ValueError(f"{time} names no time zone")
    since = time - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


_HEARD: Final = {"v4_orderbook": _book, "v4_trades": _trades, "v4_markets": _markets}
