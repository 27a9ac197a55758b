"""A market with a second price line: the index, which some products' NAV follows.

Those products are launched, woken, sampled and valued at the index rows; their hedge trades, pays
and is margined at the mark like any other. Whoever follows the index is asked at its rows, and at
the marks that their hedge waits for; everybody else at the marks alone. All of a market is launched
at the first row at which it has both prices.

An index that was not said for as long as makes a mark stale is stale, until it is said again:
nothing is dealt at it, and leverage is only reduced.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.agenda import Edges
from engine.degrading import Degrading
from engine.errors import ConfigError
from engine.handler import Handler
from engine.market_state import MarketSpec
from engine.reference import Reference
from engine.ticks import Kind
from engine.watch import ALWAYS, NEVER

__all__ = ["Following"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_INDEX = Kind.INDEX  # looked up once; see ``folding``


class Following(Degrading):
    """A market as those see it who follow its index.

    Attributes:
        followers: places of the products that do.
        index_edges: the edges of those, in the index.
        reference: the index as of the scene, and between two steps as of the last row.
    """

    mark: float

    def __init__(self, spec: MarketSpec, handlers: list[Handler]) -> None:
        super().__init__(spec, handlers)
        self.followers = [
            place
            for place, handler in enumerate(handlers)
            if handler.spec.terms.formula_price == "index"
        ]
        self.index_edges = Edges(len(handlers))
        self.reference = Reference()
        for place in self.followers:
            handler = handlers[place]
            _check(handler, spec)
            handler.follow(self.reference)
            self.index_edges.arm(place, ALWAYS.low, ALWAYS.high)

    @property
    def priced(self) -> bool:
        """Whether every price is there that positions are valued with."""
        return not self.followers or (self.mark > 0.0 and self.reference.price > 0.0)

    def close(self, time_ns: int) -> None:
        """The step ends: fold what its rows said and forget them."""
        if self.followers:
            assert self._rows is not None
            self._limit = self._rows.end
            self.refer(time_ns)
            self.state.index_ns = self.reference.seen_ns
        super().close(time_ns)

    def settle_index(self, seen_ns: int) -> None:
        """The index of the state was said at that time, and nobody looked."""
        if self.followers:
            self.state.index_ns = self.reference.seen_ns = seen_ns
            self.reference.price = self.state.index

    def index(self) -> float:
        """The spot reference; 0 where there is none."""
        return self._price(_INDEX, self.state.index)

    def refer(self, ts_ns: int) -> None:
        """Let the reference be the index as of the rows that were seen, at that time."""
        reference, state, column = self.reference, self.state, self._column(_INDEX)
        place = column.last(self.spec.symbol, self._limit) if column is not None else -1
        if column is None or place < 0:
            reference.price, reference.seen_ns = state.index, state.index_ns
        else:
            assert column.prices is not None
            reference.price = column.prices.item(place)
            reference.seen_ns = column.table.ts_ns.item(place)
        reference.stale = ts_ns - reference.seen_ns >= self.spec.stale_after_ns

    def index_bounds(self) -> tuple[float, float]:
        """Between which prices of the index nobody here has anything to say; while the mark is
        stale nobody is asked at any."""
        if self.state.stale or not self.followers:
            return NEVER.low, NEVER.high
        return self.index_edges.bounds()

    @property
    def index_waits(self) -> bool:
        """Whether the index is beyond an edge, as it may be once a stale mark is fresh again: the
        next mark matters then, whatever it is."""
        low, high = self.index_edges.bounds()
        return not low < self.reference.price < high

    def indexes_at(self, sequences: I64) -> F64 | None:
        """Shape (n,): the index just before each of the ascending sequences; ``None`` where nobody
        follows it."""
        if not self.followers:
            return None
        column, known = self._column(_INDEX), self.state.index
        own = column.rows_of(self.spec.symbol) if column is not None else None
        if column is None or (own is not None and not len(own)):
            return np.full(len(sequences), known)
        assert column.prices is not None
        heard, prices = column.sequence, column.prices
        if own is not None:
            heard, prices = heard.take(own), prices.take(own)
        places = heard.searchsorted(sequences) - 1
        return np.where(places < 0, known, prices.take(places, mode="clip"))


def _check(handler: Handler, spec: MarketSpec) -> None:
    """Signals and extremes are kept of the mark; an index that the venue makes, or that feels us,
    comes on a grid of its own."""
    terms, product = handler.spec.terms, handler.spec.id
    if terms.nav != "formula":
        raise ConfigError(f'{product}: formula_price = "index" wants nav = "formula"')
    if spec.pricing is not None or spec.impact is not None:
        raise ConfigError(
            f'{product}: formula_price = "index" wants recorded index rows; '
            f"{spec.contract.symbol} makes its own"
        )
    for policy in handler.policies:
        if policy.uses_signals or policy.uses_high_water:
            raise ConfigError(
                f'{product}: formula_price = "index" goes with policies that look at leverage and '
                f"time alone; {type(policy).__name__} looks at signals or extremes, which are kept "
                "of the mark"
            )
