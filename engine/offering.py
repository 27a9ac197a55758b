"""On what terms a product is created and redeemed: at which times, together, and how much.

Times are in ns; a day of a product begins ``day_at_ns`` after midnight UTC. Exchanges take requests
round the clock or in a window of the day, deal them as they come or together every few hours, and
cap what one request, one user or all of them may ask for.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.units import DAY_NS, NEVER_NS

__all__ = ["ANYTIME", "Offering"]


class Offering(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When and how much of a product is dealt; a cap of 0 is none.

    Attributes:
        day_at_ns: when its day begins, after midnight UTC.
        opens_ns, closes_ns: requests are taken from then on and before then, counted from the
            beginning of the day, over its end where ``closes_ns`` comes first; all day where they
            are the same.
        outside: what happens to a request at another time; ``queue``: it is taken at the opening.
        batch_ns: what was taken is dealt together at the next instant of this grid, in the order in
            which it came; 0: at once.
        batch_at_ns: where the grid begins, after 1970-01-01 UTC.
        request_max: of one request, quote atoms; a redemption counts with its NAV of then.
        user_day_max, day_max: of one user's requests and of all that were taken in a day, creations
            and redemptions apart, whatever became of them later.
        nav_max, units_max: creations beyond are refused: quote atoms, steps.
    """

    day_at_ns: int = 0
    opens_ns: int = 0
    closes_ns: int = 0
    outside: Literal["refuse", "queue"] = "refuse"
    batch_ns: int = 0
    batch_at_ns: int = 0
    request_max: int = 0
    user_day_max: int = 0
    day_max: int = 0
    nav_max: int = 0
    units_max: int = 0

    @property
    def caps_days(self) -> bool:
        """Whether anybody must remember what was taken today."""
        return bool(self.user_day_max or self.day_max)

    def day_ns(self, ts_ns: int) -> int:
        """When the product's day began."""
        return ts_ns - (ts_ns - self.day_at_ns) % DAY_NS

    def taken_ns(self, ts_ns: int) -> int:
        """When a request is taken: now, or at the next opening."""
        since = (ts_ns - self.day_at_ns) % DAY_NS
        opens, closes = self.opens_ns, self.closes_ns
        inside = opens <= since < closes if opens < closes else not closes <= since < opens
        return ts_ns if inside else ts_ns + (opens - since) % DAY_NS

    def next_edge_ns(self, ts_ns: int) -> int:
        """When the window opens or closes next, or the day of a cap turns, after ``ts_ns``."""
        edges = [self.opens_ns, self.closes_ns] if self.opens_ns != self.closes_ns else []
        since = ts_ns - self.day_ns(ts_ns)
        waits = [(edge - since - 1) % DAY_NS + 1 for edge in (*edges, *([0] * bool(self.day_max)))]
        return ts_ns + min(waits) if waits else NEVER_NS

    def dealt_ns(self, ts_ns: int) -> int:
        """When what is taken then is dealt: then, or at the next instant of the grid after it."""
        if not self.batch_ns:
            return ts_ns
        grid = (ts_ns - self.batch_at_ns) // self.batch_ns + 1
        return grid * self.batch_ns + self.batch_at_ns


ANYTIME = Offering()
"""Everybody, at any time, as much as he likes."""
