"""The funding rate of a premium: interest, clamp, caps; and the exact forms of two chains.

Everything here is a formula of published numbers; ``engine.venue.funding`` says when and to whom it
is paid.
"""

from __future__ import annotations

from fractions import Fraction
from math import trunc

from msgspec import Struct

from engine.units import HOUR_NS
from engine.venue.price_rules import FundingRules

__all__ = [
    "MarginRates",
    "bounded",
    "capped",
    "drift_rate",
    "drift_spread_max",
    "index_delta",
    "interest_rate",
    "period_rate",
    "settlement",
]

_EIGHT_HOURS_NS = 8 * HOUR_NS
_DRIFT_SHARES = {"A": 33, "B": 33, "C": 20}
_DRIFT_SHARE = 10
_DRIFT_OFFSET = 5_000
_DRIFT_HOURS = 24


class MarginRates(Struct, frozen=True, gc=False):
    """Initial and maintenance margin of the lowest tier, as shares of notional."""

    initial: float = 0.0
    maintenance: float = 0.0


def interest_rate(quote_daily: float, base_daily: float, per_day: int) -> float:
    """Interest per interval: what lending the quote yields more than lending the base.

    ``interest_rate(0.0006, 0.0003, 3)`` is 0.0001.

    Source: BitMEX.
    """
    return (quote_daily - base_daily) / per_day


def bounded(value: float, limit: float) -> float:
    """``value``, no farther from 0 than ``limit``."""
    return max(-limit, min(value, limit))


def period_rate(average: float, rules: FundingRules) -> float:
    """The formula's rate per ``rate_interval_ns``: ``P + clamp(I - P)``, or ``P + I`` without a
    clamp.

    With 1 % premium, 0.01 % interest and a clamp of 0.05 %: 0.95 %. Within the clamp of the
    interest the rate is the interest.
    """
    if rules.clamp is None:
        return average + rules.interest
    beyond = rules.interest - average
    if abs(beyond) <= rules.clamp:
        return rules.interest  # to the last bit, which ``average + beyond`` need not be
    return average + bounded(beyond, rules.clamp)


def capped(rate: float, rules: FundingRules, margins: MarginRates) -> float:
    """What is paid at the instant, a share of notional: the formula's rate within its caps, for
    ``interval_ns``.

    ``cap_margins`` bounds the formula's rate (dYdX: 6 (2 % - 1.2 %) = 4.8 % per eight hours),
    ``cap_maintenance`` and ``cap`` what is paid (Hyperliquid: 4 % an hour).
    """
    if rules.cap_margins is not None:
        rate = bounded(rate, rules.cap_margins * (margins.initial - margins.maintenance))
    rate = rate * rules.interval_ns / rules.rate_interval_ns
    if rules.cap_maintenance is not None:
        rate = bounded(rate, rules.cap_maintenance * margins.maintenance)
    return rate if rules.cap is None else bounded(rate, rules.cap)


# dYdX -----------------------------------------------------------------------------------------


def index_delta(
    rate_ppm: int, price: int, price_exponent: int, atomic_resolution: int, elapsed_ns: int
) -> int:
    """How far a market's funding index moves, in millionths of a quote atom per base atom.

    ``trunc(seconds * ppm * price * 10^(exponent + resolution + 6) / 28800)``, towards zero, in
    integers throughout.

    Args:
        rate_ppm: rate per eight hours, in millionths.
        price: oracle price, times ``10^-price_exponent``.
        atomic_resolution: a base atom is ``10^atomic_resolution`` of the base.

    Source: dYdX v4, ``x/perpetuals/funding``.
    """
    exponent = price_exponent + atomic_resolution + 6
    over = elapsed_ns * rate_ppm * price * 10 ** max(exponent, 0)
    return trunc(Fraction(over, _EIGHT_HOURS_NS * 10 ** max(-exponent, 0)))


def settlement(index: int, index_before: int, base_atoms: int) -> int:
    """What a position receives when it is next touched, in millionths of a quote atom: ``-(index -
    index before) * base atoms``; a long pays where the index rose.

    Source: dYdX v4, ``x/perpetuals/lib``.
    """
    return -(index - index_before) * base_atoms


# Drift ----------------------------------------------------------------------------------------


def drift_spread_max(oracle: int, tier: str) -> int:
    """Largest spread that funding counts: a 33rd of the oracle's average for contracts of tier A
    and B, a 20th for C, a tenth for all others; cut to whole units.

    Source: Drift v2, ``get_max_price_divergence_for_funding_rate``.
    """
    return oracle // _DRIFT_SHARES.get(tier, _DRIFT_SHARE)


def drift_rate(mark: int, oracle: int, tier: str) -> float:
    """Quote per base that a long pays an hour: the averages' spread and an offset of a 5,000th,
    within the largest spread, a 24th of it.

    Args:
        mark, oracle: averages over the period, in units of the price.
    """
    limit = drift_spread_max(oracle, tier)
    return bounded(float(mark - oracle + oracle // _DRIFT_OFFSET), float(limit)) / _DRIFT_HOURS
