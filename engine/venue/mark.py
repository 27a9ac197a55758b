"""The mark: the median of what the venue has of index, funding, basis and book.

Each leg may be missing, and the answer says which one holds. No single print reaches the mark while
two legs stand on the index.

- ``index``: the index itself (dYdX).
- ``funding``: the index with the funding still to come (BitMEX; Binance's price 1).
- ``basis``: the index with the mean distance of the mid from it (Binance's price 2, Hyperliquid).
- ``book``: the last trade, or the median of best bid, best ask and last trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Final

from msgspec import Struct, field

from engine.exact import exp2
from engine.venue.index import weighted_median
from engine.venue.price_rules import MarkRules

__all__ = ["Average", "Mark", "MarkLegs", "MarkState", "Quotes", "decayed", "funding_basis"]

_LOG2_E: Final = 1.4426950408889634


class Quotes(Struct, frozen=True, gc=False):
    """What the venue knows at one instant; 0 where a price is missing.

    Attributes:
        index: spot reference.
        bid, ask: best of the venue's own book.
        last: last trade there.
        rate: funding rate announced for the next instant, a share per ``interval_ns``.
        to_funding_ns: from now to that instant; below 0 where none is known.
    """

    index: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    last: float = 0.0
    rate: float = 0.0
    to_funding_ns: int = -1
    interval_ns: int = 1


class Mark(Struct, frozen=True, gc=False):
    """A mark, the leg that it is, and the legs that it was chosen from, joined by ``+``."""

    price: float
    leg: str
    legs: str


class Average(Struct):
    """An exponential average with its weight, so that it does not start from zero."""

    weighted: float = 0.0
    weight: float = 0.0
    seen_ns: int = 0

    def add(self, value: float, ts_ns: int, tau_ns: int, first_ns: int) -> None:
        """Take a value that held since the one before, ``first_ns`` for the first of all.

        Source: Hyperliquid, robust price indices: ``num = num exp(-t / tau) + x t``, ``den = den
        exp(-t / tau) + t``.
        """
        elapsed = ts_ns - self.seen_ns if self.seen_ns else first_ns
        kept = decayed(elapsed, tau_ns)
        self.weighted = self.weighted * kept + value * elapsed
        self.weight = self.weight * kept + elapsed
        self.seen_ns = ts_ns

    def value(self, ts_ns: int, tau_ns: int) -> float | None:
        """The average; ``None`` where nothing was heard for longer than ``tau_ns``."""
        if not self.seen_ns or ts_ns - self.seen_ns > tau_ns:
            return None
        return self.weighted / self.weight


class MarkState(Struct):
    """What the legs remember between points of the grid: the last distances, oldest first, ``None``
    where there was none, and the averages."""

    distances: list[float | None] = []
    basis: Average = field(default_factory=Average)
    book: Average = field(default_factory=Average)


def decayed(elapsed_ns: int, tau_ns: int) -> float:
    """``exp(-elapsed / tau)``, by the exact power of two."""
    return exp2(-(elapsed_ns / tau_ns) * _LOG2_E)


def funding_basis(quotes: Quotes, rules: MarkRules) -> float:
    """What the funding still to come is worth: ``index * rate * time left / interval``.

    At an index of 97,843.77, 0.011 % for eight hours and 4 h 27 min left: 5.987, 5.99 in steps of
    a cent.

    Source: BitMEX fair price marking; Binance, price 1.
    """
    basis = quotes.index * (quotes.rate * (quotes.to_funding_ns / quotes.interval_ns))
    step = rules.basis_step
    return floor(basis / step + 0.5) * step if step else basis


class MarkLegs:
    """Makes marks, point by point of the grid."""

    __slots__ = ("rules", "state")

    def __init__(self, rules: MarkRules, state: MarkState | None = None) -> None:
        self.rules = rules
        self.state = state or MarkState()

    def at(self, ts_ns: int, quotes: Quotes) -> Mark | None:
        """The mark at a point of the grid; ``None`` where every leg is missing."""
        rules, state = self.rules, self.state
        if "basis" in rules.legs and ts_ns % rules.basis_every_ns == 0:
            self._measure(ts_ns, quotes)
        book = self._book(quotes)
        if rules.pair == "book_ema" and book is not None:
            state.book.add(book, ts_ns, rules.pair_tau_ns, rules.every_ns)
        names: list[str] = []
        prices: list[float] = []
        for leg in rules.legs:
            price = book if leg == "book" else self._leg(leg, ts_ns, quotes)
            if price is not None and price > 0.0:
                names.append(leg)
                prices.append(price)
        return self._chosen(names, prices, ts_ns) if names else None

    def pass_silence(self, from_ns: int, to_ns: int) -> None:
        """Points of the grid in ``(from_ns, to_ns]`` at which nothing is heard: what ``at`` would
        have made of each, all of them at once."""
        every, points = self.rules.basis_every_ns, self.rules.basis_points
        if "basis" in self.rules.legs and self.rules.basis == "mean":
            for _ in range(min(to_ns // every - from_ns // every, points)):
                self._push(None)

    def _leg(self, leg: str, ts_ns: int, quotes: Quotes) -> float | None:
        if quotes.index <= 0.0:
            return None
        if leg == "index":
            return quotes.index
        if leg == "funding":
            return quotes.index + funding_basis(quotes, self.rules) if _funded(quotes) else None
        distance = self._distance(ts_ns)
        return None if distance is None else quotes.index + distance

    def _book(self, quotes: Quotes) -> float | None:
        has_book, last = quotes.bid > 0.0 and quotes.ask > 0.0, quotes.last
        if self.rules.book == "median" and has_book:
            mid = (quotes.bid + quotes.ask) * 0.5
            return weighted_median((quotes.bid, quotes.ask, last), _ALIKE) if last > 0.0 else mid
        if last > 0.0:
            return last
        return (quotes.bid + quotes.ask) * 0.5 if has_book else None

    def _measure(self, ts_ns: int, quotes: Quotes) -> None:
        """Take the distance of the mid from the index."""
        rules = self.rules
        heard = quotes.index > 0.0 and quotes.bid > 0.0 and quotes.ask > 0.0
        distance = (quotes.bid + quotes.ask) * 0.5 - quotes.index if heard else None
        if rules.basis == "mean":
            self._push(distance)
        elif distance is not None:
            self.state.basis.add(distance, ts_ns, rules.basis_tau_ns, rules.basis_every_ns)

    def _push(self, distance: float | None) -> None:
        distances = self.state.distances
        distances.append(distance)
        if len(distances) > self.rules.basis_points:
            del distances[0]

    def _distance(self, ts_ns: int) -> float | None:
        state = self.state
        if self.rules.basis == "ema":
            return state.basis.value(ts_ns, self.rules.basis_tau_ns)
        total, count = 0.0, 0
        for distance in state.distances:
            if distance is not None:
                total += distance
                count += 1
        return total / count if count else None

    def _chosen(self, names: list[str], prices: list[float], ts_ns: int) -> Mark:
        legs = "+".join(names)
        if len(prices) == 2:
            return self._of_two(names, prices, legs, ts_ns)
        price = weighted_median(prices, [1.0] * len(prices))
        return Mark(price, names[prices.index(price)], legs)

    def _of_two(self, names: list[str], prices: list[float], legs: str, ts_ns: int) -> Mark:
        rules = self.rules
        if rules.pair == "mean":
            return Mark((prices[0] + prices[1]) * 0.5, legs, legs)
        if rules.pair == "book_ema":
            third = self.state.book.value(ts_ns, rules.pair_tau_ns)
            if third is not None:
                named: Sequence[str] = (*names, "book_ema")
                values = (*prices, third)
                price = weighted_median(values, _ALIKE)
                return Mark(price, named[values.index(price)], f"{legs}+book_ema")
        return Mark(prices[0], names[0], legs)


_ALIKE: Final = (1.0, 1.0, 1.0)


def _funded(quotes: Quotes) -> bool:
    return quotes.to_funding_ns >= 0
