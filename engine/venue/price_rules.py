"""What a venue publishes about its mark price and its funding.

Parameters only, as in ``engine.venue.rules``; ``index``, ``mark``, ``premium`` and ``funding``
beside this module carry them out. Prices in quote, rates as shares, times in ns.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS

__all__ = ["FundingRules", "IndexSource", "Kernel", "Leg", "MarkRules"]

Leg = Literal["index", "funding", "basis", "book"]
"""``index`` itself; the index with the funding still to come; the index with the mean distance of
the mid from it; the venue's own book or last trade."""
Kernel = Literal["linear", "flat", "rolling", "votes"]
"""How premiums are averaged; see ``engine.venue.premium``."""


class PriceRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of these rules: unknown keys are errors."""


class IndexSource(PriceRules, frozen=True, kw_only=True):
    """One spot market of an index.

    Attributes:
        symbol: index of the symbol in the input; its mid counts, or else its last trade.
        weight: its share among the sources, in any unit.
        stale_after_ns: silence after which it does not count.
        recorded: its recorded index rows count instead.
    """

    symbol: int
    weight: float = 1.0
    stale_after_ns: int = 10 * SECOND_NS
    recorded: bool = False


class MarkRules(PriceRules, frozen=True, kw_only=True):
    """How the mark is made.

    Attributes:
        every_ns: the grid on which it is made, aligned to 1970-01-01 UTC.
        legs: what it is the median of, in the order in which ties are broken.
        funding_grid_ns: to which the time is cut before the time to funding is taken; 0: exact.
        basis_step: to which the funding basis is rounded, half up; 0: not at all.
        basis: mean of the last ``basis_points`` distances, or their exponential average.
        basis_every_ns: how often the distance of the mid from the index is taken.
        basis_points: grid points that the mean looks back over; those without a distance are left
            out.
        basis_tau_ns: time constant of the exponential average; without a distance for longer the
            leg is missing.
        book: the last trade, or the median of best bid, best ask and last trade.
        pair: what holds where exactly two legs are there: the one declared first, their mean, or
            the median with the exponential average of the book leg as a third.
        pair_tau_ns: time constant of that average.
        stale_after_ns: silence of the book, and of the trades, after which they are missing.
    """

    every_ns: int = SECOND_NS
    legs: tuple[Leg, ...] = ("funding", "basis", "book")
    funding_grid_ns: int = 0
    basis_step: float = 0.0
    basis: Literal["mean", "ema"] = "mean"
    basis_every_ns: int = 5 * SECOND_NS
    basis_points: int = 30
    basis_tau_ns: int = 150 * SECOND_NS
    book: Literal["last", "median"] = "last"
    pair: Literal["first", "mean", "book_ema"] = "first"
    pair_tau_ns: int = 30 * SECOND_NS
    stale_after_ns: int = MINUTE_NS


class FundingRules(PriceRules, frozen=True, kw_only=True):
    """How the funding rate is made of premiums, and who pays it.

    Attributes:
        interval_ns: from one settlement to the next.
        offset_ns: of the first settlement of a day from midnight UTC.
        rate_interval_ns: the interval for which the formula's rate is meant; what is paid is its
            share of ``interval_ns``.
        sample_ns: how often the premium is taken.
        kernel: how premiums are averaged: weights 1 to N, or alike, since the last settlement;
            alike over the last ``window_ns``; or dYdX's medians of votes.
        window_ns: of ``rolling``; the length of a minute of ``votes``.
        votes_min: votes, and their missing ones zero, of which a median is taken at least.
        tails: share of the samples cut off at each end before ``votes`` averages.
        premium: from the prices at which the impact notional trades, or from the mid.
        impact_notional: quote that an impact price is for; 0: best bid and ask.
        interest: per ``rate_interval_ns``.
        clamp: bounds of interest less premium; ``None``: there is no such term, the rate is premium
            and interest.
        cap: largest magnitude of the rate that is paid; ``None``: any.
        cap_margins: the same as a multiple of initial less maintenance margin rate, of the
            formula's rate.
        cap_maintenance: the same as a multiple of the maintenance margin rate.
        priced_at: at which a position is valued to pay; without an index at the mark.
        instant_pays: whether a position opened at the very instant pays; else what was held before
            it and still is.
    """

    interval_ns: int = 8 * HOUR_NS
    offset_ns: int = 0
    rate_interval_ns: int = 8 * HOUR_NS
    sample_ns: int = MINUTE_NS
    kernel: Kernel = "linear"
    window_ns: int = 8 * HOUR_NS
    votes_min: int = 15
    tails: float = 0.0
    premium: Literal["impact", "mid"] = "impact"
    impact_notional: float = 0.0
    interest: float = 0.0001
    clamp: float | None = 0.0005
    cap: float | None = None
    cap_margins: float | None = None
    cap_maintenance: float | None = None
    priced_at: Literal["mark", "index"] = "mark"
    instant_pays: bool = True
