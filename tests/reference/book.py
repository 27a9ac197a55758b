"""A recorded book as one would keep it on paper: two dictionaries, every row written down as it
comes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from engine.exact import exp2
from engine.venue.taking import Taken


class PlainBook:
    """Levels by price; ``mine`` holds what we took at a price and when, by side and price."""

    def __init__(self, spec: Any) -> None:
        self.spec, self.contract = spec.book, spec.contract
        self.silent_ns = spec.stale_after_ns
        self.sides: dict[int, dict[float, float] | None] = {1: None, -1: None}
        self.mine: dict[tuple[int, float], tuple[float, int]] = {}
        self.heard_ns = 0

    def hear(self, row: Any) -> None:
        """A row of the feed."""
        self.heard_ns = row.ts_ns
        side, price, size = row.values["side"], row.values["price"], row.values["size"]
        if row.values["snapshot"] == 1:
            self.sides[side] = {}
        levels = self.sides[side]
        if levels is None:
            return
        levels.pop(price, None)
        if size > 0.0:
            levels[price] = size

    def flaw(self, now_ns: int) -> str:
        """Why nobody can trade with it."""
        bids, asks = self.sides[1], self.sides[-1]
        if bids is None or asks is None:
            return "no_image"
        if now_ns > self.heard_ns + self.silent_ns:
            return "silent"
        return "crossed" if bids and asks and max(bids) >= min(asks) else ""

    def lots(self, size: float) -> int:
        return int(Fraction(repr(size)) / Fraction(repr(self.contract.lot_size)))

    def missing(self, side: int, price: float, now_ns: int) -> float:
        """What we took at a level and is not back."""
        taken, since_ns = self.mine.get((side, price), (0.0, 0))
        if taken and now_ns > since_ns:
            taken *= exp2((since_ns - now_ns) / (self.spec.half_life_s * 1e9))
        return taken if taken >= 0.5 else 0.0

    def there(self, side: int, price: float, now_ns: int) -> int:
        """Whole lots that can be taken; what is missing of one is missing whole."""
        levels = self.sides[side]
        assert levels is not None
        return self.lots(levels[price]) - math.ceil(self.missing(side, price, now_ns))

    def offer(self, side: int, lots: int, _: float, limit: float | None, top: Any) -> Taken:
        return self._meet(side, lots, limit, top.ts_ns, keep=False)

    def take_limited(self, side: int, lots: int, _: float, limit: float | None, top: Any) -> Taken:
        return self._meet(side, lots, limit, top.ts_ns, keep=True)

    def _meet(self, side: int, lots: int, limit: float | None, now_ns: int, keep: bool) -> Taken:
        reason, parts, levels = self.flaw(now_ns), [], self.sides[-side] or {}
        for price in sorted(levels, key=lambda price: side * price) if not reason else ():
            if limit is not None and side * price > side * limit:
                reason = "limit"
                break
            got = min(lots, self.there(-side, price, now_ns))
            if got > 0:
                parts.append((price, got))
                lots -= got
                if keep:
                    self.mine[-side, price] = self.missing(-side, price, now_ns) + got, now_ns
            if not lots:
                break
        if not parts:
            return Taken(0, reason=reason or "no_depth")
        filled = sum(got for _, got in parts)
        return Taken(filled, self._average(parts), len(parts), (reason or "no_depth") * bool(lots))

    def _average(self, parts: list[tuple[float, int]]) -> float:
        """The price at which all lots cost what they cost together."""
        best, filled, beyond = parts[0][0], sum(got for _, got in parts), 0.0
        if self.contract.kind == "inverse":
            for price, got in parts:
                beyond += got * ((best - price) / price)
            return best / (1.0 + beyond / filled)
        for price, got in parts:
            beyond += got * (price - best)
        return best + beyond / filled

    def best(self, side: int, top: Any) -> float | None:
        levels = self.sides[-side] or {}
        if self.flaw(top.ts_ns):
            return None
        there = [price for price in levels if self.there(-side, price, top.ts_ns) > 0]
        return min(there, key=lambda price: side * price, default=None)

    def ahead(self, side: int, price: float) -> float:
        return float(self.lots((self.sides[side] or {}).get(price, 0.0)))

    def depth(self, now_ns: int) -> float:
        """Quote within 1 % of its mid, of the thinner side, less what we took."""
        bids, asks = self.sides[1], self.sides[-1]
        if self.flaw(now_ns) or not bids or not asks:
            return 0.0
        mid, inverse = (max(bids) + min(asks)) * 0.5, self.contract.kind == "inverse"
        found = []
        for side, levels in ((1, bids), (-1, asks)):
            total = 0.0
            for price in sorted(levels, reverse=side > 0):
                if side * price >= side * (mid * (1.0 - side * 0.01)):
                    missing = self.missing(side, price, now_ns) * self.contract.lot_size
                    size = max(levels[price] - missing, 0.0)
                    total += size * (self.contract.contract_size if inverse else price)
            found.append(total)
        return min(found)
