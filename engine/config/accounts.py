"""Hedge accounts by name: which products may be behind one."""

from __future__ import annotations

from collections.abc import Mapping

from engine.config.complaints import SettingError
from engine.config.settings import MarketConfig, ProductConfig, RunConfig
from engine.config.venues import venue_rules

__all__ = ["check_accounts", "parted_account"]

Path = tuple[str | int, ...]


def check_accounts(config: RunConfig) -> None:
    """Look at the accounts that products name: each lies at one venue, in one asset, on markets of
    which all ask for margin or none does.

    Raises:
        SettingError: with the place of the first name that cannot be.
    """
    markets = {market.symbol: market for market in config.markets}
    first: dict[str, ProductConfig] = {}
    for number, product in enumerate(config.products):
        name = product.hedge.account_name
        path: Path = ("products", number, "hedge", "account_name")
        if not name:
            continue
        if product.hedge.account != "omnibus":
            said = f'{product.id}: an account with a name is shared; set account = "omnibus"'
            raise SettingError(path, said)
        if set(name) & set("/\\\n\r\t\0 :"):
            said = f"account_name must be a name without spaces, colons or slashes, was {name!r}"
            raise SettingError(path, said)
        if name in markets:
            said = f"account {name} has the name of a market, which that of its own products has"
            raise SettingError(path, said)
        other = first.setdefault(name, product)
        fault = _fault(markets[other.symbol], markets[product.symbol])
        if fault:
            said = f"account {name} cannot hold {product.id} beside {other.id}: {fault}"
            raise SettingError(path, said)


def _fault(one: MarketConfig, other: MarketConfig) -> str:
    """Why one account cannot hold positions on both markets; empty where it can."""
    for done, mine, theirs in (
        ("settled", _asset(one), _asset(other)),
        ("quoted", one.contract.quote, other.contract.quote),
    ):
        if mine != theirs:
            return f"{one.symbol} is {done} in {mine}, {other.symbol} in {theirs}"
    if one.venue.preset != other.venue.preset:
        named = f"{one.venue.preset} and {other.venue.preset}"
        return f"{one.symbol} and {other.symbol} are at different venues, {named}"
    asks = [bool(venue_rules(each.venue, each.contract).margin.tiers) for each in (one, other)]
    if asks[0] != asks[1]:
        free = other if asks[0] else one
        return f"{free.symbol} has no tiers and asks for no margin"
    return ""


def _asset(market: MarketConfig) -> str:
    contract = market.contract
    return (contract.base if contract.kind == "inverse" else contract.quote) or ""


def parted_account(config: RunConfig, homes: Mapping[str, int]) -> str:
    """A named account whose products would be in several shards, in words; empty where there is
    none. One engine must see all that backs an account.

    Args:
        homes: the shard of each symbol.
    """
    first: dict[str, ProductConfig] = {}
    for product in config.products:
        name = product.hedge.account_name
        other = first.setdefault(name, product) if name else product
        if homes[other.symbol] != homes[product.symbol]:
            fall = f"{other.symbol} to {homes[other.symbol]}"
            return (
                f"account {name} holds {other.id} and {product.id}, whose markets fall to "
                f"different shards ({fall}, {product.symbol} to {homes[product.symbol]})"
            )
    return ""
