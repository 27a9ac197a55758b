"""The insurance fund: what it may pay out before it stops and ADL begins.

The money is a balance of the ledger; here is only what the rule must remember of it. A fund stops
when it is empty, or when it has lost a share of the highest balance of the last hours (OKX: 30 % of
the peak within 8 hours). Everything is integer, and the part that must stay is rounded up.
"""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct, field

from engine.errors import InvariantError
from engine.units import Rounding, decimal, mul_div
from engine.venue.rules import InsuranceRules

__all__ = ["InsuranceFund", "fund_of"]


class InsuranceFund(Struct, kw_only=True):
    """A fund's recent balances, as far as any of them may still be a peak.

    A balance is in force from one change to the next. ``ended`` holds those that are over, oldest
    first, each larger than the ones after it: smaller and older than a later one, a balance is
    never again the largest of a window. It grows by at most one entry a payment within the window.

    Attributes:
        kept_over, kept_under: share of the peak that must stay, exactly.
        window_ns: over which the peak is taken.
        since_ns: when the present balance came into force.
        ended: ``(end_ns, balance)`` of balances no longer in force.
    """

    kept_over: int
    kept_under: int
    window_ns: int
    since_ns: int
    ended: list[tuple[int, int]] = field(default_factory=list)

    def changed(self, before: int, ts_ns: int) -> None:
        """The balance is no longer ``before`` atoms. What was in force for no time at all, between
        two changes of one instant, never was a peak.

        Raises:
            InvariantError: if time goes back.
        """
        if ts_ns < self.since_ns:
            raise InvariantError(f"insurance fund: time went back from {self.since_ns} to {ts_ns}")
        if ts_ns > self.since_ns:
            while self.ended and self.ended[-1][1] <= before:
                self.ended.pop()
            self.ended.append((ts_ns, before))
            self.since_ns = ts_ns
        self._forget(ts_ns)

    def peak(self, balance: int, ts_ns: int) -> int:
        """Largest balance in force at any time in ``[ts_ns - window_ns, ts_ns]``, atoms.

        Args:
            balance: the present one.
        """
        self._forget(ts_ns)
        return max(self.ended[0][1], balance) if self.ended else balance

    def available(self, balance: int, ts_ns: int) -> int:
        """Atoms it may still pay: what is above the part of the peak that must stay; 0: it has
        stopped.

        A peak of 1,000 that may lose 30 % and a balance of 800: 100.
        """
        kept = mul_div(self.peak(balance, ts_ns), self.kept_over, self.kept_under, Rounding.UP)
        return max(balance - kept, 0)

    def check(self) -> None:
        """Hold what the rest relies on: larger balances first, ends in order, none of the future.

        Raises:
            InvariantError: if any of it is broken.
        """
        for (end_ns, balance), (next_ns, smaller) in pairwise(self.ended):
            if end_ns >= next_ns or balance <= smaller:
                raise InvariantError(f"insurance fund: out of order: {self.ended}")
        if self.ended and self.ended[-1][0] > self.since_ns:
            raise InvariantError(f"insurance fund: {self.ended} end after {self.since_ns}")

    def _forget(self, ts_ns: int) -> None:
        """Drop what ended before the window; a balance that ends at its first instant is out."""
        first_ns = ts_ns - self.window_ns
        out = 0
        while out < len(self.ended) and self.ended[out][0] <= first_ns:
            out += 1
        if out:
            del self.ended[:out]


def fund_of(rules: InsuranceRules, ts_ns: int) -> InsuranceFund:
    """A fund at its start.

    Raises:
        ValueError: if the drawdown is not in (0, 1], or the window negative.
    """
    if not 0.0 < rules.drawdown <= 1.0 or rules.window_ns < 0:
        raise ValueError(
            f"drawdown must be in (0, 1] and the window not negative, were {rules.drawdown},"
            f" {rules.window_ns}"
        )
    kept = 1 - decimal(rules.drawdown)
    return InsuranceFund(
        kept_over=kept.numerator,
        kept_under=kept.denominator,
        window_ns=rules.window_ns,
        since_ns=ts_ns,
    )
