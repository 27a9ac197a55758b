"""When the venue must look at its margin accounts: between which marks of a market nobody is short.

Edges depend on what an account holds alone, so they are armed when that changes. An account that
is between two steps of its liquidation has none: its next step is an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from engine.agenda import Edges
from engine.units import NEVER_NS
from engine.venue.crowd import Crowd
from engine.venue.desk import RiskDesk, Unpaid
from engine.venue.edges import box, edges, rounded
from engine.venue.margined import Margined
from engine.venue.places import QUEUED, Places

__all__ = ["MarginWatch"]

_NOWHERE: Final = (-math.inf, math.inf)
_ANYWHERE: Final = (math.inf, -math.inf)


class MarginWatch:
    """The edges of all margin accounts, by market.

    Args:
        desk: the venue's risk desk.
        accounts: all of them, in declared order, with the markets in which each may hold something.
    """

    def __init__(self, desk: RiskDesk, accounts: Sequence[tuple[Margined, Sequence[int]]]) -> None:
        self.desk = desk
        self.accounts = [account for account, _ in accounts]
        self._rows: dict[str, list[tuple[int, int]]] = {}
        self._of: list[list[Margined]] = [[] for _ in desk.venues]
        for account, markets in accounts:
            self._rows[account.name] = [(market, len(self._of[market])) for market in markets]
            for market in markets:
                self._of[market].append(account)
        self._edges = [Edges(len(of)) for of in self._of]
        self.places: list[Places | None] = [None for _ in desk.venues]
        """The queues of the markets in which a product's hedge may stand."""
        self.sample: Callable[[], int] = int
        """From which sample on what changes now holds; see ``Sampler.sample_at``."""

    def of(self, market: int) -> list[Margined]:
        """Who may hold something in a market, in declared order."""
        return self._of[market]

    def queue(
        self, market: int, hedges: Sequence[Margined | None], crowds: Sequence[Crowd]
    ) -> Places | None:
        """Keep the queue of a market, where there is one.

        Args:
            hedges: the margin account of each of its products, in declared order.
            crowds: its populations.
        """
        listing, of = self.desk.listings[market], self._of[market]
        if not any(hedges) or listing.rules.adl.ranking not in QUEUED:
            return None
        row = {account.name: number for number, account in enumerate(of)}
        seats = [row[hedge.name] if hedge is not None else -1 for hedge in hedges]
        places = Places(self.desk.listings, market, of, seats, crowds)
        self.places[market] = places
        return places

    def follow_crowds(self) -> None:
        """Rows of populations may stand otherwise from now on."""
        for places in self.places:
            if places is not None and places.crowded:
                places.follow_crowds(self.sample())

    def arm(self, account: Margined) -> bool:
        """Take over an account's present edges, and its place in the queue; whether it must be
        looked at now."""
        desk, name, positions = self.desk, account.name, account.positions()
        stage, cash, due = desk.stages.get(name), account.cash, False
        priced = desk.is_priced(positions)
        queued = priced and stage is None and not account.alone
        armed: dict[int, tuple[float, float]] = {}
        if positions and priced and stage is not None and not stage.resumes_ns:
            # Its step was due without a fresh price: the first one may end its liquidation.
            armed = {market: _ANYWHERE for market, lots, _ in positions if lots}
        elif positions and priced and stage is None:
            # The multiple of maintenance at which the venue next has something to say.
            share = desk.calls_at(account, positions) or 1.0
            if len(positions) > 1:
                armed = box(account, desk.listings, desk.marks(), share)
            else:
                ((market, lots, cost),) = positions
                listing = desk.listings[market]
                held = account.withheld + rounded(share)
                armed[market] = edges(listing, cash, lots, cost, share, held)
        for market, row in self._rows[name]:
            low, high = armed.get(market, _NOWHERE)
            self._edges[market].arm(row, low, high)
            due = due or not low < desk.venues[market].floor.mark < high
            places = self.places[market]
            if places is not None:
                places.change(row, positions, cash, self.sample(), queued=queued)
        return due

    def bounds(self, market: int) -> tuple[float, float]:
        """Between which marks nobody is short."""
        return self._edges[market].bounds()

    def breached(self, market: int, price: float) -> list[Margined]:
        """Whose edge ``price`` is at or beyond, in declared order."""
        of = self._of[market]
        return [of[row] for row in self._edges[market].breached(price)]

    def waiting(self, ts_ns: int) -> list[Margined]:
        """Whose next step is due."""
        stages = self.desk.stages
        return [
            account
            for account in self.accounts
            if (stage := stages.get(account.name)) is not None and stage.resumes_ns <= ts_ns
        ]

    def due(self, ts_ns: int) -> list[Margined]:
        """Who may be short at the present marks, and whose next step is due, in declared order;
        rows of crowds apart."""
        found = {account.name for account in self.waiting(ts_ns)}
        for market, venue in enumerate(self.desk.venues):
            if venue.floor.mark > 0.0:
                found.update(each.name for each in self.breached(market, venue.floor.mark))
        return [account for account in self.accounts if account.name in found]

    def due_beside(self, seen: Sequence[Margined], unpaid: Sequence[Unpaid]) -> list[Margined]:
        """Who else is due at this very instant on the markets where counterparties are about to be
        called on: he is liquidated before they are."""
        done = {each.name for each in seen} | {each.account.name for each in unpaid}
        markets = {each.market for each in unpaid}
        return [
            account
            for account in self.due(self.desk.venues[min(markets)].floor.ts_ns)
            if account.name not in done
            and any(market in markets and lots for market, lots, _ in account.positions())
        ]

    def next_step_ns(self) -> int:
        """When the next step of a liquidation is due."""
        return min(
            (s.resumes_ns for s in self.desk.stages.values() if s.resumes_ns), default=NEVER_NS
        )
