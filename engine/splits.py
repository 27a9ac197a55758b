"""When a product's units are merged or split, as its terms say."""

from __future__ import annotations

from msgspec import Struct

from engine.units import DAY_NS, NEVER_NS

__all__ = ["SplitTerms"]


class SplitTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule of a product, and what was announced.

    Attributes:
        merge_below: NAV per unit, quote; below it ``merge`` units become one. 0: there is no rule.
        merge: how many.
        every_ns, at_ns: the rule is looked at on this grid, counted from 1970-01-01 UTC.
        dates: ``(when, new, old)``: then every ``old`` units become ``new``, in order of time.
        decimals: of a holder's units; what is left below is paid out in quote.
    """

    merge_below: float = 0.0
    merge: int = 10
    every_ns: int = DAY_NS
    at_ns: int = 0
    dates: tuple[tuple[int, int, int], ...] = ()
    decimals: int = 8

    def next_ns(self, ts_ns: int) -> int:
        """The first instant after ``ts_ns`` at which there may be something to do."""
        first = NEVER_NS
        for at_ns, _, _ in self.dates:
            if at_ns > ts_ns:
                first = min(first, at_ns)
        if self.merge_below:
            grid = (ts_ns - self.at_ns) // self.every_ns + 1
            first = min(first, grid * self.every_ns + self.at_ns)
        return first
