"""Background populations and feedback, as a configuration file says them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from engine.durations import Duration

__all__ = ["LEVERAGES", "CrowdConfig", "ImpactConfig"]


LEVERAGES: Final = (
    *((2.9, 1.0), (3.7, 1.0), (5.4, 1.0)),
    *((8.6, 1.0), (28.1, 1.0)),
)
"""Quintiles of what is liquidatable within -30 % (``HAZARD_FINDINGS``), each as likely."""


class CrowdConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A background population of a market, opened at its first price.

    ``count`` positions are drawn: ``size`` is the median in quote and ``size_spread`` the standard
    deviation of its logarithm, as is ``entry_spread`` of entries around the first price;
    ``leverages``: with which weight each is chosen; ``long_share``: how many are long. Or they are
    read of a ``file``, a CSV with ``size,entry,wallet,leverage`` as of a trader. ``tell``: one
    event for all that a price liquidates, or one a position, too. ``opens``: at the market's first
    price, or at that of when it is ``told`` to (the operator's ``populate``, a
    scenario's ``population``).
    """

    id: str
    symbol: str
    count: int = 0
    size: float = 5_000.0
    size_spread: float = 1.5
    entry_spread: float = 0.02
    leverages: tuple[tuple[float, float], ...] = LEVERAGES
    long_share: float = 0.5
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    file: str | None = None
    tell: Literal["total", "positions"] = "total"
    opens: Literal["first_price", "told"] = "first_price"


class ImpactConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How trades move a generated market with ``feedback``: ``permanent_share`` of a move stays,
    the rest decays by the book's half-life; marks are made ``every`` so long: the ``median`` of
    index and funding, index and basis, and book, or the ``book`` alone. Depth collapses with the
    moves of five minutes, in deviations of ``calm_move`` (0: never), and half of that is gone after
    ``recovery``."""

    permanent_share: float = 0.6
    every: Duration = "1s"
    mark: Literal["median", "book"] = "median"
    calm_move: float = 0.0015
    recovery: Duration = "3m"
