"""Losses shared among all instead of taken from the first: pro-rata haircuts and socialised loss.

A haircut is a share of what a winner could give (its endowment). Plain pro-rata cuts everyone by
the same share; with caps, the level rises until the budget is met and those at their cap stay
there; the risk-aware rule raises it by weight. Contracts are whole: they are shared by largest
remainder, by weight too. Drift moves the funding of both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from engine.errors import InputError
from engine.units import Rounding, mul_div, total

__all__ = [
    "Haircuts",
    "capped",
    "floor_shares",
    "integer_shares",
    "pro_rata",
    "socialised_rate",
    "weighted_shares",
]

F64 = np.ndarray[Any, np.dtype[np.float64]]


class Haircuts(Struct, frozen=True):
    """How a budget was raised.

    Attributes:
        share: of each endowment, shape (n,).
        raised: money; the budget, or all the capacity there is.
        capacity: money that the caps allow.
        feasible: whether the budget was within it.
    """

    share: F64
    raised: float
    capacity: float
    feasible: bool


def pro_rata(endowments: F64, budget: float) -> Haircuts:
    """The same share of every endowment: ``h = budget / sum``, at most all of it.

    A budget of 7.5 (half of a deficit of 15) from 8, 4 and 0.5: 60 %, so 4.8, 2.4 and 0.3.

    Args:
        endowments: what each could give, >= 0, shape (n,).

    Source: Chitra, arXiv:2512.01112; the only rule that is monotone, scale-invariant and proof
    against splitting an account.
    """
    return capped(endowments, np.ones(len(endowments)), budget)


def capped(endowments: F64, caps: F64, budget: float, weights: F64 | None = None) -> Haircuts:
    """Capped pro-rata: haircuts ``min(cap, level * weight)`` with the level that raises the budget.

    Equities of 10, 5, 1, caps of 20 %, 100 %, 100 % and a budget of 5: the first gives its 2, the
    others half: ``0.2, 0.5, 0.5``. Where the caps allow less than the budget they are all taken,
    and ``feasible`` is false: the rest is another rule's.

    Args:
        endowments: what each could give, >= 0, shape (n,).
        caps: largest share of it, from 0 to 1.
        budget: money to raise, >= 0.
        weights: how fast each share rises, >= 0; equal if ``None``. The risk-aware rule takes
            ``lambda * g(lambda)`` of the leverage lambda. Without weight nothing is taken.

    Raises:
        InputError: if a number is not finite or out of its range.

    Source: Chitra, arXiv:2512.01112, algorithms 1 and 2.
    """
    rising = np.ones(len(endowments)) if weights is None else weights
    _check(endowments, caps, rising, budget)
    reach = np.where(rising > 0.0, caps, 0.0)
    capacity = _total(endowments * reach)
    if budget > capacity:
        return Haircuts(reach, capacity, capacity, feasible=False)
    level = _level(endowments, reach, rising, budget)
    share = np.minimum(reach, level * rising)
    return Haircuts(share, _total(endowments * share), capacity, feasible=True)


def _level(endowments: F64, caps: F64, weights: F64, budget: float) -> float:
    """The level at which the budget is raised: those reach their cap first whose ``cap / weight``
    is smallest."""
    weighted = endowments * weights
    active = weighted > 0.0
    if not active.any():
        return 0.0
    ends = caps[active] / weights[active]
    places = np.argsort(ends, kind="stable")
    ends = ends[places]
    most = (endowments * caps)[active][places]
    before = np.concatenate(([0.0], np.cumsum(most)[:-1]))
    still = np.cumsum(weighted[active][places][::-1])[::-1]
    # What is raised when the level reaches each end: those before give all they can.
    at_end = np.maximum.accumulate(before + ends * still)
    first = int(np.searchsorted(at_end, budget, side="left"))
    if first == len(ends):  # the budget is the capacity, but for the last bits
        return float(ends[-1])
    return (budget - float(before[first])) / float(still[first])


def _total(amounts: F64) -> float:
    """Their sum, one after the other: the same bits everywhere."""
    return float(np.cumsum(amounts)[-1]) if len(amounts) else 0.0


def _check(endowments: F64, caps: F64, weights: F64, budget: float) -> None:
    finite = np.isfinite(endowments).all() and np.isfinite(weights).all()
    if not (finite and (endowments >= 0.0).all() and (weights >= 0.0).all()):
        raise InputError("endowments and weights must be finite and not negative")
    if not ((caps >= 0.0) & (caps <= 1.0)).all():
        raise InputError("caps must lie between 0 and 1")
    if not (len(caps) == len(weights) == len(endowments)):
        raise InputError("endowments, caps and weights must be of one length")
    if not 0.0 <= budget < np.inf:
        raise InputError(f"a budget must be finite and not negative, was {budget}")


def integer_shares(held: Sequence[int], needed: int) -> list[int]:
    """``needed`` lots shared in proportion to what each holds, by largest remainder; ties by place.

    10 lots from 3, 3 and 8 (14): 2.14, 2.14 and 5.71 make 2, 2, 5, and the one left goes to the
    third: 2, 2, 6. Nobody gives more than he holds, and nothing is left over.

    Args:
        held: unsigned lots of each.
        needed: at most their sum.

    Raises:
        ValueError: if a holding is negative, or ``needed`` negative or beyond the sum.
    """
    whole, left = _count(held, needed), needed
    shares = floor_shares(held, needed)
    if not needed:
        return shares
    for share in shares:
        left -= share
    by_remainder = sorted(range(len(held)), key=lambda place: -(held[place] * needed % whole))
    for place in by_remainder[:left]:
        shares[place] += 1
    return shares


def weighted_shares(held: Sequence[int], weights: Sequence[int], needed: int) -> list[int]:
    """``needed`` lots taken in proportion to holding times weight, nobody's beyond what he holds: a
    level rises, and whose share of his holding, level times weight, reaches all of it stays there.

    10 lots from 10 each at weights 4 and 1: 8 and 2. 15 at weights 10 and 1: the first gives all
    10, and what is left is the other's. Exact; what the rounding leaves goes by largest remainder.

    Args:
        held: unsigned lots of each.
        weights: >= 0; those without any give last, in proportion to what they hold.
        needed: at most the sum of ``held``.

    Source: ``capped`` with caps of one, in whole lots.
    """
    shares, left = [0] * len(held), needed
    rising = [lots * weight for lots, weight in zip(held, weights, strict=True)]
    weighted = total(rising)
    for place in sorted(range(len(held)), key=lambda place: -weights[place]):
        if not rising[place]:
            continue
        if left * weights[place] < weighted:
            break
        shares[place], left = held[place], left - held[place]
        weighted, rising[place] = weighted - rising[place], 0
    if not weighted:
        rising = [lots - share for lots, share in zip(held, shares, strict=True)]
    rest = integer_shares(rising, left)
    return [share + more for share, more in zip(shares, rest, strict=True)]


def floor_shares(held: Sequence[int], needed: int) -> list[int]:
    """The same without the remainders: every share rounded down, so that less than ``needed`` is
    closed. 10 lots from 3, 3 and 8: 2, 2, 5."""
    whole = _count(held, needed)
    return [mul_div(lots, needed, whole, Rounding.DOWN) if whole else 0 for lots in held]


def _count(held: Sequence[int], needed: int) -> int:
    whole = 0
    for lots in held:
        if lots < 0:
            raise ValueError(f"holdings are unsigned, was {lots}")
        whole += lots
    if not 0 <= needed <= whole:
        raise ValueError(f"{needed} lots cannot be shared among {whole}")
    return whole


def socialised_rate(loss: int, open_lots: int, unit_lots: int) -> int:
    """Atoms that every ``unit_lots`` of open interest, long and short alike, pay for a loss:
    ``ceil(loss / (|OI long| + |OI short|))``, so that the loss is covered.

    100 USD over 7 long and 4 short: 9.090910 a unit, rounded up to the atom of 1e-6.

    Args:
        loss: atoms, >= 0.
        open_lots: of both sides together, > 0.
        unit_lots: lots in one unit of the contract.

    Source: Drift protocol-v2, resolve_perp_bankruptcy.
    """
    if loss < 0 or open_lots <= 0 or unit_lots <= 0:
        raise ValueError(f"cannot socialise {loss} over {open_lots} lots of {unit_lots} a unit")
    return mul_div(loss, unit_lots, open_lots, Rounding.UP)
