"""Risk limits: the margin that a position of some size needs, in whole atoms.

Maintenance is ``notional * rate - deduction`` with the rate of the tier that the notional lies in.
Each deduction follows from the one before, so that maintenance has no jump at a cap:

    deduction[k] = deduction[k - 1] + cap[k - 1] * (rate[k] - rate[k - 1])

Margins round up: against who owes them. A cap belongs to its own tier. Beyond the last cap nothing
may be opened; a position that grew there keeps the last tier's rate and deduction, since venues
refuse orders by size and never liquidate for it.

Source: reference venue notes 2.1; the recursion holds on all published brackets of three venues.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np

from engine.errors import ConfigError
from engine.units import Rounding, decimal, mul_div
from engine.venue.exact_columns import F64, I64, ceil_products
from engine.venue.rules import MarginRules, Tier

__all__ = ["TierTable", "deductions", "tier_fault", "tier_table"]

_UP: Final = Rounding.UP
_SAFE: Final = 2**63
"""Products below it fit 64 bits, and what is left of them after a deduction."""
_FREE: Final = Tier(cap=math.inf, max_leverage=math.inf, rate=0.0)
"""All of a venue that asks for no margin."""


class TierTable:
    """The tiers of one contract, in atoms of the asset in which their caps are.

    Args:
        margin: with any tiers, or none: then no margin is asked for and any size may be opened.
        decimals: of that asset.

    Raises:
        ConfigError: naming the tier that is wrong, and its numbers.
    """

    __slots__ = (
        "_caps",
        "_columns",
        "_deductions",
        "_initial",
        "_leverage",
        "_lines",
        "_of_initial",
        "_open",
        "_rates",
    )

    def __init__(self, margin: MarginRules, decimals: int) -> None:
        fault = tier_fault(margin.tiers)
        if fault is not None:
            number, _, what = fault
            raise ConfigError(f"tier {number + 1}: {what}")
        atoms: int = 10**decimals
        tiers = margin.tiers or (_FREE,)
        self._caps: list[float] = [_atoms(tier.cap, atoms) for tier in tiers]
        self._rates = [decimal(tier.rate) for tier in tiers]
        self._deductions = [each * atoms for each in _deductions_of(tiers)]
        self._leverage = [tier.max_leverage for tier in tiers]
        self._initial = [_initial_rate(tier) for tier in tiers]
        self._of_initial = margin.of_initial and bool(margin.tiers)
        self._lines = [
            _line(rate / initial if self._of_initial else rate, deduction)
            for rate, initial, deduction in zip(
                self._rates, self._initial, self._deductions, strict=True
            )
        ]
        self._columns = (
            np.array(self._caps, np.float64),
            np.array([float(rate) for rate in self._rates]),
            np.array([float(each) for each in self._deductions]),
        )
        self._open: tuple[int, int] | None = None
        if margin.open_interest is not None:
            low, high = margin.open_interest
            if not 0.0 <= low < high < math.inf:
                raise ConfigError(
                    f"open_interest: expected 0 <= low < high, was {low:g} and {high:g}"
                )
            self._open = int(decimal(low) * atoms), int(decimal(high) * atoms)

    def tier_of(self, notional: int) -> int:
        """Index of the tier of a size; of the last one beyond its cap. ``notional`` is unsigned."""
        return min(bisect_left(self._caps, notional), len(self._caps) - 1)

    def rate(self, notional: int) -> Fraction:
        """Maintenance rate of a size."""
        return self._rates[self.tier_of(notional)]

    def deduction(self, notional: int) -> Fraction:
        """Deduction of a size, in atoms."""
        return self._deductions[self.tier_of(notional)]

    def maintenance(self, notional: int) -> int:
        """Equity below which a position of this size is liquidated, rounded up.

        With 0.4 % to 50,000 and 0.5 % above (deduction 50) a position of 60,000 needs 250.
        """
        tier = self.tier_of(notional)
        if self._of_initial:
            notional = _up(notional * self._initial[tier])
        over, less, under = self._lines[tier]
        return mul_div(notional * over - less, 1, under, _UP)

    def maintenances(self, notionals: Any) -> Any:
        """``maintenance`` of many sizes, unsigned, to the precision of floats."""
        caps = self._columns[0]
        tiers = np.minimum(caps.searchsorted(notionals), len(caps) - 1)
        return notionals * self._columns[1].take(tiers) - self._columns[2].take(tiers)

    def exact_maintenances(self, notionals: I64) -> I64:
        """``maintenance`` of many, to the unit."""
        caps = np.array(self._caps[:-1], np.float64)
        tiers = caps.searchsorted(notionals.astype(np.float64), "left")
        found = np.zeros(len(notionals), np.int64)
        for tier in np.unique(tiers).tolist():
            own = tiers == tier
            sizes = notionals[own]
            if self._of_initial:
                rate = self._initial[tier]
                sizes = ceil_products(sizes, rate.numerator, rate.denominator)
            over, less, under = self._lines[tier]
            if int(sizes.max()) * over < _SAFE:
                found[own] = -((less - sizes * over) // under)
            else:
                found[own] = [-((less - size * over) // under) for size in sizes.tolist()]
        return found

    def initial(self, notional: int, leverage: float = math.inf, open_interest: int = 0) -> int:
        """Equity with which a position of this size may be opened, rounded up.

        Args:
            notional: of the position, unsigned.
            leverage: that its owner has chosen; the tier's own bound holds at any choice.
            open_interest: notional of all positions of the contract. Between the two marks of
                ``MarginRules.open_interest`` it raises the rate in a straight line to the whole
                notional; maintenance stays.

        Source: dYdX v4 for the open interest.
        """
        rate = self._initial[self.tier_of(notional)]
        if self._open is not None:
            low, high = self._open
            grown = Fraction(min(max(open_interest - low, 0), high - low), high - low)
            rate += grown * (1 - rate)
        if leverage < math.inf:
            rate = max(rate, 1 / decimal(leverage))
        return _up(notional * rate)

    def max_leverage(self, notional: int) -> float:
        """With which a position of this size may be opened; 0 beyond the last cap: not at all."""
        place = bisect_left(self._caps, notional)
        return self._leverage[place] if place < len(self._caps) else 0.0

    def leverages(self, notionals: I64) -> F64:
        """``max_leverage`` of many; of the last tier beyond its cap."""
        caps = np.array(self._caps[:-1], np.float64)
        return np.array(self._leverage).take(caps.searchsorted(notionals.astype(np.float64)))

    def largest_notional(self, leverage: float) -> int | None:
        """The largest position that may be opened with a leverage; ``None`` where no size is too
        large, 0 where every size is."""
        fitting = [
            cap for cap, most in zip(self._caps, self._leverage, strict=True) if leverage <= most
        ]
        if not fitting:
            return 0
        return None if fitting[-1] == math.inf else int(fitting[-1])

    def cap_below(self, notional: int) -> int:
        """Cap of the tier below that of a size; 0 in the first tier."""
        tier = self.tier_of(notional)
        return int(self._caps[tier - 1]) if tier else 0


@lru_cache(maxsize=64)
def tier_table(margin: MarginRules, decimals: int) -> TierTable:
    """The table of these rules; one, however often it is asked for: nothing changes it."""
    return TierTable(margin, decimals)


def deductions(caps: Sequence[float], rates: Sequence[float]) -> list[float]:
    """What each tier deducts, from the caps and rates alone.

    ``deductions([50_000, 600_000], [0.004, 0.005]) == [0, 50]``.
    """
    return [float(each) for each in _exact_deductions(caps, rates)]


def tier_fault(tiers: Sequence[Tier]) -> tuple[int, str, str] | None:
    """The first thing wrong with a table: index of the tier, name of its field, what is wrong."""
    below: Tier | None = None
    for number, tier in enumerate(tiers):
        fault = _own_fault(tier) or (_fault_after(below, tier) if below is not None else None)
        if fault is not None:
            return number, *fault
        below = tier
    for number, (tier, exact) in enumerate(zip(tiers, _deductions_of(tiers), strict=True)):
        if tier.deduction != float(exact):
            wants = f"deduction must be {float(exact):.15g} for maintenance to be continuous"
            return number, "deduction", f"{wants}, was {tier.deduction:.15g}"
    return None


def _own_fault(tier: Tier) -> tuple[str, str] | None:
    if not tier.cap > 0.0:
        return "cap", f"cap must be > 0, was {tier.cap:.15g}"
    if not 0.0 < tier.rate <= 1.0:
        return "rate", f"rate must be > 0 and at most 1, was {tier.rate:g}"
    if not 1.0 <= tier.max_leverage < math.inf:
        return "max_leverage", f"max_leverage must be at least 1, was {tier.max_leverage:g}"
    if tier.initial_rate is not None and not 0.0 < tier.initial_rate <= 1.0:
        return "initial_rate", f"initial_rate must be > 0 and at most 1, was {tier.initial_rate:g}"
    if _initial_rate(tier) < decimal(tier.rate):
        initial = float(_initial_rate(tier))
        said = f"rate {tier.rate:g} is above the initial rate {initial:g}"
        return "rate", f"{said}: what is opened would be liquidated at once"
    return None


def _fault_after(below: Tier, tier: Tier) -> tuple[str, str] | None:
    if not tier.cap > below.cap:
        return "cap", f"cap {tier.cap:.15g} is not above {below.cap:.15g}, that of the tier below"
    if tier.rate < below.rate:
        return "rate", f"rate {tier.rate:g} is below {below.rate:g}, that of the tier below"
    if tier.max_leverage > below.max_leverage:
        said = f"max_leverage {tier.max_leverage:g} is above {below.max_leverage:g}"
        return "max_leverage", f"{said}, that of the tier below"
    return None


def _exact_deductions(caps: Sequence[float], rates: Sequence[float]) -> list[Fraction]:
    steps = [
        decimal(cap) * (decimal(above) - decimal(below))
        for cap, (below, above) in zip(caps, pairwise(rates), strict=False)  # the last has none
    ]
    return list(accumulate(steps, initial=Fraction()))[: len(rates)]


def _deductions_of(tiers: Sequence[Tier]) -> list[Fraction]:
    caps, rates = [tier.cap for tier in tiers], [tier.rate for tier in tiers]
    return _exact_deductions(caps, rates)


def _initial_rate(tier: Tier) -> Fraction:
    if tier.initial_rate is not None:
        return decimal(tier.initial_rate)
    return 1 / decimal(tier.max_leverage) if tier.max_leverage < math.inf else Fraction(0)


def _atoms(cap: float, atoms: int) -> float:
    """Whole atoms; infinite where the tier has no end."""
    return int(decimal(cap) * atoms) if cap < math.inf else cap


def _line(rate: Fraction, deduction: Fraction) -> tuple[int, int, int]:
    """Whole numbers with ``notional * rate - deduction == (notional * a - b) / c``."""
    return (
        rate.numerator * deduction.denominator,
        deduction.numerator * rate.denominator,
        rate.denominator * deduction.denominator,
    )


def _up(value: Fraction) -> int:
    return mul_div(value.numerator, 1, value.denominator, _UP)
