"""A statement: what something was worth at two moments, and every cause of the difference.

All amounts are whole atoms of the quote asset, and they sum exactly. Of a product the causes are
those of its account, none of them a remainder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from engine.outputs import ATTRIBUTION
from engine.price_split import PARTS, PriceSplit, whole_parts
from engine.units import UNIT_STEPS

__all__ = ["Course", "Deal", "Mile", "Point", "Statement", "statement_of", "summary_statement"]


class Point(Struct, frozen=True, kw_only=True):
    """A product at a moment.

    Attributes:
        units: steps of 1e-8.
        price: what its NAV follows: the mark, or the index.
        slope: quote atoms that one unit of that price is worth to what it holds.
        equity_start: quote atoms at the launch.
        causes: quote atoms since the launch, in ``ATTRIBUTION`` order.
    """

    ts_ns: int
    price: float
    units: int
    slope: float
    equity_start: int
    causes: tuple[int, ...]

    @property
    def nav(self) -> int:
        """Quote atoms."""
        return self.equity_start + sum(self.causes)

    @property
    def leverage(self) -> float:
        """Exposure over NAV; 0 where there is no NAV."""
        return self.slope * self.price / self.nav if self.nav > 0 else 0.0


class Mile(Struct, frozen=True, kw_only=True):
    """A row of ``milestones.parquet``: a decision, or with ``causes`` a moment before or after
    somebody dealt; ``price`` is the one that NAV follows."""

    sequence: int
    ordinal: int
    ts_ns: int
    price: float
    nav: int
    units: int
    slope: float
    target: float | None = None
    edge: float | None = None
    causes: tuple[int, ...] = ()


class Deal(Struct, frozen=True, kw_only=True):
    """Somebody dealt: the product before the hedge of his request, and after he had dealt."""

    before: Mile
    after: Mile

    @property
    def is_split(self) -> bool:
        """Whether units were counted anew: of that nothing is said between the two moments."""
        places = ((mile.sequence, mile.ordinal) for mile in (self.before, self.after))
        return len(set(places)) == 1

    @property
    def scale(self) -> float:
        """What was there afterwards, in parts of what was there before."""
        before, after = self.before, self.after
        if self.is_split:
            return after.nav / before.nav if before.nav > 0 else 1.0
        return after.units / before.units if before.units else 1.0


class Statement(Struct, frozen=True, kw_only=True):
    """``worth_start + price + sum(causes) == worth_end``, in atoms.

    Attributes:
        units: at the start and at the end, steps; those of a product at the start in units of the
            end, where there was a split between.
        leverage: at the start: what direction is measured with.
        split: the price part, in ``PARTS``; empty where it is undefined.
        causes: the others. ``flows`` is money that came in less what went out; ``dealing``, of a
            holder, what spread, impact and fees of his own requests took.
        put_in: what a holder put in, not less what he got out.
    """

    product: str
    user: str | None = None
    from_ns: int
    to_ns: int
    price_start: float
    price_end: float
    worth_start: int
    worth_end: int
    units: tuple[int, int]
    leverage: float
    price: int
    split: dict[str, int]
    causes: dict[str, int]
    put_in: int = 0

    @property
    def move(self) -> float:
        """How far the price moved that it follows."""
        return self.price_end / self.price_start - 1.0

    @property
    def paid_in(self) -> int:
        """What was there at the start, and what came in less what went out."""
        return self.worth_start + self.causes["flows"]

    @property
    def result(self) -> int:
        """All causes but the money that came and went."""
        return self.worth_end - self.paid_in

    @property
    def gain(self) -> float:
        """Of a product what a unit gained, of a holder what the money he put in gained."""
        if self.user is None:
            before, after = self.worth_start * self.units[1], self.worth_end * self.units[0]
            return after / before - 1.0 if before > 0 else 0.0
        put_in = self.worth_start + self.put_in
        return self.result / put_in if put_in > 0 else 0.0


class Course:
    """The parts of a price profit from some moment on, of a whole product or of a share of it."""

    def __init__(self, start: Point, share: float, *, first: bool) -> None:
        self.sums = PriceSplit(since=start.price)
        self.first = first
        self.start = start
        if share and not first:
            self.sums.enter(start.price, start.slope * share, start.leverage, 1.0)

    def decide(self, mile: Mile, share: float) -> None:
        """``share`` of the product is looked at. Where nothing was decided before, the leverage
        counts from the start on, for those who are there now."""
        assert mile.target is not None
        if self.first:
            units = self.start.units
            grown = share * mile.units / units if units else 0.0
            self.sums.move(mile.price)
            self.sums.open(self.start.price, self.start.nav * grown, mile.target)
            self.first = False
        self.sums.strike(mile.price, mile.nav * share, mile.target, mile.slope * share, mile.edge)

    def parts(self, price: float, profit: int) -> dict[str, int]:
        """In whole atoms, at a price; they sum to the ``profit``."""
        return whole_parts(self.sums.parts(price, float(profit)), profit)


def statement_of(
    product: str, start: Point, end: Point, turns: Sequence[Mile | Deal], *, first: bool
) -> Statement:
    """What became of a whole product.

    Args:
        turns: those later than ``start`` and not later than ``end``, in order.
        first: whether nothing was decided up to ``start``: then the first decision tells the
            leverage at the start.
    """
    course, units = Course(start, 1.0, first=first), start.units
    for turn in turns:
        if isinstance(turn, Mile):
            course.decide(turn, 1.0)
            continue
        course.sums.scale(turn.after.price, turn.scale)
        if turn.is_split and turn.after.nav > 0:  # what was paid out was paid for its units
            before, after = turn.before, turn.after
            units = units * after.units * before.nav // (before.units * after.nav)
    price, *others = (b - a for a, b in zip(start.causes, end.causes, strict=True))
    return Statement(
        product=product,
        from_ns=start.ts_ns,
        to_ns=end.ts_ns,
        price_start=start.price,
        price_end=end.price,
        worth_start=start.nav,
        worth_end=end.nav,
        units=(units, end.units),
        leverage=course.sums.leverage,
        price=price,
        split=course.parts(end.price, price),
        causes=dict(zip(ATTRIBUTION[1:], others, strict=True)),
    )


def summary_statement(product: str, summary: Mapping[str, Any], decimals: int) -> Statement:
    """What became of a whole product from its launch to the end, as the summary has it."""
    said, atoms = summary["products"][product], 10**decimals
    start = round(said["equity_start"] * atoms)
    causes = {name: round(said["attribution"][name] * atoms) for name in ATTRIBUTION}
    price, split = causes.pop("price"), said["price_split"]
    known = all(value is not None and math.isfinite(value) for value in split.values())
    units = said.get("units", 1.0)
    return Statement(
        product=product,
        from_ns=said["launched_ns"],
        to_ns=summary["end_ns"],
        price_start=said["price_start"],
        price_end=said["price_end"],
        worth_start=start,
        worth_end=start + price + sum(causes.values()),
        units=(round(said["equity_start"] * UNIT_STEPS), round(units * UNIT_STEPS)),
        leverage=said["target"],
        price=price,
        split={name: round(split[name] * atoms) for name in PARTS} if known else {},
        causes=causes,
    )
