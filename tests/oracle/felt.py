"""A price that is moved by what is traded, told a second time: equations 1, 3, 4 and 6 of the
reference venue notes, 4.6, in plain floats. It imports nothing of ours.

Per side a depth ``D(u) = A S u^beta``, ``u`` in per cent, ``beta`` one number up to 1 and another
beyond. A fill reaches from what is taken already to where its last quote lies; of that distance a
share stays in the price for good, the rest fades, from the book and from the price.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp


@dataclass
class FeltPrice:
    """``lasting`` and ``passing``: shares of the price; ``taken``: quote that is not back, by
    side; half-lives in seconds."""

    depth: float
    betas: tuple[float, float]
    permanent: float
    fades: float
    refills: float
    basis_s: float
    half_spread: float
    lasting: float = 0.0
    passing: float = 0.0
    basis: float = 0.0
    taken: dict[int, float] = field(default_factory=lambda: {1: 0.0, -1: 0.0})
    taken_at: float = 0.0

    def within(self, reach: float) -> float:
        return float(self.depth * reach ** self.betas[reach > 1.0])

    def reach(self, size: float) -> float:
        share = size / self.depth
        return float(share ** (1.0 / self.betas[share > 1.0]))

    def walked(self, size: float) -> float:
        """The distances of the first ``size`` quote, summed: the integral of ``reach``."""
        near, far = (1.0 + 1.0 / beta for beta in self.betas)
        inside = min(size / self.depth, 1.0)
        summed = inside**near / near
        if size > self.depth:
            summed += ((size / self.depth) ** far - 1.0) / far
        return self.depth * summed

    def second(self, base: float, carry: float = 0.0) -> float:
        """The next second begins: the mark."""
        self.passing *= 2.0 ** (-1.0 / self.fades)
        kept = exp(-1.0 / self.basis_s)
        away = (1.0 + self.lasting + self.passing) / (1.0 + self.lasting) - 1.0
        self.basis = kept * self.basis + (1.0 - kept) * away
        return self.mark(base, carry)

    def mark(self, base: float, carry: float = 0.0) -> float:
        index = base * (1.0 + self.lasting)
        book = base * (1.0 + self.lasting + self.passing)
        return sorted((index * (1.0 + carry), index * (1.0 + self.basis), book))[1]

    def fill(self, side: int, coins: float, base: float, now: float) -> float:
        """A market order of ``coins``: its average price."""
        mid = base * (1.0 + self.lasting)
        size, gone = coins * mid, 2.0 ** ((self.taken_at - now) / self.refills)
        self.taken = {each: taken * gone for each, taken in self.taken.items()}
        self.taken_at, before = now, self.taken[side]
        distance = (self.walked(before + size) - self.walked(before)) / size
        first, last = self.reach(before), self.reach(before + size)
        stays = (last - first) * self.permanent
        self.lasting += side * stays / 100.0
        self.passing += side * (last - first - stays) / 100.0
        self.taken[side] = self.within(last - stays)
        return mid * (1.0 + side * (self.half_spread + distance / 100.0))
