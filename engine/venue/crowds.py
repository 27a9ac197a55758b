"""All crowds of one engine: opened, watched, swept and funded together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.crowd_events import (
    CascadeRatio,
    PopulationFunded,
    PopulationOpened,
    PopulationRevalued,
)
from engine.ledger import Cause, Ledger
from engine.units import MINUTE_NS, decimal
from engine.venue.cascade import DISTANCES, cascade_ratios
from engine.venue.crowd import Crowd, CrowdSpec, CrowdState, Pool
from engine.venue.crowd_columns import notionals
from engine.venue.crowd_opening import open_crowd
from engine.venue.depth import DepthBook
from engine.venue.desk import Unpaid
from engine.venue.exact_columns import ceil_products, floor_products, total_of
from engine.venue.impact import FeltBook
from engine.venue.insuring import Insuring
from engine.venue.sweeping import sweep

__all__ = ["Crowds"]


class Crowds:
    """The background populations of all markets, in declared order."""

    def __init__(self, specs: Sequence[CrowdSpec], desk: Insuring, ledger: Ledger) -> None:
        self._desk = desk
        self.all = [Crowd(spec, desk.listings[spec.market], ledger) for spec in specs]
        self._of: dict[int, list[Crowd]] = {}
        for crowd in self.all:
            self._of.setdefault(crowd.spec.market, []).append(crowd)

    def pools(self) -> list[Pool]:
        """Of the bankrupt, longs and shorts."""
        return [pool for crowd in self.all for pool in crowd.pools.values()]

    def open(self, number: int) -> None:
        """A market has a price: its crowds open their positions, those apart that did or wait."""
        venue = self._desk.venues[number]
        fresh = [each for each in self.of(number) if not (each.opened or each.waits)]
        for crowd in fresh:
            open_crowd(crowd, venue.floor.mark)
            longs, shorts = (total_of(crowd.lots[crowd.holders(side)]) for side in crowd.pools)
            venue.floor.tape.say(
                PopulationOpened,
                population=crowd.spec.id,
                symbol=venue.listing.contract.spec.symbol,
                positions=len(crowd),
                long_lots=longs,
                short_lots=-shorts,
                cash_atoms=total_of(crowd.cash),
            )
        if fresh:
            self._tell_ratio(number)

    def _tell_ratio(self, number: int) -> None:
        """How much the next move would liquidate, where the book is a model of its depth."""
        venue, crowds = self._desk.venues[number], self.of(number)
        book, floor = venue.floor.book, venue.floor
        book = book.book if isinstance(book, FeltBook) else book
        if not crowds or not isinstance(book, DepthBook):
            return
        down, up = cascade_ratios(crowds, book, floor.mark, floor.ts_ns)
        floor.tape.say(
            CascadeRatio,
            symbol=venue.listing.contract.spec.symbol,
            mark_price=floor.mark,
            distances_pct=DISTANCES,
            down=down,
            up=up,
        )
        for crowd in crowds:
            crowd.told_ns = floor.ts_ns

    def of(self, number: int) -> Sequence[Crowd]:
        """Those of a market."""
        return self._of.get(number, ())

    def within(self, number: int, low: float, high: float) -> tuple[float, float]:
        """Between which marks, within these, no row of a crowd is short either."""
        for crowd in self.of(number):
            least, most = crowd.bounds()
            low, high = max(low, least), min(high, most)
        return low, high

    def sweep(self) -> list[Unpaid]:
        """Liquidate all rows that are short at the present marks; what nobody could be paid for."""
        found: list[Unpaid] = []
        for crowd in self.all:
            venue = self._desk.venues[crowd.spec.market]
            found += sweep(self._desk, venue, crowd)
        return found

    def tell_ratios(self) -> None:
        """Once a minute, where anybody was liquidated."""
        for number, venue in enumerate(self._desk.venues):
            ts_ns = venue.floor.ts_ns
            swept = [crowd for crowd in self.of(number) if crowd.swept_ns == ts_ns]
            if any(ts_ns // MINUTE_NS > crowd.told_ns // MINUTE_NS for crowd in swept):
                self._tell_ratio(number)

    def are_short(self) -> bool:
        """Whether a row does not cover its maintenance at the present marks."""
        for crowd in self.all:
            floor = self._desk.venues[crowd.spec.market].floor
            if crowd.opened and not floor.stale and crowd.short(floor.mark)[0].size:
                return True
        return False

    def fund(self, number: int, rate: float, index: float | None) -> bool:
        """Funding at its instant; whether anybody paid or received."""
        venue, share, funded = self._desk.venues[number], decimal(rate), False
        for crowd in self.of(number):
            rows = np.flatnonzero(crowd.lots)
            if not len(rows):
                continue
            size = notionals(venue.listing, crowd.lots[rows], index or venue.floor.mark)
            signed = np.where(crowd.lots[rows] > 0, size, -size)
            paid = np.zeros(len(crowd), np.int64)
            paid[rows] = ceil_products(signed, share.numerator, share.denominator)
            symbol = venue.listing.contract.spec.symbol
            crowd.credit(-paid, Cause.FUNDING, f"funding:{symbol}")
            funded = True
            venue.floor.tape.say(
                PopulationFunded,
                population=crowd.spec.id,
                symbol=symbol,
                rate=rate,
                mark_price=venue.floor.mark,
                positions=len(rows),
                paid_atoms=total_of(paid),
                index_price=index,
            )
        return funded

    def revalue(self, number: int, over: int, under: int, said: dict[str, Any]) -> None:
        """What lies there for open positions, open profit apart, changes by a share, rounded down.

        Args:
            said: what the event says beside it.
        """
        for crowd in self.of(number):
            collateral = np.where(crowd.lots != 0, np.maximum(crowd.cash + crowd.cost, 0), 0)
            count = int(np.count_nonzero(collateral))
            if not count:
                continue
            changes = floor_products(collateral, over, under)
            crowd.credit(changes, Cause.REVALUATION, f"collateral:{said['symbol']}")
            self._desk.venues[number].floor.tape.say(
                PopulationRevalued,
                population=crowd.spec.id,
                positions=count,
                collateral_atoms=total_of(collateral),
                change_atoms=total_of(changes),
                **said,
            )

    def check(self) -> None:
        """See ``Crowd.check``."""
        for crowd in self.all:
            crowd.check()

    def state(self, *, whole: bool) -> list[CrowdState]:
        """What they remember."""
        return [crowd.state(whole=whole) for crowd in self.all]

    def resume(self, states: Sequence[CrowdState]) -> None:
        """Go on where a snapshot was taken."""
        for crowd, state in zip(self.all, states, strict=True):
            crowd.resume(state)
