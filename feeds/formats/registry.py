"""All formats, and what a file that is none of them seems to be."""

from __future__ import annotations

import re
from typing import Final

from feeds.formats.binance_capture import BinanceCapture
from feeds.formats.binance_trades_csv import BinanceTradesCsv
from feeds.formats.bitmex_bars import BitmexBars
from feeds.formats.bitmex_capture import BitmexCapture
from feeds.formats.bitmex_trades_csv import BitmexTradesCsv
from feeds.formats.bybit_capture import BybitCapture
from feeds.formats.bybit_trades_csv import BybitTradesCsv
from feeds.formats.bybit_v5_capture import BybitV5Capture
from feeds.formats.dydx_capture import DydxCapture
from feeds.formats.format import Format
from feeds.formats.freqtrade import Freqtrade
from feeds.formats.funding_csv import FundingCsv
from feeds.formats.hftbacktest_npz import HftbacktestNpz
from feeds.formats.hyperliquid_capture import HyperliquidCapture
from feeds.formats.klines_csv import KlinesCsv
from feeds.formats.klines_json import KlinesJson
from feeds.formats.okx_capture import OkxCapture
from feeds.formats.tardis_csv import TARDIS
from feeds.parquet import LevsimParquet

__all__ = ["ACCEPTED", "FORMATS", "format_of", "guess", "refusal"]

FORMATS: Final[tuple[Format, ...]] = (
    LevsimParquet(),
    BinanceCapture(),
    BitmexCapture(),
    BybitCapture(),
    BybitV5Capture(),
    OkxCapture(),
    DydxCapture(),
    HyperliquidCapture(),
    KlinesJson(),
    BitmexBars(),
    Freqtrade(),
    HftbacktestNpz(),
    *TARDIS,
    BitmexTradesCsv(),
    BybitTradesCsv(),
    BinanceTradesCsv(),
    FundingCsv(),
    KlinesCsv(),
)
"""In the order in which they are asked; no two recognise the same file."""

ACCEPTED: Final = (
    "levsim Parquet, captured websocket lines of Binance, BitMEX, Bybit, dYdX, "
    "Hyperliquid and OKX, Binance "
    "aggTrades, trades or klines (CSV or JSON; zip, gz or plain), BitMEX 1-minute JSON lines, "
    "Tardis CSV (trades, quotes, derivative_ticker, book_snapshot), BitMEX and Bybit trades CSV, "
    "hftbacktest npz, freqtrade feather, and CSV of timestamp,symbol,funding_rate"
)

_OTHERS: Final = (
    (
        rb"^exchange,symbol,timestamp,local_timestamp,is_snapshot",
        "Tardis incremental_book_L2; its quotes or book_snapshot are read",
    ),
    (rb"^exchange,symbol,timestamp,local_timestamp", "a kind of Tardis CSV that is not read"),
    (rb"^timestamp,symbol,sum_open_interest", "open interest"),
    (rb"^Date,Open,High,Low,Close,Adj Close", "daily prices of Yahoo"),
    (rb"^date,funding_mean", "daily means of funding rates"),
    (rb"^(wave|coin|policy),", "figures on auto-deleveraging"),
    (rb"^[ -~]*,[ -~]*,", "a CSV file with other columns"),
)


def format_of(head: bytes, path: str) -> Format | None:
    """The format that recognises the file by its first bytes."""
    return next((known for known in FORMATS if known.sniff(head, path)), None)


def guess(head: bytes) -> str:
    """What a file that no format recognises seems to be."""
    if not head:
        return "empty"
    return next((what for pattern, what in _OTHERS if re.search(pattern, head)), "something else")


def refusal(path: str, head: bytes) -> str:
    """Why a file is no recording, and what would be."""
    if not head:
        return f"{path}: the file is empty; levsim reads {ACCEPTED}"
    return f"{path}: no recording that can be replayed ({guess(head)}); levsim reads {ACCEPTED}"
