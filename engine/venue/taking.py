"""What an order asks of a book, and what it got.

An order is for a number of lots, at any price or at a limit and better. What of it is not filled at
once is given up (``ioc``), spoils the whole order (``fok``) or rests in the queue of its price
(``gtc``). A post-only order takes nothing: it rests, or is refused where it would have met
somebody.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

__all__ = ["AT_MARKET", "Taken", "TakingTerms", "TimeInForce", "Top", "within"]

TimeInForce = Literal["ioc", "fok", "gtc"]


class TakingTerms(Struct, frozen=True, kw_only=True, gc=False):
    """Up to which price an order trades, and what becomes of its rest.

    Attributes:
        limit: worst price, quote per base; ``None`` at market.
        time_in_force: ``ioc``, ``fok`` or ``gtc``; see the module.
        post_only: takes nothing.
    """

    limit: float | None = None
    time_in_force: TimeInForce = "ioc"
    post_only: bool = False


AT_MARKET: Final = TakingTerms()


class Top(Struct, frozen=True, gc=False):
    """The market around the book at one moment.

    Attributes:
        mid: quote per base.
        half_spread: recorded, as a share of mid; negative where none is recorded.
        ts_ns: the moment.
    """

    mid: float
    half_spread: float
    ts_ns: int


class Taken(Struct, frozen=True, gc=False):
    """What an order got at once.

    Attributes:
        lots: filled, unsigned.
        price: their average, quote per base; without meaning where nothing was filled.
        levels: of a recorded book, how many were walked.
        reason: why there is a rest; empty where there is none. ``no_depth``: the book ends before
            it; ``limit``: the price does; ``no_image``: no image of the book has come yet;
            ``crossed``: its best bid is not below its best ask; ``silent``: nothing was heard of it
            for too long; ``would_cross``: a post-only order would have taken; ``not_whole``: a
            fill-or-kill order would have left a rest.
    """

    lots: int
    price: float = 0.0
    levels: int = 0
    reason: str = ""


def within(side: int, price: float, limit: float | None) -> bool:
    """Whether somebody who buys (+1) or sells (-1) may trade at a price."""
    return limit is None or (price <= limit if side > 0 else price >= limit)
