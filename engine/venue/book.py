"""The book our orders meet: how much it takes, and at what price.

``flat`` and ``depth`` are formulas (``engine.venue.depth``), ``recorded`` is the feed's own L2
(``engine.venue.recorded``).
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from engine.venue.contract_spec import ContractSpec
from engine.venue.depth import ASSUMED_DEPTH, BETA_FAR, BETA_NEAR, DEPTH_AT_1PCT, DepthBook
from engine.venue.depth_state import DepthState
from engine.venue.flat import FlatBook
from engine.venue.impact import FeltBook
from engine.venue.queue import QueueSpec
from engine.venue.recorded import RecordedBook, RecordedState
from engine.venue.taking import Taken, TakingTerms, Top

__all__ = [
    "ASSUMED_DEPTH",
    "DEPTH_AT_1PCT",
    "AnyBook",
    "Book",
    "BookSpec",
    "BookState",
    "book_of",
    "meet",
]

AnyBook = FlatBook | DepthBook | RecordedBook | FeltBook
BookState = DepthState | RecordedState


class BookSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which book, with its parameters.

    Attributes:
        model: ``flat``, ``depth`` or ``recorded``.
        half_spread_bps: distance of the first level from mid where no best bid and ask are
            recorded.
        depth_at_1pct: quote per side within 1 % (``depth`` only).
        half_life_s: time in which half of what we took is back (not ``flat``; assumed).
        beta_near, beta_far: exponents of the depth inside 1 % and outside (``depth`` only).
        queue: where in the queue of a price lots are cancelled, for orders that rest.
    """

    model: Literal["flat", "depth", "recorded"] = "depth"
    half_spread_bps: float = 0.0
    depth_at_1pct: float = ASSUMED_DEPTH
    half_life_s: float = 180.0
    beta_near: float = BETA_NEAR
    beta_far: float = BETA_FAR
    queue: QueueSpec = QueueSpec()


class Book(Protocol):
    """One symbol's book, as far as our own orders see it."""

    @property
    def half_spread_bps(self) -> float:
        """Of the model, where no best bid and ask are recorded."""

    def best(self, side: int, top: Top) -> float | None:
        """The price of the first lot that an order of that side (+1 buys) would take; ``None``
        where there is nothing to take."""

    def offer(
        self, side: int, lots: int, notional: float, limit: float | None, top: Top, /
    ) -> Taken:
        """What ``take_limited`` would fill; nothing is taken."""

    def take_limited(
        self, side: int, lots: int, notional: float, limit: float | None, top: Top, /
    ) -> Taken:
        """Fill up to ``lots`` (unsigned; ``notional`` the same in quote at mid) at ``limit`` and
        better, at market where it is ``None``."""

    def depth(self, ts_ns: int, /) -> float:
        """Quote per side within 1 % of mid, of the thinner side; 0 where the model has none."""


def book_of(spec: BookSpec, contract: ContractSpec, silent_ns: int) -> AnyBook:
    """The book that a configuration asks for.

    Args:
        spec: which, with its parameters.
        contract: what is traded on it.
        silent_ns: silence of a recorded book after which it is not believed.
    """
    if spec.model == "flat":
        return FlatBook(spec.half_spread_bps)
    if spec.model == "recorded":
        return RecordedBook(contract, spec.half_life_s, silent_ns, spec.half_spread_bps)
    return DepthBook(
        spec.half_spread_bps, spec.depth_at_1pct, spec.half_life_s, spec.beta_near, spec.beta_far
    )


def meet(book: Book, terms: TakingTerms, side: int, lots: int, notional: float, top: Top) -> Taken:
    """Let an order meet the book: what it takes at once, by its terms.

    A rest of a ``gtc`` order is for the caller to rest, or to give up where the price was not the
    reason for it.
    """
    if terms.post_only:
        best = book.best(side, top)
        crosses = best is not None and terms.limit is not None and side * (terms.limit - best) >= 0
        return Taken(0, reason="would_cross" if crosses else "limit")
    if terms.time_in_force == "fok":
        offer = book.offer(side, lots, notional, terms.limit, top)
        if offer.lots < lots:
            known = offer.reason in ("limit", "no_depth")
            return Taken(0, offer.price, reason="not_whole" if known else offer.reason)
    return book.take_limited(side, lots, notional, terms.limit, top)
