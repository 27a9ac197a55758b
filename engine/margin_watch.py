"""When the venue must look at its margin accounts: between which marks of a market nobody is short.

Edges depend on what an account holds alone, so they are armed when that changes. An account that
is between two steps of its liquidation has none: its next step is an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from engine.units import NEVER_NS
from engine.venue.crowd import Crowd
from engine.venue.desk import RiskDesk
from engine.venue.margined import Margined
from engine.venue.places import QUEUED, Places
from engine.venue.standing import box, edges

__all__ = ["MarginWatch"]

_NOWHERE: Final = (-math.inf, math.inf)
F64 = np.ndarray[Any, np.dtype[np.float64]]


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
        self._lows: list[F64] = [np.full(len(of), -math.inf) for of in self._of]
        self._highs: list[F64] = [np.full(len(of), math.inf) for of in self._of]
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

    def _seat(self, account: Margined) -> None:
        desk = self.desk
        queued = not account.alone and account.name not in desk.stages and desk.is_priced(account)
        for market, row in self._rows[account.name]:
            places = self.places[market]
            if places is not None:
                places.change(row, account, self.sample(), queued=queued)

    def arm(self, account: Margined) -> bool:
        """Take over an account's present edges; whether it must be looked at now."""
        self._seat(account)
        armed, due = self._edges(account), False
        for market, row in self._rows[account.name]:
            low, high = armed.get(market, _NOWHERE)
            self._lows[market][row], self._highs[market][row] = low, high
            due = due or not low < self.desk.venues[market].floor.mark < high
        return due

    def _edges(self, account: Margined) -> dict[int, tuple[float, float]]:
        """By market, between which marks nobody need look; none where it has no position, no price
        or its next step is an alarm."""
        desk, positions = self.desk, account.positions()
        stage = desk.stages.get(account.name)
        if stage is not None and stage.resumes_ns:
            return {}
        held = 0
        for market, lots, _ in positions:
            if lots and not desk.venues[market].floor.mark > 0.0:
                return {}
            held |= lots
        if not held:
            return {}
        share = self._share(account)
        if len(positions) > 1:
            return box(account, desk.listings, desk.marks(), share)
        market, lots, cost = positions[0]
        listing = desk.listings[market]
        return {market: edges(listing, account.cash, lots, cost, share, account.withheld)}

    def _share(self, account: Margined) -> float:
        """The multiple of maintenance at which the venue next has something to say."""
        return 1.0 if account.name in self.desk.stages else self.desk.calls_at(account) or 1.0

    def bounds(self, market: int) -> tuple[float, float]:
        """Between which marks nobody is short."""
        lows, highs = self._lows[market], self._highs[market]
        if not len(lows):
            return -math.inf, math.inf
        return lows.item(lows.argmax()), highs.item(highs.argmin())

    def breached(self, market: int, price: float) -> list[Margined]:
        """Whose edge ``price`` is at or beyond, in declared order."""
        beyond = (self._lows[market] >= price) | (self._highs[market] <= price)
        of = self._of[market]
        return [of[row] for row in beyond.nonzero()[0].tolist()]

    def waiting(self, ts_ns: int) -> list[Margined]:
        """Whose next step is due."""
        stages = self.desk.stages
        return [
            account
            for account in self.accounts
            if (stage := stages.get(account.name)) is not None and stage.resumes_ns <= ts_ns
        ]

    def next_step_ns(self) -> int:
        """When the next step of a liquidation is due."""
        return min(
            (s.resumes_ns for s in self.desk.stages.values() if s.resumes_ns), default=NEVER_NS
        )
