"""Lines of a Binance capture, decoded to rows.

A row without a time of its own (spot's bookTicker) takes the latest exchange time that the capture
has shown so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from engine.events import Malformed
from engine.ticks import NOT_MARKET, TABLES, Kind, Levels, Step
from feeds.formats.binance_depth import Changes, DepthSync, TopOfBook
from feeds.formats.binance_events import (
    BARE,
    ENVELOPE,
    ENVELOPED,
    SPACED_ENVELOPE,
    Event,
    Pairs,
    time_ns,
)
from feeds.formats.format import Market

__all__ = ["LineReader"]

_MS_MIN: Final = 1
_MS_MAX: Final = 9 * 10**12
_SHOWN: Final = 120
"""Characters of a bad line that its malformed row quotes."""


def _refuse(why: str) -> None:
    raise ValueError(why)


class LineReader:
    """Rows of consecutive lines, gathered until ``flush``.

    Attributes:
        rows: how many wait.
    """

    def __init__(self, markets: Sequence[Market], first_ns: int, derive_bbo: bool) -> None:
        self.rows = 0
        self._index = {m.symbol: i for i, m in enumerate(markets)}
        self._one_symbol = len(markets) == 1
        self._last_ns = first_ns
        self._sync = [DepthSync(m.contract == "spot") for m in markets]
        self._tops = [TopOfBook() if derive_bbo else None for m in markets]
        self._tables: dict[Kind, list[tuple[Any, ...]]] = {kind: [] for kind in Kind}
        self._bbo = self._tables[Kind.BBO]
        self._pairs: Pairs = []
        self._messages: list[tuple[int, Malformed]] = []
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
                    self._malformed(f"{path}:{number + offset}", line, error)

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
        shown = line[:_SHOWN].decode("ascii", "backslashreplace")
        detail = f"{where}: {why}: {shown}"
        self._messages.append((self.rows, Malformed(ts_ns=self._last_ns, detail=detail)))
        self.rows += 1

    def _at(self, event: Event) -> int:
        time = event.T or event.E
        if not time:
            return self._last_ns
        ts_ns = time * 1_000_000 if _MS_MIN <= time < _MS_MAX else time_ns(time)
        self._last_ns = max(self._last_ns, ts_ns)
        return ts_ns

    def _add(self, kind: Kind, *values: Any) -> None:
        self._tables[kind].append((self.rows, *values))
        self.rows += 1

    def _trade(self, event: Event, ingest_ns: int) -> None:
        symbol = self._index[event.s]
        if event.p is None or event.q is None or not (event.T or event.E):
            raise ValueError("a trade needs p, q and T")
        if event.t >> 63 > 0:
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
        if bids or asks:
            self._tables[Kind.LEVEL].append(
                (self.rows, symbol, changes.ts_ns, changes.ingest_ns, len(bids), len(asks), image)
            )
            self._pairs += bids
            self._pairs += asks
            self.rows += len(bids) + len(asks)
        top = self._tops[symbol]
        if top is not None and (best := top.apply(bids, asks)) is not None:
            self._add(Kind.BBO, symbol, changes.ts_ns, changes.ingest_ns, *best)

    def flush(self) -> Step:
        """The rows gathered so far as one block; the next row is numbered 0 again."""
        tables = []
        for kind, rows in self._tables.items():
            if rows:
                columns = list(zip(*rows, strict=True))
                tables.append(
                    _levels(columns, self._pairs) if kind is Kind.LEVEL else _table(kind, columns)
                )
                rows.clear()
        if self._one_symbol:
            tables = [table.replaced(symbol=0) for table in tables]
        step = Step(first=0, end=self.rows, tables=tuple(tables), messages=tuple(self._messages))
        self._pairs = []
        self._messages = []
        self.rows = 0
        return step


def _table(kind: Kind, columns: list[tuple[Any, ...]]) -> Any:
    cls = TABLES[kind]
    values = {
        name: np.array(column, dtype)
        for (name, dtype), column in zip(cls.VALUES.items(), columns[4:], strict=True)
    }
    return cls(
        sequence=np.array(columns[0], np.int64),
        symbol=np.array(columns[1], np.int32),
        ts_ns=np.array(columns[2], np.int64),
        ingest_ns=np.array(columns[3], np.int64),
        **values,
    )


def _levels(columns: list[tuple[Any, ...]], pairs: Pairs) -> Levels:
    first, symbol, ts_ns, ingest_ns, bids, asks = (np.array(c, np.int64) for c in columns[:6])
    counts = bids + asks
    starts = np.cumsum(counts) - counts
    place = np.arange(len(pairs)) - np.repeat(starts, counts)
    is_bid = place < np.repeat(bids, counts)
    of_image = np.repeat(np.array(columns[6], bool), counts)
    begins = (place == 0) | (place == np.repeat(bids, counts))
    values = np.array(pairs, np.float64).reshape(-1, 2)
    return Levels(
        sequence=np.repeat(first, counts) + place,
        symbol=np.repeat(symbol, counts).astype(np.int32),
        ts_ns=np.repeat(ts_ns, counts),
        ingest_ns=np.repeat(ingest_ns, counts),
        side=np.where(is_bid, 1, -1).astype(np.int8),
        price=np.ascontiguousarray(values[:, 0]),
        size=np.ascontiguousarray(values[:, 1]),
        snapshot=np.where(of_image, np.where(begins, 1, 2), 0).astype(np.int8),
    )
