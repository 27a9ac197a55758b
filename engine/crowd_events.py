"""What the venue says of a background population: what happened to how many of its positions, and
row by row only on request.

Money is in atoms of the settlement asset, lots are signed as traded by the population: longs are
closed with negative lots.
"""

from __future__ import annotations

from typing import Literal

from engine.fact import Output

__all__ = [
    "CascadeRatio",
    "CrowdEvent",
    "PopulationDeleveraged",
    "PopulationFunded",
    "PopulationLiquidated",
    "PopulationOpened",
    "PopulationRevalued",
    "PositionLiquidated",
]


class _CrowdEvent(Output, frozen=True, gc=False, kw_only=True):
    """Base of what happens to one population in its contract."""

    population: str
    symbol: str


class PopulationOpened(_CrowdEvent, frozen=True, gc=False, kw_only=True, tag="population_opened"):
    """Its positions were opened; what longs hold beyond shorts the rest of the market has sold."""

    positions: int
    long_lots: int
    short_lots: int
    cash_atoms: int


class PopulationLiquidated(
    _CrowdEvent, frozen=True, gc=False, kw_only=True, tag="population_liquidated"
):
    """One price made these positions of a side short, and the venue closed them, in order.

    ``filled_lots`` met the book and moved ``filled_atoms``; ``backstop_lots`` went to the backstop
    at mark; ``unpaid_lots`` neither book nor insurance fund took: counterparties come next.
    ``notional_atoms``: all of it at the mark. ``fund_atoms`` went to the insurance fund,
    ``fund_paid_atoms`` came from it. ``deficit_atoms``: what the bankrupt were below zero at the
    mark.
    """

    side: Literal["long", "short"]
    mark_price: float
    positions: int
    lots: int
    notional_atoms: int
    filled_lots: int
    filled_atoms: int
    backstop_lots: int
    unpaid_positions: int
    unpaid_lots: int
    fund_atoms: int
    fund_paid_atoms: int
    deficit_atoms: int


class PositionLiquidated(
    _CrowdEvent, frozen=True, gc=False, kw_only=True, tag="position_liquidated"
):
    """One of them: how many lots it held, and what it was worth when it was found short."""

    row: int
    lots: int
    equity_atoms: int
    maintenance_atoms: int


class PopulationDeleveraged(
    _CrowdEvent, frozen=True, gc=False, kw_only=True, tag="population_deleveraged"
):
    """Positions of it were closed against a bankrupt account (``against``) at ``price``; the first
    of them stood at ``rank`` in the queue."""

    against: str
    positions: int
    lots: int
    price: float
    mark_price: float
    rank: int
    cash_atoms: int


class PopulationFunded(_CrowdEvent, frozen=True, gc=False, kw_only=True, tag="population_funded"):
    """Funding at its instant; ``paid_atoms`` of all of them together, negative where received."""

    rate: float
    mark_price: float
    positions: int
    paid_atoms: int
    index_price: float | None = None


class PopulationRevalued(
    _CrowdEvent, frozen=True, gc=False, kw_only=True, tag="population_revalued"
):
    """The asset that margin is paid in costs ``price`` quote now, and cost ``price_before``: what
    lay at the venue for its open positions, open profit apart, is ``change_atoms`` more, or less
    where negative."""

    price_before: float
    price: float
    mark_price: float
    positions: int
    collateral_atoms: int
    change_atoms: int


class CascadeRatio(Output, frozen=True, gc=False, kw_only=True, tag="cascade_ratio"):
    """How many quote of a market's populations a fall (``down``) or a rise (``up``) liquidates for
    each that the book takes, by distance from the mark: between each two of ``distances_pct``.
    Above 1 liquidations feed themselves. Told at the opening, and once a minute in which positions
    were liquidated."""

    symbol: str
    mark_price: float
    distances_pct: tuple[float, ...]
    down: tuple[float, ...]
    up: tuple[float, ...]


CrowdEvent = (
    PopulationOpened
    | PopulationLiquidated
    | PositionLiquidated
    | PopulationDeleveraged
    | PopulationFunded
    | PopulationRevalued
    | CascadeRatio
)
