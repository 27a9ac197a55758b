"""The part of a configuration that one shard serves."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine.config.accounts import parted_account
from engine.config.settings import RunConfig
from engine.errors import ConfigError
from feeds.publishing import homes_of
from feeds.recording import SymbolInfo

__all__ = ["share_of"]


def share_of(
    config: RunConfig, symbols: Sequence[SymbolInfo], shard: int, shards: int
) -> tuple[RunConfig, tuple[SymbolInfo, ...]]:
    """The markets whose ticks are in the shard's partition, with their products and holdings, and
    the venue's other customers there.

    Args:
        config: with all markets and products filled in.
        symbols: of all ticks.
        shard, shards: which, of how many.

    Raises:
        ConfigError: if there is no such shard, no product falls to it, or a hedge account would
            fall apart.
    """
    if not 0 <= shard < shards:
        raise ConfigError(f"shard {shard} of {shards}: they are numbered from 0 to {shards - 1}")
    homes = dict(
        zip(
            (info.symbol for info in symbols),
            homes_of([info.symbol for info in symbols], shards),
            strict=True,
        )
    )
    if parted := parted_account(config, homes):
        raise ConfigError(parted)
    markets = tuple(market for market in config.markets if homes[market.symbol] == shard)
    products = tuple(product for product in config.products if homes[product.symbol] == shard)
    if not products:
        said = ", ".join(f"{market.symbol} to {homes[market.symbol]}" for market in config.markets)
        raise ConfigError(f"no product falls to shard {shard} of {shards}; markets fall: {said}")
    ids = {product.id for product in products}
    users = tuple(
        replace(user, holdings={own: held for own, held in user.holdings.items() if own in ids})
        for user in config.users
    )
    population = config.population
    if population.products is not None:
        own = tuple(product for product in population.products if product in ids)
        population = replace(population, products=own)
    share = replace(
        config,
        markets=markets,
        products=products,
        users=users,
        population=population,
        traders=tuple(each for each in config.traders if homes[each.symbol] == shard),
        populations=tuple(each for each in config.populations if homes[each.symbol] == shard),
    )
    return share, tuple(info for info in symbols if homes[info.symbol] == shard)
