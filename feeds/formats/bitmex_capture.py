"""Captured BitMEX websocket lines, ``<local seconds>: <JSON>``.

Tables: ``orderBookL2`` by level id (an update names no price: it is that of the image or of the
insertion; keyed by id and side), ``quote``, ``trade``, ``instrument`` and ``funding``. What comes
with ``partial`` is the state at subscription: a book's image, the last quote and the last trade
with their own times; of ``funding`` it is history, and makes no row.

What a contract is paid in, a trade tells by its three values: ``grossValue`` is the coin's
``homeNotional`` in satoshi where inverse, the quote's ``foreignNotional`` where linear, and neither
where it is a quanto. ``instrument`` says so outright. Where both are silent only XBTUSD is known.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from engine.ticks import NOT_MARKET
from feeds.formats.format import Market
from feeds.formats.level_capture import LevelCapture
from feeds.formats.names import split_symbol
from feeds.formats.said import (
    SIDES,
    Level,
    Listing,
    Print,
    Quote,
    Said,
    State,
    Terms,
    Unsupported,
    after_seconds,
    said_of,
)

__all__ = ["Bitmex", "BitmexCapture", "Row", "print_of", "terms_of_trade"]

_HEAD: Final = re.compile(
    rb"wss?://[^ ]*bitmex\.com/realtime|"
    rb'\d{9,10}(?:\.\d+)?: \s*\{.*"(?:table|subscribe)"\s*:\s*'
    rb'"(?:orderBookL2|quote|trade|instrument|funding)'
)
_CONNECTION: Final = (b"wss://", b"ws://", b"https://", b"http://")
_DATED: Final = re.compile(r".+[FGHJKMNQUVXZ]\d{2}")
_BOOKS: Final = ("orderBookL2", "orderBookL2_25")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SATOSHI: Final = 1e-8
_MICRO: Final = 1e-6
_NEAR: Final = 1e-6
SNIFFED_LINES: Final = 20

Time = Annotated[datetime, Meta(tz=True)]


class Row(Struct, rename="camel", gc=False):
    """A row of any table, in BitMEX's names."""

    symbol: str
    timestamp: Time | None = None
    id: int | None = None
    side: str | None = None
    size: float | None = None
    price: float | None = None
    bid_price: float | None = None
    bid_size: float | None = None
    ask_price: float | None = None
    ask_size: float | None = None
    trade_id: str | None = msgspec.field(name="trdMatchID", default=None)
    trade_type: str | None = msgspec.field(name="trdType", default=None)
    gross_value: float | None = None
    home_notional: float | None = None
    foreign_notional: float | None = None
    mark_price: float | None = None
    indicative_settle_price: float | None = None
    funding_rate: float | None = None
    funding_timestamp: Time | None = None
    is_quanto: bool | None = None
    is_inverse: bool | None = None
    multiplier: float | None = None
    underlying_to_position_multiplier: float | None = None


class Message(Struct, gc=False):
    """Rows of a table, or an answer."""

    table: str = ""
    action: str = ""
    data: list[Row] = []
    success: bool | None = None
    info: str | None = None
    error: str | None = None


_DECODER: Final = msgspec.json.Decoder(Message)


class Bitmex:
    """See the module."""

    venue = "BitMEX"
    no_book = re.compile(rb'"table"\s*:\s*"(?:quote|trade|instrument|funding)"|"subscribe"\s*:')

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        if line.startswith(_CONNECTION):
            return None
        ingest_ns, body = after_seconds(line)
        if body == b"pong":
            return None
        message = _DECODER.decode(body)
        if not message.table:
            if message.success is None and message.info is None and message.error is None:
                raise ValueError("neither rows of a table nor an answer")
            return None
        heard: dict[str, Said] = {}
        for row in message.data:
            if row.symbol not in heard:
                heard[row.symbol] = said_of(row.symbol)
            _hear(message, row, heard[row.symbol])
        return ingest_ns, list(heard.values())

    def listing(self, symbol: str, terms: Terms | None, /) -> Listing | str:
        if symbol.startswith("."):
            return "is an index and no market"
        if _DATED.fullmatch(symbol):
            return "is a future that expires; perpetuals and spot are simulated"
        base, quote = split_symbol(symbol.replace("_", ""))
        if symbol == "XBTUSD":
            return Listing(Market(symbol, base, quote, "inverse", 1.0))
        if terms is None:
            return "is not simulated: no trade or instrument of it tells what it is paid in"
        if terms.contract == "quanto":
            return "is paid in another coin (quanto), which is not simulated"
        if not quote:
            return "does not tell its base and quote by its name"
        if terms.contract == "inverse":
            return Listing(Market(symbol, base, quote, "inverse", terms.unit))
        if terms.settled_in not in ("", quote):
            return f"is paid in {terms.settled_in} and not in {quote}, which is not simulated"
        contract: Any = "spot" if "_" in symbol else "linear"
        return Listing(Market(symbol, base, quote, contract, 1.0), terms.unit)


class BitmexCapture(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(Bitmex())

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether one of the first lines is BitMEX's, or its connection."""
        return any(_HEAD.match(line) for line in head.split(b"\n")[:SNIFFED_LINES])


def _hear(message: Message, row: Row, said: Said) -> None:
    if message.table in _BOOKS:
        _hear_level(message.action, row, said)
    elif message.table == "quote":
        said.quotes.append(_quote(row))
    elif message.table == "trade":
        said.prints.append(print_of(row))
        said.terms += terms_of_trade(row)
    elif message.table == "instrument":
        said.terms += _terms_of_instrument(row)
        next_ns = None if row.funding_timestamp is None else _ns(row.funding_timestamp)
        prices = row.mark_price, row.indicative_settle_price
        said.states.append(State(_time(row), *prices, row.funding_rate, next_ns))
    elif message.table == "funding":
        if message.action == "insert":
            ts_ns = _time(row)
            said.states.append(State(ts_ns, rate=row.funding_rate, next_ns=ts_ns))
    else:
        raise Unsupported(f"the table {message.table[:40]!r} is not read")


def _hear_level(action: str, row: Row, said: Said) -> None:
    if row.id is None or row.side not in SIDES:
        raise ValueError("a level needs id and side")
    level = Level(row.id, SIDES[row.side], row.price, row.size)
    if row.timestamp is not None:
        said.ts_ns = max(said.ts_ns, _ns(row.timestamp))
    if action == "partial":
        said.image = [*(said.image or ()), level]
    elif action == "insert":
        said.inserts.append(level)
    elif action == "update":
        said.updates.append(level)
    elif action == "delete":
        said.deletes.append(level)
    else:
        raise ValueError(f"{action[:40]!r} is nothing that a book can do")


def _quote(row: Row) -> Quote:
    bid, bid_size, ask, ask_size = row.bid_price, row.bid_size, row.ask_price, row.ask_size
    if bid is None or bid_size is None or ask is None or ask_size is None:
        raise ValueError("a quote needs both sides")
    return Quote(_time(row), bid, bid_size, ask, ask_size)


def print_of(row: Row) -> Print:
    """The trade of a row of the table ``trade``."""
    if row.price is None or row.size is None or row.trade_id is None:
        raise ValueError("a trade needs price, size and trdMatchID")
    side = SIDES.get(row.side or "", 0)
    if row.trade_type not in (None, "Regular"):
        side = NOT_MARKET
    return Print(_time(row), row.price, row.size, side, row.trade_id)


def _time(row: Row) -> int:
    if row.timestamp is None:
        raise ValueError("it has no timestamp")
    return _ns(row.timestamp)


def _ns(time: datetime) -> int:
    since = time - _EPOCH
    ts_ns = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    if not 0 <= ts_ns < 2**63:
        raise ValueError(f"{time} is out of range")
    return ts_ns


def terms_of_trade(row: Row) -> list[Terms]:
    """What a trade tells of its contract; nothing where a value is missing."""
    size, gross = row.size, row.gross_value
    home, foreign = row.home_notional, row.foreign_notional
    if not size or not gross or not home or not foreign:
        return []
    if _is_near(gross * _SATOSHI, home):
        return [Terms("inverse", float(f"{foreign / size:.6g}"))]
    coins = float(f"{home / size:.6g}")
    if _is_near(gross * _SATOSHI, foreign):
        return [Terms("linear", coins, "BTC")]
    if _is_near(gross * _MICRO, foreign):
        return [Terms("linear", coins)]
    return [Terms("quanto")]


def _terms_of_instrument(row: Row) -> list[Terms]:
    if row.is_quanto:
        return [Terms("quanto")]
    if row.is_inverse and row.multiplier:
        return [Terms("inverse", abs(row.multiplier) * _SATOSHI)]
    if row.is_inverse is False and row.underlying_to_position_multiplier:
        return [Terms("linear", 1.0 / row.underlying_to_position_multiplier)]
    return []


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= _NEAR * abs(other)
