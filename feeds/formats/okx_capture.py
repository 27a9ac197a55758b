"""Captured OKX websocket lines, ``<local ns> <JSON>``.

Channels: ``books`` and ``books-l2-tbt`` (an image, then levels by price; each message names the one
before it), ``books5`` and ``bbo-tbt``, ``trades``, ``mark-price``, ``index-tickers`` (of BTC-USDT,
which is the index of BTC-USDT-SWAP), ``funding-rate`` and ``instruments``. Sizes of swaps count
contracts: ``instruments`` tells what one holds; without it BTC's and ETH's are known, and those in
USD.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from feeds.formats.bybit_v5_capture import levels_of, millis_ns
from feeds.formats.format import Market
from feeds.formats.level_capture import LevelCapture
from feeds.formats.said import (
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

__all__ = ["OkxCapture"]

_HEAD: Final = re.compile(
    rb'\d{15,19} \s*\{.*"(?:arg"\s*:\s*\{[^}]*"channel|event"\s*:\s*"subscribe"[^}]*"channel)"'
)
_SIDES: Final = {"buy": 1, "sell": -1}
_SWAP: Final = "-SWAP"
_COINS: Final = {"BTC": 0.01, "ETH": 0.1}
"""Of one contract in USDT or USDC."""
_BOOKS: Final = ("books", "books-l2-tbt", "books50-l2-tbt")
_IMAGES: Final = ("books5",)
SNIFFED_LINES: Final = 20

Pairs = list[tuple[float, float, str, str]]


class Argument(Struct, rename="camel", gc=False):
    """The channel, and what of it."""

    channel: str = ""
    inst_id: str = ""


class Book(Struct, rename="camel", gc=False):
    """Levels: price, size, and two numbers that are not read."""

    asks: Pairs
    bids: Pairs
    ts: int
    seq_id: int | None = None
    prev_seq_id: int | None = None


class Row(Struct, rename="camel", gc=False):
    """A trade, a price, a rate or an instrument."""

    inst_id: str
    ts: int = 0
    trade_id: str = ""
    px: float | None = None
    sz: float | None = None
    side: str = ""
    mark_px: float | None = None
    idx_px: float | None = None
    funding_rate: str = ""
    funding_time: str = ""
    ct_val: str = ""
    ct_type: str = ""
    settle_ccy: str = ""


class Message(Struct, gc=False):
    """Rows of a channel, or an answer."""

    arg: Argument = msgspec.field(default_factory=Argument)
    action: str = ""
    event: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


# Not strict: numbers come as texts.
_MESSAGE: Final = msgspec.json.Decoder(Message, strict=False)
_LEVELS: Final = msgspec.json.Decoder(list[Book], strict=False)
_ROWS: Final = msgspec.json.Decoder(list[Row], strict=False)


class _Okx:
    """See the module."""

    venue = "OKX"
    no_book = re.compile(rb'"channel"\s*:\s*"(?!books)[^"]+"|"event"\s*:')

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        ingest_ns, body = after_ns(line)
        if body.strip() == b"pong":
            return None
        message = _MESSAGE.decode(body)
        channel = message.arg.channel
        if message.event:
            return None
        if not channel:
            raise ValueError("neither rows of a channel nor an answer")
        if channel in (*_BOOKS, *_IMAGES, "bbo-tbt"):
            return ingest_ns, [_book(message, each) for each in _LEVELS.decode(message.data)]
        rows = _ROWS.decode(message.data) if channel in _HEARD else None
        if rows is None:
            raise Unsupported(f"the channel {channel[:40]!r} is not read")
        heard: dict[str, Said] = {}
        for row in rows:
            name = f"{row.inst_id}{_SWAP}" if channel == "index-tickers" else row.inst_id
            _HEARD[channel](row, heard.setdefault(name, said_of(name)))
        return ingest_ns, list(heard.values())

    def listing(self, symbol: str, terms: Terms | None, /) -> Listing | str:
        base, _, rest = symbol.partition("-")
        quote, _, kind = rest.partition("-")
        if not kind:
            return Listing(Market(symbol, base, quote, "spot", 1.0))
        if kind != "SWAP":
            return "is a contract that expires; perpetuals and spot are simulated"
        if terms is not None and terms.contract == "inverse":
            return Listing(Market(symbol, base, quote, "inverse", terms.unit))
        if terms is not None:
            return Listing(Market(symbol, base, quote, "linear", 1.0), terms.unit)
        if quote == "USD":
            size = 100.0 if base == "BTC" else 10.0
            return Listing(Market(symbol, base, quote, "inverse", size))
        if base in _COINS:
            return Listing(Market(symbol, base, quote, "linear", 1.0), _COINS[base])
        return "does not tell the size of its contracts; record the channel instruments with it"


class OkxCapture(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(_Okx())

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether one of the first lines is a message of OKX's with its local time."""
        return any(_HEAD.match(line) for line in head.split(b"\n")[:SNIFFED_LINES])


def _book(message: Message, book: Book) -> Said:
    said = said_of(message.arg.inst_id, millis_ns(book.ts))
    bids = [(price, size) for price, size, _, _ in book.bids]
    asks = [(price, size) for price, size, _, _ in book.asks]
    channel = message.arg.channel
    if channel == "bbo-tbt":
        if not bids or not asks:
            raise ValueError("a side of the book is empty")
        said.quotes.append(Quote(said.ts_ns, *bids[0], *asks[0]))
        return said
    levels = [*levels_of(bids, 1), *levels_of(asks, -1)]
    said.number = book.seq_id
    if message.action == "snapshot" or channel in _IMAGES:
        said.image = levels
    elif message.action == "update":
        said.sets, said.after = levels, book.prev_seq_id
    else:
        raise ValueError(f"{message.action[:40]!r} is neither snapshot nor update")
    return said


def _trade(row: Row, said: Said) -> None:
    if row.px is None or row.sz is None or not row.trade_id:
        raise ValueError("a trade needs px, sz and tradeId")
    side = _SIDES.get(row.side, 0)
    said.prints.append(Print(millis_ns(row.ts), row.px, row.sz, side, row.trade_id))


def _mark(row: Row, said: Said) -> None:
    said.states.append(State(millis_ns(row.ts), mark_price=row.mark_px))


def _index(row: Row, said: Said) -> None:
    said.states.append(State(millis_ns(row.ts), index_price=row.idx_px))


def _funding(row: Row, said: Said) -> None:
    rate = float(row.funding_rate) if row.funding_rate else None
    due = millis_ns(int(row.funding_time)) if row.funding_time else None
    said.states.append(State(millis_ns(row.ts) if row.ts else 0, rate=rate, next_ns=due))


def _instrument(row: Row, said: Said) -> None:
    if row.ct_val and row.ct_type in ("linear", "inverse"):
        said.terms.append(Terms(row.ct_type, float(row.ct_val), row.settle_ccy))


_HEARD: Final = {
    "trades": _trade,
    "trades-all": _trade,
    "mark-price": _mark,
    "index-tickers": _index,
    "funding-rate": _funding,
    "instruments": _instrument,
}
"""Channels whose rows are alike."""
