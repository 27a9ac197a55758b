"""Symbols: what their names, and the names of files, tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from engine.errors import InputError
from feeds.formats.format import Contract, Market

__all__ = ["file_contract", "file_symbol", "market", "split_symbol"]

_QUOTES: Final = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "DAI", "EUR", "BTC", "ETH")
_NAME: Final = re.compile(
    r"(?:^|[-_. ])"
    r"([A-Z0-9]{2,12}?)[-_/]?(FDUSD|USDT|USDC|BUSD|TUSD|USD|DAI|EUR)"
    r"(_PERP|_\d{6})?(?:_(?:USDT|USDC|USD))?(?=$|[-_. ])"
)
_SPOT: Final = re.compile(r"(?:^|[-_. ])spot(?:$|[-_. ])", re.IGNORECASE)
_INVERSE: Final = re.compile(r"(?:^|[-_. ])(coinm|cm|inverse)(?:$|[-_. ])|USD_PERP", re.IGNORECASE)
_LINEAR: Final = re.compile(
    r"(?:^|[-_. ])(usdm|usdsm|um|perp|perpetual|futures|swap|linear)(?:$|[-_. ])", re.IGNORECASE
)
_BITMEX_INVERSE: Final = ("XBTUSD",)


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote: ``XBTUSD`` is BTC in USD, ``BTCUSD_PERP`` too; the quote may be ""."""
    name = symbol.split("_", maxsplit=1)[0].split("-", maxsplit=1)[0]
    if name.startswith("XBT"):
        return "BTC", name[3:]
    for quote in _QUOTES:
        if name.endswith(quote) and len(name) > len(quote):
            return name[: -len(quote)], quote
    return name, ""


def file_symbol(path: str) -> str | None:
    """The symbol that a file's name tells: ``BTC_USDT_USDT-1m-futures.feather`` is BTCUSDT."""
    found = _NAME.search(Path(path).name.upper())
    return None if found is None else f"{found[1]}{found[2]}{found[3] or ''}"


def file_contract(path: str) -> Contract | None:
    """The kind of market that the file's name, or else its folder's, tells."""
    for name in (Path(path).name, Path(path).absolute().parent.name):
        if _SPOT.search(name):
            return "spot"
        if _INVERSE.search(name):
            return "inverse"
        if _LINEAR.search(name):
            return "linear"
    return None


def market(path: str, symbol: str | None, contract: Contract | None) -> Market:
    """The market of a symbol, with the contract size of its venue.

    Binance's coin-margined contracts are 100 USD of BTC and 10 USD of every other coin; BitMEX's
    XBTUSD is 1 USD.

    Raises:
        InputError: if no symbol is known, or its contract is of a kind that is not simulated.
    """
    if not symbol:
        raise InputError(
            f"{path}: neither content nor file name tells the symbol; give it with --symbol"
        )
    symbol = symbol.upper()
    base, quote = split_symbol(symbol)
    if symbol in _BITMEX_INVERSE:
        return Market(symbol, base, quote or "USD", "inverse", 1.0)
    if contract is None:
        contract = "inverse" if symbol.endswith("USD_PERP") else "linear"
    if contract == "inverse":
        return Market(symbol, base, quote or "USD", "inverse", 100.0 if base == "BTC" else 10.0)
    return Market(symbol, base, quote or "USDT", contract, 1.0)
