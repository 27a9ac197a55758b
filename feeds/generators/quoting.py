"""From the moves of a model to rows: trades, book tops, marks, index, funding.

The model's price is the mark. Best bid and ask lie around it on the grid of price steps, the index
is the mark without the premium, and trades take place at the quotes that stand.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.errors import ConfigError
from engine.ticks import Bbo, Funding, Index, Kind, Marks, Step, Table, Trades
from feeds.chance import QUANTILES, exponentials, indexes, uniforms
from feeds.elementary import exps
from feeds.generators.draws import BEYOND_NUMBERS, Draws, Purpose
from feeds.generators.grid import FIXED, Grid
from feeds.generators.model import Chunk, Deals, Model
from feeds.generators.premium import Premium
from feeds.generators.rows import BOOK, FUNDING, INDEX, MARK, Rows

__all__ = ["KINDS", "Quoting", "decade_of"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

KINDS: Final = {
    "all": (Kind.TRADE, Kind.BBO, Kind.MARK, Kind.INDEX, Kind.FUNDING),
    "marks": (Kind.MARK, Kind.INDEX, Kind.FUNDING),
}
"""What there is, by ``rows`` of a generator."""
_LOG_MAX: Final = 30 * FIXED
"""A price stays within e to the power of this of the opening."""
_LOG_REACH: Final = 1 << 62
"""Half of what 64 bits hold: no move is so large that a sum passes from within it to within it."""


def decade_of(price: float) -> float:
    """The power of ten at or below, as text has it."""
    return float(f"1e{_exponent(price)}")


def _exponent(price: float) -> int:
    return int(f"{price:e}".partition("e")[2])


class Quoting:
    """Makes rows of the chunks of a model, which it takes in order.

    Attributes:
        bounded_ns: when a price first would have left the bound that it stays within, by the place
            of its symbol.
    """

    def __init__(self, model: Model, grid: Grid, draws: Draws) -> None:
        self._model, self._grid, self._draws = model, grid, draws
        self._opening = np.array([model.opening(symbol) for symbol in model.symbols])[:, None]
        exponents = [_exponent(price) for price in self._opening[:, 0].tolist()]
        self._ticks = np.array([10.0 ** max(4 - e, 1) for e in exponents])[:, None]
        """Price steps in one unit of quote, of each symbol."""
        self._lots = np.array([10.0 ** max(e - 2, 0) for e in exponents])[:, None]
        """Size steps in one coin."""
        self._places = range(len(model.symbols))
        self._premiums = [Premium(model.quotes, grid, draws, place) for place in self._places]
        self._log = np.zeros((len(model.symbols), 1), np.int64)
        self._quote = self._quoted(self._opening, self._ticks)
        self._trades = 0
        self.bounded_ns: dict[int, int] = {}

    def step(self, number: int, chunk: Chunk) -> Step:
        """The rows of a chunk, numbered from 0."""
        grid = self._grid
        first = number * grid.chunk_steps
        shown = min(grid.steps - first, grid.chunk_steps)
        log = self._log + np.cumsum(chunk.moves, axis=1)
        if not -_LOG_REACH < log.min() <= log.max() < _LOG_REACH:
            raise ConfigError(BEYOND_NUMBERS)
        price = _price(self._opening, log[:, :shown])
        ts_ns = grid.start_ns + (first + 1 + np.arange(shown)) * grid.step_ns
        if not -_LOG_MAX <= log.min() <= log.max() <= _LOG_MAX:
            self._note_bounded(np.abs(log[:, :shown]) > _LOG_MAX, ts_ns)
        rows = Rows(len(self._places), ts_ns, grid.cell_steps, whole=self._model.rows == "all")
        tables: list[Table] = []
        if self._model.rows == "all":
            bid, ask = self._quoted(price, self._ticks)
            tables.append(self._traded(number, rows, chunk, bid, ask))
            tables.append(self._book(number, rows, bid, ask))
            self._quote = (bid[:, -1:], ask[:, -1:])
        cells = np.stack([premium.cells(number) for premium in self._premiums])
        premium = np.repeat(cells, grid.cell_steps, axis=1)[:, :shown]
        index = rows.taken(INDEX, price) / (1.0 + rows.taken(INDEX, premium))
        tables.append(Marks(**rows.of(MARK), price=rows.taken(MARK, price)))
        tables.append(Index(**rows.of(INDEX), price=index))
        tables.append(self._funding(rows, cells))
        self._log = log[:, -1:]
        return Step(first=0, end=rows.count, tables=tuple(t for t in tables if len(t)))

    def _note_bounded(self, beyond: Any, ts_ns: I64) -> None:
        for place in np.flatnonzero(beyond.any(axis=1)).tolist():
            self.bounded_ns.setdefault(place, ts_ns.item(beyond[place].argmax()))

    def _quoted(self, price: F64, ticks: F64) -> tuple[F64, F64]:
        """Bid and ask in price steps, on either side of the price and never the same."""
        half = self._model.quotes.spread_bps / 20_000.0
        bid = np.maximum(np.floor(price * (1.0 - half) * ticks), 1.0)
        ask = np.ceil(price * (1.0 + half) * ticks)
        return bid, np.maximum(ask, bid + 1.0)

    def _sizes(self, words: Any, lane: int, mean: float) -> F64:
        """Sizes in coins whose mean is worth ``mean`` quote at the opening."""
        drawn = exponentials(words, lane) * (mean / self._opening * self._lots)
        sizes: F64 = (1.0 + np.floor(drawn)) / self._lots
        return sizes

    def _traded(self, number: int, rows: Rows, chunk: Chunk, bid: F64, ask: F64) -> Trades:
        """Trades lie between the instants, at the quotes that stand there."""
        words = self._words(Purpose.TRADES, number)
        deals = chunk.deals if chunk.deals is not None else self._deals(words, chunk.moves)
        deals = deals.until(bid.shape[1])
        if deals.log is None:
            bids, asks = (
                np.concatenate(pair, axis=1)[deals.symbol, deals.step]
                for pair in zip(self._quote, (bid, ask), strict=True)
            )
        else:
            logs = self._log[:, 0][deals.symbol] + deals.log
            own = self._opening[:, 0][deals.symbol]
            bids, asks = self._quoted(_price(own, logs), self._ticks[deals.symbol, 0])
        sizes = self._sizes(words, 2, self._model.quotes.trade)
        first = self._trades + 1
        self._trades += len(deals.step)
        return Trades(
            **rows.between(deals.step, deals.offset_ns, deals.symbol, self._grid.step_ns),
            price=np.where(deals.side > 0, asks, bids) / self._ticks[deals.symbol, 0],
            size=sizes[deals.symbol, deals.step],
            aggressor=deals.side.astype(np.int8),
            trade_id=np.arange(first, first + len(deals.step)),
        )

    def _deals(self, words: Any, moves: I64) -> Deals:
        """A trade in some steps, oftener in the direction in which the price goes."""
        step, symbol = np.nonzero((uniforms(words, 0) < self._model.quotes.trades).T)
        drawn = words[symbol, step]
        buys = uniforms(drawn, 1) < 0.5 + 0.25 * np.sign(moves[symbol, step])
        offset_ns = 1 + (indexes(drawn, 3) * (self._grid.step_ns - 2)) // QUANTILES
        order = np.lexsort((symbol, offset_ns, step))
        side = np.where(buys, 1, -1)
        return Deals(step[order], offset_ns[order], symbol[order], side[order])

    def _funding(self, rows: Rows, cells: F64) -> Funding:
        taken = rows.of(FUNDING)
        shown = len(taken["ts_ns"]) // len(self._places)
        ts_ns = taken["ts_ns"][:: len(self._places)]
        told = [
            premium.funding(own[:shown], ts_ns)
            for premium, own in zip(self._premiums, cells, strict=True)
        ]
        return Funding(
            **taken,
            rate=np.stack([rate for rate, _ in told], axis=1).ravel(),
            next_ns=np.stack([due for _, due in told], axis=1).ravel(),
        )

    def _words(self, purpose: Purpose, number: int) -> Any:
        draws, count = self._draws, self._grid.chunk_steps
        return np.stack([draws.words(purpose, place, number, count) for place in self._places])

    def _book(self, number: int, rows: Rows, bid: F64, ask: F64) -> Bbo:
        words = self._words(Purpose.QUOTES, number)[:, : bid.shape[1]]
        mean = self._model.quotes.depth
        return Bbo(
            **rows.of(BOOK),
            bid=rows.taken(BOOK, bid / self._ticks),
            bid_size=rows.taken(BOOK, self._sizes(words, 0, mean)),
            ask=rows.taken(BOOK, ask / self._ticks),
            ask_size=rows.taken(BOOK, self._sizes(words, 1, mean)),
        )


def _price(opening: F64, log: I64) -> F64:
    bounded: F64 = np.minimum(np.maximum(log, -_LOG_MAX), _LOG_MAX) * (1.0 / FIXED)
    price: F64 = opening * exps(bounded)
    return price
