"""Which policy did better, on the same paths.

Two policies on one path met the same market, so the difference between them is far less uncertain
than either of them: the interval is that of the mean difference, path by path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct

from engine.sweep.tally import NAV_STEPS

__all__ = ["Ranked", "ranked"]

_Z: Final = 1.959963984540054
"""Of 95 %, both sides."""
_STUDENT: Final = (
    *(12.706204736, 4.302652730, 3.182446305, 2.776445105, 2.570581836, 2.446911851, 2.364624252),
    *(2.306004135, 2.262157163),
)
"""Student's, at 1 to 9 degrees of freedom; above these ``_student`` has it to 1e-5."""

I64 = np.ndarray[Any, np.dtype[np.int64]]


class Ranked(Struct, frozen=True):
    """A policy against the best one; NAV per unit at the end.

    Attributes:
        rank: from 1; policies that cannot be told from the first of a rank share it.
        mean: of its NAV.
        behind: mean difference to the best, >= 0; ``low`` and ``high`` its 95 % interval.
        ahead: share of the paths on which it did better than the best.
        paths: on which both have a result.
        told_apart: whether the interval leaves 0 out.
    """

    point: int
    product: str
    rank: int
    mean: float
    behind: float
    low: float
    high: float
    ahead: float
    paths: int
    told_apart: bool


def ranked(columns: Sequence[tuple[int, str, I64]]) -> list[Ranked]:
    """The policies by their mean, the best first.

    Args:
        columns: point, product and, shape (paths,), NAV per unit at the end in ``NAV_STEPS``; -1
            where a path has no result.
    """
    means = [_mean(navs) for _, _, navs in columns]
    order = sorted(
        (n for n, mean in enumerate(means) if not math.isnan(mean)),
        key=lambda n: (-means[n], columns[n][0], columns[n][1]),
    )
    return list(_rows([(*columns[n], means[n]) for n in order]))


def _rows(ordered: Sequence[tuple[int, str, I64, float]]) -> Iterator[Ranked]:
    rank, leader = 1, ordered[0][2] if ordered else None
    for place, (point, product, navs, mean) in enumerate(ordered):
        assert leader is not None
        if _against(leader, navs).low > 0.0:
            rank, leader = place + 1, navs
        gap = _against(ordered[0][2], navs)
        apart = bool(place) and gap.low > 0.0
        yield Ranked(
            point, product, rank, mean, gap.mean, gap.low, gap.high, gap.ahead, gap.paths, apart
        )


def _mean(navs: I64) -> float:
    known = navs[navs >= 0]
    return int(known.sum()) / len(known) / NAV_STEPS if len(known) else math.nan


class _Gap(NamedTuple):
    """How far one policy lies behind another, and the share of paths on which it is ahead."""

    mean: float
    low: float
    high: float
    ahead: float
    paths: int


def _against(best: I64, other: I64) -> _Gap:
    """Sums are of integers, so no order of the paths changes them."""
    both = (best >= 0) & (other >= 0)
    gap = best[both] - other[both]
    count = len(gap)
    if not count:
        return _Gap(math.nan, math.nan, math.nan, math.nan, 0)
    total = int(gap.sum())
    squares = sum(each * each for each in gap.tolist())
    mean = total / count / NAV_STEPS
    half = math.inf
    if count > 1:
        spread = (count * squares - total * total) / (count * (count - 1))
        half = _student(count - 1) * math.sqrt(spread / count) / NAV_STEPS
    return _Gap(mean, mean - half, mean + half, int((gap < 0).sum()) / count, count)


def _student(freedom: int) -> float:
    """What a normal's 1.96 is where the spread is estimated from few paths: 12.7 from two.

    Source: Cornish and Fisher 1937, Abramowitz and Stegun 26.7.5.
    """
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    square = _Z * _Z
    first = (square + 1.0) / 4.0
    second = ((5.0 * square + 16.0) * square + 3.0) / 96.0
    third = (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0
    fourth = ((((79.0 * square + 776.0) * square + 1482.0) * square - 1920.0) * square - 945.0) / (
        92_160.0
    )
    return _Z * (
        1.0 + (first + (second + (third + fourth / freedom) / freedom) / freedom) / freedom
    )
