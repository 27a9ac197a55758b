"""Every setting looked at: against its own range, the data, and the other settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from engine.config.accounts import check_accounts
from engine.config.comparators import (
    LEVERAGE_MAX,
    LOTS_MAX,
    check_comparator,
    check_traders,
)
from engine.config.complaints import SettingError, check_range, nearest, require
from engine.config.crowds import check_crowds
from engine.config.lineup import mark_sources
from engine.config.margins import check_fits, check_margin, check_rules
from engine.config.offerings import offering_of, secondary_of, split_of
from engine.config.packs import check_pack, policies_told
from engine.config.promises import check_formula_price
from engine.config.rates import funding_instants
from engine.config.settings import (
    FundingConfig,
    MarketConfig,
    OutputConfig,
    ProductConfig,
    RunConfig,
    UserPolicyConfig,
    duration_ns,
)
from engine.errors import LevsimError
from engine.ticks import Kind
from engine.units import DAY_NS, MILLISECOND_NS, UNIT_STEPS, UNITS_MAX, asset_decimals
from feeds.recording import SymbolInfo

__all__ = ["check"]

LOT_MIN: Final = 1e-12
LOT_MAX: Final = 1e12
WAIT_MS_MAX: Final = 366 * 86_400_000.0
DURATION_NS_MAX: Final = 3_660 * DAY_NS


def check(config: RunConfig, symbols: Sequence[SymbolInfo]) -> None:
    """Look at every setting of a completed configuration.

    Raises:
        SettingError: with the path of the first one that is wrong.
    """
    known = {info.symbol: info for info in symbols}
    configured: set[str] = set()
    for number, market in enumerate(config.markets):
        path: tuple[str | int, ...] = ("markets", number)
        if market.symbol not in known:
            raise SettingError((*path, "symbol"), _no_symbol(market.symbol, known))
        if market.symbol in configured:
            raise SettingError((*path, "symbol"), f"market {market.symbol} is configured twice")
        configured.add(market.symbol)
        _check_market(path, market, known[market.symbol])
    ids: set[str] = set()
    for number, product in enumerate(config.products):
        path = ("products", number)
        if product.id in ids:
            raise SettingError((*path, "id"), f"product {product.id} is configured twice")
        if product.symbol not in known:
            raise SettingError((*path, "symbol"), _no_symbol(product.symbol, known))
        ids.add(product.id)
        _check_product(path, product)
    _check_users(config, [product.id for product in config.products])
    check_traders(config)
    check_crowds(config)
    check_accounts(config)
    for number, product in enumerate(config.products):
        check_formula_price(config, ("products", number), product, known[product.symbol])
        put_in = _check_money(config, ("products", number), product)
        _check_lots(config, ("products", number), product, put_in, known[product.symbol].decade)
        check_fits(config, ("products", number), product, put_in)
        check_margin(config, ("products", number), product, put_in)
    _check_output(config.output)


def _no_symbol(symbol: str, known: dict[str, SymbolInfo]) -> str:
    return f'the data hold no symbol "{symbol}"{nearest(symbol, known)}'


def _check_market(path: tuple[str | int, ...], market: MarketConfig, info: SymbolInfo) -> None:
    contract = (*path, "contract")
    venue = (*path, "venue")
    check_range(venue, market.venue, ("insurance_fund",), 0.0, UNITS_MAX / UNIT_STEPS)
    check_range(venue, market.venue, ("volume",), 0.0)
    check_rules(venue, market)
    check_range(contract, market.contract, ("price_step",), -0.0)
    check_range(contract, market.contract, ("lot_size", "contract_size"), LOT_MIN, LOT_MAX)
    check_range(contract, market.contract, ("taker_fee",), 0.0, 1.0)
    taker, maker = market.contract.taker_fee or 0.0, market.contract.maker_fee or 0.0
    rebate = "at most 1, and no rebate beyond the taker's fee"
    require(-taker <= maker <= 1.0, (*contract, "maker_fee"), rebate, maker)
    for name in ("base", "quote"):
        asset = getattr(market.contract, name)
        require(bool(asset), (*contract, name), "the name of an asset", asset)
    check_range((*path, "book"), market.book, ("half_life_s", "depth_at_1pct"), -0.0)
    check_range((*path, "book"), market.book, ("half_spread_bps",), 0.0, 10_000.0)
    check_range((*path, "book"), market.book, ("beta_near", "beta_far"), 0.1, 10.0)
    check_range((*path, "book", "queue"), market.book.queue, ("exponent",), 0.1, 100.0)
    if market.book.model == "recorded" and Kind.LEVEL not in info.kinds:
        raise SettingError(
            (*path, "book", "model"),
            f'{market.symbol}: the data hold no L2 book; model can be "depth" or "flat"',
        )
    check_range((*path, "signals"), market.signals, ("vol_half_life", "trend_half_life"), -0.0)
    check_range((*path, "signals"), market.signals, ("window", "stale_after"), 1)
    for name in ("stale_after", "frozen_after"):
        require(
            _longer(getattr(market, name), 1), (*path, name), "longer than 0", getattr(market, name)
        )
    every = market.signals.every
    require(_longer(every, MILLISECOND_NS), (*path, "signals", "every"), "at least 1 ms", every)
    recorded = mark_sources(info)
    if not recorded:
        raise SettingError((*path, "symbol"), f"{market.symbol}: the data hold no price of it")
    if market.mark not in ("auto", "venue") and market.mark not in recorded:
        coarse = market.mark == "mark" and info.mark_coarse and Kind.MARK in info.kinds
        lack = "are too sparse to value positions" if coarse else "are not in the data"
        names = {"mark": "recorded marks", "mid": "quotes", "last": "trades"}
        raise SettingError(
            (*path, "mark"),
            f"{market.symbol}: {names[market.mark]} {lack}; mark can be {', '.join(recorded)}",
        )
    _check_funding((*path, "funding"), market.funding, info)


def _longer(text: str | None, least_ns: int) -> bool:
    return text is None or least_ns <= duration_ns(text) <= DURATION_NS_MAX


def _check_output(output: OutputConfig) -> None:
    for name in ("nav_every", "user_nav_every"):
        every = getattr(output, name)
        never = every is not None and not every.rstrip("nusmhd").strip("0.")
        good = never or _longer(every, MILLISECOND_NS)
        require(good, ("output", name), "at least 1 ms, or 0s for never", every)


def _check_funding(path: tuple[str | int, ...], funding: FundingConfig, info: SymbolInfo) -> None:
    if funding.rate_8h is not None and funding.file is not None:
        raise SettingError(path, "funding wants either rate_8h or file")
    if funding.rate_8h is not None:
        require(
            abs(funding.rate_8h) < 1.0,
            (*path, "rate_8h"),
            "a share between -1 and 1",
            funding.rate_8h,
        )
    if funding.file is not None:
        try:
            funding_instants(funding.file, info.symbol)
        except LevsimError as error:
            raise SettingError((*path, "file"), str(error)) from None


def _check_product(path: tuple[str | int, ...], product: ProductConfig) -> None:
    require(
        bool(product.id) and not set(product.id) & set("/\\\n\r\t\0 "),
        (*path, "id"),
        "a name without spaces or slashes",
        product.id,
    )
    check_range(path, product, ("seed_capital",), -0.0)
    check_range(path, product, ("limit",), -0.0, LEVERAGE_MAX)
    check_range(path, product, ("latency_ms",), 0.0, WAIT_MS_MAX)
    _check_hedge((*path, "hedge"), product)
    fee = product.terms.management_fee
    require(0.0 <= fee < 1.0, (*path, "terms", "management_fee"), "a share from 0 to below 1", fee)
    for name in ("create_fee", "redeem_fee"):
        fee = getattr(product.terms, name)
        require(0.0 <= fee < 1.0, (*path, "terms", name), "a share from 0 to below 1", fee)
    check_range((*path, "terms"), product.terms, ("least_quote",), 0.0)
    every = product.terms.fee_every
    require(_longer(every, MILLISECOND_NS), (*path, "terms", "fee_every"), "at least 1 ms", every)
    if product.terms.offering is not None:
        offering_of((*path, "terms", "offering"), product.terms.offering, 1)
    if product.terms.split is not None:
        split_of((*path, "terms", "split"), product.terms.split)
    if product.terms.secondary is not None:
        secondary_of((*path, "terms", "secondary"), product.terms.secondary, 1)
        if product.kind != "fund" or product.terms.nav == "quoted":
            said = f"{product.id}: units of a fund are traded, and no claims that are quoted"
            raise SettingError((*path, "terms", "secondary"), said)
    check_pack(path, product)
    check_range(path, product, ("safe_leverage",), 0.0, product.limit)
    check_comparator(path, product)
    for place, policy in policies_told(product):
        target = getattr(policy, "target", getattr(policy, "high", 0.0))
        if abs(target) > product.limit:
            raise SettingError(
                (*path, *place),
                f"{product.id}: leverage {target:g} is beyond the "
                f"product's limit {product.limit:g}",
            )
        if isinstance(policy, UserPolicyConfig) and not _longer(policy.review, MILLISECOND_NS):
            raise SettingError((*path, *place, "review"), "review must be at least 1 ms")


def _check_hedge(path: tuple[str | int, ...], product: ProductConfig) -> None:
    hedge = product.hedge
    check_range(path, hedge, ("reserve",), 0.0)
    check_range(path, hedge, ("retry_ms",), 1.0, WAIT_MS_MAX)
    check_range(path, hedge, ("topup_latency_ms",), 0.0, WAIT_MS_MAX)
    check_range(path, hedge, ("topup_at",), 1.0, LEVERAGE_MAX)
    whole = hedge.account == "segregated" or product.kind == "fund"
    require(whole, (*path, "account"), '"segregated" where it is no fund', hedge.account)
    share = hedge.margin_share
    require(0.0 < share <= 1.0, (*path, "margin_share"), "a share above 0 and at most 1", share)
    cut = hedge.haircut
    require(0.0 <= cut < 1.0, (*path, "haircut"), "a share from 0 to below 1", cut)


def _check_users(config: RunConfig, products: list[str]) -> None:
    names: set[str] = set()
    population = config.population
    check_range(("population",), population, ("count",), 0)
    check_range(("population",), population, ("quote",), -0.0)
    for number, product in enumerate(population.products or ()):
        _require_product(("population", "products", number), product, products)
    for number, user in enumerate(config.users):
        path = ("users", number)
        if user.id in names:
            raise SettingError((*path, "id"), f"user {user.id} is configured twice")
        tail = user.id[1:]
        if (
            user.id[:1] == "u"
            and tail.isascii()
            and tail.isdigit()
            and int(tail) <= population.count
        ):
            raise SettingError(
                (*path, "id"), f"user {user.id} is one of the population; choose another name"
            )
        require(bool(user.id), (*path, "id"), "a name", user.id)
        names.add(user.id)
        for product, quote in user.holdings.items():
            place = (*path, "holdings", product)
            _require_product(place, product, products)
            good = math.isfinite(quote) and quote > 0.0
            require(good, place, "quote > 0", quote)


def _check_money(config: RunConfig, path: tuple[str | int, ...], product: ProductConfig) -> float:
    """What is put in at the start can be counted: at least an atom each, and not too much.
    Returns it."""
    quote = {market.symbol: market.contract.quote for market in config.markets}[product.symbol]
    least = 10.0 ** -asset_decimals(quote or "")
    wants = f"at least {least:.{asset_decimals(quote or '')}f}, the smallest amount of {quote}"
    put_in, population = product.seed_capital, config.population
    require(put_in >= least, (*path, "seed_capital"), wants, put_in)
    if population.count and population.holds(product):
        require(population.quote >= least, ("population", "quote"), wants, population.quote)
        put_in += population.count * population.quote
    for number, user in enumerate(config.users):
        amount = user.holdings.get(product.id)
        if amount is not None:
            require(amount >= least, ("users", number, "holdings", product.id), wants, amount)
            put_in += amount
    most = UNITS_MAX / UNIT_STEPS
    if put_in > most:
        raise SettingError(
            (*path, "seed_capital"),
            f"{product.id}: {put_in:g} {quote} at the start (seed_capital and all holdings) are "
            f"more than can be counted; at most {most:,.0f}",
        )
    return put_in


def _check_lots(
    config: RunConfig,
    path: tuple[str | int, ...],
    product: ProductConfig,
    put_in: float,
    decade: float | None,
) -> None:
    """The lots that the start can buy at the data's prices fit 64 bits, and a thousand times as
    many."""
    (contract,) = (m.contract for m in config.markets if m.symbol == product.symbol)
    price = decade if contract.kind == "linear" else 1.0
    if not price or not contract.lot_size or not contract.contract_size:
        return
    most = max(product.limit, abs(product.leverage or 0.0))
    lots = put_in * most / (price * contract.lot_size * contract.contract_size)
    if lots > LOTS_MAX:
        raise SettingError(
            (*path, "seed_capital"),
            f"{product.id}: {put_in:g} {contract.quote} at {most:g} times, in lots of "
            f"{contract.lot_size:g} at a price of about {price:g}, are more lots than can be "
            f"counted; use a smaller seed_capital or a larger lot_size of {product.symbol}",
        )


def _require_product(path: tuple[str | int, ...], product: str, products: list[str]) -> None:
    if product not in products:
        raise SettingError(path, f'there is no product "{product}"{nearest(product, products)}')
