"""A venue in trouble: for a period it is slow, refuses orders, or takes only those that reduce.

The operator says so (``DegradeMarket``). Which orders of a share are refused is a function of the
seed, the order and the instant of its attempt, so that a replay refuses the same ones.
"""

from __future__ import annotations

from typing import Final

from engine import philox
from engine.commands import DegradeMarket, ThinBook
from engine.market_state import AS_USUAL, Degraded
from engine.operated import Operated
from engine.units import MILLISECOND_NS, NEVER_NS
from engine.venue.depth import DepthBook
from engine.venue.impact import FeltBook

__all__ = ["Degrading", "refuses_one"]

_WORDS: Final = float(1 << 64)
_PATH: Final = 1 << 32
"""Paths of orders: product and number of the order; path 0 is that of the queue's walk."""


def refuses_one(share: float, seed: int, product: int, order: int, ts_ns: int) -> bool:
    """Whether an attempt of an order is among the share that is refused."""
    path = (product + 1) * _PATH + order
    return philox.word(seed, path, ts_ns) < int(share * _WORDS)


class Degrading(Operated):
    """A market at a venue that may be in trouble.

    Attributes:
        seed: of the run.
        products: index of each handler's product in the run.
        degraded: how the venue is now.
        delay_ns: what an order takes longer to the book than its product's latency.
    """

    seed: int
    products: list[int]
    degraded: Degraded
    delay_ns: int

    def refuses(self, place: int, order: int, lots: int, held: int) -> str:
        """Why the venue in trouble takes nothing of an order now; empty where it is not."""
        degraded = self.degraded
        if degraded is AS_USUAL:
            return ""
        if degraded.reduce_only and not (lots * held < 0 and abs(lots) <= abs(held)):
            return "reduce_only"
        share, product = degraded.refuse, self.products[place]
        if share and refuses_one(share, self.seed, product, order, self.ts_ns):
            return "refused"
        return ""

    def degrade(self, command: DegradeMarket) -> str | None:
        """The operator: from now on it is like this; why not, where it is so already."""
        until_ns = self.ts_ns + command.for_ms * MILLISECOND_NS if command.for_ms else NEVER_NS
        wanted = Degraded(
            command.latency_ms * MILLISECOND_NS, command.refuse, command.reduce_only, until_ns
        )
        if not command.worse:
            wanted = AS_USUAL
        if wanted == self.degraded:
            return "degraded" if command.worse else "not_degraded"
        self.state.degraded = self.degraded = wanted
        self.delay_ns = wanted.delay_ns
        return None

    def thin(self, command: ThinBook) -> str | None:
        """The operator: so much of the book is there; why not, where it is refused."""
        book = self.book
        book = book.book if isinstance(book, FeltBook) else book
        if not isinstance(book, DepthBook):
            return "no_depth_book"
        book.thin(command.scale, command.until_ns, command.half_life_ms * MILLISECOND_NS)
        return None
