"""What a configuration leaves open, filled in from the data: markets as recorded, and the standard
line-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec.structs import replace

from engine.config.settings import (
    BookConfig,
    ContractConfig,
    FundingConfig,
    MarketConfig,
    PolicyConfig,
    ProductConfig,
    RunConfig,
    SignalConfig,
    VenueConfig,
)
from engine.config.venues import facts_of
from engine.durations import duration_text
from engine.errors import InputError
from engine.ticks import Kind
from engine.units import MINUTE_NS, SECOND_NS
from engine.venue.book import ASSUMED_DEPTH, DEPTH_AT_1PCT
from feeds.recording import SymbolInfo
from strategies import LeverageBand, MarginFloor, TrendVol

__all__ = [
    "completed",
    "listed_markets",
    "mark_sources",
    "standard_lineup",
    "traded_symbols",
]

LONG_BAND: Final = LeverageBand(target=3.0, low=2.25, high=4.125)
SHORT_BAND: Final = LeverageBand(target=-3.0, low=1.5, high=5.25)
"""Gate's rule for its 3x tokens (``products.md`` 0.3): rebalanced at -12 % and +20 %, at -20 % and
+12 %."""
BUY_AND_HOLD: Final = LeverageBand(target=1.0, low=0.0, high=math.inf)
"""Spot: one purchase at the start, and no edge that could be reached."""
_BORROWED: Final[tuple[tuple[str, Literal["futures", "margin_loan"], float], ...]] = (
    ("-FUT10L", "futures", 10.0),
    ("-LOAN3L", "margin_loan", 3.0),
)
"""What users would hold instead of a product, and are liquidated with."""
STALE_BARS: Final = 3
FROZEN_BARS: Final = 10
_REVIEW_S: Final = 300.0
_STALE_NS: Final = MINUTE_NS
_FROZEN_NS: Final = 10 * MINUTE_NS


def standard_lineup(symbols: Sequence[SymbolInfo]) -> RunConfig:
    """3x long and short tokens, Smart Leverage long and short, and beside them spot, 10x futures
    and a 3x margin loan, on every perpetual of the data.

    Where the data hold no perpetual the products stand on its spot markets, as if there were one of
    the same price.

    Raises:
        InputError: if nothing in the data has a price.
    """
    return completed(RunConfig(), symbols)


def completed(config: RunConfig, symbols: Sequence[SymbolInfo]) -> RunConfig:
    """The configuration with everything explicit that the data decide; completing it again changes
    nothing."""
    by_name = {info.symbol: info for info in symbols}
    products = config.products or _products(traded_symbols(symbols))
    products = tuple(_held(product) for product in products)
    markets = tuple(
        _market(market, by_name[market.symbol]) if market.symbol in by_name else market
        for market in listed_markets(config, symbols)
    )
    output = config.output
    if output.nav_every is None:
        wanted = {product.symbol for product in products}
        known = [info.bar_ns or 0 for info in symbols if info.symbol in wanted]
        output = replace(output, nav_every=duration_text(max([SECOND_NS, *known])))
    return replace(config, markets=markets, products=products, output=output)


def listed_markets(config: RunConfig, symbols: Sequence[SymbolInfo]) -> tuple[MarketConfig, ...]:
    """The configured markets, and a bare one for each other symbol that a product stands on."""
    names = [product.symbol for product in config.products]
    wanted = names or [info.symbol for info in traded_symbols(symbols)]
    configured = {market.symbol for market in config.markets}
    in_data = {info.symbol for info in symbols}
    added = [s for s in dict.fromkeys(wanted) if s not in configured and s in in_data]
    return (*config.markets, *(MarketConfig(symbol=symbol) for symbol in added))


def traded_symbols(symbols: Sequence[SymbolInfo]) -> list[SymbolInfo]:
    """The symbols that the standard line-up stands on: perpetuals with a price, or else spot
    markets.

    A market that the data also hold in finer bars counts once, in the finest.
    """
    names = [info.symbol for info in symbols if mark_sources(info)]
    priced = [
        info
        for info in symbols
        if mark_sources(info)
        and not (info.bar_ns and any(info.symbol == f"{n}-{_bar_name(info)}" for n in names))
    ]
    if not priced:
        raise InputError(
            "the data hold no prices: no trades, quotes or marks to value a product with"
        )
    return [info for info in priced if info.contract != "spot"] or priced


def _bar_name(info: SymbolInfo) -> str:
    return duration_text(info.bar_ns or 0)


def mark_sources(info: SymbolInfo) -> list[str]:
    """Which prices can value a position, the best first."""
    sources = {"mark": Kind.MARK, "mid": Kind.BBO, "last": Kind.TRADE}
    found = [name for name, kind in sources.items() if kind in info.kinds]
    if info.mark_coarse and len(found) > 1:
        found.remove("mark")
    return found


def _products(symbols: Sequence[SymbolInfo]) -> tuple[ProductConfig, ...]:
    bases = [info.base or info.symbol for info in symbols]
    products: list[ProductConfig] = []
    for info, base in zip(symbols, bases, strict=True):
        review_s = max(_REVIEW_S, (info.bar_ns or 0) / SECOND_NS)
        policies: dict[str, tuple[PolicyConfig, ...]] = {
            "3L": (LONG_BAND, MarginFloor()),
            "3S": (SHORT_BAND, MarginFloor()),
            "-SMART-L": (TrendVol(direction=1, review_s=review_s), MarginFloor()),
            "-SMART-S": (TrendVol(direction=-1, review_s=review_s), MarginFloor()),
            "-SPOT": (BUY_AND_HOLD,),
        }
        at = f"@{info.symbol}" if bases.count(base) > 1 else ""
        products += [
            ProductConfig(
                id=f"{base}{name}{at}",
                symbol=info.symbol,
                kind="spot" if name == "-SPOT" else "fund",
                policies=policy,
            )
            for name, policy in policies.items()
        ]
        products += [
            ProductConfig(id=f"{base}{name}{at}", symbol=info.symbol, kind=kind, leverage=leverage)
            for name, kind, leverage in _BORROWED
        ]
    return tuple(products)


def _held(product: ProductConfig) -> ProductConfig:
    if product.kind == "spot" and not product.policies:
        return replace(product, policies=(BUY_AND_HOLD,))
    return product


def _market(market: MarketConfig, info: SymbolInfo) -> MarketConfig:
    bar_ns = info.bar_ns or 0
    contract = _contract(market.contract, market.venue, info)
    sources = mark_sources(info)
    return replace(
        market,
        contract=contract,
        book=_book(market.book, contract.base or ""),
        funding=_funding(market, info),
        mark=_mark(market, info, sources),
        stale_after=market.stale_after or duration_text(max(_STALE_NS, STALE_BARS * bar_ns)),
        frozen_after=market.frozen_after or duration_text(max(_FROZEN_NS, FROZEN_BARS * bar_ns)),
        signals=_signals(market.signals, bar_ns),
    )


def _mark(market: MarketConfig, info: SymbolInfo, sources: list[str]) -> str:
    """The best price that values positions: the recorded mark, else the venue's own where there is
    an index to make it of, else mid or last trade."""
    if market.mark != "auto" or not sources:
        return market.mark
    indexed = bool(market.index) or (Kind.INDEX in info.kinds and Kind.MARK not in info.kinds)
    return "venue" if indexed and sources[0] != "mark" else sources[0]


def _contract(contract: ContractConfig, venue: VenueConfig, info: SymbolInfo) -> ContractConfig:
    """What the preset says of the contract, and where it says nothing what the data say."""
    kind = contract.kind or ("inverse" if info.contract == "inverse" else "linear")
    inverse = kind == "inverse"
    base = contract.base or info.base or info.symbol
    facts = facts_of(venue, base, kind)
    said: dict[str, Any] = {
        "price_step": facts.price_step or _price_step(info.decade),
        "lot_size": facts.lot_size or (1.0 if inverse else _lot_size(info.decade)),
        "contract_size": info.contract_size if inverse else 1.0,
        "taker_fee": facts.taker_fee,
        "maker_fee": facts.maker_fee,
        "base": base,
        "quote": info.quote or "USD",
    }
    left_open = {name: each for name, each in said.items() if getattr(contract, name) is None}
    return replace(contract, kind=kind, **left_open)


def _price_step(decade: float | None) -> float:
    """A price step that nobody published: 0.1 from 1,000 quote on, less where prices are lower, so
    that a price has at least five figures."""
    exponent = int(f"{decade or 1e3:e}".partition("e")[2])
    return float(f"1e{min(exponent - 4, -1)}")


def _lot_size(decade: float | None) -> float:
    """A lot of a linear contract that nobody published: 1e-6 where that is worth 1e-4 to 1 quote,
    as with BTC and ETH; of cheaper coins more and of dearer ones less, so that whole lots are fine
    enough to rebalance with and their number can be counted."""
    exponent = int(f"{decade or 1e3:e}".partition("e")[2])
    fitting = -4 - exponent if exponent < 2 else min(-6, -1 - exponent)
    return float(f"1e{min(max(fitting, -12), 12)}")


def _book(book: BookConfig, base: str) -> BookConfig:
    if book.model != "depth" or book.depth_at_1pct is not None:
        return book
    return replace(book, depth_at_1pct=DEPTH_AT_1PCT.get(base, ASSUMED_DEPTH))


def _funding(market: MarketConfig, info: SymbolInfo) -> FundingConfig:
    funding = market.funding
    constant = funding.rate_8h is not None or funding.file is not None
    if market.feedback and not constant and funding.source is None:
        return replace(funding, source="premium")
    funding = replace(funding, source=funding.source or "recorded")
    if constant or funding.source != "recorded" or Kind.FUNDING in info.kinds:
        return funding
    return replace(funding, source="none")


def _signals(signals: SignalConfig, bar_ns: int) -> SignalConfig:
    return replace(signals, every=signals.every or duration_text(max(MINUTE_NS, bar_ns)))
