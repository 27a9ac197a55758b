"""What Tardis' names of exchanges and symbols tell of a market."""

from __future__ import annotations

import re
from typing import Final

from feeds.formats.format import Market
from feeds.formats.names import split_symbol
from feeds.formats.said import Listing

__all__ = ["listing_of"]

_LINEAR: Final = ("binance-futures", "bybit", "hyperliquid", "dydx", "dydx-v4", "gate-io-futures")
_INVERSE: Final = ("binance-delivery",)
_SPOT: Final = (
    *("binance", "binance-us", "bybit-spot", "coinbase", "kraken", "okex", "bitstamp", "bitfinex"),
    *("gemini", "huobi", "kucoin", "gate-io", "bitflyer", "upbit", "crypto-com"),
)
_DATED: Final = re.compile(
    r".*(?:[-_]\d{6}|-\d{1,2}[A-Z]{3}\d{2})(?:-.*)?|[A-Z]+[FGHJKMNQUVXZ]\d{2}"
)
_OKEX_COINS: Final = {"BTC": 0.01, "ETH": 0.1}
"""Coins of one contract in USDT."""


def listing_of(exchange: str, symbol: str) -> Listing | str:
    """The market, or why it is none that can be simulated."""
    if _DATED.fullmatch(symbol):
        return "is a contract that expires; perpetuals and spot are simulated"
    name = symbol.removesuffix("-SWAP").removesuffix("-PERPETUAL").removesuffix("-PERP")
    base, quote = split_symbol(name.replace("-", "").replace("/", "") if quoted(name) else name)
    if exchange in _SPOT:
        return Listing(Market(symbol, base, quote, "spot", 1.0))
    if exchange in _INVERSE or (exchange in ("deribit", "bitmex", "okex-swap") and _in_usd(quote)):
        return _inverse(exchange, symbol, base)
    if exchange == "okex-swap" and base in _OKEX_COINS:
        return Listing(Market(symbol, base, quote, "linear", 1.0), _OKEX_COINS[base])
    if exchange == "bybit" and quote == "USD":
        return Listing(Market(symbol, base, quote, "inverse", 1.0))
    if exchange in _LINEAR:
        return Listing(Market(symbol, base, quote or "USD", "linear", 1.0))
    return f"is a contract of {exchange[:40]}, whose size nothing here tells"


def quoted(name: str) -> bool:
    """Whether a name has its quote behind a dash or a slash."""
    return re.fullmatch(r"[A-Z0-9]+[-/][A-Z0-9]+", name) is not None


def _in_usd(quote: str) -> bool:
    return quote in ("USD", "")


def _inverse(exchange: str, symbol: str, base: str) -> Listing | str:
    """Of so many USD each: amounts of Deribit are in USD, others in contracts."""
    if exchange == "bitmex" and symbol != "XBTUSD":
        return "is a contract of bitmex, whose size nothing here tells"
    size = 1.0 if exchange in ("deribit", "bitmex") else 100.0 if base == "BTC" else 10.0
    return Listing(Market(symbol, base, "USD", "inverse", size))
