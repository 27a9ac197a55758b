"""Where an account's margin ends: the marks at which the venue liquidates it, found by asking the
very question that the venue asks in a run, at one mark after the other.

Closed forms say the same of the rules that have one, and the tests hold this to them; here every
rule counts, fees at the bankruptcy price and caps in coin among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from engine.venue.margined import Margined, held_by
from engine.venue.standing import Listing, Standing

__all__ = ["Limit", "Limits", "limits_of"]

_FAR: Final = float(1 << 40)
"""Marks so many times, or so small a part of, today's end the search."""


class Limit(Struct, frozen=True):
    """One position, while the marks of the others stay where they are.

    Attributes:
        market: its number.
        lots: signed, as held.
        maintenance: margin that it needs today, settlement atoms.
        liquidated: the nearest mark at which the account is short of margin; ``None``: no mark is.
        bankrupt: the nearest mark at which it is worth less than nothing; ``None``: no mark is.
    """

    market: int
    lots: int
    maintenance: int
    liquidated: float | None
    bankrupt: float | None


class Limits(Struct, frozen=True):
    """An account.

    Attributes:
        stand: equity and maintenance today.
        is_short: whether it is short of margin already.
        positions: each by itself.
        down, up: the move of all marks together at which it is short, as a share of them (down is
            negative); ``None``: no such move is.
    """

    stand: Standing
    is_short: bool
    positions: tuple[Limit, ...]
    down: float | None
    up: float | None


def limits_of(account: Margined, listings: Sequence[Listing], marks: Sequence[float]) -> Limits:
    """How far the marks may move before ``account`` is liquidated.

    What is left beyond maintenance is concave in every mark (in 1 / mark where inverse), and in all
    of them together, so it is used up at most once on either side of today.

    Args:
        listings, marks: by market; the marks of today, > 0 where something is held.
    """
    book = _Book(account, listings, marks)
    if not book.held:
        return Limits(book.standing(marks), is_short=False, positions=(), down=None, up=None)
    first = book.held[0][0]  # one venue has one rule

    def short(at: Sequence[float]) -> bool:
        return listings[first].is_short(book.standing(at))

    def bankrupt(at: Sequence[float]) -> bool:
        return book.standing(at).equity < 0

    def alone(market: int, scale: float) -> list[float]:
        return [mark * scale if m == market else mark for m, mark in enumerate(marks)]

    def together(scale: float) -> list[float]:
        return [mark * scale for mark in marks]

    def nearest(market: int, holds: Callable[[Sequence[float]], bool]) -> float | None:
        found = [_scale(lambda s: holds(alone(market, s)), far) for far in (1.0 / _FAR, _FAR)]
        scales = [scale for scale in found if scale is not None]
        return marks[market] * min(scales, key=lambda s: max(s, 1.0 / s)) if scales else None

    rows = [
        Limit(
            market,
            lots,
            listings[market].maintenance(lots, cost, marks[market]),
            nearest(market, short),
            nearest(market, bankrupt),
        )
        for market, lots, cost in book.held
    ]
    down, up = (_scale(lambda s: short(together(s)), far) for far in (1.0 / _FAR, _FAR))
    return Limits(
        book.standing(marks),
        short(marks),
        tuple(rows),
        None if down is None else down - 1.0,
        None if up is None else up - 1.0,
    )


class _Book:
    """An account that is asked at a thousand marks and holds the same at all of them:
    ``standing_of``, but what lies at today's marks is reckoned once."""

    def __init__(
        self, account: Margined, listings: Sequence[Listing], marks: Sequence[float]
    ) -> None:
        self.held = held_by(account)
        self._cash, self._withheld = account.cash, account.withheld
        self._listings, self._marks = listings, marks
        self._today = [self._parts(*position, marks[position[0]]) for position in self.held]

    def standing(self, at: Sequence[float]) -> Standing:
        listings, equity, needed = self._listings, self._cash, 0
        parts = [
            today if at[held[0]] == self._marks[held[0]] else self._parts(*held, at[held[0]])
            for held, today in zip(self.held, self._today, strict=True)
        ]
        for worth, margin in parts:
            equity, needed = equity + worth, needed + margin
        for (market, lots, _), (worth, _) in zip(self.held, parts, strict=True):
            if listings[market].fee_at_bankruptcy:
                needed += listings[market].closing_fee(lots, equity - worth)
        return Standing(equity, needed, self._withheld)

    def _parts(self, market: int, lots: int, cost: int, mark: float) -> tuple[int, int]:
        """What a position is worth, and what it needs."""
        listing = self._listings[market]
        return listing.contract.exposure_value(lots, mark), listing.maintenance(lots, cost, mark)


def _scale(holds: Callable[[float], bool], far: float) -> float | None:
    """The scale nearest to one, on the way to ``far``, at which something holds."""
    if holds(1.0):
        return 1.0
    if not holds(far):
        return None
    near, way = 1.0, 0.5 if far < 1.0 else 2.0
    while not holds(near * way):
        near *= way
    there = near * way
    while (middle := (near + there) / 2.0) not in (near, there):
        if holds(middle):
            there = middle
        else:
            near = middle
    return there
