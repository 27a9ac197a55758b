"""``admin``: what befalls a market's venue and what lies there; scenarios say the same."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from engine.cli.admin import Sending, Symbol, instant, send

__all__ = ["collateral", "default", "deleverage", "populate", "thin"]


def collateral(
    symbol: Symbol,
    price: Annotated[
        float, Parameter(help="Of the asset that margin is paid in, quote; 1 at par.")
    ],
    /,
    *,
    share: Annotated[float, Parameter(help="Of the margin that is that asset.")] = 1.0,
    sending: Sending | None = None,
) -> int:
    """Let the asset that margin at a market's venue is paid in have another price from now on."""
    from engine.commands import PriceCollateral

    return send(PriceCollateral, sending, symbol=symbol, price=price, share=share)


def default(
    symbol: Symbol,
    recovery: Annotated[float, Parameter(help="Share of the balances that is paid back.")],
    /,
    *,
    sending: Sending | None = None,
) -> int:
    """Let a market's venue fail, for good: positions end at the last mark, products close."""
    from engine.commands import DefaultVenue

    return send(DefaultVenue, sending, symbol=symbol, recovery=recovery)


def deleverage(
    symbol: Symbol,
    share: Annotated[float, Parameter(help="Of each fund's hedge that is closed.")],
    /,
    *,
    side: Annotated[
        Literal["long", "short", "both"], Parameter(help="Whose hedges: longs, shorts or both.")
    ] = "both",
    price_bps: Annotated[float, Parameter(help="How far above the mark it is closed.")] = 0.0,
    sending: Sending | None = None,
) -> int:
    """Let the venue close a share of the funds' hedges against customers who are bankrupt."""
    from engine.commands import AutoDeleverage

    said = {"share": share, "side": side, "price_bps": price_bps}
    return send(AutoDeleverage, sending, symbol=symbol, **said)


def populate(
    symbol: Symbol,
    population: Annotated[str, Parameter(help='Its id; opens = "told" in the configuration.')],
    /,
    *,
    sending: Sending | None = None,
) -> int:
    """Let a population that waits open its positions, at the market's price of then."""
    from engine.commands import OpenPopulation

    return send(OpenPopulation, sending, symbol=symbol, population=population)


def thin(
    symbol: Symbol,
    scale: Annotated[float, Parameter(help="Share of the depth that is there; 1 is as usual.")],
    until: Annotated[str, Parameter(help="Event time up to which; 0 lets it come back now.")],
    /,
    *,
    half_life_ms: Annotated[
        int, Parameter(help="In which half of what is missing is back, after that.")
    ] = 180_000,
    sending: Sending | None = None,
) -> int:
    """Let a share of a formula book's depth be there for a time."""
    from engine.commands import ThinBook

    until_ns = 0 if until == "0" else instant(until)
    said = {"scale": scale, "until_ns": until_ns, "half_life_ms": half_life_ms}
    return send(ThinBook, sending, symbol=symbol, **said)
