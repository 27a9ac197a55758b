"""Lines of a capture whose books go by level, as rows.

What names no time of its own (BitMEX's book of 2021) takes the latest exchange time that the
capture has shown so far. Ids of trades do not rise at these venues, so rows have none (-1), and a
trade of which the same id was seen among the last ``SEEN_MAX`` of its symbol is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from engine.ticks import Kind
from engine.units import DAY_NS
from feeds.formats.format import Market
from feeds.formats.gathering import Gatherer
from feeds.formats.level_book import LevelBook, OutOfSync
from feeds.formats.said import Dialect, Print, Said, State, Unsupported
from feeds.formats.top_of_book import TopOfBook

__all__ = ["SEEN_MAX", "CaptureReader", "Plan", "is_heard"]

SEEN_MAX: Final = 65_536
UNREADABLE: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


class Plan(Struct):
    """What a scan of the files decided.

    Attributes:
        refused: symbol and why it is no market that can be simulated.
        units: coins of one unit of size, where it is not 1.
        quoted: symbols whose best prices were recorded, and need not be derived.
    """

    refused: dict[str, str]
    units: dict[str, float]
    quoted: set[str]


class _Desk:
    """What is remembered of one market."""

    def __init__(self, market: Market, place: int, plan: Plan) -> None:
        name = re.escape(market.symbol.encode())
        self.symbol, self.place = market.symbol, place
        self.unit = plan.units.get(market.symbol, 1.0)
        self.top = None if market.symbol in plan.quoted else TopOfBook()
        self.book = LevelBook()
        self.seen: dict[str, None] = {}
        self.named = re.compile(rb"(?<![A-Z0-9])" + name + rb"(?![A-Z0-9])", re.IGNORECASE)
        self.rate: float | None = None
        self.next_ns: int | None = None

    def is_new(self, key: str) -> bool:
        """Whether a trade of that name has not been seen; remembers it."""
        if key in self.seen:
            return False
        self.seen[key] = None
        if len(self.seen) > SEEN_MAX:
            del self.seen[next(iter(self.seen))]
        return True


def is_heard(ts_ns: int, ingest_ns: int) -> bool:
    """Whether a time may stand for rows without one: one stray time must not move them all."""
    return 0 < ts_ns <= ingest_ns + DAY_NS


class CaptureReader(Gatherer):
    """Rows of consecutive lines, gathered until ``flush``."""

    def __init__(
        self, dialect: Dialect, markets: Sequence[Market], plan: Plan, first_ns: int
    ) -> None:
        super().__init__(len(markets), first_ns)
        self._dialect = dialect
        self._desks = {m.symbol: _Desk(m, place, plan) for place, m in enumerate(markets)}
        self._refusals = plan.refused

    @property
    def breaks(self) -> int:
        """How often a book got lost so far."""
        return sum(desk.book.breaks for desk in self._desks.values())

    def lose_books(self) -> None:
        """Changes may be missing: all books wait for an image."""
        for desk in self._desks.values():
            desk.book.lose()

    def read(self, path: str, number: int, lines: Sequence[bytes]) -> None:
        """Append the rows of these lines; ``number`` is that of the first."""
        name = Path(path).name  # events are the same from wherever the file is read
        for offset, line in enumerate(lines):
            if not line.strip():
                continue
            where = f"{name}:{number + offset}"
            try:
                decoded = self._dialect.decode(line)
            except Unsupported as error:
                self._refuse(where, str(error), line, reason="unsupported")
                continue
            except UNREADABLE as error:
                self._unreadable(where, line, error)
                continue
            if decoded is not None:
                ingest_ns, heard = decoded
                for said in heard:
                    self._take(where, line, said, ingest_ns)

    def _unreadable(self, where: str, line: bytes, error: Exception) -> None:
        """A line that might have changed a book leaves that book in doubt; one that names no
        symbol, all of them."""
        self._refuse(where, str(error), line)
        if self._dialect.no_book.search(line) is not None:
            return
        named = [desk for desk in self._desks.values() if desk.named.search(line)]
        if not named and any(name.encode() in line.upper() for name in self._refusals):
            return
        for desk in named or self._desks.values():
            desk.book.lose()

    def _take(self, where: str, line: bytes, said: Said, ingest_ns: int) -> None:
        for ts_ns in said.times:
            if self._last_ns < ts_ns and is_heard(ts_ns, ingest_ns):
                self._last_ns = ts_ns
        desk = self._desks.get(said.symbol)
        if desk is None:
            why = self._refusals.get(said.symbol, "is no market of this capture")
            about = {"reason": "unsupported", "symbol": said.symbol}
            self._refuse(where, f"{said.symbol} {why}", line, **about)
            return
        for each in said.prints:
            self._print(where, line, desk, each, ingest_ns)
        for ts_ns, bid, bid_size, ask, ask_size in said.quotes:
            sizes = bid_size * desk.unit, ask_size * desk.unit
            self._add(Kind.BBO, desk.place, ts_ns, ingest_ns, bid, sizes[0], ask, sizes[1])
        for state in said.states:
            self._state(desk, state, ingest_ns)
        if said.image is not None or said.changes:
            self._book(where, line, desk, said, ingest_ns)

    def _print(self, where: str, line: bytes, desk: _Desk, each: Print, ingest_ns: int) -> None:
        if not desk.is_new(each.key):
            why = f"trade {each.key} came before"
            self._refuse(where, why, line, reason="duplicate", symbol=desk.symbol)
            return
        size = each.size * desk.unit
        self._add(Kind.TRADE, desk.place, each.ts_ns, ingest_ns, each.price, size, each.side, -1)

    def _state(self, desk: _Desk, state: State, ingest_ns: int) -> None:
        ts_ns, next_ns = state.ts_ns or self._last_ns, state.next_ns
        if state.mark_price is not None:
            self._add(Kind.MARK, desk.place, ts_ns, ingest_ns, state.mark_price)
        if state.index_price is not None:
            self._add(Kind.INDEX, desk.place, ts_ns, ingest_ns, state.index_price)
        if state.every_ns:
            next_ns = (ts_ns // state.every_ns + 1) * state.every_ns
        if state.rate is None and next_ns is None:
            return
        if next_ns is not None and next_ns <= ts_ns and next_ns == desk.next_ns:
            return  # told when it was paid, and announced before
        desk.rate = desk.rate if state.rate is None else state.rate
        desk.next_ns = desk.next_ns if next_ns is None else next_ns
        if desk.rate is not None and desk.next_ns is not None:
            self._add(Kind.FUNDING, desk.place, ts_ns, ingest_ns, desk.rate, desk.next_ns)

    def _book(self, where: str, line: bytes, desk: _Desk, said: Said, ingest_ns: int) -> None:
        image = said.image is not None
        try:
            bids, asks = (
                desk.book.change(said)
                if said.image is None
                else desk.book.image(said.image, said.number)
            )
        except OutOfSync as error:
            about = {"reason": "out_of_sync", "symbol": desk.symbol}
            self._refuse(where, str(error), line, **about)
            return
        except ValueError as error:
            desk.book.lose()
            self._refuse(where, str(error), line)
            return
        if desk.unit != 1.0:
            bids = [(price, size * desk.unit) for price, size in bids]
            asks = [(price, size * desk.unit) for price, size in asks]
        ts_ns = said.ts_ns or self._last_ns
        self._add_levels(desk.place, ts_ns, ingest_ns, bids, asks, image=image)
        if desk.top is None:
            return
        if image:
            desk.top.clear()
        if (best := desk.top.apply(bids, asks)) is not None:
            self._add(Kind.BBO, desk.place, ts_ns, ingest_ns, *best)
