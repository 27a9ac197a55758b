"""Whether a market's rules can be, and whether they let a product be as large as its band does."""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.config.complaints import SettingError
from engine.config.packs import policies_told
from engine.config.settings import (
    MarketConfig,
    PolicyConfig,
    ProductConfig,
    RunConfig,
    UserPolicyConfig,
)
from engine.config.venues import venue_rules
from engine.units import asset_decimals
from engine.venue.tiers import TierTable
from strategies import FixedTerm

__all__ = ["check_fits", "check_margin", "check_rules", "far_edges"]


def check_rules(path: tuple[str | int, ...], market: MarketConfig) -> None:
    """Look at every rule of a market's venue.

    Raises:
        SettingError: with the place of the rule below ``path``, that of the venue.
    """
    try:
        venue_rules(market.venue, market.contract)
    except SettingError as error:
        raise SettingError((*path, *error.path), f"{market.symbol}: {error.sentence}") from None


def check_fits(
    config: RunConfig, path: tuple[str | int, ...], product: ProductConfig, put_in: float
) -> None:
    """Look whether the hedge fits the venue's tiers at the far edges of the product's bands.

    A 3x short with a band to 5.25 is 3.36 times its first NAV large at that edge: so large a
    position needs a tier which allows 3x, with which the product trades. (That it stands at 5.25x
    there no venue forbids: its leverage bounds what is opened, and the order there reduces.) Tiers
    in coin are left to each order: what a coin is worth the configuration does not know.

    Args:
        config: completed.
        path: of the product.
        product: of ``config``.
        put_in: its assets at the start, quote.

    Raises:
        SettingError: with the largest assets that fit.
    """
    (market,) = (each for each in config.markets if each.symbol == product.symbol)
    contract = market.contract
    rules = venue_rules(market.venue, contract)
    inverse = contract.kind == "inverse"
    if product.kind in ("spot", "margin_loan"):
        return
    in_coins = inverse and rules.margin.caps_in == "settlement"
    atoms: int = 10 ** asset_decimals(contract.quote or "")
    table = TierTable(rules.margin, asset_decimals(contract.quote or ""))
    for place, share, leverage in far_edges(product, inverse=inverse):
        most = table.largest_notional(leverage)
        if most is None or (in_coins and most):
            continue
        if put_in * share * atoms > most:
            raise SettingError(
                (*path, *place),
                f"{product.id}: {put_in:,.0f} {contract.quote} become a position of "
                f"{put_in * share:,.0f} at {leverage:.4g}x, and {rules.name} allows that leverage "
                f"up to {most / atoms:,.0f}; at most {math.floor(most / atoms / share):,} "
                f"{contract.quote} fit",
            )


def check_margin(
    config: RunConfig, path: tuple[str | int, ...], product: ProductConfig, put_in: float
) -> None:
    """Look whether the share of the money that is to lie at the venue lets the product open its
    position there.

    Raises:
        SettingError: with the least share that does.
    """
    share, haircut = product.hedge.margin_share, product.hedge.haircut
    place = (*path, "hedge", "margin_share" if share < 1.0 else "haircut")
    (market,) = (each for each in config.markets if each.symbol == product.symbol)
    rules = venue_rules(market.venue, market.contract)
    if share == 1.0 and not haircut:
        return
    if product.kind != "fund" or not rules.margin.tiers:
        why = "a fund" if product.kind != "fund" else "a venue that asks for margin"
        raise SettingError(place, f"{product.id}: {place[-1]} is for {why}")
    atoms: int = 10 ** asset_decimals(market.contract.quote or "")
    cut = f", {haircut:g} of which does not count," if haircut else ""
    table = TierTable(rules.margin, asset_decimals(market.contract.quote or ""))
    inverse = market.contract.kind == "inverse"
    if inverse and rules.margin.caps_in == "settlement":
        return  # what a coin is worth the configuration does not know
    coin = 1.0 if inverse else 0.0
    for _, policy in policies_told(product):
        target = getattr(policy, "target", getattr(policy, "high", 0.0))
        size = put_in * abs(float(target) - coin) * atoms
        least = table.initial(int(size)) / (put_in * atoms)
        if least > share * (1.0 - haircut):
            raise SettingError(
                place,
                f"{product.id}: {share:g} of its money at the venue{cut} cannot open {target:g}x "
                f"there; {rules.name} wants at least {math.ceil(least * 1e4) / 1e4:g}",
            )


def far_edges(
    product: ProductConfig, *, inverse: bool
) -> Iterator[tuple[tuple[str | int, ...], float, float]]:
    """For each edge of each policy: its setting, the hedge's notional as a share of the NAV with
    which the target was met, and the leverage that it needs: its own there, at most the target's.

    From target ``T`` the leverage is ``L`` when the price is ``r`` times what it was: ``r = L (1 -
    T) / (T (1 - L))``, both signed; the notional is then ``|T| r``. A product of 1x never comes to
    another leverage. An inverse hedge keeps its face, ``|T - 1|``, beside coins that are 1x.
    Futures trade once, with the leverage that their owner chose.
    """
    if product.kind == "futures":
        held = abs(product.leverage or 0.0)
        yield ("leverage",), held * product.stake, held
    for place, policy in policies_told(product):
        side = getattr(policy, "direction", 1)
        target = float(getattr(policy, "target", side * getattr(policy, "high", 0.0)))
        quotes = isinstance(policy, UserPolicyConfig | FixedTerm)
        if quotes or target in (0.0, 1.0):
            continue
        for name, magnitude in _edges_of(policy):
            edge = magnitude * (1.0 if target > 0.0 else -1.0)
            if edge in (0.0, 1.0) or (1.0 - target) / (1.0 - edge) <= 0.0:
                continue
            ratio = edge * (1.0 - target) / (target * (1.0 - edge))
            coin = 1.0 if inverse else 0.0
            share = abs(target - coin) * (1.0 if inverse else ratio)
            where = (*place, name) if place[0] == "policies" else place
            yield where, share, min(abs(edge - coin), abs(target - coin))


def _edges_of(policy: PolicyConfig) -> Iterator[tuple[str, float]]:
    """``(setting, magnitude)`` of the leverages that a policy lets the price lead to."""
    if hasattr(policy, "edge"):  # a move against the product, told as one
        yield "target", abs(float(policy.edge))
    elif hasattr(policy, "target") and hasattr(policy, "high"):
        yield from ((name, abs(float(getattr(policy, name)))) for name in ("low", "high"))
    else:
        name = "target" if hasattr(policy, "target") else "high"
        yield name, abs(float(getattr(policy, name)))
