"""The premium of a perpetual over its index, and how a period's premiums become one.

Kernels: ``linear`` weighs the n-th premium since the last settlement with n (BitMEX, Binance,
Bybit); ``flat`` weighs them alike (Hyperliquid's hour, OKX until 2024, Gate); ``rolling`` weighs
those of the last hours alike, across settlements (OKX since 2024); ``votes`` takes the median of
each minute's votes and the mean of those medians, missing ones being zero (dYdX).

Sums are exact, and an average is rounded once: a premium that never changed is its own average, and
a rate that comes to 0.01 % of a million is 100 and not an atom more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.venue.price_rules import FundingRules

__all__ = ["PremiumState", "Premiums", "mean", "median", "mid_premium", "premium"]


_STEP_BITS: Final = 1_074
"""Every float is a whole number of steps of ``2**-1074``."""


def premium(impact_bid: float, impact_ask: float, index: float) -> float:
    """How far the prices at which the impact notional trades leave the index outside, as a share.

    ``premium(10_100, 10_110, 10_000) == 0.01``; 0 where the index lies between the two.

    Source: Hyperliquid, Gate, Binance, dYdX: ``[max(0, bid - index) - max(0, index - ask)] /
    index``.
    """
    return (max(0.0, impact_bid - index) - max(0.0, index - impact_ask)) / index


def mid_premium(bid: float, ask: float, index: float) -> float:
    """Distance of the mid from the index, as a share (OKX)."""
    return ((bid + ask) * 0.5 - index) / index


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, added exactly and rounded once; not empty."""
    total = 0
    for value in values:
        total += _steps(value)
    return _quotient(total, len(values))


def _steps(value: float) -> int:
    over, under = value.as_integer_ratio()
    return (over << _STEP_BITS) // under


def _quotient(steps: int, weight: int) -> float:
    return steps / (weight << _STEP_BITS)  # of integers: the nearest float


def median(values: Sequence[float]) -> float:
    """The middle value; of an even number the mean of the two in the middle."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) * 0.5


class PremiumState(Struct):
    """A period's premiums: for ``linear`` and ``flat`` their sums, for the others themselves.

    Attributes:
        weighted: sum of the weighted premiums in steps of ``2**-1074``, little-endian.
        weight, count: sum of the weights, and how many there are.
        samples: premiums with their times, or a minute's medians of votes.
        votes: of the minute that is open.
        minute: number of that minute since 1970.
    """

    weighted: bytes = b""
    weight: int = 0
    count: int = 0
    samples: list[tuple[int, float]] = []
    votes: list[float] = []
    minute: int = -1


class Premiums:
    """Averages premiums between settlements."""

    __slots__ = ("rules", "state")

    def __init__(self, rules: FundingRules, state: PremiumState | None = None) -> None:
        self.rules = rules
        self.state = state or PremiumState()

    def add(self, value: float, ts_ns: int) -> None:
        """One premium, at its place of the grid; those of one period in order."""
        state, kernel = self.state, self.rules.kernel
        if kernel in ("linear", "flat"):
            state.count += 1
            weight = state.count if kernel == "linear" else 1
            total = self._weighted() + weight * _steps(value)
            state.weighted = total.to_bytes(total.bit_length() // 8 + 1, "little", signed=True)
            state.weight += weight
        elif kernel == "rolling":
            state.samples.append((ts_ns, value))
            self._forget(ts_ns)
        else:
            # A vote at the end of a minute belongs to it.
            minute = (ts_ns - 1) // self.rules.window_ns
            if minute != state.minute:
                self._close_minute()
                state.minute = minute
            state.votes.append(value)

    def average(self, ts_ns: int) -> float | None:
        """The period's premium at its end ``ts_ns``; ``None`` where nothing was heard in it."""
        state, kernel = self.state, self.rules.kernel
        if kernel in ("linear", "flat"):
            return _quotient(self._weighted(), state.weight) if state.weight else None
        if kernel == "rolling":
            self._forget(ts_ns)
        else:
            self._close_minute()
            if state.samples:
                return self._of_votes([value for _, value in state.samples])
        return mean([value for _, value in state.samples]) if state.samples else None

    def settle(self, ts_ns: int) -> float | None:
        """``average``, and a new period begins."""
        found = self.average(ts_ns)
        if self.rules.kernel != "rolling":
            self.state = PremiumState()
        return found

    def _weighted(self) -> int:
        return int.from_bytes(self.state.weighted, "little", signed=True)

    def _forget(self, ts_ns: int) -> None:
        """Only premiums later than a window ago count."""
        samples, oldest_ns = self.state.samples, ts_ns - self.rules.window_ns
        keep = 0
        while keep < len(samples) and samples[keep][0] <= oldest_ns:
            keep += 1
        del samples[:keep]

    def _close_minute(self) -> None:
        state = self.state
        if state.votes:
            missing = max(0, self.rules.votes_min - len(state.votes))
            state.samples.append((state.minute, median([*state.votes, *[0.0] * missing])))
            state.votes = []

    def _of_votes(self, samples: list[float]) -> float:
        """Mean of a period's medians without the tails; a minute that is missing counts as 0."""
        wanted = -(-self.rules.interval_ns // self.rules.window_ns)
        samples += [0.0] * max(0, wanted - len(samples))
        # Both ends together are counted first, as the source does; what is odd goes at the top.
        cut = int(len(samples) * (self.rules.tails + self.rules.tails))
        if cut < len(samples):
            samples = sorted(samples)[cut // 2 : len(samples) - (cut - cut // 2)]
        return mean(samples)
