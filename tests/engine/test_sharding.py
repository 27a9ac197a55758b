"""A shard serves the markets whose ticks it gets, and nothing of the others."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.config import RunConfig, share_of, spec_of, standard_lineup
from engine.config.settings import CrowdConfig, PopulationConfig, TraderConfig, UserConfig
from engine.errors import ConfigError
from engine.ticks import Kind
from feeds.publishing import homes_of
from feeds.recording import SymbolInfo

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
SHARDS = 2
HOMES = homes_of(NAMES, SHARDS)


def symbols() -> tuple[SymbolInfo, ...]:
    """Three perpetuals."""
    return tuple(
        SymbolInfo(name, name[:-4], "USDT", "linear", 1.0, (Kind.MARK, Kind.TRADE))
        for name in NAMES
    )


def a_config() -> RunConfig:
    """The line-up, a user of two products, and a population of two."""
    config = standard_lineup(symbols())
    return replace(
        config,
        users=(UserConfig(id="alice", holdings={"BTC3L": 10.0, "ETH3S": 20.0}),),
        population=PopulationConfig(count=5, products=("BTC3L", "ETH3L")),
    )


def test_shards_part_the_whole() -> None:
    """Each market, product and holding is in the share of exactly one shard, and each share is a
    configuration that an engine can be made of."""
    config, products, holdings, popular = a_config(), [], {}, []
    for shard in sorted(set(HOMES)):
        share, own = share_of(config, symbols(), shard, SHARDS)
        assert [info.symbol for info in own] == [
            name for name, home in zip(NAMES, HOMES, strict=True) if home == shard
        ]
        spec = spec_of(share, own)
        assert set(spec.symbols) == {market.symbol for market in share.markets}
        products += [product.id for product in spec.products]
        holdings |= share.users[0].holdings
        popular += share.population.products or ()
    assert sorted(products) == sorted(product.id for product in config.products)
    assert holdings == config.users[0].holdings
    assert sorted(popular) == ["BTC3L", "ETH3L"]


def test_customers_of_the_venue_are_where_their_market_is() -> None:
    """Traders and background populations fall to the shard of their market; the other engine, whose
    venue does not list it, knows nothing of them."""
    config = replace(
        a_config(),
        traders=tuple(
            TraderConfig(id=name, symbol=name, wallet=1e3, size=1.0, entry=100.0) for name in NAMES
        ),
        populations=tuple(CrowdConfig(id=name, symbol=name, count=3) for name in NAMES),
    )
    traders, crowds = [], []
    for shard in sorted(set(HOMES)):
        share, own = share_of(config, symbols(), shard, SHARDS)
        spec = spec_of(share, own)
        traders += [trader.id for trader in spec.traders]
        crowds += [crowd.id for crowd in spec.crowds]
        assert {crowd.symbol for crowd in share.populations} <= set(spec.symbols)
    assert sorted(traders) == sorted(crowds) == sorted(NAMES)


def test_a_shard_without_a_market() -> None:
    """It has nothing to do, and says where the markets are."""
    one = symbols()[:1]
    empty = 1 - HOMES[0]
    with pytest.raises(ConfigError, match=f"falls to shard {empty} of 2.*BTCUSDT to {HOMES[0]}"):
        share_of(standard_lineup(one), one, empty, SHARDS)


@pytest.mark.parametrize("shard", [-1, 2])
def test_a_shard_that_is_not_there(shard: int) -> None:
    """Shards are the partitions of the ticks."""
    with pytest.raises(ConfigError, match="numbered from 0 to 1"):
        share_of(a_config(), symbols(), shard, SHARDS)
