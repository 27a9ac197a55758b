"""Lines of a Binance capture, decoded to rows.

A row without a time of its own (spot's bookTicker) takes the latest exchange time that the capture
has shown so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from engine.ticks import NOT_MARKET, Kind
from feeds.formats.binance_depth import Changes, DepthSync
from feeds.formats.binance_events import (
    BARE,
    ENVELOPE,
    ENVELOPED,
    SPACED_ENVELOPE,
    Event,
    time_ns,
)
from feeds.formats.format import Market, line_of
from feeds.formats.gathering import Gatherer
from feeds.formats.top_of_book import TopOfBook

__all__ = ["LineReader"]

_MS_MIN: Final = 1
_MS_MAX: Final = 9 * 10**12
_UNUSED: Final = {
    "duplicate": "the book holds it already",
    "out_of_sync": "no snapshot of the book came that it builds on",
}


def _refuse(why: str) -> None:
    raise ValueError(why)


class LineReader(Gatherer):
    """Rows of consecutive lines, gathered until ``flush``."""

    def __init__(self, markets: Sequence[Market], first_ns: int, derive_bbo: bool) -> None:
        super().__init__(len(markets), first_ns)
        self._symbols = [m.symbol for m in markets]
        self._index = {symbol: i for i, symbol in enumerate(self._symbols)}
        self._sync = [DepthSync(m.contract == "spot") for m in markets]
        self._tops = [TopOfBook() if derive_bbo else None for m in markets]
        self._bbo = self._tables[Kind.BBO]
        self._handlers: dict[str, Callable[[Event, int], None]] = {
            "trade": self._trade,
            "aggTrade": self._agg_trade,
            "bookTicker": self._book_ticker,
            "depthUpdate": self._depth,
            "snapshot": self._snapshot,
            "markPriceUpdate": self._mark_price,
        }

    @property
    def breaks(self) -> int:
        """Gaps in the L2 streams so far."""
        return sum(sync.breaks for sync in self._sync)

    def end(self) -> None:
        """Refuse the changes of the books that still wait for a snapshot: none will come."""
        for symbol, sync in enumerate(self._sync):
            self._tell(symbol, sync.lost(ended=True), "out_of_sync")

    def read(self, path: str, number: int, lines: Sequence[bytes]) -> None:
        """Append the rows of these lines; ``number`` is that of the first."""
        bare, enveloped = BARE.decode, ENVELOPED.decode
        handlers = self._handlers
        for offset, line in enumerate(lines):
            stamp, _, body = line.partition(b" ")
            try:
                ingest_ns = int(stamp)
                if ingest_ns >> 63:
                    _refuse("the local time is out of range")
                event = enveloped(body).data if body.startswith(ENVELOPE) else bare(body)
                handlers[event.e or event.event](event, ingest_ns)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                if line.strip() and not self._read_spaced(line, error):
                    self._malformed(line_of(path, number + offset), line, error)

    def _read_spaced(self, line: bytes, error: Exception) -> bool:
        """An envelope that another writer spaced looks like an event without a name."""
        stamp, _, body = line.partition(b" ")
        if not isinstance(error, KeyError) or not SPACED_ENVELOPE.match(body):
            return False
        try:
            event = ENVELOPED.decode(body).data
            self._handlers[event.e or event.event](event, int(stamp))
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        return True

    def _malformed(self, where: str, line: bytes, error: Exception) -> None:
        why = f"unknown event or symbol {error}" if isinstance(error, KeyError) else str(error)
        self._refuse(where, why, line)

    def _at(self, event: Event) -> int:
        time = event.T or event.E
        if not time:
            return self._last_ns
        ts_ns = time * 1_000_000 if _MS_MIN <= time < _MS_MAX else time_ns(time)
        self._last_ns = max(self._last_ns, ts_ns)
        return ts_ns

    def _trade(self, event: Event, ingest_ns: int) -> None:
        symbol = self._index[event.s]
        if event.p is None or event.q is None or not (event.T or event.E):
            raise ValueError("a trade needs p, q and T")
        if event.t >> 63 not in (0, -1):
            raise ValueError("the trade id is out of range")
        side = 0 if event.m is None else -1 if event.m else 1
        if event.X != "MARKET":
            side = NOT_MARKET
        ts_ns = self._at(event)
        self._add(Kind.TRADE, symbol, ts_ns, ingest_ns, event.p, event.q, side, event.t)

    def _agg_trade(self, event: Event, ingest_ns: int) -> None:
        event.t = int(event.a) if isinstance(event.a, float | int) else -1
        self._trade(event, ingest_ns)

    def _book_ticker(self, event: Event, ingest_ns: int) -> None:
        bid, bid_size, ask, ask_size = event.b, event.B, event.a, event.A
        if type(bid) is not float or bid_size is None or type(ask) is not float or ask_size is None:
            raise TypeError("a bookTicker needs b, B, a and A")
        symbol, ts_ns, row = self._index[event.s], self._at(event), self.rows
        self._bbo.append((row, symbol, ts_ns, ingest_ns, bid, bid_size, ask, ask_size))
        self.rows = row + 1

    def _mark_price(self, event: Event, ingest_ns: int) -> None:
        symbol = self._index[event.s]
        if event.p is None or not event.E:
            raise ValueError("a markPriceUpdate needs p and E")
        ts_ns, next_ns = time_ns(event.E), time_ns(event.T)
        self._last_ns = max(self._last_ns, ts_ns)
        self._add(Kind.MARK, symbol, ts_ns, ingest_ns, event.p)
        if event.i is not None:
            self._add(Kind.INDEX, symbol, ts_ns, ingest_ns, event.i)
        if event.r is not None and event.T:
            self._add(Kind.FUNDING, symbol, ts_ns, ingest_ns, event.r, next_ns)

    def _depth(self, event: Event, ingest_ns: int) -> None:
        symbol = self._index[event.s]
        bids, asks = event.b, event.a
        if not isinstance(bids, list) or not isinstance(asks, list) or event.u < 0 or event.U < 0:
            raise TypeError("a depthUpdate needs U, u, b and a")
        ts_ns = self._at(event)
        changes = Changes(ts_ns, ingest_ns, event.U, event.u, event.pu, bids, asks)
        if self._sync[symbol].accept(changes):
            self._levels(symbol, changes, image=False)
        else:
            self._tell(symbol, self._sync[symbol].repeated(), "duplicate")
            self._tell(symbol, self._sync[symbol].lost(), "out_of_sync")

    def _tell(self, symbol: int, unused: Sequence[Changes], reason: str) -> None:
        """A row for each change that no book took, at the time when it is known."""
        name = self._symbols[symbol]
        for changes in unused:
            covers = f"{name}: depthUpdate {changes.first} to {changes.last}"
            self._refused(f"{covers}: {_UNUSED[reason]}", reason=reason, symbol=name)

    def _snapshot(self, event: Event, ingest_ns: int) -> None:
        if event.bids is None or event.asks is None:
            raise TypeError("a snapshot needs bids and asks")
        symbol = self._snapshot_symbol(event)
        taken, waiting = self._sync[symbol].snapshot(event.lastUpdateId)
        ts_ns = self._at(event)
        if not taken:
            return
        top = self._tops[symbol]
        if top is not None:
            top.clear()
        update = event.lastUpdateId
        image = Changes(ts_ns, ingest_ns, update, update, -1, event.bids, event.asks)
        self._levels(symbol, image, image=True)
        for changes in waiting:
            self._levels(symbol, changes, image=False)

    def _snapshot_symbol(self, event: Event) -> int:
        if event.symbol:
            return self._index[event.symbol]
        update = event.lastUpdateId
        fits = [
            i for i, sync in enumerate(self._sync) if not sync.synced and sync.may_follow(update)
        ]
        if self._one_symbol:
            return 0
        if len(fits) == 1:
            return fits[0]
        raise ValueError("a snapshot without symbol, and several symbols wait for one")

    def _levels(self, symbol: int, changes: Changes, *, image: bool) -> None:
        bids, asks = changes.bids, changes.asks
        self._add_levels(symbol, changes.ts_ns, changes.ingest_ns, bids, asks, image=image)
        top = self._tops[symbol]
        if top is not None and (best := top.apply(bids, asks)) is not None:
            self._add(Kind.BBO, symbol, changes.ts_ns, changes.ingest_ns, *best)
