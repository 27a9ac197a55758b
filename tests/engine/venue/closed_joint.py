"""When a cross account dies in a crash: the move of all marks together that uses up its margin.

A liquidation price of one symbol holds all other marks still. In a crash they fall together, and an
account long two coins dies long before either price. Here all marks are scaled by ``1 + beta``:
equity is a straight line in beta, maintenance a convex one with a corner wherever a position
crosses a tier's cap, so what is left between them is concave and crosses zero at most once on each
side of today.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from msgspec import Struct

from engine.venue.rules import Tier


class Leg(Struct, frozen=True, kw_only=True):
    """One linear position of a cross account.

    Attributes:
        side: +1 long, -1 short.
        size: unsigned, in base, > 0.
        entry, mark: quote per base, > 0.
        tiers: ascending by cap, the last for all beyond it; none: no maintenance.
        fee: taker fee where it counts as maintenance.
    """

    side: int
    size: float
    entry: float
    mark: float
    tiers: tuple[Tier, ...] = ()
    fee: float = 0.0


class Shock(Struct, frozen=True):
    """The joint liquidation surface of an account.

    Attributes:
        down: beta <= 0 at which equity equals maintenance as all marks fall; ``-inf``: never.
        up: the same as all marks rise; ``inf``: never.
    """

    down: float
    up: float


def joint_shock(wallet: float, legs: Sequence[Leg]) -> Shock:
    """The common shocks at which ``wallet`` and ``legs`` have no more than their maintenance.

    1 coin bought at 100 and 10 bought at 10, both marked there, a wallet of 60 and 1 % maintenance:
    ``60 + 200 beta = 2 (1 + beta)``, so ``beta = -58 / 198 = -29.3 %``, and no rise hurts. By
    itself either price could fall by 58.6 %. An account that is already there has ``(0, 0)``.

    Args:
        wallet: in quote, unrealised profits apart; signed.

    Raises:
        ValueError: if a size, entry or mark is not above zero, or a number is not finite.
    """
    _check(wallet, legs)
    if margin_left(wallet, legs, 0.0) <= 0.0:
        return Shock(0.0, 0.0)
    corners = sorted(tier.cap / (leg.size * leg.mark) for leg in legs for tier in leg.tiers)
    below = [min(corner, 1.0) for corner in reversed(corners)]
    above = [max(corner, 1.0) for corner in corners]
    return Shock(_way(wallet, legs, [*below, 0.0], -inf), _way(wallet, legs, [*above, inf], inf))


def margin_left(wallet: float, legs: Sequence[Leg], beta: float) -> float:
    """Equity less maintenance when all marks have moved by the share ``beta``, in quote."""
    intercept, slope = _line(wallet, legs, 1.0 + beta)
    return intercept + slope * (1.0 + beta)


def _way(wallet: float, legs: Sequence[Leg], stops: Sequence[float], never: float) -> float:
    """The shock at which nothing is left, from corner to corner; ``never`` if there is none."""
    here = 1.0
    for stop in stops:
        middle = 2.0 * here if stop == inf else (here + stop) / 2.0
        intercept, slope = _line(wallet, legs, middle)
        falls = slope < 0.0 if stop == inf else intercept + slope * stop <= 0.0
        if falls:
            root = -intercept / slope if slope != 0.0 else here
            first, last = min(here, stop), max(here, stop)
            # Deductions are rounded: the root may miss its stretch by a hair.
            return min(max(root, first), last) - 1.0
        here = stop
    return never


def _line(wallet: float, legs: Sequence[Leg], scale: float) -> tuple[float, float]:
    """What is left as ``intercept + slope * scale``, with the tiers that hold at ``scale``."""
    intercept, slope = wallet, 0.0
    for leg in legs:
        value = leg.size * leg.mark
        intercept -= leg.side * leg.size * leg.entry
        slope += leg.side * value - value * leg.fee
        for place, tier in enumerate(leg.tiers, 1):
            if value * scale <= tier.cap or place == len(leg.tiers):
                intercept += tier.deduction
                slope -= value * tier.rate
                break
    return intercept, slope


def _check(wallet: float, legs: Sequence[Leg]) -> None:
    if not -inf < wallet < inf:
        raise ValueError(f"wallet must be finite, was {wallet}")
    for leg in legs:
        if not (0.0 < leg.size < inf and 0.0 < leg.entry < inf and 0.0 < leg.mark < inf):
            raise ValueError(f"size, entry and mark must be finite and > 0: {leg}")
