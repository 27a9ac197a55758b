"""Tests of ``engine.config.pricing``: a venue's own mark and funding rate from a configuration."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.config.assumptions import assumptions
from engine.config.binding import spec_of
from engine.config.complaints import SettingError
from engine.config.lineup import completed
from engine.config.settings import (
    BookConfig,
    FundingConfig,
    IndexConfig,
    MarketConfig,
    ProductConfig,
    RunConfig,
    VenueConfig,
)
from engine.ticks import Kind
from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.funding_rate import MarginRates
from engine.venue.price_rules import IndexSource
from feeds.recording import SymbolInfo
from strategies import LeverageBand

INDEX = (
    IndexConfig(symbol="SPOT", weight=3.0, stale_after="5s"),
    IndexConfig(symbol="OTHER"),
)
BAND = LeverageBand(target=3.0, low=2.4, high=3.6)


def infos(*kinds: Kind) -> list[SymbolInfo]:
    own = frozenset(kinds or (Kind.BBO, Kind.TRADE))
    return [
        SymbolInfo(
            symbol=name, contract=contract, base="BTC", quote="USDT", contract_size=1.0, kinds=each
        )
        for name, contract, each in (
            ("OTHER", "spot", frozenset({Kind.TRADE})),
            ("BTCUSDT", "linear", own),
            ("SPOT", "spot", frozenset({Kind.BBO})),
        )
    ]


def config(**market: Any) -> RunConfig:
    return RunConfig(
        markets=(MarketConfig(symbol="BTCUSDT", **market),),
        products=(ProductConfig(id="P", symbol="BTCUSDT", policies=(BAND,)),),
    )


def test_named_sources_make_the_mark() -> None:
    """Weights and limits by the symbols' places in the data, legs by the preset."""
    (market,) = spec_of(config(index=INDEX), infos()).markets
    assert market.mark_source == "venue"
    assert market.pricing is not None
    assert market.pricing.sources == (
        IndexSource(symbol=2, weight=3.0, stale_after_ns=5 * SECOND_NS),
        IndexSource(symbol=0, weight=1.0, stale_after_ns=10 * SECOND_NS),
    )
    assert market.pricing.mark == market.venue.mark
    assert market.pricing.premium is None


@pytest.mark.parametrize(
    ("weights", "whole"),
    [((0.1, 0.2), (1.0, 2.0)), ((0.5, 3.0), (1.0, 6.0)), ((1e-300, 1.0), (1e-300, 1.0))],
)
def test_weights_are_the_decimals_they_are(
    weights: tuple[float, float], whole: tuple[float, float]
) -> None:
    """Half of 0.1, 0.2 and 0.3 is 0.3, which no sum of the floats is: they count as 1, 2 and 3."""
    index = tuple(
        IndexConfig(symbol=name, weight=weight)
        for name, weight in zip(("SPOT", "OTHER"), weights, strict=True)
    )
    (market,) = spec_of(config(index=index, mark="venue"), infos()).markets
    assert market.pricing is not None
    assert tuple(source.weight for source in market.pricing.sources) == whole


@pytest.mark.parametrize(
    ("kinds", "index", "mark"),
    [
        ((Kind.BBO, Kind.TRADE), (), "mid"),
        ((Kind.BBO, Kind.TRADE), INDEX, "venue"),
        ((Kind.BBO, Kind.INDEX), (), "venue"),
        ((Kind.BBO, Kind.INDEX, Kind.MARK), (), "mark"),
        ((Kind.BBO, Kind.MARK), INDEX, "mark"),
    ],
)
def test_the_mark_where_none_is_asked_for(
    kinds: tuple[Kind, ...], index: tuple[IndexConfig, ...], mark: str
) -> None:
    """Recorded marks, else the venue's own where there is an index, else the mid."""
    run = completed(config(index=index), infos(*kinds))
    assert run.markets[0].mark == mark
    assert completed(run, infos(*kinds)) == run


def test_recorded_index_rows_make_the_mark() -> None:
    """Where no source is named the market's own rows are the index."""
    (market,) = spec_of(config(mark="venue"), infos(Kind.BBO, Kind.INDEX)).markets
    assert market.pricing is not None
    assert market.pricing.sources == (
        IndexSource(symbol=1, weight=1.0, stale_after_ns=MINUTE_NS, recorded=True),
    )


def test_funding_from_the_premium() -> None:
    """The preset's formula, its instants, and the margins of its lowest tier."""
    funding, venue = FundingConfig(source="premium"), VenueConfig(preset="hyperliquid")
    run = config(mark="mid", index=INDEX, funding=funding, venue=venue)
    (market,) = spec_of(run, infos()).markets
    assert market.mark_source == "mid"
    assert market.pricing is not None
    assert market.pricing.mark is None
    assert market.pricing.premium == market.funding.premium == market.venue.funding
    assert market.funding.premium is not None
    assert market.funding.premium.interval_ns == HOUR_NS
    assert not market.funding.recorded
    assert market.pricing.margins == MarginRates(1.0 / 40.0, 0.0125)


@pytest.mark.parametrize(
    ("market", "path", "said"),
    [
        ({"mark": "venue"}, ("index",), "needs index"),
        ({"funding": FundingConfig(source="premium")}, ("index",), "needs index"),
        ({"index": (IndexConfig(symbol="SPOD"),)}, ("index", 0, "symbol"), "SPOT"),
        ({"index": (IndexConfig(symbol="SPOT", weight=0.0),)}, ("index", 0, "weight"), "> 0"),
        (
            {"index": (IndexConfig(symbol="SPOT", weight=float("inf")),)},
            ("index", 0, "weight"),
            "finite",
        ),
        (
            {"index": (IndexConfig(symbol="SPOT", weight=1e308),)},
            ("index", 0, "weight"),
            "at most",
        ),
        (
            {"index": (IndexConfig(symbol="SPOT", stale_after="0s"),)},
            ("index", 0, "stale_after"),
            "> 0",
        ),
    ],
)
def test_an_index_that_cannot_be_made_is_refused(
    market: dict[str, Any], path: tuple[Any, ...], said: str
) -> None:
    """With the place of the setting, and what would do."""
    with pytest.raises(SettingError, match=said) as caught:
        spec_of(config(**market), infos())
    assert caught.value.path == ("markets", 0, *path)


def test_what_was_made_is_said() -> None:
    """The summary names the rules and the sources, and no funding of 0."""
    run = config(index=INDEX, funding=FundingConfig(source="premium"))
    names = [line.partition(":")[0] for line in assumptions(run, infos())]
    assert "mark_from_venue" in names
    assert "funding_from_premium" in names
    assert "funding_zero" not in names
    assert all("SPOT, OTHER" in line for line in assumptions(run, infos()) if "_from_" in line)


@pytest.mark.parametrize(
    ("book", "share"),
    [
        # (20,000 / 1,000,000) ^ (1 / 0.67) per cent at the far end, 0.67 / 1.67 of it on average.
        (BookConfig(model="depth", depth_at_1pct=1e6), 1.16828e-5),
        (BookConfig(model="depth", depth_at_1pct=1.0), math.inf),
        (BookConfig(model="flat"), 0.0),
    ],
)
def test_the_impact_notional_trades_in_the_book_of_the_run(book: BookConfig, share: float) -> None:
    """Hyperliquid's 20,000 go beyond the best price where the book says how far, and the premium
    is none where it cannot fill them; a flat book fills all at its best."""
    funding, venue = FundingConfig(source="premium"), VenueConfig(preset="hyperliquid")
    run = config(index=INDEX, funding=funding, venue=venue, book=book)
    (market,) = spec_of(run, infos()).markets
    assert market.pricing is not None
    assert market.pricing.impact_share == pytest.approx(share, rel=1e-4)
    said = next(line for line in assumptions(run, infos()) if "funding_from_premium" in line)
    assert ("as if its impact notional" in said) is (book.model != "depth")
