"""Funding: who pays whom, when, and at what rate.

At its instant every position pays ``notional * rate``; positive rates are paid by longs to shorts.
Rates come with the recording, from the venue's own premiums, from a table of instants, or are a
constant per 8 hours; where there is none, funding is assumed to be 0 and the run says so.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from msgspec import Struct

from engine.units import DAY_NS, HOUR_NS, NEVER_NS, Rounding, decimal, mul_div
from engine.venue.price_rules import FundingRules

__all__ = ["FundingDue", "FundingSpec", "funding_payment", "next_instant", "next_scheduled"]

_INTERVAL_NS: Final = 8 * HOUR_NS


class FundingDue(Struct, frozen=True, gc=False):
    """A funding instant: its rate, the index at which positions are valued (``None``: the mark),
    and whether those opened at the very instant pay."""

    rate: float
    index_price: float | None = None
    instant_pays: bool = True


class FundingSpec(Struct, frozen=True, kw_only=True):
    """Where rates come from: ``recorded`` rows of the feed, else the venue's own ``premium``, else
    ``instants`` (ns, rate) in time order, else a constant ``rate_8h`` at 00, 08 and 16 UTC, else
    nothing."""

    recorded: bool = True
    premium: FundingRules | None = None
    instants: tuple[tuple[int, float], ...] = ()
    rate_8h: float | None = None


def next_scheduled(spec: FundingSpec, after_ns: int) -> tuple[int, float]:
    """The first funding instant later than ``after_ns`` that the configuration knows, with its
    rate.

    Recorded rates are not known here: ``(NEVER_NS, 0.0)``; of a rate that is made of premiums only
    the instant is.
    """
    if spec.premium is not None:
        return next_instant(spec.premium, after_ns), 0.0
    if spec.instants:
        place = bisect_right(spec.instants, after_ns, key=lambda instant: instant[0])
        return spec.instants[place] if place < len(spec.instants) else (NEVER_NS, 0.0)
    if spec.rate_8h is not None:
        return (after_ns // _INTERVAL_NS + 1) * _INTERVAL_NS, spec.rate_8h
    return NEVER_NS, 0.0


def next_instant(rules: FundingRules, after_ns: int) -> int:
    """The venue's first settlement later than ``after_ns``; each day begins anew at its offset."""
    day_ns = (after_ns - rules.offset_ns) // DAY_NS * DAY_NS + rules.offset_ns
    passed = (after_ns - day_ns) // rules.interval_ns + 1
    return min(day_ns + passed * rules.interval_ns, day_ns + DAY_NS)


def funding_payment(notional: int, side: int, rate: float) -> int:
    """What a position pays, in settlement atoms; negative where it receives. Rounded up: the payer
    pays up, the payee receives down.

    Args:
        notional: unsigned size in settlement atoms.
        side: +1 long, -1 short, 0 flat.
        rate: share of notional; positive is paid by longs.
    """
    share = decimal(rate)
    return mul_div(notional * side, share.numerator, share.denominator, Rounding.UP)
