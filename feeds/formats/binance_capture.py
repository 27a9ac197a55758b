"""Captured Binance websocket lines, ``<local ns> <JSON>``: linear, coin-margined and spot.

Streams: ``trade``, ``aggTrade``, ``bookTicker``, ``depthUpdate`` with its REST snapshot,
``markPriceUpdate``. A line that is none of them, or no JSON, is one malformed row. A file that
follows another of the same markets continues it. A symbol with fewer than 100 lines, and fewer than
1 in 100 of those of the most frequent one, is no market but so many malformed rows, unless it is
asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct, structs

from engine.errors import InputError
from engine.ticks import Kind
from feeds.formats.binance_events import decode_line, exchange_ns
from feeds.formats.binance_lines import LineReader
from feeds.formats.files import line_batches
from feeds.formats.format import Block, Content, Contract
from feeds.formats.names import market
from feeds.gauge import Gauge

__all__ = ["BinanceCapture"]

_LINE: Final = re.compile(rb'^\d{15,19} \s*\{.*"(?:stream|e|lastUpdateId)"\s*:')
_KNOWN: Final = re.compile(
    rb'"(?:lastUpdateId|e)"\s*:|@bookTicker|@depth|@trade|@aggTrade|@markPrice'
)
_SYMBOL: Final = re.compile(rb'"s(?:ymbol)?"\s*:\s*"([A-Z0-9_]{2,40})"')
_EVENT: Final = re.compile(rb'"e"\s*:\s*"(\w{1,30})"')
_BARE_TICKER: Final = re.compile(rb'\{\s*"u"\s*:\s*\d+\s*,\s*"s"\s*:\s*"')
_SNAPSHOT: Final = re.compile(rb'"lastUpdateId"\s*:')
SNIFFED_LINES: Final = 20
RARE_LINES: Final = 100
RARE_SHARE: Final = 0.01
"""A symbol with fewer lines than both, the latter of the most frequent symbol's, is a stray."""


class Scan(Struct):
    """What one pass over a capture finds without decoding its lines."""

    contracts: dict[str, Contract]
    events: set[str]
    lines: Counter[bytes]
    snapshot: bool = False
    first_ns: int = 0
    received_first_ns: int = 0
    received_last_ns: int = 0


class BinanceCapture:
    """See the module."""

    name = "Binance websocket capture"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether one of the first lines is a Binance event with its local time."""
        lines = head.split(b"\n")[:SNIFFED_LINES]
        return any(_LINE.match(line) and _KNOWN.search(line) for line in lines)

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream; the whole file is scanned for its symbols and kinds, so a broken file is
        found here."""
        scan = _scan(path)
        if not scan.contracts and symbol:
            scan.contracts[symbol.upper()] = "linear"
        _drop_strays(scan, (symbol or "").upper())
        if not scan.contracts:
            raise InputError(f"{path}: no line names a symbol; give it with --symbol")
        kinds = _kinds(scan)
        markets = tuple(
            structs.replace(market(path, name, contract), kinds=kinds)
            for name, contract in scan.contracts.items()
        )
        content = Content(
            path=path,
            markets=markets,
            first_ns=scan.first_ns,
            chain="capture:" + ",".join(f"{m.symbol}/{m.contract}" for m in markets),
            received_ns=(scan.received_first_ns, scan.received_last_ns),
            detail="bookTicker" in scan.events,
        )
        return [content]

    def blocks(self, chain: Sequence[Content], rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The lines' rows in line order."""
        reader = LineReader(
            chain[0].markets,
            chain[0].first_ns,
            derive_bbo=not any(content.detail for content in chain),
        )
        for content in chain:
            for number, lines in line_batches(content.path, gauge):
                # Batches of a MiB hold some 5,000 lines; a line makes one row, but for levels.
                for start in range(0, len(lines), rows):
                    reader.read(content.path, number + start, lines[start : start + rows])
                    if reader.rows >= rows:
                        yield reader.flush()
        reader.end()
        if reader.rows:
            yield reader.flush()

    def sync_breaks(self, chain: Sequence[Content]) -> int:
        """Gaps in the L2 stream of a capture; reads all of it."""
        reader = LineReader(chain[0].markets, chain[0].first_ns, derive_bbo=False)
        for content in chain:
            for number, lines in line_batches(content.path):
                reader.read(content.path, number, lines)
                reader.flush()
        return reader.breaks


def _scan(path: str) -> Scan:
    scan = Scan(contracts={}, events=set(), lines=Counter())
    for _, lines in line_batches(path):
        text = b"\n".join(lines)
        named = Counter(_SYMBOL.findall(text))
        scan.lines.update(named)
        found = set(named) - {name.encode() for name in scan.contracts}
        if found:
            _add_markets(scan, lines, found)
        scan.events.update(event.decode() for event in set(_EVENT.findall(text)))
        if b"@bookTicker" in text or _BARE_TICKER.search(text):
            scan.events.add("bookTicker")
        scan.snapshot = scan.snapshot or _SNAPSHOT.search(text) is not None
        for line in lines if not scan.first_ns else ():
            scan.first_ns = exchange_ns(line)
            if scan.first_ns:
                break
        _note_received(scan, lines)
    return scan


def _drop_strays(scan: Scan, wanted: str) -> None:
    """One line that was damaged in its symbol is no second market."""
    most = max(scan.lines.values(), default=0)
    for name in list(scan.contracts):
        count = scan.lines[name.encode()]
        if count < RARE_LINES and count < RARE_SHARE * most and name != wanted:
            del scan.contracts[name]


def _note_received(scan: Scan, lines: list[bytes]) -> None:
    if not scan.received_first_ns:
        stamps = (line.partition(b" ")[0] for line in lines)
        scan.received_first_ns = next((int(s) for s in stamps if s.isdigit() and len(s) < 20), 0)
    stamps = (line.partition(b" ")[0] for line in reversed(lines))
    last = next((int(s) for s in stamps if s.isdigit() and len(s) < 20), 0)
    scan.received_last_ns = max(scan.received_last_ns, last)


def _add_markets(scan: Scan, lines: list[bytes], found: set[bytes]) -> None:
    """Adds the symbols in the order of their first line, each with the contract that this line
    tells."""
    for line in lines:
        match = _SYMBOL.search(line)
        if match is not None and match[1] in found:
            found.discard(match[1])
            scan.contracts[match[1].decode()] = _contract(line)
            if not found:
                return


def _contract(line: bytes) -> Contract:
    """Spot has no ``pu`` in depth, no time in bookTicker, and an ``M`` in trades; only
    coin-margined has ``ps``."""
    line = line.replace(b'" :', b'":')
    if b"USD_" in line or b'"ps":' in line or b'"pair":' in line:
        return "inverse"
    decoded = decode_line(line)
    event = decoded.event if decoded is not None else ""
    if event == "depthUpdate":
        return "linear" if b'"pu":' in line else "spot"
    if event == "bookTicker":
        return "linear" if b'"T":' in line else "spot"
    if event in ("trade", "aggTrade"):
        return "spot" if b'"M":' in line else "linear"
    return "linear"


def _kinds(scan: Scan) -> tuple[Kind, ...]:
    kinds: set[Kind] = set()
    if scan.events & {"trade", "aggTrade"}:
        kinds.add(Kind.TRADE)
    if "bookTicker" in scan.events:
        kinds.add(Kind.BBO)
    if "depthUpdate" in scan.events and scan.snapshot:
        kinds |= {Kind.LEVEL, Kind.BBO}
    if "markPriceUpdate" in scan.events:
        kinds |= {Kind.MARK, Kind.INDEX, Kind.FUNDING}
    return tuple(sorted(kinds))
