"""Auto-deleveraging: closing a position that nobody can pay for against its counterparties.

A queue is taken from the front, whole positions each, only the last fill being partial. dYdX walks
a list instead and skips whom the price would bankrupt. The price is the liquidated account's
bankruptcy price, the mark, or the mark before this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from engine.venue.rules import AdlRules

__all__ = ["WALK_MAX", "Taken", "adl_price", "overlaps", "seized", "taken_from", "walked"]

WALK_MAX: Final = 1_000
"""Candidates that one walk looks at."""


class Taken(Struct, frozen=True):
    """What a position found on the other side.

    Attributes:
        places: of the candidates, in the order they were closed.
        lots: unsigned, of each.
        rest: lots that found no counterparty.
    """

    places: tuple[int, ...]
    lots: tuple[int, ...]
    rest: int


def taken_from(order: Iterable[int], lots: Sequence[int], needed: int) -> Taken:
    """Take ``needed`` lots from the candidates in order; only the last fill may be partial.

    20 lots of accounts with 10, 20 and 30: all 10 of the first, 10 of the second.

    Args:
        order: places in ``lots``, the first to be closed first.
        lots: of every candidate; their sign does not matter.
        needed: unsigned.

    Raises:
        ValueError: if ``needed`` is negative.

    Source: BitMEX auto-deleveraging examples; the fills of Hyperliquid's blocks of 2025-10-10.
    """
    if needed < 0:
        raise ValueError(f"lots needed must not be negative, were {needed}")
    places, amounts, rest = [], [], needed
    for place in order:
        if rest == 0:
            break
        amount = min(abs(lots[place]), rest)
        if amount:
            places.append(int(place))
            amounts.append(int(amount))
            rest -= amount
    return Taken(tuple(places), tuple(amounts), int(rest))


def walked(
    order: Iterable[int],
    lots: Sequence[int],
    needed: int,
    fits: Sequence[bool],
    *,
    looked_at_max: int = WALK_MAX,
) -> Taken:
    """The walk of dYdX: as ``taken_from``, but candidates that do not fit are skipped, and no more
    than ``looked_at_max`` are looked at, fitting or not. What is left stays open.

    Args:
        fits: whether each candidate's bankruptcy price overlaps, ``overlaps``.

    Source: dYdX v4-chain, x/clob/keeper/deleveraging.go.
    """
    if looked_at_max < 0:
        raise ValueError(f"looked_at_max must not be negative, was {looked_at_max}")
    seen: list[int] = []
    for place in order:
        if len(seen) == looked_at_max:
            break
        seen.append(int(place))
    return taken_from([place for place in seen if fits[place]], lots, needed)


def overlaps(liquidated_side: int, price: float, candidate_price: float) -> bool:
    """Whether a candidate can trade at the liquidated account's bankruptcy price without being
    bankrupted by it; it may be left with nothing.

    A short is closed at 50,000: it buys, the candidate sells. One whose own bankruptcy price is
    50,001 would need more, and is skipped.

    Args:
        liquidated_side: +1 the liquidated account is long, -1 short.
        price: its bankruptcy price.
        candidate_price: the candidate's.
    """
    return liquidated_side * (candidate_price - price) >= 0.0


def seized(order: Iterable[int], endowments: Sequence[float], budget: float) -> list[float]:
    """Money taken from winners in order until the budget is met; the queue in wealth.

    A budget of 7.5 from endowments of 8, 4, 0.5 in the order 2, 1, 3: 3.5, 4, 0.

    Source: Chitra, arXiv:2512.01112, numerical example.
    """
    if budget < 0.0:
        raise ValueError(f"a budget must not be negative, was {budget}")
    taken, left = [0.0] * len(endowments), budget
    for place in order:
        taken[place] = min(endowments[place], left)
        left -= taken[place]
    return taken


def adl_price(
    rules: AdlRules, bankruptcy: float, mark: float, previous_mark: float | None
) -> float:
    """Price at which positions are closed against each other.

    Bybit takes the mark where the bankruptcy price is more than 5 % away from it: at a mark of 100,
    94 is replaced by 100 and 95 is not.

    Args:
        bankruptcy: of the liquidated account.
        mark: today's, > 0.
        previous_mark: the one before; ``None`` at the first.
    """
    if rules.price == "mark":
        return mark
    if rules.price == "previous_mark":
        return mark if previous_mark is None else previous_mark
    if rules.mark_beyond > 0.0 and abs(bankruptcy - mark) > rules.mark_beyond * mark:
        return mark
    return bankruptcy
