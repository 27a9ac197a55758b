"""From a configuration to what the heart needs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from engine.config.checks import check
from engine.config.comparators import lots_of, trader_names
from engine.config.complaints import SettingError
from engine.config.crowds import crowd_of
from engine.config.lineup import completed
from engine.config.margins import far_edges
from engine.config.pricing import impact_of, pricing_of
from engine.config.promises import formula_price_of, policies_of, terms_of
from engine.config.rates import funding_instants
from engine.config.settings import (
    BookConfig,
    ContractConfig,
    FundingConfig,
    MarketConfig,
    OutputConfig,
    PopulationConfig,
    ProductConfig,
    RunConfig,
    duration_ns,
)
from engine.config.venues import venue_rules
from engine.engine import EngineSpec
from engine.market import MarketSpec
from engine.product import HedgeTerms, LoanTerms, ProductSpec
from engine.sampler import Sampling
from engine.signals import SignalSpec
from engine.units import MILLISECOND_NS, asset_decimals
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import ASSUMED_DEPTH, BookSpec
from engine.venue.contract import Contract
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from engine.venue.rules import VenueRules
from engine.venue.standing import Listing, opening_fault
from feeds.recording import SymbolInfo

__all__ = ["USERS_SAMPLED_MAX", "spec_of"]

T = TypeVar("T")

USERS_SAMPLED_MAX: Final = 10_000
"""Up to so many users are valued at the cadence where ``users = "auto"``."""


def spec_of(config: RunConfig, symbols: Sequence[SymbolInfo]) -> EngineSpec:
    """What the heart needs to run a configuration on data with these symbols.

    Raises:
        SettingError: a setting that the data or the others contradict, or a user's policy that
            cannot be loaded.
    """
    config = completed(config, symbols)
    check(config, symbols)
    places = {info.symbol: place for place, info in enumerate(symbols)}
    by_name = {info.symbol: info for info in symbols}
    markets = tuple(
        _market(number, market, places, by_name[market.symbol])
        for number, market in enumerate(config.markets)
    )
    numbers = {market.symbol: number for number, market in enumerate(config.markets)}
    products = tuple(
        _product(config, product, numbers[product.symbol], markets, by_name[product.symbol])
        for product in config.products
    )
    policies = tuple(
        policies_of(("products", number), product) for number, product in enumerate(config.products)
    )
    crowds = tuple(
        crowd_of(crowd, place, numbers[crowd.symbol], _contract(config, crowd.symbol), config.seed)
        for place, crowd in enumerate(config.populations)
    )
    funding = [market.funding for market in markets]
    named = [replace(info, decade=None) for info in symbols]
    return EngineSpec(
        symbols=tuple(info.symbol for info in symbols),
        markets=markets,
        products=products,
        policies=policies,
        population=config.population.count,
        users=tuple(user.id for user in config.users),
        traders=_traders(config, numbers, markets),
        crowds=crowds,
        seed=config.seed,
        sampling=_sampling(config.output, config.population.count + len(config.users)),
        config_hash=_hash(config, funding, named, *crowds),
    )


def _contract(config: RunConfig, symbol: str) -> ContractConfig:
    (market,) = (market for market in config.markets if market.symbol == symbol)
    return market.contract


def _hash(config: RunConfig, *data: object) -> str:
    """Of all that a result depends on; how brokers are reached may change between two sessions."""
    settings = msgspec.to_builtins(config)
    del settings["kafka"]
    if settings["scenarios"] is None:
        del settings["scenarios"]
    return sha256(msgspec.msgpack.encode([settings, *data])).hexdigest()


def _atoms(quote: float, asset: str) -> int:
    return round(quote * 10.0 ** asset_decimals(asset))


def _filled(setting: T | None) -> T:
    """A setting of a completed configuration."""
    assert setting is not None
    return setting


def _market(
    number: int, market: MarketConfig, places: dict[str, int], info: SymbolInfo
) -> MarketSpec:
    contract, signals, book = market.contract, market.signals, _book(market.book)
    if market.mark == "auto":
        raise SettingError(("markets", number), f"{market.symbol} has no price in the data")
    rules = venue_rules(market.venue, contract)
    try:
        pricing, impact = pricing_of(market, rules, places, info, book), impact_of(market, rules)
    except SettingError as error:
        raise SettingError(("markets", number, *error.path), error.sentence) from None
    return MarketSpec(
        symbol=places[market.symbol],
        contract=ContractSpec(
            symbol=market.symbol,
            kind=_filled(contract.kind),
            base=_filled(contract.base),
            quote=_filled(contract.quote),
            price_step=_filled(contract.price_step),
            lot_size=_filled(contract.lot_size),
            contract_size=_filled(contract.contract_size),
            taker_fee=_filled(contract.taker_fee),
            maker_fee=_filled(contract.maker_fee),
        ),
        book=book,
        funding=_funding(market.funding, market.symbol, rules),
        signals=SignalSpec(
            every_ns=duration_ns(_filled(signals.every)),
            vol_half_life=signals.vol_half_life,
            trend_half_life=signals.trend_half_life,
            window=signals.window,
            stale_after=signals.stale_after,
        ),
        mark_source=market.mark,
        venue=rules,
        pricing=pricing,
        impact=impact,
        insurance_atoms=_atoms(market.venue.insurance_fund, _filled(contract.quote)),
        stale_after_ns=duration_ns(_filled(market.stale_after)),
        frozen_after_ns=duration_ns(_filled(market.frozen_after)),
    )


def _book(book: BookConfig) -> BookSpec:
    return BookSpec(
        model=book.model,
        half_spread_bps=book.half_spread_bps,
        half_life_s=book.half_life_s,
        beta_near=book.beta_near,
        beta_far=book.beta_far,
        queue=book.queue,
        depth_at_1pct=ASSUMED_DEPTH if book.depth_at_1pct is None else book.depth_at_1pct,
    )


def _product(
    config: RunConfig,
    product: ProductConfig,
    number: int,
    markets: Sequence[MarketSpec],
    info: SymbolInfo,
) -> ProductSpec:
    quote, hedge = markets[number].contract.quote, product.hedge
    follows = formula_price_of(product, config.markets[number], info)
    isolated = product.stake if product.margin == "isolated" else 1.0
    return ProductSpec(
        id=product.id,
        market=number,
        kind=product.kind,
        leverage=1.0 if product.leverage is None else product.leverage,
        stake=product.stake,
        loan=product.loan or LoanTerms(),
        seed_atoms=_atoms(product.seed_capital, quote),
        population=_population(config, product, quote),
        holdings=_holdings(config, product, quote),
        terms=replace(terms_of(product, quote), formula_price=follows),
        hedge=HedgeTerms(
            latency_ns=round(product.latency_ms * MILLISECOND_NS),
            retry_ns=round(hedge.retry_ms * MILLISECOND_NS),
            reserve_atoms=_atoms(hedge.reserve, quote),
            account=hedge.account,
            account_name=hedge.account_name,
            margin_share=hedge.margin_share * isolated,
            haircut=hedge.haircut,
            topup_latency_ns=round(hedge.topup_latency_ms * MILLISECOND_NS),
            topup_at=hedge.topup_at,
            when_stale=hedge.when_stale,
            plan=hedge.plan,
        ),
        edges=_edges(product, inverse=markets[number].contract.kind == "inverse"),
        safe_mode=product.safe_mode,
        safe_leverage=product.safe_leverage,
        limit=max(product.limit, abs(product.leverage or 0.0) + 1.0)
        if product.leverage is not None
        else product.limit,
    )


def _edges(product: ProductConfig, *, inverse: bool) -> tuple[tuple[float, float], ...] | None:
    if product.kind in ("spot", "margin_loan") or product.terms.nav == "quoted":
        return None
    return tuple((share, leverage) for _, share, leverage in far_edges(product, inverse=inverse))


def _traders(
    config: RunConfig, numbers: dict[str, int], markets: tuple[MarketSpec, ...]
) -> tuple[TraderSpec, ...]:
    """The venue's other customers, each by his own name."""
    found: list[TraderSpec] = []
    listings = [Listing(Contract(m.contract), m.venue) for m in markets] if config.traders else []
    for place, trader in enumerate(config.traders):
        number = numbers[trader.symbol]
        contract = config.markets[number].contract
        asset = contract.base if contract.kind == "inverse" else contract.quote
        position = PositionSpec(market=number, lots=lots_of(trader, contract), entry=trader.entry)
        spec = TraderSpec(
            id=trader.id,
            wallet_atoms=_atoms(trader.wallet, _filled(asset)),
            positions=(position,),
            max_leverage=trader.leverage,
        )
        if fault := opening_fault(spec, listings):
            raise SettingError(("traders", place, fault[0]), f"{trader.id}: {fault[1]}")
        found += [replace(spec, id=name) for name in trader_names(trader)]
    return tuple(found)


def _population(config: RunConfig, product: ProductConfig, quote: str) -> tuple[int, int]:
    """``(count, quote atoms)`` of the numbered users that hold a product."""
    population: PopulationConfig = config.population
    if population.holds(product):
        return population.count, _atoms(population.quote, quote) if population.count else 0
    return 0, 0


def _holdings(config: RunConfig, product: ProductConfig, quote: str) -> tuple[tuple[int, int], ...]:
    """``(user index, quote atoms)`` of the named users that hold a product."""
    return tuple(
        (config.population.count + number, _atoms(user.holdings[product.id], quote))
        for number, user in enumerate(config.users)
        if product.id in user.holdings
    )


def _sampling(output: OutputConfig, users: int) -> Sampling:
    few = output.users == "all" or (output.users == "auto" and users <= USERS_SAMPLED_MAX)
    return Sampling(
        nav_every_ns=duration_ns(output.nav_every or "1s"),
        user_nav_every_ns=duration_ns(output.user_nav_every) if few and users else 0,
    )


def _funding(funding: FundingConfig, symbol: str, rules: VenueRules) -> FundingSpec:
    if funding.file is not None:
        return FundingSpec(recorded=False, instants=funding_instants(funding.file, symbol))
    if funding.rate_8h is not None:
        return FundingSpec(recorded=False, rate_8h=funding.rate_8h)
    if funding.source == "premium":
        return FundingSpec(recorded=False, premium=rules.funding)
    return FundingSpec(recorded=funding.source != "none")
