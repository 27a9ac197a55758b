"""A generated market that feels what is traded in it, point by point."""

from __future__ import annotations

import math
from typing import Any

from engine.exact import power
from engine.ticks import Kind
from engine.units import NEVER_NS
from engine.venue.book import book_of
from engine.venue.depth import DepthBook
from engine.venue.funding import next_instant, next_scheduled
from engine.venue.funding_rate import capped, period_rate
from engine.venue.impact import WAVES_MAX
from engine.venue.premium import Premiums
from engine.venue.survival import Survival, SurvivalState
from engine.venue.taking import Top
from tests.reference.judge import Row
from tests.reference.market import Market


class FeltBook:
    """A depth book; what its fills move is the market's."""

    half_spread_bps = property(lambda self: self.book.half_spread_bps * self.book.widened)

    def __init__(self, book: DepthBook, market: FeltMarket) -> None:
        self.book, self.market = book, market
        self.best, self.offer, self.depth = book.best, book.offer, book.depth
        self.thin = book.thin

    def take_limited(self, side: int, lots: int, notional: float, limit: Any, top: Any) -> Any:
        before = self.book.reach(side, top.ts_ns)
        taken = self.book.take_limited(side, lots, notional, limit, top)
        if taken.lots:
            moved = max(self.book.reach(side, top.ts_ns) - before, 0.0)
            whole = power(self.book.alive[side > 0], 1.0 / self.market.spec.book.beta_near)
            lasting = moved * self.market.spec.impact.permanent * whole
            rest = moved - lasting
            self.book.set_reach(side, before + rest)
            self.market.lasting += side * lasting * 0.01
            self.market.passing += side * rest * 0.01
            self.market.fills += 1
        return taken


class FeltMarket(Market):
    """Its marks are the medians of three legs at the points of a grid, its depth survives or not at
    those of another."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.lasting = self.passing = self.heard = self.base = 0.0
        self.basis = self.carry = 0.0
        self.heard_ns, self.fills = -1, 0
        self.masked_ns, self.made_ns, self.told = 0, 0, (0.0, -1)
        self.base_kind, self.kind = self.kind, None
        self.book = FeltBook(self.book, self)
        self.own, self.indexed, self.indexed_ns = 1.0, 0.0, -1
        self.rules = self.spec.funding.premium
        self.premiums = Premiums(self.rules) if self.rules else None
        self.survival = None
        if self.spec.impact.survival is not None:
            state = SurvivalState()
            self.survival = Survival(self.spec.impact.survival, state, self.seed, self.spec.symbol)

    def listen(self, row: Row, now_ns: int) -> None:
        every = self.spec.impact.every_ns
        if row.kind is Kind.FUNDING and row.symbol == self.spec.symbol:
            self.told = (row.values["rate"], row.values["next_ns"])
        if row.kind is Kind.INDEX and row.symbol == self.spec.symbol:
            self.indexed, self.indexed_ns = row.price, now_ns
        if row.kind is self.base_kind and self.point_ns == NEVER_NS and self.products:
            self.point_ns = -(-now_ns // every) * every
        if row.kind is self.base_kind and row.symbol == self.spec.symbol:
            price = row.price
            if row.kind is Kind.BBO:
                price = (row.values["bid"] + row.values["ask"]) * 0.5
            self.heard, self.heard_ns = price, now_ns

    def _felt(self) -> float:
        """The median of the index with its funding, the index with its basis, and the book."""
        book = self.base * max(1.0 + self.lasting + self.passing, 0.01)
        if self.spec.impact.mark == "book" or self.made_ns < self.masked_ns:
            return book
        index = self.base * self._middle
        return sorted((index * (1.0 + self.carry), index * (1.0 + self.basis), book))[1]

    def _carried(self, ts_ns: int) -> float:
        (rate, next_ns), funding = self.told, self.spec.funding
        if self.rules:
            left_ns = next_instant(self.rules, ts_ns - 1) - ts_ns
            return self.rate * (left_ns / self.rules.interval_ns)
        if not funding.recorded:
            next_ns, rate = next_scheduled(funding, ts_ns)
        if not ts_ns <= next_ns < NEVER_NS:
            return 0.0
        return rate * ((next_ns - ts_ns) / self.spec.venue.funding.interval_ns)

    def survive(self, now_ns: int) -> None:
        """The points of the depth's grid before a time; the mark has not changed since each."""
        while self.survival and self.survival.state.next_ns < now_ns:
            ts_ns = self.survival.state.next_ns
            self.survival.pass_points([self.mark])
            self.book.book.survive(*self.survival.shares, ts_ns)

    def mask(self, command: Any, symbols: tuple[str, ...]) -> str | None:
        until = self.now_ns + command.for_ms * 10**6 if command.for_ms else NEVER_NS
        until *= command.masked
        if command.source and command.source not in symbols:
            return "unknown_source"
        if not self.products:
            return "no_index"
        if command.source and symbols.index(command.source) != self.spec.symbol:
            return "unknown_source"
        if max(until, self.now_ns) == max(self.masked_ns, self.now_ns):
            return "masked" if until else "not_masked"
        self.masked_ns = until
        return None

    def make_point(self) -> bool:
        spec, ts_ns = self.spec.impact, self.point_ns
        self.point_ns += spec.every_ns
        self.passing *= spec.left
        if abs(self.passing) < 1e-12:
            self.passing = 0.0
        away = max(1.0 + self.lasting + self.passing, 0.01) / self._middle - 1.0
        self.basis = spec.kept * self.basis + (1.0 - spec.kept) * away
        if abs(self.basis) < 1e-12:
            self.basis = 0.0
        self.survive(ts_ns)
        if self.heard_ns <= ts_ns - spec.every_ns:
            self._settle_premium(ts_ns)
            return False
        self.base, self.carry, self.made_ns = self.heard, self._carried(ts_ns), ts_ns
        self._sample_premium(ts_ns)
        self._settle_premium(ts_ns)
        if self.survival and self.survival.state.next_ns == NEVER_NS:
            self.survival.begin(ts_ns)
        self.take(self._felt(), ts_ns, ts_ns)
        return True

    def _sample_premium(self, ts_ns: int) -> None:
        """The prices at which the impact notional trades in the book of now, about its own middle,
        beside the index outside."""
        rules = self.rules
        if self.indexed_ns > ts_ns - self.spec.impact.every_ns:
            self.own = self.base / self.indexed
        if not rules or ts_ns % rules.sample_ns or ts_ns < self.masked_ns:
            return
        middle = self.base * max(1.0 + self.lasting + self.passing, 0.01)
        index = self.base * self._middle / self.own
        if rules.premium == "mid":
            self.premiums.add((middle - index) / index, ts_ns)
            return
        prices = []
        for side in (-1, 1):
            fresh = book_of(self.spec.book, self.spec.contract, 0)
            state = self.book.book.state
            fresh.alive = self.book.book.alive
            fresh.thin(state.scale, state.thin_until_ns, state.thin_half_ns)
            top = Top(1.0, -1.0, ts_ns)
            if rules.impact_notional:
                offer = fresh.offer(side, 1, rules.impact_notional, None, top)
                price = offer.price if offer.lots else side * math.inf
            else:
                price = fresh.best(side, top)
            prices.append(middle * (1.0 + side * (side * (price - 1.0))))
        bid, ask = prices
        self.premiums.add((max(0.0, bid - index) - max(0.0, index - ask)) / index, ts_ns)

    def _settle_premium(self, ts_ns: int) -> None:
        rules = self.rules
        if not rules or next_instant(rules, ts_ns - 1) != ts_ns:
            return
        average, self.rate = self.premiums.settle(ts_ns), 0.0
        if average is not None:
            self.rate = capped(period_rate(average, rules), rules, self.spec.impact.margins)

    def make_again(self) -> None:
        """The mark of this instant once more, after fills."""
        self.mark = self._felt()

    @property
    def _middle(self) -> float:
        return max(1.0 + self.lasting, 0.01)

    def top(self) -> Any:
        found = super().top()
        if found[1] < 0.0:
            return self.base * self._middle, -1.0
        return found[0] * self._middle, found[1] * self.book.book.widened


def waves(market: Any, look: Any) -> None:
    """A point: whom its fills concern is asked again, until nothing was traded."""
    fills = getattr(market, "fills", 0)
    look()
    for _ in range(WAVES_MAX):
        if not isinstance(market, FeltMarket) or market.fills == fills:
            return
        fills = market.fills
        market.make_again()
        look()
