"""Every setting looked at: against its own range, the data, and the other settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.config.accounts import check_accounts
from engine.config.comparators import (
    LEVERAGE_MAX,
    check_comparator,
    check_traders,
)
from engine.config.complaints import SettingError, check_range, nearest, require
from engine.config.crowds import check_crowds
from engine.config.holdings import check_lots, check_money, check_users
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
    quotes = {market.symbol: market.contract.quote for market in config.markets}
    for number, product in enumerate(config.products):
        path = ("products", number)
        if product.id in ids:
            raise SettingError((*path, "id"), f"product {product.id} is configured twice")
        if product.symbol not in known:
            raise SettingError((*path, "symbol"), _no_symbol(product.symbol, known))
        ids.add(product.id)
        _check_product(path, product, 10 ** asset_decimals(quotes[product.symbol] or ""))
    check_users(config, [product.id for product in config.products])
    check_traders(config)
    check_crowds(config)
    check_accounts(config)
    for number, product in enumerate(config.products):
        check_formula_price(config, ("products", number), product, known[product.symbol])
        put_in = check_money(config, ("products", number), product)
        check_lots(config, ("products", number), product, put_in, known[product.symbol].decade)
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


def _check_product(path: tuple[str | int, ...], product: ProductConfig, atoms: int) -> None:
    """``atoms`` a quote."""
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
        offering_of((*path, "terms", "offering"), product.terms.offering, atoms)
    if product.terms.split is not None:
        split_of((*path, "terms", "split"), product.terms.split)
    if product.terms.secondary is not None:
        secondary_of((*path, "terms", "secondary"), product.terms.secondary, atoms)
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
