"""A holder's statement: his share of a product's causes while he held it.

What the hedges of his own requests cost is his alone (``dealing``); ``rounding`` is what whole
atoms leave: units are dealt in whole steps and in favour of those who are in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from engine.outputs import ATTRIBUTION
from engine.report.statement import Course, Deal, Mile, Point, Statement

__all__ = ["Own", "statement_of_holder"]

_FINE: Final = 10**9
"""Shares of causes are kept in so small parts of an atom."""


class Own(Struct, frozen=True, kw_only=True):
    """What a holder's own deal did to him: ``units`` that came (negative: went), atoms ``paid`` all
    told (negative: got), and of these what spread, impact and fees of his request took."""

    units: int
    paid: int
    dealing: int


class _Share:
    """What a holder's share of each cause comes to."""

    def __init__(self, units: int, start: Point) -> None:
        self.units, self.total = units, start.units
        self.since: tuple[int, ...] = start.causes
        self.fine = [0] * len(ATTRIBUTION)
        self.paid = self.put_in = self.dealing = 0

    @property
    def part(self) -> float:
        return self.units / self.total if self.units else 0.0

    def pass_to(self, causes: tuple[int, ...]) -> None:
        """Up to here he held what he has."""
        if self.units:
            for place, (now, then) in enumerate(zip(causes, self.since, strict=True)):
                self.fine[place] += self.units * (now - then) * _FINE // self.total
        self.since = causes

    def deal(self, deal: Deal, own: Own | None) -> None:
        """Somebody dealt, perhaps he himself."""
        self.pass_to(deal.before.causes)
        self.since, self.total = deal.after.causes, deal.after.units
        if own is not None:
            self.units += own.units
            self.paid += own.paid
            self.put_in += max(own.paid, 0)
            self.dealing += own.dealing

    def worth(self, nav: int) -> int:
        """What he has of a NAV, rounded down; less than nothing is nothing."""
        return max(self.units * nav // self.total, 0) if self.units else 0

    def causes(self) -> dict[str, int]:
        """In whole atoms."""
        return {name: round(self.fine[n] / _FINE) for n, name in enumerate(ATTRIBUTION)}


def statement_of_holder(
    names: tuple[str, str],
    units: int,
    ends: tuple[Point, Point],
    turns: Sequence[Mile | Deal],
    own: Mapping[tuple[int, int], Own],
    *,
    first: bool,
) -> Statement:
    """What became of one holder's units.

    Args:
        names: of the product and of the holder.
        units: what he held at the start, steps.
        ends: the product at the start and at the end.
        turns: those later than the start and not later than the end, in order.
        own: his deals, by ``(sequence, ordinal)`` of the event that says so.
        first: whether nothing was decided up to the start.
    """
    start, end = ends
    share = _Share(units, start)
    course, worth_start = Course(start, share.part, first=first), share.worth(start.nav)
    since = (start.ts_ns, start.price)
    for turn in turns:
        if isinstance(turn, Mile):
            course.decide(turn, share.part)
            continue
        mine = _among(own, turn)
        before = share.worth(turn.before.nav)
        share.deal(turn, mine)
        if turn.is_split:
            left = 1.0 + mine.paid / before if mine is not None and before else 1.0
            course.sums.scale(turn.after.price, left)
        elif mine is not None and mine.units:
            if not worth_start and share.units == mine.units:
                since = (turn.after.ts_ns, turn.after.price)
            _join(course, turn.after, share, mine.units)
    share.pass_to(end.causes)
    causes, worth_end = share.causes(), share.worth(end.nav)
    price = causes.pop("price")
    causes |= {"flows": share.paid, "dealing": -share.dealing, "rounding": 0}
    causes["rounding"] = worth_end - worth_start - price - sum(causes.values())
    return Statement(
        product=names[0],
        user=names[1],
        from_ns=since[0],
        to_ns=end.ts_ns,
        price_start=since[1],
        price_end=end.price,
        worth_start=worth_start,
        worth_end=worth_end,
        units=(units, share.units),
        leverage=course.sums.leverage,
        price=price,
        split=course.parts(end.price, price),
        causes=causes,
        put_in=share.put_in,
    )


def _among(own: Mapping[tuple[int, int], Own], turn: Deal) -> Own | None:
    """His deal where it is this one: what else an event of it brought comes after it."""
    since, until = turn.before, turn.after
    if since.sequence != until.sequence:
        return None
    behind = until.ordinal + turn.is_split  # it is said after both moments
    places = ((until.sequence, place) for place in range(since.ordinal, behind))
    return next((own[place] for place in places if place in own), None)


def _join(course: Course, after: Mile, share: _Share, units: int) -> None:
    """He bought ``units``, or gave some back where negative."""
    sums, held = course.sums, share.units
    if units < 0:
        sums.scale(after.price, held / (held - units))
    elif not course.first:
        leverage = after.slope * after.price / after.nav if after.nav > 0 else 0.0
        sums.enter(after.price, after.slope * units / share.total, leverage, units / held)
