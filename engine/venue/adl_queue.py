"""The queue of an auto-deleveraging: who holds the other side, first to be closed first.

Margin accounts come in declared order, the rows of crowds after them, in theirs. Only whom it takes
is ever looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from engine.errors import InvariantError
from engine.venue.crowd import Crowd
from engine.venue.exact_columns import I64
from engine.venue.held import Held, candidates
from engine.venue.insuring import Insuring
from engine.venue.margined import Margined
from engine.venue.ranking import order, risk_weights

__all__ = ["Holder", "Queue", "holders", "queue_of"]

Holder = tuple[Margined, int, int]
"""An account, its signed lots, and what they cost."""


class Queue(Struct):
    """Attributes:
    accounts: those of the other side, in declared order.
    crowds: ``(crowd, rows)``, after them.
    places: of all of them, in the order they are closed.
    held: their unsigned lots, in that order.
    weights: by which a sharing that looks at risk falls on them, in that order; none in others.
    """

    accounts: list[Holder]
    crowds: list[tuple[Crowd, I64]]
    places: I64
    held: I64
    weights: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.places)

    def place_of_row(self, place: int) -> tuple[int, int]:
        """Which crowd, and which row of it, stands at a place beyond the accounts."""
        place -= len(self.accounts)
        for number, (_, rows) in enumerate(self.crowds):
            if place < len(rows):
                return number, rows.item(place)
            place -= len(rows)
        raise InvariantError(f"no row at place {place} of the queue")


def holders(desk: Insuring, accounts: Sequence[Margined], market: int, side: int) -> list[Holder]:
    """Who of the margin accounts holds a side; nobody who is in liquidation himself."""
    return [
        (account, lots, cost)
        for account in accounts
        if account.name not in desk.stages and desk.is_priced(account.positions())
        for number, lots, cost in account.positions()
        if number == market and lots * side > 0
    ]


def queue_of(
    desk: Insuring,
    market: int,
    opposite: list[Holder],
    crowds: Sequence[Crowd],
    side: int,
    draw: tuple[int, int],
) -> Queue:
    """Everybody who holds a side, by the venue's ranking; ``draw``: seed and sequence of its
    lots."""
    rows = [(crowd, crowd.holders(side)) for crowd in crowds]
    rows = [(crowd, own) for crowd, own in rows if len(own)]
    if not opposite and not rows:
        nobody = np.zeros(0, np.int64)
        return Queue([], [], nobody, nobody)
    held = _held(market, opposite, rows)
    marks = dict(enumerate(desk.marks()))
    ranking = desk.listings[market].rules.adl.ranking
    ranked = candidates(desk.listings, market, held, marks)
    places = order(ranking, ranked, seed=draw[0], sequence=draw[1])
    weights: Sequence[int] = ()
    if ranking == "risk_aware":
        of = risk_weights(ranked)
        weights = [of[place] for place in places.tolist()]
    return Queue(opposite, rows, places, np.abs(held.lots)[places], weights)


def _held(market: int, opposite: list[Holder], crowds: Sequence[tuple[Crowd, I64]]) -> Held:
    """Accounts first, then the rows of crowds."""
    own = Held.of([account for account, _, _ in opposite], market)
    return own.beside(
        [
            {n: getattr(c, n)[rows] for n in ("lots", "cash", "cost", "leverage")}
            for c, rows in crowds
        ]
    )
